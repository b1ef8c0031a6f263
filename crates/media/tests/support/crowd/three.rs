//! The mix that most tests are about: a browser and two telephones, each with a tone of its own.

use std::time::Duration;

use media::{Command, MixId};

use super::{Crowd, Kind, MS, level, tone};

const MIX: MixId = MixId(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// What member number n says.
pub(crate) const TONES: [f64; 3] = [500.0, 900.0, 1400.0];

pub(crate) fn join(crowd: &mut Crowd, places: impl IntoIterator<Item = usize>) {
    for place in places {
        crowd.command(Command::Mix { session: Crowd::session(place), mix: MIX });
    }
}

/// A browser and two telephones in a mix, each saying a tone of its own for a second already.
pub(crate) fn three() -> Crowd {
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
pub(crate) fn assert_hears(crowd: &Crowd, place: usize, wanted: &[usize]) {
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

pub(crate) fn assert_continuous(crowd: &Crowd, place: usize) {
    let heard = &crowd.members[place].heard;
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].at - pair[0].at <= MS * 21, "{:?} and {:?}", pair[0].at, pair[1].at);
    }
}

pub(crate) fn others(place: usize) -> Vec<usize> {
    (0..3).filter(|other| *other != place).collect()
}
