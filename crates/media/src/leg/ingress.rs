//! What a leg hears: its packets put in order, its digits told apart from its audio.

use std::time::Instant;

use smallvec::SmallVec;

use crate::command::{Codec, Dtmf};
use crate::dtmf::Keypad;
use crate::mix::Intake;
use crate::rtp::{Admission, Order, Reception, Reorder, RtpView};
use crate::sdp::Negotiated;
use crate::transcoder::Transcoder;

/// The payload types a peer sends, as agreed.
#[derive(Debug, Clone)]
pub(crate) struct Agreed {
    /// What it sends now; the first of `audio` until it shows otherwise.
    pub(crate) codec: Codec,
    audio: SmallVec<[(u8, Codec); 2]>,
    /// Payload type and clock rate of each telephone-event format.
    events: Vec<(u8, u32)>,
    /// Further numbers of comfort noise.
    noise: SmallVec<[u8; 2]>,
    /// It has said that it is silent, and nothing since: it need not send.
    pub(super) is_quiet: bool,
    /// Whether our side of the description receives; what comes otherwise is a sign of life only.
    pub(super) may_receive: bool,
}

/// Comfort noise (RFC 3389) has this number always and comes without having been agreed on.
const COMFORT_NOISE: u8 = 13;

/// The receiving half of a leg.
#[derive(Debug)]
pub(crate) struct Ingress {
    pub(super) agreed: Option<Agreed>,
    pub(crate) reception: Reception,
    pub(super) reorder: Reorder,
    pub(crate) keypad: Keypad,
    /// Towards the leg it is joined with, when that speaks another codec.
    pub(crate) transcoder: Option<Transcoder>,
    /// Towards the mix it is in, while it is heard there.
    pub(crate) intake: Option<Box<Intake>>,
    /// Packets that came too late, twice, or out of a restart not yet believed.
    pub(crate) discarded: u64,
}

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio(Codec),
    Event {
        clock_rate: u32,
    },
    ComfortNoise,
    /// Not agreed on.
    Other,
}

impl Agreed {
    pub(super) fn kind(&self, payload_type: u8) -> Kind {
        if let Some((_, codec)) = self.audio.iter().find(|(number, _)| *number == payload_type) {
            return Kind::Audio(*codec);
        }
        if payload_type == COMFORT_NOISE || self.noise.contains(&payload_type) {
            return Kind::ComfortNoise;
        }
        let event = self.events.iter().find(|(number, _)| *number == payload_type);
        event.map_or(Kind::Other, |(_, clock_rate)| Kind::Event { clock_rate: *clock_rate })
    }
}

impl Ingress {
    pub(crate) fn new() -> Self {
        Self {
            agreed: None,
            reception: Reception::new(8000),
            reorder: Reorder::new(),
            keypad: Keypad::default(),
            transcoder: None,
            intake: None,
            discarded: 0,
        }
    }

    /// Whether a payload type is one the peer may send.
    pub(super) fn knows(&self, payload_type: u8) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.kind(payload_type) != Kind::Other)
    }

    /// Whether the peer may send audio.
    pub(crate) fn may_receive(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.may_receive)
    }

    /// Whether the peer has said that it is silent.
    pub(crate) fn is_quiet(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.is_quiet)
    }

    pub(crate) fn agree(&mut self, negotiated: &Negotiated) {
        if self.agreed.as_ref().is_none_or(|agreed| agreed.codec.clock_rate() != negotiated.codec.clock_rate()) {
            self.reception = Reception::new(negotiated.codec.clock_rate());
            self.reorder.reset();
            self.transcoder = None;
        }
        self.keypad.listen_for_tones(match negotiated.dtmf {
            Dtmf::Auto => negotiated.telephone_events.is_empty(),
            Dtmf::Inband => true,
            Dtmf::Rfc4733 | Dtmf::Info => false,
        });
        let events = negotiated.telephone_events.iter().map(|e| (e.receive_payload_type, e.clock_rate)).collect();
        self.agreed = Some(Agreed {
            noise: negotiated.comfort_noise.clone(),
            is_quiet: self.is_quiet(),
            codec: negotiated.codec,
            audio: negotiated.receive.clone(),
            events,
            may_receive: negotiated.direction.receives(),
        });
    }

    /// Takes a packet. `true` when it is the next in sequence and to be used at once, before what waited behind it. A
    /// restarted source is told through `restarted`.
    pub(super) fn accept(&mut self, now: Instant, view: &RtpView<'_>, restarted: &mut bool) -> bool {
        let header = view.header;
        if let Some(Kind::Audio(codec)) = self.agreed.as_ref().map(|agreed| agreed.kind(header.payload_type)) {
            self.reception.set_clock_rate(codec.clock_rate());
        }
        let index = match self.reception.admit(now, header.ssrc, header.sequence, header.timestamp) {
            Admission::Index(index) => index,
            Admission::Restarted(index) => {
                self.reorder.reset();
                if let Some(transcoder) = &mut self.transcoder {
                    transcoder.restart();
                }
                if let Some(intake) = &mut self.intake {
                    intake.restart();
                }
                *restarted = true;
                index
            }
            Admission::Probation => {
                self.discarded += 1;
                return false;
            }
        };
        let order = self.reorder.accept(now, index, view);
        self.discarded += u64::from(matches!(order, Order::Late | Order::Duplicate));
        order == Order::Next
    }

    /// When held packets or the digits want to be looked at again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.reorder.deadline(), self.keypad.deadline()].into_iter().flatten().min()
    }
}
