//! Makes domain types of JSON bodies: the edge where values become believed.

mod border;
mod dial_policy;
mod dialogs;
mod trunk;
mod trunk_auth;
mod trunk_tls;

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Problem;
use super::fields::Fields;
use crate::store::{Agent, CodecName, Document, Extension, Number, OnLimit, Target, TargetKind};

use dial_policy::dial_policy;
pub(crate) use trunk::trunk;
pub(crate) use trunk_auth::keep_secrets;

/// Entries of a list at most: gateways, networks.
const LIST_LIMIT: usize = 64;

/// Shortest secret an administrator may choose (for migrations); generated ones are longer.
const SECRET_MIN: usize = 12;

fn length(text: &str, most: usize) -> Option<String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control);
    (!fits).then(|| format!("expected 1 to {most} characters on one line"))
}

fn short(text: &str) -> Option<String> {
    length(text, 120)
}

fn email(text: &str) -> Option<String> {
    let parts = text.split_once('@');
    let fits = text.len() <= 254 && !text.contains(char::is_whitespace);
    let fits = fits && parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    (!fits).then(|| "expected an e-mail address".into())
}

fn e164(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let fits =
        (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    (!fits).then(|| "expected a number in E.164 form: + and 3 to 15 digits, such as +4930123456".into())
}

/// The user part of a SIP address that needs no escaping (RFC 3261 §25.1) and can be dialled or typed.
fn user(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (!fits).then(|| "expected 1 to 64 letters, digits, dots, dashes or underscores".into())
}

/// A number, or a name. A number is dialled without the signs people write between digits, which the dialplan takes out.
fn extension_number(text: &str) -> Option<String> {
    let is_separator = |byte: &u8| b"-.".contains(byte);
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || is_separator(&byte));
    if is_number && text.bytes().any(|byte| is_separator(&byte)) {
        return Some("expected a number without dashes and dots: nobody could dial it".into());
    }
    user(text)
}

fn host(text: &str) -> Option<String> {
    let fits = (1..=253).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    (!fits).then(|| "expected a host name".into())
}

fn secret(text: &str) -> Option<String> {
    let fits = (SECRET_MIN..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    (!fits).then(|| format!("expected {SECRET_MIN} to 128 characters"))
}

/// Digits as a telephone has them; more at once nobody dials.
fn keys(text: &str) -> Option<String> {
    let is_key = |byte: u8| matches!(byte, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd');
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(is_key);
    (!fits).then(|| "expected 1 to 32 of 0-9, *, # and A-D".into())
}

fn id(text: &str) -> Option<String> {
    let fits = text.len() <= 64 && text.contains('_') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (!fits).then(|| "expected an id, such as ext_01k…".into())
}

/// `sip:host[:port]`, without user, parameters or `sips:`.
fn gateway_uri(text: &str) -> Option<String> {
    let expected = || Some("expected sip:host or sip:host:port; for TLS set \"transport\" to \"tls\"".to_owned());
    let Some(rest) = text.strip_prefix("sip:") else { return expected() };
    if crate::store::numeric(rest, None).is_some() {
        return None;
    }
    let (name, port) = rest.rsplit_once(':').unwrap_or((rest, "5060"));
    let port_fits = port.parse::<u16>().is_ok_and(|port| port > 0);
    if port_fits && host(name).is_none() { None } else { expected() }
}

fn codecs(fields: &mut Fields, words: &str, allowed: &[CodecName], default: &[CodecName]) -> Document<Vec<CodecName>> {
    let read = fields.list("codecs", allowed.len(), |fields, place, value| {
        let known = serde_json::from_value(value).ok().filter(|codec| allowed.contains(codec));
        if known.is_none() {
            fields.refuse(place, format!("expected one of {words}"));
        }
        known
    });
    if read.as_ref().is_some_and(Vec::is_empty) {
        fields.refuse("codecs", "expected at least one codec");
    }
    let mut codecs = read.unwrap_or_else(|| default.to_vec());
    let mut seen = Vec::new();
    codecs.retain(|codec| {
        !seen.contains(codec) && {
            seen.push(*codec);
            true
        }
    });
    Document(codecs)
}

fn networks(fields: &mut Fields, name: &str) -> Vec<IpNet> {
    let read = fields.list(name, LIST_LIMIT, |fields, place, value| {
        let text = value.as_str().unwrap_or_default();
        let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).ok();
        if network.is_none() {
            fields.refuse(place, "expected a network or address, such as 203.0.113.0/24");
        }
        // Everything would be believed: a trunk is recognised by where it calls from.
        let everything = network.is_some_and(|network| network.prefix_len() == 0);
        if everything {
            fields.refuse(place, "expected a network smaller than the whole Internet");
        }
        network
    });
    read.unwrap_or_default()
}

/// What an agent dials: digits, and what stands between or before them.
fn dialled(text: &str) -> Option<String> {
    let fits =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-_.*#".contains(&b));
    (!fits).then(|| "expected 1 to 64 digits or letters, or +, -, _, ., *, #".into())
}

/// How a transfer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Without asking the target first.
    Blind,
    /// The target is asked first: in a consultation of this call, or, with a `call_id`, in another call of the agent's, which becomes one
    /// with this.
    Attended,
}

