//! The reorder wait: gives packets in sequence, and says where one is missing. An in-order packet is never delayed. Where packets never
//! overtake each other a missing one is given up as soon as a later one shows it; where they do, it is waited for as long as the late
//! ones of the last seconds took, and no longer. What was waited for leaves nothing behind: whatever is held goes out at once.

use std::time::{Duration, Instant};

/// Packets held while one is missing; a power of two. 16 packets of 20 ms are more than the longest wait.
const SLOTS: usize = 16;
/// What a conversation bears. A packet later than this would not have been worth waiting for, so it teaches nothing.
const LONGEST_WAIT: Duration = Duration::from_millis(60);
/// How much later than the latest so far the next one may be.
const MARGIN: Duration = Duration::from_millis(5);
/// Packets in order of which a late one is forgotten after one to two times as many: five to ten seconds of speech.
const MEMORY: u32 = 250;
/// Concealment is silence after so many packets of 20 ms.
const LONGEST_CONCEALED: u64 = 5;

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

/// What a packet just given is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The next one; use it now, then call [`Reorder::next`] for what was waiting behind it.
    Next,
    /// It came early and is held.
    Held,
    /// It had been given up already.
    Late,
    /// It had come already.
    Duplicate,
}

/// Holds early packets of one source.
#[derive(Debug)]
pub(crate) struct Reorder {
    expected: Option<u64>,
    held: usize,
    /// From the first packet that comes early: most streams have none, and do not carry the room for it.
    shelf: Option<Box<Shelf>>,
    lateness: Lateness,
}

/// Packets and what is known of packets, by the remainder of their number.
#[derive(Debug, Default)]
struct Shelf {
    slots: [Slot; SLOTS],
    /// Those last given up, and when they were first missed.
    given_up: [Option<(u64, Instant)>; SLOTS],
}

impl Shelf {
    /// The packet of this number, when it is held.
    fn held(&self, index: u64) -> Option<&Slot> {
        self.slots.get(slot_of(index)).filter(|slot| slot.index == Some(index))
    }
}

/// How late those came that others had overtaken, after they were missed.
#[derive(Debug, Default)]
struct Lateness {
    /// The most among this many packets back to the last turn.
    recent: Duration,
    /// The most between that turn and the one before.
    before: Duration,
    packets: u32,
}

impl Lateness {
    fn note(&mut self, lateness: Duration) {
        if lateness <= LONGEST_WAIT {
            self.recent = self.recent.max(lateness + MARGIN);
        }
    }

    fn note_packet(&mut self) {
        self.packets += 1;
        if self.packets >= MEMORY {
            self.packets = 0;
            self.before = std::mem::take(&mut self.recent);
        }
    }

    /// How long a missing packet is waited for: not at all where none was overtaken.
    fn wait(&self) -> Duration {
        self.recent.max(self.before).min(LONGEST_WAIT)
    }
}

impl Reorder {
    pub(crate) fn new() -> Self {
        Self { expected: None, held: 0, shelf: None, lateness: Lateness::default() }
    }

    /// Forgets the source: the next packet begins a stream. The path, and what it taught, is the same.
    pub(crate) fn reset(&mut self) {
        self.expected = None;
        self.held = 0;
        self.shelf = None;
    }

