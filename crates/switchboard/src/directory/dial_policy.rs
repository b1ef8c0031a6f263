//! Where an agent may call.

/// What an agent may call outside, beside what holds for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialPolicy {
    /// Countries by ISO 3166 code (`DE`) or beginnings of numbers (`+44`, `+1204`); none = any. A range that is refused for its cost is
    /// allowed by its own beginning only.
    pub countries: Vec<String>,
    /// Beginnings of numbers that are refused, in E.164 or as they are sent to the trunk.
    pub blocked_prefixes: Vec<String>,
    /// Calls outside a day (UTC): 0 = any number, `None` = what holds for everybody.
    pub max_per_day: Option<u32>,
}