/// A transfer to be made.
pub(super) struct TransferDraft {
    pub(super) mode: Mode,
    pub(super) leg: Option<String>,
    pub(super) target: TransferTo,
}

/// To whom.
pub(super) enum TransferTo {
    Extension(String),
    Number(String),
    Call(String),
}

pub(super) fn transfer(body: Value) -> Result<TransferDraft, Problem> {
    let mut fields = Fields::of(body);
    let mode = fields.choice("mode", "blind, attended", Mode::Blind);
    let leg = fields.text("leg_id", id);
    let (expected, names): (_, &[&str]) = match mode {
        Mode::Blind => ("expected an extension_id or a number", &["extension_id", "number"]),
        Mode::Attended => ("expected an extension_id, a number or a call_id", &["extension_id", "number", "call_id"]),
    };
    let target = fields.optional_object("target", |target| {
        if names.iter().filter(|name| target.has(name)).count() != 1 {
            target.refuse_all(expected);
        }
        let extension = target.text("extension_id", id).map(TransferTo::Extension);
        let one_of_two = extension.or(target.text("number", dialled).map(TransferTo::Number));
        match mode {
            Mode::Blind => one_of_two,
            Mode::Attended => one_of_two.or(target.text("call_id", id).map(TransferTo::Call)),
        }
    });
    if target.is_none() {
        fields.refuse("target", "is required");
    }
    let target = target.flatten().unwrap_or(TransferTo::Number(String::new()));
    fields.finish(TransferDraft { mode, leg, target })
}

/// Somebody who is to join a call.
pub(super) struct ParticipantDraft {
    pub(super) leg: Option<String>,
    pub(super) target: TransferTo,
}

pub(super) fn participant(body: Value) -> Result<ParticipantDraft, Problem> {
    let mut fields = Fields::of(body);
    let leg = fields.text("leg_id", id);
    let target = fields.optional_object("target", |target| {
        if ["extension_id", "number", "call_id"].iter().filter(|name| target.has(name)).count() != 1 {
            target.refuse_all("expected an extension_id, a number or a call_id");
        }
        let extension = target.text("extension_id", id).map(TransferTo::Extension);
        let number = target.text("number", dialled).map(TransferTo::Number);
        extension.or(number).or(target.text("call_id", id).map(TransferTo::Call))
    });
    if target.is_none() {
        fields.refuse("target", "is required");
    }
    let target = target.flatten().unwrap_or(TransferTo::Number(String::new()));
    fields.finish(ParticipantDraft { leg, target })
}

/// The leg a hold is about, when one is named.
pub(super) fn named_leg(body: Value) -> Result<Option<String>, Problem> {
    let mut fields = Fields::of(body);
    let leg = fields.text("leg_id", id);
    fields.finish(leg)
}

pub(crate) fn agent(body: Value) -> Result<Agent, Problem> {
    let mut fields = Fields::of(body);
    let agent = Agent {
        external_id: fields.text("external_id", short),
        display_name: fields.required_text("display_name", short),
        email: fields.text("email", email),
        enabled: fields.boolean("enabled", true),
        caller_id_number: fields.text("caller_id_number", e164),
        allowed_caller_ids: Document(caller_ids(&mut fields)),
        dial_policy: Document(fields.object("dial_policy", dial_policy)),
        max_cps: fields.integer("max_cps", 0..=1000, 0),
        max_concurrent_calls: fields.integer("max_concurrent_calls", 0..=1000, 0),
        metadata: match fields.take("metadata") {
            None => Document::default(),
            Some(Value::Object(map)) => Document(map),
            Some(_) => {
                fields.refuse("metadata", "expected an object");
                Document::default()
            }
        },
    };
    fields.finish(agent)
}

