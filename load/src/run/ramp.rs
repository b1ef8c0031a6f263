//! More and more calls at once, in steps that are measured apart.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Run;
use super::calls::{Done, Free};
use super::registering::ticks;
use crate::agent::Order;
use crate::cli::{Calls, Direction, Ramp};
use crate::report::Step;

/// Who takes part in a ramp.
struct Ramping {
    calls: Calls,
    free: Free,
    begun: u64,
    running: JoinSet<Done>,
    /// Agents in the order in which they called.
    calling: Vec<usize>,
}

impl Run {
    /// Plays it, until all calls are over.
    pub(super) async fn ramp(&mut self, ramp: &Ramp) -> anyhow::Result<()> {
        let mut steps: Vec<_> = ramp.steps.iter().copied().filter(|step| *step < ramp.target).collect();
        steps.sort_unstable();
        steps.dedup();
        steps.push(ramp.target);
        let agents = self.agents.len() as u64;
        anyhow::ensure!(agents >= ramp.target, "--target {}: only {agents} agents are there to call", ramp.target);
        let calls = Calls {
            rate: ramp.rate,
            // They are told when to hang up.
            talk: self.setting.max_time,
            total: ramp.target,
            direction: Direction::Out,
            holds: false,
            transfers: false,
        };
        let free = (0..self.agents.len()).map(|agent| (agent, None)).collect();
        let mut ramping = Ramping { calls, free, begun: 0, running: JoinSet::new(), calling: Vec::new() };
        for step in steps {
            self.rise(&mut ramping, step).await;
            self.wait(&mut ramping, ramp.settle).await;
            let (from, begun) = (self.look().await?, Instant::now());
            self.wait(&mut ramping, ramp.hold).await;
            let took = begun.elapsed();
            let to = self.look().await?;
            let running = ramping.running.len();
            self.show(ramping.begun, ramping.calls.total, running);
            self.report.steps.push(Step::between(running as u64, took, &from, to));
        }
        self.fall(&mut ramping).await;
        eprintln!();
        Ok(())
    }

    /// Begins calls until so many were begun.
    async fn rise(&mut self, ramping: &mut Ramping, step: u64) {
        let (mut ticks, mut shown) = (ticks(ramping.calls.rate), ticks(1.0));
        while ramping.begun < step {
            tokio::select! {
                _ = ticks.tick() => {
                    let Some((agent, told)) = ramping.free.pop_front() else { return };
                    self.begin(&mut ramping.running, agent, told, &ramping.calls, ramping.begun).await;
                    ramping.calling.push(agent);
                    ramping.begun += 1;
                }
                _ = shown.tick() => self.show(ramping.begun, ramping.calls.total, ramping.running.len()),
                Some(done) = ramping.running.join_next() => {
                    self.note(&mut ramping.free, done, &ramping.calls, ramping.running.len());
                }
            }
        }
    }

    /// Lets time pass; calls that fail meanwhile are noted.
    async fn wait(&mut self, ramping: &mut Ramping, time: Duration) {
        let mut end = std::pin::pin!(sleep(time));
        loop {
            tokio::select! {
                () = &mut end => return,
                Some(done) = ramping.running.join_next() => {
                    self.note(&mut ramping.free, done, &ramping.calls, ramping.running.len());
                }
            }
        }
    }

    /// Ends all calls, at the rate they were begun at.
    async fn fall(&mut self, ramping: &mut Ramping) {
        let (mut ticks, mut calling) = (ticks(ramping.calls.rate), std::mem::take(&mut ramping.calling).into_iter());
        while calling.len() > 0 || !ramping.running.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if calling.len() > 0 => {
                    if let Some(agent) = calling.next().and_then(|agent| self.agents.get(agent)) {
                        drop(agent.send(Order::HangUp).await);
                    }
                }
                Some(done) = ramping.running.join_next() => {
                    self.note(&mut ramping.free, done, &ramping.calls, ramping.running.len());
                }
            }
        }
    }
}
