//! The secure transport of one browser leg: STUN, DTLS and SRTP behind one `handle_packet`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::certificate::Certificate;
use super::dtls::{Dtls, Progress};
use super::ice::{Check, IceControlling, IceLite};
use super::peer::{Peer, Setup};
use super::srtp::Srtp;

/// What a packet was.
#[derive(Debug)]
pub enum Received {
    /// An RTP packet, authenticated and in the clear.
    Rtp(BytesMut),
    /// An RTCP packet, authenticated and in the clear.
    Rtcp(BytesMut),
    /// STUN or DTLS, dealt with.
    Consumed,
    /// Nothing to be believed; why, for the counters.
    Discarded(&'static str),
    /// SRTP or SRTCP that is not authentic, or a replay.
    Unauthentic,
}

/// Which side of ICE this is.
#[derive(Debug)]
enum Ice {
    Lite(IceLite),
    Controlling(IceControlling),
}

impl Ice {
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Lite(ice) => ice.peer(),
            Self::Controlling(ice) => ice.peer(),
        }
    }

    fn has_validated(&self, address: SocketAddr) -> bool {
        match self {
            Self::Lite(ice) => ice.has_validated(address),
            Self::Controlling(ice) => ice.peer() == Some(address),
        }
    }

    fn last_consent(&self) -> Option<Instant> {
        match self {
            Self::Lite(ice) => ice.last_consent(),
            Self::Controlling(ice) => ice.last_consent(),
        }
    }
}

/// ICE-lite, DTLS and SRTP of one leg.
#[derive(Debug)]
pub struct SecureTransport {
    certificate: Arc<Certificate>,
    ice: Ice,
    peer: Option<Peer>,
    dtls: Option<Dtls>,
    srtp: Option<Box<Srtp>>,
    outgoing: VecDeque<(SocketAddr, Bytes)>,
    failure: Option<String>,
}

impl SecureTransport {
    /// Makes the gateway's side: it answers checks for `ufrag` with `pwd` at once.
    #[must_use]
    pub fn new(certificate: Arc<Certificate>, ufrag: String, pwd: String) -> Self {
        Self::with_ice(certificate, Ice::Lite(IceLite::new(ufrag, pwd)))
    }

    /// Makes a browser's side, for tests and load: it checks the one candidate given with [`Self::set_candidate`].
    #[must_use]
    pub fn controlling(certificate: Arc<Certificate>, ufrag: String) -> Self {
        Self::with_ice(certificate, Ice::Controlling(IceControlling::new(ufrag)))
    }

    fn with_ice(certificate: Arc<Certificate>, ice: Ice) -> Self {
        Self { certificate, ice, peer: None, dtls: None, srtp: None, outgoing: VecDeque::new(), failure: None }
    }

    /// Takes what the peer's SDP says. The DTLS association lives on unless the fingerprint changes (RFC 8842 §4).
    pub fn set_peer(&mut self, peer: Peer) {
        if let Ice::Lite(ice) = &mut self.ice {
            ice.set_remote_ufrag(&peer.ufrag);
        }
        if self.peer.as_ref().is_some_and(|known| known.fingerprint != peer.fingerprint) {
            self.dtls = None;
            self.srtp = None;
            self.failure = None;
        }
        self.peer = Some(peer);
    }

    /// Restarts ICE (RFC 8445 §9): answers checks for other credentials from now on, and for the old ones until the peer has
    /// nominated a pair under the new. A controlling side takes the name only.
    pub fn restart_ice(&mut self, ufrag: String, pwd: String) {
        match &mut self.ice {
            Ice::Lite(ice) => ice.restart(ufrag, pwd),
            Ice::Controlling(ice) => ice.restart(ufrag),
        }
    }

    /// The next of our ufrags under which no check is valid any more.
    pub fn take_retired_ufrag(&mut self) -> Option<String> {
        match &mut self.ice {
            Ice::Lite(ice) => ice.take_retired(),
            Ice::Controlling(_) => None,
        }
    }

    /// Our ufrags under which checks are valid: more than one while a restart is under way.
    #[must_use]
    pub fn local_ufrags(&self) -> Vec<String> {
        match &self.ice {
            Ice::Lite(ice) => ice.ufrags().map(str::to_owned).collect(),
            Ice::Controlling(_) => Vec::new(),
        }
    }

    /// Whether a description restarts ICE: other credentials than before (RFC 8839 §4.4.1.1.1).
    #[must_use]
    pub fn is_restarted_by(&self, peer: &Peer) -> bool {
        self.peer.as_ref().is_some_and(|known| known.ufrag != peer.ufrag || known.pwd != peer.pwd)
    }

    /// The peer's `a=ice-ufrag`, once its SDP is known.
    #[must_use]
    pub fn remote_ufrag(&self) -> Option<&str> {
        self.peer.as_ref().map(|peer| peer.ufrag.as_str())
    }

    /// The candidate a controlling side checks; its peer must be set before.
    pub fn set_candidate(&mut self, candidate: SocketAddr) {
        if let (Ice::Controlling(ice), Some(peer)) = (&mut self.ice, &self.peer) {
            ice.set_remote(&peer.ufrag, &peer.pwd, candidate);
        }
    }

    /// Sends a check from a controlling side; to be called every few seconds, and faster until connected.
    pub fn check(&mut self) {
        if let Ice::Controlling(ice) = &mut self.ice {
            self.outgoing.extend(ice.check(self.certificate.crypto.crypto()));
        }
    }

