//! Calls: begun at a rate, and noted when they are over.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Run;
use super::registering::ticks;
use crate::agent::{Order, Outcome, Plan};
use crate::carrier::{self, Called, CarrierOutcome, TRANSFERRED};
use crate::cli::{Calls, Direction};
use crate::media::Heard;

/// How long the other side of a call may take to tell its end.
const OTHER_SIDE: Duration = Duration::from_secs(10);

/// A call that is over.
pub(super) struct Done {
    agent: usize,
    outcome: Outcome,
    carrier: CarrierOutcome,
    /// Where the agent tells of calls to it.
    told: Option<mpsc::UnboundedReceiver<Outcome>>,
    talked: Duration,
}

/// Agents without a call, with what they tell of calls to them.
pub(super) type Free = VecDeque<(usize, Option<mpsc::UnboundedReceiver<Outcome>>)>;

impl Run {
    /// Makes calls at a rate, until all are over.
    pub(super) async fn calls(&mut self, calls: &Calls) -> anyhow::Result<()> {
        let mut free: Free = (0..self.agents.len()).map(|agent| (agent, None)).collect();
        if calls.direction == Direction::In {
            anyhow::ensure!(
                self.setting.trunk.is_some(),
                "--direction in: say with --trunk where the gateway takes calls"
            );
            free.retain(|(agent, _)| self.numbers.get(*agent).is_some_and(Option::is_some));
            anyhow::ensure!(
                !free.is_empty(),
                "--direction in: nobody in --users has a number that the carrier could dial"
            );
        }
        let (mut ticks, mut shown) = (ticks(calls.rate), ticks(1.0));
        let (mut begun, mut running) = (0, JoinSet::new());
        while begun < calls.total || !running.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if begun < calls.total && !free.is_empty() => {
                    let Some((agent, told)) = free.pop_front() else { continue };
                    self.begin(&mut running, agent, told, calls, begun).await;
                    begun += 1;
                }
                Some(done) = running.join_next() => self.note(&mut free, done, calls, running.len()),
                _ = shown.tick() => self.show(begun, calls.total, running.len()),
            }
        }
        eprintln!();
        Ok(())
    }

    pub(super) fn show(&self, begun: u64, total: u64, running: usize) {
        let failed: u64 = self.report.calls.failed.values().sum();
        eprint!("\r{begun} of {total} calls begun, {running} running, {failed} failed ");
    }

    /// Begins a call; its task gives the agent back when it is over.
    pub(super) async fn begin(
        &mut self,
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
        self.running = running.len() as u64;
        self.report.calls.most_at_once = self.report.calls.most_at_once.max(self.running);
    }

    /// Notes a call that is over; its agent is free again.
    pub(super) fn note(
        &mut self,
        free: &mut Free,
        done: Result<Done, tokio::task::JoinError>,
        calls: &Calls,
        running: usize,
    ) {
        self.running = running as u64;
        // A task that did not come to its end is a fault of ours, and its call counts as failed.
        let Ok(done) = done else { return self.report.add_call([None; 3], Some("not played to its end".to_owned())) };
        let Done { agent, outcome, carrier, told, talked } = done;
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
            if !self.setting.no_media {
                self.report.add_media(&outcome.heard, &carrier.heard, listened);
            }
            self.report.calls.call_seconds += talked.as_secs_f64();
            self.report.calls.session_changes += outcome.modified;
            if calls.transfers {
                let done = outcome.transferred == Some(true);
                self.report.calls.transfers_done += u64::from(done);
                self.report.calls.transfers_failed += u64::from(!done);
            }
        }
        free.push_back((agent, told));
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
