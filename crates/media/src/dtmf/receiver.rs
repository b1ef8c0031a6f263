//! Receiving telephone-events (RFC 4733 §2.5.2): de-duplicated by timestamp, durations by the sender's clock rate.

use std::time::{Duration, Instant};

use super::{Heard, digit_of};

/// A digit whose end packets were all lost has ended after this silence: the sender updates it every 20-50 ms.
pub(super) const LOST_END: Duration = Duration::from_millis(150);

/// A packet of an older digit that comes later than this is none: the source has set its clock back.
const LATEST: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Key {
    digit: char,
    /// The timestamp of the current segment.
    timestamp: u32,
    /// What earlier segments of a long press lasted, in timestamp units.
    before: u64,
    units: u16,
    clock_rate: u32,
    heard_at: Instant,
    released: bool,
}

impl Key {
    fn held(&self) -> Duration {
        let units = self.before + u64::from(self.units);
        Duration::from_micros(units * 1_000_000 / u64::from(self.clock_rate.max(1)))
    }
}

/// The digits of one incoming stream.
#[derive(Debug, Default)]
pub(crate) struct DigitReceiver {
    key: Option<Key>,
}

impl DigitReceiver {
    /// Takes the payload of a telephone-event packet. The result may be two things at once when a new digit shows that the end of
    /// the last was lost: the release comes first.
    pub(crate) fn handle(&mut self, now: Instant, timestamp: u32, clock_rate: u32, payload: &[u8]) -> [Heard; 2] {
        let [event, flags, high, low, ..] = payload else { return [Heard::Nothing; 2] };
        let Some(digit) = digit_of(*event) else { return [Heard::Nothing; 2] };
        let units = u16::from_be_bytes([*high, *low]);
        let end = flags & 0x80 != 0;
        let mut first = Heard::Nothing;
        match &mut self.key {
            Some(key) if key.timestamp == timestamp && key.digit == digit => {
                key.units = key.units.max(units);
                key.heard_at = now;
                if end && !key.released {
                    key.released = true;
                    first = Heard::Released(digit, key.held());
                }
                return [first, Heard::Nothing];
            }
            // A long press goes on in a new segment, which starts where the last one ended (§2.5.1.3).
            Some(key)
                if !key.released
                    && key.digit == digit
                    && timestamp == key.timestamp.wrapping_add(u32::from(u16::MAX)) =>
            {
                key.before += u64::from(u16::MAX);
                key.timestamp = timestamp;
                key.units = units;
                key.heard_at = now;
                if end {
                    key.released = true;
                    first = Heard::Released(digit, key.held());
                }
                return [first, Heard::Nothing];
            }
            // An old packet, reordered behind a newer digit.
            Some(key)
                if timestamp.wrapping_sub(key.timestamp) > u32::MAX / 2
                    && now.saturating_duration_since(key.heard_at) < LATEST =>
            {
                return [Heard::Nothing; 2];
            }
            Some(key) if !key.released => first = Heard::Released(key.digit, key.held()),
            Some(_) | None => {}
        }
        let key = Key { digit, timestamp, before: 0, units, clock_rate, heard_at: now, released: end };
        self.key = Some(key);
        if end && first == Heard::Nothing {
            // Only an end packet arrived: press and release in one.
            return [Heard::Pressed(digit), Heard::Released(digit, key.held())];
        }
        [first, Heard::Pressed(digit)]
    }

    /// Another source begins, with a clock of its own: the release of a key that was down.
    pub(crate) fn restart(&mut self) -> Heard {
        let key = self.key.take().filter(|key| !key.released);
        key.map_or(Heard::Nothing, |key| Heard::Released(key.digit, key.held()))
    }

    /// The release of a digit whose end never arrived.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Heard {
        match &mut self.key {
            Some(key) if !key.released && now >= key.heard_at + LOST_END => {
                key.released = true;
                Heard::Released(key.digit, key.held())
            }
            Some(_) | None => Heard::Nothing,
        }
    }

    /// When [`Self::handle_timeout`] may have something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.key.filter(|key| !key.released).map(|key| key.heard_at + LOST_END)
    }

    /// Whether a key is down.
    pub(crate) fn is_pressed(&self) -> bool {
        self.key.is_some_and(|key| !key.released)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;

    fn packet(event: u8, end: bool, units: u16) -> [u8; 4] {
        let [high, low] = units.to_be_bytes();
        [event, if end { 0x8a } else { 0x0a }, high, low]
    }

    #[test]
    fn a_digit_is_told_once_however_often_its_packets_come() {
        let now = Instant::now();
        let mut receiver = DigitReceiver::default();
        let mut heard = Vec::new();
        for (end, units) in [(false, 960), (false, 1920), (false, 1920), (true, 4800), (true, 4800), (true, 4800)] {
            heard.extend(receiver.handle(now, 77, 48_000, &packet(5, end, units)));
        }
        heard.retain(|h| *h != Heard::Nothing);
        assert_eq!(heard, [Heard::Pressed('5'), Heard::Released('5', Duration::from_millis(100))]);
    }

    #[test]
    fn the_same_digit_at_a_new_timestamp_is_a_new_press() {
        let now = Instant::now();
        let mut receiver = DigitReceiver::default();
        receiver.handle(now, 0, 8000, &packet(11, true, 800));
        let heard = receiver.handle(now, 1600, 8000, &packet(11, true, 640));
        assert_eq!(heard, [Heard::Pressed('#'), Heard::Released('#', Duration::from_millis(80))]);
    }

    #[test]
    fn a_digit_without_end_is_released_by_silence_or_by_the_next_digit() {
        let now = Instant::now();
        let mut receiver = DigitReceiver::default();
        receiver.handle(now, 0, 8000, &packet(1, false, 400));
        let heard = receiver.handle(now, 4000, 8000, &packet(2, false, 160));
        assert_eq!(heard, [Heard::Released('1', Duration::from_millis(50)), Heard::Pressed('2')]);
        let deadline = receiver.deadline().expect("pressed");
        assert_eq!(receiver.handle_timeout(deadline), Heard::Released('2', Duration::from_millis(20)));
        assert_eq!(receiver.deadline(), None);
    }

    #[test]
    fn a_press_longer_than_sixteen_bits_is_one_digit() {
        let now = Instant::now();
        let mut receiver = DigitReceiver::default();
        receiver.handle(now, 0, 8000, &packet(9, false, u16::MAX));
        let heard = receiver.handle(now, u32::from(u16::MAX), 8000, &packet(9, true, 8001));
        assert_eq!(heard[0], Heard::Released('9', Duration::from_micros((65_535 + 8001) * 125)));
    }

    #[test]
    fn flash_and_malformed_events_are_nothing() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.handle(Instant::now(), 0, 8000, &packet(16, true, 800)), [Heard::Nothing; 2]);
        assert_eq!(receiver.handle(Instant::now(), 0, 8000, &[1, 2]), [Heard::Nothing; 2]);
    }
}
