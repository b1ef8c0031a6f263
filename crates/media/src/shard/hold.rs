//! Hold (RFC 3264 §8.4), a state of each session that changes what the one it is joined with hears: music, and nothing of the holder's.

use std::time::Instant;

use super::Shard;
use crate::command::MediaSessionId;
use crate::event::{Event, Hears, Hold, MediaState};
use crate::leg::{Join, MediaSession};
use crate::sdp::Direction;

impl Shard {
    pub(super) fn hold(&mut self, now: Instant, session: MediaSessionId, hold: bool) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        leg.hold = Hold::new(hold, leg.hold.is_remote());
        leg.local.direction = if hold { Direction::Inactive } else { Direction::SendRecv };
        if !hold {
            leg.restart_silence(now);
        }
        self.settle(now, session);
    }

    /// Brings what a session and its counterpart play in line with who holds, and tells what changed.
    pub(super) fn settle(&mut self, now: Instant, session: MediaSessionId) {
        self.settle_one(now, session);
        match self.sessions.get(&session).map(|leg| leg.join) {
            Some(Join::Session(other)) => self.settle_one(now, other),
            Some(Join::Mix(mix)) => self.settle_mix(now, mix),
            Some(Join::Nothing | Join::Music | Join::Echo) | None => {}
        }
    }

    pub(super) fn settle_one(&mut self, now: Instant, session: MediaSessionId) {
        let Some(leg) = self.sessions.get(&session) else { return };
        if leg.is_link() {
            self.tell_link(session);
            return;
        }
        let hears = self.hears(session, leg);
        let music = self.config.music.clone();
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        match (hears == Hears::Music, leg.outgoing.has_music()) {
            (true, false) => leg.outgoing.play_music(now, music),
            (false, true) => leg.outgoing.new_source(now),
            (true, true) | (false, false) => {}
        }
        let state = MediaState { hold: leg.hold, hears, encryption: leg.wire.encryption() };
        if state != leg.watch.state_told {
            leg.watch.state_told = state;
            self.pending.events.push_back(Event::Changed { session, state });
        }
        self.schedule(now, session);
    }

    fn hears(&self, session: MediaSessionId, leg: &MediaSession) -> Hears {
        if leg.outgoing.target().is_none() || leg.hold.is_local() {
            return Hears::Nothing;
        }
        match leg.join {
            Join::Nothing if leg.outgoing.has_ringback() => Hears::Ringback,
            Join::Nothing => Hears::Nothing,
            Join::Echo => Hears::Party,
            Join::Mix(mix) => self.hears_in_mix(session, mix),
            Join::Music => Hears::Music,
            Join::Session(other) => match self.sessions.get(&other).map(|leg| leg.standing()) {
                Some(other) if other.holds => Hears::Music,
                Some(other) if other.speaks => Hears::Party,
                Some(_) | None => Hears::Nothing,
            },
        }
    }
}
