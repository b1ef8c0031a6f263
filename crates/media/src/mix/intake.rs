//! What one member says, waiting for its turn: decoded in order as it comes, given out 20 ms at a time on the mix's clock. Waits as long as
//! the member's packets come unevenly, and no longer; what does not come in time is made up, fading to silence.

use std::time::{Duration, Instant};

use super::delays::Delays;
use super::tempo::Tempo;
use super::{FRAME_TIME, LATEST};
use crate::codec::{CodecError, Decoder, LONGEST_WIDE, RATE, Rate};
use crate::command::Codec;

/// The most that waits, beyond any wait wanted: of a burst, the end is heard.
const MOST_WAITING: Duration = Duration::from_millis(300);
/// Frames made up after the last that came; the last of them fades.
const MOST_MADE_UP: u8 = 3;
/// How far from the wait wanted is near enough, in microseconds; how far it may be while somebody talks; and how far at most, beyond which
/// it is more important to be in time than to sound well.
const NEAR: i64 = 5000;
const FAR: i64 = 12_000;
const TOO_FAR: i64 = 60_000;
/// Turns between two changes of tempo while somebody talks: 15 ms in 100 is a quick talker, and still one.
const STEADY: u8 = 5;
/// What is made up comes in pieces of 2.5 ms, the shortest that Opus knows, so many to a second.
const PIECES: u32 = 400;

/// What a member's ear keeps for the mix.
pub(crate) struct Intake {
    /// What a codec that knows more than 8 kHz is decoded to.
    widest: Rate,
    source: Option<Source>,
    decoded: Box<[i16; LONGEST_WIDE]>,
    waiting: Vec<i16>,
    /// The source's timestamp right behind what waits.
    back: u32,
    state: State,
    delays: Delays,
    /// How much later than the fastest the last packet came, in microseconds.
    late: i64,
    /// The turn of the mix that took last from here; the next is a frame later.
    drawn: Instant,
    /// What waited after that turn.
    left: usize,
    /// How much longer than wanted a packet of the fastest kind waits now, in microseconds.
    surplus: i64,
    /// Turns since the sound's tempo was changed.
    steady: u8,
    /// The loop stood still: what it comes upon now says nothing of the path.
    catches_up: bool,
}

