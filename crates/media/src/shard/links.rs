//! Links to other shards: what comes from there, and what those are told of how a session here stands.

use std::time::Instant;

use super::Shard;
use crate::command::{Codec, MediaSessionId};
use crate::leg::{Join, Wire, link_terms};
use crate::link::{LinkContent, Standing};

impl Shard {
    /// Takes what another shard had for a session of this one. What comes for one that is not there, or not yet, is dropped: an end that
    /// is opened asks anew.
    pub fn handle_link(&mut self, now: Instant, session: MediaSessionId, content: LinkContent) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        let Wire::Link(link) = &mut leg.wire else { return };
        match content {
            LinkContent::Rtp(packet) => {
                let discarded = leg.discarded();
                if let Some(clear) = leg.admit(now, packet, &mut self.sink) {
                    self.relay(now, session, clear);
                }
                let discarded_now = self.sessions.get(&session).map_or(discarded, |leg| leg.discarded());
                self.counters.packets_discarded += discarded_now - discarded;
                self.schedule(now, session);
            }
            LinkContent::Opened(standing) => {
                link.repeat(&mut self.sink);
                self.take_standing(now, session, standing);
            }
            LinkContent::Standing(standing) => self.take_standing(now, session, standing),
        }
    }

    fn take_standing(&mut self, now: Instant, session: MediaSessionId, standing: Standing) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        let Wire::Link(link) = &mut leg.wire else { return };
        link.beyond = standing;
        // What one session says is relayed as it is; only what is made here is best made as it is wanted there.
        if let (Some(codec), false) = (standing.codec, matches!(leg.join, Join::Session(_))) {
            leg.outgoing.follow(now, codec);
        }
        self.settle(now, session);
    }

    /// A link's end needs no agreement.
    pub(super) fn begin_link(&mut self, now: Instant, session: MediaSessionId) {
        let Some(leg) = self.sessions.get_mut(&session).filter(|leg| leg.is_link()) else { return };
        let codec = leg.local.codecs.first().copied().unwrap_or(Codec::Pcmu);
        leg.agree(now, Box::new(link_terms(codec)), false);
    }

    /// Tells the other end of a link how the session stands that is joined with this end.
    pub(super) fn tell_link(&mut self, session: MediaSessionId) {
        let standing = match self.sessions.get(&session).map(|leg| leg.join) {
            Some(Join::Session(other)) => self.sessions.get(&other).map(|leg| leg.standing()),
            Some(Join::Mix(mix)) => Some(self.standing_of_mix(session, mix)),
            Some(Join::Nothing | Join::Music | Join::Echo) | None => None,
        };
        if let Some(Wire::Link(link)) = self.sessions.get_mut(&session).map(|leg| &mut leg.wire) {
            link.tell(standing.unwrap_or(Standing::NOBODY), &mut self.sink);
        }
    }
}
