//! Non-INVITE server transaction (RFC 3261 §17.2.2). Repeats the last response to a retransmitted request.

use smallvec::smallvec;

use super::{Action, Actions, ResponseClass, Timer, Timers};

/// How far the answer to a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NonInviteServer {
    /// Nothing sent yet: retransmissions are absorbed.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// The final response was sent.
    Completed,
}

impl NonInviteServer {
    /// The user answers; the response to send is already stored.
    pub(crate) fn on_answer(self, class: ResponseClass, timers: &Timers, reliable: bool) -> (Self, Actions) {
        match (self, class) {
            (Self::Trying | Self::Proceeding, ResponseClass::Provisional) => {
                (Self::Proceeding, smallvec![Action::Send])
            }
            (Self::Trying | Self::Proceeding, ResponseClass::Success | ResponseClass::Failure) => {
                let after =
                    if reliable { Action::Terminate } else { Action::Start(Timer::J, timers.transaction_timeout()) };
                (Self::Completed, smallvec![Action::Send, after])
            }
            (Self::Completed, _) => (self, Actions::new()),
        }
    }

    /// The request arrived again.
    pub(crate) fn on_retransmission(self) -> (Self, Actions) {
        match self {
            Self::Trying => (self, Actions::new()),
            Self::Proceeding | Self::Completed => (self, smallvec![Action::Send]),
        }
    }

    pub(crate) fn on_timer(self, timer: Timer) -> (Self, Actions) {
        match (self, timer) {
            (Self::Completed, Timer::J) => (self, smallvec![Action::Terminate]),
            (Self::Trying | Self::Proceeding | Self::Completed, _) => (self, Actions::new()),
        }
    }
}
