//! A run: everybody connects and registers, the scenario is played, and everything is counted.

mod calls;
mod ramp;
mod registering;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::media::Certificate;
use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::agent::{Company, Faults, Order};
use crate::carrier::{self, Carrier, CarrierConfig};
use crate::cli::{Cli, MediaKind, Scenario, Setting};
use crate::link::Server;
use crate::media::{self, Media};
use crate::process::{Usage, usage};
use crate::report::{Look, Moments, Report};
use crate::users;

/// Between two looks at the gateway's memory, each of which has the kernel walk through its pages.
const LOOK: Duration = Duration::from_secs(1);
/// How long calls may take to end when a run ends early.
const GOOD_BYE: Duration = Duration::from_secs(3);
/// What registering leaves to do is done by then.
const CALM: Duration = Duration::from_millis(500);

/// Everybody who takes part, ready to begin.
pub struct Run {
    setting: Setting,
    scenario: Scenario,
    media: Arc<Media>,
    agents: Vec<mpsc::Sender<Order>>,
    numbers: Vec<Option<String>>,
    carrier: mpsc::Sender<carrier::Order>,
    listens: SocketAddr,
    report: Report,
    faults: Arc<Faults>,
    gateway: Gateway,
    /// How many calls run.
    running: u64,
}

/// What was seen of the gateway's process.
#[derive(Debug, Default)]
struct Gateway {
    before: Option<Usage>,
    registered: Option<Usage>,
    highest: Arc<AtomicU64>,
}

/// Plays a scenario from the beginning to the end, or until it is interrupted or its time is over; what came of it.
///
/// # Errors
/// When it cannot begin: the server is not found, the users are not read, the carrier's port is taken, or nobody can connect.
pub async fn play(cli: Cli) -> anyhow::Result<Report> {
    Run::prepare(cli).await?.play().await
}

/// Turns true with the first Ctrl-C; the second ends the process at once.
fn interruption() -> watch::Receiver<bool> {
    let (told, interrupted) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() && told.send(true).is_ok() && tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
        // Without signals nobody interrupts.
        told.closed().await;
    });
    interrupted
}

impl Run {
    /// Gets everything ready that needs no gateway; the carrier listens from now on.
    ///
    /// # Errors
    /// When the carrier's port is taken, or the gateway's process is not there.
    pub async fn prepare(cli: Cli) -> anyhow::Result<Self> {
        let Cli { setting, scenario } = cli;
        let gateway = Gateway { before: setting.pid.map(usage).transpose()?, ..Gateway::default() };
        let (flows, calls) = (!setting.no_media, scenario.calls());
        let plan = media::Plan { listen_to_each: setting.listen, flows, calls };
        let (media, faults) = (Arc::new(Media::start(plan)?), Arc::new(Faults::default()));
        let config = CarrierConfig {
            listen: setting.carrier,
            gateway: setting.trunk,
            ring: Duration::ZERO,
            faults: Arc::clone(&faults),
            prefix: setting.prefix.clone(),
            media: Arc::clone(&media),
        };
        let (carrier, listens) = Carrier::start(config).await?;
        eprintln!("the carrier listens on {listens}");
        Ok(Self {
            agents: Vec::new(),
            numbers: Vec::new(),
            carrier,
            listens,
            report: Report::default(),
            faults,
            gateway,
            running: 0,
            media,
            setting,
            scenario,
        })
    }

    /// Where the carrier listens.
    #[must_use]
    pub fn carrier(&self) -> SocketAddr {
        self.listens
    }

    /// Plays it; see [`play`].
    ///
    /// # Errors
    /// When it cannot begin.
    pub async fn play(mut self) -> anyhow::Result<Report> {
        let (interrupted, max_time) = (interruption(), self.setting.max_time);
        let (start, own) = (Instant::now(), usage(std::process::id())?);
        let look = self.look_at_memory();
        let mut early = interrupted.clone();
        let ended = tokio::select! {
            ended = timeout(max_time, self.act()) => ended.map_err(|_| "its time ran out"),
            _ = early.wait_for(|interrupted| *interrupted) => Err("it was interrupted"),
        };
        match ended {
            Ok(result) => result?,
            Err(reason) => {
                eprintln!("\nended early, {reason}: what follows is what was counted until then");
                self.report.ended_early = Some(reason);
                self.report.calls.unfinished = self.running;
                self.report.calls.attempted += self.running;
                self.hang_up_all().await;
            }
        }
        let report = self.finish(start, own, interrupted).await;
        look.abort();
        report
    }

