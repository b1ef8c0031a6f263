//! What is kept of what was sent and heard.

use std::time::{Duration, Instant};

/// What came of a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// Packets sent.
    pub(crate) sent: u64,
    /// Packets received.
    pub(crate) received: u64,
    /// Packets that never came, by their sequence numbers.
    pub(crate) lost: u64,
    /// Packets that were neither RTP nor anything else that belongs here, or that were not authentic.
    pub(crate) malformed: u64,
    /// Times of more than 60 ms without a packet, once one had come.
    pub(crate) gaps: u64,
    /// The longest of them.
    pub(crate) longest_gap: Duration,
    /// When the first packet came.
    pub(crate) first: Option<Instant>,
    /// Stretches in which the call's own tone was heard.
    pub(crate) right: u64,
    /// Stretches in which another sound was heard.
    pub(crate) wrong: u64,
    /// What the gateway added to the way of each chirp, beyond what the codec does by itself, in seconds.
    pub(crate) added: Vec<f64>,
}

impl Heard {
    /// Adds the counts of another one.
    pub(crate) fn count(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.malformed += other.malformed;
        self.gaps += other.gaps;
        self.longest_gap = self.longest_gap.max(other.longest_gap);
    }
}

/// All streams of a side, the agents' and the carrier's in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    /// What was counted from the beginning on.
    pub(crate) counted: [Heard; 2],
    /// The latencies heard by each side since the last survey, in seconds.
    pub(crate) added: [Vec<f64>; 2],
    /// How late packets were sent since the last survey.
    pub(crate) lateness: Histogram,
}

/// Times in steps of 50 us, up to 200 ms; what is longer counts as that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    const STEP: Duration = Duration::from_micros(50);
    const STEPS: usize = 4000;

    /// Notes a time.
    pub(crate) fn note(&mut self, time: Duration) {
        let at = usize::try_from(time.as_micros() / Self::STEP.as_micros()).unwrap_or(Self::STEPS);
        self.counts.resize(Self::STEPS + 1, 0);
        if let Some(count) = self.counts.get_mut(at.min(Self::STEPS)) {
            *count += 1;
        }
    }

    /// Takes over what another one noted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// How many were noted.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time that `share` of 100 do not exceed; nothing of nothing.
    pub(crate) fn percentile(&self, share: u64) -> Option<Duration> {
        let wanted = (self.count() * share).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Self::STEP * u32::try_from(at + 1).unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_tells_what_a_share_does_not_exceed() {
        let mut times = Histogram::default();
        assert!(times.percentile(50).is_none());
        (0..100).for_each(|n| times.note(Duration::from_micros(100 * n)));
        let mut more = Histogram::default();
        more.note(Duration::from_secs(5));
        times.merge(&more);
        assert_eq!(times.count(), 101);
        assert_eq!(times.percentile(50).unwrap(), Duration::from_micros(5050));
        assert!(times.percentile(100).unwrap() >= Duration::from_millis(200));
    }
}
