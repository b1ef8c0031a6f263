//! `[fraud]`: caution against calls that somebody else makes at your cost.

use serde::{Deserialize, Serialize};

/// Satellite and international networks, premium-rate services, and ranges that look like mobile ones and are not (+4470).
#[rustfmt::skip]
const HIGH_COST: &[&str] = &[
    "+1900", "+3090", "+31900", "+31906", "+31909", "+3290", "+33899", "+34803", "+34806", "+34807", "+34905",
    "+351760", "+351761", "+358600", "+358700", "+3690", "+370900", "+37190", "+372900", "+380900", "+39892",
    "+39899", "+4090", "+41900", "+41901", "+41906", "+42090", "+43900", "+43930", "+4470", "+449", "+4590",
    "+46900", "+47820", "+47829", "+4870", "+49137", "+49900", "+52900", "+55900", "+61190", "+64900", "+7809",
    "+81990", "+870", "+878", "+881", "+882", "+883", "+979",
];

/// `[fraud]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fraud {
    /// Whether any of it holds.
    pub enabled: bool,
    /// Beginnings of numbers that nobody may call, but agents whose `dial_policy.countries` names them.
    pub high_cost_prefixes: Vec<String>,
    /// Calls outside an agent may make within a minute; 0 = no limit.
    pub calls_per_minute: u32,
    /// Calls outside an agent may make a day (UTC), where its own policy says nothing; 0 = no limit.
    pub calls_per_day: u32,
    /// Calls outside an agent may have at once; 0 = no limit.
    pub simultaneous_calls: u32,
    /// Attempts of an agent to call outside within a minute of which more raise an alarm; 0 = never.
    pub burst_calls: u32,
}

impl Default for Fraud {
    fn default() -> Self {
        Self {
            enabled: true,
            high_cost_prefixes: HIGH_COST.iter().map(|&prefix| prefix.to_owned()).collect(),
            calls_per_minute: 20,
            calls_per_day: 500,
            simultaneous_calls: 10,
            burst_calls: 12,
        }
    }
}
