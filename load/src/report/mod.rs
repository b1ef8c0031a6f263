//! What came of a run: counted, sorted, printed as a table and as JSON.

mod cost;
mod percentiles;
mod step;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::agent::Registration;
use crate::media::{Heard, Histogram};
use cost::Cost;
use percentiles::Percentiles;

pub(crate) use cost::{Generator, Moments};
pub(crate) use step::{Look, Step};

/// More packets lost than one in so many is not how it should be.
const ONE_LOST_IN: u64 = 1000;
/// Different reasons of failures that are told apart.
const MOST_REASONS: usize = 50;

/// What one run came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub(crate) scenario: String,
    /// Why it ended before its end: it was interrupted, or its time ran out.
    pub(crate) ended_early: Option<&'static str>,
    pub(crate) duration_s: f64,
    pub(crate) registrations: Registrations,
    pub(crate) calls: Calls,
    /// With media only.
    pub(crate) agent_to_carrier: Option<Way>,
    pub(crate) carrier_to_agent: Option<Way>,
    pub(crate) steps: Vec<Step>,
    pub(crate) faults: Faults,
    /// With its process only.
    pub(crate) gateway: Option<Cost>,
    pub(crate) generator: Generator,
    #[serde(skip)]
    pub(crate) times: Times,
}

/// Agents, their connections and their registrations.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Registrations {
    pub(crate) agents: usize,
    pub(crate) registered: u64,
    pub(crate) refreshed: u64,
    pub(crate) reconnected: u64,
    /// How often each refusal came, of all three.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Connections on which TLS resumed a session.
    pub(crate) tls_resumed: u64,
    /// TCP, TLS and the WebSocket.
    pub(crate) connect: Option<Percentiles>,
    /// REGISTER to 200, challenge included, on a new connection.
    pub(crate) register: Option<Percentiles>,
    /// The same on a connection that was open.
    pub(crate) refresh: Option<Percentiles>,
}

/// Calls, without what was heard.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Calls {
    pub(crate) attempted: u64,
    pub(crate) answered: u64,
    pub(crate) failed: BTreeMap<String, u64>,
    /// Those that ran when the run ended early.
    pub(crate) unfinished: u64,
    pub(crate) most_at_once: u64,
    pub(crate) call_seconds: f64,
    /// Holds and their ends that were agreed on.
    pub(crate) session_changes: u64,
    pub(crate) transfers_done: u64,
    pub(crate) transfers_failed: u64,
    pub(crate) invite_to_ringing: Option<Percentiles>,
    pub(crate) invite_to_answer: Option<Percentiles>,
    pub(crate) invite_to_first_audio: Option<Percentiles>,
}

/// The media of one direction.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Way {
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) packets_lost: u64,
    pub(crate) packets_malformed: u64,
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

/// What went wrong apart from calls.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Faults {
    pub(crate) connections_lost: u64,
    pub(crate) messages_malformed: u64,
}

/// The times behind the percentiles, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    connect: Vec<f64>,
    register: Vec<f64>,
    refresh: Vec<f64>,
    ringing: Vec<f64>,
    answer: Vec<f64>,
    first_audio: Vec<f64>,
    pub(crate) lateness: Histogram,
}

/// What a REGISTER was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be registered at all.
    Begin,
    /// To stay registered.
    Refresh,
    /// To be registered after the connection was lost.
    Return,
}

/// Counts a reason, which is what a server says: it does not fill the report.
fn count_reason(reasons: &mut BTreeMap<String, u64>, reason: String) {
    let is_one_too_many = reasons.len() >= MOST_REASONS && !reasons.contains_key(&reason);
    let reason = if is_one_too_many { "other reasons".to_owned() } else { reason };
    *reasons.entry(reason).or_default() += 1;
}

impl Way {
    /// Takes in what the sending and the receiving side of a call say.
    fn add(&mut self, sender: &Heard, receiver: &Heard, listened: bool) {
        self.packets_sent += sender.sent;
        self.packets_received += receiver.received;
        self.packets_lost += receiver.lost;
        self.packets_malformed += receiver.malformed;
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

    fn is_clean(&self) -> bool {
        let heard_right = self.calls_heard_wrong + self.calls_heard_nothing == 0;
        heard_right && self.packets_malformed == 0 && self.packets_lost * ONE_LOST_IN <= self.packets_sent
    }
}

impl Report {
    /// Notes a REGISTER.
    pub(crate) fn add_registration(&mut self, purpose: Purpose, result: Result<Registration, String>) {
        let (registrations, times) = (&mut self.registrations, &mut self.times);
        let registration = match result {
            Ok(registration) => registration,
            Err(reason) => {
                count_reason(&mut registrations.failed, reason);
                return;
            }
        };
        if let Some(opened) = registration.opened {
            times.connect.push(opened.took.as_secs_f64());
            registrations.tls_resumed += u64::from(opened.resumed);
        }
        let (count, times) = match purpose {
            Purpose::Begin => (&mut registrations.registered, &mut times.register),
            Purpose::Refresh => (&mut registrations.refreshed, &mut times.refresh),
            Purpose::Return => (&mut registrations.reconnected, &mut times.register),
        };
        *count += 1;
        times.push(registration.took.as_secs_f64());
    }