/// What makes sound of a codec.
#[derive(Debug)]
struct Source {
    codec: Codec,
    rate: Rate,
    decoder: Decoder,
    /// Samples of the last packet: the length of a lost one.
    duration: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is said, and nothing waits.
    Silent,
    Heard,
    /// Nothing more will come for now, by what the member does.
    Ending,
    /// What should have come has not: so many frames were made up, of so many samples.
    MadeUp {
        frames: u8,
        samples: usize,
    },
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake")
            .field("state", &self.state)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Intake {
    /// Begins with nothing. `drawn` is the mix's last turn, or a frame before its first; `jitter` what is known of the path.
    pub(crate) fn new(now: Instant, drawn: Instant, widest: Rate, jitter: Duration) -> Self {
        // The mean deviation of delays that lie evenly within a range is a third of it.
        let assumed = i64::try_from(jitter.as_micros()).unwrap_or_default() * 3;
        Self {
            widest,
            source: None,
            decoded: Box::new([0; LONGEST_WIDE]),
            waiting: Vec::with_capacity(2 * LONGEST_WIDE + samples(MOST_WAITING, widest)),
            back: 0,
            state: State::Silent,
            delays: Delays::new(now, assumed),
            late: 0,
            drawn,
            left: 0,
            surplus: 0,
            steady: 0,
            catches_up: false,
        }
    }

    /// What a codec that knows more than 8 kHz is decoded to from now on.
    pub(crate) fn set_widest(&mut self, widest: Rate) {
        if self.widest != widest {
            self.widest = widest;
            self.source.take_if(|source| source.codec.rate() == Rate::Wide);
            self.fall_silent();
        }
    }

    /// The rate of what is given out.
    pub(super) fn rate(&self) -> Rate {
        self.source.as_ref().map_or(Rate::Narrow, |source| source.rate)
    }

    /// Takes the payload of the next packet in order.
    pub(crate) fn packet(&mut self, now: Instant, codec: Codec, timestamp: u32, payload: &[u8]) {
        // One or two bytes of Opus say that silence goes on (libopus, `OPUS_SET_DTX`).
        if codec == Codec::Opus && payload.len() <= 2 {
            self.end();
            return;
        }
        if self.source.as_ref().is_some_and(|source| source.codec != codec) {
            self.restart();
        }
        let Some(source) = source_for(&mut self.source, codec, self.widest) else { return };
        // A payload the codec refuses is as good as lost.
        let count = match source.decoder.decode(payload, &mut *self.decoded) {
            Ok(count) if count > 0 => {
                source.duration = count;
                count
            }
            Ok(_) | Err(_) => source.decoder.conceal(None, source.duration, &mut *self.decoded).unwrap_or_default(),
        };
        self.note(now, timestamp);
        self.append(now, timestamp, count);
    }

    /// Takes note of how late something came.
    fn note(&mut self, now: Instant, timestamp: u32) {
        // Whatever a loop finds that stood still seems to come late.
        self.catches_up |= now > self.drawn + FRAME_TIME + LATEST;
        self.late = match &self.source {
            Some(source) if !self.catches_up => self.delays.note(now, timestamp, source.codec.clock_rate()),
            Some(_) | None => 0,
        };
    }

    /// Fills in for a lost packet, which stood right before what comes next.
    pub(crate) fn lost(&mut self, now: Instant, following: Option<&[u8]>) {
        if following.is_some() && self.source.as_ref().is_some_and(|source| source.codec == Codec::Opus) {
            // What the packet behind it tells of it is as good as if it had come then, and worth waiting for as much.
            self.note(now, self.back);
        }
        let Some(source) = &mut self.source else { return };
        let units = units(source.duration, source);
        match &mut self.state {
            State::Silent | State::Ending => {}
            // It was missed, and made up, before it was known to be lost.
            State::MadeUp { samples, .. } if *samples >= source.duration => {
                *samples -= source.duration;
                self.back = self.back.wrapping_add(units);
            }
            State::Heard | State::MadeUp { .. } => {
                let concealed = source.decoder.conceal(following, source.duration, &mut *self.decoded);
                let count = concealed.unwrap_or_default();
                self.append(now, self.back, count);
            }
        }
    }

    /// Nothing more comes for now: what waits is heard, and nothing made up behind it.
    pub(crate) fn end(&mut self) {
        match self.state {
            State::Heard | State::MadeUp { .. } => self.state = State::Ending,
            State::Silent | State::Ending => {}
        }
    }

    /// Another source begins, with a clock of its own.
    pub(crate) fn restart(&mut self) {
        self.source = None;
        self.delays.restart();
        self.fall_silent();
    }

    fn fall_silent(&mut self) {
        self.waiting.clear();
        self.state = State::Silent;
    }

    /// Puts `count` decoded samples behind what waits.
    fn append(&mut self, now: Instant, timestamp: u32, count: usize) {
        let Some(source) = &self.source else { return };
        let (rate, units) = (source.rate, units(count, source));
        let goes_on = matches!(self.state, State::Heard | State::MadeUp { .. }) && timestamp == self.back;
        if !goes_on {
            // The wait is made at the beginning of each piece of talk.
            let wanted = self.delays.wait() - self.late - self.slack(now, rate);
            let silence = usize::try_from(wanted * i64::from(rate.hertz()) / 1_000_000).unwrap_or_default();
            self.waiting.resize(self.waiting.len() + silence.min(samples(MOST_WAITING, rate)), 0);
        }
        self.surplus = self.slack(now, rate) + self.late - self.delays.wait();
        self.waiting.extend_from_slice(self.decoded.get(..count).unwrap_or_default());
        self.back = timestamp.wrapping_add(units);
        self.state = State::Heard;
        let excess = self.waiting.len().saturating_sub(samples(MOST_WAITING, rate));
        self.waiting.drain(..excess);
    }

    /// How long what is put behind what waits would wait, in microseconds.
    fn slack(&self, now: Instant, rate: Rate) -> i64 {
        let waits = i64::try_from(self.waiting.len()).unwrap_or_default() * 1_000_000 / i64::from(rate.hertz());
        let next = self.drawn + FRAME_TIME;
        let until = next.saturating_duration_since(now).as_micros();
        let since = now.saturating_duration_since(next).as_micros();
        waits + i64::try_from(until).unwrap_or_default() - i64::try_from(since).unwrap_or_default()
    }

    /// Gives the 20 ms whose turn it is, and whether there is anything in them. `skipped`: turns were left out before this one.
    pub(super) fn draw(&mut self, due: Instant, skipped: bool, frame: &mut [i16]) -> bool {
        self.drawn = due;
        self.catches_up |= skipped;
        if self.catches_up {
            // The turns left out would have taken it.
            let excess = self.waiting.len().saturating_sub(self.left + frame.len());
            self.waiting.drain(..excess);
            self.surplus = 0;
        }
        let has_sound = self.state != State::Silent;
        if has_sound {
            self.adjust();
            self.fill(frame);
        }
        if !self.catches_up {
            self.left = self.waiting.len();
        }
        self.catches_up = skipped;
        has_sound
    }

    /// Brings the wait nearer to what is wanted: at once while nothing much is said, slowly while somebody talks.
    fn adjust(&mut self) {
        let Some(source) = &self.source else { return };
        let (tempo, hertz) = (Tempo::new(source.rate), i64::from(source.rate.hertz()));
        self.steady = self.steady.saturating_add(1);
        let is_settled = self.state != State::Heard || self.catches_up || self.surplus.abs() <= NEAR;
        if is_settled || self.waiting.is_empty() {
            return;
        }
        let is_bearable = self.surplus.abs() <= FAR || self.steady < STEADY && self.surplus.abs() <= TOO_FAR;
        if is_bearable && !tempo.is_quiet(&self.waiting) {
            return;
        }
        let most = usize::try_from(self.surplus.abs() * hertz / 1_000_000).unwrap_or_default();
        let changed = if self.surplus > 0 {
            i64::try_from(tempo.shorten(&mut self.waiting, most)).unwrap_or_default()
        } else {
            -i64::try_from(tempo.lengthen(&mut self.waiting, most)).unwrap_or_default()
        };
        self.surplus -= changed * 1_000_000 / hertz;
        if changed != 0 {
            self.steady = 0;
        }
    }

    fn fill(&mut self, frame: &mut [i16]) {
        let missing = frame.len().saturating_sub(self.waiting.len());
        if missing > 0 {
            self.make_up(missing, frame.len());
        }
        let count = frame.len().min(self.waiting.len());
        let (sound, silence) = frame.split_at_mut(count);
        sound.copy_from_slice(self.waiting.get(..count).unwrap_or_default());
        silence.fill(0);
        self.waiting.drain(..count);
        if !silence.is_empty() {
            self.state = State::Silent;
        }
    }

    /// Puts what was not said behind what waits: at least `missing` samples, unless it is time to fall silent.
    fn make_up(&mut self, missing: usize, frame: usize) {
        let (made, before) = match self.state {
            State::Heard => (0, 0),
            State::MadeUp { frames, samples } => (frames, samples),
            State::Silent | State::Ending => return,
        };
        if made >= MOST_MADE_UP {
            return;
        }
        let Some(source) = &mut self.source else { return };
        let piece = usize::try_from(source.rate.hertz() / PIECES).unwrap_or(1);
        let wanted = missing.div_ceil(piece) * piece;
        let count = source.decoder.conceal(None, wanted, &mut *self.decoded).unwrap_or_default();
        let sound = self.decoded.get_mut(..count).unwrap_or_default();
        if made + 1 == MOST_MADE_UP {
            fade(sound, frame);
        }
        self.waiting.extend_from_slice(sound);
        self.state = State::MadeUp { frames: made + 1, samples: before + count };
    }
}

/// Fades to silence within `length` samples.
fn fade(sound: &mut [i16], length: usize) {
    let length = i32::try_from(length.max(1)).unwrap_or(i32::MAX);
    for (left, sample) in (0..length).rev().zip(sound) {
        *sample = i16::try_from(i32::from(*sample) * left / length).unwrap_or_default();
    }
}

fn samples(duration: Duration, rate: Rate) -> usize {
    usize::try_from(duration.as_micros() * u128::from(rate.hertz()) / 1_000_000).unwrap_or(usize::MAX)
}

/// Samples in units of the source's timestamps.
fn units(samples: usize, source: &Source) -> u32 {
    // G.722 counts half its samples.
    u32::try_from(samples).unwrap_or_default() * (source.codec.clock_rate() / RATE) / (source.rate.hertz() / RATE)
}

fn source_for(slot: &mut Option<Source>, codec: Codec, widest: Rate) -> Option<&mut Source> {
    if slot.is_none() {
        *slot = Source::new(codec, widest).ok();
    }
    slot.as_mut()
}

impl Source {
    fn new(codec: Codec, widest: Rate) -> Result<Self, CodecError> {
        let rate = codec.rate().min(widest);
        Ok(Self { codec, rate, decoder: Decoder::with_rate(codec, rate)?, duration: samples(FRAME_TIME, rate) })
    }
}
