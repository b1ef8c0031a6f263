//! Non-INVITE client transaction (RFC 3261 §17.1.2). Retransmits until a final response or timer F.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, ResponseClass, Timer, Timers};

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NonInviteClient {
    /// Sent; nothing heard.
    Trying { interval: Duration },
    /// A provisional response arrived; retransmitted at T2.
    Proceeding,
    /// The final response arrived; its retransmissions are absorbed.
    Completed,
}

impl NonInviteClient {
    pub(crate) fn start(timers: &Timers, reliable: bool) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Send, Action::Start(Timer::F, timers.transaction_timeout())];
        if !reliable {
            actions.push(Action::Start(Timer::E, timers.t1));
        }
        (Self::Trying { interval: timers.t1 }, actions)
    }

    pub(crate) fn on_response(self, class: ResponseClass, timers: &Timers, reliable: bool) -> (Self, Actions) {
        match (self, class) {
            (Self::Trying { .. }, ResponseClass::Provisional) => (Self::Proceeding, smallvec![Action::Deliver]),
            (Self::Proceeding, ResponseClass::Provisional) => (self, smallvec![Action::Deliver]),
            (Self::Trying { .. } | Self::Proceeding, ResponseClass::Success | ResponseClass::Failure) => {
                let mut actions: Actions = smallvec![Action::Stop(Timer::E), Action::Stop(Timer::F), Action::Deliver];
                actions.push(if reliable { Action::Terminate } else { Action::Start(Timer::K, timers.t4) });
                (Self::Completed, actions)
            }
            (Self::Completed, _) => (self, Actions::new()),
        }
    }

    pub(crate) fn on_timer(self, timer: Timer, timers: &Timers) -> (Self, Actions) {
        match (self, timer) {
            (Self::Trying { interval }, Timer::E) => {
                let interval = (interval * 2).min(timers.t2);
                (Self::Trying { interval }, smallvec![Action::Send, Action::Start(Timer::E, interval)])
            }
            (Self::Proceeding, Timer::E) => (self, smallvec![Action::Send, Action::Start(Timer::E, timers.t2)]),
            (Self::Trying { .. } | Self::Proceeding, Timer::F) => {
                (self, smallvec![Action::Stop(Timer::E), Action::TimedOut, Action::Terminate])
            }
            (Self::Completed, Timer::K) => (self, smallvec![Action::Terminate]),
            (Self::Trying { .. } | Self::Proceeding | Self::Completed, _) => (self, Actions::new()),
        }
    }
}
