//! Many in one call: each member of a mix hears the sum of all others, never itself, on a clock of 20 ms. What a member says waits in its
//! [`Intake`]; here it is added up, for each listener without its own part, limited and encoded. Knows nothing of who joins and why.
//!
//! Telephones and narrowband browsers are added up at 8 kHz, as they come. Where there are two wideband browsers at least, there is a sum at
//! 16 kHz as well: they hear each other as they are, which costs twice the processor of 8 kHz (docs/performance.md); a call of
//! telephones pays for no filter, and a browser alone among them for no band in which there is nothing.

mod delays;
mod intake;
mod limiter;
mod tempo;

use std::time::{Duration, Instant};

use crate::codec::Rate;
use crate::command::MediaSessionId;
use crate::halfband::{Downsampler, Upsampler};
use crate::leg::{MediaSession, Sink};
use crate::packer::{Packer, Target};
use crate::rtp::Pace;
pub(crate) use intake::Intake;
use limiter::Limiter;

/// The length of a turn.
const FRAME_TIME: Duration = Duration::from_millis(20);
/// The same in samples at 8 kHz.
const NARROW_FRAME: usize = 160;
/// And at 16 kHz.
const WIDE_FRAME: usize = 320;
/// Later than this by a stall, turns are left out instead of made up for: whoever listens has filled the hole himself by then, and would
/// only hear everything later.
const LATEST: Duration = Duration::from_millis(40);
/// Members at once. Their turn is one piece of work, of up to 70 us for each with Opus in wideband, and all calls of the shard wait for it:
/// so many take a quarter of a frame.
const MOST_MEMBERS: usize = 64;
/// The source that the timestamps of a mix are of.
const MIXED: u32 = 2;

/// One mix: its members and its clock.
#[derive(Debug)]
pub(crate) struct Mix {
    members: Vec<Member>,
    /// When the next turn is due; none with nobody to hear anybody.
    next: Option<Instant>,
    /// Samples of 16 kHz since the beginning.
    place: u32,
    narrow: [i32; NARROW_FRAME],
    wide: [i32; WIDE_FRAME],
}

/// One member: its part of the sum, and what makes packets of the rest.
struct Member {
    session: MediaSessionId,
    /// Of what it says and plays.
    own_rate: Rate,
    /// Of what it is sent.
    rate: Rate,
    speaks: bool,
    narrow: [i16; NARROW_FRAME],
    wide: [i16; WIDE_FRAME],
    upsampler: Upsampler,
    downsampler: Downsampler,
    limiter: Limiter,
    packer: Option<Packer>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("session", &self.session).field("speaks", &self.speaks).finish_non_exhaustive()
    }
}

/// A turn of the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    due: Instant,
    /// Turns were left out before it.
    skipped: bool,
    /// At which rates anybody hears.
    has_narrow: bool,
    has_wide: bool,
}

impl Mix {
    pub(crate) fn new() -> Self {
        Self { members: Vec::new(), next: None, place: 0, narrow: [0; NARROW_FRAME], wide: [0; WIDE_FRAME] }
    }

    /// Takes a member in, unless there are too many.
    pub(crate) fn add(&mut self, session: MediaSessionId) -> bool {
        let has_room = self.members.len() < MOST_MEMBERS;
        if has_room {
            self.members.push(Member::new(session));
        }
        has_room
    }

    pub(crate) fn remove(&mut self, session: MediaSessionId) {
        self.members.retain(|member| member.session != session);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member at a place, if so many are there.
    pub(crate) fn member(&self, place: usize) -> Option<MediaSessionId> {
        self.members.get(place).map(|member| member.session)
    }

    /// Everybody but one.
    pub(crate) fn others(&self, session: MediaSessionId) -> impl Iterator<Item = MediaSessionId> {
        self.members.iter().map(|member| member.session).filter(move |member| *member != session)
    }

    /// Starts the clock when there is somebody to hear, and stops it when not. Gives when the first turn is due, when it was started.
    pub(crate) fn set_running(&mut self, now: Instant) -> Option<Instant> {
        let before = self.next;
        self.next = (self.members.len() > 1).then(|| before.unwrap_or(now + FRAME_TIME));
        self.next.filter(|_| before.is_none())
    }

    /// When the next turn is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// When the last turn was due, or would have been.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.next?.checked_sub(FRAME_TIME)
    }

    /// Takes the turn due by `now`, the latest of them after a stall.
    pub(crate) fn take_beat(&mut self, now: Instant) -> Option<Beat> {
        let due = self.next.filter(|due| *due <= now)?;
        let late = now.saturating_duration_since(due);
        let skipped = if late > LATEST { late.as_micros() / FRAME_TIME.as_micros() } else { 0 };
        let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
        let due = due + FRAME_TIME.saturating_mul(skipped);
        self.next = Some(due + FRAME_TIME);
        self.place = self.place.wrapping_add(units(WIDE_FRAME).wrapping_mul(skipped.wrapping_add(1)));
        self.narrow.fill(0);
        self.wide.fill(0);
        let (has_narrow, has_wide) = (self.has(Rate::Narrow), self.has(Rate::Wide));
        Some(Beat { due, skipped: skipped > 0, has_narrow, has_wide })
    }

