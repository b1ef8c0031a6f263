//! The wire under a leg: RTP or SRTP keyed by SDP on ports of its own, a browser's secure transport on the shard's port, or a link to another shard.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use ipnet::IpNet;

use super::sources::Sources;
use super::{Link, Sink};
use crate::command::{Encryption, LocalPort, SocketId};
use crate::keying::{Received, SdesSrtp, SecureTransport};
use crate::sdp::Negotiated;

/// What a packet on the wire was.
#[derive(Debug)]
pub(crate) enum Arrival {
    Rtp(BytesMut),
    Rtcp(BytesMut),
    /// Signs of life that carry no media (STUN, DTLS).
    Alive,
    Discarded(&'static str),
    /// SRTP or SRTCP that is not authentic, or a replay.
    Unauthentic,
}

/// How a leg's packets travel.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(PlainWire),
    Secure(Box<SecureTransport>),
    Link(Link),
}

/// Symmetric RTP (RFC 4961): sent to the SDP's address until a believable packet shows where the peer really is.
#[derive(Debug)]
pub(crate) struct PlainWire {
    pub(crate) port: Option<LocalPort>,
    sources: Box<Sources>,
    rtcp_mux: bool,
    protection: Option<Box<Protection>>,
}

/// What a trunk's packets are protected with, where the policy has any.
#[derive(Debug)]
struct Protection {
    srtp: SdesSrtp,
    /// Whether what was agreed on last has keys.
    is_agreed: bool,
    failure: Option<String>,
}

impl Protection {
    fn agree(&mut self, negotiated: &Negotiated) {
        self.is_agreed = negotiated.keys.is_some();
        self.failure = negotiated.keys.as_ref().and_then(|keys| self.srtp.agree(keys).err());
    }
}

impl PlainWire {
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self::with(networks, None)
    }

    /// One that is SRTP once keys are agreed on.
    pub(crate) fn with_sdes(networks: Vec<IpNet>, srtp: SdesSrtp) -> Self {
        Self::with(networks, Some(Box::new(Protection { srtp, is_agreed: false, failure: None })))
    }

    fn with(networks: Vec<IpNet>, protection: Option<Box<Protection>>) -> Self {
        Self { port: None, sources: Box::new(Sources::new(networks)), rtcp_mux: false, protection }
    }

    fn set_remote(&mut self, now: Instant, negotiated: &Negotiated) {
        if let Some(protection) = &mut self.protection {
            protection.agree(negotiated);
        }
        // Who holds by the "any" address or port 0 says nothing of where it is, and may go on sending from there.
        let is_known = self.sources.described().is_some();
        if is_known && !negotiated.direction.sends() && !is_sendable(&negotiated.remote_rtp) {
            return;
        }
        self.sources.describe(now, negotiated);
        self.rtcp_mux = negotiated.rtcp_mux;
    }

    /// Where RTP goes.
    fn target(&self) -> Option<SocketAddr> {
        self.sources.believed().or(self.sources.described().filter(is_sendable))
    }

    fn receive(&mut self, now: Instant, socket: SocketId, from: SocketAddr, packet: &[u8], sink: &mut Sink) -> Arrival {
        let Some(port) = self.port else { return Arrival::Discarded("no port yet") };
        if self.sources.described().is_none() {
            return Arrival::Discarded("RTP before the SDP");
        }
        if !self.sources.is_expected(from.ip()) {
            return Arrival::Discarded("RTP from an address not believed");
        }
        if socket == port.rtcp {
            if !self.sources.admits_rtcp(now, from) {
                return Arrival::Discarded("RTCP from a second source");
            }
            return self.open_rtcp(packet, sink);
        }
        let is_rtcp = packet.get(1).is_some_and(|byte| (192..=223).contains(byte));
        let is_believed = if is_rtcp {
            self.sources.believed().is_none_or(|believed| believed == from)
        } else {
            // What opens with the keys agreed on is the peer's, wherever it comes from.
            self.srtp().is_some() || self.sources.admits(now, from, packet)
        };
        if !is_believed {
            return Arrival::Discarded("RTP from a second source");
        }
        if is_rtcp { self.open_rtcp(packet, sink) } else { self.open_rtp(packet, sink) }
    }

    fn srtp(&mut self) -> Option<&mut SdesSrtp> {
        self.protection.as_mut().filter(|protection| protection.is_agreed).map(|protection| &mut protection.srtp)
    }

    fn open_rtp(&mut self, packet: &[u8], sink: &mut Sink) -> Arrival {
        match self.srtp() {
            Some(srtp) => srtp.open_rtp(packet).map_or(Arrival::Unauthentic, Arrival::Rtp),
            None => Arrival::Rtp(sink.copy(packet)),
        }
    }

    fn open_rtcp(&mut self, packet: &[u8], sink: &mut Sink) -> Arrival {
        match self.srtp() {
            Some(srtp) => srtp.open_rtcp(packet).map_or(Arrival::Unauthentic, Arrival::Rtcp),
            None => Arrival::Rtcp(sink.copy(packet)),
        }
    }

    fn send_rtp(&mut self, packet: &[u8], sink: &mut Sink) {
        let (Some(to), Some(port)) = (self.target(), self.port) else { return };
        let packet = match self.srtp() {
            Some(srtp) => srtp.seal_rtp(packet),
            None => Some(sink.copy(packet)),
        };
        sink.packets.extend(packet.map(|packet| (port.rtp, to, packet)));
    }

    fn send_rtcp(&mut self, packet: BytesMut) -> Option<Outbound> {
        let port = self.port?;
        let (socket, to) = if self.rtcp_mux {
            (port.rtp, self.target()?)
        } else {
            (port.rtcp, self.sources.rtcp().or(self.sources.described_rtcp().filter(is_sendable))?)
        };
        let packet = match self.srtp() {
            Some(srtp) => srtp.seal_rtcp(&packet)?,
            None => packet,
        };
        Some((socket, to, packet))
    }
}