    /// Registers everybody and plays the scenario.
    async fn act(&mut self) -> anyhow::Result<()> {
        self.report.scenario = self.scenario.to_string();
        let setting = &self.setting;
        let server = Server::find(&setting.server, !setting.no_resumption).await?;
        let mut users = users::read(&setting.users, &setting.domain)?;
        users.truncate(setting.agents.unwrap_or(usize::MAX));
        let company = Company {
            server,
            domain: setting.domain.clone(),
            media: Arc::clone(&self.media),
            certificate: Arc::new(Certificate::generate().map_err(|error| anyhow::anyhow!("{error}"))?),
            encrypts: setting.media == MediaKind::Webrtc,
            media_address: setting.media_address,
            expires: setting.expires,
            prefix: setting.prefix.clone(),
            faults: Arc::clone(&self.faults),
        };
        self.register_all(Arc::new(company), users).await?;
        sleep(CALM).await;
        self.gateway.registered = self.setting.pid.map(usage).transpose()?;
        if self.agents.is_empty() {
            eprintln!("nobody is registered: the scenario is left out");
            return Ok(());
        }
        match self.scenario.clone() {
            Scenario::Register { hold, refresh_rate: None } => sleep(hold).await,
            Scenario::Register { hold, refresh_rate: Some(rate) } => self.refresh(hold, rate).await,
            Scenario::Calls(calls) => self.calls(&calls).await?,
            Scenario::Ramp(ramp) => self.ramp(&ramp).await?,
            Scenario::Reconnect { times } => {
                for _ in 0..times {
                    self.reconnect().await;
                }
            }
        }
        Ok(())
    }

    fn look_at_memory(&self) -> tokio::task::JoinHandle<()> {
        let (pid, highest) = (self.setting.pid, Arc::clone(&self.gateway.highest));
        tokio::spawn(async move {
            let mut ticks = interval(LOOK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while let Some(pid) = pid {
                ticks.tick().await;
                if let Ok(usage) = usage(pid) {
                    highest.fetch_max(usage.memory, Ordering::Relaxed);
                }
            }
        })
    }

    /// A look at everything, from which differences are made.
    async fn look(&mut self) -> anyhow::Result<Look> {
        let survey = self.media.survey().await;
        self.report.times.lateness.merge(&survey.lateness);
        Ok(Look { gateway: self.setting.pid.map(usage).transpose()?, generator: usage(std::process::id())?, survey })
    }

    /// Ends what runs, so that the gateway is not left with it.
    async fn hang_up_all(&mut self) {
        for agent in &self.agents {
            drop(agent.try_send(Order::HangUp));
        }
        drop(self.carrier.try_send(carrier::Order::HangUp));
        sleep(if self.running > 0 { GOOD_BYE } else { Duration::ZERO }).await;
    }

    async fn finish(
        mut self,
        start: Instant,
        own: Usage,
        mut interrupted: watch::Receiver<bool>,
    ) -> anyhow::Result<Report> {
        let took = start.elapsed();
        let after = self.look().await?;
        let mut moments = None;
        if let (Some(before), Some(registered), Some(after)) =
            (self.gateway.before, self.gateway.registered, after.gateway)
        {
            tokio::select! {
                () = sleep(self.setting.linger) => {}
                _ = interrupted.wait_for(|interrupted| *interrupted) => {}
            }
            let later = self.setting.pid.map(usage).transpose()?.unwrap_or(after);
            let highest = self.gateway.highest.load(Ordering::Relaxed).max(after.memory);
            moments = Some(Moments { before, registered, highest, after, later });
        }
        let spent = after.generator.processor.saturating_sub(own.processor).as_secs_f64();
        self.report.generator.processor_s = (spent * 100.0).round() / 100.0;
        self.report.generator.cores = (spent / took.as_secs_f64() * 1000.0).round() / 1000.0;
        self.report.faults.connections_lost = self.faults.connections_lost.load(Ordering::Relaxed);
        self.report.faults.messages_malformed = self.faults.malformed_messages.load(Ordering::Relaxed);
        self.report.finish(took, moments);
        if let Some(path) = &self.setting.json {
            let written = std::fs::write(path, self.report.json()?);
            written.with_context(|| format!("--json: cannot write {}", path.display()))?;
        }
        Ok(self.report)
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Register { hold, refresh_rate: None } => write!(f, "all registered for {hold:?}"),
            Self::Register { hold, refresh_rate: Some(rate) } => write!(f, "{rate} refreshes/s for {hold:?}"),
            Self::Calls(calls) => write!(f, "{} calls at {}/s of {:?}", calls.total, calls.rate, calls.talk),
            Self::Ramp(ramp) => {
                write!(f, "{} calls at once, {}/s more, {:?} a step", ramp.target, ramp.rate, ramp.hold)
            }
            Self::Reconnect { times } => write!(f, "everybody reconnects {times} times"),
        }
    }
}
