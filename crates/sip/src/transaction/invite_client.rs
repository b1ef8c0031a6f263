//! INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2). Retransmits, acknowledges failures and times out; a 2xx is
//! acknowledged by the session, not here.

use smallvec::smallvec;

use super::{Action, Actions, ResponseClass, Timer, Timers};

/// How far an INVITE has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InviteClient {
    /// Sent; nothing heard. `interval` is timer A's next length in multiples of T1.
    Calling { interval: u32 },
    /// A provisional response arrived.
    Proceeding,
    /// A failure arrived and was acknowledged.
    Completed,
    /// A 2xx arrived; further ones are passed on.
    Accepted,
}

impl InviteClient {
    pub(crate) fn start(timers: &Timers, reliable: bool) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Send, Action::Start(Timer::B, timers.transaction_timeout())];
        if !reliable {
            actions.push(Action::Start(Timer::A, timers.t1));
        }
        (Self::Calling { interval: 1 }, actions)
    }

    pub(crate) fn on_response(self, class: ResponseClass, timers: &Timers, reliable: bool) -> (Self, Actions) {
        match (self, class) {
            (Self::Calling { .. }, ResponseClass::Provisional) => {
                (Self::Proceeding, smallvec![Action::Stop(Timer::A), Action::Stop(Timer::B), Action::Deliver])
            }
            (Self::Proceeding, ResponseClass::Provisional) => (self, smallvec![Action::Deliver]),
            (Self::Calling { .. } | Self::Proceeding, ResponseClass::Success) => (
                Self::Accepted,
                smallvec![
                    Action::Stop(Timer::A),
                    Action::Stop(Timer::B),
                    Action::Start(Timer::M, timers.transaction_timeout()),
                    Action::Deliver
                ],
            ),
            (Self::Calling { .. } | Self::Proceeding, ResponseClass::Failure) => {
                let mut actions: Actions =
                    smallvec![Action::Stop(Timer::A), Action::Stop(Timer::B), Action::Acknowledge, Action::Deliver];
                if reliable {
                    actions.push(Action::Terminate);
                } else {
                    // At least 32 s (§17.1.1.2).
                    actions.push(Action::Start(Timer::D, timers.transaction_timeout()));
                }
                (Self::Completed, actions)
            }
            (Self::Completed, ResponseClass::Failure) => (self, smallvec![Action::Acknowledge]),
            (Self::Accepted, ResponseClass::Success) => (self, smallvec![Action::Deliver]),
            (Self::Completed, ResponseClass::Provisional | ResponseClass::Success)
            | (Self::Accepted, ResponseClass::Provisional | ResponseClass::Failure) => (self, Actions::new()),
        }
    }

    pub(crate) fn on_timer(self, timer: Timer, timers: &Timers) -> (Self, Actions) {
        match (self, timer) {
            (Self::Calling { interval }, Timer::A) => {
                let interval = interval.saturating_mul(2);
                (Self::Calling { interval }, smallvec![Action::Send, Action::Start(Timer::A, timers.t1 * interval)])
            }
            // Once it proceeds, only for one that nobody waits for any more.
            (Self::Calling { .. } | Self::Proceeding, Timer::B) => {
                (self, smallvec![Action::Stop(Timer::A), Action::TimedOut, Action::Terminate])
            }
            (Self::Completed, Timer::D) | (Self::Accepted, Timer::M) => (self, smallvec![Action::Terminate]),
            (Self::Calling { .. } | Self::Proceeding | Self::Completed | Self::Accepted, _) => (self, Actions::new()),
        }
    }
}
