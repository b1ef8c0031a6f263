//! A step of a ramp: so many calls at once for a while, and what that took.

use std::time::Duration;

use serde::Serialize;

use super::Percentiles;
use super::cost::{per, spent};
use crate::media::{Heard, Survey};
use crate::process::Usage;

/// One step's figures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) calls: u64,
    pub(crate) duration_s: f64,
    /// Of the gateway, of one core.
    pub(crate) gateway_cores: Option<f64>,
    pub(crate) gateway_processor_ms_per_call_second: Option<f64>,
    pub(crate) gateway_memory_kib: Option<u64>,
    /// Of the generator, of one core.
    pub(crate) generator_cores: f64,
    pub(crate) send_lateness: Option<Percentiles>,
    pub(crate) agent_to_carrier: StepWay,
    pub(crate) carrier_to_agent: StepWay,
}

/// One direction of a step.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepWay {
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) packets_lost: u64,
    pub(crate) added_latency: Option<Percentiles>,
}

/// A look at everything at one time.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) gateway: Option<Usage>,
    pub(crate) generator: Usage,
    pub(crate) survey: Survey,
}

impl Step {
    /// The difference of two looks.
    pub(crate) fn between(calls: u64, took: Duration, from: &Look, to: Look) -> Self {
        let seconds = took.as_secs_f64();
        let gateway = from.gateway.zip(to.gateway).map(|(from, to)| spent(&from, &to));
        let [from_agents, from_carriers] = &from.survey.counted;
        let [agents, carriers] = &to.survey.counted;
        let [to_agents, to_carriers] = to.survey.added;
        let way = |sent: (&Heard, &Heard), received: (&Heard, &Heard), added| StepWay {
            packets_sent: sent.1.sent - sent.0.sent,
            packets_received: received.1.received - received.0.received,
            packets_lost: received.1.lost.saturating_sub(received.0.lost),
            added_latency: Percentiles::of(added),
        };
        Self {
            calls,
            duration_s: (seconds * 100.0).round() / 100.0,
            gateway_cores: gateway.and_then(|spent| per(spent, seconds)),
            gateway_processor_ms_per_call_second: gateway.and_then(|spent| per(spent * 1e3, seconds * calls as f64)),
            gateway_memory_kib: to.gateway.map(|usage| usage.memory / 1024),
            generator_cores: per(spent(&from.generator, &to.generator), seconds).unwrap_or_default(),
            send_lateness: Percentiles::of_histogram(&to.survey.lateness),
            agent_to_carrier: way((from_agents, agents), (from_carriers, carriers), to_carriers),
            carrier_to_agent: way((from_carriers, carriers), (from_agents, agents), to_agents),
        }
    }
}
