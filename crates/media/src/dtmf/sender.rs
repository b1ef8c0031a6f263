//! Sending digits on the gateway's own clock, so that neither a foreign clock rate nor loss before the gateway distorts one: as
//! telephone-events (RFC 4733 §2.5.1), or as the sound of their tones. Knows nothing of RTP numbering: the caller gives the timestamp
//! of each press.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::toning::{TONE_FRAME, Toning};
use super::{LONGEST_PRESS, PAUSE, Press, event_of};

/// How often a pressed key is updated, and how far apart end packets are.
const UPDATE: Duration = Duration::from_millis(20);
/// The end is said three times (§2.5.1.4).
const ENDS: u8 = 3;
/// Digits waiting to be sent; more than anyone dials ahead.
const MAX_WAITING: usize = 64;
/// What a detector must accept (ITU-T Q.24).
const SHORTEST_PRESS: Duration = Duration::from_millis(40);

/// One packet to be sent; `offset` is added to the timestamp the press began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventPacket {
    pub(crate) marker: bool,
    /// A press begins: its timestamp is to be taken now.
    pub(crate) begins: bool,
    /// The start of the current segment, after the start of the press.
    pub(crate) offset: u32,
    pub(crate) payload: [u8; 4],
}

#[derive(Debug, Clone, Copy)]
struct Sounding {
    press: Press,
    started: Instant,
    next: Instant,
    first: bool,
    ends_left: u8,
}

/// The digits on their way to one peer.
#[derive(Debug, Default)]
pub(crate) struct DigitSender {
    waiting: VecDeque<Press>,
    sounding: Option<Sounding>,
    toning: Option<Toning>,
    ready_at: Option<Instant>,
}

impl DigitSender {
    /// A key went down at the far side; its length is not known yet.
    pub(crate) fn press(&mut self, digit: char) {
        self.queue(digit, None);
    }

    /// A key came up after `duration`, where it was pressed last: of several who press, each releases its own.
    pub(crate) fn release(&mut self, digit: char, duration: Duration) {
        let duration = Some(duration.max(SHORTEST_PRESS));
        let is_down = |press: &Press| press.duration.is_none() && Some(press.event) == event_of(digit);
        if let Some(press) = self.waiting.iter_mut().rev().find(|press| is_down(press)) {
            press.duration = duration;
        } else if let Some((press, _)) = self.current()
            && is_down(press)
        {
            press.duration = duration;
        }
    }

    /// The digit being sent, and since when.
    fn current(&mut self) -> Option<(&mut Press, Instant)> {
        let event = self.sounding.as_mut().map(|sounding| (&mut sounding.press, sounding.started));
        event.or_else(|| self.toning.as_mut().map(|toning| (&mut toning.press, toning.started)))
    }

    /// Whoever pressed is heard no longer: a key still down comes up now.
    pub(crate) fn let_go(&mut self, now: Instant) {
        for press in &mut self.waiting {
            press.duration.get_or_insert(SHORTEST_PRESS);
        }
        if let Some((press, started)) = self.current() {
            let held = now.saturating_duration_since(started).max(SHORTEST_PRESS);
            press.duration.get_or_insert(held);
        }
    }

    /// Dials one digit of a known length.
    pub(crate) fn dial(&mut self, digit: char, duration: Duration) {
        self.queue(digit, Some(duration.clamp(SHORTEST_PRESS, LONGEST_PRESS)));
    }

    fn queue(&mut self, digit: char, duration: Option<Duration>) {
        if let Some(event) = event_of(digit)
            && self.waiting.len() < MAX_WAITING
        {
            self.waiting.push_back(Press { event, duration });
        }
    }

    /// Whether audio must be kept back: it would carry the digit a second time.
    pub(crate) fn is_sounding(&self) -> bool {
        self.sounding.is_some() || self.toning.is_some()
    }

    /// The digit whose tones sound now, its pause left out.
    pub(crate) fn toning(&self) -> Option<char> {
        self.toning.as_ref().and_then(Toning::digit)
    }

