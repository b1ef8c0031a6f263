//! How late what is said is heard in a mix, and what of one member's troubles the others notice: jitter, loss, clocks, a loop that stands
//! still. On a simulated network.
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

use std::time::Duration;

use crowd::three::{SECOND, TONES, assert_continuous, join, three};
use crowd::{Crowd, Kind, MS, level, loud_tone, marked};
use media::Command;

fn assert_near(latencies: &[f64], range: std::ops::Range<f64>) {
    assert!(!latencies.is_empty() && latencies.iter().all(|latency| range.contains(latency)), "{latencies:?}");
}

#[test]
fn what_is_said_is_heard_one_frame_later_than_across_a_bridge() {
    let mut crowd = Crowd::of(&[Kind::Pcmu; 4]);
    (0..4).for_each(|place| crowd.say(place, if place == 3 { loud_tone(1700.0, 1000.0) } else { marked(1000.0) }));
    crowd.command(Command::Bridge { a: Crowd::session(0), b: Crowd::session(1) });
    crowd.run(SECOND * 3);
    assert_near(&crowd.latencies(0, 1), -0.5..2.5);
    (0..3).for_each(|place| crowd.say(place, loud_tone(1700.0, 1000.0)));
    // One after another, so that it is known whose mark it is.
    for who in 0..3 {
        crowd.say(who, marked(1000.0));
        join(&mut crowd, 0..4);
        crowd.run(SECOND);
        crowd.forget();
        crowd.run(SECOND * 10);
        for other in (0..4).filter(|other| *other != who) {
            assert_near(&crowd.latencies(who, other), 18.0..30.0);
        }
        crowd.say(who, loud_tone(1700.0, 1000.0));
    }
}

/// Three telephones in a mix, of which the first says marks.
fn marking() -> Crowd {
    let mut crowd = Crowd::of(&[Kind::Pcmu; 3]);
    crowd.say(0, marked(1000.0));
    crowd.say(1, loud_tone(1700.0, 1000.0));
    join(&mut crowd, 0..3);
    crowd.run(SECOND * 5);
    crowd
}

#[test]
fn a_loop_that_stood_still_sends_no_burst_and_leaves_no_latency_behind() {
    let mut crowd = marking();
    for (stall, reads_first) in [(30, false), (150, false), (150, true), (2000, false), (2000, true)] {
        crowd.reads_first = reads_first;
        crowd.forget();
        crowd.run(SECOND);
        let (stops, last) = (crowd.now, crowd.members[2].heard.last().unwrap().clone());
        crowd.stalled_until = crowd.now + MS * stall;
        crowd.run(MS * stall + SECOND * 4);
        let heard = &crowd.members[2].heard;
        let after: Vec<_> = heard.iter().filter(|heard| heard.at > stops).collect();
        let at_once = after.iter().filter(|heard| heard.at < crowd.stalled_until + MS * 10).count();
        assert!(at_once <= 2, "{at_once} at once after {stall} ms");
        assert_eq!(after[0].sequence, last.sequence.wrapping_add(1));
        // Its timestamps are where they would have been.
        let (units, time) = (after[20].timestamp.wrapping_sub(last.timestamp), after[20].at - last.at);
        assert!((i128::from(units / 8) - i128::try_from(time.as_millis()).unwrap()).abs() <= 20, "{units} in {time:?}");
        let latencies = crowd.latencies(0, 2);
        assert_near(&latencies[latencies.len() - 6..], 18.0..30.0);
    }
}

#[test]
fn a_clock_that_is_fast_or_slow_does_not_make_it_late_or_break_it() {
    for ppm in [-200_i64, 200] {
        let mut crowd = marking();
        crowd.members[0].period = Duration::from_nanos(u64::try_from(20_000_000 + 20 * ppm).unwrap());
        crowd.run(SECOND * 10);
        crowd.forget();
        // In so long a time the clocks are 16 ms apart.
        crowd.run(SECOND * 80);
        assert_near(&crowd.latencies(0, 2), 5.0..34.0);
        let sound = crowd.sound(2);
        for (n, part) in sound.chunks_exact(320).enumerate() {
            assert!(level(part, 1000.0) > -15.0, "{ppm}: nothing in frame {n}");
        }
    }
}

/// Steps of a simple generator, the same in each run: up to `most`.
fn random(most: u64) -> impl FnMut() -> u64 {
    let mut state = 7_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % (most + 1)
    }
}

#[test]
fn what_one_members_path_does_the_others_do_not_hear() {
    for (member, tone) in TONES.into_iter().enumerate() {
        let mut crowd = three();
        let mut late = random(30);
        crowd.members[member].path = Box::new(move |n| (n % 20 != 7).then(|| MS * u32::try_from(late()).unwrap()));
        crowd.run(SECOND * 2);
        crowd.forget();
        crowd.run(SECOND * 5);
        for place in 0..3 {
            // The others are as they were.
            let well: Vec<usize> = (0..3).filter(|other| *other != place && *other != member).collect();
            let sound = crowd.sound(place);
            for other in well {
                for (n, part) in sound.chunks_exact(320).enumerate() {
                    let level = level(part, TONES[other]);
                    assert!(level.abs() < 4.5, "{place} hears {other} at {level} dB in frame {n}");
                }
            }
            assert_continuous(&crowd, place);
            // And it is still heard, as loud as it is: a telephone nearly always; with a steady tone, libopus makes up what wavers.
            if place != member {
                let levels: Vec<f64> = sound.chunks_exact(320).map(|part| level(part, tone)).collect();
                let power = levels.iter().map(|level| 10_f64.powf(level / 10.0)).sum::<f64>();
                let whole = 10.0 * (power / f64::from(u16::try_from(levels.len()).unwrap())).log10();
                assert!(whole.abs() < 2.0, "{place} hears {member} at {whole} dB");
                let weak = levels.iter().filter(|level| **level < -6.0).count();
                assert!(member == 0 || weak * 50 < levels.len(), "{place} hears {member} too weakly in {weak} frames");
            }
        }
    }
}

#[test]
fn a_jittery_member_is_heard_as_late_as_its_jitter_and_soon_as_before_when_it_is_over() {
    let mut crowd = marking();
    let mut late = random(40);
    crowd.members[0].path = Box::new(move |_| Some(MS * u32::try_from(late()).unwrap()));
    crowd.run(SECOND * 10);
    crowd.forget();
    crowd.run(SECOND * 10);
    assert_near(&crowd.latencies(0, 2), 35.0..70.0);
    crowd.members[0].path = Box::new(|_| Some(Duration::ZERO));
    crowd.run(SECOND * 15);
    crowd.forget();
    crowd.run(SECOND * 5);
    assert_near(&crowd.latencies(0, 2), 15.0..36.0);
}