    /// Takes a packet with its extended sequence number.
    pub(crate) fn accept(&mut self, now: Instant, index: u64, view: &super::RtpView<'_>) -> Order {
        let expected = *self.expected.get_or_insert(index);
        if index < expected {
            return self.came_behind(now, index);
        }
        if index == expected {
            self.expected = Some(index + 1);
            self.lateness.note_packet();
            // What is held had overtaken it.
            if self.held > 0
                && let Some((_, _, missed)) = self.held_range()
            {
                self.lateness.note(now.saturating_duration_since(missed));
            }
            return Order::Next;
        }
        let Some(slot) = self.shelf.get_or_insert_default().slots.get_mut(slot_of(index)) else { return Order::Late };
        if slot.index == Some(index) {
            return Order::Duplicate;
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
        let range = self.held_range();
        let shelf = self.shelf.as_mut()?;
        if shelf.held(expected).is_some() {
            self.expected = Some(expected + 1);
            self.held -= 1;
            let slot = shelf.slots.get_mut(slot_of(expected))?;
            slot.index = None;
            return Some(Step::Packet {
                timestamp: slot.timestamp,
                marker: slot.marker,
                payload_type: slot.payload_type,
                payload: &slot.payload,
            });
        }
        let (first, newest, oldest_arrival) = range?;
        let full = newest - expected >= SLOTS as u64 - 1;
        if !full && now < oldest_arrival + self.lateness.wait() {
            return None;
        }
        if first - expected > LONGEST_CONCEALED {
            self.expected = Some(first);
            // A jump this large would have been another source's beginning.
            return Some(Step::Gap { missing: u16::try_from(first - expected).unwrap_or(u16::MAX) });
        }
        if let Some(given_up) = shelf.given_up.get_mut(slot_of(expected)) {
            *given_up = Some((expected, oldest_arrival));
        }
        self.expected = Some(expected + 1);
        let following = shelf.held(expected + 1);
        Some(Step::Lost { following: following.map(|slot| (slot.payload_type, slot.payload.as_slice())) })
    }

    /// When [`Self::next`] will have something without another packet arriving.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.held == 0 {
            return None;
        }
        self.held_range().map(|(_, _, missed)| missed + self.lateness.wait())
    }

    /// Lowest held index, highest held index, earliest arrival.
    fn held_range(&self) -> Option<(u64, u64, Instant)> {
        let mut range: Option<(u64, u64, Instant)> = None;
        for slot in &self.shelf.as_ref()?.slots {
            if let (Some(index), Some(arrived)) = (slot.index, slot.arrived) {
                range = Some(match range {
                    None => (index, index, arrived),
                    Some((low, high, first)) => (low.min(index), high.max(index), first.min(arrived)),
                });
            }
        }
        range
    }

    /// A packet whose turn is over: one given up, whose lateness teaches how long to wait for the next, or one that came already.
    fn came_behind(&mut self, now: Instant, index: u64) -> Order {
        let given_up = self.shelf.as_mut().and_then(|shelf| shelf.given_up.get_mut(slot_of(index)));
        match given_up.and_then(|given_up| given_up.take_if(|(number, _)| *number == index)) {
            Some((_, missed)) => {
                self.lateness.note(now.saturating_duration_since(missed));
                Order::Late
            }
            None => Order::Duplicate,
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

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A stream in which packet 2 came `lateness` after 3 had shown it missing.
    fn having_seen(now: Instant, lateness: Duration) -> Reorder {
        let mut reorder = Reorder::new();
        reorder.accept(now, 1, &view(1, &[1]));
        reorder.accept(now, 3, &view(3, &[3]));
        drain(&mut reorder, now);
        assert_eq!(reorder.accept(now + lateness, 2, &view(2, &[2])), Order::Late);
        reorder
    }

    /// How long the reordering stream waits for packet `missing`.
    fn wait_for(reorder: &mut Reorder, now: Instant, missing: u64) -> Duration {
        reorder.accept(now, missing + 1, &view(5, &[5]));
        let wait = reorder.deadline().map_or(Duration::ZERO, |at| at - now);
        assert!(wait.is_zero() || drain(reorder, now + wait - ms(1)).is_empty());
        assert_eq!(drain(reorder, now + wait), ["lost before 5", "packet 5"]);
        wait
    }

    #[test]
    fn where_nothing_was_ever_overtaken_a_missing_packet_is_given_up_at_once() {
        let now = Instant::now();
        let mut reorder = Reorder::new();
        reorder.accept(now, 1, &view(1, &[1]));
        reorder.accept(now, 3, &view(3, &[3]));
        assert_eq!(drain(&mut reorder, now), ["lost before 3", "packet 3"]);
        assert_eq!(reorder.deadline(), None);
    }

    #[test]
    fn a_late_packet_is_told_from_one_that_came_twice() {
        let now = Instant::now();
        let mut reorder = having_seen(now, ms(5));
        assert_eq!(reorder.accept(now + ms(6), 2, &view(2, &[2])), Order::Duplicate);
        assert_eq!(reorder.accept(now + ms(6), 3, &view(3, &[3])), Order::Duplicate);
        assert_eq!(reorder.accept(now + ms(6), 5, &view(5, &[5])), Order::Held);
        assert_eq!(reorder.accept(now + ms(6), 5, &view(5, &[5])), Order::Duplicate);
    }

    #[test]
    fn the_next_one_overtaken_is_waited_for_and_put_right() {
        let now = Instant::now();
        let mut reorder = having_seen(now, ms(10));
        assert_eq!(reorder.accept(now, 5, &view(5, &[5])), Order::Held);
        assert!(drain(&mut reorder, now).is_empty());
        assert_eq!(reorder.accept(now + ms(12), 4, &view(4, &[4])), Order::Next);
        assert_eq!(drain(&mut reorder, now + ms(12)), ["packet 5"]);
    }

    #[test]
    fn the_wait_is_a_little_more_than_the_latest_packet_took_and_bounded() {
        let now = Instant::now();
        assert_eq!(wait_for(&mut having_seen(now, ms(30)), now, 4), ms(35));
        assert_eq!(wait_for(&mut having_seen(now, ms(58)), now, 4), LONGEST_WAIT);
    }

    #[test]
    fn a_packet_that_came_in_time_lengthens_the_wait_too() {
        let now = Instant::now();
        let mut reorder = having_seen(now, ms(20));
        reorder.accept(now, 5, &view(5, &[5]));
        assert_eq!(reorder.accept(now + ms(24), 4, &view(4, &[4])), Order::Next);
        assert_eq!(drain(&mut reorder, now + ms(24)), ["packet 5"]);
        assert_eq!(wait_for(&mut reorder, now, 6), ms(29));
    }

    #[test]
    fn a_packet_later_than_any_wait_does_not_lengthen_it() {
        let now = Instant::now();
        assert_eq!(wait_for(&mut having_seen(now, Duration::from_secs(1)), now, 4), Duration::ZERO);
    }

    #[test]
    fn the_wait_ends_some_seconds_after_the_last_packet_was_overtaken() {
        let now = Instant::now();
        let mut reorder = having_seen(now, ms(30));
        let in_order = |reorder: &mut Reorder, from: u64, count: u64| {
            for index in from..from + count {
                assert_eq!(reorder.accept(now, index, &view(0, &[0])), Order::Next);
            }
        };
        in_order(&mut reorder, 4, u64::from(MEMORY) - 2);
        let next = 4 + u64::from(MEMORY) - 2;
        assert_eq!(wait_for(&mut reorder, now, next), ms(35));
        in_order(&mut reorder, next + 2, 2 * u64::from(MEMORY));
        assert_eq!(wait_for(&mut reorder, now, next + 2 + 2 * u64::from(MEMORY)), Duration::ZERO);
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
