//! What operators (REST, signals) may ask of the switchboard, and what they are answered.

use std::time::Duration;

use crate::output::{CallId, ParticipantView, TransferMode, TransferTarget, TransferView};

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