/// 0.0.0.0 and port 0 mean that nothing is wanted (RFC 3264 §5.1, RFC 6337 §5.3).
fn is_sendable(to: &SocketAddr) -> bool {
    !to.ip().is_unspecified() && to.port() != 0
}

/// A packet on its way out.
pub(crate) type Outbound = (SocketId, SocketAddr, BytesMut);

impl Wire {
    pub(crate) fn set_remote(&mut self, now: Instant, negotiated: &Negotiated) {
        match self {
            Self::Plain(plain) => plain.set_remote(now, negotiated),
            Self::Secure(secure) => {
                if let Some(peer) = &negotiated.peer {
                    secure.set_peer(peer.clone());
                }
            }
            Self::Link(_) => {}
        }
    }

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
        sink: &mut Sink,
    ) -> Arrival {
        match self {
            Self::Plain(plain) => plain.receive(now, socket, from, packet, sink),
            Self::Secure(secure) => match secure.handle_packet(now, from, packet) {
                Received::Rtp(clear) => Arrival::Rtp(clear),
                Received::Rtcp(clear) => Arrival::Rtcp(clear),
                Received::Consumed => Arrival::Alive,
                Received::Discarded(reason) => Arrival::Discarded(reason),
                Received::Unauthentic => Arrival::Unauthentic,
            },
            Self::Link(_) => Arrival::Discarded("a link has no socket"),
        }
    }

    /// Takes the source of an RTP packet that proved to be what was agreed on as the peer's address from now on.
    pub(crate) fn latch(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        if let Self::Plain(plain) = self {
            plain.sources.believe(now, from, packet);
        }
    }

    /// The same for the source of RTCP on a socket of its own.
    pub(crate) fn latch_rtcp(&mut self, now: Instant, socket: SocketId, from: SocketAddr) {
        if let Self::Plain(plain) = self
            && plain.port.is_some_and(|port| port.rtcp == socket)
        {
            plain.sources.believe_rtcp(now, from);
        }
    }

    /// Whether a packet could be sent now: somebody is known to send to, and the keys are there.
    pub(crate) fn can_send(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.port.is_some() && plain.target().is_some(),
            Self::Secure(secure) => secure.is_connected() && secure.peer().is_some(),
            Self::Link(_) => true,
        }
    }

    /// Puts a finished RTP packet on its way.
    pub(crate) fn send_rtp(&mut self, packet: &[u8], sink: &mut Sink) {
        match self {
            Self::Plain(plain) => plain.send_rtp(packet, sink),
            Self::Secure(secure) => {
                if let Some((to, sealed)) = secure.protect_rtp(packet) {
                    sink.packets.push_back((SocketId::BROWSERS, to, sealed));
                }
            }
            Self::Link(link) => {
                let copy = sink.copy(packet);
                link.send_rtp(copy, sink);
            }
        }
    }

    /// Whether there is anybody to exchange RTCP with.
    pub(crate) fn has_rtcp(&self) -> bool {
        !matches!(self, Self::Link(_))
    }

    pub(crate) fn send_rtcp(&mut self, packet: BytesMut) -> Option<Outbound> {
        match self {
            Self::Plain(plain) => plain.send_rtcp(packet),
            Self::Secure(secure) => {
                let (to, packet) = secure.protect_rtcp(&packet)?;
                Some((SocketId::BROWSERS, to, packet))
            }
            Self::Link(_) => None,
        }
    }

    /// The next packet of the keying itself.
    pub(crate) fn poll_transmit(&mut self) -> Option<Outbound> {
        match self {
            Self::Plain(_) | Self::Link(_) => None,
            Self::Secure(secure) => {
                let (to, packet) = secure.poll_transmit()?;
                Some((SocketId::BROWSERS, to, BytesMut::from(packet)))
            }
        }
    }

    /// Whether media can flow.
    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.sources.believed().is_some(),
            Self::Secure(secure) => secure.is_connected(),
            Self::Link(_) => true,
        }
    }

    /// Where the peer is seen.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(plain) => plain.sources.believed(),
            Self::Secure(secure) => secure.peer(),
            Self::Link(_) => None,
        }
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        match self {
            Self::Plain(plain) => plain.protection.as_ref().and_then(|protection| protection.failure.as_deref()),
            Self::Link(_) => None,
            Self::Secure(secure) => secure.failure(),
        }
    }

    /// How what travels is protected.
    pub(crate) fn encryption(&self) -> Encryption {
        match self {
            Self::Plain(plain) if plain.protection.as_ref().is_some_and(|it| it.is_agreed) => Encryption::Sdes,
            Self::Plain(_) | Self::Link(_) => Encryption::None,
            Self::Secure(secure) if secure.remote_ufrag().is_some() => Encryption::DtlsSrtp,
            Self::Secure(_) => Encryption::None,
        }
    }
}
