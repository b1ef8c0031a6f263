//! Digits on their way to trunks that want them by INFO: one after another on each leg, the next when the last was answered and has
//! sounded, so that they arrive in order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use sip::OutgoingId;

use crate::call::LegId;

/// Digits waiting on a leg; more than anyone dials ahead.
const MAX_WAITING: usize = 64;
/// Between two digits, for those who play them.
const PAUSE: Duration = Duration::from_millis(60);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(char, Duration)>,
    asked: Option<OutgoingId>,
    ready_at: Option<Instant>,
}

/// What waits on each leg.
#[derive(Debug, Default)]
pub(crate) struct Informing {
    queues: BTreeMap<LegId, Queue>,
    asked: HashMap<OutgoingId, LegId>,
}

impl Informing {
    /// A digit waits its turn; one too many is dropped.
    pub(crate) fn push(&mut self, leg: LegId, digit: char, duration: Duration) {
        let queue = self.queues.entry(leg).or_default();
        if queue.waiting.len() < MAX_WAITING {
            queue.waiting.push_back((digit, duration));
        }
    }

    /// The next digit whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(LegId, char, Duration)> {
        let is_due = |queue: &Queue| queue.deadline().is_some_and(|at| at.is_none_or(|at| at <= now));
        let (leg, queue) = self.queues.iter_mut().find(|(_, queue)| is_due(queue))?;
        let (digit, duration) = queue.waiting.pop_front()?;
        queue.ready_at = Some(now + duration + PAUSE);
        Some((*leg, digit, duration))
    }

    /// A digit went out, to be answered.
    pub(crate) fn sent(&mut self, leg: LegId, id: OutgoingId) {
        if let Some(queue) = self.queues.get_mut(&leg) {
            queue.asked = Some(id);
            self.asked.insert(id, leg);
        }
    }

    /// What was sent got its answer, or will not.
    pub(crate) fn answered(&mut self, id: OutgoingId) {
        if let Some(queue) = self.asked.remove(&id).and_then(|leg| self.queues.get_mut(&leg)) {
            queue.asked = None;
        }
    }

    /// A leg is over: what waits on it is void.
    pub(crate) fn forget(&mut self, leg: LegId) {
        if let Some(id) = self.queues.remove(&leg).and_then(|queue| queue.asked) {
            self.asked.remove(&id);
        }
    }

    /// When a digit is due that only waits for its time.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.queues.values().filter_map(|queue| queue.deadline().flatten()).min()
    }
}

impl Queue {
    /// When its next digit may be sent; at once without a time. `None` while there is none or an answer is awaited.
    fn deadline(&self) -> Option<Option<Instant>> {
        (self.asked.is_none() && !self.waiting.is_empty()).then_some(self.ready_at)
    }
}
