//! Timers of transactions and sessions (RFC 3261 table 4, RFC 6026): their lengths, a table of the running ones per owner, and one
//! queue over all owners. Reads no clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// The base values all timers are made of (RFC 3261 §17.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// Longest retransmit interval; 4 s.
    pub t2: Duration,
    /// How long a message stays in the network; 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// 64 * T1: how long a transaction, a 2xx or a CANCEL is kept up.
    #[must_use]
    pub fn transaction_timeout(&self) -> Duration {
        self.t1 * 64
    }
}

/// Every timer, by the RFC's letter; those after M belong to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// INVITE retransmission.
    A,
    /// INVITE without any response.
    B,
    /// Absorbs retransmitted final responses to INVITE.
    D,
    /// Non-INVITE retransmission.
    E,
    /// Non-INVITE without final response.
    F,
    /// Retransmits a final response to INVITE.
    G,
    /// No ACK for a final response.
    H,
    /// Absorbs retransmitted ACKs.
    I,
    /// Absorbs retransmitted non-INVITE requests.
    J,
    /// Absorbs retransmitted final responses to non-INVITE.
    K,
    /// Absorbs retransmitted INVITEs after a 2xx (RFC 6026).
    L,
    /// Passes on retransmitted 2xx (RFC 6026).
    M,
    /// Retransmits a 2xx until its ACK (§13.3.1.4).
    Success,
    /// No ACK for a 2xx (§13.3.1.4).
    NoAck,
    /// Resends a provisional response each minute (§13.3.1.1).
    Provisional,
    /// A CANCEL that brought no final response (§9.1).
    Cancelled,
    /// Time to repeat a re-INVITE or UPDATE that met a 491 (§14.1).
    Glare,
    /// A re-INVITE that rings instead of being answered.
    Overdue,
    /// Retransmits a reliable provisional response until its PRACK (RFC 3262 §3).
    Reliable,
    /// No PRACK for a reliable provisional response (RFC 3262 §3).
    NoPrack,
}

impl Timer {
    const COUNT: usize = 20;
}

/// The running timers of one owner.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimerTable([Option<Instant>; Timer::COUNT]);

impl TimerTable {
    pub(crate) fn start(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = Some(at);
        }
    }

    pub(crate) fn is_running(&self, timer: Timer) -> bool {
        self.0.get(timer as usize).is_some_and(Option::is_some)
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = None;
        }
    }

    /// Whether a queue entry is still meant; if so the timer has now fired.
    pub(crate) fn fire(&mut self, timer: Timer, at: Instant) -> bool {
        match self.0.get_mut(timer as usize) {
            Some(slot) if *slot == Some(at) => {
                *slot = None;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// All deadlines of all owners. Stopped timers stay until they are due and are then found stale by their owner's table.
#[derive(Debug)]
pub(crate) struct TimerQueue<O: Ord>(BinaryHeap<Reverse<(Instant, O, Timer)>>);

impl<O: Ord + Copy> TimerQueue<O> {
    pub(crate) fn new() -> Self {
        Self(BinaryHeap::new())
    }

    pub(crate) fn push(&mut self, at: Instant, owner: O, timer: Timer) {
        self.0.push(Reverse((at, owner, timer)));
    }

    /// The next entry that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, O, Timer)> {
        if self.0.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
            self.0.pop().map(|Reverse(entry)| entry)
        } else {
            None
        }
    }

    /// When the next entry is due; it may prove stale.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _, _))| *at)
    }
}
