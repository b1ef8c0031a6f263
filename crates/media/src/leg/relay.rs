//! From one leg's ear to another's mouth, in the same turn: in order, concealed where lost, relayed when both speak the same codec in
//! packets of the same length, transcoded when they do not. Digits leave the audio here and are regenerated on the other side.

use std::time::{Duration, Instant};

use super::ingress::{Agreed, Ingress, Kind};
use super::outgoing::Outgoing;
use super::{Sink, Wire};
use crate::codec::silence;
use crate::command::Codec;
use crate::dtmf::{Heard, Keypad};
use crate::mix::Intake;
use crate::noise::Noise;
use crate::packer::Target;
use crate::rtp::{Pace, RtpView, Step};
use crate::transcoder::Transcoder;

/// The leg that is to hear it.
pub(crate) struct Far<'a> {
    pub(crate) outgoing: &'a mut Outgoing,
    pub(crate) wire: &'a mut Wire,
}

impl Far<'_> {
    /// What to encode to, once anything can be sent at all.
    fn target(&self) -> Option<Target> {
        self.outgoing.target().filter(|_| self.wire.can_send())
    }

    /// Has its peer told of a key.
    pub(crate) fn take_key(&mut self, now: Instant, heard: Heard, sink: &mut Sink) {
        match heard {
            Heard::Pressed(digit) => self.outgoing.digits.press(digit),
            Heard::Released(digit, duration) => self.outgoing.digits.release(digit, duration),
            Heard::Told(digit, duration) => self.outgoing.digits.dial(digit, duration),
            Heard::Nothing => {}
        }
        self.outgoing.handle_timeout(now, self.wire, sink);
    }
}

/// One turn: what it may touch.
pub(crate) struct Turn<'a> {
    pub(crate) now: Instant,
    pub(crate) far: Option<Far<'a>>,
    pub(crate) sink: &'a mut Sink,
    /// Digits the far user of this shard is told of.
    pub(crate) heard: &'a mut Vec<Heard>,
    /// Set when the far leg's clock has something to do from now on.
    pub(crate) rouses: &'a mut bool,
}

/// What of the near leg a piece of audio needs.
struct Near<'a> {
    agreed: &'a mut Agreed,
    ssrc: u32,
    keypad: &'a mut Keypad,
    transcoder: &'a mut Option<Transcoder>,
    intake: Option<&'a mut Intake>,
}

/// Takes a packet the near leg received.
pub(crate) fn packet(near: &mut Ingress, view: &RtpView<'_>, mut turn: Turn<'_>) {
    let mut restarted = false;
    let is_next = near.accept(turn.now, view, &mut restarted);
    if restarted {
        for heard in near.keypad.restart(turn.now) {
            digit(heard, &mut turn);
        }
        if let Some(far) = &mut turn.far {
            far.outgoing.new_source(turn.now);
        }
    }
    if is_next && let Some((mut half, _)) = halves(near) {
        let header = view.header;
        half.use_packet(header.timestamp, header.marker, header.payload_type, view.payload, &mut turn);
    }
    waiting(near, &mut turn);
}

/// Uses what waited in the reorder buffer and may be used now.
fn waiting(near: &mut Ingress, turn: &mut Turn<'_>) {
    let Some((mut half, reorder)) = halves(near) else { return };
    while let Some(step) = reorder.next(turn.now) {
        match step {
            Step::Packet { timestamp, marker, payload_type, payload } => {
                half.use_packet(timestamp, marker, payload_type, payload, turn);
            }
            Step::Lost { following } => half.conceal(following, turn),
            Step::Gap { missing } => half.leave_out(missing, turn),
        }
    }
}

/// What the clock demands of an ear: packets given up, digits whose end was lost.
pub(crate) fn timeout(near: &mut Ingress, mut turn: Turn<'_>) {
    waiting(near, &mut turn);
    for heard in near.keypad.handle_timeout(turn.now) {
        digit(heard, &mut turn);
    }
}

