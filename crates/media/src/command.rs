//! The language between signalling and a media shard: commands in, events out. All values, no sockets.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

#[cfg(doc)]
use crate::event::Event;

/// Names one media session (one leg's media) for the life of the process; chosen by signalling, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaSessionId(pub u64);

/// Names a mix of sessions; chosen by signalling, never reused. A mix exists while it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MixId(pub u64);

/// Names a socket of the shard's runtime. The shard's one browser socket is [`SocketId::BROWSERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

impl SocketId {
    /// The UDP port all browser legs of the shard share.
    pub const BROWSERS: Self = Self(0);
}

/// An audio codec the gateway speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus, `opus/48000/2` on the wire (RFC 7587).
    Opus,
    /// G.711 mu-law (RFC 3551).
    Pcmu,
    /// G.711 A-law (RFC 3551).
    Pcma,
    /// G.722 at 64 kbit/s: 7 kHz of sound (RFC 3551).
    G722,
}

/// One end of a link: a session opened with [`Keying::Link`], and the shard it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkEnd {
    /// The shard, as the runtime numbers them.
    pub shard: usize,
    /// The session there.
    pub session: MediaSessionId,
}

/// How a leg's media is carried and protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keying {
    /// A browser: ICE-lite, DTLS-SRTP, BUNDLE and rtcp-mux on the shard's shared port.
    DtlsSrtp,
    /// A plain RTP trunk leg on a port of its own. Symmetric RTP latches only onto the SDP's address or these networks.
    Plain {
        /// The trunk's own networks, whence RTP is believed beside the SDP's address.
        networks: Vec<IpNet>,
    },
    /// A trunk leg like [`Keying::Plain`] whose media is SRTP with the keys of its SDP (RFC 4568).
    Sdes {
        /// The trunk's own networks.
        networks: Vec<IpNet>,
        /// Whether it may be plain RTP instead.
        policy: SdesPolicy,
    },
    /// No network: what is sent is received by a session of another shard of this process, and the other way round. Nothing is
    /// negotiated, and nothing told of it but its failure and its end.
    Link {
        /// The session there, opened likewise with this one as its peer.
        peer: LinkEnd,
    },
}

/// Whether the media of a leg keyed by SDES may go unencrypted. Once a session is encrypted no later description takes that away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdesPolicy {
    /// RTP/SAVP is offered, and plain RTP taken from a peer that offers or answers nothing better.
    Optional,
    /// RTP/SAVP with keys, or nothing.
    Required,
}

/// How a session's media is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// Not at all, or nothing is agreed on yet.
    #[default]
    None,
    /// SRTP keyed by DTLS (RFC 5764).
    DtlsSrtp,
    /// SRTP keyed by SDP (RFC 4568).
    Sdes,
}

/// The bandwidth of the far side, so that a browser is asked not to send what will be thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bandwidth {
    /// The far side is G.711: `maxplaybackrate=8000;sprop-maxcapturerate=8000`.
    Narrow,
    /// The far side is G.722: `maxplaybackrate=16000;sprop-maxcapturerate=16000`.
    Wide,
    /// The far side takes what Opus gives.
    Full,
}

/// How digits travel between us and a session's peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dtmf {
    /// As telephone-events where they are agreed on, else as tones in the audio.
    #[default]
    Auto,
    /// As telephone-events (RFC 4733), or not at all.
    Rfc4733,
    /// As tones in the audio; telephone-events are not offered.
    Inband,
    /// By signalling (SIP INFO): no digit is heard or sent in media, and telephone-events are not offered.
    Info,
}

impl Dtmf {
    /// Whether our descriptions have telephone-events.
    pub(crate) fn has_events(self) -> bool {
        matches!(self, Self::Auto | Self::Rfc4733)
    }
}

