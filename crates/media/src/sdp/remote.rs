//! What a peer's description says of its audio stream.

use std::net::SocketAddr;
use std::time::Duration;

use super::Direction;
use crate::codec::OpusParameters;
use crate::command::Codec;
use crate::keying::{CryptoAttribute, Peer, Unusable};

/// One format of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
    pub(super) parameters: String,
}

impl Format {
    pub(super) fn codec(&self) -> Option<Codec> {
        match (self.encoding.to_ascii_lowercase().as_str(), self.clock_rate) {
            ("opus", 48_000) => Some(Codec::Opus),
            ("pcmu", 8000) => Some(Codec::Pcmu),
            ("pcma", 8000) => Some(Codec::Pcma),
            ("g722", 8000) => Some(Codec::G722),
            _ => None,
        }
    }

    pub(super) fn is_telephone_event(&self) -> bool {
        self.encoding.eq_ignore_ascii_case("telephone-event")
    }

    /// Comfort noise (RFC 3389) that goes with a codec: on the same clock, and not with Opus, which has its own.
    pub(super) fn is_noise_of(&self, codec: Codec) -> bool {
        let is_noise = self.encoding.eq_ignore_ascii_case("CN") && self.clock_rate == codec.clock_rate();
        is_noise && codec != Codec::Opus
    }

    pub(super) fn opus(&self) -> OpusParameters {
        let mut opus = OpusParameters::default();
        for parameter in self.parameters.split(';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let number = value.trim().parse::<u32>().ok();
            match name.trim().to_ascii_lowercase().as_str() {
                "useinbandfec" => opus.fec = number == Some(1),
                "usedtx" => opus.dtx = number == Some(1),
                "maxaveragebitrate" => opus.max_average_bitrate = number,
                "maxplaybackrate" => opus.max_playback_rate = number,
                _ => {}
            }
        }
        opus
    }
}

/// An m-line, as far as an answer must repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaLine {
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) formats: Vec<String>,
    pub(super) mid: Option<String>,
}

/// The audio stream of a peer.
#[derive(Debug, Clone)]
pub(super) struct RemoteAudio {
    /// All m-lines, in order, and which of them this is.
    pub(super) lines: Vec<MediaLine>,
    pub(super) index: usize,
    pub(super) bundled: bool,
    pub(super) secure: bool,
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    pub(super) rtcp_mux: bool,
    pub(super) direction: Direction,
    pub(super) formats: Vec<Format>,
    pub(super) ptime: Option<Duration>,
    pub(super) longest: Option<Duration>,
    pub(super) peer: Option<Peer>,
    /// Whether the profile demands keys in the description.
    pub(super) is_savp: bool,
    /// The a=crypto lines that can be used, in their order.
    pub(super) crypto: Vec<CryptoAttribute>,
    /// Why the first of those cannot that cannot.
    pub(super) unusable: Option<Unusable>,
}
