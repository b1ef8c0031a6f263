//! What one exchange of descriptions settles for all that follow in the session (RFC 3264 §8): the order of the m-lines, what a payload
//! type number means, who is the DTLS server.

use smallvec::SmallVec;

use super::remote::{MediaLine, RemoteAudio};
use super::{LocalKeying, TelephoneEvent};
use crate::command::Codec;
use crate::keying::Setup;

/// Payload types of our first offers: the numbers browsers use themselves.
const OPUS: u8 = 111;
const PCMU: u8 = 0;
const PCMA: u8 = 8;
const G722: u8 = 9;
const EVENT_8000: u8 = 101;
const EVENT_48000: u8 = 110;
/// Where dynamic payload types are (RFC 3551 §6), and no RTCP packet is mistaken for one (RFC 5761 §4).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// A format of ours on the m-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Audio(Codec, u8),
    TelephoneEvent(u8, u32),
    ComfortNoise(u8),
}

impl Format {
    pub(super) fn payload_type(self) -> u8 {
        match self {
            Self::Audio(_, payload_type) | Self::TelephoneEvent(payload_type, _) | Self::ComfortNoise(payload_type) => {
                payload_type
            }
        }
    }
}

/// See the head of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// All m-lines, and which of them is the stream.
    pub(super) lines: Vec<MediaLine>,
    pub(super) index: usize,
    pub(super) bundled: bool,
    /// Our DTLS role.
    pub(super) setup: Setup,
    pub(super) numbers: Numbers,
    /// Whether the peer's c= line ever named an address; 0.0.0.0 after that is a hold, also from a browser.
    pub(super) had_address: bool,
}

impl Settled {
    /// Before anything was exchanged: one m-line of our own.
    pub(super) fn first(keying: &LocalKeying) -> Self {
        let (protocol, is_dtls) = match keying {
            LocalKeying::Plain => ("RTP/AVP", false),
            LocalKeying::Sdes(_) => ("RTP/SAVP", false),
            LocalKeying::DtlsSrtp { .. } => ("UDP/TLS/RTP/SAVPF", true),
        };
        let line = MediaLine {
            media: "audio".to_owned(),
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            mid: is_dtls.then(|| "0".to_owned()),
        };
        Self {
            lines: vec![line],
            index: 0,
            bundled: is_dtls,
            setup: Setup::ActPass,
            numbers: Numbers::default(),
            had_address: false,
        }
    }

    /// After an offer of the peer's that we answer in this role, with these formats.
    pub(super) fn by_offer(remote: &RemoteAudio, formats: &[Format], setup: Setup, before: Option<&Self>) -> Self {
        let had_address = !remote.rtp.ip().is_unspecified() || before.is_some_and(|settled| settled.had_address);
        let taken = remote.formats.iter().map(|format| format.payload_type).collect();
        let numbers = before.map(|settled| settled.numbers).unwrap_or_default().agreed(formats, taken);
        let (lines, bundled) = (remote.lines.clone(), remote.bundled);
        Self { lines, index: remote.index, bundled, setup, numbers, had_address }
    }
}

impl Settled {
    /// The profile the peer answered in is what our next offer repeats: RTP/SAVP may have been answered with RTP/AVP.
    pub(super) fn take_protocol(&mut self, remote: &RemoteAudio) {
        let answered = remote.lines.get(remote.index).map(|line| line.protocol.clone());
        if let (Some(line), Some(protocol)) = (self.lines.get_mut(self.index), answered) {
            line.protocol = protocol;
        }
    }
}

/// Which payload type our offers give each format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    opus: u8,
    event_8000: u8,
    event_48000: u8,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { opus: OPUS, event_8000: EVENT_8000, event_48000: EVENT_48000 }
    }
}

impl Numbers {
    pub(super) fn audio(self, codec: Codec) -> u8 {
        match codec {
            Codec::Opus => self.opus,
            Codec::Pcmu => PCMU,
            Codec::Pcma => PCMA,
            Codec::G722 => G722,
        }
    }

    /// The payload type of telephone-event at a clock rate we know.
    pub(super) fn event(self, clock_rate: u32) -> Option<u8> {
        match clock_rate {
            8000 => Some(self.event_8000),
            48_000 => Some(self.event_48000),
            _ => None,
        }
    }

    /// Takes over the numbers the peer gave to what was agreed on; the rest keeps clear of every number it gave to anything.
    fn agreed(mut self, formats: &[Format], mut taken: SmallVec<[u8; 16]>) -> Self {
        let mut slots = [(&mut self.opus, None), (&mut self.event_8000, None), (&mut self.event_48000, None)];
        for format in formats {
            let (slot, number) = match format {
                Format::Audio(Codec::Opus, number) => (0, *number),
                Format::TelephoneEvent(number, 8000) => (1, *number),
                Format::TelephoneEvent(number, 48_000) => (2, *number),
                Format::Audio(Codec::Pcmu | Codec::Pcma | Codec::G722, _)
                | Format::TelephoneEvent(..)
                | Format::ComfortNoise(_) => continue,
            };
            if let Some((_, agreed)) = slots.get_mut(slot) {
                // A peer that offers telephone-event twice at one rate means the first.
                agreed.get_or_insert(number);
            }
        }
        for (number, agreed) in slots {
            match agreed {
                Some(agreed) => *number = agreed,
                None if taken.contains(number) => {
                    *number = DYNAMIC.rev().find(|free| !taken.contains(free)).unwrap_or(*number);
                }
                None => {}
            }
            taken.push(*number);
        }
        self
    }
}

/// Whether our formats are what a peer named: `(receive, send)` payload types of its telephone-events.
pub(super) fn event_of_answer(numbers: Numbers, payload_type: u8, clock_rate: u32) -> Option<TelephoneEvent> {
    let receive_payload_type = numbers.event(clock_rate)?;
    Some(TelephoneEvent { send_payload_type: payload_type, receive_payload_type, clock_rate })
}
