//! INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1). Retransmits failures until their ACK; a 2xx is retransmitted
//! by the session, not here.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, ResponseClass, Timer, Timers};

/// How far the answer to an INVITE has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InviteServer {
    /// No final response yet.
    Proceeding,
    /// A failure was sent; `interval` is timer G's.
    Completed { interval: Duration },
    /// The ACK for the failure arrived.
    Confirmed,
    /// A 2xx was sent; retransmitted INVITEs are absorbed.
    Accepted,
}

impl InviteServer {
    /// The user answers; the response to send is already stored.
    pub(crate) fn on_answer(self, class: ResponseClass, timers: &Timers, reliable: bool) -> (Self, Actions) {
        match (self, class) {
            (Self::Proceeding, ResponseClass::Provisional) => (self, smallvec![Action::Send]),
            (Self::Proceeding, ResponseClass::Success) => {
                (Self::Accepted, smallvec![Action::Send, Action::Start(Timer::L, timers.transaction_timeout())])
            }
            (Self::Proceeding, ResponseClass::Failure) => {
                let mut actions: Actions =
                    smallvec![Action::Send, Action::Start(Timer::H, timers.transaction_timeout())];
                if !reliable {
                    actions.push(Action::Start(Timer::G, timers.t1));
                }
                (Self::Completed { interval: timers.t1 }, actions)
            }
            (Self::Completed { .. } | Self::Confirmed | Self::Accepted, _) => (self, Actions::new()),
        }
    }

    /// The INVITE arrived again.
    pub(crate) fn on_retransmission(self) -> (Self, Actions) {
        match self {
            Self::Proceeding | Self::Completed { .. } => (self, smallvec![Action::Send]),
            Self::Confirmed | Self::Accepted => (self, Actions::new()),
        }
    }

    /// An ACK with the INVITE's branch arrived.
    pub(crate) fn on_ack(self, timers: &Timers, reliable: bool) -> (Self, Actions) {
        match self {
            Self::Completed { .. } => {
                let mut actions: Actions = smallvec![Action::Stop(Timer::G), Action::Stop(Timer::H)];
                actions.push(if reliable { Action::Terminate } else { Action::Start(Timer::I, timers.t4) });
                (Self::Confirmed, actions)
            }
            Self::Proceeding | Self::Confirmed | Self::Accepted => (self, Actions::new()),
        }
    }

    pub(crate) fn on_timer(self, timer: Timer, timers: &Timers) -> (Self, Actions) {
        match (self, timer) {
            (Self::Completed { interval }, Timer::G) => {
                let interval = (interval * 2).min(timers.t2);
                (Self::Completed { interval }, smallvec![Action::Send, Action::Start(Timer::G, interval)])
            }
            (Self::Completed { .. }, Timer::H) => {
                (self, smallvec![Action::Stop(Timer::G), Action::TimedOut, Action::Terminate])
            }
            (Self::Confirmed, Timer::I) | (Self::Accepted, Timer::L) => (self, smallvec![Action::Terminate]),
            (Self::Proceeding | Self::Completed { .. } | Self::Confirmed | Self::Accepted, _) => (self, Actions::new()),
        }
    }
}
