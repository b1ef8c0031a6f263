//! One end of a link to another shard, as the wire of a session. It carries what is said in the codec it is said in, so that only the
//! far end transcodes, which knows what its own peer wants and reports; each packet says by its payload type what it is.

use bytes::BytesMut;
use smallvec::smallvec;

use super::Sink;
use crate::codec::OpusParameters;
use crate::command::LinkEnd;
use crate::command::{Codec, Dtmf};
use crate::link::{LinkContent, LinkTransmit, Standing};
use crate::sdp::{Direction, Negotiated, TelephoneEvent};

/// Both ends are ours: nothing is negotiated.
const EVENTS: [TelephoneEvent; 2] = [event(101, 8000), event(110, 48_000)];

const fn event(payload_type: u8, clock_rate: u32) -> TelephoneEvent {
    TelephoneEvent { send_payload_type: payload_type, receive_payload_type: payload_type, clock_rate }
}

/// What a session's packets are handed to.
#[derive(Debug)]
pub(crate) struct Link {
    peer: LinkEnd,
    /// How whoever is beyond stands.
    pub(crate) beyond: Standing,
    told: Standing,
}

impl Link {
    /// Opens an end. The peer is told, and tells how it stands itself, whichever end is opened first.
    pub(crate) fn open(peer: LinkEnd, sink: &mut Sink) -> Self {
        // It will be joined in a moment.
        let told = Standing::SOMEBODY;
        sink.links.push_back(LinkTransmit { to: peer, content: LinkContent::Opened(told) });
        Self { peer, beyond: Standing::SOMEBODY, told }
    }

    /// Tells the peer how the session joined with this end stands, unless it knows.
    pub(crate) fn tell(&mut self, standing: Standing, sink: &mut Sink) {
        if self.told != standing {
            self.told = standing;
            self.repeat(sink);
        }
    }

    /// Tells the peer again.
    pub(crate) fn repeat(&self, sink: &mut Sink) {
        sink.links.push_back(LinkTransmit { to: self.peer, content: LinkContent::Standing(self.told) });
    }

    pub(super) fn send_rtp(&self, packet: BytesMut, sink: &mut Sink) {
        sink.links.push_back(LinkTransmit { to: self.peer, content: LinkContent::Rtp(packet) });
    }
}

/// What holds on every link, with what is sent in one codec.
pub(crate) fn terms(codec: Codec) -> Negotiated {
    let nowhere = ([0, 0, 0, 0], 0).into();
    let mut telephone_events = EVENTS.to_vec();
    telephone_events.sort_by_key(|event| event.clock_rate != codec.clock_rate());
    Negotiated {
        codec,
        send_payload_type: payload_type(codec),
        receive: smallvec![
            (payload_type(Codec::Opus), Codec::Opus),
            (payload_type(Codec::Pcmu), Codec::Pcmu),
            (payload_type(Codec::Pcma), Codec::Pcma),
            (payload_type(Codec::G722), Codec::G722),
        ],
        telephone_events,
        comfort_noise: smallvec![],
        dtmf: Dtmf::Rfc4733,
        packets: None,
        remote_rtp: nowhere,
        remote_rtcp: nowhere,
        rtcp_mux: true,
        direction: Direction::SendRecv,
        peer_receives: true,
        opus: OpusParameters::default(),
        peer: None,
        keys: None,
    }
}

fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    }
}
