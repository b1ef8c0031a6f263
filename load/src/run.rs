//! A run: everybody connects and registers, the scenario is played, and everything is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use media::Certificate;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::agent::{Agent, Company, Order, Outcome, Plan};
use crate::carrier::{self, Called, Carrier, CarrierConfig, CarrierOutcome, TRANSFERRED};
use crate::cli::{Calls, Direction, MediaKind, Scenario, Setting};
use crate::link::Server;
use crate::media::Media;
use crate::process::{Usage, usage};
use crate::report::{Moments, Report};
use crate::stream::Heard;
use crate::users;

/// How long the other side of a call may take to tell its end.
const OTHER_SIDE: Duration = Duration::from_secs(10);
/// Between two looks at the gateway's memory.
const LOOK: Duration = Duration::from_millis(250);

/// Everybody who takes part.
pub(crate) struct Run {
    setting: Setting,
    agents: Vec<mpsc::Sender<Order>>,
    numbers: Vec<Option<String>>,
    carrier: mpsc::Sender<carrier::Order>,
    report: Report,
    before: Option<Usage>,
    registered: Option<Usage>,
    highest: Arc<AtomicU64>,
}

/// A call that is over.
struct Done {
    agent: usize,
    outcome: Outcome,
    carrier: CarrierOutcome,
    /// Where the agent tells of calls to it.
    told: Option<mpsc::UnboundedReceiver<Outcome>>,
    talked: Duration,
}

impl Run {
    /// Plays a scenario from the beginning to the end; what came of it.
    pub(crate) async fn play(setting: Setting, scenario: &Scenario) -> anyhow::Result<Report> {
        let (max_time, start) = (setting.max_time, Instant::now());
        let mut run = Self::begin(setting).await?;
        let look = run.look_at_memory();
        let ended = tokio::select! {
            ended = timeout(max_time, run.act(scenario)) => ended.is_ok(),
            _ = tokio::signal::ctrl_c() => false,
        };
        if !ended {
            eprintln!("\nended before its end: what follows is what was counted until then");
        }
        look.abort();
        run.finish(start.elapsed())
    }

    async fn begin(setting: Setting) -> anyhow::Result<Self> {
        let server = Server::find(&setting.server).await?;
        let mut users = users::read(&setting.users, &setting.domain)?;
        users.truncate(setting.agents.unwrap_or(usize::MAX));
        let before = setting.pid.map(usage).transpose()?;
        let media = Arc::new(Media::start(setting.listen)?);
        let config = CarrierConfig {
            listen: setting.carrier,
            gateway: setting.trunk,
            ring: Duration::ZERO,
            prefix: setting.prefix.clone(),
            media: Arc::clone(&media),
        };
        let (carrier, listens) = Carrier::start(config).await?;
        eprintln!("the carrier listens on {listens}");
        let company = Arc::new(Company {
            server,
            domain: setting.domain.clone(),
            media,
            certificate: Arc::new(Certificate::generate().map_err(|error| anyhow::anyhow!("{error}"))?),
            encrypts: setting.media == MediaKind::Webrtc,
            media_address: setting.media_address,
            expires: setting.expires,
            prefix: setting.prefix.clone(),
        });
        let mut run = Self {
            agents: Vec::with_capacity(users.len()),
            numbers: users.iter().map(|user| user.number.clone()).collect(),
            carrier,
            report: Report::default(),
            before,
            registered: None,
            highest: Arc::default(),
            setting,
        };
        run.register_all(company, users).await?;
        Ok(run)
    }

