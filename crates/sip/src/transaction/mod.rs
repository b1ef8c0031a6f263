//! The four transaction machines (RFC 3261 §17 with the corrections of RFC 6026) and their timers. Each machine is a pure
//! function of its state and an input; it sends nothing itself and knows nothing of dialogs.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;
mod timer;

pub(crate) use invite_client::InviteClient;
pub(crate) use invite_server::InviteServer;
pub(crate) use non_invite_client::NonInviteClient;
pub(crate) use non_invite_server::NonInviteServer;
pub use timer::Timers;
pub(crate) use timer::{Timer, TimerQueue, TimerTable};

use std::time::Duration;

/// What a machine wants done, in this order.
pub(crate) type Actions = smallvec::SmallVec<[Action; 4]>;

/// One thing a machine wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the stored request or response (again).
    Send,
    /// Send the ACK for the final response just received (client, non-2xx).
    Acknowledge,
    /// Start a timer anew.
    Start(Timer, Duration),
    /// Stop a timer.
    Stop(Timer),
    /// Give the response just received to the transaction's user.
    Deliver,
    /// Tell the user that nobody answered (timer B or F), or that no ACK came (timer H).
    TimedOut,
    /// The transaction is over.
    Terminate,
}

/// What a response is to a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseClass {
    Provisional,
    Success,
    Failure,
}

impl ResponseClass {
    pub(crate) fn of(status: crate::StatusCode) -> Self {
        if status.is_provisional() {
            Self::Provisional
        } else if status.is_success() {
            Self::Success
        } else {
            Self::Failure
        }
    }
}
