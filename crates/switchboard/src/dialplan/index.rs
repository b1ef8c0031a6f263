//! Finds the rules that may match without trying all: by the characters a number must start with.

use std::collections::HashMap;

use super::NumberMatch;

/// How many leading characters are looked at: enough to tell area codes apart.
const KEY_LENGTH: usize = 8;

/// Rules by the literal start of what they take.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Literal starts of patterns for the dialled number and for its E.164 form; the latter start with `+`.
    by_start: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn add(&mut self, rule: usize, number: &NumberMatch) {
        let mut start = match number {
            NumberMatch::Any => String::new(),
            NumberMatch::Dialled(pattern) | NumberMatch::E164(pattern) => pattern.literal_prefix(),
        };
        // Patterns are ASCII, so this is a character boundary.
        start.truncate(KEY_LENGTH);
        self.by_start.entry(start).or_default().push(rule);
    }

    /// The rules that may match, in their order.
    pub(super) fn candidates(&self, dialled: &str, e164: Option<&str>) -> Vec<usize> {
        let mut found = Vec::new();
        for number in [Some(dialled), e164].into_iter().flatten() {
            for length in 0..=KEY_LENGTH.min(number.len()) {
                if let Some(rules) = number.get(..length).and_then(|start| self.by_start.get(start)) {
                    found.extend_from_slice(rules);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
