//! Whose packets a plain leg believes: one source at a time, inside the SDP's address or the trunk's networks, and locked onto. Another is
//! followed only when it shows a stream of its own and the one believed has gone, or was believed before the SDP's own address spoke.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::rtp::RtpView;
use crate::sdp::Negotiated;

/// Packets in a row by which another source shows that it is a stream: what comes by chance or is sent blindly is none.
const PROOF: u8 = 3;
/// So long after a description, the address in it takes the place of any other: whoever was quicker was not meant.
const SETTLING: Duration = Duration::from_secs(3);
/// Whoever was silent for so long may have moved.
const GONE: Duration = Duration::from_secs(1);
/// So long where the other goes on with its very stream: a NAT gave it a new port.
const REBOUND: Duration = Duration::from_millis(100);
/// How far on such a stream may be.
const NEAR: u16 = 100;
/// A source that would take the place of another, but sends no more.
const GIVEN_UP: Duration = Duration::from_millis(200);
/// RTCP comes every 2.5 to 7.5 s (RFC 3550 §6.2): two intervals without any.
const RTCP_GONE: Duration = Duration::from_secs(15);

/// See the head of this module.
#[derive(Debug)]
pub(super) struct Sources {
    networks: Vec<IpNet>,
    /// Where the SDP has RTP and RTCP, and since when.
    described: Option<Described>,
    believed: Option<Source>,
    /// What would take its place.
    candidate: Option<Candidate>,
    /// Believed until the SDP named another address: what is on its way from there is heard, but shows nothing.
    left: Option<SocketAddr>,
    /// Whence RTCP comes, when that has a port of its own, and when it came.
    rtcp: Option<(SocketAddr, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Described {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    at: Instant,
}

/// A source with its last packet.
#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    heard: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    source: Source,
    /// In a row.
    packets: u8,
}

impl Sources {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, described: None, believed: None, candidate: None, left: None, rtcp: None }
    }

    /// Takes what a description says of where the peer is.
    pub(super) fn describe(&mut self, now: Instant, negotiated: &Negotiated) {
        if self.described.is_some_and(|described| described.rtp != negotiated.remote_rtp) {
            self.left = self.believed.take().map(|source| source.address);
            self.rtcp = None;
        }
        self.candidate = None;
        self.described = Some(Described { rtp: negotiated.remote_rtp, rtcp: negotiated.remote_rtcp, at: now });
    }

    /// Where the SDP has RTP.
    pub(super) fn described(&self) -> Option<SocketAddr> {
        self.described.map(|described| described.rtp)
    }

    /// Where the SDP has RTCP.
    pub(super) fn described_rtcp(&self) -> Option<SocketAddr> {
        self.described.map(|described| described.rtcp)
    }

    /// Where the peer has shown itself.
    pub(super) fn believed(&self) -> Option<SocketAddr> {
        self.believed.map(|source| source.address)
    }

    /// Where its RTCP has.
    pub(super) fn rtcp(&self) -> Option<SocketAddr> {
        self.rtcp.map(|(address, _)| address)
    }

    /// Whether an address is inside what the SDP or the trunk's configuration names.
    pub(super) fn is_expected(&self, ip: IpAddr) -> bool {
        // A dual-stack socket sees IPv4 peers as mapped addresses.
        let ip = ip.to_canonical();
        self.described().is_some_and(|described| described.ip().to_canonical() == ip)
            || self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Whether an RTP packet from an expected address is of the source believed, or of one that takes its place.
    pub(super) fn admits(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> bool {
        let Some(believed) = self.believed.filter(|believed| believed.address != from) else { return true };
        // What is no RTP at all is refused further on, and proves nothing.
        let Ok(view) = RtpView::parse(packet) else { return false };
        let source = Source { address: from, ssrc: view.header.ssrc, sequence: view.header.sequence, heard: now };
        let packets = self.proof(source);
        self.candidate_with(source, packets);
        packets >= PROOF && now >= believed.heard + self.wait_for(believed, source)
    }

    /// How many packets in a row a source has shown with this one; none while another is at it.
    fn proof(&self, source: Source) -> u8 {
        let Some(Candidate { source: before, packets }) = self.candidate else { return 1 };
        if before.address != source.address && source.heard < before.heard + GIVEN_UP {
            return 0;
        }
        let goes_on = before.address == source.address
            && before.ssrc == source.ssrc
            && before.sequence.wrapping_add(1) == source.sequence;
        if goes_on { packets.saturating_add(1) } else { 1 }
    }

    fn candidate_with(&mut self, source: Source, packets: u8) {
        if packets > 0 {
            self.candidate = Some(Candidate { source, packets });
        }
    }

    /// How long the one believed must have been silent before another is.
    fn wait_for(&self, believed: Source, source: Source) -> Duration {
        let settling = self.described.filter(|described| source.heard < described.at + SETTLING);
        let ahead = source.sequence.wrapping_sub(believed.sequence);
        if settling.is_some_and(|described| described.rtp == source.address) {
            Duration::ZERO
        } else if source.ssrc == believed.ssrc && (1..=NEAR).contains(&ahead) {
            REBOUND
        } else {
            GONE
        }
    }

    /// Takes the source of RTP that proved to be what was agreed on as the peer's address.
    pub(super) fn believe(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let Ok(view) = RtpView::parse(packet) else { return };
        let is_settling = self.described.is_some_and(|described| now < described.at + SETTLING);
        if self.left == Some(from) && is_settling {
            return;
        }
        if self.believed.is_some_and(|believed| believed.address.ip() != from.ip()) {
            self.rtcp = None;
        }
        let source = Source { address: from, ssrc: view.header.ssrc, sequence: view.header.sequence, heard: now };
        self.believed = Some(source);
        self.left = None;
        self.candidate.take_if(|candidate| candidate.source.address == from);
    }

    /// Whether RTCP from an expected address is the peer's: from the host its RTP comes from or the SDP names, and from one port.
    pub(super) fn admits_rtcp(&self, now: Instant, from: SocketAddr) -> bool {
        let is_elsewhere = self.believed.is_some_and(|believed| believed.address.ip() != from.ip())
            && self.described_rtcp().is_none_or(|described| described.ip().to_canonical() != from.ip().to_canonical());
        let is_second = self.rtcp.is_some_and(|(address, heard)| address != from && now < heard + RTCP_GONE);
        !is_elsewhere && !is_second
    }

    /// Takes the source of RTCP that was well-formed.
    pub(super) fn believe_rtcp(&mut self, now: Instant, from: SocketAddr) {
        self.rtcp = Some((from, now));
    }
}
