//! One side of a call's media: says its round again and again, and keeps account of what it hears.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{Certificate, Received, SecureTransport};
use mio::net::UdpSocket;

use super::Key;
use super::account::Heard;
use super::listening::Listening;
use super::speech::Speech;
use crate::sdp::{Codec, Remote};

/// A gap is what a listener would notice: more than two packets' time without one.
const GAP: Duration = Duration::from_millis(60);
/// How often ICE is checked while it does not work yet.
const CHECK: Duration = Duration::from_millis(50);
/// A turn that is a packet's may come so much before it.
const TOLERANCE: Duration = Duration::from_millis(1);

/// What a stream is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The agent's.
    Agent,
    /// The carrier's.
    Carrier,
}

impl Side {
    /// Who speaks with it.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Agent => Self::Carrier,
            Self::Carrier => Self::Agent,
        }
    }
}

/// How a stream travels.
#[derive(Debug)]
pub(crate) enum Wire {
    /// In the clear.
    Plain,
    /// ICE and DTLS-SRTP, as a browser's.
    Secure(Box<SecureTransport>),
}

impl Wire {
    /// A browser's.
    pub(crate) fn browser(certificate: &Arc<Certificate>, ufrag: &str) -> Self {
        Self::Secure(Box::new(SecureTransport::controlling(Arc::clone(certificate), ufrag.to_owned())))
    }
}

/// A stream at work.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: Key,
    pub(super) socket: UdpSocket,
    pub(super) is_v6: bool,
    pub(super) codec: Codec,
    wire: Wire,
    /// Where to say what, once the gateway has described itself.
    remote: Option<(Remote, Arc<Speech>)>,
    saying: Saying,
    last: Option<Instant>,
    sequence: Option<u16>,
    /// Only some streams are listened to: decoding costs more than all the rest.
    listening: Option<Box<Listening>>,
    pub(super) heard: Heard,
}

#[derive(Debug)]
struct Saying {
    ssrc: u32,
    number: u64,
    next_check: Instant,
    next_packet: Instant,
    packet: Vec<u8>,
}

/// A chirp that was heard: when the packet that completes it came, how many seconds into that packet the chirp begins (less than none), and
/// how long the packet is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chirp {
    pub(super) at: Instant,
    pub(super) into: f64,
    pub(super) length: f64,
    pub(super) codec: Codec,
}

impl Stream {
    /// A stream that waits for the gateway's description.
    pub(super) fn new(
        now: Instant,
        key: Key,
        socket: UdpSocket,
        wire: Wire,
        codec: Codec,
        listen: bool,
    ) -> Result<Self, super::MediaError> {
        let listening = if listen { Some(Box::new(Listening::new()?)) } else { None };
        let saying = Saying { ssrc: rand::random(), number: 0, next_check: now, next_packet: now, packet: Vec::new() };
        Ok(Self {
            key,
            is_v6: socket.local_addr()?.is_ipv6(),
            socket,
            codec,
            wire,
            remote: None,
            saying,
            last: None,
            sequence: None,
            listening,
            heard: Heard::default(),
        })
    }

    /// Takes the gateway's description.
    pub(super) fn connect(&mut self, now: Instant, remote: Remote, speech: Arc<Speech>) {
        if let (Wire::Secure(secure), Some(peer)) = (&mut self.wire, &remote.peer) {
            secure.set_peer(peer.clone());
            secure.set_candidate(remote.rtp);
        }
        self.remote = Some((remote, speech));
        (self.saying.next_check, self.saying.next_packet) = (now, now);
    }

    /// What its codec puts off what it says.
    pub(super) fn delay(&self) -> Duration {
        self.remote.as_ref().map_or(Duration::ZERO, |(_, speech)| speech.delay())
    }

    /// How long a chirp was on its way from here to where it was heard, in seconds.
    pub(super) fn way_of(&self, chirp: &Chirp) -> Option<f64> {
        let (_, speech) = self.remote.as_ref()?;
        self.listening.as_ref()?.way_of(chirp, speech, self.saying.number)
    }

