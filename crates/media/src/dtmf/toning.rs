//! A digit sent as the sound of its tones (ITU-T Q.23), frame by frame, with the pause behind it: what is sent has no hole.

use std::time::{Duration, Instant};

use super::tones::TonePair;
use super::{LONGEST_PRESS, PAUSE, Press, digit_of};
use crate::codec::RATE;

/// The length of a tone at least: detectors behind lines and codecs need more than the 40 ms they are made for.
const SHORTEST_TONE: Duration = Duration::from_millis(80);
/// Samples made at once: 20 ms.
pub(crate) const TONE_FRAME: usize = 160;
/// The same as time.
const TONE_FRAME_TIME: Duration = Duration::from_millis(20);
/// Later than this by a stall, a tone goes on from now instead of catching up.
const LATEST: Duration = Duration::from_millis(200);

/// A digit that sounds, or has just sounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Toning {
    pub(super) press: Press,
    pub(super) started: Instant,
    /// When the next frame is due, or the last one is over.
    pub(super) next: Instant,
    tones: TonePair,
    /// Samples made so far.
    place: u32,
    /// Where the tone ends and the pause begins, once that is known.
    end: Option<u32>,
}

impl Toning {
    /// Begins a press; `None` when it is of no digit.
    pub(super) fn new(press: Press, now: Instant) -> Option<Self> {
        let tones = TonePair::of(digit_of(press.event)?)?;
        Some(Self { press, started: now, next: now, tones, place: 0, end: None })
    }

    /// Makes the frame due now, if one is.
    pub(super) fn poll(&mut self, now: Instant, samples: &mut [i16; TONE_FRAME]) -> bool {
        if now < self.next || self.is_made() {
            return false;
        }
        self.fill(samples);
        self.next += TONE_FRAME_TIME;
        if self.next + LATEST < now {
            self.next = now + TONE_FRAME_TIME;
        }
        true
    }

    /// Fills a frame with tone, then with the pause.
    fn fill(&mut self, samples: &mut [i16; TONE_FRAME]) {
        if self.end.is_none()
            && let Some(duration) = self.press.duration
        {
            self.end = Some(in_samples(duration.max(SHORTEST_TONE)).max(self.place));
        }
        for sample in samples {
            *sample = if self.sounds() { self.tones.sample(self.place) } else { 0 };
            self.place = self.place.saturating_add(1);
        }
        if self.place >= in_samples(LONGEST_PRESS) {
            self.end.get_or_insert(self.place);
        }
    }

    fn sounds(&self) -> bool {
        self.end.is_none_or(|end| self.place < end)
    }

    fn is_made(&self) -> bool {
        self.end.is_some_and(|end| self.place >= end.saturating_add(in_samples(PAUSE)))
    }

    /// Whether tone and pause are over; the last frame lasts as long as the others.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.is_made() && now >= self.next
    }

    /// The digit, until its pause.
    pub(super) fn digit(&self) -> Option<char> {
        digit_of(self.press.event).filter(|_| self.sounds())
    }
}

fn in_samples(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).saturating_mul(RATE / 1000)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;

    /// Lengths of tone and of silence in milliseconds, for a press of this length.
    fn made(duration: Duration) -> (usize, usize) {
        let mut now = Instant::now();
        let mut toning = Toning::new(Press { event: 5, duration: Some(duration) }, now).expect("a digit");
        let (mut sound, mut frame) = (Vec::new(), [0; TONE_FRAME]);
        while !toning.is_over(now) {
            while toning.poll(now, &mut frame) {
                sound.extend_from_slice(&frame);
            }
            now = toning.next;
        }
        let tone = sound.iter().rposition(|sample| *sample != 0).expect("a tone") + 1;
        (tone.div_ceil(8), (sound.len() - tone) / 8)
    }

    #[test]
    fn a_tone_lasts_eighty_milliseconds_at_least_and_its_pause_sixty() {
        assert_eq!(made(Duration::from_millis(40)), (80, 60));
        assert_eq!(made(Duration::from_millis(100)), (100, 60));
        let (tone, pause) = made(Duration::from_millis(133));
        assert!(tone == 133 && (60..80).contains(&pause), "{tone} {pause}");
    }

    #[test]
    fn a_key_that_never_comes_up_ends_after_the_longest_press() {
        let mut now = Instant::now();
        let mut toning = Toning::new(Press { event: 11, duration: None }, now).expect("a digit");
        let (start, mut frame) = (now, [0; TONE_FRAME]);
        while !toning.is_over(now) {
            while toning.poll(now, &mut frame) {}
            now = toning.next;
        }
        assert!(now - start >= LONGEST_PRESS && now - start <= LONGEST_PRESS + Duration::from_millis(100));
    }

    #[test]
    fn after_a_stall_the_tone_goes_on_instead_of_catching_up() {
        let now = Instant::now();
        let press = Press { event: 5, duration: Some(Duration::from_secs(1)) };
        let (mut toning, mut frame) = (Toning::new(press, now).expect("a digit"), [0; TONE_FRAME]);
        assert!(toning.poll(now, &mut frame));
        let later = now + Duration::from_millis(900);
        let made = std::iter::from_fn(|| toning.poll(later, &mut frame).then_some(())).count();
        assert!(made <= 12, "{made} frames at once");
    }
}
