//! Conference: several talk, each hearing all others, or two who have asked somebody to join them. Whoever leaves leaves the others
//! talking: two as a pair, and one not at all. Nobody hears how it rings where somebody is asked.

use media::{Bandwidth, Command, MixId};
use sip::StatusCode;

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::connected::Connected;
use super::context::Context;
use super::departure::Departure;
use super::facts::Facts;
use super::joining::Unyielding;
use super::leg::LegId;
use super::modifying;
use super::participant::Adding;
use super::reaching::Reaching;
use super::replacing::{self, Replacing};

/// People talk, and somebody may be on their way to them.
pub(crate) struct Conference {
    /// Those who talk: two or more.
    pub(super) members: Vec<LegId>,
    /// Through which they hear each other; two without one are joined directly.
    pub(super) mix: Option<MixId>,
    /// Who is asked to come.
    pub(super) awaited: Option<Awaited>,
    /// A leg that is taking the place of one of them.
    pub(super) replacing: Option<Replacing>,
}

/// Somebody who is asked to come.
pub(super) struct Awaited {
    pub(super) reaching: Reaching,
    /// Whose place they take; `None` for one more.
    pub(super) place: Option<LegId>,
}

impl Conference {
    /// These talk to each other from now on.
    pub(super) fn of(talking: Vec<LegId>, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let mut conference = Self { members: talking, mix: None, awaited: None, replacing: None };
        conference.join_all(ctx, actions);
        conference.settle()
    }

    /// Somebody is asked to join two.
    pub(super) fn begin(
        before: Connected,
        adding: Adding,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        let members = before.pair().into_iter().flatten().collect();
        let conference = Self { members, mix: None, awaited: None, replacing: before.replacing };
        conference.add(adding, facts, ctx, actions)
    }

    /// Those who talk.
    pub(super) fn members(&self) -> &[LegId] {
        &self.members
    }

    /// Whether who talks is about to change.
    pub(super) fn is_changing(&self) -> bool {
        self.awaited.is_some() || self.replacing.is_some()
    }

    /// The extensions that ring, or are waited for.
    pub(super) fn phones(&self) -> &[String] {
        self.awaited.as_ref().map_or(&[], |awaited| awaited.reaching.phones())
    }

    /// Whether an INVITE may take a leg's place now.
    pub(super) fn check_replaceable(&self, leg: LegId) -> Result<(), StatusCode> {
        match (self.members.contains(&leg), &self.replacing, &self.awaited) {
            (true, None, _) => Ok(()),
            (true, Some(_), _) | (false, _, Some(_)) => Err(StatusCode::REQUEST_PENDING),
            (false, _, None) => Err(StatusCode::DECLINE),
        }
    }

    /// Whether a leg has somebody to give up.
    pub(super) fn yields(&self, agent: LegId) -> Result<(), Unyielding> {
        match (self.members.contains(&agent), self.is_changing()) {
            (false, _) => Err(Unyielding::Gone),
            (true, true) => Err(Unyielding::Busy),
            (true, false) => Ok(()),
        }
    }

