//! The INVITE session (RFC 3261 §13-15): one usage of a dialog from the first INVITE to the end of its BYE. Holds the state; what
//! happens to it is in `endpoint/`.

use std::time::Duration;

use bytes::Bytes;

use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::message::{Reason, Response};
use crate::transaction::TimerTable;

/// Names a transaction of the endpoint, client or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TransactionId(pub(crate) u64);

/// One INVITE usage.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) flow: Flow,
    pub(crate) dialog: Dialog,
    pub(crate) state: State,
    pub(crate) timers: TimerTable,
}

/// How far a session has come.
#[derive(Debug)]
pub(crate) enum State {
    /// We sent the INVITE and wait for its final response.
    Calling { transaction: TransactionId, heard: bool, cancel: Cancel },
    /// We got the INVITE and owe its final response; `provisional` is the last one sent, repeated each minute.
    Incoming { transaction: TransactionId, provisional: Option<Response> },
    /// Both sides agreed; a 2xx of ours may still wait for its ACK, and a re-INVITE for our answer.
    Established { unacknowledged: Option<Unacknowledged>, reinvite: Option<TransactionId> },
    /// We sent BYE.
    Leaving,
}

/// What became of the wish to cancel our INVITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// There is none.
    Unwanted,
    /// Wanted, but nothing was heard yet, so that a CANCEL could overtake the INVITE (§9.1).
    Wanted(Option<Reason>),
    /// Sent.
    Sent,
}

/// A 2xx on its way.
#[derive(Debug, Clone)]
pub(crate) struct Unacknowledged {
    /// The CSeq number of its INVITE.
    pub(crate) sequence: u32,
    pub(crate) flow: Flow,
    pub(crate) bytes: Bytes,
    pub(crate) interval: Duration,
    /// Whether the user has been told `Confirmed` for this INVITE usage before (a re-INVITE's 2xx is not).
    pub(crate) first: bool,
}
