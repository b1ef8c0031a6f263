//! What the switchboard gives the world after each input, and what operators may ask of it.

use std::time::{Duration, SystemTime};

use media::Statistics;

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
    CallChanged(CallView),
    /// A call ended: its one record.
    CallEnded(CallRecord),
    /// The bindings of an AOR changed; the whole list.
    BindingsChanged {
        /// The extension's number.
        extension: String,
        /// What is registered now.
        bindings: Vec<BindingView>,
    },
    /// Close this connection (a scanner, or a flow that broke the framing rules).
    CloseConnection(sip::ConnectionId),
}

/// What an operator (REST, signal) asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// Ends a call.
    Hangup {
        /// Which.
        call: CallId,
    },
    /// Holds a call on behalf of one of its legs, or resumes it: who talks to that leg hears music, the leg hears nothing and is not
    /// heard. Doing it twice changes nothing.
    Hold {
        /// Which call.
        call: CallId,
        /// The leg that holds, by its id; the agent's when `None`.
        leg: Option<String>,
        /// Whether it is held from now on.
        hold: bool,
    },
    /// Sends digits to one side of an answered call, in order, as that side takes them.
    SendDigits {
        /// Which.
        call: CallId,
        /// `leg_…`; without it whom an agent consults, else the trunk, else the callee.
        leg: Option<String>,
        /// Of `0-9 * # A-D`.
        digits: String,
        /// Length of each.
        duration: Duration,
    },
    /// Hands the one whom a leg talks to on to somebody else.
    Transfer {
        /// Which call.
        call: CallId,
        /// Whether the target is asked first. To [`TransferTarget::Call`] it has been.
        mode: TransferMode,
        /// The leg that transfers, by its id; the agent's when `None`.
        leg: Option<String>,
        /// Whom to.
        target: TransferTarget,
    },
    /// Has somebody called on behalf of a leg, to join those who talk; they hear nothing of it until somebody answers.
    AddParticipant {
        /// Which call.
        call: CallId,
        /// The leg on whose behalf, by its id; the agent's when `None`.
        leg: Option<String>,
        /// Whom.
        target: TransferTarget,
    },
    /// Lets a participant go, whether it talks or rings.
    RemoveParticipant {
        /// Which call.
        call: CallId,
        /// `leg_…`
        participant: String,
    },
    /// Completes a consultation: whom the agent talked to before and whom it asks are joined, and the agent let go. While nobody has
    /// answered it becomes a blind transfer.
    CompleteTransfer {
        /// Which call.
        call: CallId,
        /// `trf_…`
        transfer: String,
    },
    /// Ends a consultation: the target is let go, and the agent talks to whom it talked to before.
    CancelTransfer {
        /// Which call.
        call: CallId,
        /// `trf_…`
        transfer: String,
    },
    /// Calls the phones of a leg's extension: the first that answers takes the leg's place.
    Reclaim {
        /// Which call.
        call: CallId,
        /// The leg, by its id; without it an agent's that is away, else an agent's.
        leg: Option<String>,
    },
    /// No new calls from now on (503 with Retry-After); running ones go on.
    Drain,
    /// BYE or a final response on every leg, now.
    HangupAll,
}

/// What came of an operator's command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// It was done.
    Done,
    /// A transfer has begun, or come to this.
    Transfer(TransferView),
    /// Somebody is asked to join, or has.
    Participant(ParticipantView),
}

/// Why an operator's command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// No such call is running.
    #[error("no running call has this id")]
    UnknownCall,
    /// The call has no such leg that talks.
    #[error("the call has no such leg that talks")]
    UnknownLeg,
    /// Nobody talks yet, or any more.
    #[error("the call is not connected")]
    NotConnected,
    /// The leg's own phone holds: it alone can resume.
    #[error("the phone itself holds the call: only there it can be resumed")]
    HeldByPhone,
    /// No media goes to the leg, and so no digit.
    #[error("the leg is on hold: no digit reaches it")]
    LegHeld,
    /// The leg is no agent's, or talks to nobody who could be transferred.
    #[error("the leg has nobody to transfer")]
    NobodyToTransfer,
    /// No call runs that has the id of the target.
    #[error("no running call has the target's id")]
    UnknownTarget,
    /// The agent has nobody in the other call who could be joined with whom it has in this one.
    #[error("the two calls cannot be joined")]
    Unjoinable,
    /// A transfer of the call is under way.
    #[error("the call is being transferred")]
    Transferring,
    /// Somebody else is being asked to join, or another change of who talks is under way.
    #[error("another change of who is in the call is under way")]
    Changing,
    /// The leg talks to nobody whom somebody else could join.
    #[error("the leg talks to nobody whom somebody could join")]
    Alone,
    /// As many are in the call as may be.
    #[error("no more participants may be in the call")]
    Full,
    /// The call has no participant of this id who talks or rings.
    #[error("the call has no such participant who talks or rings")]
    UnknownParticipant,
    /// The call has no such transfer.
    #[error("the call has no transfer with this id")]
    UnknownTransfer,
    /// The transfer is no consultation, or none any more.
    #[error("the transfer is no consultation that is under way")]
    NotConsulting,
    /// The extension has no phone to call, beside the one that has the call.
    #[error("no other phone of the extension is registered")]
    NotRegistered,
    /// Digits sent before are still on their way.
    #[error("too many digits wait on this leg")]
    DigitsWaiting,
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
    pub id: String,
    /// The Contact URI as sent.
    pub contact: String,
    /// `+sip.instance`, when sent.
    pub instance: Option<String>,
    /// The client's User-Agent.
    pub user_agent: Option<String>,
    /// How it is reached.
    pub flow: sip::Flow,
    /// When it was first registered.
    pub registered_at: SystemTime,
    /// When it runs out.
    pub expires_at: SystemTime,
}