    /// Its next packet follows nothing.
    pub(super) fn interrupt(&mut self) {
        self.last = None;
        self.sequence = None;
    }

    /// Whether it knows the gateway but cannot speak to it yet.
    pub(super) fn is_connecting(&self) -> bool {
        match &self.wire {
            Wire::Plain => false,
            Wire::Secure(secure) => self.remote.is_some() && !secure.is_connected(),
        }
    }

    /// Says what is due, or goes on with ICE and DTLS. How late a packet was that was sent.
    pub(super) fn turn(&mut self, due: Instant, now: Instant) -> Option<Duration> {
        let (remote, speech) = self.remote.as_ref()?;
        if let Wire::Secure(secure) = &mut self.wire {
            secure.handle_timeout(now);
            // Consent (RFC 7675) is asked for every few seconds once it works.
            if now >= self.saying.next_check {
                secure.check();
                self.saying.next_check = now + if secure.is_connected() { CHECK * 100 } else { CHECK };
            }
            flush(secure, &self.socket);
            if !secure.is_connected() {
                return None;
            }
        }
        // Its turns are as regular as its packets, but a packet may last several of them.
        if due + TOLERANCE < self.saying.next_packet {
            return None;
        }
        self.saying.next_packet = due + speech.frame();
        self.saying.write(remote.payload_type, self.codec, speech);
        let sent = Instant::now();
        let taken = match &mut self.wire {
            Wire::Plain => self.socket.send_to(&self.saying.packet, remote.rtp).is_ok(),
            Wire::Secure(secure) => secure
                .protect_rtp(&self.saying.packet)
                .is_some_and(|(to, sealed)| self.socket.send_to(&sealed, to).is_ok()),
        };
        self.heard.sent += u64::from(taken);
        self.saying.number += 1;
        if let Some(listening) = &mut self.listening {
            listening.note_sent(sent);
        }
        Some(sent.saturating_duration_since(due))
    }

    /// Takes a packet off the wire that came at a time; the chirp that it completes.
    pub(super) fn receive(&mut self, at: Instant, from: SocketAddr, packet: &[u8]) -> Option<Chirp> {
        let opened;
        let clear = match &mut self.wire {
            Wire::Plain => packet,
            Wire::Secure(secure) => match secure.handle_packet(at, from, packet) {
                Received::Rtp(clear) => {
                    opened = clear;
                    &opened
                }
                Received::Unauthentic => {
                    self.heard.malformed += 1;
                    return None;
                }
                Received::Rtcp(_) | Received::Consumed | Received::Discarded(_) => {
                    flush(secure, &self.socket);
                    return None;
                }
            },
        };
        let (remote, _) = self.remote.as_ref()?;
        let Some(rtp) = Rtp::read(clear) else {
            self.heard.malformed += 1;
            return None;
        };
        // Key presses and comfort noise have other types.
        if rtp.payload_type != remote.payload_type {
            return None;
        }
        self.account(at, rtp.sequence);
        let listening = self.listening.as_mut()?;
        let (into, length) = listening.hear(self.codec, self.key.0, rtp.timestamp, rtp.payload, &mut self.heard)?;
        Some(Chirp { at, into, length, codec: self.codec })
    }

    fn account(&mut self, now: Instant, sequence: u16) {
        self.heard.received += 1;
        self.heard.first.get_or_insert(now);
        let silent = self.last.replace(now).map(|last| now.saturating_duration_since(last));
        if let Some(silent) = silent.filter(|silent| *silent > GAP) {
            self.heard.gaps += 1;
            self.heard.longest_gap = self.heard.longest_gap.max(silent);
        }
        let missing = self.sequence.map_or(0, |last| sequence.wrapping_sub(last).wrapping_sub(1));
        // A step back is a packet come late, and was counted as lost.
        if missing < 0x8000 {
            self.heard.lost += u64::from(missing);
            self.sequence = Some(sequence);
        } else {
            self.heard.lost = self.heard.lost.saturating_sub(1);
        }
    }

