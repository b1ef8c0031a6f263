//! Where an agent may call.

use serde_json::Value;

use crate::api::fields::Fields;
use crate::store::DialPolicy;

/// Entries of a list at most: there are fewer countries.
const MOST: usize = 300;

pub(super) fn dial_policy(fields: &mut Fields) -> DialPolicy {
    let is_country = |text: &str| switchboard::is_country(text) || is_prefix(text, true);
    let country = "expected a country by its ISO 3166 code, such as DE, or the beginning of numbers, such as +44";
    let prefix = "expected the beginning of numbers: + and digits, or digits alone";
    DialPolicy {
        countries: texts(fields, "countries", is_country, country),
        blocked_prefixes: texts(fields, "blocked_prefixes", |text| is_prefix(text, false), prefix),
        max_per_day: match fields.has("max_per_day") {
            true => u32::try_from(fields.integer("max_per_day", 0..=1_000_000, 0)).ok(),
            false => {
                fields.take("max_per_day");
                None
            }
        },
    }
}

fn texts(fields: &mut Fields, name: &str, fits: impl Fn(&str) -> bool, expected: &str) -> Vec<String> {
    let read = fields.list(name, MOST, |fields, place, value| match value {
        Value::String(text) if fits(&text) => Some(text),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            fields.refuse(place, expected);
            None
        }
    });
    read.unwrap_or_default()
}

fn is_prefix(text: &str, is_international: bool) -> bool {
    let digits = text.strip_prefix('+');
    let fits = |digits: &str| (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.or((!is_international).then_some(text)).is_some_and(fits)
}
