//! The reorder wait: gives packets in sequence, and says where one is missing. An in-order packet is never delayed; the wait
//! starts only when a later packet shows that one is missing, and grows only when waiting would have helped.

use std::time::{Duration, Instant};

/// Packets held while one is missing; a power of two. 16 packets of 20 ms are more than the longest wait.
const SLOTS: usize = 16;
/// Enough for two packets swapped on the way.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// What a conversation bears.
const LONGEST_WAIT: Duration = Duration::from_millis(60);
/// After so many packets without a late one the wait shrinks a step.
const CALM: u32 = 500;

/// What comes next in sequence.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// The next packet, which had been held.
    Packet { timestamp: u32, marker: bool, payload_type: u8, payload: &'a [u8] },
    /// One packet is given up. `following` is the packet right after it (payload type, payload), for in-band FEC.
    Lost { following: Option<(u8, &'a [u8])> },
    /// More packets are missing than concealment can cover, so many; the stream goes on behind them.
    Gap { missing: u16 },
}

#[derive(Debug, Default)]
struct Slot {
    index: Option<u64>,
    arrived: Option<Instant>,
    timestamp: u32,
    marker: bool,
    payload_type: u8,
    /// Reused: its capacity stays.
    payload: Vec<u8>,
}

/// Whether the packet just given is the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is; use it now, then call [`Reorder::next`] for what was waiting behind it.
    Next,
    /// It came early and is held.
    Held,
    /// It came too late, or twice.
    Late,
}

/// Holds early packets of one source.
#[derive(Debug)]
pub(crate) struct Reorder {
    expected: Option<u64>,
    slots: [Slot; SLOTS],
    held: usize,
    wait: Duration,
    calm: u32,
    /// When the newest given-up packet was given up, to learn by how much the wait was too short.
    given_up: Option<(u64, Instant)>,
}

impl Reorder {
    pub(crate) fn new() -> Self {
        Self {
            expected: None,
            slots: std::array::from_fn(|_| Slot::default()),
            held: 0,
            wait: SHORTEST_WAIT,
            calm: 0,
            given_up: None,
        }
    }

    /// Forgets the source: the next packet begins a stream.
    pub(crate) fn reset(&mut self) {
        self.expected = None;
        self.held = 0;
        for slot in &mut self.slots {
            slot.index = None;
        }
    }

    /// Takes a packet with its extended sequence number.
    pub(crate) fn accept(&mut self, now: Instant, index: u64, view: &super::RtpView<'_>) -> Order {
        let expected = *self.expected.get_or_insert(index);
        if index == expected {
            self.expected = Some(index + 1);
            self.grow_calm();
            return Order::Next;
        }
        if index < expected {
            self.learn_from_late(now, index);
            return Order::Late;
        }
        let Some(slot) = self.slots.get_mut(slot_of(index)) else { return Order::Late };
        if slot.index == Some(index) {
            return Order::Late;
        }
        if slot.index.is_none() {
            self.held += 1;
        }
        slot.index = Some(index);
        slot.arrived = Some(now);
        slot.timestamp = view.header.timestamp;
        slot.marker = view.header.marker;
        slot.payload_type = view.header.payload_type;
        slot.payload.clear();
        slot.payload.extend_from_slice(view.payload);
        Order::Held
    }

    /// What can be used now: held packets whose turn has come, and packets given up. Call until `None`.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Step<'_>> {
        if self.held == 0 {
            return None;
        }
        let expected = self.expected?;
        if self.slots.get(slot_of(expected)).is_some_and(|slot| slot.index == Some(expected)) {
            self.expected = Some(expected + 1);
            self.held -= 1;
            let slot = self.slots.get_mut(slot_of(expected))?;
            slot.index = None;
            return Some(Step::Packet {
                timestamp: slot.timestamp,
                marker: slot.marker,
                payload_type: slot.payload_type,
                payload: &slot.payload,
            });
        }
        let (first, newest, oldest_arrival) = self.held_range()?;
        let full = newest - expected >= SLOTS as u64 - 1;
        if !full && now < oldest_arrival + self.wait {
            return None;
        }
        if first - expected > 5 {
            self.expected = Some(first);
            // A jump this large would have been another source's beginning.
            return Some(Step::Gap { missing: u16::try_from(first - expected).unwrap_or(u16::MAX) });
        }
        self.given_up = Some((expected, now));
        self.expected = Some(expected + 1);
        let following = self.slots.get(slot_of(expected + 1)).filter(|slot| slot.index == Some(expected + 1));
        Some(Step::Lost { following: following.map(|slot| (slot.payload_type, slot.payload.as_slice())) })
    }

    /// When [`Self::next`] will have something without another packet arriving.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.held == 0 {
            return None;
        }
        self.held_range().map(|(_, _, arrived)| arrived + self.wait)
    }

    /// Lowest held index, highest held index, earliest arrival.
    fn held_range(&self) -> Option<(u64, u64, Instant)> {
        let mut range: Option<(u64, u64, Instant)> = None;
        for slot in &self.slots {
            if let (Some(index), Some(arrived)) = (slot.index, slot.arrived) {
                range = Some(match range {
                    None => (index, index, arrived),
                    Some((low, high, first)) => (low.min(index), high.max(index), first.min(arrived)),
                });
            }
        }
        range
    }

    fn grow_calm(&mut self) {
        self.calm += 1;
        if self.calm >= CALM {
            self.calm = 0;
            self.wait = (self.wait - self.wait / 4).max(SHORTEST_WAIT);
        }
    }

    fn learn_from_late(&mut self, now: Instant, index: u64) {
        if let Some((given_up, at)) = self.given_up
            && given_up == index
        {
            let needed = self.wait + now.saturating_duration_since(at) + Duration::from_millis(5);
            self.wait = needed.clamp(SHORTEST_WAIT, LONGEST_WAIT);
            self.calm = 0;
            self.given_up = None;
        }
    }
}

