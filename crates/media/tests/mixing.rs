//! Mixes on a simulated network: who hears whom and how loud, whatever they are joined with before and after.
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

use crowd::three::{SECOND, TONES, assert_continuous, assert_hears, join, others, three};
use crowd::{Crowd, Kind, MS, level, loud_tone, tone};
use media::{Command, Event, Hears, Hold};

#[test]
fn each_hears_the_two_others_as_loud_as_they_are_and_never_itself() {
    let mut crowd = three();
    crowd.run(SECOND);
    for place in 0..3 {
        assert_hears(&crowd, place, &others(place));
        assert_continuous(&crowd, place);
        assert_eq!(crowd.members[place].heard.len(), 50);
        assert_eq!((crowd.state(place).hold, crowd.state(place).hears), (Hold::None, Hears::Party));
    }
}

#[test]
fn who_holds_neither_hears_nor_is_heard_and_the_others_go_on_without_music() {
    let mut crowd = three();
    let by_us = |crowd: &mut Crowd, hold| crowd.command(Command::Hold { session: Crowd::session(0), hold });
    let by_peer = |crowd: &mut Crowd, hold: bool| {
        crowd.offer(0, Kind::Browser, if hold { "sendonly" } else { "sendrecv" });
    };
    for (change, hold) in [(&by_us as &dyn Fn(&mut Crowd, bool), Hold::Local), (&by_peer, Hold::Remote)] {
        change(&mut crowd, true);
        crowd.run(MS * 200);
        crowd.forget();
        crowd.run(SECOND);
        assert!(crowd.members[0].heard.is_empty());
        assert_eq!((crowd.state(0).hold, crowd.state(0).hears), (hold, Hears::Nothing));
        for place in [1, 2] {
            assert_hears(&crowd, place, &[3 - place]);
            assert_continuous(&crowd, place);
            assert_eq!(crowd.state(place).hears, Hears::Party);
        }
        change(&mut crowd, false);
        // What libopus makes of a steady tone it comes into the middle of wavers for a while.
        crowd.run(SECOND * 2);
        crowd.forget();
        crowd.run(SECOND);
        (0..3).for_each(|place| assert_hears(&crowd, place, &others(place)));
        assert_eq!((crowd.state(0).hold, crowd.state(0).hears), (Hold::None, Hears::Party));
    }
}

#[test]
fn whom_all_others_hold_hears_music_until_one_of_them_resumes() {
    let mut crowd = three();
    for place in [0, 1] {
        crowd.command(Command::Hold { session: Crowd::session(place), hold: true });
    }
    assert_eq!(crowd.state(2).hears, Hears::Music);
    crowd.run(MS * 200);
    crowd.forget();
    crowd.run(SECOND);
    assert!(crowd.members[2].heard.iter().all(|heard| heard.sound.iter().all(|sample| (sample - 4000).abs() < 200)));
    assert_continuous(&crowd, 2);
    crowd.command(Command::Hold { session: Crowd::session(1), hold: false });
    assert_eq!(crowd.state(2).hears, Hears::Party);
    crowd.run(MS * 200);
    crowd.forget();
    crowd.run(SECOND);
    assert_hears(&crowd, 2, &[1]);
    assert_hears(&crowd, 1, &[2]);
}

#[test]
fn when_one_leaves_the_others_go_on_and_the_last_hears_nothing() {
    let mut crowd = three();
    crowd.command(Command::Close { session: Crowd::session(1) });
    crowd.run(MS * 200);
    crowd.forget();
    crowd.run(SECOND);
    assert_hears(&crowd, 0, &[2]);
    assert_hears(&crowd, 2, &[0]);
    crowd.command(Command::Close { session: Crowd::session(0) });
    crowd.forget();
    crowd.run(SECOND);
    assert!(crowd.members[2].heard.is_empty());
    assert_eq!(crowd.state(2).hears, Hears::Nothing);
    crowd.command(Command::Close { session: Crowd::session(2) });
    crowd.run(SECOND * 10);
    assert_eq!(crowd.shard.poll_timeout(), None, "a mix without members has no clock");
}

/// Something done to a crowd.
type Step<'a> = &'a dyn Fn(&mut Crowd);

