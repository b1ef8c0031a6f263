//! The directory: an immutable snapshot of agents, extensions, credentials, trunks and numbers. Made by the store after each
//! change and handed over whole, so that no call ever waits for a database. Knows nothing of SQL.

mod border;
mod caller_id;
mod dial_policy;
mod tls;
mod trunk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use media::Codec;
use sip::Ha1;

pub use border::*;
pub use caller_id::*;
pub use dial_policy::*;
pub use tls::{TlsClient, TlsPeer, TlsSettings};
pub use trunk::*;

/// Everything the switchboard may look up. Keys are ids with their prefixes (`agt_`, `ext_`, `crd_`, `trk_`, `num_`).
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The SIP domain and digest realm of the agents, e.g. `phone.example.com`.
    pub realm: String,
    /// Agents by id.
    pub agents: HashMap<String, Agent>,
    /// Extensions by number (the user part of the AOR).
    pub extensions: HashMap<String, Extension>,
    /// Credentials by username.
    pub credentials: HashMap<String, Credential>,
    /// Trunks by id.
    pub trunks: HashMap<String, Trunk>,
    /// Numbers by E.164 (`+` and digits).
    pub numbers: HashMap<String, Number>,
    /// What the trunks' connections inside TLS are opened with, by what their hops call it.
    pub tls: HashMap<sip::TlsId, Arc<TlsPeer>>,
}

impl Directory {
    /// Whether an extension exists and is unowned or an enabled agent's.
    #[must_use]
    pub fn may_use(&self, extension: &str) -> bool {
        self.extensions.get(extension).is_some_and(|extension| match &extension.agent_id {
            Some(id) => self.agents.get(id).is_some_and(|agent| agent.enabled),
            None => true,
        })
    }
}

/// A person who phones.
#[derive(Debug, Clone)]
pub struct Agent {
    /// `agt_…`
    pub id: String,
    /// Shown to people the agent calls inside the company.
    pub display_name: String,
    /// A disabled agent cannot register or call.
    pub enabled: bool,
    /// Presented to the PSTN (E.164), when set.
    pub caller_id_number: Option<String>,
    /// What it may choose to present instead (E.164).
    pub allowed_caller_ids: Vec<String>,
    /// Where it may call.
    pub dial_policy: DialPolicy,
    /// Calls it may make a second, 0 = no limit.
    pub max_cps: u32,
    /// Calls at once, 0 = no limit of its own. While it holds all of them it can make one more.
    pub max_concurrent_calls: u32,
}

/// An address an agent registers: `sip:<number>@<realm>`.
#[derive(Debug, Clone)]
pub struct Extension {
    /// `ext_…`
    pub id: String,
    /// The user part of the AOR and what others dial.
    pub number: String,
    /// Whose it is; `None` for an unowned phone.
    pub agent_id: Option<String>,
    /// How long it rings before "no answer".
    pub ring_timeout: Duration,
    /// How many bindings it may have at once (at least 1).
    pub max_contacts: usize,
    /// What happens to one binding too many.
    pub on_limit: OnLimit,
    /// Codecs offered to its phones, best first.
    pub codecs: Vec<Codec>,
}

/// What a REGISTER beyond `max_contacts` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// The binding refreshed longest ago goes.
    ReplaceOldest,
    /// The REGISTER is refused with 403.
    Reject,
}

/// A username with its digest secrets.
#[derive(Debug, Clone)]
pub struct Credential {
    /// `crd_…`
    pub id: String,
    /// The digest username.
    pub username: String,
    /// The number of the extension it registers and calls as.
    pub extension: String,
    /// HA1 for MD5 and SHA-256; the secret itself is not known.
    pub ha1: Ha1,
}

/// A number of ours at a trunk.
#[derive(Debug, Clone)]
pub struct Number {
    /// `num_…`
    pub id: String,
    /// E.164 with plus.
    pub e164: String,
    /// The trunk it comes over.
    pub trunk_id: String,
    /// The extension number (user part) it rings; `None` leaves it to the dialplan alone.
    pub extension: Option<String>,
}
