//! How a trunk may be presented to and believed.

use serde_json::Value;

use super::{e164, host};
use crate::api::fields::Fields;
use crate::store::{CallerId, CallerIdFormat, CallerIdHeader, HeaderRule, RuleAction, RuleDirection};

/// Header rules of a trunk, and headers it passes to phones, at most: each is looked at for every call.
const RULES: usize = 32;
const PASSED: usize = 16;

pub(super) fn caller_id(fields: &mut Fields) -> CallerId {
    let caller_id = CallerId {
        header: fields.choice("header", "from, pai, rpid", CallerIdHeader::From),
        fallback: fields.text("fallback", e164),
        user: fields.text("user", sip_user),
        domain: fields.text("domain", host),
        format: fields.choice("format", "e164, e164_without_plus", CallerIdFormat::E164),
        pass_through: fields.boolean("pass_through", false),
    };
    if caller_id.user.is_some() && caller_id.header == CallerIdHeader::From {
        fields.refuse("user", "stands in From only where header is pai or rpid: with from, From carries the number");
    }
    caller_id
}

pub(super) fn header_rules(fields: &mut Fields) -> Vec<HeaderRule> {
    fields.objects("header_rules", RULES, header_rule)
}

fn header_rule(fields: &mut Fields) -> HeaderRule {
    let words = "add, set, remove, rename";
    let action = fields.required_choice("action", words, RuleAction::Remove);
    let name = fields.required_text("name", changeable);
    let (value, to) = match action {
        RuleAction::Add | RuleAction::Set => (Some(fields.required_text("value", header_value)), None),
        RuleAction::Rename => (None, Some(fields.required_text("to", changeable))),
        RuleAction::Remove => (None, None),
    };
    // A signature that was touched is none (RFC 8224 §4).
    let signed = |name: &str| name.eq_ignore_ascii_case("Identity") || name.eq_ignore_ascii_case("Date");
    if signed(&name) && action != RuleAction::Remove {
        fields.refuse("name", "can be removed, but neither made nor changed");
    }
    if to.as_deref().is_some_and(signed) {
        fields.refuse("to", "cannot be made by a rule");
    }
    let direction = fields.required_choice("direction", "inbound, outbound", RuleDirection::Inbound);
    HeaderRule { direction, action, name, value, to }
}

pub(super) fn pass_headers(fields: &mut Fields) -> Vec<String> {
    let read = fields.list("pass_headers", PASSED, |fields, place, value| match value {
        Value::String(name) if token(&name) && switchboard::may_pass_header(&name) => Some(name),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            fields.refuse(place, "expected X-…, User-to-User, Diversion, History-Info, Subject or Priority");
            None
        }
    });
    read.unwrap_or_default()
}

fn token(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

fn changeable(text: &str) -> Option<String> {
    if !token(text) {
        return Some("expected the long name of a header, such as X-Campaign".into());
    }
    let fits = switchboard::may_change_header(text);
    (!fits).then(|| {
        "carries the call itself: no rule may touch it; other headers are written with their long names".into()
    })
}

fn header_value(text: &str) -> Option<String> {
    let fits = (1..=256).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control);
    (!fits).then(|| "expected 1 to 256 bytes on one line, without spaces around them".into())
}

/// As a carrier gives it out: also `+4930…` or `user_1`.
fn sip_user(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,".contains(&b));
    (!fits).then(|| "expected 1 to 64 characters as they stand before the @ of a SIP address".into())
}
