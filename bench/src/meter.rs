//! Measures the parts of a round that count, and leaves out what only prepares them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::allocations::Counting;
use crate::counted::counted;
use crate::options::Mode;

/// What so many operations cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Processor time of the thread.
    pub elapsed: Duration,
    /// How often memory was asked for.
    pub allocations: u64,
    /// How much of it, in bytes.
    pub bytes: u64,
    /// How many operations that was.
    pub operations: u64,
}

/// Measures one round.
#[derive(Debug)]
pub struct Meter {
    mode: Mode,
    /// Whether the round counts; the first one makes the codecs and fills the pools.
    counts: bool,
    pub(crate) cost: Cost,
}

impl Meter {
    pub(crate) fn new(mode: Mode, counts: bool) -> Self {
        Self { mode, counts, cost: Cost::default() }
    }

    /// A meter for what is done before any round.
    #[must_use]
    pub fn idle() -> Self {
        // Without a look at the clock, which fails under valgrind.
        Self::new(Mode::Counted, false)
    }

    /// Measures a part of the round; all of them add up.
    pub fn measure<R>(&mut self, work: impl FnOnce() -> R) -> R {
        if self.mode == Mode::Counted {
            return if self.counts { counted(work) } else { work() };
        }
        let (asked, started) = (Counting::asked(), processor_time());
        let result = work();
        self.cost.elapsed += processor_time() - started;
        let after = Counting::asked();
        self.cost.allocations += after.0 - asked.0;
        self.cost.bytes += after.1 - asked.1;
        result
    }

    /// Measures one small operation repeated so many times, which is the round; gives the number, less where time is not measured.
    pub fn repeat<R>(&mut self, times: usize, mut operation: impl FnMut() -> R) -> usize {
        let times = self.times(times);
        self.measure(|| {
            for _ in 0..times {
                std::hint::black_box(operation());
            }
        });
        times
    }

    /// How often a small operation is worth repeating that is repeated so many times for its time.
    #[must_use]
    pub fn times(&self, timed: usize) -> usize {
        match self.mode {
            Mode::Once => 1,
            Mode::Counted => timed.min(100),
            Mode::Timed => timed,
        }
    }

    pub(crate) fn cost(&self, operations: usize) -> Cost {
        Cost { operations: operations as u64, ..self.cost }
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
impl Cost {
    /// Nanoseconds for each operation.
    #[must_use]
    pub fn nanoseconds(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.operations as f64
    }

    /// Allocations for each operation.
    #[must_use]
    pub fn allocations_each(&self) -> f64 {
        self.allocations as f64 / self.operations as f64
    }

    /// Bytes asked for by each operation.
    #[must_use]
    pub fn bytes_each(&self) -> f64 {
        self.bytes as f64 / self.operations as f64
    }
}

/// What this thread has had of a processor: others on the machine take their time from somebody else.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_a_round_add_up() {
        let mut meter = Meter::new(Mode::Timed, true);
        let spin = || (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>();
        meter.measure(spin);
        let once = meter.cost(1).elapsed;
        meter.measure(spin);
        assert!(once > Duration::ZERO && meter.cost(1).elapsed > once);
    }

    #[test]
    fn a_cost_is_told_for_each_operation() {
        let cost = Cost { elapsed: Duration::from_micros(3), allocations: 3, bytes: 30, operations: 2 };
        assert_eq!((cost.nanoseconds(), cost.allocations_each(), cost.bytes_each()), (1500.0, 1.5, 15.0));
    }

    #[test]
    fn a_test_does_everything_once() {
        let mut done = 0;
        let times = Meter::new(Mode::Once, true).repeat(1000, || done += 1);
        assert_eq!((times, done), (1, 1));
    }
}
