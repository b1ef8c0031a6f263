//! What a receiver keeps of one source (RFC 3550 A.1, A.3, A.8): extended sequence numbers, loss, jitter. Sends no reports.

use std::time::{Duration, Instant};

/// A jump forwards of more than this is a restarted source (RFC 3550 A.1 `MAX_DROPOUT`).
const MAX_DROPOUT: u16 = 3000;
/// A step back of more than this is a restarted source (RFC 3550 A.1 `MAX_MISORDER`).
const MAX_MISORDER: u16 = 100;

/// A source that another took the place of is not believed again for so long: what comes of it was on its way.
const LEFT: Duration = Duration::from_millis(200);

/// What a packet's sequence number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Belongs to the stream, with its number extended to 64 bits.
    Index(u64),
    /// The source began anew (another SSRC, or two packets in a row far from the last); extended number of this packet.
    Restarted(u64),
    /// Far from the last packet; believed only if its successor follows.
    Probation,
}

/// One interval's loss for a report block (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Lost since the last report, as a fraction of 256.
    pub(crate) fraction: u8,
    /// Lost since the source began, never negative here.
    pub(crate) cumulative: u32,
    /// The highest sequence number with its cycles.
    pub(crate) highest: u32,
}

/// The state kept of the current source.
#[derive(Debug, Clone)]
pub(crate) struct Reception {
    clock_rate: u32,
    ssrc: Option<u32>,
    /// The source before it, and until when it stays so.
    left: Option<(u32, Instant)>,
    base: u64,
    highest: u64,
    suspect: Option<u16>,
    received: u64,
    prior: (u64, u64),
    /// What earlier sources of this leg lost.
    lost_before: u64,
    /// Jitter in timestamp units, scaled by 16 (A.8).
    jitter: u64,
    transit: Option<(Instant, u32)>,
}

