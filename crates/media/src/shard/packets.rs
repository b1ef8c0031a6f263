//! What arrives and what falls due: packets found their session, relayed to the one it is joined with, in the same turn.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;

use super::{Routes, Shard};
use crate::command::{MediaSessionId, SocketId};
use crate::dtmf::Heard;
use crate::event::{Event, Hold};
use crate::keying::stun_username;
use crate::leg::{Far, Join, MediaSession, Turn, Wire, relay_packet, relay_timeout};
use crate::rtp::RtpView;

/// By what a packet's session was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FoundBy {
    Port,
    /// A STUN check's: the only packets that make an address known.
    Ufrag,
    Address,
}

impl Routes {
    /// Remembers where a session's check came from if it was valid, and forgets the addresses ICE has given up: no session is found at
    /// more of them than ICE itself keeps.
    fn learn(&mut self, id: MediaSessionId, from: SocketAddr, leg: &mut MediaSession) {
        let Wire::Secure(secure) = &leg.wire else { return };
        if !secure.has_validated(from) {
            return;
        }
        self.addresses.insert(from, id);
        if !leg.found_at.contains(&from) {
            leg.found_at.push(from);
        }
        leg.found_at.retain(|address| {
            let is_kept = secure.has_validated(*address);
            if !is_kept {
                self.forget(id, *address);
            }
            is_kept
        });
    }

