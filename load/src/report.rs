//! What came of a run: counted, sorted, printed as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::process::Usage;
use crate::stream::Heard;

/// Percentiles of one thing, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Percentiles {
    /// Of seconds; `None` of nothing.
    fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let place = (seconds.len() * share).div_ceil(100).clamp(1, seconds.len());
            seconds.get(place - 1).map(|value| (value * 1e5).round() / 100.0)
        };
        if seconds.is_empty() {
            return None;
        }
        Some(Self { count: seconds.len(), p50_ms: at(50)?, p95_ms: at(95)?, p99_ms: at(99)?, max_ms: at(100)? })
    }
}

/// The media of one direction.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Way {
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) packets_lost: u64,
    pub(crate) gaps: u64,
    pub(crate) longest_gap_ms: u64,
    /// Calls in which the right sound was heard, of those listened to.
    pub(crate) calls_heard_right: u64,
    /// Calls in which another call's sound was heard.
    pub(crate) calls_heard_wrong: u64,
    /// Calls listened to in which nothing was recognised.
    pub(crate) calls_heard_nothing: u64,
    /// What the gateway added to the way of a chirp, beyond the codec's own delay.
    pub(crate) added_latency: Option<Percentiles>,
    #[serde(skip)]
    added: Vec<f64>,
}

impl Way {
    /// Takes in what the sending and the receiving side of a call say.
    fn add(&mut self, sender: &Heard, receiver: &Heard, listened: bool) {
        self.packets_sent += sender.sent;
        self.packets_received += receiver.received;
        self.packets_lost += receiver.lost;
        self.gaps += receiver.gaps;
        let longest = u64::try_from(receiver.longest_gap.as_millis()).unwrap_or(u64::MAX);
        self.longest_gap_ms = self.longest_gap_ms.max(longest);
        if listened {
            match (receiver.right, receiver.wrong) {
                (_, 1..) => self.calls_heard_wrong += 1,
                (1.., 0) => self.calls_heard_right += 1,
                (0, 0) => self.calls_heard_nothing += 1,
            }
        }
        self.added.extend_from_slice(&receiver.added);
    }
}

/// What one run came to.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) seconds: f64,
    pub(crate) agents: usize,
    pub(crate) registered: u64,
    /// How often each refusal came.
    pub(crate) registrations_failed: BTreeMap<String, u64>,
    pub(crate) register: Option<Percentiles>,
    pub(crate) calls_attempted: u64,
    pub(crate) calls_answered: u64,
    pub(crate) most_calls_at_once: u64,
    pub(crate) calls_failed: BTreeMap<String, u64>,
    pub(crate) transfers_done: u64,
    pub(crate) transfers_failed: u64,
    pub(crate) invite_to_ringing: Option<Percentiles>,
    pub(crate) invite_to_answer: Option<Percentiles>,
    pub(crate) invite_to_first_audio: Option<Percentiles>,
    pub(crate) call_seconds: f64,
    pub(crate) agent_to_carrier: Way,
    pub(crate) carrier_to_agent: Way,
    pub(crate) gateway: Option<Cost>,
    #[serde(skip)]
    pub(crate) times: Times,
}

/// The times behind the percentiles, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    pub(crate) register: Vec<f64>,
    pub(crate) ringing: Vec<f64>,
    pub(crate) answer: Vec<f64>,
    pub(crate) first_audio: Vec<f64>,
}

/// What the gateway's process used.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    /// Processor seconds in the run.
    pub(crate) processor_s: f64,
    /// Of one core, over the run.
    pub(crate) cores: f64,
    /// Processor time of all, for each call that was set up.
    pub(crate) processor_ms_per_call: Option<f64>,
    /// Processor time of all, for each second of each call.
    pub(crate) processor_ms_per_call_second: Option<f64>,
    /// Processor time of all, for each REGISTER; where nothing but those was done.
    pub(crate) processor_us_per_register: Option<f64>,
    /// Before the run, with everybody registered, at the most, and at the end, in KiB.
    pub(crate) memory_kib: [u64; 4],
    /// What each registered agent takes.
    pub(crate) memory_kib_per_registration: Option<f64>,
    /// What each call takes that runs at the same time.
    pub(crate) memory_kib_per_call: Option<f64>,
}

