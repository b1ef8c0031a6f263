//! The report for people.

use std::collections::BTreeMap;

use super::cost::{Cost, Generator};
use super::step::{Step, StepWay};
use super::{Calls, Percentiles, Registrations, Report, Way};

/// Later than this, and the load was not even any more.
const TOO_LATE_MS: f64 = 10.0;

struct Table(String);

impl Table {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("  {name:<34} {value}\n"));
    }

    fn times(&mut self, name: &str, times: &Option<Percentiles>) {
        if let Some(p) = times {
            let value = format!(
                "p50 {:.2}  p95 {:.2}  p99 {:.2}  max {:.2} ms ({})",
                p.p50_ms, p.p95_ms, p.p99_ms, p.max_ms, p.count
            );
            self.line(name, value);
        }
    }

    fn reasons(&mut self, name: &str, reasons: &BTreeMap<String, u64>) {
        for (reason, count) in reasons {
            self.line(name, format!("{count} x {reason}"));
        }
    }

    fn some(&mut self, name: &str, value: Option<f64>, unit: &str) {
        if let Some(value) = value {
            self.line(name, format!("{value} {unit}"));
        }
    }

    fn registrations(&mut self, of: &Registrations) {
        self.line("agents / registered", format!("{} / {}", of.agents, of.registered));
        if of.refreshed + of.reconnected > 0 {
            self.line("refreshed / reconnected", format!("{} / {}", of.refreshed, of.reconnected));
        }
        self.reasons("registration failed", &of.failed);
        self.times("connecting", &of.connect);
        if of.tls_resumed > 0 {
            self.line("  TLS sessions resumed", of.tls_resumed);
        }
        self.times("REGISTER to 200", &of.register);
        self.times("  on an open connection", &of.refresh);
    }

    fn calls(&mut self, of: &Calls) {
        self.line("calls attempted / answered", format!("{} / {}", of.attempted, of.answered));
        self.line("calls at once, at the most", of.most_at_once);
        self.line("call-seconds", of.call_seconds);
        self.reasons("call failed", &of.failed);
        if of.unfinished > 0 {
            self.line("calls not finished", of.unfinished);
        }
        if of.session_changes > 0 {
            self.line("holds and their ends", of.session_changes);
        }
        if of.transfers_done + of.transfers_failed > 0 {
            self.line("transfers done / failed", format!("{} / {}", of.transfers_done, of.transfers_failed));
        }
        self.times("INVITE to 180", &of.invite_to_ringing);
        self.times("INVITE to 200", &of.invite_to_answer);
        self.times("INVITE to first audio", &of.invite_to_first_audio);
    }

    fn way(&mut self, name: &str, way: &Way) {
        let Way { packets_sent, packets_received, packets_lost, gaps, longest_gap_ms, .. } = way;
        self.line(
            name,
            format!(
                "{packets_received} of {packets_sent} packets, {packets_lost} lost, {gaps} gaps (longest {longest_gap_ms} ms)"
            ),
        );
        if way.packets_malformed > 0 {
            self.line("  malformed", way.packets_malformed);
        }
        self.line(
            "  heard right / wrong / nothing",
            format!("{} / {} / {}", way.calls_heard_right, way.calls_heard_wrong, way.calls_heard_nothing),
        );
        self.times("  added latency", &way.added_latency);
    }

    fn steps(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.line(
            "steps:",
            "gateway's cores, ms a call-second | added ms p50/p95/p99 out, in | lost | generator's cores, late p99",
        );
        for step in steps {
            let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
            let added = |way: &StepWay| match &way.added_latency {
                Some(p) => format!("{:.2}/{:.2}/{:.2}", p.p50_ms, p.p95_ms, p.p99_ms),
                None => "-".to_owned(),
            };
            let (out, inwards) = (&step.agent_to_carrier, &step.carrier_to_agent);
            self.line(
                &format!("  {} calls for {} s", step.calls, step.duration_s),
                format!(
                    "{} {} | {} {} | {} of {} | {:.3} {:.2} ms",
                    number(step.gateway_cores),
                    number(step.gateway_processor_ms_per_call_second),
                    added(out),
                    added(inwards),
                    out.packets_lost + inwards.packets_lost,
                    out.packets_sent + inwards.packets_sent,
                    step.generator_cores,
                    step.send_lateness.as_ref().map_or(0.0, |late| late.p99_ms),
                ),
            );
        }
    }

    fn gateway(&mut self, cost: &Cost) {
        self.line("gateway: processor", format!("{} s, {} of a core", cost.processor_s, cost.cores));
        self.some("  per REGISTER with connecting", cost.processor_us_per_register, "us");
        self.some("  per REGISTER, connection open", cost.processor_us_per_refresh, "us");
        self.some("  per reconnection", cost.processor_us_per_reconnect, "us");
        self.some("  per call", cost.processor_ms_per_call, "ms");
        self.some("  per call-second", cost.processor_ms_per_call_second, "ms");
        let memory = &cost.memory;
        self.line(
            "gateway: memory",
            format!(
                "{} KiB, {} registered, {} at the most, {} after, {} later",
                memory.before_kib, memory.registered_kib, memory.highest_kib, memory.after_kib, memory.later_kib
            ),
        );
        self.some("  per registration", memory.per_registration_kib, "KiB");
        self.some("  per call", memory.per_call_kib, "KiB");
    }

    fn generator(&mut self, of: &Generator) {
        self.line("generator: processor", format!("{} s, {} of a core", of.processor_s, of.cores));
        self.times("  packets sent late by", &of.send_lateness);
        if of.send_lateness.as_ref().is_some_and(|late| late.p99_ms > TOO_LATE_MS) {
            self.line("  note", "the generator could not keep time: the load was in bursts");
        }
    }
}

impl Report {
    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table(format!("{} in {} s\n", self.scenario, self.duration_s));
        if let Some(reason) = self.ended_early {
            table.line("ended early", reason);
        }
        table.registrations(&self.registrations);
        if self.calls.attempted > 0 {
            table.calls(&self.calls);
        }
        let ways = [("agent to carrier", &self.agent_to_carrier), ("carrier to agent", &self.carrier_to_agent)];
        for (name, way) in ways.into_iter().filter_map(|(name, way)| Some((name, way.as_ref()?))) {
            table.way(name, way);
        }
        table.steps(&self.steps);
        if self.faults.connections_lost > 0 {
            table.line("connections lost", self.faults.connections_lost);
        }
        if self.faults.messages_malformed > 0 {
            table.line("malformed messages", self.faults.messages_malformed);
        }
        if let Some(cost) = &self.gateway {
            table.gateway(cost);
        }
        table.generator(&self.generator);
        table.0
    }
}
