//! What a peer's receiver reports say of the way to it (RFC 3550 §6.4.1), and what an encoder makes of that: loss alone is answered by
//! protection, a queue that grows by fewer bits. Browsers send no other feedback on audio alone unless asked for it, and are not.

use std::time::Duration;

use crate::codec::{BITRATE, Conditions, LOSS_AT_FIRST};

/// A round trip so much longer than the best is a queue, which our packets fill too.
const QUEUE: Duration = Duration::from_millis(80);
/// The best is forgotten so fast, report by report: the next path may be a longer one.
const FORGOTTEN: Duration = Duration::from_millis(5);
/// More lost than this in two reports running, in percent, and the path is likely too narrow, however short its queue.
const MUCH_LOST: u8 = 10;
/// Least bits a second: below, libopus writes no FEC and the voice suffers.
const LOWEST: i32 = 14_500;
/// What is tried in addition after a report without complaint.
const STEP: i32 = 500;

/// What is known of the way to a peer.
#[derive(Debug)]
pub(super) struct Feedback {
    conditions: Conditions,
    /// In percent, by the report before.
    lost_before: u8,
    best_round_trip: Option<Duration>,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { conditions: Conditions { loss: LOSS_AT_FIRST, bitrate: BITRATE }, lost_before: 0, best_round_trip: None }
    }
}

impl Feedback {
    /// Takes a report: the fraction of 256 lost since the one before, and the round trip measured by it.
    pub(super) fn note(&mut self, fraction: u8, round_trip: Option<Duration>) {
        #[allow(clippy::cast_possible_truncation)] // below 100
        let percent = (u16::from(fraction) * 100).div_ceil(256) as u8;
        // Loss comes in bursts, so that one report without any says little.
        self.conditions.loss = percent.max(self.conditions.loss / 2);
        let is_queueing = round_trip.is_some_and(|trip| {
            let best = self.best_round_trip.map_or(trip, |best| trip.min(best + FORGOTTEN));
            self.best_round_trip = Some(best);
            trip > best + QUEUE
        });
        let is_overrun = std::mem::replace(&mut self.lost_before, percent).min(percent) > MUCH_LOST;
        let bitrate = self.conditions.bitrate;
        let bitrate = if is_queueing || is_overrun { bitrate * 3 / 4 } else { bitrate + STEP };
        self.conditions.bitrate = bitrate.clamp(LOWEST, BITRATE);
    }

    pub(super) fn conditions(&self) -> Conditions {
        self.conditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Option<Duration> {
        Some(Duration::from_millis(milliseconds))
    }

    fn bitrate(feedback: &Feedback) -> i32 {
        feedback.conditions().bitrate
    }

    #[test]
    fn loss_without_a_queue_costs_no_bits() {
        let mut feedback = Feedback::default();
        for _ in 0..20 {
            feedback.note(20, ms(130));
        }
        assert_eq!((feedback.conditions().loss, bitrate(&feedback)), (8, BITRATE));
    }

    #[test]
    fn a_growing_round_trip_takes_bits_away_and_a_short_one_gives_them_back() {
        let mut feedback = Feedback::default();
        feedback.note(0, ms(100));
        feedback.note(0, ms(250));
        assert_eq!(bitrate(&feedback), BITRATE * 3 / 4);
        for _ in 0..5 {
            feedback.note(0, ms(250));
        }
        assert_eq!(bitrate(&feedback), LOWEST);
        for _ in 0..(BITRATE - LOWEST) / STEP {
            assert!(bitrate(&feedback) < BITRATE);
            feedback.note(0, ms(110));
        }
        assert_eq!(bitrate(&feedback), BITRATE);
    }

    #[test]
    fn a_longer_path_is_not_taken_for_a_queue_for_ever() {
        let mut feedback = Feedback::default();
        feedback.note(0, ms(30));
        for _ in 0..60 {
            feedback.note(0, ms(200));
        }
        assert_eq!(bitrate(&feedback), BITRATE);
    }

    #[test]
    fn a_path_that_loses_much_gets_fewer_bits_whatever_its_round_trip() {
        let mut feedback = Feedback::default();
        feedback.note(60, None);
        assert_eq!(bitrate(&feedback), BITRATE, "a burst");
        feedback.note(60, None);
        assert_eq!(bitrate(&feedback), BITRATE * 3 / 4);
        feedback.note(0, None);
        assert_eq!(bitrate(&feedback), BITRATE * 3 / 4 + STEP);
    }
}