fn slot_of(index: u64) -> usize {
    #[allow(clippy::cast_possible_truncation)] // the remainder is below 16
    let slot = (index % SLOTS as u64) as usize;
    slot
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::super::{Header, RtpView};
    use super::*;

    fn view(n: u8, payload: &[u8]) -> RtpView<'_> {
        let header =
            Header { marker: false, payload_type: 0, sequence: u16::from(n), timestamp: u32::from(n) * 160, ssrc: 1 };
        RtpView { header, payload }
    }

    fn drain(reorder: &mut Reorder, now: Instant) -> Vec<String> {
        let mut steps = Vec::new();
        while let Some(step) = reorder.next(now) {
            steps.push(match step {
                Step::Packet { payload, .. } => format!("packet {}", payload[0]),
                Step::Lost { following: Some((_, next)) } => format!("lost before {}", next[0]),
                Step::Lost { following: None } => "lost".to_owned(),
                Step::Gap { missing } => format!("gap of {missing}"),
            });
        }
        steps
    }

    #[test]
    fn packets_in_order_are_never_held() {
        let now = Instant::now();
        let mut reorder = Reorder::new();
        for n in 10..50 {
            assert_eq!(reorder.accept(now, u64::from(n), &view(n, &[n])), Order::Next);
            assert!(drain(&mut reorder, now).is_empty());
            assert_eq!(reorder.deadline(), None);
        }
    }

    #[test]
    fn two_swapped_packets_are_put_right_without_loss() {
        let now = Instant::now();
        let mut reorder = Reorder::new();
        assert_eq!(reorder.accept(now, 1, &view(1, &[1])), Order::Next);
        assert_eq!(reorder.accept(now, 3, &view(3, &[3])), Order::Held);
        assert!(drain(&mut reorder, now).is_empty());
        assert_eq!(reorder.accept(now + Duration::from_millis(5), 2, &view(2, &[2])), Order::Next);
        assert_eq!(drain(&mut reorder, now + Duration::from_millis(5)), ["packet 3"]);
    }

    #[test]
    fn a_missing_packet_is_given_up_after_the_wait_with_its_successor_for_fec() {
        let now = Instant::now();
        let mut reorder = Reorder::new();
        reorder.accept(now, 1, &view(1, &[1]));
        reorder.accept(now, 3, &view(3, &[3]));
        let deadline = reorder.deadline().expect("waiting");
        assert_eq!(deadline, now + SHORTEST_WAIT);
        assert_eq!(drain(&mut reorder, deadline), ["lost before 3", "packet 3"]);
        assert_eq!(reorder.accept(deadline, 3, &view(3, &[3])), Order::Late);
    }

    #[test]
    fn a_packet_that_came_just_too_late_lengthens_the_wait_within_its_bound() {
        let now = Instant::now();
        let mut reorder = Reorder::new();
        reorder.accept(now, 1, &view(1, &[1]));
        reorder.accept(now, 3, &view(3, &[3]));
        drain(&mut reorder, now + SHORTEST_WAIT);
        assert_eq!(reorder.accept(now + Duration::from_millis(30), 2, &view(2, &[2])), Order::Late);
        assert_eq!(reorder.wait, Duration::from_millis(35));
        reorder.accept(now, 5, &view(5, &[5]));
        drain(&mut reorder, now + Duration::from_millis(90));
        reorder.accept(now + Duration::from_secs(2), 4, &view(4, &[4]));
        assert_eq!(reorder.wait, LONGEST_WAIT);
    }

    #[test]
    fn a_long_hole_is_one_gap_and_the_stream_goes_on() {
        let now = Instant::now();
        let mut reorder = Reorder::new();
        reorder.accept(now, 1, &view(1, &[1]));
        reorder.accept(now, 100, &view(100, &[100]));
        assert_eq!(drain(&mut reorder, now), ["gap of 98", "packet 100"]);
        assert_eq!(reorder.accept(now, 101, &view(101, &[101])), Order::Next);
    }
}
