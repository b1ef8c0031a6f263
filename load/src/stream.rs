//! One side of a call's media: says its round again and again, and keeps account of what it hears.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use media::{Certificate, Received, SecureTransport};
use mio::net::UdpSocket;

use crate::sdp::{Codec, Remote};
use crate::sound::{Ear, FRAME, share_of_tone};
use crate::speech::{Speech, from_mu_law};

/// A gap is what a listener would notice: more than two packets' time without one.
const GAP: Duration = Duration::from_millis(60);
/// How often ICE is checked while it does not work yet.
const CHECK: Duration = Duration::from_millis(50);
/// Chirps remembered on the way; each is old when the next comes.
const UNDER_WAY: usize = 8;
/// Stretches of sound looked at for the call's tone, each of ten packets.
const LOOKED_AT: usize = 10 * FRAME;

/// What a stream is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The agent's.
    Agent,
    /// The carrier's.
    Carrier,
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

/// What came of a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets received.
    pub(crate) received: u64,
    /// Packets that never came, by their sequence numbers.
    pub(crate) lost: u64,
    /// Times of more than 60 ms without a packet, once one had come.
    pub(crate) gaps: u64,
    /// The longest of them.
    pub(crate) longest_gap: Duration,
    /// When the first packet came.
    pub(crate) first: Option<Instant>,
    /// Stretches in which the call's own tone was heard, and in which another sound was.
    pub(crate) right: u64,
    /// See `right`.
    pub(crate) wrong: u64,
    /// What the gateway added to the way of each chirp, beyond what the codec does by itself.
    pub(crate) added: Vec<f64>,
}

/// A stream at work.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) call: u64,
    pub(crate) side: Side,
    pub(crate) socket: UdpSocket,
    wire: Wire,
    pub(crate) codec: Codec,
    speech: Option<Arc<Speech>>,
    remote: Option<Remote>,
    ssrc: u32,
    number: u64,
    next_check: Instant,
    next_packet: Instant,
    last: Option<Instant>,
    sequence: Option<u16>,
    /// When chirps were sent.
    pub(crate) chirps: VecDeque<Instant>,
    /// Only some streams are listened to: decoding costs more than all the rest.
    listening: Option<Box<Listening>>,
    pub(crate) heard: Heard,
}

#[derive(Debug)]
struct Listening {
    decoder: opus::Decoder,
    ear: Ear,
    origin: Option<u32>,
    stretch: Vec<i16>,
}

/// A chirp that was heard: when its packet came, and how many seconds into it the chirp begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chirp {
    pub(crate) at: Instant,
    pub(crate) into: f64,
}

impl Stream {
    /// A stream that waits for the gateway's description.
    pub(crate) fn new(
        now: Instant,
        call: u64,
        side: Side,
        socket: UdpSocket,
        wire: Wire,
        codec: Codec,
        listen: bool,
    ) -> Result<Self, opus::Error> {
        let listening = if listen {
            let decoder = opus::Decoder::new(8000, opus::Channels::Mono)?;
            Some(Box::new(Listening { decoder, ear: Ear::new(), origin: None, stretch: Vec::new() }))
        } else {
            None
        };
        Ok(Self {
            call,
            side,
            socket,
            wire,
            codec,
            speech: None,
            remote: None,
            ssrc: rand::random(),
            number: 0,
            next_check: now,
            next_packet: now,
            last: None,
            sequence: None,
            chirps: VecDeque::new(),
            listening,
            heard: Heard::default(),
        })
    }

    /// Takes the gateway's description.
    pub(crate) fn connect(&mut self, now: Instant, remote: Remote, speech: Arc<Speech>) {
        if let (Wire::Secure(secure), Some(peer)) = (&mut self.wire, &remote.peer) {
            secure.set_peer(peer.clone());
            secure.set_candidate(remote.rtp);
        }
        self.remote = Some(remote);
        self.speech = Some(speech);
        self.next_check = now;
        self.next_packet = now;
    }

    /// What its codec puts off what it says.
    pub(crate) fn delay(&self) -> Duration {
        self.speech.as_ref().map_or(Duration::ZERO, |speech| speech.delay())
    }

    /// Its next packet follows nothing.
    pub(crate) fn interrupt(&mut self) {
        self.last = None;
        self.sequence = None;
    }