    /// Notes what a member says and plays.
    pub(crate) fn note_rate(&mut self, place: usize, rate: Rate) {
        if let Some(member) = self.members.get_mut(place) {
            member.own_rate = rate;
        }
        // Among telephones there is nothing more to hear than they say, for twice the price.
        let wide = self.members.iter().filter(|member| member.own_rate == Rate::Wide).count();
        for member in &mut self.members {
            member.rate = if wide > 1 { member.own_rate } else { Rate::Narrow };
        }
    }

    /// Adds what a member says in this turn.
    pub(crate) fn hear(&mut self, beat: Beat, place: usize, intake: Option<&mut Intake>) {
        let Some(member) = self.members.get_mut(place) else { return };
        let spoke = member.speaks;
        member.speaks = intake.is_some_and(|intake| member.draw(beat, intake));
        if spoke && !member.speaks {
            // What it says next is no continuation.
            (member.upsampler, member.downsampler) = Default::default();
        }
        if member.speaks && beat.has_narrow {
            self.narrow.iter_mut().zip(&member.narrow).for_each(|(sum, part)| *sum += i32::from(*part));
        }
        if member.speaks && beat.has_wide {
            self.wide.iter_mut().zip(&member.wide).for_each(|(sum, part)| *sum += i32::from(*part));
        }
    }

    fn has(&self, rate: Rate) -> bool {
        self.members.iter().any(|member| member.rate == rate)
    }

    /// Sends a member what all others said in this turn.
    pub(crate) fn tell(&mut self, now: Instant, place: usize, leg: &mut MediaSession, sink: &mut Sink) {
        let Self { members, narrow, wide, place: ends, .. } = self;
        let Some(member) = members.get_mut(place) else { return };
        let MediaSession { outgoing, wire, .. } = leg;
        let Some(target) = outgoing.target().filter(|_| wire.can_send()) else { return };
        // A digit that sounds is heard alone.
        if outgoing.is_digit_sounding() || outgoing.has_music() {
            return;
        }
        let sum: &[i32] = match member.rate {
            Rate::Narrow => narrow,
            Rate::Wide => wide,
        };
        let Some(packer) = member.pack(target, ends.wrapping_sub(units(WIDE_FRAME)), sum) else { return };
        packer.adapt(outgoing.conditions());
        while let Some((timestamp, payload)) = packer.next_packet() {
            let pace = Pace::Source { ssrc: MIXED, timestamp, clock_rate: Rate::Wide.hertz() };
            outgoing.send_audio(now, pace, false, payload, wire, sink);
        }
    }
}

impl Member {
    fn new(session: MediaSessionId) -> Self {
        Self {
            session,
            own_rate: Rate::Narrow,
            rate: Rate::Narrow,
            speaks: false,
            narrow: [0; NARROW_FRAME],
            wide: [0; WIDE_FRAME],
            upsampler: Upsampler::default(),
            downsampler: Downsampler::default(),
            limiter: Limiter::default(),
            packer: None,
        }
    }

    /// Takes its part at the rates that somebody hears.
    fn draw(&mut self, beat: Beat, intake: &mut Intake) -> bool {
        match intake.rate() {
            Rate::Narrow => {
                let speaks = intake.draw(beat.due, beat.skipped, &mut self.narrow);
                if speaks && beat.has_wide {
                    self.upsampler.next(&self.narrow, &mut self.wide);
                }
                speaks
            }
            Rate::Wide => {
                let speaks = intake.draw(beat.due, beat.skipped, &mut self.wide);
                if speaks && beat.has_narrow {
                    self.downsampler.next(&self.wide, &mut self.narrow);
                }
                speaks
            }
        }
    }

    /// Puts a sum without its own part, said at `timestamp` in samples of 16 kHz, to what its packets are made of.
    fn pack(&mut self, target: Target, timestamp: u32, sum: &[i32]) -> Option<&mut Packer> {
        let (mut rest, mut samples) = ([0; WIDE_FRAME], [0; WIDE_FRAME]);
        let (rest, _) = rest.split_at_mut(sum.len().min(WIDE_FRAME));
        let (samples, _) = samples.split_at_mut(rest.len());
        rest.copy_from_slice(sum);
        if self.speaks {
            let own: &[i16] = match self.rate {
                Rate::Narrow => &self.narrow,
                Rate::Wide => &self.wide,
            };
            rest.iter_mut().zip(own).for_each(|(sum, own)| *sum -= i32::from(*own));
        }
        self.limiter.next(rest, samples);
        if self.packer.as_ref().is_none_or(|packer| !packer.makes(target, self.rate)) {
            self.packer = Packer::new(target, self.rate, Rate::Wide.hertz()).ok();
        }
        let packer = self.packer.as_mut()?;
        packer.push(timestamp, samples);
        Some(packer)
    }
}

fn units(samples: usize) -> u32 {
    u32::try_from(samples).unwrap_or_default()
}