#[test]
fn through_bridge_mix_echo_and_ringback_each_stream_goes_on_without_a_hole() {
    let mut crowd = Crowd::of(&[Kind::Browser, Kind::Pcmu, Kind::Pcma]);
    for (place, frequency) in TONES.into_iter().enumerate() {
        crowd.say(place, tone(frequency));
    }
    let [a, b] = [0, 1].map(Crowd::session);
    let bridge = |crowd: &mut Crowd| crowd.command(Command::Bridge { a, b });
    let mix = |crowd: &mut Crowd| join(crowd, 0..3);
    let echo = |crowd: &mut Crowd| [a, b].into_iter().for_each(|session| crowd.command(Command::Echo { session }));
    let ring = |crowd: &mut Crowd| [a, b].into_iter().for_each(|session| crowd.command(Command::Ringback { session }));
    let music = |crowd: &mut Crowd| [a, b].into_iter().for_each(|session| crowd.command(Command::Music { session }));
    let steps: [(Step, [Option<usize>; 2]); 9] = [
        (&bridge, [Some(1), Some(0)]),
        (&mix, [Some(1), Some(0)]),
        (&bridge, [Some(1), Some(0)]),
        (&mix, [Some(2), Some(2)]),
        (&echo, [Some(0), Some(1)]),
        (&mix, [Some(1), Some(0)]),
        (&ring, [None, None]),
        (&music, [None, None]),
        (&mix, [Some(1), Some(0)]),
    ];
    for (n, (step, hears)) in steps.into_iter().enumerate() {
        step(&mut crowd);
        crowd.run(MS * 300);
        let start = crowd.now;
        crowd.run(MS * 500);
        for place in [0, 1] {
            let heard = &crowd.members[place].heard;
            let sound: Vec<i16> =
                heard.iter().filter(|heard| heard.at > start).flat_map(|heard| heard.sound.clone()).collect();
            if let Some(who) = hears[place] {
                assert!(level(&sound, TONES[who]).abs() < 1.5, "{place} in step {n}: {}", level(&sound, TONES[who]));
            }
        }
    }
    for place in [0, 1] {
        let heard = &crowd.members[place].heard;
        let per_ms = if place == 0 { 48 } else { 8 };
        for pair in heard.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            let (units, time) = (pair[1].timestamp.wrapping_sub(pair[0].timestamp) / per_ms, pair[1].at - pair[0].at);
            assert!((20..=60).contains(&units) && time <= MS * 41, "{units} ms in {time:?} at {:?}", pair[1].at);
        }
    }
}

#[test]
fn who_stops_talking_fades_and_comes_back_as_it_was() {
    let mut crowd = three();
    crowd.say(1, None);
    crowd.run(MS * 100);
    crowd.forget();
    crowd.run(SECOND);
    assert_hears(&crowd, 0, &[2]);
    assert_hears(&crowd, 2, &[0]);
    crowd.say(0, None);
    crowd.run(MS * 120);
    crowd.forget();
    crowd.run(MS * 200);
    assert!(crowd.sound(2).iter().all(|sample| sample.abs() < 10), "no more is made up than 60 ms");
    crowd.say(0, tone(TONES[0]));
    crowd.say(1, tone(TONES[1]));
    crowd.run(SECOND * 2);
    crowd.forget();
    crowd.run(SECOND);
    (0..3).for_each(|place| assert_hears(&crowd, place, &others(place)));
}

#[test]
fn two_of_the_loudest_are_heard_at_once_without_a_third_tone() {
    let mut crowd = Crowd::of(&[Kind::Pcmu; 3]);
    crowd.say(0, loud_tone(400.0, 32_000.0));
    crowd.say(1, loud_tone(1000.0, 32_000.0));
    join(&mut crowd, 0..3);
    crowd.run(SECOND);
    crowd.forget();
    crowd.run(SECOND);
    let levels = [400.0, 1000.0].map(|frequency| crowd.level(2, frequency));
    assert!(levels.iter().all(|level| (4.0..7.0).contains(level)), "{levels:?}");
    for frequency in [200.0, 600.0, 1200.0, 1600.0, 1800.0, 2400.0, 3000.0] {
        assert!(crowd.level(2, frequency) < -25.0, "{frequency} Hz at {} dB", crowd.level(2, frequency));
    }
    assert!((crowd.level(1, 400.0) - 12.0).abs() < 0.5, "one alone is not turned down");
}

#[test]
fn browsers_hear_each_other_in_wideband_and_a_telephone_nothing_it_cannot_play() {
    let mut crowd = Crowd::of(&[Kind::WideBrowser, Kind::WideBrowser, Kind::Pcmu, Kind::Browser]);
    let both = |low: f64, high: f64| -> crowd::Voice {
        let (low, high) = (tone(low), tone(high));
        Box::new(move |n| low(n) + high(n))
    };
    crowd.say(0, both(600.0, 5000.0));
    crowd.say(2, tone(1000.0));
    // At first only one of them is there.
    join(&mut crowd, [0, 2, 3]);
    crowd.run(SECOND);
    crowd.forget();
    crowd.run(SECOND);
    for (place, frequency) in [(0, 1000.0), (2, 600.0), (3, 600.0), (3, 1000.0)] {
        let level = crowd.level(place, frequency);
        assert!(level.abs() < 3.0, "{place} hears {frequency} Hz at {level} dB");
    }
    join(&mut crowd, [1]);
    crowd.run(SECOND);
    for part in crowd.sound(2).chunks_exact(320) {
        assert!(level(part, 600.0).abs() < 4.0, "a hole when another joined");
    }
    crowd.forget();
    crowd.run(SECOND);
    for (place, frequency) in [(1, 600.0), (1, 5000.0), (1, 1000.0), (0, 1000.0), (2, 600.0), (3, 600.0), (3, 1000.0)] {
        let level = crowd.level(place, frequency);
        assert!(level.abs() < 3.0, "{place} hears {frequency} Hz at {level} dB");
    }
    for (place, frequency) in [(2, 3000.0), (2, 5000.0), (2, 1000.0), (3, 3000.0), (3, 5000.0), (0, 600.0), (0, 5000.0)]
    {
        let level = crowd.level(place, frequency);
        assert!(level < -25.0, "{place} hears {frequency} Hz at {level} dB");
    }
}