/// Numbers an agent may show. Whoever may write agents vouches for them: they need not be numbers of ours, as carriers let others be verified.
fn caller_ids(fields: &mut Fields) -> Vec<String> {
    let read = fields.list("allowed_caller_ids", LIST_LIMIT, |fields, place, value| {
        let text = value.as_str().unwrap_or_default();
        let fault = e164(text);
        let fits = fault.is_none().then(|| text.to_owned());
        fault.into_iter().for_each(|fault| fields.refuse(place, fault));
        fits
    });
    read.unwrap_or_default()
}

pub(crate) fn extension(body: Value) -> Result<Extension, Problem> {
    let mut fields = Fields::of(body);
    let all = [CodecName::Opus, CodecName::Pcmu, CodecName::Pcma];
    let extension = Extension {
        number: fields.required_text("number", extension_number),
        agent_id: fields.text("agent_id", id),
        ring_timeout_s: fields.integer("ring_timeout_s", 1..=600, 30),
        max_contacts: fields.integer("max_contacts", 1..=20, 5),
        on_limit: fields.choice("on_limit", "replace_oldest, reject", OnLimit::ReplaceOldest),
        codecs: codecs(&mut fields, "opus, pcmu, pcma", &all, &all),
    };
    fields.finish(extension)
}

/// What a credential is made of.
pub(super) struct CredentialDraft {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) tag: Option<String>,
}

pub(super) fn credential(body: Value) -> Result<CredentialDraft, Problem> {
    let mut fields = Fields::of(body);
    let draft = CredentialDraft {
        username: fields.text("username", user),
        password: fields.text("password", secret),
        tag: fields.text("tag", short),
    };
    fields.finish(draft)
}

/// What a credential is for.
pub(super) fn credential_tag(body: Value) -> Result<Option<String>, Problem> {
    let mut fields = Fields::of(body);
    let tag = fields.text("tag", short);
    fields.finish(tag)
}

/// The new secret of a credential, when the administrator chose one.
pub(super) fn rotation(body: Value) -> Result<Option<String>, Problem> {
    let mut fields = Fields::of(body);
    let password = fields.text("password", secret);
    fields.finish(password)
}

pub(super) fn number(body: Value) -> Result<Number, Problem> {
    let mut fields = Fields::of(body);
    let number = Number {
        e164: fields.required_text("e164", e164),
        trunk_id: fields.required_text("trunk_id", id),
        target: fields.optional_object("target", |target| {
            let _extension: TargetKind = target.required_choice("type", "extension", TargetKind::Extension);
            Target(target.required_text("id", id))
        }),
        label: fields.text("label", short),
    };
    fields.finish(number)
}

/// Digits to be sent: to which leg, which, and how long each.
pub(super) struct Digits {
    pub(super) leg: Option<String>,
    pub(super) digits: String,
    pub(super) duration: Duration,
}

pub(super) fn digits(body: Value) -> Result<Digits, Problem> {
    let mut fields = Fields::of(body);
    let ms = |number: i64| Duration::from_millis(u64::try_from(number).unwrap_or_default());
    let digits = Digits {
        leg: fields.text("leg_id", id),
        digits: fields.required_text("digits", keys).to_ascii_uppercase(),
        duration: ms(fields.integer("duration_ms", 40..=3000, 160)),
    };
    fields.finish(digits)
}

/// Name and scopes of an API key.
pub(super) fn api_key(body: Value) -> Result<(String, Vec<String>), Problem> {
    let mut fields = Fields::of(body);
    let name = fields.required_text("name", short);
    let scopes = fields.list("scopes", super::SCOPES.len(), |fields, place, value| {
        let scope = value.as_str().filter(|scope| super::SCOPES.contains(scope)).map(str::to_owned);
        if scope.is_none() {
            fields.refuse(place, format!("expected one of {}", super::SCOPES.join(", ")));
        }
        scope
    });
    if scopes.as_ref().is_none_or(Vec::is_empty) {
        fields.refuse("scopes", "expected at least one scope");
    }
    fields.finish((name, scopes.unwrap_or_default()))
}
