//! What is spoken, what counts the memory asked for, and the two sides compared: calls through a shard, and their bare floor.

mod allocations;
mod bare;
mod crowd;
mod voice;

pub(crate) use allocations::Counting;
pub(crate) use bare::Bare;
pub(crate) use crowd::Crowd;
pub(crate) use voice::Voice;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What packets cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    pub(crate) allocations: u64,
    pub(crate) packets: u64,
}

impl Cost {
    /// Of `packets` packets given to `work`.
    pub(crate) fn of(packets: usize, work: impl FnOnce()) -> Self {
        let (before, started) = (Counting::allocations(), processor_time());
        work();
        let elapsed = processor_time() - started;
        Self { elapsed, allocations: Counting::allocations() - before, packets: packets as u64 }
    }

    pub(crate) fn nanoseconds(&self) -> u64 {
        u64::try_from(self.elapsed.as_nanos()).unwrap() / self.packets
    }
}

/// What this thread has had of a processor: others on the machine take their time from somebody else.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Where a call's voice comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// SRTP and Opus in, PCMU out.
    ToTrunk,
    /// PCMU in, Opus and SRTP out.
    ToBrowser,
    /// SRTP in and out, the Opus within as it is.
    Relayed,
}

/// What call number `call` says in frame number `frame`: each is somewhere else in the text, so that a crowd does not teach the
/// processor one frame.
pub(crate) fn said(payloads: &[Vec<u8>], frame: usize, call: usize) -> &[u8] {
    &payloads[(frame + call * 7) % payloads.len()]
}