    /// Says good-bye to the gateway.
    pub(super) fn close(&mut self) {
        if let Wire::Secure(secure) = &mut self.wire {
            secure.close(Instant::now());
            flush(secure, &self.socket);
        }
    }
}

impl Saying {
    /// Makes the next packet of what is said.
    fn write(&mut self, payload_type: u8, codec: Codec, speech: &Speech) {
        let frame = u64::try_from(speech.frame().as_millis()).unwrap_or_default();
        let timestamp = low(self.number.wrapping_mul(frame * codec.kilohertz()));
        self.packet.clear();
        self.packet.extend_from_slice(&[0x80, payload_type]);
        self.packet.extend_from_slice(&low(self.number).to_be_bytes()[2..]);
        self.packet.extend_from_slice(&timestamp.to_be_bytes());
        self.packet.extend_from_slice(&self.ssrc.to_be_bytes());
        self.packet.extend_from_slice(speech.packet(self.number));
    }
}

fn flush(secure: &mut SecureTransport, socket: &UdpSocket) {
    while let Some((to, packet)) = secure.poll_transmit() {
        // What is lost here is sent again.
        drop(socket.send_to(&packet, to));
    }
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

/// An RTP packet (RFC 3550 §5.1), as much as is looked at.
struct Rtp<'a> {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    payload: &'a [u8],
}

impl<'a> Rtp<'a> {
    fn read(packet: &'a [u8]) -> Option<Self> {
        let [first, second, s0, s1, t0, t1, t2, t3, _, _, _, _, rest @ ..] = packet else { return None };
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first >> 6 != 2 {
            return None;
        }
        if first & 0x10 != 0 {
            let [_, _, high, low, extended @ ..] = payload else { return None };
            payload = extended.get(usize::from(u16::from_be_bytes([*high, *low])) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([*s0, *s1]),
            timestamp: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
            payload,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const PLAIN: [u8; 12] = [0x80, 0x80, 1, 2, 0, 0, 3, 4, 5, 6, 7, 8];

    fn with(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = [&PLAIN[..], rest].concat();
        packet[0] = first;
        packet
    }

    #[test]
    fn a_packet_is_read_past_its_sources_extension_and_padding() {
        let packet = with(0xb1, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 42, 43, 0, 0, 3]);
        let rtp = Rtp::read(&packet).unwrap();
        assert_eq!((rtp.payload_type, rtp.sequence, rtp.timestamp), (0, 0x0102, 0x0304));
        assert_eq!(rtp.payload, [42, 43]);
        assert!(Rtp::read(&PLAIN).unwrap().payload.is_empty());
    }

    #[test]
    fn a_packet_that_is_shorter_than_it_says_is_none() {
        for packet in [with(0x81, &[1, 2, 3]), with(0x90, &[0, 0, 0, 2, 1, 2, 3, 4]), with(0xa0, &[7]), with(0x40, &[])]
        {
            assert!(Rtp::read(&packet).is_none(), "{packet:?}");
        }
        assert!((0..12).all(|length| Rtp::read(&PLAIN[..length]).is_none()));
        assert!(Rtp::read(&with(0xa0, &[])).is_none());
    }

    #[test]
    fn nothing_that_a_server_may_send_instead_of_a_packet_is_the_end() {
        let packet = with(0xb1, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 42, 43, 0, 0, 3]);
        for (at, octet) in (0..packet.len()).flat_map(|at| (0..=255).map(move |octet| (at, octet))) {
            let mut changed = packet.clone();
            changed[at] = octet;
            for length in 0..=changed.len() {
                let read = Rtp::read(&changed[..length]);
                assert!(read.is_none_or(|rtp| rtp.payload.len() <= length.saturating_sub(12)));
            }
        }
    }
}
