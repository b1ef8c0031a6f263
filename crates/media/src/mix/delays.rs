//! How unevenly a source's packets come: each one's delay beside that of the fastest and the slowest of the last five to ten seconds.
//! What they all have in common, and the difference between the two clocks, is not known and not wanted.

use std::time::Instant;

/// Packets after which the extremes are forgotten after one to two times as many: five to ten seconds of speech.
const MEMORY: u32 = 250;
/// A packet that is off by more shows that the source has set its clock anew, in microseconds.
const MOST: i64 = 2_000_000;
/// A packet's margin beyond what the slowest so far needed, in microseconds: a turn of the shard's loop.
const MARGIN: i64 = 5000;
/// The least and the most that sound waits for its turn, in microseconds. The least is one frame, and covers the unevenness that any
/// sender has; the most is what a conversation bears.
pub(super) const LEAST_WAIT: i64 = 20_000;
const MOST_WAIT: i64 = 120_000;

/// The delays of one source's packets, in microseconds, against an unknown common one.
#[derive(Debug)]
pub(super) struct Delays {
    epoch: Instant,
    /// The last timestamp, and its place in time since the first, in microseconds.
    last: Option<(u32, i64)>,
    recent: Range,
    before: Range,
    packets: u32,
    /// What the unevenness was thought to be before any packet came.
    assumed: i64,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    fastest: i64,
    slowest: i64,
}

const NOTHING: Range = Range { fastest: i64::MAX, slowest: i64::MIN };

impl Range {
    fn with(self, other: Self) -> Self {
        Self { fastest: self.fastest.min(other.fastest), slowest: self.slowest.max(other.slowest) }
    }
}

impl Delays {
    /// Begins; `assumed` is what is known of the unevenness from elsewhere, in microseconds.
    pub(super) fn new(now: Instant, assumed: i64) -> Self {
        Self { epoch: now, last: None, recent: NOTHING, before: NOTHING, packets: 0, assumed }
    }

    /// Forgets the source. The path, and how uneven it is, stays.
    pub(super) fn restart(&mut self) {
        self.assumed = self.spread();
        (self.last, self.recent, self.before, self.packets) = (None, NOTHING, NOTHING, 0);
    }

    /// Takes note of a packet; gives how much later than the fastest it came.
    pub(super) fn note(&mut self, now: Instant, timestamp: u32, clock_rate: u32) -> i64 {
        let arrived = micros(now.saturating_duration_since(self.epoch).as_micros());
        let said = match self.last {
            Some((last, said)) => {
                let step = i64::from(timestamp.wrapping_sub(last).cast_signed());
                said + step * 1_000_000 / i64::from(clock_rate.max(1))
            }
            None => 0,
        };
        self.last = Some((timestamp, said));
        let delay = arrived - said;
        let known = self.recent.with(self.before);
        if self.packets > 0 && ((delay - known.fastest).abs() > MOST || (delay - known.slowest).abs() > MOST) {
            self.restart();
            return self.note(now, timestamp, clock_rate);
        }
        self.packets += 1;
        if self.packets > MEMORY {
            self.packets = 1;
            self.before = std::mem::replace(&mut self.recent, NOTHING);
            self.assumed = 0;
        }
        self.recent = self.recent.with(Range { fastest: delay, slowest: delay });
        delay - self.recent.fastest.min(self.before.fastest)
    }

    /// How long the fastest packet is to wait for its turn, so that the slowest is not late.
    pub(super) fn wait(&self) -> i64 {
        (self.spread() + MARGIN).clamp(LEAST_WAIT, MOST_WAIT)
    }

    fn spread(&self) -> i64 {
        let known = self.recent.with(self.before);
        // Nothing is known when the slowest is the least there is.
        let known = if known.slowest < known.fastest { 0 } else { known.slowest - known.fastest };
        known.max(self.assumed)
    }
}

/// Microseconds of a session, which no session has too many of.
fn micros(elapsed: u128) -> i64 {
    i64::try_from(elapsed).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Packets of 20 ms that come so many milliseconds late; the waits wanted after each.
    fn waits(late: &[u64]) -> Vec<i64> {
        let start = Instant::now();
        let mut delays = Delays::new(start, 0);
        let note = |(n, late): (usize, &u64)| {
            let n = u32::try_from(n).expect("few");
            let at = start + Duration::from_millis(20) * n + Duration::from_millis(*late);
            delays.note(at, (u32::MAX - 500).wrapping_add(n * 160), 8000);
            delays.wait()
        };
        late.iter().enumerate().map(note).collect()
    }

    #[test]
    fn a_steady_source_waits_one_frame() {
        assert!(waits(&[0; 700]).iter().all(|wait| *wait == LEAST_WAIT));
        assert!(waits(&[300; 700]).iter().all(|wait| *wait == LEAST_WAIT), "its common delay is nothing to it");
    }

    #[test]
    fn an_uneven_one_waits_for_its_slowest_and_no_longer_than_a_conversation_bears() {
        let late: Vec<u64> = (0..100).map(|n| if n % 10 == 9 { 40 } else { 0 }).collect();
        assert_eq!(waits(&late).last(), Some(&45_000));
        assert_eq!(waits(&[0, 0, 900, 0]).last(), Some(&MOST_WAIT));
    }

    #[test]
    fn what_was_slow_is_forgotten_after_ten_seconds() {
        let late: Vec<u64> = (0..510).map(|n| if n == 5 { 60 } else { 0 }).collect();
        let waits = waits(&late);
        assert_eq!((waits[240], waits[505]), (65_000, LEAST_WAIT));
    }

    #[test]
    fn a_clock_set_anew_is_no_unevenness() {
        let start = Instant::now();
        let mut delays = Delays::new(start, 0);
        for n in 0..10_u32 {
            delays.note(start + Duration::from_millis(20) * n, n * 160, 8000);
        }
        assert_eq!(delays.note(start + Duration::from_millis(200), 3_000_000_000, 8000), 0);
        assert_eq!(delays.wait(), LEAST_WAIT);
    }
}
