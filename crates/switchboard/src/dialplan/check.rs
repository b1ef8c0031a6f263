//! What can only be said of all rules together: names used twice, rules that can never be reached.

use std::collections::HashMap;

use super::read::PlacedRule;
use super::{DialplanError, NumberMatch, Origin, Rule};

pub(super) fn contexts(rules: &[PlacedRule], errors: &mut Vec<DialplanError>) {
    let mut names: HashMap<(Origin, &str), &PlacedRule> = HashMap::new();
    let mut catch_alls: HashMap<Origin, &PlacedRule> = HashMap::new();
    for placed in rules {
        let (context, name) = (placed.origin, placed.rule.name.as_str());
        let mut error = |message| {
            errors.push(DialplanError { file: placed.file.clone(), line: placed.line, column: None, message });
        };
        if let Some(first) = names.get(&(context, name)) {
            error(format!("the name `{name}` is taken by the rule at {}:{}", first.file, first.line));
        } else {
            names.insert((context, name), placed);
        }
        if let Some(all) = catch_alls.get(&context) {
            let at = format!("`{}` at {}:{}", all.rule.name, all.file, all.line);
            error(format!("the rule `{name}` can never be reached: {at} matches every call before it"));
        } else if placed.rule.matches_everything() {
            catch_alls.insert(context, placed);
        }
    }
}

impl Rule {
    fn matches_everything(&self) -> bool {
        let any_number = match &self.number {
            NumberMatch::Any => true,
            NumberMatch::Dialled(pattern) => pattern.takes_everything(),
            NumberMatch::E164(_) => false,
        };
        any_number && self.caller.is_none() && self.trunks.is_none() && !self.extension_exists
    }
}
