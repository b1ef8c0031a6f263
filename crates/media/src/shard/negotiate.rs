//! Descriptions exchanged with a session's peer. The first offer is taken at once; a later one changes nothing before its answer is sent,
//! and one of ours nothing before it is answered, so that a change that fails leaves the session as it was (RFC 6141).

use std::time::Instant;

use super::Shard;
use crate::command::{Bandwidth, MediaSessionId};
use crate::event::Event;
use crate::leg::{MediaSession, Proposed, Wire};
use crate::sdp::{
    Direction, LocalKeying, LocalMedia, Negotiated, SdpError, accept_answer, create_answer, create_offer,
};

impl Shard {
    /// The session of a command about descriptions, when it can make any.
    fn describable(&mut self, session: MediaSessionId) -> Option<&mut MediaSession> {
        if !self.sessions.contains_key(&session) {
            self.fail(session, "no such media session");
            return None;
        }
        // The failure of one without a port has been told when that was refused.
        let leg = self.sessions.get_mut(&session).map(|leg| &mut **leg);
        leg.filter(|leg| !matches!(&leg.wire, Wire::Plain(plain) if plain.port.is_none()))
    }

    pub(super) fn create_offer(&mut self, session: MediaSessionId, bandwidth: Bandwidth) {
        let Some(leg) = self.describable(session) else { return };
        let mut local = LocalMedia { bandwidth, ..leg.local.clone() };
        let sdp = create_offer(&mut local);
        leg.proposed = Some(Box::new(Proposed::Offer(local)));
        self.pending.events.push_back(Event::LocalDescription { session, sdp, codec: None });
    }

    pub(super) fn handle_offer(&mut self, now: Instant, session: MediaSessionId, sdp: &[u8], bandwidth: Bandwidth) {
        let Some(leg) = self.describable(session) else { return };
        let local = LocalMedia { bandwidth, ..leg.local.clone() };
        let (local, answer, negotiated) = match self.answered(session, local, sdp) {
            Ok(answered) => answered,
            Err(error) => {
                self.pending.events.push_back(Event::Rejected { session, reason: error.to_string() });
                return;
            }
        };
        let codec = Some(negotiated.codec);
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        let is_first = leg.agreed.is_none();
        leg.proposed = Some(Box::new(Proposed::Answer(local, Box::new(negotiated))));
        if is_first {
            self.adopt(now, session);
        }
        self.pending.events.push_back(Event::LocalDescription { session, sdp: answer, codec });
    }

    /// Our answer to an offer; with ICE credentials of its own when the offer restarts ICE (RFC 8839 §4.4.1.1.1).
    fn answered(
        &mut self,
        session: MediaSessionId,
        before: LocalMedia,
        offer: &[u8],
    ) -> Result<(LocalMedia, Vec<u8>, Negotiated), SdpError> {
        let mut local = before.clone();
        let mut answer = create_answer(&mut local, offer)?;
        let peer = answer.negotiated.as_ref().and_then(|negotiated| negotiated.peer.as_ref());
        let wire = self.sessions.get(&session).map(|leg| &leg.wire);
        let restarts = matches!((wire, peer), (Some(Wire::Secure(secure)), Some(peer)) if secure.is_restarted_by(peer));
        if restarts {
            local = before;
            let credentials = self.ice_credentials();
            if let LocalKeying::DtlsSrtp { ufrag, pwd, .. } = &mut local.keying {
                (*ufrag, *pwd) = credentials;
            }
            answer = create_answer(&mut local, offer)?;
        }
        let negotiated = match answer.negotiated {
            Some(negotiated) => negotiated,
            // The stream is switched off: what is known of it stays for when it is switched on again.
            None => {
                let agreed = self.sessions.get(&session).and_then(|leg| leg.agreed.as_deref());
                let agreed = agreed.cloned().ok_or(SdpError::NoAudio)?;
                Negotiated { direction: Direction::Inactive, peer_receives: false, ..agreed }
            }
        };
        Ok((local, answer.sdp, negotiated))
    }

    pub(super) fn handle_answer(&mut self, now: Instant, session: MediaSessionId, sdp: &[u8]) {
        let Some(leg) = self.sessions.get_mut(&session) else {
            self.fail(session, "no such media session");
            return;
        };
        // A second answer (the 200 after a 183) is to the offer that is in force already.
        let mut local = match leg.proposed.as_deref() {
            Some(Proposed::Offer(local)) => local.clone(),
            Some(Proposed::Answer(..)) | None => leg.local.clone(),
        };
        match accept_answer(&mut local, sdp) {
            Ok(negotiated) => {
                leg.proposed = None;
                let codec = negotiated.codec;
                self.take(now, session, local, Box::new(negotiated), false);
                self.pending.events.push_back(Event::Negotiated { session, codec });
            }
            Err(error) => self.pending.events.push_back(Event::Rejected { session, reason: error.to_string() }),
        }
    }

    /// Our answer was sent.
    pub(super) fn adopt(&mut self, now: Instant, session: MediaSessionId) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        match leg.proposed.take().map(|proposed| *proposed) {
            Some(Proposed::Answer(local, negotiated)) => self.take(now, session, local, negotiated, true),
            proposed @ (Some(Proposed::Offer(_)) | None) => leg.proposed = proposed.map(Box::new),
        }
    }

    /// What was agreed on is in force.
    fn take(
        &mut self,
        now: Instant,
        session: MediaSessionId,
        local: LocalMedia,
        negotiated: Box<Negotiated>,
        by_peer: bool,
    ) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        if let (Wire::Secure(secure), LocalKeying::DtlsSrtp { ufrag, pwd, .. }) = (&mut leg.wire, &local.keying)
            && local.keying != leg.local.keying
        {
            secure.restart_ice(ufrag.clone(), pwd.clone());
            self.routes.ufrags.insert(ufrag.clone(), session);
        }
        // Held from our side meanwhile, or no longer: the next description says so.
        let direction = leg.local.direction;
        leg.local = local;
        leg.agree(now, negotiated, by_peer);
        leg.local.direction = direction;
        leg.news(now, session, &mut self.pending.events);
        self.settle(now, session);
    }
}
