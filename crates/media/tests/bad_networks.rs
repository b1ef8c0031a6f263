//! A call of a browser and a trunk over networks that lose, delay and reorder packets all at once, on both sides and in both directions
//! of speech: how loud it stays, how long nothing is heard, and how late it comes.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    missing_docs
)]

#[allow(dead_code, reason = "not for every test that shares this file")]
mod support;

use std::sync::OnceLock;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use support::{Call, FRAME, HeardAudio};

const MS: Duration = Duration::from_millis(1);
const FRAMES: usize = 500;
/// A stretch in which a voice is there or is not: 5 ms.
const STRETCH: usize = 40;
/// Louder than what is left of a pause.
const PAUSE: f64 = 45.0;

/// Speech of a kind at 8 kHz: a pitch that glides, syllables, breath, and pauses between words. A sound that is always the same would be
/// background noise to Opus, which makes it up where packets are lost.
fn voice(pitch: f64) -> Vec<Vec<f64>> {
    let mut random = ChaCha12Rng::seed_from_u64(pitch as u64);
    let mut phase = 0.0_f64;
    let mut sample = |n: usize| {
        let seconds = n as f64 / 8000.0;
        let turn = |hertz: f64| (seconds * hertz * std::f64::consts::TAU).sin();
        phase += pitch * (1.0 + 0.15 * turn(0.7) + 0.05 * turn(2.3)) / 8000.0;
        let is_word = seconds % 1.6 < 1.3;
        let loudness = if is_word { 2400.0 + 1600.0 * turn(4.1) } else { 0.0 };
        let harmonics = [1.0, 0.6, 0.8, 0.4, 0.3, 0.5, 0.3, 0.1, 0.05, 0.1, 0.1, 0.05];
        let sung = harmonics
            .iter()
            .enumerate()
            .map(|(n, weight)| weight * (phase * (n + 1) as f64 * std::f64::consts::TAU).sin());
        (sung.sum::<f64>() + 0.05 * random.random_range(-1.0..1.0)) * loudness + random.random_range(-8.0..8.0)
    };
    let samples: Vec<f64> = (0..FRAMES * FRAME).map(&mut sample).collect();
    samples.chunks(FRAME).map(<[f64]>::to_vec).collect()
}

/// What a network does with each packet: when it arrives, if it does. They are said every 20 ms.
struct Network {
    arrivals: Vec<(Duration, usize)>,
    lost: usize,
    overtaken: usize,
}

impl Network {
    /// Every packet at once.
    fn perfect() -> Self {
        Self { arrivals: (0..FRAMES).map(|frame| (said_at(frame), frame)).collect(), lost: 0, overtaken: 0 }
    }

    /// Each twentieth packet is lost, wherever chance has it, and each of the others is within 20 ms of a delay of 20 ms.
    fn bad(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut arrivals = Vec::new();
        for frame in 0..FRAMES {
            let (is_lost, late) = (random.random_range(0..20) == 0, random.random_range(0..=40));
            // All agree on which is the first and which the last.
            let is_edge = frame < 5 || frame + 1 == FRAMES;
            if is_edge || !is_lost {
                arrivals.push((said_at(frame) + MS * if is_edge { 20 } else { late }, frame));
            }
        }
        arrivals.sort_unstable();
        let overtaken = arrivals.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        Self { lost: FRAMES - arrivals.len(), arrivals, overtaken }
    }
}

fn said_at(frame: usize) -> Duration {
    MS * 20 * frame as u32
}

/// Both speak at once, each over its own network; gives what was heard, and of each direction the longest time without a packet.
fn talk(from_browser: &Network, from_trunk: &Network) -> (HeardAudio, [Duration; 2]) {
    let mut call = Call::connected();
    let agent: Vec<_> = voice(140.0).iter().map(|frame| call.browser_packet(frame)).collect();
    let customer: Vec<_> = voice(190.0).iter().map(|frame| call.trunk_packet(frame)).collect();
    let (mut agent_next, mut customer_next) =
        (from_browser.arrivals.iter().peekable(), from_trunk.arrivals.iter().peekable());
    let (began, end) = (call.now, said_at(FRAMES) + MS * 200);
    let (mut heard, mut last, mut longest) = (HeardAudio::default(), [None; 2], [Duration::ZERO; 2]);
    while call.now - began <= end {
        let at = call.now - began;
        while let Some((_, frame)) = agent_next.next_if(|(due, _)| *due <= at) {
            call.browser_sends(&agent[*frame]);
        }
        while let Some((_, frame)) = customer_next.next_if(|(due, _)| *due <= at) {
            call.trunk_sends(&customer[*frame]);
        }
        call.deliver();
        call.wait(MS);
        let now = call.take_heard();
        for (direction, _) in [&now.trunk, &now.browser].iter().enumerate().filter(|(_, now)| !now.is_empty()) {
            longest[direction] = longest[direction].max(last[direction].map_or(Duration::ZERO, |before| at - before));
            last[direction] = Some(at);
        }
        heard.trunk.extend(now.trunk);
        heard.browser.extend(now.browser);
    }
    (heard, longest)
}

