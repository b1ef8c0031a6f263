//! One press told twice: a client may send a telephone-event and an INFO for the same key. Pairs the two, whichever comes first.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

/// How far apart the two may come: an INFO can wait for a retransmission or two.
const APART: Duration = Duration::from_secs(2);
/// Presses that wait for their other half; more than anyone makes in that time.
const MAX_WAITING: usize = 64;

/// How a press was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// By a telephone-event or by tones.
    InMedia,
    /// By signalling.
    BySignalling,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    digit: char,
    told: Told,
    at: Instant,
}

/// Presses told in one way only, so far.
#[derive(Debug, Default)]
pub(crate) struct Presses {
    single: SmallVec<[Press; 4]>,
}

impl Presses {
    /// Takes a press; whether it is one not heard of before. Each pairs with one of the other kind only: who presses a key twice
    /// and tells it twice in both ways has pressed it twice.
    pub(crate) fn is_news(&mut self, now: Instant, digit: char, told: Told) -> bool {
        self.single.retain(|press| now.saturating_duration_since(press.at) <= APART);
        if let Some(twin) = self.single.iter().position(|press| press.digit == digit && press.told != told) {
            self.single.remove(twin);
            return false;
        }
        if self.single.len() < MAX_WAITING {
            self.single.push(Press { digit, told, at: now });
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::Told::{BySignalling, InMedia};
    use super::*;

    fn news(told: &[(u64, char, Told)]) -> Vec<bool> {
        let (start, mut presses) = (Instant::now(), Presses::default());
        told.iter()
            .map(|(ms, digit, told)| presses.is_news(start + Duration::from_millis(*ms), *digit, *told))
            .collect()
    }

    #[test]
    fn a_press_told_in_two_ways_is_one_whichever_comes_first() {
        assert_eq!(news(&[(0, '5', InMedia), (300, '5', BySignalling)]), [true, false]);
        assert_eq!(news(&[(0, '5', BySignalling), (300, '5', InMedia)]), [true, false]);
    }

    #[test]
    fn presses_told_in_one_way_are_all_heard_however_quick() {
        assert_eq!(news(&[(0, '5', BySignalling), (1, '5', BySignalling), (2, '5', BySignalling)]), [true; 3]);
        assert_eq!(news(&[(0, '5', InMedia), (100, '5', InMedia), (200, '5', InMedia)]), [true; 3]);
    }

    #[test]
    fn a_burst_of_the_one_pairs_with_as_many_of_the_other() {
        let told = [
            (0, '5', BySignalling),
            (5, '5', BySignalling),
            (9, '1', BySignalling),
            (10, '5', InMedia),
            (180, '5', InMedia),
            (350, '1', InMedia),
            (520, '5', InMedia),
        ];
        assert_eq!(news(&told), [true, true, true, false, false, false, true]);
    }

    #[test]
    fn another_digit_or_one_much_later_is_another_press() {
        assert_eq!(news(&[(0, '5', InMedia), (100, '6', BySignalling)]), [true, true]);
        assert_eq!(news(&[(0, '5', InMedia), (2001, '5', BySignalling)]), [true, true]);
    }
}
