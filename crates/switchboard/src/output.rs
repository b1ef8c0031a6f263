//! What the switchboard gives the world after each input.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use media::Statistics;

use crate::tolls::Alarm;
use crate::trace::Note;

/// Which shard carries a leg's media: an index below `SwitchboardConfig::shards`. Links between shards name it by the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardIndex(pub usize);

/// A call's id as the API shows it: `call_` and 26 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub String);

/// One thing to be done outside. Drained to `None` after every input.
#[derive(Debug, Clone)]
pub enum Output {
    /// Write a message to a flow.
    Transmit(sip::Transmit),
    /// Tell a media shard.
    Media {
        /// Which shard.
        shard: ShardIndex,
        /// What it shall do.
        command: media::Command,
    },
    /// A call came up or changed; the whole picture of it.
    CallChanged(Arc<CallView>),
    /// A call ended: its one record.
    CallEnded(Box<CallRecord>),
    /// A call noted something down for its trace. Comes after its first [`Output::CallChanged`] and before its
    /// [`Output::CallEnded`].
    Noted {
        /// The call.
        call: CallId,
        /// When it happened.
        at: Instant,
        /// What.
        note: Note,
    },
    /// The bindings of an AOR changed; the whole list.
    BindingsChanged {
        /// The extension's number.
        extension: String,
        /// What is registered now.
        bindings: Vec<BindingView>,
    },
    /// A trunk's registration stands otherwise than before.
    TrunkRegistration {
        /// `trk_…`
        trunk_id: String,
        /// How it stands.
        registration: TrunkRegistration,
    },
    /// Somebody should look at this.
    Alarm(Alarm),
    /// What is known of the servers of a trunk's gateways changed; the whole list, none when the trunk is gone.
    GatewayHealth {
        /// `trk_…`
        trunk_id: String,
        /// The servers, by address.
        servers: Vec<ServerView>,
    },
    /// Close this connection (a scanner, or a flow that broke the framing rules).
    CloseConnection(sip::ConnectionId),
}

/// How our registration at a trunk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkRegistration {
    /// How.
    pub state: TrunkRegistrationState,
    /// Since when, refreshes and further attempts not counted.
    pub since: SystemTime,
}

/// See [`TrunkRegistration`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrunkRegistrationState {
    /// The trunk does not register.
    Unregistered,
    /// The first answer is awaited.
    Registering,
    /// The carrier knows where we are.
    Registered {
        /// Where it was told.
        registrar: std::net::SocketAddr,
        /// When that runs out, unless it is refreshed.
        expires_at: SystemTime,
    },
    /// The last attempt failed. A registration of before may still hold.
    Failed {
        /// The SIP status; `None` when nobody could be asked.
        status: Option<u16>,
        /// What is wrong, in words.
        reason: String,
        /// When the next attempt follows; `None` while one is under way or waits for an address.
        retry_at: Option<SystemTime>,
    },
}

/// Whether a server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// It answers.
    Up,
    /// It did not several times in a row: it is tried when no other is left.
    Down,
    /// Nobody knows yet.
    Unknown,
}

/// A server of a trunk's gateway as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// How it is reached.
    pub transport: sip::Transport,
    /// Where it is.
    pub address: std::net::SocketAddr,
    /// Whether it lives.
    pub state: ServerState,
    /// Since when.
    pub since: SystemTime,
    /// What it answered when asked last; `None` when it was not, or did not.
    pub last_status: Option<u16>,
    /// How long it took.
    pub rtt: Option<std::time::Duration>,
}

/// To whom an operator transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferTarget {
    /// The extension with this number.
    Extension(String),
    /// What the agent would dial.
    Number(String),
    /// Whom the same agent has in this other call.
    Call(CallId),
}

/// How a transfer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMode {
    /// Without talking to the target first.
    Blind,
    /// To whom the agent talks, or is calling: in another call, or in a consultation of this one.
    Attended,
}

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferStatus {
    /// The target is being called.
    Trying,
    /// The target has answered, and the agent talks to it.
    Consulting,
    /// The target took the call.
    Succeeded,
    /// It did not; the call went back to who transferred it, or ended.
    Failed,
    /// Who was to be transferred hung up, or the call was ended.
    Cancelled,
}

