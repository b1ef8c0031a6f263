//! What signalling asks of a shard.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use rand::Rng;
use smallvec::SmallVec;

use super::{PortOwner, Shard};
use crate::command::{Bandwidth, Codec, Command, Dtmf, Keying, LocalPort, MediaSessionId, PortRequest, SdesPolicy};
use crate::event::{Event, Hold};
use crate::keying::{SdesSrtp, SecureTransport};
use crate::leg::{Ingress, Join, Link, MediaSession, Outgoing, PlainWire, Watch, Wire, relay_told};
use crate::rtcp::{NtpClock, Reporter};
use crate::rtp::Egress;
use crate::sdp::{Direction, LocalCrypto, LocalKeying, LocalMedia};

impl Shard {
    /// Carries out a command. One for a session that is not there is answered with [`Event::Failed`], so that nobody waits.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Open { session, keying, codecs, silence_timeout } => {
                self.open(now, session, keying, codecs, silence_timeout);
            }
            Command::SetDtmf { session, dtmf } => {
                if let Some(leg) = self.sessions.get_mut(&session) {
                    leg.local.dtmf = dtmf;
                }
            }
            Command::SetPacketTime { session, ptime } => {
                if let Some(leg) = self.sessions.get_mut(&session) {
                    leg.local.ptime = ptime;
                }
            }
            Command::CreateOffer { session, bandwidth } => self.create_offer(session, bandwidth),
            Command::HandleOffer { session, sdp, bandwidth } => self.handle_offer(now, session, &sdp, bandwidth),
            Command::HandleAnswer { session, sdp } => self.handle_answer(now, session, &sdp),
            Command::Adopt { session } => self.adopt(now, session),
            Command::Hold { session, hold } => self.hold(now, session, hold),
            Command::Bridge { a, b } => self.bridge(now, a, b),
            Command::Echo { session } => self.join(now, session, Join::Echo),
            Command::Mix { session, mix } => self.mix(now, session, mix),
            Command::Ringback { session } => {
                self.join(now, session, Join::Nothing);
                if let Some(leg) = self.sessions.get_mut(&session) {
                    leg.outgoing.play_ringback(now);
                }
                self.settle(now, session);
            }
            Command::Music { session } => self.join(now, session, Join::Music),
            Command::PressDigit { session, digit, duration } => {
                self.with_turn(now, session, |ingress, turn| relay_told(ingress, digit, duration, turn));
                self.schedule(now, session);
            }
            Command::SendDigits { session, digits, duration } => {
                if let Some(leg) = self.sessions.get_mut(&session) {
                    for digit in digits.chars() {
                        leg.outgoing.digits.dial(digit, duration);
                    }
                }
                self.schedule(now, session);
            }
            Command::Close { session } => self.close(now, session),
        }
    }

    fn open(
        &mut self,
        now: Instant,
        session: MediaSessionId,
        keying: Keying,
        codecs: Vec<Codec>,
        silence_timeout: Duration,
    ) {
        if self.sessions.len() >= self.config.max_sessions || self.sessions.contains_key(&session) {
            self.fail(session, "the shard is full");
            return;
        }
        let dtmf = match &keying {
            Keying::DtlsSrtp | Keying::Link { .. } => Dtmf::Rfc4733,
            Keying::Plain { .. } | Keying::Sdes { .. } => Dtmf::Auto,
        };
        let (wire, local_keying) = match keying {
            Keying::DtlsSrtp => self.secure_wire(session),
            Keying::Plain { networks } => self.plain_wire(session, networks),
            Keying::Sdes { networks, policy } => self.sdes_wire(session, networks, policy),
            Keying::Link { peer } => (Wire::Link(Link::open(peer, &mut self.sink)), LocalKeying::Plain),
        };
        let ssrc = self.rng.random();
        let cname = self.token(16);
        // In the lower half: SRTP does not say how often the numbers rolled over, so nobody who missed the first packets may have
        // missed that with them (RFC 3711 §3.3.1).
        let first_sequence = self.rng.random::<u16>() >> 1;
        let egress = Egress::new(ssrc, first_sequence, self.rng.random(), 8000);
        let clock = NtpClock { started: self.config.started };
        let local = LocalMedia {
            // Positive in 64 bits, as RFC 8829 §5.2.1 wants.
            session_id: self.rng.random::<u64>() >> 1,
            version: 0,
            described: Vec::new(),
            settled: None,
            address: self.config.candidates.first().copied().unwrap_or_else(|| ([127, 0, 0, 1], 9).into()),
            codecs,
            bandwidth: Bandwidth::Full,
            ptime: Duration::from_millis(20),
            keying: local_keying,
            ssrc,
            cname: cname.clone(),
            direction: Direction::SendRecv,
            dtmf,
        };
        let leg = MediaSession {
            local,
            proposed: None,
            agreed: None,
            hold: Hold::None,
            wire,
            ingress: Ingress::new(),
            outgoing: Outgoing::new(egress),
            join: Join::Nothing,
            reporter: Reporter::new(clock, cname, now, self.rng.random()),
            watch: Watch { silence_timeout, ..Watch::default() },
            found_at: SmallVec::new(),
            scheduled: None,
        };
        self.sessions.insert(session, Box::new(leg));
        self.begin_link(now, session);
    }

    fn secure_wire(&mut self, session: MediaSessionId) -> (Wire, LocalKeying) {
        let (ufrag, pwd) = self.ice_credentials();
        self.routes.ufrags.insert(ufrag.clone(), session);
        let certificate = self.config.certificate.clone();
        let keying = LocalKeying::DtlsSrtp {
            ufrag: ufrag.clone(),
            pwd: pwd.clone(),
            fingerprint: certificate.fingerprint_sha256(),
            candidates: self.config.candidates.clone(),
        };
        (Wire::Secure(Box::new(SecureTransport::new(certificate, ufrag, pwd))), keying)
    }

    /// 24 and 140 bits at least (RFC 8445 §5.3); the ufrag is also a session's name on the shared port.
    pub(super) fn ice_credentials(&mut self) -> (String, String) {
        (self.token(12), self.token(24))
    }

    fn plain_wire(&mut self, session: MediaSessionId, networks: Vec<IpNet>) -> (Wire, LocalKeying) {
        self.pending.port_requests.push_back(PortRequest { session });
        (Wire::Plain(PlainWire::new(networks)), LocalKeying::Plain)
    }

    fn sdes_wire(&mut self, session: MediaSessionId, networks: Vec<IpNet>, policy: SdesPolicy) -> (Wire, LocalKeying) {
        self.pending.port_requests.push_back(PortRequest { session });
        let srtp = SdesSrtp::new(self.config.certificate.crypto.clone());
        let keying = LocalKeying::Sdes(Box::new(LocalCrypto::new(policy, &mut self.rng)));
        (Wire::Plain(PlainWire::with_sdes(networks, srtp)), keying)
    }

    /// Answers a [`PortRequest`]; `None` when no port is free.
    pub fn handle_port(&mut self, _now: Instant, session: MediaSessionId, port: Option<LocalPort>) {
        let leg = self.sessions.get_mut(&session);
        match (leg, port) {
            (Some(leg), Some(port)) => {
                leg.local.address = port.advertised;
                if let Wire::Plain(plain) = &mut leg.wire {
                    plain.port = Some(port);
                }
                self.routes.ports.insert(port.rtp, PortOwner(session));
                self.routes.ports.insert(port.rtcp, PortOwner(session));
            }
            (Some(_), None) => self.fail(session, "no RTP port is free"),
            // Closed meanwhile.
            (None, Some(port)) => self.pending.port_releases.push_back(port),
            (None, None) => {}
        }
    }

    fn bridge(&mut self, now: Instant, a: MediaSessionId, b: MediaSessionId) {
        if a == b {
            self.join(now, a, Join::Echo);
            return;
        }
        self.join(now, a, Join::Session(b));
        self.join(now, b, Join::Session(a));
    }

    /// Joins one session's ear anew; whoever it was joined with before hears nothing of it any more.
    pub(super) fn join(&mut self, now: Instant, session: MediaSessionId, join: Join) {
        let Some(leg) = self.sessions.get_mut(&session) else { return };
        let before = std::mem::replace(&mut leg.join, join);
        if join != Join::Nothing {
            leg.restart_silence(now);
        }
        leg.outgoing.new_source(now);
        leg.ingress.transcoder = None;
        if let Join::Session(other) = before
            && join != before
            && let Some(other) = self.sessions.get_mut(&other)
            && other.join == Join::Session(session)
        {
            other.join = Join::Nothing;
            other.outgoing.new_source(now);
        }
        if let Join::Mix(mix) = before {
            self.leave(now, session, mix);
        }
        self.settle(now, session);
        if let Join::Session(other) = before {
            self.settle(now, other);
        }
    }

    fn close(&mut self, now: Instant, session: MediaSessionId) {
        self.join(now, session, Join::Nothing);
        let Some(mut leg) = self.sessions.remove(&session) else {
            self.pending.events.push_back(Event::Closed { session, statistics: crate::event::Statistics::default() });
            return;
        };
        leg.close(now, &mut self.sink);
        if let Wire::Secure(secure) = &leg.wire {
            for ufrag in secure.local_ufrags() {
                self.routes.ufrags.remove(&ufrag);
            }
        }
        for address in &leg.found_at {
            self.routes.forget(session, *address);
        }
        if let Wire::Plain(plain) = &leg.wire
            && let Some(port) = plain.port
        {
            self.routes.ports.remove(&port.rtp);
            self.routes.ports.remove(&port.rtcp);
            self.pending.port_releases.push_back(port);
        }
        self.pending.events.push_back(Event::Closed { session, statistics: leg.statistics() });
    }

    pub(super) fn fail(&mut self, session: MediaSessionId, reason: &str) {
        self.pending.events.push_back(Event::Failed { session, reason: reason.to_owned() });
    }
}