    /// Takes a packet that came to this leg.
    pub fn handle_packet(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> Received {
        match packet.first() {
            Some(0..=3) => self.handle_stun(now, from, packet),
            Some(20..=63) => self.handle_dtls(now, from, packet),
            Some(128..=191) => self.handle_srtp(now, from, packet),
            Some(_) | None => Received::Discarded("neither STUN, DTLS nor RTP"),
        }
    }

    fn handle_stun(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> Received {
        let crypto = self.certificate.crypto.crypto();
        let ice = match &mut self.ice {
            Ice::Lite(ice) => ice,
            Ice::Controlling(ice) => {
                if !ice.handle(now, from, packet, crypto) {
                    return Received::Discarded("not the answer to a check");
                }
                self.start_if_active(now);
                return Received::Consumed;
            }
        };
        match ice.handle(now, from, packet, crypto) {
            Check::Answer(answer) => {
                self.outgoing.push_back((from, answer));
                self.start_if_active(now);
                Received::Consumed
            }
            Check::Discarded(reason) => Received::Discarded(reason),
        }
    }

    /// The peer waits for our ClientHello: it goes out once we know where to.
    fn start_if_active(&mut self, now: Instant) {
        let waits = self.peer.as_ref().is_some_and(|peer| peer.setup == Setup::Passive);
        if waits && self.dtls.is_none() {
            match Dtls::active(self.certificate.clone(), now) {
                Ok(dtls) => self.dtls = Some(dtls),
                Err(error) => self.failure = Some(error),
            }
            self.flush();
        }
    }

    fn handle_dtls(&mut self, now: Instant, from: SocketAddr, record: &[u8]) -> Received {
        // A ClientHello from an address that has not proven to know our password would let anyone end a call.
        if !self.ice.has_validated(from) {
            return Received::Discarded("DTLS from an address ICE has not validated");
        }
        let Some(peer) = &self.peer else { return Received::Discarded("DTLS before the peer's SDP") };
        if self.failure.is_some() {
            return Received::Discarded("DTLS after its failure");
        }
        let certificate = &self.certificate;
        let dtls = self.dtls.get_or_insert_with(|| Dtls::passive(certificate.clone()));
        let progress = dtls.handle(now, record, &peer.fingerprint);
        self.flush();
        match progress {
            Progress::Nothing | Progress::Closed => Received::Consumed,
            Progress::Keyed(srtp) => {
                self.srtp = Some(srtp);
                Received::Consumed
            }
            Progress::Failed(reason) => {
                self.failure = Some(reason);
                Received::Consumed
            }
            Progress::Ignored => Received::Discarded("DTLS record of no use"),
        }
    }

    fn handle_srtp(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> Received {
        if !self.ice.has_validated(from) {
            return Received::Discarded("SRTP from an address ICE has not validated");
        }
        let Some(srtp) = &mut self.srtp else { return Received::Discarded("SRTP before its keys") };
        // RFC 5761 §4: 192-223 in the second byte is RTCP.
        let is_rtcp = packet.get(1).is_some_and(|byte| (192..=223).contains(byte));
        let opened = if is_rtcp { srtp.inbound.open_rtcp(packet) } else { srtp.inbound.open_rtp(packet) };
        if let (Some(_), Some(dtls)) = (&opened, &mut self.dtls) {
            dtls.settle(now);
        }
        match opened {
            Some(clear) if is_rtcp => Received::Rtcp(clear),
            Some(clear) => Received::Rtp(clear),
            None => Received::Unauthentic,
        }
    }

    /// Protects an RTP packet; `None` before the keys are there.
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Option<(SocketAddr, BytesMut)> {
        let peer = self.ice.peer()?;
        Some((peer, self.srtp.as_mut()?.outbound.seal_rtp(packet)?))
    }

    /// Protects an RTCP packet; `None` before the keys are there.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Option<(SocketAddr, BytesMut)> {
        let peer = self.ice.peer()?;
        Some((peer, self.srtp.as_mut()?.outbound.seal_rtcp(packet)?))
    }

    /// The next STUN or DTLS packet to send.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Bytes)> {
        self.outgoing.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.dtls.as_ref().filter(|_| self.failure.is_none()).and_then(Dtls::poll_timeout)
    }

    /// Retransmits what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls
            && let Err(reason) = dtls.handle_timeout(now)
        {
            self.failure = Some(reason);
        }
        self.flush();
    }

    /// Says good-bye to the peer; the farewell is in [`Self::poll_transmit`].
    pub fn close(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.flush();
    }

    /// Whether media can flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    /// Whether a DTLS handshake has begun.
    #[must_use]
    pub fn has_begun_dtls(&self) -> bool {
        self.dtls.is_some()
    }

    /// Where the peer is, once a check was valid.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.ice.peer()
    }

    /// When the peer last proved that it still wants media (RFC 7675).
    #[must_use]
    pub fn last_consent(&self) -> Option<Instant> {
        self.ice.last_consent()
    }

    /// Whether an address has passed a check.
    #[must_use]
    pub fn has_validated(&self, address: SocketAddr) -> bool {
        self.ice.has_validated(address)
    }

    /// Why no media will ever flow.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn flush(&mut self) {
        if let (Some(dtls), Some(peer)) = (&mut self.dtls, self.ice.peer()) {
            while let Some(record) = dtls.poll_transmit() {
                self.outgoing.push_back((peer, record.freeze()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