impl TransferStatus {
    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        match self {
            Self::Trying | Self::Consulting => true,
            Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// A transfer as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferView {
    /// `trf_…`
    pub id: String,
    /// How it is made.
    pub mode: TransferMode,
    /// What was dialled.
    pub target: String,
    /// The leg that transfers: `leg_…`
    pub by: String,
    /// How far it has come.
    pub status: TransferStatus,
    /// How it ended, as a SIP status.
    pub sip_status: Option<u16>,
}

/// Somebody in a call, or asked to join it, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantView {
    /// `leg_…`, the id of its leg once it talks.
    pub id: String,
    /// Extension number or E.164 number; while nobody has answered, what was dialled.
    pub party: String,
    /// Where it stands.
    pub state: ParticipantState,
    /// Who holds its leg, and what that is sent.
    pub media: media::MediaState,
    /// Why it is not there any more, as a SIP status: 200 for one who talked.
    pub sip_status: Option<u16>,
}

/// Where a participant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParticipantState {
    /// It is being called.
    Routing,
    /// Its phone rings.
    Ringing,
    /// It talks.
    Connected,
    /// It has left, or never came.
    Ended,
}

/// A running call as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallView {
    /// Its id.
    pub id: CallId,
    /// Who called whom.
    pub direction: Direction,
    /// Where it stands.
    pub state: CallState,
    /// The caller as dialled from (extension number or E.164).
    pub from: String,
    /// What was dialled.
    pub to: String,
    /// When its INVITE arrived.
    pub started_at: SystemTime,
    /// When it was answered.
    pub answered_at: Option<SystemTime>,
    /// The agent calling or answering, once known.
    pub agent_id: Option<String>,
    /// The trunk it goes over.
    pub trunk_id: Option<String>,
    /// Its legs, caller first.
    pub legs: Vec<LegView>,
    /// Its transfers, the latest last.
    pub transfers: Vec<TransferView>,
    /// Who talks in it or is asked to, then who was and is not any more.
    pub participants: Vec<ParticipantView>,
}

/// One leg as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct LegView {
    /// `leg_` and 26 characters.
    pub id: String,
    /// Extension number, E.164 number or `echo`.
    pub party: String,
    /// The number of the extension whose phone it is.
    pub extension: Option<String>,
    /// The agent whose phone it is.
    pub agent_id: Option<String>,
    /// The trunk it goes over.
    pub trunk_id: Option<String>,
    /// The Call-ID of its SIP dialog, once there is one.
    pub sip_call_id: Option<String>,
    /// Its phone's connection is lost, and the phone waited for.
    pub away: bool,
    /// Where it stands.
    pub state: CallState,
    /// The codec agreed on.
    pub codec: Option<media::Codec>,
    /// Who holds it, and what it is sent.
    pub media: media::MediaState,
    /// How its signalling travels.
    pub transport: sip::Transport,
    /// The signalling peer.
    pub remote: std::net::SocketAddr,
}

/// Who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a trunk to an agent.
    Inbound,
    /// From an agent to a trunk.
    Outbound,
    /// Between agents, or an agent and a service such as the echo test.
    Internal,
}

/// Where a call or leg stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// A target is being found.
    Routing,
    /// A target rings.
    Ringing,
    /// People talk.
    Connected,
    /// It is being taken down.
    Ending,
}

/// The one record of an ended call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// The call as it was last seen.
    pub call: CallView,
    /// When the first target rang.
    pub ringing_at: Option<SystemTime>,
    /// When it ended.
    pub ended_at: SystemTime,
    /// How.
    pub result: CallResult,
    /// The SIP status the caller saw; 200 for an answered call.
    pub sip_status: u16,
    /// The Q.850 cause (RFC 3326).
    pub q850: Option<u8>,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// One sentence.
    pub explanation: String,
    /// Media figures per leg, in the order of `call.legs`; `None` for a leg that never had media.
    pub statistics: Vec<Option<Statistics>>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// It was answered, then hung up.
    Answered,
    /// Nobody answered in time.
    NoAnswer,
    /// The target was busy or declined.
    Busy,
    /// The caller gave up.
    Cancelled,
    /// It could not be carried out.
    Failed,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The calling leg.
    Caller,
    /// The called leg.
    Callee,
    /// An operator through the API, or the stop of the process.
    Operator,
    /// The gateway itself: a timer, a lost flow, a failed leg.
    System,
}

/// One registered contact as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingView {
    /// `reg_…`, stable over refreshes.
    pub id: Arc<str>,
    /// The Contact as sent.
    pub address: Arc<sip::Contact>,
    /// The client's User-Agent.
    pub user_agent: Option<Arc<str>>,
    /// How it is reached.
    pub flow: sip::Flow,
    /// When it was first registered.
    pub registered_at: SystemTime,
    /// When it runs out.
    pub expires_at: SystemTime,
}
