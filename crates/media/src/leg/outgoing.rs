//! What a leg says: one RTP stream made of relayed or encoded audio, regenerated digits, the ringback tone and music on hold.

use std::time::{Duration, Instant};

use super::feedback::Feedback;
use super::{Sink, USUAL_PACKET, Wire, link_terms};
use crate::codec::{Conditions, RATE, Rate};
use crate::command::{Codec, Dtmf};
use crate::dtmf::{DigitSender, TONE_FRAME};
use crate::music::{Music, Playback};
use crate::noise::Noise;
use crate::packer::{Packer, Target};
use crate::rtp::{Egress, Pace};
use crate::sdp::{Negotiated, TelephoneEvent};
use crate::tone::Ringback;

/// The length of played frames.
const FRAME_TIME: Duration = Duration::from_millis(20);
/// The same in samples.
const FRAME: usize = 160;
/// And in timestamp units.
const FRAME_SAMPLES: u32 = 160;
/// Later than this by a stall, playing goes on from now instead of catching up.
const LATEST: Duration = Duration::from_millis(200);

/// How the peer wants to be sent to.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    target: Target,
    payload_type: u8,
    digits: Way,
    may_send: bool,
}

/// How digits reach the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Events(TelephoneEvent),
    Tones,
    /// Not in media.
    Elsewhere,
}

impl Way {
    fn new(negotiated: &Negotiated) -> Self {
        match (negotiated.dtmf, negotiated.telephone_events.first()) {
            (Dtmf::Auto | Dtmf::Rfc4733, Some(event)) => Self::Events(*event),
            (Dtmf::Auto, None) | (Dtmf::Inband, _) => Self::Tones,
            (Dtmf::Rfc4733, None) | (Dtmf::Info, _) => Self::Elsewhere,
        }
    }
}

/// The source that the timestamps of tones are of.
const TONES: u32 = 1;

/// What the gateway plays itself.
#[derive(Debug, Clone)]
enum Tune {
    Ringback(Ringback),
    Music(Playback),
    /// What is heard of a peer that sends nothing of its silence.
    Noise(Noise),
}

impl Tune {
    fn fill(&mut self, samples: &mut [i16]) {
        match self {
            Self::Ringback(tone) => tone.fill(samples),
            Self::Music(playback) => playback.fill(samples),
            Self::Noise(noise) => noise.fill(samples),
        }
    }
}

/// A tune being played.
struct Playing {
    packer: Packer,
    next: Instant,
    /// Samples played so far.
    played: u32,
}

/// The sending half of a leg.
pub(crate) struct Outgoing {
    pub(crate) egress: Egress,
    agreed: Option<Agreed>,
    pub(crate) digits: DigitSender,
    /// The timestamp the sounding digit began with.
    digit_timestamp: u32,
    /// Makes packets of the tones of digits.
    tones: Option<Packer>,
    /// Samples of such tones made so far.
    toned: u32,
    /// The key whose tones were made last, and when: a line may give them back.
    sounded: Option<(char, Instant)>,
    feedback: Feedback,
    /// The next audio packet begins a talk spurt (RFC 3551 §4.1).
    marker_due: bool,
    /// To be played, now or as soon as a codec is agreed on.
    tune: Option<Tune>,
    playing: Option<Playing>,
    /// The packet being built; reused.
    packet: Vec<u8>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("egress", &self.egress).field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

impl Outgoing {
    pub(crate) fn new(egress: Egress) -> Self {
        Self {
            egress,
            agreed: None,
            digits: DigitSender::default(),
            digit_timestamp: 0,
            tones: None,
            toned: 0,
            sounded: None,
            feedback: Feedback::default(),
            marker_due: true,
            tune: None,
            playing: None,
            packet: Vec::with_capacity(USUAL_PACKET),
        }
    }

    pub(crate) fn agree(&mut self, now: Instant, negotiated: &Negotiated) {
        let target = Target::new(negotiated);
        self.egress.set_clock_rate(negotiated.codec.clock_rate());
        self.egress.set_frame(target.duration());
        self.agreed = Some(Agreed {
            target,
            payload_type: negotiated.send_payload_type,
            digits: Way::new(negotiated),
            may_send: negotiated.direction.sends(),
        });
        self.start_playing(now);
    }

