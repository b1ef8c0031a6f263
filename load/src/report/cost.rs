//! What the gateway's process used, and the generator's own.

use std::time::Duration;

use serde::Serialize;

use super::{Percentiles, Report};
use crate::process::Usage;

/// What the gateway's process used.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    /// Processor seconds in the run.
    pub(crate) processor_s: f64,
    /// Of one core, over the run.
    pub(crate) cores: f64,
    /// From the start until everybody was registered, connecting included.
    pub(crate) processor_us_per_register: Option<f64>,
    /// In the scenario, for each REGISTER over a connection that was open.
    pub(crate) processor_us_per_refresh: Option<f64>,
    /// In the scenario, for each connection that was opened anew and registered on.
    pub(crate) processor_us_per_reconnect: Option<f64>,
    /// In the scenario, for each call that was answered, whatever it lasted.
    pub(crate) processor_ms_per_call: Option<f64>,
    /// In the scenario, for each second of a call.
    pub(crate) processor_ms_per_call_second: Option<f64>,
    pub(crate) memory: Memory,
}

/// Memory that is the gateway's own and in RAM.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Memory {
    pub(crate) before_kib: u64,
    pub(crate) registered_kib: u64,
    pub(crate) highest_kib: u64,
    pub(crate) after_kib: u64,
    /// Some time after the scenario.
    pub(crate) later_kib: u64,
    pub(crate) per_registration_kib: Option<f64>,
    /// What each call took that ran at the same time.
    pub(crate) per_call_kib: Option<f64>,
}

/// What the generator itself did with its time.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Generator {
    pub(crate) processor_s: f64,
    /// Of one core, over the run.
    pub(crate) cores: f64,
    /// How late packets were sent.
    pub(crate) send_lateness: Option<Percentiles>,
}

/// The gateway's process at the moments that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) before: Usage,
    pub(crate) registered: Usage,
    pub(crate) highest: u64,
    pub(crate) after: Usage,
    pub(crate) later: Usage,
}

/// A share, to three places; nothing of nothing.
pub(super) fn per(what: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| (what / count * 1000.0).round() / 1000.0)
}

/// Processor seconds between two looks.
pub(super) fn spent(from: &Usage, to: &Usage) -> f64 {
    to.processor.saturating_sub(from.processor).as_secs_f64()
}

impl Cost {
    pub(super) fn of(report: &Report, took: Duration, moments: &Moments) -> Self {
        let Moments { before, registered, highest, after, later } = moments;
        let (registering, scenario) = (spent(before, registered), spent(registered, after));
        let all = registering + scenario;
        let registrations = &report.registrations;
        Self {
            processor_s: (all * 100.0).round() / 100.0,
            cores: (all / took.as_secs_f64() * 1000.0).round() / 1000.0,
            processor_us_per_register: per(registering * 1e6, registrations.registered as f64),
            processor_us_per_refresh: per(scenario * 1e6, registrations.refreshed as f64),
            processor_us_per_reconnect: per(scenario * 1e6, registrations.reconnected as f64),
            processor_ms_per_call: per(scenario * 1e3, report.calls.answered as f64),
            processor_ms_per_call_second: per(scenario * 1e3, report.calls.call_seconds),
            memory: Memory {
                before_kib: before.memory / 1024,
                registered_kib: registered.memory / 1024,
                highest_kib: highest / 1024,
                after_kib: after.memory / 1024,
                later_kib: later.memory / 1024,
                per_registration_kib: per(
                    registered.memory.saturating_sub(before.memory) as f64 / 1024.0,
                    registrations.registered as f64,
                ),
                per_call_kib: per(
                    highest.saturating_sub(registered.memory) as f64 / 1024.0,
                    report.calls.most_at_once as f64,
                ),
            },
        }
    }
}
