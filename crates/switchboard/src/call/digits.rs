//! Digits of a call beyond its media: told by a side's INFO, owed to a trunk that wants INFO, dialled by an operator.

use std::time::{Duration, Instant};

use media::{Command, Dtmf, Hold};

use super::action::{Action, Actions};
use super::facts::Facts;
use super::leg::{LegId, Medium, Party, Signal};
use crate::operator::OperatorError;

/// Digits that may wait on a leg at once.
pub(crate) const MAX_DIALLED: usize = 32;
/// What a digit takes beside its sound: its pause, and the repetitions of its end.
const BESIDE: Duration = Duration::from_millis(120);
/// What the shortest takes: a tone is never shorter.
const SHORTEST: Duration = Duration::from_millis(80);

impl Facts {
    /// A side's client told a key press. Its media session passes it on, and knows it again when media tells it too.
    pub(super) fn press(&self, leg: LegId, digit: char, duration: Duration, actions: &mut Actions) {
        if self.leg(leg).is_some_and(|leg| leg.medium == Medium::Open) {
            actions.push(Action::Media(Command::PressDigit { session: leg.media(), digit, duration }));
        }
    }

    /// A digit came from a side. The other is told by INFO when its trunk wants that; else media has done it. As in media, who holds is
    /// not heard, and who is held by an operator hears nothing.
    pub(super) fn pass_on(
        &self,
        near: LegId,
        far: Option<LegId>,
        digit: char,
        duration: Duration,
        actions: &mut Actions,
    ) {
        let is_heard = self.leg(near).is_some_and(|near| near.media.hold == Hold::None);
        let far = far.and_then(|far| self.leg(far)).filter(|far| is_heard && !far.media.hold.is_local());
        let far = far.filter(|far| far.signal == Signal::Up && far.dtmf == Dtmf::Info);
        actions.extend(far.map(|far| Action::Inform { leg: far.id, digit, duration }));
    }

    /// Sends an operator's digits to a side.
    pub(super) fn dial(&self, leg: LegId, digits: &str, duration: Duration, actions: &mut Actions) {
        let Some(leg) = self.leg(leg) else { return };
        if leg.dtmf == Dtmf::Info {
            actions.extend(digits.chars().map(|digit| Action::Inform { leg: leg.id, digit, duration }));
        } else {
            let digits = digits.to_owned();
            actions.push(Action::Media(Command::SendDigits { session: leg.id.media(), digits, duration }));
        }
    }

    /// Notes that so many digits will be dialled to the leg of this name; without one to the trunk, else to the callee.
    ///
    /// # Errors
    /// When there is no such leg, it does not talk, is on hold, so that no media goes to it, or too many digits wait on it.
    pub(crate) fn reserve_digits(
        &mut self,
        now: Instant,
        name: Option<&str>,
        count: usize,
        duration: Duration,
    ) -> Result<LegId, OperatorError> {
        let answered = self.answered.is_some() && self.outcome.is_none();
        let talks = |leg: &super::Leg| answered && leg.signal == Signal::Up && leg.medium == Medium::Open;
        let leg = match name {
            Some(name) => self.legs.iter_mut().find(|leg| leg.name == name).ok_or(OperatorError::UnknownLeg)?,
            None => {
                let is_trunk = |leg: &super::Leg| matches!(leg.party, Party::Trunk { .. });
                let far = self.legs.iter().rposition(|leg| talks(leg) && is_trunk(leg));
                let far = far.or_else(|| self.legs.iter().rposition(talks));
                far.and_then(|far| self.legs.get_mut(far)).ok_or(OperatorError::NotConnected)?
            }
        };
        if !talks(leg) {
            return Err(OperatorError::NotConnected);
        }
        if leg.media.hold != Hold::None && leg.dtmf != Dtmf::Info {
            return Err(OperatorError::LegHeld);
        }
        while leg.dialled.pop_front_if(|over| *over <= now).is_some() {}
        if leg.dialled.len() + count > MAX_DIALLED {
            return Err(OperatorError::DigitsWaiting);
        }
        for _ in 0..count {
            let begins = leg.dialled.back().copied().unwrap_or(now);
            leg.dialled.push_back(begins + duration.max(SHORTEST) + BESIDE);
        }
        Ok(leg.id)
    }
}
