//! Registering everybody, refreshing registrations, and coming back after the connection was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Run;
use crate::agent::{Agent, Company, Order, Registered, Registration};
use crate::report::Purpose;
use crate::users::User;

type Registering = JoinSet<Result<Registration, String>>;

/// Ticks, so many a second; those that were missed follow at once.
pub(super) fn ticks(rate: f64) -> tokio::time::Interval {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

impl Run {
    /// Connects and registers everybody, so many a second.
    pub(super) async fn register_all(&mut self, company: Arc<Company>, users: Vec<User>) -> anyhow::Result<()> {
        let total = users.len();
        self.report.registrations.agents = total;
        let (mut ticks, mut shown) = (ticks(self.setting.register_rate), ticks(1.0));
        let (mut coming, mut starting) = (users.into_iter().enumerate(), JoinSet::new());
        let mut connected = 0;
        let mut agents: Vec<Option<(mpsc::Sender<Order>, Option<String>)>> = vec![None; total];
        while coming.len() > 0 || !starting.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if coming.len() > 0 => {
                    let Some((at, user)) = coming.next() else { continue };
                    let (company, number) = (Arc::clone(&company), user.number.clone());
                    starting.spawn(async move {
                        let agent = Agent::start(company, user).await.map_err(|error| format!("not connected: {error}"))?;
                        let result = ask(&agent, Order::Register).await;
                        Ok((at, agent, number, result))
                    });
                }
                Some(done) = starting.join_next() => match done? {
                    Ok((at, agent, number, result)) => {
                        connected += 1;
                        if result.is_ok() && let Some(place) = agents.get_mut(at) {
                            *place = Some((agent, number));
                        }
                        self.report.add_registration(Purpose::Begin, result);
                    }
                    Err(reason) => self.report.add_registration(Purpose::Begin, Err(reason)),
                },
                _ = shown.tick() => eprint!("\r{} of {total} registered ", self.report.registrations.registered),
            }
        }
        eprintln!("\r{} of {total} registered", self.report.registrations.registered);
        // Whoever is not registered takes no part.
        (self.agents, self.numbers) = agents.into_iter().flatten().unzip();
        if connected == 0 {
            let failed = &self.report.registrations.failed;
            let reasons: Vec<_> = failed.iter().map(|(reason, count)| format!("{count} x {reason}")).collect();
            anyhow::bail!("nobody could connect to {}: {}", self.setting.server, reasons.join(", "));
        }
        Ok(())
    }

    /// Has everybody register again and again, in turn, over the connections they have.
    pub(super) async fn refresh(&mut self, hold: Duration, rate: f64) {
        let (end, mut ticks, mut shown) = (Instant::now() + hold, ticks(rate), ticks(1.0));
        let (mut next, mut refreshing) = (0, Registering::new());
        while Instant::now() < end || !refreshing.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if Instant::now() < end => {
                    let Some(agent) = self.agents.get(next).cloned() else { return };
                    next = (next + 1) % self.agents.len();
                    refreshing.spawn(async move { ask(&agent, Order::Register).await });
                }
                Some(result) = refreshing.join_next() => self.note_registration(Purpose::Refresh, result),
                _ = shown.tick() => eprint!("\r{} refreshes ", self.report.registrations.refreshed),
            }
        }
        eprintln!();
    }

    /// Has everybody lose the connection at once and come back.
    pub(super) async fn reconnect(&mut self) {
        let mut coming = Registering::new();
        for agent in &self.agents {
            let agent = agent.clone();
            coming.spawn(async move { ask(&agent, Order::Reconnect).await });
        }
        while let Some(result) = coming.join_next().await {
            self.note_registration(Purpose::Return, result);
        }
        eprintln!("{} connections opened anew", self.report.registrations.reconnected);
    }

    fn note_registration(
        &mut self,
        purpose: Purpose,
        result: Result<Result<Registration, String>, tokio::task::JoinError>,
    ) {
        self.report.add_registration(purpose, result.unwrap_or_else(|error| Err(error.to_string())));
    }
}

/// Orders a REGISTER; what came of it.
async fn ask(agent: &mpsc::Sender<Order>, order: impl FnOnce(Registered) -> Order) -> Result<Registration, String> {
    let (answer, registered) = oneshot::channel();
    drop(agent.send(order(answer)).await);
    registered.await.unwrap_or_else(|_| Err("the agent is gone".to_owned()))
}
