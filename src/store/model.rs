//! What the database holds, as the API shows it. Validation happens at the API's edge; these are values already believed.

mod caller_id;
mod dialogs;
mod encryption;
mod trunk;
mod trunk_auth;
mod trunk_tls;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

pub use caller_id::{CallerId, CallerIdFormat, CallerIdHeader, HeaderRule, RuleAction, RuleDirection};
pub use dialogs::{Prack, SessionTimer, TrunkDialogs};
pub use encryption::MediaEncryption;
pub use trunk::{DtmfMode, Gateway, GatewayTransport, Inbound, PacketMillis, PingInterval, Trunk, TrunkSettings};
pub use trunk_auth::{InboundAuth, Password, Register, Secret, TrunkAuth, TrunkSecrets};
pub use trunk_tls::{ClientKey, KeptKey, TrunkTls};

/// A time as stored: milliseconds since 1970; shown as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type, ToSchema)]
#[sqlx(transparent)]
#[schema(value_type = String, format = DateTime, examples("2026-11-21T09:30:00Z"))]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time now.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&time.format(&Rfc3339).map_err(serde::ser::Error::custom)?)
    }
}

/// A resource with what every resource has.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Stored<T> {
    /// Its id.
    pub id: String,
    /// Counts its changes; the `ETag`.
    #[serde(skip)]
    pub version: i64,
    /// When it was made.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[schema(inline)]
    pub updated_at: Timestamp,
    /// What it is.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub value: T,
}

impl<T> Stored<T> {
    /// A resource just made.
    pub(super) fn new(prefix: &str, value: T) -> Self {
        let now = Timestamp::now();
        Self { id: crate::identifier::new_id(prefix), version: 1, created_at: now, updated_at: now, value }
    }
}

/// A value kept as JSON in a TEXT column.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Document<T>(pub T);

impl<T: DeserializeOwned> TryFrom<String> for Document<T> {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        serde_json::from_str(&text).map(Self)
    }
}

impl<T: Serialize> Document<T> {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| "null".into())
    }
}

/// A person who phones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, sqlx::FromRow, ToSchema)]
pub struct Agent {
    /// Your own key for the agent; unique.
    pub external_id: Option<String>,
    /// Shown to people the agent calls inside the company.
    pub display_name: String,
    /// An e-mail address, for your own use.
    pub email: Option<String>,
    /// A disabled agent can neither register nor call.
    pub enabled: bool,
    /// Shown to the public network (E.164).
    pub caller_id_number: Option<String>,
    /// What the agent may choose to show instead, call by call, by P-Preferred-Identity (E.164).
    #[sqlx(try_from = "String")]
    #[schema(value_type = Vec<String>)]
    pub allowed_caller_ids: Document<Vec<String>>,
    /// Where it may call outside.
    #[sqlx(try_from = "String")]
    #[schema(value_type = DialPolicy)]
    pub dial_policy: Document<DialPolicy>,
    /// Calls it may make a second; 0 = no limit.
    pub max_cps: i64,
    /// Calls at once that reach the agent or that it makes; 0 = no limit. An agent who holds all its calls can make one more, to ask somebody
    /// about them: nobody can call it meanwhile.
    pub max_concurrent_calls: i64,
    /// Anything of yours.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Object)]
    pub metadata: Document<serde_json::Map<String, serde_json::Value>>,
}

/// What an agent may call outside, beside what `[fraud]` of the configuration refuses everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DialPolicy {
    /// Countries by ISO 3166 code, or beginnings of numbers; empty = any. A costly range is allowed by its own beginning only.
    #[schema(examples(json!(["DE", "AT", "+1204"])))]
    pub countries: Vec<String>,
    /// Beginnings of numbers that are refused, with `+`, or as they are sent to the trunk.
    #[schema(examples(json!(["+49180"])))]
    pub blocked_prefixes: Vec<String>,
    /// Calls outside a day (UTC); 0 = no limit, `null` = `fraud.calls_per_day`.
    pub max_per_day: Option<u32>,
}

/// An address an agent registers.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Extension {
    /// The user part of the SIP address, and what others dial; unique. A number is written without dashes and dots.
    pub number: String,
    /// Whose it is.
    pub agent_id: Option<String>,
    /// How long it rings before "no answer", in seconds.
    pub ring_timeout_s: i64,
    /// How many browsers may be registered at once.
    pub max_contacts: i64,
    /// What happens to one browser too many.
    #[sqlx(try_from = "String")]
    #[schema(inline)]
    pub on_limit: OnLimit,
    /// Codecs offered to its browsers, best first.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Vec<CodecName>)]
    pub codecs: Document<Vec<CodecName>>,
}

/// What a REGISTER beyond `max_contacts` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// The registration refreshed longest ago goes.
    ReplaceOldest,
    /// The new one is refused.
    Reject,
}

impl OnLimit {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::ReplaceOldest => "replace_oldest",
            Self::Reject => "reject",
        }
    }
}

impl TryFrom<String> for OnLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "replace_oldest" => Ok(Self::ReplaceOldest),
            "reject" => Ok(Self::Reject),
            other => Err(format!("unknown on_limit {other:?}")),
        }
    }
}

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodecName {
    /// Opus (RFC 7587).
    Opus,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722: 7 kHz of sound.
    G722,
}

impl From<CodecName> for media::Codec {
    fn from(name: CodecName) -> Self {
        match name {
            CodecName::Opus => Self::Opus,
            CodecName::Pcmu => Self::Pcmu,
            CodecName::Pcma => Self::Pcma,
            CodecName::G722 => Self::G722,
        }
    }
}

impl From<media::Codec> for CodecName {
    fn from(codec: media::Codec) -> Self {
        match codec {
            media::Codec::Opus => Self::Opus,
            media::Codec::Pcmu => Self::Pcmu,
            media::Codec::Pcma => Self::Pcma,
            media::Codec::G722 => Self::G722,
        }
    }
}

/// A username for an extension; the secret is not known, only its digests.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Credential {
    /// The extension it registers as.
    pub extension_id: String,
    /// The digest username; unique.
    pub username: String,
    /// What it is for.
    pub tag: Option<String>,
}

/// A number of ours at a trunk.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Number {
    /// `+` and digits; unique.
    pub e164: String,
    /// The trunk it comes over.
    pub trunk_id: String,
    /// What it rings; `null` leaves it to the dialplan.
    #[sqlx(rename = "extension_id")]
    #[schema(value_type = Option<TargetShape>)]
    pub target: Option<Target>,
    /// What it is for.
    pub label: Option<String>,
}

/// What a number rings: `{"type": "extension", "id": "ext_…"}`. The id alone is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Target(pub String);

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut target = serializer.serialize_struct("Target", 2)?;
        target.serialize_field("type", "extension")?;
        target.serialize_field("id", &self.0)?;
        target.end()
    }
}

/// How a [`Target`] is written.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Target)]
pub struct TargetShape {
    /// What kind of target.
    #[serde(rename = "type")]
    pub kind: TargetKind,
    /// The extension, `ext_…`.
    pub id: String,
}

/// What a number can ring.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// An extension.
    Extension,
}