/// The gateway's process at the moments that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) before: Usage,
    pub(crate) registered: Usage,
    pub(crate) highest: u64,
    pub(crate) after: Usage,
}

impl Report {
    /// Notes a REGISTER.
    pub(crate) fn add_registration(&mut self, result: Result<Duration, String>) {
        match result {
            Ok(took) => {
                self.registered += 1;
                self.times.register.push(took.as_secs_f64());
            }
            Err(reason) => *self.registrations_failed.entry(reason).or_default() += 1,
        }
    }

    /// Notes the times of a call, or why it failed.
    pub(crate) fn add_call(&mut self, times: [Option<Duration>; 3], failure: Option<String>) {
        self.calls_attempted += 1;
        let [ringing, answer, first_audio] = times.map(|time| time.map(|time| time.as_secs_f64()));
        self.times.ringing.extend(ringing);
        self.times.answer.extend(answer);
        self.times.first_audio.extend(first_audio);
        self.calls_answered += u64::from(answer.is_some());
        if let Some(reason) = failure {
            *self.calls_failed.entry(reason).or_default() += 1;
        }
    }

    /// Notes what was heard in a call.
    pub(crate) fn add_media(&mut self, agent: &Heard, carrier: &Heard, listened: bool) {
        self.agent_to_carrier.add(agent, carrier, listened);
        self.carrier_to_agent.add(carrier, agent, listened);
    }

    /// Sorts everything and reckons what it cost.
    pub(crate) fn finish(&mut self, took: Duration, moments: Option<Moments>) {
        self.seconds = (took.as_secs_f64() * 100.0).round() / 100.0;
        let times = std::mem::take(&mut self.times);
        self.register = Percentiles::of(times.register);
        self.invite_to_ringing = Percentiles::of(times.ringing);
        self.invite_to_answer = Percentiles::of(times.answer);
        self.invite_to_first_audio = Percentiles::of(times.first_audio);
        for way in [&mut self.agent_to_carrier, &mut self.carrier_to_agent] {
            way.added_latency = Percentiles::of(std::mem::take(&mut way.added));
        }
        self.gateway = moments.map(|moments| self.cost(took, moments));
    }

    fn cost(&self, took: Duration, moments: Moments) -> Cost {
        let processor = (moments.after.processor - moments.before.processor).as_secs_f64();
        let calls = (moments.after.processor - moments.registered.processor).as_secs_f64();
        let per = |what: f64, count: f64| (count > 0.0).then(|| (what / count * 1000.0).round() / 1000.0);
        let kib = |bytes: u64| bytes / 1024;
        let grown = |from: u64, to: u64| kib(to.saturating_sub(from)) as f64;
        let registered = (moments.registered.processor - moments.before.processor).as_secs_f64();
        Cost {
            processor_s: (processor * 100.0).round() / 100.0,
            cores: (processor / took.as_secs_f64() * 1000.0).round() / 1000.0,
            processor_ms_per_call: per(calls * 1e3, self.calls_answered as f64),
            processor_ms_per_call_second: per(calls * 1e3, self.call_seconds),
            processor_us_per_register: per(registered * 1e6, self.registered as f64),
            memory_kib: [moments.before.memory, moments.registered.memory, moments.highest, moments.after.memory]
                .map(kib),
            memory_kib_per_registration: per(
                grown(moments.before.memory, moments.registered.memory),
                self.registered.min(self.agents as u64) as f64,
            ),
            memory_kib_per_call: per(grown(moments.registered.memory, moments.highest), self.most_calls_at_once as f64),
        }
    }