    pub(super) fn on(
        mut self,
        event: CallEvent,
        facts: &mut Facts,
        ctx: &mut Context<'_>,
        actions: &mut Actions,
    ) -> State {
        if let Some((leg, departure)) = Departure::of(&event, facts).filter(|(leg, _)| self.members.contains(leg)) {
            return match self.replacing {
                // Its place is taken in a moment.
                Some(replacing) if replacing.old == leg => self.stay(),
                Some(_) | None => self.leave(leg, departure, facts, actions),
            };
        }
        match event {
            CallEvent::Replace(replacement) => {
                // Whoever comes takes what each of them can be sent.
                self.replacing = Some(replacing::begin(*replacement, Bandwidth::Full, facts, ctx, actions));
                actions.push(Action::SetTimer(CallTimer::Place, MEDIA_TIMEOUT));
            }
            CallEvent::Media { leg, event } if self.replacing.is_some_and(|it| it.new == leg) => {
                return self.on_newcomer(event, facts, actions);
            }
            CallEvent::Timer(CallTimer::Place) => {
                return self.turn_away(StatusCode::SERVER_INTERNAL_ERROR, facts, actions);
            }
            CallEvent::Bye { leg, .. } | CallEvent::SessionOver { leg } | CallEvent::FlowLost { leg }
                if self.replacing.is_some_and(|it| it.new == leg) =>
            {
                return self.turn_away(StatusCode::REQUEST_TERMINATED, facts, actions);
            }
            CallEvent::Change { leg, change } if self.members.contains(&leg) => {
                modifying::on(leg, change, self.members.as_slice(), facts, actions);
            }
            CallEvent::Change { leg, change } => modifying::untimely(leg, &change, actions),
            CallEvent::Timer(CallTimer::Change) => modifying::overdue(self.members.as_slice(), facts, actions),
            CallEvent::Media { leg, event } if self.members.contains(&leg) => {
                return self.on_media(leg, event, facts, actions);
            }
            CallEvent::Digit { leg, digit, duration } => facts.press(leg, digit, duration, actions),
            CallEvent::Dial { leg, digits, duration } => facts.dial(leg, &digits, duration, actions),
            CallEvent::Transfer(transfer) => return self.hand_on(*transfer, facts, ctx, actions),
            CallEvent::Join(joining) => return self.join(*joining, facts, ctx, actions),
            CallEvent::Add(adding) => return self.add(*adding, facts, ctx, actions),
            CallEvent::Dismiss { name } => return self.dismiss(&name, facts, actions),
            CallEvent::Hangup => {
                let departure = Departure::by_operator();
                self.give_up(Some(&departure.reason), facts, actions);
                return departure.end(facts, actions);
            }
            CallEvent::Cancelled { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Consult(_)
            | CallEvent::Notified { .. } => {}
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Answered { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Bye { .. }
            | CallEvent::SessionOver { .. }
            | CallEvent::NoAck { .. }
            | CallEvent::Lost { .. }
            | CallEvent::FlowLost { .. }
            | CallEvent::Media { .. }
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_) => return self.reach(event, facts, ctx, actions),
        }
        self.stay()
    }

    /// Media of one who talks.
    fn on_media(self, leg: LegId, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        let Some(event) = modifying::of_shard(leg, event, self.members.as_slice(), facts, actions) else {
            return self.stay();
        };
        if let Some(departure) = Departure::of_media(leg, &event, facts) {
            return self.leave(leg, departure, facts, actions);
        }
        if let media::Event::Digit { digit, duration, .. } = event {
            for other in self.members.iter().copied().filter(|other| *other != leg) {
                facts.pass_on(leg, Some(other), digit, duration, actions);
            }
        }
        self.stay()
    }

    /// Joins all of them anew.
    pub(super) fn join_all(&mut self, ctx: &mut Context<'_>, actions: &mut Actions) {
        if self.members.len() > 2 {
            let mix = *self.mix.insert(MixId(ctx.ids.next()));
            let mixed = self.members.iter().map(|leg| Action::Media(Command::Mix { session: leg.media(), mix }));
            actions.extend(mixed);
        } else {
            self.pair(actions);
        }
    }

    /// Joins two directly: nothing is to be mixed.
    pub(super) fn pair(&mut self, actions: &mut Actions) {
        self.mix = None;
        if let [a, b] = self.members.as_slice() {
            actions.push(Action::Media(Command::Bridge { a: a.media(), b: b.media() }));
        }
    }

    pub(super) fn stay(self) -> State {
        State::Conference(Box::new(self))
    }

    /// Two who wait for nobody are a call like any other.
    pub(super) fn settle(self) -> State {
        match (self.members.as_slice(), &self.awaited) {
            ([near, far], None) => State::Connected(Connected {
                near: *near,
                far: Some(*far),
                answer_owed: false,
                replacing: self.replacing,
            }),
            (_, _) => self.stay(),
        }
    }
}