impl Reception {
    /// Makes the state for a stream whose timestamps count at `clock_rate` Hz.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            ssrc: None,
            left: None,
            base: 0,
            highest: 0,
            suspect: None,
            received: 0,
            prior: (0, 0),
            lost_before: 0,
            jitter: 0,
            transit: None,
        }
    }

    /// The source counts its timestamps at another rate from now on: another codec.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32) {
        if self.clock_rate != clock_rate {
            self.clock_rate = clock_rate;
            self.transit = None;
            self.jitter = 0;
        }
    }

    /// The source heard now.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Takes note of a packet.
    pub(crate) fn admit(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Admission {
        if self.ssrc != Some(ssrc) {
            if self.left.is_some_and(|(left, until)| left == ssrc && now < until) {
                return Admission::Probation;
            }
            return self.restart(now, ssrc, sequence, timestamp);
        }
        #[allow(clippy::cast_possible_truncation)] // the low 16 bits are the sequence number
        let delta = sequence.wrapping_sub(self.highest as u16);
        let index = if delta < MAX_DROPOUT {
            self.highest += u64::from(delta);
            self.highest
        } else if delta > u16::MAX - MAX_MISORDER {
            self.highest.saturating_sub(u64::from(delta.wrapping_neg()))
        } else if self.suspect == Some(sequence) {
            return self.restart(now, ssrc, sequence, timestamp);
        } else {
            self.suspect = Some(sequence.wrapping_add(1));
            return Admission::Probation;
        };
        self.suspect = None;
        self.received += 1;
        self.measure_jitter(now, timestamp);
        Admission::Index(index)
    }

    fn restart(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Admission {
        self.lost_before = self.lost();
        self.left = self.ssrc.filter(|before| *before != ssrc).map(|before| (before, now + LEFT));
        self.ssrc = Some(ssrc);
        // One whole cycle in advance, so that a late packet before the first has a number too.
        self.base = 65_536 + u64::from(sequence);
        self.highest = self.base;
        self.suspect = None;
        self.received = 1;
        self.prior = (0, 0);
        self.transit = Some((now, timestamp));
        Admission::Restarted(self.base)
    }

    fn measure_jitter(&mut self, now: Instant, timestamp: u32) {
        // The packets of one telephone-event share the timestamp of its beginning (RFC 4733 §2.5.1.2); when they come says nothing.
        if self.transit.is_some_and(|(_, before)| before == timestamp) {
            return;
        }
        if let Some((then, before)) = self.transit {
            let ticks = ticks(now.saturating_duration_since(then), self.clock_rate);
            let difference = i64::from(timestamp.wrapping_sub(before).cast_signed());
            let deviation = (ticks - difference).unsigned_abs();
            // A talk spurt's timestamp jump is not jitter of the network.
            if deviation < u64::from(self.clock_rate) {
                self.jitter = self.jitter + deviation - ((self.jitter + 8) >> 4);
            }
        }
        self.transit = Some((now, timestamp));
    }

    /// Interarrival jitter in timestamp units, for a report block.
    pub(crate) fn jitter_units(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    /// Interarrival jitter as time.
    pub(crate) fn jitter(&self) -> Duration {
        Duration::from_nanos((self.jitter >> 4) * 1_000_000_000 / u64::from(self.clock_rate.max(1)))
    }

    /// Packets lost since the leg began.
    pub(crate) fn lost(&self) -> u64 {
        self.lost_before + self.lost_of_source()
    }

    fn lost_of_source(&self) -> u64 {
        if self.ssrc.is_none() {
            return 0;
        }
        (self.highest - self.base + 1).saturating_sub(self.received)
    }

    /// The loss since the last call, for a report block; `None` before the first packet.
    pub(crate) fn report(&mut self) -> Option<Loss> {
        self.ssrc?;
        let expected = self.highest - self.base + 1;
        let (expected_prior, received_prior) = std::mem::replace(&mut self.prior, (expected, self.received));
        let expected_now = expected.saturating_sub(expected_prior);
        let lost_now = expected_now.saturating_sub(self.received.saturating_sub(received_prior));
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        #[allow(clippy::cast_possible_truncation)] // the report carries the low 32 and 24 bits
        Some(Loss {
            fraction: fraction as u8,
            cumulative: self.lost_of_source().min(0x7f_ffff) as u32,
            highest: (self.highest - 65_536) as u32,
        })
    }
}

/// `elapsed` in units of `clock_rate`.
fn ticks(elapsed: Duration, clock_rate: u32) -> i64 {
    i64::try_from(elapsed.as_micros().min(u128::from(u32::MAX)) * u128::from(clock_rate) / 1_000_000)
        .unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;

    fn stream(sequences: &[u16]) -> Reception {
        let start = Instant::now();
        let mut reception = Reception::new(8000);
        for (n, sequence) in sequences.iter().enumerate() {
            let n = u32::try_from(n).expect("short");
            reception.admit(start + Duration::from_millis(20) * n, 1, *sequence, n * 160);
        }
        reception
    }

    #[test]
    fn loss_is_counted_across_the_wrap() {
        let mut reception = stream(&[65_533, 65_534, 0, 1, 4]);
        assert_eq!(reception.lost(), 3);
        let loss = reception.report().expect("heard");
        assert_eq!((loss.fraction, loss.cumulative, loss.highest), (96, 3, 65_536 + 4));
        assert_eq!(reception.report().expect("heard").fraction, 0);
    }

    #[test]
    fn a_late_packet_is_not_lost() {
        assert_eq!(stream(&[1, 2, 4, 3, 5]).lost(), 0);
    }

    #[test]
    fn one_wild_packet_does_not_restart_the_stream_two_do() {
        let mut reception = stream(&[1, 2, 3]);
        let now = Instant::now();
        assert_eq!(reception.admit(now, 1, 30_000, 0), Admission::Probation);
        assert_eq!(reception.admit(now, 1, 4, 0), Admission::Index(65_536 + 4));
        assert_eq!(reception.admit(now, 1, 30_000, 0), Admission::Probation);
        assert_eq!(reception.admit(now, 1, 30_001, 0), Admission::Restarted(65_536 + 30_001));
    }

    #[test]
    fn what_is_on_its_way_of_a_source_that_ended_does_not_bring_it_back_its_going_on_does() {
        let (now, mut reception) = (Instant::now(), stream(&[1, 2, 3]));
        assert_eq!(reception.admit(now, 2, 500, 0), Admission::Restarted(65_536 + 500));
        assert_eq!(reception.admit(now, 1, 4, 480), Admission::Probation);
        assert_eq!(reception.admit(now, 2, 501, 160), Admission::Index(65_536 + 501));
        assert_eq!(reception.lost(), 0);
        assert_eq!(reception.admit(now + LEFT, 1, 20, 3200), Admission::Restarted(65_536 + 20));
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_a_delay_has() {
        assert_eq!(stream(&[1, 2, 3, 4]).jitter(), Duration::ZERO);
        let start = Instant::now();
        let mut reception = Reception::new(8000);
        reception.admit(start, 1, 1, 0);
        reception.admit(start + Duration::from_millis(36), 1, 2, 160);
        assert_eq!(reception.jitter_units(), 8);
    }
}