    /// Takes what the peer reported of the stream: the fraction of 256 that it lost since its last report, and the round trip.
    pub(crate) fn note_report(&mut self, lost: u8, round_trip: Option<Duration>) {
        self.feedback.note(lost, round_trip);
    }

    /// What an encoder has to reckon with on the way to the peer.
    pub(crate) fn conditions(&self) -> Conditions {
        self.feedback.conditions()
    }

    /// What to encode to, once that and sending at all is agreed.
    pub(crate) fn target(&self) -> Option<Target> {
        self.agreed.filter(|agreed| agreed.may_send).map(|agreed| agreed.target)
    }

    /// On a link, what is sent from now on is in this codec: a stream of its own.
    pub(crate) fn follow(&mut self, now: Instant, codec: Codec) {
        if self.agreed.is_none_or(|agreed| agreed.target.codec != codec) {
            self.egress.begin_anew();
            self.agree(now, &link_terms(codec));
        }
    }

    /// The source of the audio changes: timestamps go on from here.
    pub(crate) fn new_source(&mut self, now: Instant) {
        self.digits.let_go(now);
        self.egress.unanchor();
        self.marker_due = true;
        self.tune = None;
        self.playing = None;
    }

    /// The key whose tones were made last, and when.
    pub(crate) fn sounded(&self) -> Option<(char, Instant)> {
        self.sounded
    }

    /// Whether audio is kept back because a digit sounds.
    pub(crate) fn is_digit_sounding(&self) -> bool {
        self.digits.is_sounding()
    }

    /// Sends a payload in the agreed codec.
    pub(crate) fn send_audio(
        &mut self,
        now: Instant,
        pace: Pace,
        marker: bool,
        payload: &[u8],
        wire: &mut Wire,
        sink: &mut Sink,
    ) {
        let Some(agreed) = self.agreed.filter(|agreed| agreed.may_send && wire.can_send()) else { return };
        let timestamp = self.egress.timestamp_for(now, pace);
        let marker = marker || std::mem::take(&mut self.marker_due);
        let header = self.egress.header(now, marker, agreed.payload_type, timestamp, payload.len());
        header.write(&mut self.packet);
        self.packet.extend_from_slice(payload);
        wire.send_rtp(&self.packet, sink);
    }

    /// Plays ringback until the source changes.
    pub(crate) fn play_ringback(&mut self, now: Instant) {
        self.play(now, Tune::Ringback(Ringback::default()));
    }

    /// Plays music until the source changes.
    pub(crate) fn play_music(&mut self, now: Instant, music: Music) {
        self.play(now, Tune::Music(Playback::new(music)));
    }

    /// Plays noise while the source says that it is silent.
    pub(crate) fn play_noise(&mut self, now: Instant, noise: Noise) {
        match &mut self.tune {
            None => {
                self.tune = Some(Tune::Noise(noise));
                self.start_playing(now);
            }
            Some(Tune::Noise(playing)) => playing.follow(noise),
            Some(Tune::Ringback(_) | Tune::Music(_)) => {}
        }
    }

    /// The source says something again.
    pub(crate) fn end_noise(&mut self) {
        if self.tune.take_if(|tune| matches!(tune, Tune::Noise(_))).is_some() {
            self.playing = None;
        }
    }

    /// Whether ringback is to be played.
    pub(crate) fn has_ringback(&self) -> bool {
        matches!(self.tune, Some(Tune::Ringback(_)))
    }

    /// Whether music is to be played.
    pub(crate) fn has_music(&self) -> bool {
        matches!(self.tune, Some(Tune::Music(_)))
    }

    fn play(&mut self, now: Instant, tune: Tune) {
        self.new_source(now);
        self.tune = Some(tune);
        self.start_playing(now);
    }

    /// Plays the tune there is, by what is agreed on now.
    fn start_playing(&mut self, now: Instant) {
        self.playing = None;
        if self.tune.is_some()
            && let Some(target) = self.target()
            && let Ok(packer) = Packer::new(target, Rate::Narrow, RATE)
        {
            self.egress.unanchor();
            self.playing = Some(Playing { packer, next: now, played: 0 });
        }
    }

