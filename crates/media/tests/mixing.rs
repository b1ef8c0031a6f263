//! Mixes on a simulated network: who hears whom, how loud, how late, and what of one member's troubles the others notice.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/crowd.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod crowd;

use std::time::Duration;

use crowd::{Crowd, Kind, MS, level, tone};
use media::{Command, Hears, Hold, MediaState, MixId};

const MIX: MixId = MixId(1);
const SECOND: Duration = Duration::from_secs(1);
/// What member number n says.
const TONES: [f64; 3] = [500.0, 900.0, 1400.0];

fn join(crowd: &mut Crowd, places: impl IntoIterator<Item = usize>) {
    for place in places {
        crowd.command(Command::Mix { session: Crowd::session(place), mix: MIX });
    }
}

/// A browser and two telephones in a mix, each saying a tone of its own for a second already.
fn three() -> Crowd {
    let mut crowd = Crowd::of(&[Kind::Browser, Kind::Pcmu, Kind::Pcma]);
    for (place, frequency) in TONES.into_iter().enumerate() {
        crowd.say(place, tone(frequency));
    }
    join(&mut crowd, 0..3);
    crowd.run(SECOND);
    crowd.forget();
    crowd
}

/// Asserts that a peer hears these of the tones as loud as they were said, without a hole, and none of the others.
fn assert_hears(crowd: &Crowd, place: usize, wanted: &[usize]) {
    let sound = crowd.sound(place);
    for (who, frequency) in TONES.into_iter().enumerate() {
        let whole = level(&sound, frequency);
        if wanted.contains(&who) {
            assert!(whole.abs() < 1.5, "{place} hears {who} at {whole} dB");
            for (n, part) in sound.chunks_exact(320).enumerate() {
                assert!(
                    level(part, frequency).abs() < 4.0,
                    "{place} hears {who} at {} dB in frame {n}",
                    level(part, frequency)
                );
            }
        } else {
            assert!(whole < -35.0, "{place} hears {who} at {whole} dB");
        }
    }
}

fn assert_continuous(crowd: &Crowd, place: usize) {
    let heard = &crowd.members[place].heard;
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].at - pair[0].at <= MS * 21, "{:?} and {:?}", pair[0].at, pair[1].at);
    }
}

#[test]
fn each_hears_the_two_others_as_loud_as_they_are_and_never_itself() {
    let mut crowd = three();
    crowd.run(SECOND);
    for place in 0..3 {
        let others: Vec<usize> = (0..3).filter(|other| *other != place).collect();
        assert_hears(&crowd, place, &others);
        assert_continuous(&crowd, place);
        assert_eq!(crowd.members[place].heard.len(), 50);
        assert_eq!(crowd.state(place), MediaState { hold: Hold::None, hears: Hears::Party });
    }
}
