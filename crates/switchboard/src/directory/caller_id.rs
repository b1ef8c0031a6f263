//! How calls present themselves to a trunk.

/// The number an outbound call shows, and where it stands.
#[derive(Debug, Clone, Default)]
pub struct CallerId {
    /// The header that carries the number.
    pub header: CallerIdHeader,
    /// Used when the agent has no `caller_id_number` (E.164).
    pub fallback: Option<String>,
    /// The user part of From where another header carries the number; the fallback, else the number itself, when `None`.
    pub user: Option<String>,
    /// The host of From; the gateway's own advertised name when `None`.
    pub domain: Option<String>,
    /// How numbers are written in From and the request URI.
    pub format: NumberFormat,
    /// Whether calls that are forwarded from a trunk show their caller's number rather than ours.
    pub pass_through: bool,
}

/// Which header a trunk reads the presented number from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallerIdHeader {
    /// From.
    #[default]
    From,
    /// P-Asserted-Identity (RFC 3325).
    Asserted,
    /// Remote-Party-ID, which never became an RFC.
    RemoteParty,
}

/// How a trunk wants numbers written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberFormat {
    /// `+4930123456`
    #[default]
    E164,
    /// `4930123456`
    E164WithoutPlus,
}