    /// When [`Self::handle_timeout`] has something to send.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let tune = self.playing.as_ref().map(|playing| playing.next);
        [tune, self.digits.deadline(now)].into_iter().flatten().min()
    }

    /// Sends what the clock demands.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wire: &mut Wire, sink: &mut Sink) {
        self.send_tune(now, wire, sink);
        self.send_digits(now, wire, sink);
    }

    fn send_tune(&mut self, now: Instant, wire: &mut Wire, sink: &mut Sink) {
        while let Some(mut playing) = self.playing.take_if(|playing| playing.next <= now) {
            let Some(tune) = &mut self.tune else { return };
            let mut samples = [0_i16; FRAME];
            tune.fill(&mut samples);
            playing.packer.push(playing.played, &samples);
            while let Some((timestamp, payload)) = playing.packer.next_packet() {
                // As with audio of others: a digit that sounds is heard alone.
                if !self.is_digit_sounding() {
                    // Paced as a source of its own, so that a late frame does not stretch the tune.
                    let pace = Pace::Source { ssrc: 0, timestamp, clock_rate: RATE };
                    self.send_audio(now, pace, false, payload, wire, sink);
                }
            }
            playing.played = playing.played.wrapping_add(FRAME_SAMPLES);
            playing.next += FRAME_TIME;
            if playing.next + LATEST < now {
                playing.next = now + FRAME_TIME;
            }
            self.playing = Some(playing);
        }
    }

    fn send_digits(&mut self, now: Instant, wire: &mut Wire, sink: &mut Sink) {
        match self.agreed.map(|agreed| (agreed, agreed.digits)) {
            Some((agreed, Way::Events(event))) => self.send_events(now, agreed, event, wire, sink),
            Some((_, Way::Tones)) => self.send_tones(now, wire, sink),
            // Who gets no digits in media has none waiting.
            Some((_, Way::Elsewhere)) | None => self.digits = DigitSender::default(),
        }
    }

    /// Digits as sound, for a peer without telephone-events; in place of the audio, without a hole.
    fn send_tones(&mut self, now: Instant, wire: &mut Wire, sink: &mut Sink) {
        let mut samples = [0_i16; TONE_FRAME];
        while let Some(begins) = self.digits.poll_tone(now, &mut samples) {
            if begins {
                self.egress.unanchor();
                let target = self.target();
                self.tones = target.and_then(|target| Packer::new(target, Rate::Narrow, RATE).ok());
            }
            let Some(mut packer) = self.tones.take() else { continue };
            if let Some(digit) = self.digits.toning() {
                self.sounded = Some((digit, now));
            }
            packer.push(self.toned, &samples);
            while let Some((timestamp, payload)) = packer.next_packet() {
                // Paced as a source of its own, so that a late frame does not stretch the tone.
                let pace = Pace::Source { ssrc: TONES, timestamp, clock_rate: RATE };
                self.send_audio(now, pace, false, payload, wire, sink);
            }
            self.toned = self.toned.wrapping_add(u32::try_from(TONE_FRAME).unwrap_or_default());
            self.tones = Some(packer);
        }
    }

    fn send_events(&mut self, now: Instant, agreed: Agreed, event: TelephoneEvent, wire: &mut Wire, sink: &mut Sink) {
        while let Some(packet) = self.digits.poll(now, event.clock_rate) {
            if packet.begins {
                self.digit_timestamp = self.egress.timestamp_for(now, Pace::Own);
            }
            if !agreed.may_send || !wire.can_send() {
                continue;
            }
            // The offset of a later segment is counted in the event's clock, which may differ from the stream's.
            let offset = u64::from(packet.offset) * u64::from(agreed.target.codec.clock_rate())
                / u64::from(event.clock_rate.max(1));
            #[allow(clippy::cast_possible_truncation)] // timestamps wrap at 32 bits
            let timestamp = self.digit_timestamp.wrapping_add(offset as u32);
            let header =
                self.egress.header(now, packet.marker, event.send_payload_type, timestamp, packet.payload.len());
            header.write(&mut self.packet);
            self.packet.extend_from_slice(&packet.payload);
            wire.send_rtp(&self.packet, sink);
        }
    }
}
