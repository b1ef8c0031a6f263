//! What goes over a link, which joins a session of one shard with a session of another inside the process: RTP in the clear, and how the
//! session beyond stands. The runtime carries it from shard to shard; no socket, no RTCP.

use bytes::BytesMut;

use crate::codec::Rate;
use crate::command::{Codec, LinkEnd};

/// Something for the other end of a link; to be given to that shard's [`crate::Shard::handle_link`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTransmit {
    /// Where it goes.
    pub to: LinkEnd,
    /// What it is.
    pub content: LinkContent,
}

/// What goes over a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkContent {
    /// An RTP packet, with payload types of the link's own. One that finds a queue full is to be dropped, as on any network.
    Rtp(BytesMut),
    /// How the session beyond stands now. Must arrive, and in order with others of its kind.
    Standing(Standing),
    /// The same, from an end that has just been opened and wants to know the same of this one.
    Opened(Standing),
}

/// How the session stands that is joined with one end of a link, as far as the other end's has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It holds, or is held from our side: who is joined with it hears music.
    pub(crate) holds: bool,
    /// Something may be heard from it.
    pub(crate) speaks: bool,
    /// What it is best sent.
    pub(crate) codec: Option<Codec>,
    /// The rate of sound worth sending it.
    pub(crate) rate: Rate,
}

impl Standing {
    /// Nobody is there.
    pub(crate) const NOBODY: Self = Self { holds: false, speaks: false, codec: None, rate: Rate::Narrow };
    /// Somebody, until told otherwise.
    pub(crate) const SOMEBODY: Self = Self { holds: false, speaks: true, codec: None, rate: Rate::Narrow };
}