fn loudness_db(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (energy / samples.len() as f64).max(1.0).log10()
}

/// The longest time a voice was 15 dB or more below what it is on a perfect network.
fn longest_gap(heard: &[i16], spoken: &[i16]) -> Duration {
    let is_missing = |(heard, spoken): (&[i16], &[i16])| {
        let spoken = loudness_db(spoken);
        spoken > PAUSE && loudness_db(heard) < spoken - 15.0
    };
    let (mut gap, mut longest) = (0, 0);
    for stretch in heard.chunks_exact(STRETCH).zip(spoken.chunks_exact(STRETCH)) {
        gap = if is_missing(stretch) { gap + 1 } else { 0 };
        longest = longest.max(gap);
    }
    MS * 5 * longest
}

/// By how much any 20 ms are louder than all that was said close by.
fn worst_excess(heard: &[i16], spoken: &[i16]) -> f64 {
    let spoken: Vec<f64> = spoken.chunks_exact(FRAME).map(loudness_db).collect();
    let close_by = |frame: usize| &spoken[frame.saturating_sub(3)..spoken.len().min(frame + 2)];
    let loudest = |frame| close_by(frame).iter().copied().fold(PAUSE, f64::max);
    let excess = heard.chunks_exact(FRAME).enumerate().map(|(frame, heard)| loudness_db(heard) - loudest(frame));
    excess.fold(f64::MIN, f64::max)
}

/// Both voices come through networks of which at least one is bad.
fn assert_speech_comes_through(from_browser: &Network, from_trunk: &Network, what: &str) {
    static SPOKEN: OnceLock<HeardAudio> = OnceLock::new();
    let spoken = SPOKEN.get_or_init(|| talk(&Network::perfect(), &Network::perfect()).0);
    let (heard, silent) = talk(from_browser, from_trunk);
    for (direction, (heard, spoken)) in
        [(heard.trunk, &spoken.trunk), (heard.browser, &spoken.browser)].into_iter().enumerate()
    {
        let what = format!("{what}, to the {}", ["trunk", "browser"][direction]);
        assert_eq!((heard.len(), spoken.len()), (FRAMES * FRAME, FRAMES * FRAME), "{what}");
        let difference = loudness_db(&heard) - loudness_db(spoken);
        let gap = longest_gap(&heard, spoken);
        let loudest = worst_excess(&heard, spoken);
        assert!(difference.abs() < 1.0, "{what}: {difference} dB");
        assert!(loudest < 3.0, "{what}: 20 ms {loudest} dB too loud");
        assert!(gap <= MS * 10, "{what}: {gap:?} unheard");
        // Three lost in a row, and the next as late as can be.
        assert!(silent[direction] <= MS * 120, "{what}: {:?} without a packet", silent[direction]);
    }
}

#[test]
fn speech_comes_through_a_network_of_the_browser_that_loses_delays_and_reorders() {
    let bad = Network::bad(1);
    assert!(bad.lost > 15 && bad.overtaken > 50, "{} lost, {} overtaken", bad.lost, bad.overtaken);
    assert_speech_comes_through(&bad, &Network::perfect(), "a bad network of the browser");
}

#[test]
fn speech_comes_through_a_network_of_the_trunk_that_loses_delays_and_reorders() {
    let bad = Network::bad(2);
    assert!(bad.lost > 15 && bad.overtaken > 50, "{} lost, {} overtaken", bad.lost, bad.overtaken);
    assert_speech_comes_through(&Network::perfect(), &bad, "a bad network of the trunk");
}

#[test]
fn speech_comes_through_where_both_networks_lose_delay_and_reorder() {
    assert_speech_comes_through(&Network::bad(3), &Network::bad(4), "two bad networks");
}
