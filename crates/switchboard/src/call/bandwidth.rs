//! How much of a voice a leg can use, so that whoever it talks to is not asked for more.

use media::{Bandwidth, Codec};

/// The bandwidth of a codec.
pub(super) fn of(codec: Codec) -> Bandwidth {
    match codec {
        Codec::Pcmu | Codec::Pcma => Bandwidth::Narrow,
        Codec::G722 => Bandwidth::Wide,
        Codec::Opus => Bandwidth::Full,
    }
}

/// The best of several codecs, one of which it will be.
pub(super) fn best(codecs: &[Codec]) -> Option<Bandwidth> {
    codecs.iter().copied().map(of).max()
}