    /// Says what is due, or goes on with ICE and DTLS.
    pub(crate) fn tick(&mut self, now: Instant) {
        let (Some(remote), Some(speech)) = (self.remote.clone(), self.speech.clone()) else { return };
        if let Wire::Secure(secure) = &mut self.wire {
            secure.handle_timeout(now);
            // Consent (RFC 7675) is asked for every few seconds once it works.
            if now >= self.next_check {
                secure.check();
                self.next_check = now + if secure.is_connected() { CHECK * 100 } else { CHECK };
            }
            let connected = secure.is_connected();
            self.flush();
            if !connected {
                return;
            }
        }
        // Ticks come every 20 ms, a little early or late.
        if now + Duration::from_millis(5) < self.next_packet {
            return;
        }
        self.next_packet = now + speech.frame();
        let payload = speech.packet(self.number);
        let mut packet = Vec::with_capacity(12 + payload.len());
        packet.extend_from_slice(&[0x80, remote.payload_type]);
        packet.extend_from_slice(&low_half(self.number).to_be_bytes());
        let frame = u64::try_from(speech.frame().as_millis()).unwrap_or_default();
        let scale = frame * if self.codec == Codec::Opus { 48 } else { 8 };
        let timestamp = u32::try_from(self.number.wrapping_mul(scale) & u64::from(u32::MAX)).unwrap_or_default();
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        if speech.begins(self.number) {
            self.chirps.push_back(Instant::now());
            self.chirps.drain(..self.chirps.len().saturating_sub(UNDER_WAY));
        }
        self.number += 1;
        let sent = match &mut self.wire {
            Wire::Plain => self.socket.send_to(&packet, remote.rtp).is_ok(),
            Wire::Secure(secure) => {
                secure.protect_rtp(&packet).is_some_and(|(to, sealed)| self.socket.send_to(&sealed, to).is_ok())
            }
        };
        self.heard.sent += u64::from(sent);
    }

    fn flush(&mut self) {
        if let Wire::Secure(secure) = &mut self.wire {
            while let Some((to, packet)) = secure.poll_transmit() {
                // What is lost here is sent again.
                drop(self.socket.send_to(&packet, to));
            }
        }
    }

    /// Takes a packet off the wire; the chirp that it completes.
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> Option<Chirp> {
        let clear = match &mut self.wire {
            Wire::Plain => BytesMut::from(packet),
            Wire::Secure(secure) => match secure.handle_packet(now, from, packet) {
                Received::Rtp(clear) => clear,
                Received::Rtcp(_) | Received::Consumed | Received::Unauthentic | Received::Discarded(_) => {
                    self.flush();
                    return None;
                }
            },
        };
        let (header, payload) = (clear.get(..12)?, clear.get(12..)?);
        let remote = self.remote.as_ref()?;
        if header.first()? >> 6 != 2 || header.get(1)? & 0x7f != remote.payload_type {
            return None;
        }
        let sequence = u16::from_be_bytes(header.get(2..4)?.try_into().ok()?);
        let timestamp = u32::from_be_bytes(header.get(4..8)?.try_into().ok()?);
        self.account(now, sequence);
        let listening = self.listening.as_mut()?;
        listening.hear(self.codec, self.call, timestamp, payload, &mut self.heard).map(|into| Chirp { at: now, into })
    }

    fn account(&mut self, now: Instant, sequence: u16) {
        self.heard.received += 1;
        self.heard.first.get_or_insert(now);
        if let Some(silent) = self.last.replace(now).map(|last| now - last).filter(|silent| *silent > GAP) {
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
}

impl Listening {
    fn hear(&mut self, codec: Codec, call: u64, timestamp: u32, payload: &[u8], heard: &mut Heard) -> Option<f64> {
        let mut samples = [0_i16; 6 * FRAME];
        let (count, scale) = match codec {
            Codec::Opus => (self.decoder.decode(payload, &mut samples, false).ok()?, 6),
            Codec::Pcmu => {
                let decoded = samples.iter_mut().zip(payload);
                (decoded.map(|(sample, code)| *sample = from_mu_law(*code)).count(), 1)
            }
        };
        let samples = samples.get(..count)?;
        let at = u64::from(timestamp.wrapping_sub(*self.origin.get_or_insert(timestamp)) / scale);
        self.stretch.extend_from_slice(samples);
        if self.stretch.len() >= LOOKED_AT {
            let steady = |part: &[i16]| share_of_tone(part, call) > 0.5;
            let is_loud =
                self.stretch.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() > 1e6 * self.stretch.len() as f64;
            let parts: Vec<_> = self.stretch.chunks(FRAME * 5).map(steady).collect();
            // The chirp and the pause are no tone; two halves of one stretch that are loud and neither the tone nor a chirp are another's.
            if parts.iter().all(|right| *right) {
                heard.right += 1;
            } else if is_loud && other_tone(&self.stretch, call) {
                heard.wrong += 1;
            }
            self.stretch.clear();
        }
        let place = self.ear.hear(at, samples)?;
        // The chirp is complete now, its beginning came some packets ago.
        Some((place as f64 - at as f64) / crate::sound::RATE as f64)
    }
}

/// Whether a stretch is the tone of some other call.
fn other_tone(samples: &[i16], call: u64) -> bool {
    let others = (0..crate::sound::TONES as u64).filter(|other| other % 16 != call % 16);
    others.into_iter().any(|other| share_of_tone(samples, other) > 0.5)
}

fn low_half(number: u64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}