#[test]
fn ten_hear_nine_each() {
    let mut crowd = Crowd::of(&[Kind::Pcmu; 10]);
    let frequency = |place: usize| 300.0 + 250.0 * f64::from(u8::try_from(place).unwrap());
    (0..10).for_each(|place| crowd.say(place, loud_tone(frequency(place), 2000.0)));
    join(&mut crowd, 0..10);
    crowd.run(SECOND);
    crowd.forget();
    crowd.run(SECOND);
    for place in 0..10 {
        for other in 0..10 {
            let level = crowd.level(place, frequency(other)) + 12.0;
            assert!(
                if place == other { level < -25.0 } else { level.abs() < 1.5 },
                "{place} hears {other} at {level} dB"
            );
        }
        assert_continuous(&crowd, place);
    }
}

#[test]
fn a_mix_that_is_full_takes_nobody_in_and_says_so() {
    let mut crowd = Crowd::of(&[Kind::Pcmu; 65]);
    join(&mut crowd, 0..64);
    assert!(!crowd.events.iter().any(|event| matches!(event, Event::Failed { .. })));
    assert_eq!(crowd.state(63).hears, Hears::Party);
    join(&mut crowd, [64]);
    assert!(matches!(crowd.events.last(), Some(Event::Failed { session, .. }) if *session == Crowd::session(64)));
    assert_eq!(crowd.state(64).hears, Hears::Nothing);
    crowd.command(Command::Close { session: Crowd::session(5) });
    join(&mut crowd, [64]);
    assert_eq!(crowd.state(64).hears, Hears::Party);
}

#[test]
fn a_codec_and_a_direction_change_in_the_mix() {
    let mut crowd = Crowd::of(&[Kind::Pcmu, Kind::Pcmu, Kind::Pcma]);
    for (place, frequency) in TONES.into_iter().enumerate() {
        crowd.say(place, tone(frequency));
    }
    join(&mut crowd, 0..3);
    crowd.run(SECOND);
    let last = crowd.members[0].heard.last().unwrap().clone();
    crowd.forget();
    crowd.offer(0, Kind::Pcma, "sendrecv");
    crowd.run(MS * 200);
    let first = crowd.members[0].heard[0].clone();
    assert_eq!((first.payload_type, first.sequence), (8, last.sequence.wrapping_add(1)));
    crowd.forget();
    crowd.run(SECOND);
    (0..3).for_each(|place| assert_hears(&crowd, place, &others(place)));
    // Who only listens is sent everything and is heard by nobody, and nobody is held.
    crowd.offer(0, Kind::Pcma, "recvonly");
    crowd.run(MS * 200);
    crowd.forget();
    crowd.run(SECOND);
    assert_hears(&crowd, 0, &[1, 2]);
    assert_hears(&crowd, 1, &[2]);
    assert_eq!(crowd.state(1).hears, Hears::Party);
}

#[test]
fn a_browser_that_moves_is_heard_and_hears_on_its_old_path_and_then_on_its_new_one() {
    let mut crowd = three();
    crowd.move_browser(0);
    crowd.run(SECOND);
    (0..3).for_each(|place| assert_hears(&crowd, place, &others(place)));
    (0..3).for_each(|place| assert_continuous(&crowd, place));
}

#[test]
fn who_was_alone_for_a_while_hears_the_next_at_the_time_it_is() {
    let mut crowd = three();
    crowd.run(MS * 100);
    for place in [0, 1] {
        crowd.command(Command::Echo { session: Crowd::session(place) });
    }
    let last = crowd.members[2].heard.last().unwrap().clone();
    crowd.run(MS * 1500);
    crowd.forget();
    join(&mut crowd, [0]);
    crowd.run(SECOND);
    let first = &crowd.members[2].heard[0];
    assert!(first.marker && first.sequence == last.sequence.wrapping_add(1));
    let (units, time) = (first.timestamp.wrapping_sub(last.timestamp) / 8, first.at - last.at);
    assert!(u128::from(units).abs_diff(time.as_millis()) <= 20 && time >= MS * 1500, "{units} ms in {time:?}");
    crowd.forget();
    crowd.run(SECOND);
    assert_hears(&crowd, 2, &[0]);
}
