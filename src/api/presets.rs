//! `GET /v1/trunk-presets`, and `preset` in `POST /v1/trunks`: what carriers write about their trunks, so that nobody has to look it up. A preset
//! fills the fields that a request does not have; what is stored are the fields, not the preset.

use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::problem::Refusals;
use super::request::patched;
use super::{FieldError, Problem};
use crate::store::Trunk;

/// A carrier's settings.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Preset {
    /// What `preset` names.
    name: &'static str,
    /// For whom it is, and what is to be set there.
    description: &'static str,
    /// The fields of a trunk that it fills.
    #[schema(value_type = Object)]
    settings: Value,
    /// The fields that only you know.
    required: Vec<Required>,
}

/// A field that a preset leaves to be filled.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Required {
    /// JSON pointer (RFC 6901) into the trunk.
    pointer: &'static str,
    /// What is expected there.
    detail: &'static str,
}

/// A trunk to be made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewTrunk {
    /// Fills the fields that are not given: the name of one in `GET /v1/trunk-presets`.
    preset: Option<String>,
    /// The trunk's own fields.
    #[serde(flatten)]
    trunk: Trunk,
}

/// Every preset there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Presets {
    /// In no order that matters.
    data: Vec<Preset>,
}

fn presets() -> Vec<Preset> {
    let required = |pointer, detail| Required { pointer, detail };
    vec![
        Preset {
            name: "twilio",
            description: "Twilio Elastic SIP Trunking, recognised by IP address. There: a termination URI, the gateway's public address in an \
                          IP access control list, sip:<public address>:5060 as origination URI, a number. Compare the \
                          networks with Twilio's list of IP addresses before use. With secure trunking switched on \
                          there: transport tls and media_encryption required.",
            // Signalling: not checked against Twilio's own list, which counts and is to be compared before use. Media: "SIP Interface over
            // Twilio Interconnect".
            settings: json!({
                "inbound": {"cidrs": [
                    "54.172.60.0/30", "54.244.51.0/30", "54.171.127.192/30", "35.156.191.128/30", "54.65.63.192/30",
                    "54.169.127.128/30", "54.252.254.64/30", "177.71.206.192/30"
                ]},
                "media_cidrs": ["168.86.128.0/18"],
                "codecs": ["pcmu"],
                "caller_id": {"format": "e164"},
                "dtmf": "rfc4733"
            }),
            required: vec![
                required("/gateways/0/uri", "the termination URI, such as sip:example.pstn.twilio.com"),
                required("/caller_id/fallback", "a number of yours at Twilio, shown when an agent has none of its own"),
            ],
        },
        Preset {
            name: "telnyx",
            description: "A credential connection of Telnyx in the US region, which the gateway registers at. There: a SIP connection with \
                          credentials, an outbound voice profile and a number assigned to it. In another region: its host and its two \
                          addresses instead.",
            // "Failover and retries: signaling IP addresses" (developers.telnyx.com) and "Getting started" (sip.telnyx.com).
            settings: json!({
                "gateways": [{"uri": "sip:sip.telnyx.com", "transport": "udp"}],
                "inbound": {"cidrs": ["192.76.120.10/32", "64.16.250.10/32"]},
                "auth": {"realm": "sip.telnyx.com"},
                "register": {"enabled": true, "expires_s": 600},
                "codecs": ["pcmu", "pcma"],
                "caller_id": {"format": "e164"},
                "dtmf": "rfc4733"
            }),
            required: vec![
                required("/auth/username", "the connection's user name"),
                required("/auth/password", "the connection's password"),
            ],
        },
        Preset {
            name: "generic-register",
            description: "A carrier that gives you a user name and a password, and is told by REGISTER where you are.",
            settings: json!({"register": {"enabled": true, "expires_s": 600}}),
            required: vec![
                required("/gateways/0/uri", "the registrar, such as sip:sip.carrier.example"),
                required("/auth/username", "the user name that the carrier gave you"),
                required("/auth/password", "the password that the carrier gave you"),
            ],
        },
        Preset {
            name: "generic-ip",
            description: "A carrier that knows you by your public address and you by its.",
            settings: json!({"register": {"enabled": false}}),
            required: vec![
                required("/gateways/0/uri", "where calls go, such as sip:sip.carrier.example"),
                required("/inbound/cidrs/0", "the networks the carrier calls from, such as 203.0.113.0/24"),
            ],
        },
    ]
}

/// Shows the presets: the settings each fills, and the fields that only you know.
#[utoipa::path(get, path = "/trunk-presets", tag = "trunks", operation_id = "list_trunk_presets",
    security(("api_key" = ["trunks:read"])), responses((status = 200, description = "Every preset", body = Presets), Refusals))]
pub(super) async fn list() -> Json<Presets> {
    Json(Presets { data: presets() })
}

/// A trunk with what its preset fills in; without one as it is.
///
/// # Errors
/// When there is no such preset, or a field is missing that it requires.
pub(super) fn filled(mut body: Value) -> Result<Value, Problem> {
    let Some(named) = body.as_object_mut().and_then(|fields| fields.remove("preset")) else { return Ok(body) };
    let at_fault = |pointer: &str, detail: String| FieldError { pointer: pointer.to_owned(), detail };
    let Some(preset) = presets().into_iter().find(|preset| named == preset.name) else {
        let known: Vec<&str> = presets().iter().map(|preset| preset.name).collect();
        return Err(Problem::invalid(vec![at_fault("/preset", format!("expected one of {}", known.join(", ")))]));
    };
    // So is a stored trunk that is to be changed.
    if ["enabled", "codecs", "dtmf", "media_cidrs", "max_channels"].iter().all(|name| body.get(name).is_some()) {
        let detail =
            "a preset fills the fields of a new trunk that are not given: change them by their names".to_owned();
        return Err(Problem::invalid(vec![at_fault("/preset", detail)]));
    }
    let filled = patched(&preset.settings, body);
    let missing = preset.required.iter().filter(|field| filled.pointer(field.pointer).is_none_or(Value::is_null));
    let missing: Vec<FieldError> = missing
        .map(|field| at_fault(field.pointer, format!("needed by the preset {}: {}", preset.name, field.detail)))
        .collect();
    if missing.is_empty() { Ok(filled) } else { Err(Problem::invalid(missing)) }
}
