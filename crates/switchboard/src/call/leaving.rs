//! Who leaves a conference, or does not come: the others go on, two as a pair; one alone is not kept waiting.

use media::Command;
use sip::{Reason, StatusCode};

use super::action::{Action, Actions, CallTimer};
use super::conference::{Awaited, Conference};
use super::departure::Departure;
use super::facts::Facts;
use super::leg::LegId;
use super::reaching::Reaching;
use super::replacing::{self, Verdict};
use super::{Leg, State, referral};
use crate::output::TransferStatus;

impl Conference {
    /// One of those who talk does not any more.
    pub(super) fn leave(mut self, leg: LegId, departure: Departure, facts: &mut Facts, actions: &mut Actions) -> State {
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
    pub(super) fn dismiss(mut self, name: &str, facts: &mut Facts, actions: &mut Actions) -> State {
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
    pub(super) fn give_up(&mut self, reason: Option<&Reason>, facts: &mut Facts, actions: &mut Actions) {
        let status = StatusCode::REQUEST_TERMINATED;
        if let Some(Awaited { place: Some(transferor), .. }) = self.awaited {
            facts.settle_transfer(TransferStatus::Cancelled, status);
            referral::part(transferor, status, facts, actions);
        }
        self.let_go(status.code(), reason, facts, actions);
    }

    /// Nobody is awaited any more, for this reason.
    pub(super) fn let_go(&mut self, status: u16, reason: Option<&Reason>, facts: &mut Facts, actions: &mut Actions) {
        let Some(Awaited { reaching, place }) = self.awaited.take() else { return };
        Reaching::stop(actions);
        reaching.release(reason, facts, actions);
        if place.is_none() {
            facts.participant_failed(status);
        }
    }

    /// Media of a leg that takes the place of one of them.
    pub(super) fn on_newcomer(mut self, event: media::Event, facts: &mut Facts, actions: &mut Actions) -> State {
        let sdp = match Verdict::of(event) {
            Verdict::Answer(sdp) => sdp,
            Verdict::Refuse(status) => return self.turn_away(status, facts, actions),
            Verdict::Wait => return self.stay(),
        };
        let Some(replacing) = self.replacing.take() else { return self.stay() };
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::accept(replacing.new, sdp, facts, actions);
        let places = self.awaited.iter_mut().filter_map(|awaited| awaited.place.as_mut());
        for place in self.members.iter_mut().chain(places).filter(|leg| **leg == replacing.old) {
            *place = replacing.new;
        }
        match self.mix {
            Some(mix) => actions.push(Action::Media(Command::Mix { session: replacing.new.media(), mix })),
            None => self.pair(actions),
        }
        replacing::take_place(replacing, facts, actions);
        self.settle()
    }

    /// Whoever was to take a place does not. If the one whose place it is has left meanwhile, it has.
    pub(super) fn turn_away(mut self, status: StatusCode, facts: &mut Facts, actions: &mut Actions) -> State {
        let Some(replacing) = self.replacing.take() else { return self.stay() };
        actions.push(Action::ClearTimer(CallTimer::Place));
        replacing::reject(replacing.new, status, facts, actions);
        if facts.leg(replacing.old).is_some_and(Leg::is_over) {
            let departure = Departure::hung_up(facts, replacing.old, &[]);
            return self.leave(replacing.old, departure, facts, actions);
        }
        self.settle()
    }
}
