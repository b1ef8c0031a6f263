//! What is spoken, and the two sides compared: calls through a shard, and their bare floor.

mod bare;
mod crowd;
mod voice;

pub(crate) use bare::Bare;
pub(crate) use crowd::Crowd;
#[allow(unused_imports, reason = "of one benchmark only")]
pub(crate) use crowd::Fate;
pub(crate) use voice::Voice;

use media::{Bandwidth, Codec};

/// Frames in a round: one second.
pub(crate) const FRAMES: usize = 50;

/// Who is at one end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A browser with its own keys, asked for so much.
    Browser(Bandwidth),
    /// A trunk with one codec.
    Trunk(Codec),
    /// A trunk with one codec, and SRTP keyed by SDP.
    SecureTrunk(Codec),
}

impl End {
    pub(crate) fn codec(self) -> Codec {
        match self {
            Self::Browser(_) => Codec::Opus,
            Self::Trunk(codec) | Self::SecureTrunk(codec) => codec,
        }
    }
}

/// What call number `call` says in frame number `frame`: each is somewhere else in the text, so that a crowd does not teach the
/// processor one frame.
pub(crate) fn said<T>(frames: &[Vec<T>], frame: usize, call: usize) -> &[T] {
    &frames[(frame + call * 7) % frames.len()]
}
