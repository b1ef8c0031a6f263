//! Mixes of sessions: who is in which, who of them is heard, and their clock.

use std::cmp::Reverse;
use std::time::Instant;

use smallvec::SmallVec;

use super::Shard;
use crate::command::{MediaSessionId, MixId};
use crate::dtmf::Heard;
use crate::event::Hears;
use crate::leg::{Far, Join, Wire};
use crate::link::Standing;
use crate::mix::{Intake, Mix};

impl Shard {
    /// Takes a session into a mix.
    pub(super) fn mix(&mut self, now: Instant, session: MediaSessionId, id: MixId) {
        let Some(leg) = self.sessions.get(&session) else { return };
        if leg.join == Join::Mix(id) {
            return;
        }
        // Before it joins, so that it is never joined with what it is not in.
        if !self.mixes.entry(id).or_insert_with(Mix::new).add(session) {
            self.join(now, session, Join::Nothing);
            self.fail(session, "the mix is full");
            return;
        }
        if let Some(leg) = self.sessions.get_mut(&session)
            && let Wire::Link(link) = &leg.wire
            && let Some(codec) = link.beyond.codec
        {
            leg.outgoing.follow(now, codec);
        }
        self.join(now, session, Join::Mix(id));
    }

    /// A session that was in a mix is joined otherwise already.
    pub(super) fn leave(&mut self, now: Instant, session: MediaSessionId, id: MixId) {
        self.silence(now, session, id);
        let Some(mix) = self.mixes.get_mut(&id) else { return };
        mix.remove(session);
        if mix.is_empty() {
            self.mixes.remove(&id);
        } else {
            self.settle_mix(now, id);
        }
    }

    /// Brings all of a mix in line with who is in it and who holds.
    pub(super) fn settle_mix(&mut self, now: Instant, id: MixId) {
        let Some(mix) = self.mixes.get_mut(&id) else { return };
        let starts = mix.set_running(now);
        self.beats.extend(starts.map(|first| Reverse((first, id))));
        let mut place = 0;
        while let Some(session) = self.mixes.get(&id).and_then(|mix| mix.member(place)) {
            // The mix's time stood still while somebody was alone in it.
            if let Some(leg) = self.sessions.get_mut(&session).filter(|_| starts.is_some()) {
                leg.outgoing.new_source(now);
            }
            self.settle_ear(now, session, id);
            self.settle_one(now, session);
            if let (Some(leg), Some(mix)) = (self.sessions.get(&session), self.mixes.get_mut(&id)) {
                mix.note_rate(place, leg.rate());
            }
            place += 1;
        }
    }

    /// A member is heard while it is not held and there is somebody to hear it.
    fn settle_ear(&mut self, now: Instant, session: MediaSessionId, id: MixId) {
        let Some(last) = self.mixes.get(&id).map(Mix::last) else { return };
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        match last.filter(|_| !leg.is_held()) {
            Some(last) => {
                let (rate, jitter) = (leg.rate(), leg.ingress.reception.jitter());
                let intake = || Box::new(Intake::new(now, last, rate, jitter));
                leg.ingress.intake.get_or_insert_with(intake).set_widest(rate);
            }
            None => self.silence(now, session, id),
        }
    }

    /// Nothing of a member is heard any more; a key of its that is down comes up for the others.
    fn silence(&mut self, now: Instant, session: MediaSessionId, id: MixId) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        if leg.ingress.intake.take().is_none() || !leg.ingress.keypad.is_pressed() {
            return;
        }
        let Some(mix) = self.mixes.get(&id) else { return };
        for other in mix.others(session) {
            if let Some(other) = self.sessions.get_mut(&other) {
                other.outgoing.digits.let_go(now);
            }
        }
    }

    /// What a member hears when it is neither held by us nor without a way to be sent anything.
    pub(super) fn hears_in_mix(&self, session: MediaSessionId, id: MixId) -> Hears {
        let Some(mix) = self.mixes.get(&id) else { return Hears::Nothing };
        let mut others = mix.others(session).filter_map(|other| self.sessions.get(&other)).peekable();
        if others.peek().is_none() {
            Hears::Nothing
        } else if others.all(|leg| leg.is_held()) {
            Hears::Music
        } else {
            Hears::Party
        }
    }

    /// How a mix stands for a session of another shard, for which the end of a link is in it.
    pub(super) fn standing_of_mix(&self, session: MediaSessionId, id: MixId) -> Standing {
        let hears = self.hears_in_mix(session, id);
        Standing { holds: hears == Hears::Music, speaks: hears == Hears::Party, ..Standing::NOBODY }
    }

    /// Passes the keys of a member on to the others, as across a bridge.
    pub(super) fn pass_keys(&mut self, now: Instant, session: MediaSessionId, id: MixId, keys: &[Heard]) {
        let is_heard = self.sessions.get(&session).is_some_and(|leg| !leg.is_held());
        let mut place = 0;
        while let Some(other) = self.mixes.get(&id).and_then(|mix| mix.member(place)).filter(|_| is_heard) {
            place += 1;
            let Some(leg) = self.sessions.get_mut(&other).filter(|leg| other != session && !leg.is_held()) else {
                continue;
            };
            for key in keys {
                let mut far = Far { outgoing: &mut leg.outgoing, wire: &mut leg.wire };
                far.take_key(now, *key, &mut self.sink);
            }
            self.schedule(now, other);
        }
    }

    /// Takes a turn of each mix that is due. One that has another due is looked at again after whatever has arrived meanwhile.
    pub(super) fn handle_beats(&mut self, now: Instant) {
        let mut next = SmallVec::<[_; 4]>::new();
        while let Some(Reverse((at, id))) = self.beats.peek().copied() {
            if at > now {
                break;
            }
            self.beats.pop();
            if self.mixes.get(&id).and_then(Mix::next) == Some(at) {
                self.beat(now, id);
                next.extend(self.mixes.get(&id).and_then(Mix::next).map(|at| Reverse((at, id))));
            }
        }
        self.beats.extend(next);
    }

    /// One turn: all members are heard, and then all are told.
    fn beat(&mut self, now: Instant, id: MixId) {
        let Self { mixes, sessions, sink, .. } = self;
        let Some(mix) = mixes.get_mut(&id) else { return };
        let Some(beat) = mix.take_beat(now) else { return };
        let mut place = 0;
        while let Some(session) = mix.member(place) {
            let intake = sessions.get_mut(&session).and_then(|leg| leg.ingress.intake.as_deref_mut());
            mix.hear(beat, place, intake);
            place += 1;
        }
        place = 0;
        while let Some(session) = mix.member(place) {
            // Who holds is sent nothing, by us or by its own wish.
            if let Some(leg) = sessions.get_mut(&session).filter(|leg| !leg.is_held()) {
                mix.tell(now, place, leg, sink);
            }
            place += 1;
        }
    }
}