    /// When [`Self::poll`] or [`Self::poll_tone`] will have something.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let next = self.sounding.as_ref().map(|sounding| sounding.next);
        match next.or_else(|| self.toning.as_ref().map(|toning| toning.next)) {
            Some(next) => Some(next),
            None if self.waiting.is_empty() => None,
            None => Some(self.ready_at.unwrap_or(now)),
        }
    }

    /// Makes the 20 ms of sound due now, the pause behind a digit included: what is sent has no hole. Gives whether a digit begins
    /// with it. Call until `None`.
    pub(crate) fn poll_tone(&mut self, now: Instant, samples: &mut [i16; TONE_FRAME]) -> Option<bool> {
        self.sounding = None;
        self.toning.take_if(|toning| toning.is_over(now));
        let begins = self.toning.is_none();
        if begins {
            self.toning = Toning::new(self.waiting.pop_front()?, now);
        }
        self.toning.as_mut()?.poll(now, samples).then_some(begins)
    }

    /// The packet due now, with durations in units of `clock_rate`. Call until `None`.
    pub(crate) fn poll(&mut self, now: Instant, clock_rate: u32) -> Option<EventPacket> {
        self.toning = None;
        if self.sounding.is_none() {
            if self.ready_at.is_some_and(|ready| now < ready) {
                return None;
            }
            let press = self.waiting.pop_front()?;
            self.sounding = Some(Sounding { press, started: now, next: now, first: true, ends_left: ENDS });
        }
        let sounding = self.sounding.as_mut()?;
        if now < sounding.next {
            return None;
        }
        let elapsed = now.saturating_duration_since(sounding.started);
        let duration = sounding.press.duration.unwrap_or(LONGEST_PRESS);
        let begins = sounding.first;
        let ended = !begins && elapsed >= duration;
        let so_far =
            if ended { duration } else { (elapsed + if begins { UPDATE } else { Duration::ZERO }).min(duration) };
        let units = so_far.as_micros() as u64 * u64::from(clock_rate) / 1_000_000;
        // A press longer than 16 bits continues in a new segment (§2.5.1.3).
        let whole_segments = units.saturating_sub(1) / u64::from(u16::MAX);
        let in_segment = units - whole_segments * u64::from(u16::MAX);
        let [high, low] = u16::try_from(in_segment).unwrap_or(u16::MAX).to_be_bytes();
        let volume = 10;
        #[allow(clippy::cast_possible_truncation)] // a press of 30 s has a few segments
        let packet = EventPacket {
            marker: begins,
            begins,
            offset: (whole_segments * u64::from(u16::MAX)) as u32,
            payload: [sounding.press.event, if ended { 0x80 | volume } else { volume }, high, low],
        };
        sounding.first = false;
        sounding.next = now + UPDATE;
        if ended {
            sounding.ends_left -= 1;
            if sounding.ends_left == 0 {
                let end = sounding.started + duration;
                self.sounding = None;
                // The pause begins with the first end (§2.5.1.4); the others lie in it.
                self.ready_at = Some((end + PAUSE).max(now + UPDATE));
            }
        } else if sounding.press.duration.is_some() {
            // The end is sent when it is due, not at the next update.
            sounding.next = sounding.next.min(sounding.started + duration);
        }
        Some(packet)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;

    fn run(sender: &mut DigitSender, clock_rate: u32, from: Instant) -> Vec<(Duration, EventPacket)> {
        let mut sent = Vec::new();
        let mut now = from;
        while let Some(deadline) = sender.deadline(now) {
            now = now.max(deadline);
            while let Some(packet) = sender.poll(now, clock_rate) {
                sent.push((now - from, packet));
            }
        }
        sent
    }

    fn units(packet: &EventPacket) -> u16 {
        u16::from_be_bytes([packet.payload[2], packet.payload[3]])
    }

    #[test]
    fn a_dialled_digit_has_one_marker_and_three_ends_of_its_full_length() {
        let mut sender = DigitSender::default();
        sender.dial('7', Duration::from_millis(100));
        let sent = run(&mut sender, 8000, Instant::now());
        assert_eq!(sent.iter().filter(|(_, p)| p.marker).count(), 1);
        let ends: Vec<_> = sent.iter().filter(|(_, p)| p.payload[1] & 0x80 != 0).collect();
        assert_eq!(ends.len(), 3);
        assert!(ends.iter().all(|(_, p)| units(p) == 800 && p.payload[0] == 7));
        assert_eq!(ends[0].0, Duration::from_millis(100));
    }

    #[test]
    fn durations_are_counted_in_the_clock_of_the_peer() {
        let mut sender = DigitSender::default();
        sender.dial('1', Duration::from_millis(120));
        let sent = run(&mut sender, 48_000, Instant::now());
        assert_eq!(units(&sent.last().expect("sent").1), 5760);
    }

    #[test]
    fn a_relayed_press_lasts_until_its_release() {
        let start = Instant::now();
        let mut sender = DigitSender::default();
        sender.press('#');
        assert!(sender.poll(start, 8000).is_some_and(|p| p.begins));
        for n in 1..=4 {
            let packet = sender.poll(start + UPDATE * n, 8000).expect("update");
            assert_eq!((packet.payload[1] & 0x80, packet.payload[0]), (0, 11));
        }
        sender.release('#', Duration::from_millis(90));
        let end = sender.poll(start + UPDATE * 5, 8000).expect("end");
        assert_eq!((end.payload[1] & 0x80, units(&end)), (0x80, 720));
    }

    #[test]
    fn of_two_who_press_at_once_each_releases_its_own_key() {
        let start = Instant::now();
        let mut sender = DigitSender::default();
        sender.press('1');
        sender.press('2');
        assert!(sender.poll(start, 8000).is_some());
        sender.release('1', Duration::from_millis(70));
        sender.release('2', Duration::from_millis(200));
        let sent = run(&mut sender, 8000, start);
        let ends: Vec<_> = sent.iter().filter(|(_, p)| p.payload[1] & 0x80 != 0).map(|(_, p)| units(p)).collect();
        assert_eq!(ends, [560, 560, 560, 1600, 1600, 1600]);
    }

    #[test]
    fn a_key_comes_up_when_whoever_pressed_it_is_gone() {
        let start = Instant::now();
        let mut sender = DigitSender::default();
        sender.press('4');
        sender.press('5');
        assert!(sender.poll(start, 8000).is_some());
        sender.let_go(start + Duration::from_millis(70));
        let sent = run(&mut sender, 8000, start + Duration::from_millis(70));
        let ends: Vec<_> = sent.iter().filter(|(_, p)| p.payload[1] & 0x80 != 0).map(|(_, p)| units(p)).collect();
        assert_eq!(ends, [560, 560, 560, 320, 320, 320]);
        assert!(!sender.is_sounding());
    }

    #[test]
    fn digits_are_sent_one_after_another_with_a_pause() {
        let mut sender = DigitSender::default();
        for digit in "12x3".chars() {
            sender.dial(digit, Duration::from_millis(60));
        }
        let begins: Vec<_> = run(&mut sender, 8000, Instant::now()).into_iter().filter(|(_, p)| p.begins).collect();
        let events: Vec<u8> = begins.iter().map(|(_, p)| p.payload[0]).collect();
        assert_eq!(events, [1, 2, 3]);
        let apart: Vec<_> = begins.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert_eq!(apart, [Duration::from_millis(60) + PAUSE; 2]);
    }

    #[test]
    fn a_long_press_is_split_before_its_duration_overflows() {
        let mut sender = DigitSender::default();
        sender.dial('5', Duration::from_secs(10));
        let sent = run(&mut sender, 8000, Instant::now());
        let last = sent.last().expect("sent").1;
        assert_eq!((last.offset, u32::from(units(&last))), (65_535, 80_000 - 65_535));
        assert!(sent.windows(2).all(|pair| pair[0].1.offset <= pair[1].1.offset));
    }
}
