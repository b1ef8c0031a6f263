//! One peer: what it says, over which path, and what it hears.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::{MediaSessionId, Received, SecureTransport};

use super::sound::{MARK, Voice, code, linear};
use super::{GATEWAY, MS};

const FRAME: usize = 320;

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pcmu,
    Pcma,
    /// Without telephone-events, and PCMU.
    Toning,
    /// A browser asked for narrowband.
    Browser,
    /// A browser that hears and says wideband.
    WideBrowser,
}

/// By the number of a packet: how late it comes, `None` when never.
pub(crate) type Path = Box<dyn FnMut(usize) -> Option<Duration>>;

/// A packet heard by a peer.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Duration,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
    /// At 16 kHz; none of a digit.
    pub(crate) sound: Vec<i16>,
}

pub(crate) struct Member {
    pub(crate) session: MediaSessionId,
    pub(crate) kind: Kind,
    pub(super) transport: Option<SecureTransport>,
    pub(super) address: SocketAddr,
    pub(super) ufrag: &'static str,
    pub(super) voice: Option<Voice>,
    pub(crate) path: Path,
    /// Between two packets of its clock.
    pub(crate) period: Duration,
    pub(super) next: Duration,
    /// Packets said so far.
    pub(crate) frames: usize,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(super) on_the_way: Vec<(Duration, Vec<u8>)>,
    pub(super) encoder: opus::Encoder,
    pub(super) decoder: opus::Decoder,
    /// When the first samples of its marks were said.
    pub(super) marks: Vec<Duration>,
    pub(crate) heard: Vec<Heard>,
}

impl Member {
    /// Timestamp units of a packet.
    pub(super) fn units(&self) -> u32 {
        if matches!(self.kind, Kind::Pcmu | Kind::Pcma | Kind::Toning) { 160 } else { 960 }
    }

    pub(crate) fn payload_type(&self) -> u8 {
        match self.kind {
            Kind::Pcmu | Kind::Toning => 0,
            Kind::Pcma => 8,
            Kind::Browser | Kind::WideBrowser => 111,
        }
    }

    pub(crate) fn packet(&self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&u32::try_from(self.session.0).unwrap().to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn speak(&mut self, now: Duration) {
        while self.voice.is_some() && self.next <= now {
            let Some(voice) = &self.voice else { return };
            let first = self.frames * FRAME;
            let samples: Vec<i16> = (first..first + FRAME).map(|n| voice(n) as i16).collect();
            // A quarter of a wave after the mark began.
            let mark = samples.iter().position(|sample| *sample > MARK);
            if let Some(mark) = mark.filter(|_| self.marks.last().is_none_or(|last| self.next - *last > MS * 200)) {
                self.marks.push(self.next - self.period + self.period * u32::try_from(mark).unwrap() / 320);
            }
            let payload = match self.kind {
                Kind::Pcmu | Kind::Toning => {
                    samples.iter().step_by(2).map(|sample| code(Kind::Pcmu, *sample)).collect()
                }
                Kind::Pcma => samples.iter().step_by(2).map(|sample| code(Kind::Pcma, *sample)).collect(),
                Kind::Browser | Kind::WideBrowser => self.encoder.encode_vec(&samples, 1275).unwrap(),
            };
            let packet = self.packet(self.payload_type(), self.timestamp, &payload);
            if let Some(late) = (self.path)(self.frames) {
                self.on_the_way.push((self.next + late, packet));
            }
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(self.units());
            self.next += self.period;
            self.frames += 1;
        }
    }

    /// In the order in which they come.
    pub(super) fn arrived(&mut self, now: Duration) -> Vec<Vec<u8>> {
        if self.on_the_way.iter().all(|(at, _)| *at > now) {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.on_the_way);
        let (mut arrived, on_the_way): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, _)| *at <= now);
        self.on_the_way = on_the_way;
        arrived.sort_by_key(|(at, _)| *at);
        arrived.into_iter().map(|(_, packet)| packet).collect()
    }

    pub(super) fn receive(&mut self, now: Duration, time: Instant, packet: &[u8]) {
        let clear = match &mut self.transport {
            Some(transport) => match transport.handle_packet(time, GATEWAY, packet) {
                Received::Rtp(clear) => clear.to_vec(),
                _ => return,
            },
            None => packet.to_vec(),
        };
        let (payload_type, payload) = (clear[1] & 0x7f, clear[12..].to_vec());
        let sound = match payload_type {
            0 => payload.iter().flat_map(|code| [linear(Kind::Pcmu, *code); 2]).collect(),
            8 => payload.iter().flat_map(|code| [linear(Kind::Pcma, *code); 2]).collect(),
            111 => {
                let mut samples = vec![0; 1920];
                let count = self.decoder.decode(&payload, &mut samples, false).unwrap();
                samples.truncate(count);
                samples
            }
            _ => Vec::new(),
        };
        self.heard.push(Heard {
            at: now,
            marker: clear[1] & 0x80 != 0,
            payload_type,
            sequence: u16::from_be_bytes([clear[2], clear[3]]),
            timestamp: u32::from_be_bytes(clear[4..8].try_into().unwrap()),
            payload,
            sound,
        });
    }
}
