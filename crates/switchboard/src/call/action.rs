//! What can happen to a call, and what a call can want done. Values only: the state machine's whole vocabulary.

use std::time::Duration;

use bytes::Bytes;
use sip::{Flow, Reason, RequestId, Response, StatusCode};

use super::consulting::Consult;
use super::joining::Joining;
use super::leg::{Envelope, LegId};
use super::participant::Adding;
use super::referral::Report;
use super::replacing::Replacement;
use super::transferring::Transfer;

/// What happens to a call.
#[derive(Debug, Clone)]
pub(crate) enum CallEvent {
    /// The dialplan has decided; the first target is to be called.
    Start,
    /// 101-199 from a callee.
    Progress { leg: LegId, response: Response },
    /// 2xx from a callee.
    Answered { leg: LegId, response: Response },
    /// A final refusal from a callee, or made locally for it.
    Refused { leg: LegId, response: Response, local: bool },
    /// The caller gave up.
    Cancelled { reasons: Vec<String> },
    /// The caller's ACK, with its body; or its PRACK, with the answer to our offer in a reliable response.
    Confirmed { body: Vec<u8> },
    /// A leg never sent its ACK, or its PRACK.
    NoAck { leg: LegId },
    /// The media of a leg is to change, or does.
    Change { leg: LegId, change: Change },
    /// A leg has forgotten the call, or gives no sign of life any more; BYE was sent.
    Lost { leg: LegId },
    /// A leg hung up.
    Bye { leg: LegId, reasons: Vec<String> },
    /// A leg's connection closed and it did not come back on another in time. `SessionOver` follows.
    FlowLost { leg: LegId },
    /// A leg's INVITE session is over, whatever it was.
    SessionOver { leg: LegId },
    /// A leg's shard told something.
    Media { leg: LegId, event: media::Event },
    /// A leg pressed a key, told by INFO.
    Digit { leg: LegId, digit: char, duration: Duration },
    /// An operator dials digits to a leg.
    Dial { leg: LegId, digits: String, duration: Duration },
    /// A leg, or an operator on its behalf, hands the one it talks to on to somebody else. [`super::Call::transferee`] allows it.
    Transfer(Box<Transfer>),
    /// An operator has an agent ask somebody else whether they take over whom it talks to.
    Consult(Consult),
    /// A leg, or an operator on its behalf, hands the one it talks to on to whom it has in another call.
    Join(Box<Joining>),
    /// Somebody is to join those who talk, on behalf of one of them. [`super::Call::check_open_to`] allows it.
    Add(Box<Adding>),
    /// Whoever is in the call under this name, or is asked to join it, is let go. [`super::Call::check_dismissable`] allows it.
    Dismiss { name: String },
    /// Another INVITE takes a leg's place. [`super::Call::check_replaceable`] allows it.
    Replace(Box<Replacement>),
    /// A leg has answered what it was told last of the transfer it asked for, or will not.
    Notified { leg: LegId },
    /// The phones of an extension that rings are others than before, or one that was expected back does not come.
    Phones { extension: String },
    /// A timer fired.
    Timer(CallTimer),
    /// An operator ends the call.
    Hangup,
}

/// What happens to a change of a leg's media.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The leg wants one: by this offer, or by an offer of ours when there is none (offerless re-INVITE).
    Offered { request: RequestId, sdp: Option<Bytes> },
    /// It took such a wish back.
    Withdrawn { request: RequestId },
    /// Its ACK for our 200 to such a wish, with its body.
    Acknowledged { body: Vec<u8> },
    /// Its ACK for our 200 to the INVITE by which it took another's place, with the answer to our offer when it sent none.
    Confirmed { body: Vec<u8> },
    /// It accepted ours.
    Accepted { response: Response },
    /// It answered the description that is agreed on once more, when the session was refreshed.
    Refreshed { response: Response },
    /// It refused ours, or that could not be sent.
    Refused,
    /// An operator holds the call on behalf of the leg, or resumes it.
    Held { hold: bool },
}

/// The timers of a call; each runs at most once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum CallTimer {
    /// A gateway has sent no provisional response.
    Attempt,
    /// A step has not been answered.
    NoAnswer,
    /// A shard has not described or negotiated.
    Media,
    /// A shard has not done so for a change of an answered leg.
    Change,
    /// A shard has not described a leg that takes the place of one that talks.
    Place,
    /// No phone has answered that was called to take a leg's place.
    Reclaim,
    /// A transferor has not confirmed that it was told how the transfer went.
    Farewell,
    /// A shard has not closed.
    Closing,
}

/// What a call wants done.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Send an INVITE with this offer, or one that asks for an offer.
    Invite { leg: LegId, flow: Flow, envelope: Box<Envelope>, offer: Option<Bytes> },
    /// Answer the offer of the branch of an INVITE with this tag.
    AnswerOffer { leg: LegId, tag: String, sdp: Bytes },
    /// Send the caller a provisional response.
    Progress { leg: LegId, status: StatusCode, sdp: Option<Bytes> },
    /// Answer the caller.
    Accept { leg: LegId, sdp: Bytes },
    /// Refuse the caller.
    Reject {
        leg: LegId,
        status: StatusCode,
        phrase: Option<String>,
        reasons: Vec<String>,
        retry_after: Option<Duration>,
    },
    /// Answer a leg's wish to change its media.
    Respond { leg: LegId, request: RequestId, status: StatusCode, sdp: Option<Bytes>, warning: Option<String> },
    /// Offer a leg a change of its media by re-INVITE.
    Modify { leg: LegId, sdp: Bytes },
    /// Forget a change that was not sent yet.
    TakeBack { leg: LegId },
    /// Take back an INVITE.
    Cancel { leg: LegId, reason: Option<Reason> },
    /// Hang up an established leg.
    Bye { leg: LegId, reason: Option<Reason> },
    /// Tell a leg how the transfer it asked for goes (RFC 3515 §2.4.4).
    Notify { leg: LegId, report: Report },
    /// Tell a leg of a digit by INFO.
    Inform { leg: LegId, digit: char, duration: Duration },
    /// Tell the shards concerned.
    Media(media::Command),
    /// Start a timer anew.
    SetTimer(CallTimer, Duration),
    /// Stop a timer.
    ClearTimer(CallTimer),
}

/// What a call wants done, in order.
pub(crate) type Actions = Vec<Action>;