    /// Connects and registers everybody, so many a second.
    async fn register_all(&mut self, company: Arc<Company>, users: Vec<users::User>) -> anyhow::Result<()> {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / self.setting.register_rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (total, mut starting) = (users.len(), JoinSet::new());
        for (at, user) in users.into_iter().enumerate() {
            ticks.tick().await;
            let company = Arc::clone(&company);
            starting.spawn(async move {
                let agent = Agent::start(company, user).await?;
                let (answer, registered) = oneshot::channel();
                agent.send(Order::Register(answer)).await?;
                anyhow::Ok((at, agent, registered.await?))
            });
        }
        let mut agents: Vec<Option<mpsc::Sender<Order>>> = vec![None; total];
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                done = starting.join_next() => match done {
                    None => break,
                    Some(done) => match done? {
                        Ok((at, agent, result)) => {
                            self.report.add_registration(result);
                            if let Some(place) = agents.get_mut(at) {
                                *place = Some(agent);
                            }
                        }
                        Err(error) => self.report.add_registration(Err(format!("not connected: {error}"))),
                    },
                },
                _ = ticks.tick() => eprint!("\r{} of {total} registered ", self.report.registered),
            }
        }
        eprintln!("\r{} of {total} registered", self.report.registered);
        self.report.agents = total;
        // Whoever could not connect takes no part.
        let numbers = std::mem::take(&mut self.numbers);
        let there = agents.into_iter().zip(numbers).filter_map(|(agent, number)| Some((agent?, number)));
        (self.agents, self.numbers) = there.unzip();
        anyhow::ensure!(!self.agents.is_empty(), "nobody could connect: {:?}", self.report.registrations_failed);
        sleep(Duration::from_millis(500)).await;
        self.registered = self.setting.pid.map(usage).transpose()?;
        Ok(())
    }

    fn look_at_memory(&self) -> tokio::task::JoinHandle<()> {
        let (pid, highest) = (self.setting.pid, Arc::clone(&self.highest));
        tokio::spawn(async move {
            let mut ticks = interval(LOOK);
            while let Some(pid) = pid {
                ticks.tick().await;
                if let Ok(usage) = usage(pid) {
                    highest.fetch_max(usage.memory, Ordering::Relaxed);
                }
            }
        })
    }

    async fn act(&mut self, scenario: &Scenario) {
        match scenario {
            Scenario::Register { hold } => {
                self.report.scenario = "register".to_owned();
                sleep(*hold).await;
            }
            Scenario::Calls(calls) => {
                self.report.scenario = format!("{} calls at {}/s of {:?}", calls.total, calls.rate, calls.talk);
                self.calls(calls).await;
            }
            Scenario::Ramp { target, rate, hold } => {
                self.report.scenario = format!("{target} calls at once, {rate}/s more, then {hold:?}");
                let up = Duration::from_secs_f64(*target as f64 / rate);
                let calls = Calls {
                    rate: *rate,
                    talk: up + *hold,
                    total: *target,
                    direction: Direction::Out,
                    holds: false,
                    transfers: false,
                };
                self.calls(&calls).await;
            }
            Scenario::Reconnect { times } => {
                self.report.scenario = format!("everybody reconnects {times} times");
                for _ in 0..*times {
                    self.reconnect().await;
                }
            }
        }
    }

    async fn reconnect(&mut self) {
        let mut coming = JoinSet::new();
        for agent in &self.agents {
            let agent = agent.clone();
            coming.spawn(async move {
                let (answer, registered) = oneshot::channel();
                drop(agent.send(Order::Reconnect(answer)).await);
                registered.await.unwrap_or_else(|_| Err("no answer".to_owned()))
            });
        }
        while let Some(result) = coming.join_next().await {
            self.report.add_registration(result.unwrap_or_else(|error| Err(error.to_string())));
        }
    }

    async fn calls(&mut self, calls: &Calls) {
        let mut free: VecDeque<_> = (0..self.agents.len()).map(|agent| (agent, None)).collect();
        if calls.direction == Direction::In {
            free.retain(|(agent, _)| self.numbers.get(*agent).is_some_and(Option::is_some));
        }
        let mut ticks = interval(Duration::from_secs_f64(1.0 / calls.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut shown = interval(Duration::from_secs(1));
        let (mut begun, mut running) = (0, JoinSet::new());
        while begun < calls.total || !running.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if begun < calls.total && !free.is_empty() => {
                    let Some((agent, told)) = free.pop_front() else { continue };
                    self.start(&mut running, agent, told, calls, begun).await;
                    begun += 1;
                    self.report.most_calls_at_once = self.report.most_calls_at_once.max(running.len() as u64);
                }
                Some(done) = running.join_next() => {
                    let Ok(done) = done else { continue };
                    free.push_back((done.agent, self.note(done, calls)));
                }
                _ = shown.tick() => {
                    let failed: u64 = self.report.calls_failed.values().sum();
                    eprint!("\r{begun} of {} calls begun, {} running, {failed} failed ", calls.total, running.len());
                }
            }
            if free.is_empty() && running.is_empty() {
                eprintln!("\nnobody has a number that the carrier could dial");
                return;
            }
        }
        eprintln!();
    }

    /// Begins a call; its task gives the agent back when it is over.
    async fn start(
        &self,
        running: &mut JoinSet<Done>,
        agent: usize,
        told: Option<mpsc::UnboundedReceiver<Outcome>>,
        calls: &Calls,
        call: u64,
    ) {
        let plan = Plan { call, talk: calls.talk, holds: calls.holds, transfers: calls.transfers };
        let Some(orders) = self.agents.get(agent).cloned() else { return };
        let carrier = self.carrier.clone();
        match calls.direction {
            Direction::Out => drop(running.spawn(call_out(agent, orders, carrier, plan))),
            Direction::In => {
                let told = match told {
                    Some(told) => told,
                    None => {
                        let (tell, told) = mpsc::unbounded_channel();
                        drop(orders.send(Order::Expect(plan, tell)).await);
                        told
                    }
                };
                let number = self.numbers.get(agent).cloned().flatten().unwrap_or_default();
                let called = Called { call, number, talk: calls.talk };
                running.spawn(call_in(agent, told, carrier, called));
            }
        }
    }

    fn note(&mut self, done: Done, calls: &Calls) -> Option<mpsc::UnboundedReceiver<Outcome>> {
        let Done { outcome, carrier, told, talked, .. } = done;
        let (times, failure) = match calls.direction {
            Direction::Out => ([outcome.ringing, outcome.answered, outcome.first_audio], outcome.failure),
            Direction::In => {
                ([carrier.ringing, carrier.answered, carrier.first_audio], carrier.failure.or(outcome.failure))
            }
        };
        let answered = times[1].is_some();
        self.report.add_call(times, failure);
        if answered {
            let listened = outcome.call.is_multiple_of(self.setting.listen);
            self.report.add_media(&outcome.heard, &carrier.heard, listened);
            self.report.call_seconds += talked.as_secs_f64();
            if calls.transfers {
                let done = outcome.transferred == Some(true);
                self.report.transfers_done += u64::from(done);
                self.report.transfers_failed += u64::from(!done);
            }
        }
        told
    }

    fn finish(mut self, took: Duration) -> anyhow::Result<Report> {
        let moments = match (self.before, self.registered, self.setting.pid) {
            (Some(before), Some(registered), Some(pid)) => {
                let highest = self.highest.load(Ordering::Relaxed);
                Some(Moments { before, registered, highest, after: usage(pid)? })
            }
            _ => None,
        };
        self.report.finish(took, moments);
        if let Some(path) = &self.setting.json {
            let json = serde_json::to_string_pretty(&self.report)?;
            std::fs::write(path, json).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        }
        Ok(self.report)
    }
}

