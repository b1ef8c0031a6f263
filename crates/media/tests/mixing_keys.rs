//! Keys in a mix, told by telephone-events and by signalling. On a simulated network.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/crowd/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not every test needs all of it")]
mod crowd;

use crowd::three::{SECOND, assert_hears, join, others, three};
use crowd::{Crowd, Kind, MS, Voice, level, tone};
use media::{Command, Dtmf};

#[test]
fn a_key_of_one_member_is_told_once_and_goes_to_all_others() {
    let mut crowd = three();
    crowd.press(0, 5, MS * 120);
    crowd.run(SECOND);
    crowd.press(1, 11, MS * 100);
    crowd.run(SECOND);
    let (session, duration) = (Crowd::session(2), MS * 80);
    crowd.command(Command::PressDigit { session, digit: '7', duration });
    crowd.run(SECOND);
    assert_eq!([0, 1, 2].map(|place| crowd.told(place)), ["5", "#", "7"]);
    assert_eq!(crowd.keys(0), [(11, 100), (7, 80)]);
    assert_eq!(crowd.keys(1), [(5, 120), (7, 80)]);
    assert_eq!(crowd.keys(2), [(5, 120), (11, 100)]);
    // While a key sounds its listeners hear nothing else.
    for place in 0..3 {
        let heard = &crowd.members[place].heard;
        let events: Vec<usize> = (0..heard.len()).filter(|n| heard[*n].sound.is_empty()).collect();
        let runs = events.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() + 1;
        assert_eq!(runs, 2, "{place}");
    }
    crowd.forget();
    crowd.run(SECOND);
    (0..3).for_each(|place| assert_hears(&crowd, place, &others(place)));
}

#[test]
fn who_presses_is_not_heard_meanwhile_and_what_is_dialled_reaches_one_only() {
    let mut crowd = three();
    crowd.hold_key(1, 3, MS * 400);
    let spoken = crowd.members[2].heard.iter().filter(|heard| !heard.sound.is_empty()).count();
    assert!(spoken <= 2, "{spoken} frames beside the key");
    // It leaves with the key down: that comes up for everybody.
    crowd.command(Command::Close { session: Crowd::session(1) });
    crowd.run(SECOND);
    assert_eq!((crowd.keys(0).len(), crowd.keys(2).len()), (1, 1));
    crowd.forget();
    let (session, digits, duration) = (Crowd::session(2), "12".to_owned(), MS * 60);
    crowd.command(Command::SendDigits { session, digits, duration });
    crowd.run(SECOND);
    assert_eq!((crowd.keys(2), crowd.keys(0)), (vec![(1, 60), (2, 60)], vec![]));
    assert_hears(&crowd, 0, &[2]);
}

#[test]
fn a_key_of_who_holds_goes_nowhere_and_nobodys_reaches_it() {
    let mut crowd = three();
    crowd.command(Command::Hold { session: Crowd::session(0), hold: true });
    crowd.press(0, 5, MS * 100);
    crowd.press(1, 6, MS * 100);
    crowd.run(SECOND);
    assert_eq!([0, 1].map(|place| crowd.told(place)), ["5", "6"]);
    assert_eq!([0, 1, 2].map(|place| crowd.keys(place)), [vec![], vec![], vec![(6, 100)]]);
}

#[test]
fn keys_pressed_at_the_same_time_keep_their_lengths() {
    let mut crowd = Crowd::of(&[Kind::Pcmu; 3]);
    join(&mut crowd, 0..3);
    for (place, digit, ms) in [(0, '1', 100), (1, '2', 200), (0, '3', 60)] {
        crowd.command(Command::PressDigit { session: Crowd::session(place), digit, duration: MS * ms });
    }
    crowd.run(SECOND * 2);
    assert_eq!(crowd.keys(2), [(1, 100), (2, 200), (3, 60)]);
}

#[test]
fn a_key_heard_in_one_members_audio_is_told_to_the_others_and_not_heard() {
    let mut crowd = Crowd::of(&[Kind::Toning, Kind::Pcmu, Kind::Toning, Kind::Pcmu]);
    // One of them wants no digits in media, so that nothing covers what would be heard of the key.
    crowd.command(Command::SetDtmf { session: Crowd::session(3), dtmf: Dtmf::Info });
    crowd.offer(3, Kind::Pcmu, "sendrecv");
    join(&mut crowd, 0..4);
    // The tones of a 5 for 200 ms, in a second and a half of silence.
    let key = [770.0, 1336.0].map(tone);
    crowd.say(
        0,
        Some(Box::new(move |n| if (8000..11_200).contains(&n) { key.iter().map(|wave| wave(n)).sum() } else { 0.0 })
            as Voice),
    );
    crowd.run(SECOND * 2);
    assert_eq!((crowd.told(0), crowd.told(2)), ("5".to_owned(), String::new()));
    let keys = crowd.keys(1);
    assert!(keys.len() == 1 && keys[0].0 == 5 && keys[0].1.abs_diff(200) <= 30, "{keys:?}");
    let is_heard = |sound: &&[i16]| level(sound, 770.0) > -20.0 && level(sound, 1336.0) > -20.0;
    for place in [1, 3] {
        let leaked = crowd.sound(place).chunks_exact(80).filter(is_heard).count() * 5;
        assert!(leaked <= 25, "{leaked} ms");
    }
    assert_eq!(crowd.keys(3), []);
    // Who has no events hears it as tones of our own.
    let toned = crowd.sound(2).chunks_exact(80).filter(is_heard).count() * 5;
    assert!((170..=240).contains(&toned), "{toned} ms");
}