    /// Forgets an address of a session, unless another has begun there.
    pub(super) fn forget(&mut self, id: MediaSessionId, address: SocketAddr) {
        if self.addresses.get(&address) == Some(&id) {
            self.addresses.remove(&address);
        }
    }
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
        leg.news(now, id, &mut self.pending.events);
        if found_by == FoundBy::Ufrag {
            self.routes.learn(id, from, leg);
            if let Wire::Secure(secure) = &mut leg.wire {
                while let Some(ufrag) = secure.take_retired_ufrag() {
                    self.routes.ufrags.remove(&ufrag);
                }
            }
        }
        if let Some(clear) = clear {
            self.relay(now, id, clear);
        }
        let discarded_now = self.sessions.get(&id).map_or(discarded, |leg| leg.discarded());
        self.counters.packets_discarded += discarded_now - discarded;
        self.schedule(now, id);
    }

    /// Gives a session's packet, in the clear, to whoever it is joined with.
    pub(super) fn relay(&mut self, now: Instant, id: MediaSessionId, clear: BytesMut) {
        if let Ok(view) = RtpView::parse(&clear) {
            self.with_turn(now, id, |ingress, turn| relay_packet(ingress, &view, turn));
        }
        self.sink.recycle(clear);
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
        self.handle_beats(now);
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
            leg.news(now, id, &mut self.pending.events);
            if leg.falls_silent(now) {
                self.pending.events.push_back(Event::Silent { session: id });
            }
            self.with_turn(now, id, relay_timeout);
            self.schedule(now, id);
        }
    }

    /// Runs one turn of a session's ear, with the mouth it is joined to at hand.
    pub(super) fn with_turn(
        &mut self,
        now: Instant,
        id: MediaSessionId,
        turn: impl FnOnce(&mut crate::leg::Ingress, Turn<'_>),
    ) {
        let join = self.sessions.get_mut(&id).map(|leg| {
            leg.ingress.keypad.expect_echo(leg.outgoing.sounded());
            leg.join
        });
        let (mut heard, mut rouses) = (Vec::new(), false);
        let sink = &mut self.sink;
        match join {
            None => {}
            Some(Join::Nothing | Join::Music) => {
                if let Some(leg) = self.sessions.get_mut(&id) {
                    turn(&mut leg.ingress, Turn { now, far: None, sink, heard: &mut heard, rouses: &mut rouses });
                }
            }
            Some(Join::Mix(mix)) => {
                if let Some(leg) = self.sessions.get_mut(&id) {
                    turn(&mut leg.ingress, Turn { now, far: None, sink, heard: &mut heard, rouses: &mut rouses });
                }
                if !heard.is_empty() {
                    self.pass_keys(now, id, mix, &heard);
                }
            }
            Some(Join::Echo) => {
                if let Some(leg) = self.sessions.get_mut(&id) {
                    let MediaSession { ingress, outgoing, wire, hold, .. } = &mut **leg;
                    let far = (*hold == Hold::None).then_some(Far { outgoing, wire });
                    turn(ingress, Turn { now, far, sink, heard: &mut heard, rouses: &mut rouses });
                }
            }
            Some(Join::Session(other)) => {
                if let [Some(near), far] = self.sessions.get_disjoint_mut([&id, &other]) {
                    // Who holds is not heard, and who is held from our side hears nothing.
                    let far = far.filter(|far| near.hold == Hold::None && !far.hold.is_local());
                    let mut far = far;
                    let mouth = far.as_deref_mut().map(|far| Far { outgoing: &mut far.outgoing, wire: &mut far.wire });
                    turn(&mut near.ingress, Turn { now, far: mouth, sink, heard: &mut heard, rouses: &mut rouses });
                    if let Some(far) = far.filter(|far| !far.watch.told.sent) {
                        far.news(now, other, &mut self.pending.events);
                    }
                }
                if !heard.is_empty() || rouses {
                    self.schedule(now, other);
                }
            }
        }
        // A link's end brings what was told where it was heard.
        if self.sessions.get(&id).is_some_and(|leg| leg.is_link()) {
            return;
        }
        for heard in heard {
            if let Heard::Released(digit, duration) | Heard::Told(digit, duration) = heard {
                self.pending.events.push_back(Event::Digit { session: id, digit, duration });
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::command::{Bandwidth, Codec, Command, Keying};
    use crate::keying::{Certificate, Fingerprint, FingerprintHash, Peer, SecureTransport, Setup};
    use crate::shard::ShardConfig;

    const SESSION: MediaSessionId = MediaSessionId(1);

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    /// A shard with one browser leg, and that browser with nothing sent yet.
    fn one_browser(now: Instant) -> (Shard, SecureTransport) {
        let certificate = Arc::new(Certificate::generate().expect("a key"));
        let config = ShardConfig {
            certificate: certificate.clone(),
            candidates: vec![address(3478)],
            started: (now, SystemTime::UNIX_EPOCH),
            max_sessions: 1,
            music: crate::music::Music::default(),
        };
        let mut shard = Shard::new(config, [1; 32]);
        let (keying, codecs) = (Keying::DtlsSrtp, vec![Codec::Opus]);
        shard.handle_command(now, Command::Open { session: SESSION, keying, codecs, silence_timeout: Duration::ZERO });
        shard.handle_command(now, Command::CreateOffer { session: SESSION, bandwidth: Bandwidth::Full });
        let Some(Event::LocalDescription { sdp, .. }) = shard.poll_event() else { panic!("no offer") };
        let offer = String::from_utf8(sdp).expect("text");
        let attribute = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name)).expect(name).to_owned();
        let mut browser = SecureTransport::controlling(certificate.clone(), "page".to_owned());
        let fingerprint =
            Fingerprint { hash: FingerprintHash::Sha256, value: certificate.fingerprint_sha256().to_vec() };
        let (ufrag, pwd) = (attribute("a=ice-ufrag:"), attribute("a=ice-pwd:"));
        browser.set_peer(Peer { ufrag, pwd, fingerprint, setup: Setup::Passive });
        browser.set_candidate(address(3478));
        (shard, browser)
    }

    #[test]
    fn a_browser_is_found_at_its_last_addresses_only_and_at_none_when_closed() {
        let now = Instant::now();
        let (mut shard, mut browser) = one_browser(now);
        for port in 1000..1100 {
            browser.check();
            let (_, check) = browser.poll_transmit().expect("a check");
            shard.handle_packet(now, SocketId::BROWSERS, address(port), &check);
            assert!(shard.poll_transmit().is_some_and(|answer| answer.to == address(port)));
        }
        let known: Vec<u16> = shard.routes.addresses.keys().map(SocketAddr::port).collect();
        assert!(known.len() <= 8 && known.contains(&1099), "{known:?}");
        shard.handle_command(now, Command::Close { session: SESSION });
        assert!(shard.routes.addresses.is_empty());
    }
}
