//! What arrives and what falls due: packets found their session, relayed to the one it is joined with, in the same turn.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Instant;

use super::Shard;
use crate::command::{Event, MediaSessionId, SocketId};
use crate::dtmf::Heard;
use crate::keying::stun_username;
use crate::leg::{Far, Join, MediaSession, Turn, Wire, relay_packet, relay_timeout};
use crate::rtp::RtpView;

/// Addresses remembered for browser legs; each session validates a few at most, so this is never the limit of honest use.
const MAX_ADDRESSES: usize = 100_000;

/// By what a packet's session was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FoundBy {
    Port,
    /// A STUN check's: the only packets that make an address known.
    Ufrag,
    Address,
}

impl Shard {
    /// Takes a packet from one of the sockets.
    pub fn handle_packet(&mut self, now: Instant, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.counters.packets_received += 1;
        let Some((id, found_by)) = self.owner(socket, from, packet) else {
            self.counters.packets_discarded += 1;
            return;
        };
        let Some(leg) = self.sessions.get_mut(&id) else { return };
        let discarded = leg.discarded();
        let clear = leg.receive(now, socket, from, packet, &mut self.sink);
        leg.news(id, &mut self.pending.events);
        if found_by == FoundBy::Ufrag {
            let validated = matches!(&leg.wire, Wire::Secure(secure) if secure.has_validated(from));
            if validated && self.routes.addresses.len() < MAX_ADDRESSES {
                self.routes.addresses.insert(from, id);
            }
        }
        if let Some(clear) = clear {
            if let Ok(view) = RtpView::parse(&clear) {
                self.with_turn(now, id, |ingress, turn| relay_packet(ingress, &view, turn));
            }
            self.sink.recycle(clear);
        }
        let discarded_now = self.sessions.get(&id).map_or(discarded, MediaSession::discarded);
        self.counters.packets_discarded += discarded_now - discarded;
        self.schedule(now, id);
    }

    /// Whose a packet is: a trunk's port names its leg; on the shared port a STUN check's ufrag does, and later the address.
    fn owner(&self, socket: SocketId, from: SocketAddr, packet: &[u8]) -> Option<(MediaSessionId, FoundBy)> {
        if socket != SocketId::BROWSERS {
            return self.routes.ports.get(&socket).map(|owner| (owner.0, FoundBy::Port));
        }
        // Checks are looked up by name always: the same address may begin another call.
        if matches!(packet.first(), Some(0..=3)) {
            return self.routes.ufrags.get(&stun_username(packet)?).map(|id| (*id, FoundBy::Ufrag));
        }
        self.routes.addresses.get(&from).map(|id| (*id, FoundBy::Address))
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(leg) = self.sessions.get_mut(&id) else { continue };
            if leg.scheduled != Some(at) {
                continue;
            }
            leg.scheduled = None;
            leg.handle_timeout(now, &mut self.sink);
            leg.news(id, &mut self.pending.events);
            if leg.falls_silent(now) {
                self.pending.events.push_back(Event::Silent { session: id });
            }
            self.with_turn(now, id, relay_timeout);
            self.schedule(now, id);
        }
    }

    /// Runs one turn of a session's ear, with the mouth it is joined to at hand.
    fn with_turn(&mut self, now: Instant, id: MediaSessionId, turn: impl FnOnce(&mut crate::leg::Ingress, Turn<'_>)) {
        let join = self.sessions.get(&id).map(|leg| leg.join);
        let mut heard = Vec::new();
        let sink = &mut self.sink;
        match join {
            None => {}
            Some(Join::Nothing) => {
                if let Some(leg) = self.sessions.get_mut(&id) {
                    turn(&mut leg.ingress, Turn { now, far: None, sink, heard: &mut heard });
                }
            }
            Some(Join::Echo) => {
                if let Some(MediaSession { ingress, outgoing, wire, .. }) = self.sessions.get_mut(&id) {
                    turn(ingress, Turn { now, far: Some(Far { outgoing, wire }), sink, heard: &mut heard });
                }
            }
            Some(Join::Session(other)) => {
                if let [Some(near), far] = self.sessions.get_disjoint_mut([&id, &other]) {
                    let far = far.map(|far| Far { outgoing: &mut far.outgoing, wire: &mut far.wire });
                    turn(&mut near.ingress, Turn { now, far, sink, heard: &mut heard });
                }
                if !heard.is_empty() {
                    self.schedule(now, other);
                }
            }
        }
        for heard in heard {
            if let Heard::Released(digit, duration) = heard {
                self.pending.events.push_back(Event::Digit { session: id, digit, duration });
            }
        }
    }
}