/// What signalling asks of a shard.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes a session. Nothing is sent until its descriptions are exchanged.
    Open {
        /// The new session.
        session: MediaSessionId,
        /// How its media is carried.
        keying: Keying,
        /// Codecs allowed on this leg, best first.
        codecs: Vec<Codec>,
        /// No packet for this long raises [`Event::Silent`]; none while zero.
        silence_timeout: Duration,
    },
    /// Says how digits travel, for descriptions from now on. Without it: [`Dtmf::Auto`] on a plain leg, [`Dtmf::Rfc4733`] with a
    /// browser (RFC 7874 §3).
    SetDtmf {
        /// The session.
        session: MediaSessionId,
        /// How.
        dtmf: Dtmf,
    },
    /// Says how long packets are that this side would like, for descriptions from now on; and for what it sends to a peer that names no
    /// length itself. Without it 20 ms.
    SetPacketTime {
        /// The session.
        session: MediaSessionId,
        /// 10 to 60 ms.
        ptime: Duration,
    },
    /// Asks for an SDP offer; answered by [`Event::LocalDescription`].
    CreateOffer {
        /// The session.
        session: MediaSessionId,
        /// Bandwidth of the far side.
        bandwidth: Bandwidth,
    },
    /// Gives the peer's SDP offer; answered by [`Event::LocalDescription`] (the answer) or [`Event::Rejected`]. In a session that has
    /// agreed before, media stays as it is until [`Command::Adopt`] says that the answer was sent.
    HandleOffer {
        /// The session.
        session: MediaSessionId,
        /// The peer's SDP, as received.
        sdp: Vec<u8>,
        /// Bandwidth of the far side.
        bandwidth: Bandwidth,
    },
    /// Gives the peer's SDP answer to our offer; answered by [`Event::Negotiated`] or [`Event::Rejected`]. A second
    /// answer (the 200 after a 183) replaces the first.
    HandleAnswer {
        /// The session.
        session: MediaSessionId,
        /// The peer's SDP, as received.
        sdp: Vec<u8>,
    },
    /// Our answer to a later offer was sent: media goes by it from now on.
    Adopt {
        /// The session.
        session: MediaSessionId,
    },
    /// Holds the session from our side, or no longer: its peer neither hears nor is heard, and our descriptions from now on say
    /// so. Who is joined with it hears music, as when its peer holds by SDP.
    Hold {
        /// The session.
        session: MediaSessionId,
        /// Whether it is held.
        hold: bool,
    },
    /// Joins two sessions: each hears the other, transcoded only when their codecs or packet lengths differ. Replaces earlier joins.
    Bridge {
        /// One side.
        a: MediaSessionId,
        /// The other.
        b: MediaSessionId,
    },
    /// The session hears itself (echo test).
    Echo {
        /// The session.
        session: MediaSessionId,
    },
    /// The session joins a mix: its peer hears everybody else in it, and is heard by them. Replaces earlier joins. A session that finds
    /// 64 members there is joined with nothing and has [`Event::Failed`].
    Mix {
        /// The session.
        session: MediaSessionId,
        /// The mix; made when this is its first member.
        mix: MixId,
    },
    /// Plays a local ringback tone (425 Hz 1 s on, 4 s off) to the session until it is bridged, mixed, echoed, given music or closed.
    Ringback {
        /// The session.
        session: MediaSessionId,
    },
    /// Plays the music of a hold to the session until it is bridged, mixed, echoed, given ringback or closed: who waits while somebody else is
    /// asked.
    Music {
        /// The session.
        session: MediaSessionId,
    },
    /// The session's peer pressed a key, which signalling told. It goes where one heard in media goes, and is told by
    /// [`Event::Digit`]; a press that both tell counts once.
    PressDigit {
        /// The session it came from.
        session: MediaSessionId,
        /// One of `0-9 * # A-D`; others are ignored.
        digit: char,
        /// How long it was held.
        duration: Duration,
    },
    /// Sends digits, one after another, as the session's [`Dtmf`] says.
    SendDigits {
        /// The session to whose peer they go.
        session: MediaSessionId,
        /// Of `0-9 * # A-D`; others are ignored.
        digits: String,
        /// Length of each digit.
        duration: Duration,
    },
    /// Ends the session; answered by [`Event::Closed`], after which its id is void.
    Close {
        /// The session.
        session: MediaSessionId,
    },
}

/// A wish for a port, raised by `Open` with [`Keying::Plain`] or [`Keying::Sdes`]; answered with `Shard::handle_port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRequest {
    /// The session that wants it.
    pub session: MediaSessionId,
}

/// A port the runtime bound: RTP on an even port, RTCP on the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalPort {
    /// The RTP socket.
    pub rtp: SocketId,
    /// The RTCP socket.
    pub rtcp: SocketId,
    /// The RTP address to write into SDP.
    pub advertised: SocketAddr,
}