    /// Whether everything went as it should.
    pub(crate) fn is_clean(&self) -> bool {
        let ways = [&self.agent_to_carrier, &self.carrier_to_agent];
        self.registrations_failed.is_empty()
            && self.calls_failed.is_empty()
            && self.transfers_failed == 0
            && ways.iter().all(|way| way.calls_heard_wrong == 0 && way.calls_heard_nothing == 0)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{} in {} s with {} agents\n", self.scenario, self.seconds, self.agents);
        let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<34} {value}\n"));
        line("registered", self.registered.to_string());
        for (reason, count) in &self.registrations_failed {
            line("registration failed", format!("{count} x {reason}"));
        }
        let of = |percentiles: &Option<Percentiles>| match percentiles {
            Some(p) => format!(
                "p50 {:.2}  p95 {:.2}  p99 {:.2}  max {:.2} ms ({})",
                p.p50_ms, p.p95_ms, p.p99_ms, p.max_ms, p.count
            ),
            None => "-".to_owned(),
        };
        line("REGISTER to 200", of(&self.register));
        if self.calls_attempted > 0 {
            line("calls attempted / answered", format!("{} / {}", self.calls_attempted, self.calls_answered));
            line("calls at once, at the most", self.most_calls_at_once.to_string());
            for (reason, count) in &self.calls_failed {
                line("call failed", format!("{count} x {reason}"));
            }
            if self.transfers_done + self.transfers_failed > 0 {
                line("transfers done / failed", format!("{} / {}", self.transfers_done, self.transfers_failed));
            }
            line("INVITE to 180", of(&self.invite_to_ringing));
            line("INVITE to 200", of(&self.invite_to_answer));
            line("INVITE to first audio", of(&self.invite_to_first_audio));
            for (name, way) in
                [("agent to carrier", &self.agent_to_carrier), ("carrier to agent", &self.carrier_to_agent)]
            {
                line(
                    name,
                    format!(
                        "{} of {} packets, {} lost, {} gaps (longest {} ms)",
                        way.packets_received, way.packets_sent, way.packets_lost, way.gaps, way.longest_gap_ms
                    ),
                );
                line(
                    "  heard right / wrong / nothing",
                    format!("{} / {} / {}", way.calls_heard_right, way.calls_heard_wrong, way.calls_heard_nothing),
                );
                line("  added latency", of(&way.added_latency));
            }
        }
        if let Some(cost) = &self.gateway {
            let shown =
                |value: Option<f64>, unit: &str| value.map_or("-".to_owned(), |value| format!("{value} {unit}"));
            line("gateway: processor", format!("{} s, {} of a core", cost.processor_s, cost.cores));
            line(
                "  per call / call-second",
                format!(
                    "{} / {}",
                    shown(cost.processor_ms_per_call, "ms"),
                    shown(cost.processor_ms_per_call_second, "ms")
                ),
            );
            line("  per REGISTER", shown(cost.processor_us_per_register, "us"));
            let [before, registered, highest, after] = cost.memory_kib;
            line(
                "gateway: memory",
                format!("{before} KiB, {registered} registered, {highest} at the most, {after} after"),
            );
            line(
                "  per registration / call",
                format!(
                    "{} / {}",
                    shown(cost.memory_kib_per_registration, "KiB"),
                    shown(cost.memory_kib_per_call, "KiB")
                ),
            );
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let of = Percentiles::of((1..=200).rev().map(|n| f64::from(n) / 1000.0).collect()).unwrap();
        assert_eq!((of.p50_ms, of.p95_ms, of.p99_ms, of.max_ms), (100.0, 190.0, 198.0, 200.0));
        let one = Percentiles::of(vec![0.25]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (250.0, 250.0));
        assert!(Percentiles::of(Vec::new()).is_none());
    }

    #[test]
    fn a_run_with_a_failed_call_or_another_calls_voice_is_not_clean() {
        let mut report = Report::default();
        assert!(report.is_clean());
        let right = Heard { right: 3, ..Heard::default() };
        report.add_media(&right, &right, true);
        assert!(report.is_clean());
        report.add_media(&right, &Heard { wrong: 1, right: 5, ..Heard::default() }, true);
        assert!(!report.is_clean());
        let mut report = Report::default();
        report.add_call([None; 3], Some("503".to_owned()));
        assert!(!report.is_clean() && report.calls_answered == 0);
    }
}
