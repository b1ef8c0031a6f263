//! How calls present themselves to a trunk, and how its own callers are believed, as the database holds it and the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How outbound calls present themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CallerId {
    /// The header that carries the number.
    pub header: CallerIdHeader,
    /// Used when the agent has no number of its own (E.164).
    pub fallback: Option<String>,
    /// The user part of From where another header carries the number, such as the user the carrier knows you by; the fallback when absent.
    pub user: Option<String>,
    /// The host in From; the gateway's own when absent.
    pub domain: Option<String>,
    /// How numbers are written.
    pub format: CallerIdFormat,
    /// Whether a call that comes from a trunk and is led on to this one shows its caller's number rather than one of yours.
    pub pass_through: bool,
}

/// Which header carries the number a call presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallerIdHeader {
    /// From.
    #[default]
    From,
    /// P-Asserted-Identity (RFC 3325).
    Pai,
    /// Remote-Party-ID.
    Rpid,
}

/// How a trunk wants numbers written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerIdFormat {
    /// `+4930123456`
    #[default]
    E164,
    /// `4930123456`
    E164WithoutPlus,
}

/// A change of the headers of every INVITE that begins a call, from the trunk or to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderRule {
    /// Whose INVITEs.
    pub direction: RuleDirection,
    /// What is done.
    pub action: RuleAction,
    /// The header, by its long name. Headers that carry the call itself cannot be touched.
    #[schema(examples("X-Campaign"))]
    pub name: String,
    /// For `add` and `set`: its value, word for word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// For `rename`: its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Which INVITEs a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleDirection {
    /// Those that come from the trunk.
    Inbound,
    /// Those that leave for it.
    Outbound,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// One more header.
    Add,
    /// This value in place of all others.
    Set,
    /// None of them.
    Remove,
    /// All of them under another name.
    Rename,
}
