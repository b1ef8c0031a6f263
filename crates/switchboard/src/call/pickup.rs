//! A call that rings, picked up by an INVITE that replaces one of its branches (RFC 3891 §3).

use sip::StatusCode;

use super::action::Actions;
use super::facts::Facts;
use super::hunt::{Hunt, Next};
use super::leg::LegId;
use super::replacing::{self, Verdict};

impl Hunt {
    /// Whether a leg is just taking a branch's place.
    pub(super) fn is_picked_up(&self) -> bool {
        self.pickup.is_some()
    }

    /// Whether an INVITE may take a ringing branch's place now.
    pub(super) fn check_replaceable(&self, leg: LegId) -> Result<(), StatusCode> {
        match (self.branches.contains(&leg), self.pickup) {
            (true, None) => Ok(()),
            (true, Some(_)) => Err(StatusCode::REQUEST_PENDING),
            // A dialog that the other side wanted (RFC 3891 §3).
            (false, _) => Err(StatusCode::CALL_DOES_NOT_EXIST),
        }
    }

    /// Media of a leg that takes a branch's place.
    pub(super) fn on_pickup(
        &mut self,
        leg: LegId,
        event: media::Event,
        facts: &mut Facts,
        actions: &mut Actions,
    ) -> Next {
        let status = match Verdict::of(event) {
            Verdict::Answer(sdp) => {
                replacing::accept(leg, sdp, facts, actions);
                return Next::PickedUp(leg);
            }
            Verdict::Refuse(status) => status,
            Verdict::Wait => return Next::Stay,
        };
        self.pickup = None;
        replacing::reject(leg, status, facts, actions);
        Next::Stay
    }
}
