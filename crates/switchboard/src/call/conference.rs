//! Conference: several talk, each hearing all others, or two who have asked somebody to join them. Whoever leaves leaves the others
//! talking: two as a pair, and one not at all. Nobody hears how it rings where somebody is asked.

use media::{Bandwidth, Command, MixId};
use sip::{Reason, StatusCode};

use super::State;
use super::action::{Action, Actions, CallEvent, CallTimer};
use super::answering::MEDIA_TIMEOUT;
use super::cause::Failure;
use super::connected::Connected;
use super::departure::Departure;
use super::ending::Ending;
use super::facts::{Context, Facts};
use super::joining::{Brought, Unyielding, take_in};
use super::leg::LegId;
use super::modifying;
use super::participant::{Adding, Whom};
use super::reaching::{Reach, Reaching};
use super::replacing::{self, Replacing, Verdict};

/// People talk, and somebody may be on their way to them.
pub(crate) struct Conference {
    /// Those who talk: two or more.
    members: Vec<LegId>,
    /// Through which they hear each other; two without one are joined directly.
    mix: Option<MixId>,
    /// Who is asked to join them.
    awaited: Option<Reaching>,
    /// A leg that is taking the place of one of them.
    replacing: Option<Replacing>,
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
        self.awaited.as_ref().map_or(&[], Reaching::phones)
    }

    /// Whether an INVITE may take a leg's place now.
    pub(super) fn check_replaceable(&self, leg: LegId) -> Result<(), StatusCode> {
        match (self.members.contains(&leg), self.is_changing()) {
            (true, false) => Ok(()),
            (true, true) if self.replacing.is_none() => Ok(()),
            (true, true) | (false, true) => Err(StatusCode::REQUEST_PENDING),
            (false, false) => Err(StatusCode::DECLINE),
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
            CallEvent::Add(adding) => return self.add(*adding, facts, ctx, actions),
            CallEvent::Dismiss { name } => return self.dismiss(&name, facts, actions),
            CallEvent::Hangup => {
                self.give_up(None, facts, actions);
                return Ending::by_operator(facts, actions);
            }
            CallEvent::Cancelled { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(_)
            | CallEvent::Join(_)
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
}

/// Who comes.
impl Conference {
    /// Somebody is asked to join, or brought.
    fn add(mut self, adding: Adding, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let Adding { name, seeker, whom } = adding;
        facts.await_participant(name, seeker.dialled.clone());
        // Each one asked is a hop: calls that ask each other for ever end like any loop (RFC 3261 §16.3).
        let hops = facts.max_forwards.checked_sub(1);
        facts.max_forwards = hops.unwrap_or(0);
        match whom {
            Whom::Called(steps) => {
                let too_often = || Failure::new(483, "Too many were asked to join the call.");
                let steps = if hops.is_some() { steps } else { Err(too_often()) };
                self.awaited = Some(Reaching::new(seeker, steps));
                self.reach(CallEvent::Start, facts, ctx, actions)
            }
            Whom::Brought(Brought::Ringing(hunt, legs)) => {
                facts.legs.extend(legs);
                let mut hunt = *hunt;
                hunt.seek_for(seeker, facts, actions);
                self.awaited = Some(Reaching::hunting(hunt));
                self.stay()
            }
            Whom::Brought(Brought::Talking(legs)) => {
                for leg in take_in(legs, facts, actions) {
                    facts.participant_joined(leg);
                    self.admit(leg, ctx, actions);
                }
                self.settle()
            }
        }
    }

    /// What happens where somebody is asked.
    fn reach(mut self, event: CallEvent, facts: &mut Facts, ctx: &mut Context<'_>, actions: &mut Actions) -> State {
        let Some(reaching) = &mut self.awaited else { return self.stay() };
        let failure = match reaching.on(event, facts, ctx, actions) {
            Reach::Stay => return self.stay(),
            Reach::Reached { target } => {
                Reaching::stop(actions);
                self.awaited = None;
                facts.participant_joined(target);
                self.admit(target, ctx, actions);
                return self.settle();
            }
            Reach::Echo => Failure::new(488, "The echo test joins nobody."),
            Reach::Failed(failure) => failure,
            Reach::Abandoned => Failure::new(487, "Nobody waits any more."),
        };
        self.give_up_for(failure.status, None, facts, actions);
        self.settle()
    }

    /// One more talks.
    fn admit(&mut self, leg: LegId, ctx: &mut Context<'_>, actions: &mut Actions) {
        self.members.push(leg);
        match self.mix {
            Some(mix) => actions.push(Action::Media(Command::Mix { session: leg.media(), mix })),
            None => self.join_all(ctx, actions),
        }
    }

    /// Joins all of them anew.
    fn join_all(&mut self, ctx: &mut Context<'_>, actions: &mut Actions) {
        if self.members.len() > 2 {
            let mix = *self.mix.insert(MixId(ctx.ids.next()));
            let mixed = self.members.iter().map(|leg| Action::Media(Command::Mix { session: leg.media(), mix }));
            actions.extend(mixed);
        } else {
            self.pair(actions);
        }
    }

    /// Joins two directly: nothing is to be mixed.
    fn pair(&mut self, actions: &mut Actions) {
        self.mix = None;
        if let [a, b] = self.members.as_slice() {
            actions.push(Action::Media(Command::Bridge { a: a.media(), b: b.media() }));
        }
    }

    fn stay(self) -> State {
        State::Conference(Box::new(self))
    }

    /// Two who wait for nobody are a call like any other.
    fn settle(self) -> State {
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

/// Who goes.
impl Conference {
    /// One of those who talk does not any more.
    fn leave(mut self, leg: LegId, departure: Departure, facts: &mut Facts, actions: &mut Actions) -> State {
        facts.release(leg, Some(departure.reason.clone()), actions);
        self.members.retain(|member| *member != leg);
        if self.members.len() < 2 {
            self.give_up(Some(&departure.reason), facts, actions);
            return departure.end(facts, actions);
        }
        if self.members.len() == 2 && self.mix.is_some() {
            self.pair(actions);
        }
        self.settle()
    }

    /// An operator lets somebody go.
    fn dismiss(mut self, name: &str, facts: &mut Facts, actions: &mut Actions) -> State {
        if facts.awaits_participant(name) {
            self.give_up(Some(&Reason::q850(16, "Not asked to join any more")), facts, actions);
            return self.settle();
        }
        let named = |leg: &LegId| facts.leg(*leg).is_some_and(|leg| leg.name == name);
        match self.members.iter().copied().find(named) {
            Some(leg) => self.leave(leg, Departure::by_operator(), facts, actions),
            None => self.stay(),
        }
    }

    /// Whoever is asked need not come any more.
    fn give_up(&mut self, reason: Option<&Reason>, facts: &mut Facts, actions: &mut Actions) {
        self.give_up_for(StatusCode::REQUEST_TERMINATED.code(), reason, facts, actions);
    }

    fn give_up_for(&mut self, status: u16, reason: Option<&Reason>, facts: &mut Facts, actions: &mut Actions) {
        let Some(reaching) = self.awaited.take() else { return };
        Reaching::stop(actions);
        reaching.release(reason, facts, actions);
        facts.participant_failed(status);
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

    /// Media of a leg that takes the place of one of them.
    fn on_newcomer(mut self, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        let sdp = match Verdict::of(event) {
            Verdict::Answer(sdp) => sdp,
            Verdict::Refuse(status) => return self.turn_away(status, facts, actions),
            Verdict::Wait => return self.stay(),
        };
        let Some(replacing) = self.replacing.take() else { return self.stay() };
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::accept(replacing.new, sdp, facts, actions);
        self.members.iter_mut().filter(|leg| **leg == replacing.old).for_each(|leg| *leg = replacing.new);
        match self.mix {
            Some(mix) => actions.push(Action::Media(Command::Mix { session: replacing.new.media(), mix })),
            None => self.pair(actions),
        }
        replacing::take_place(replacing, facts, actions);
        self.settle()
    }

    /// Whoever was to take a place does not. If the one whose place it is has left meanwhile, it has.
    fn turn_away(mut self, status: StatusCode, facts: &mut Facts, actions: &mut Actions) -> State {
        let Some(replacing) = self.replacing.take() else { return self.stay() };
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::reject(replacing.new, status, facts, actions);
        if facts.leg(replacing.old).is_some_and(super::Leg::is_over) {
            let departure = Departure::hung_up(facts, replacing.old, &[]);
            return self.leave(replacing.old, departure, facts, actions);
        }
        self.settle()
    }
}