/// A key press of the peer that signalling told.
pub(crate) fn told(near: &mut Ingress, pressed: char, duration: Duration, mut turn: Turn<'_>) {
    let heard = near.keypad.told(turn.now, pressed, duration);
    if heard != Heard::Nothing {
        digit(heard, &mut turn);
    }
}

fn halves(near: &mut Ingress) -> Option<(Near<'_>, &mut crate::rtp::Reorder)> {
    let ssrc = near.reception.ssrc()?;
    let Ingress { agreed, reorder, keypad, transcoder, intake, .. } = near;
    Some((Near { agreed: agreed.as_mut()?, ssrc, keypad, transcoder, intake: intake.as_deref_mut() }, reorder))
}

impl Near<'_> {
    fn use_packet(&mut self, timestamp: u32, marker: bool, payload_type: u8, payload: &[u8], turn: &mut Turn<'_>) {
        match self.agreed.kind(payload_type) {
            Kind::Audio(codec) => {
                self.agreed.codec = codec;
                if let Some(Far { outgoing, wire: Wire::Link(_) }) = &mut turn.far {
                    outgoing.follow(turn.now, codec);
                }
                self.use_audio(timestamp, marker, payload, turn);
            }
            Kind::Event { clock_rate } => {
                self.end_in_mix();
                for heard in self.keypad.event(turn.now, timestamp, clock_rate, payload) {
                    digit(heard, turn);
                }
            }
            Kind::ComfortNoise => self.rest(payload, turn),
            Kind::Other => {}
        }
    }

    /// The peer sends nothing of its silence from now on: no loss, and to whoever hears it not the end of the line.
    fn rest(&mut self, payload: &[u8], turn: &mut Turn<'_>) {
        if !self.agreed.may_receive {
            return;
        }
        self.agreed.is_quiet = true;
        self.end_in_mix();
        if self.intake.is_none()
            && let Some(far) = &mut turn.far
        {
            far.outgoing.play_noise(turn.now, Noise::new(payload));
            far.outgoing.handle_timeout(turn.now, far.wire, turn.sink);
            *turn.rouses = true;
        }
    }

    /// Whether what comes is relayed as it is. What is regrouped for its length stays so until nothing of it is left.
    fn is_relayed(&self, to: Target) -> bool {
        let codec = self.agreed.codec;
        to.codec == codec && self.transcoder.as_ref().is_none_or(|transcoder| !transcoder.joins(codec, to))
    }

    /// A relayed stream shows its loss to the peer, which conceals it by its own means; a transcoded one has none.
    fn leave_out(&self, count: u16, turn: &mut Turn<'_>) {
        if let Some(far) = &mut turn.far
            && far.target().is_some_and(|to| self.is_relayed(to))
        {
            far.outgoing.egress.skip(count);
        }
    }

    fn use_audio(&mut self, timestamp: u32, marker: bool, payload: &[u8], turn: &mut Turn<'_>) {
        // A packet without payload keeps a NAT open (RFC 6263 §4.2); to libopus it would be a loss to conceal.
        if !self.agreed.may_receive || payload.is_empty() {
            return;
        }
        self.agreed.is_quiet = false;
        for heard in self.keypad.audio(turn.now, self.agreed.codec, payload) {
            digit(heard, turn);
        }
        if self.intake.is_some() {
            self.mix(turn.now, timestamp, payload);
            return;
        }
        let Some(far) = &mut turn.far else { return };
        far.outgoing.end_noise();
        let Some(to) = far.target() else { return };
        // What sounds during a digit is the digit's own tone, and would be heard twice.
        if self.keypad.is_pressed() || far.outgoing.is_digit_sounding() {
            return;
        }
        // What may become a digit is kept back at once, and silence sent for it: the tone is gone when it is known to be one.
        let payload = if self.keypad.suspects() { silence(self.agreed.codec, payload.len()) } else { payload };
        if payload.is_empty() {
            return;
        }
        let codec = self.agreed.codec;
        let has_begun = |transcoder: &Transcoder| transcoder.joins(codec, to) && transcoder.is_pending();
        if to.takes(codec, payload) && !self.transcoder.as_ref().is_some_and(has_begun) {
            *self.transcoder = None;
            let pace = Pace::Source { ssrc: self.ssrc, timestamp, clock_rate: to.codec.clock_rate() };
            far.outgoing.send_audio(turn.now, pace, marker, payload, far.wire, turn.sink);
            return;
        }
        let Some(transcoder) = transcoder_for(self.transcoder, codec, to) else { return };
        // A payload the codec refuses is as good as lost.
        if transcoder.packet(timestamp, payload).is_err() {
            let _ = transcoder.lost(None);
        }
        self.send_frames(marker, to, turn);
    }

    /// Whatever comes next, it is not what was said going on.
    fn end_in_mix(&mut self) {
        if let Some(intake) = &mut self.intake {
            intake.end();
        }
    }

    /// As towards a far leg: nothing of a digit, and silence for what may become one.
    fn mix(&mut self, now: Instant, timestamp: u32, payload: &[u8]) {
        let Some(intake) = &mut self.intake else { return };
        let codec = self.agreed.codec;
        let is_kept_back = self.keypad.is_pressed() || self.keypad.suspects();
        let payload = if is_kept_back { silence(codec, payload.len()) } else { payload };
        if payload.is_empty() {
            intake.end();
        } else {
            intake.packet(now, codec, timestamp, payload);
        }
    }

    fn conceal(&mut self, following: Option<(u8, &[u8])>, turn: &mut Turn<'_>) {
        // A telephone-event has no audio of the packet before it.
        let following = following.filter(|(number, _)| self.agreed.kind(*number) == Kind::Audio(self.agreed.codec));
        let following = following.map(|(_, payload)| payload);
        if let Some(intake) = &mut self.intake {
            if !self.keypad.is_pressed() && !self.keypad.suspects() {
                intake.lost(turn.now, following);
            }
            return;
        }
        self.leave_out(1, turn);
        let Some(far) = &mut turn.far else { return };
        let Some(to) = far.target().filter(|to| !self.is_relayed(*to)) else { return };
        if self.keypad.is_pressed() || self.keypad.suspects() || far.outgoing.is_digit_sounding() {
            return;
        }
        if let Some(transcoder) = transcoder_for(self.transcoder, self.agreed.codec, to) {
            let _ = transcoder.lost(following);
            self.send_frames(false, to, turn);
        }
    }

    fn send_frames(&mut self, mut marker: bool, to: Target, turn: &mut Turn<'_>) {
        let (Some(far), Some(transcoder)) = (&mut turn.far, self.transcoder.as_mut()) else { return };
        let clock_rate = self.agreed.codec.clock_rate();
        // Opus has no talk spurts to mark (RFC 7587 §4.2).
        marker &= to.codec != Codec::Opus;
        transcoder.adapt(far.outgoing.conditions());
        while let Some((timestamp, payload)) = transcoder.next_packet() {
            let pace = Pace::Source { ssrc: self.ssrc, timestamp, clock_rate };
            far.outgoing.send_audio(turn.now, pace, marker, payload, far.wire, turn.sink);
            marker = false;
        }
    }
}

/// Passes a digit on, and tells it.
fn digit(heard: Heard, turn: &mut Turn<'_>) {
    if let Some(far) = &mut turn.far {
        far.take_key(turn.now, heard, turn.sink);
    }
    turn.heard.push(heard);
}

fn transcoder_for(slot: &mut Option<Transcoder>, from: Codec, to: Target) -> Option<&mut Transcoder> {
    if slot.as_ref().is_none_or(|transcoder| !transcoder.joins(from, to)) {
        *slot = Transcoder::new(from, to).ok();
    }
    slot.as_mut()
}