    /// Notes the times of a call, or why it failed.
    pub(crate) fn add_call(&mut self, times: [Option<Duration>; 3], failure: Option<String>) {
        self.calls.attempted += 1;
        let [ringing, answer, first_audio] = times.map(|time| time.map(|time| time.as_secs_f64()));
        self.times.ringing.extend(ringing);
        self.times.answer.extend(answer);
        self.times.first_audio.extend(first_audio);
        self.calls.answered += u64::from(answer.is_some());
        if let Some(reason) = failure {
            count_reason(&mut self.calls.failed, reason);
        }
    }

    /// Notes what was heard in a call.
    pub(crate) fn add_media(&mut self, agent: &Heard, carrier: &Heard, listened: bool) {
        self.agent_to_carrier.get_or_insert_default().add(agent, carrier, listened);
        self.carrier_to_agent.get_or_insert_default().add(carrier, agent, listened);
    }

    /// Sorts everything and reckons what it cost.
    pub(crate) fn finish(&mut self, took: Duration, moments: Option<Moments>) {
        self.duration_s = (took.as_secs_f64() * 100.0).round() / 100.0;
        self.calls.call_seconds = (self.calls.call_seconds * 100.0).round() / 100.0;
        let times = std::mem::take(&mut self.times);
        self.registrations.connect = Percentiles::of(times.connect);
        self.registrations.register = Percentiles::of(times.register);
        self.registrations.refresh = Percentiles::of(times.refresh);
        self.calls.invite_to_ringing = Percentiles::of(times.ringing);
        self.calls.invite_to_answer = Percentiles::of(times.answer);
        self.calls.invite_to_first_audio = Percentiles::of(times.first_audio);
        self.generator.send_lateness = Percentiles::of_histogram(&times.lateness);
        for way in [&mut self.agent_to_carrier, &mut self.carrier_to_agent].into_iter().flatten() {
            way.added_latency = Percentiles::of(std::mem::take(&mut way.added));
        }
        self.gateway = moments.map(|moments| Cost::of(self, took, &moments));
    }

    /// Whether everything went as it should.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let ways = [&self.agent_to_carrier, &self.carrier_to_agent];
        self.ended_early.is_none()
            && self.registrations.failed.is_empty()
            && self.calls.failed.is_empty()
            && self.calls.transfers_failed == 0
            && self.faults.connections_lost + self.faults.messages_malformed == 0
            && ways.into_iter().flatten().all(Way::is_clean)
    }

    /// The same as JSON; the names carry the units.
    ///
    /// # Errors
    /// Never in practice: every field is a number, a text or a list of them.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_failed_call_or_another_calls_voice_is_not_clean() {
        let mut report = Report::default();
        assert!(report.is_clean());
        let right = Heard { right: 3, sent: 100, ..Heard::default() };
        report.add_media(&right, &right, true);
        assert!(report.is_clean());
        report.add_media(&right, &Heard { wrong: 1, right: 5, ..Heard::default() }, true);
        assert!(!report.is_clean());
        let mut report = Report::default();
        report.add_call([None; 3], Some("503".to_owned()));
        assert!(!report.is_clean() && report.calls.answered == 0);
    }

    #[test]
    fn failures_are_counted_by_their_reasons_of_which_there_are_not_endlessly_many() {
        let mut report = Report::default();
        (0..200).for_each(|n| report.add_call([None; 3], Some(format!("500 {}", n % 100))));
        assert_eq!((report.calls.failed["500 7"], report.calls.failed["other reasons"]), (2, 100));
        assert_eq!(report.calls.failed.len(), MOST_REASONS + 1);
    }

    #[test]
    fn a_run_that_lost_packets_connections_or_its_end_is_not_clean() {
        let mut report = Report::default();
        let side = |lost| Heard { right: 1, sent: 1000, lost, ..Heard::default() };
        report.add_media(&side(1), &side(1), true);
        assert!(report.is_clean());
        report.add_media(&side(0), &side(5), true);
        assert!(!report.is_clean());
        let lost = Faults { connections_lost: 1, ..Faults::default() };
        assert!(!Report { faults: lost, ..Report::default() }.is_clean());
        assert!(!Report { ended_early: Some("interrupted"), ..Report::default() }.is_clean());
    }
}