async fn call_out(
    agent: usize,
    orders: mpsc::Sender<Order>,
    carrier: mpsc::Sender<carrier::Order>,
    plan: Plan,
) -> Done {
    let (answer, outcome) = oneshot::channel();
    let begun = Instant::now();
    drop(orders.send(Order::Call(plan, answer)).await);
    let gone = Outcome { call: plan.call, failure: Some("the agent is gone".to_owned()), ..Outcome::default() };
    let outcome = outcome.await.unwrap_or(gone);
    let talked = outcome.answered.map_or(Duration::ZERO, |after| begun.elapsed().saturating_sub(after));
    let mut heard = Heard::default();
    if outcome.answered.is_some() {
        heard = other_side(&carrier, plan.call).await;
        if plan.transfers {
            // Whom the call was handed on to has another account, which nobody needs.
            other_side(&carrier, plan.call + TRANSFERRED).await;
        }
    }
    Done { agent, outcome, carrier: CarrierOutcome { heard, ..CarrierOutcome::default() }, told: None, talked }
}

async fn other_side(carrier: &mpsc::Sender<carrier::Order>, call: u64) -> Heard {
    let (answer, heard) = oneshot::channel();
    drop(carrier.send(carrier::Order::Tell(call, answer)).await);
    timeout(OTHER_SIDE, heard).await.ok().and_then(Result::ok).unwrap_or_default()
}

async fn call_in(
    agent: usize,
    mut told: mpsc::UnboundedReceiver<Outcome>,
    carrier: mpsc::Sender<carrier::Order>,
    called: Called,
) -> Done {
    let (answer, outcome) = oneshot::channel();
    let (begun, call) = (Instant::now(), called.call);
    drop(carrier.send(carrier::Order::Call(called, answer)).await);
    let gone = CarrierOutcome { failure: Some("the carrier is gone".to_owned()), ..CarrierOutcome::default() };
    let carrier = outcome.await.unwrap_or(gone);
    let talked = carrier.answered.map_or(Duration::ZERO, |after| begun.elapsed().saturating_sub(after));
    let mut outcome = Outcome { call, ..Outcome::default() };
    if carrier.answered.is_some() {
        match timeout(OTHER_SIDE, told.recv()).await {
            Ok(Some(known)) => outcome = known,
            Ok(None) | Err(_) => outcome.failure = Some("the agent's side did not end".to_owned()),
        }
    }
    Done { agent, outcome, carrier, told: Some(told), talked }
}
