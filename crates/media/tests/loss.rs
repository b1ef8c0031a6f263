//! Packets lost, late, overtaken and doubled on the way to the gateway: what is heard behind it, and when. Plain legs on a simulated
//! network.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    dead_code,
    missing_docs
)]

#[path = "support/plain.rs"]
mod plain;

use std::time::Duration;

use media::{Command, Event};
use plain::{A, B, FRAME, OPUS, PCMA, PCMU, Sent, Trunks, mu_law, peer, rtcp_socket, rtp_socket};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

const MS: Duration = Duration::from_millis(1);
const SAMPLES: usize = 160;
const PITCH: f64 = 425.0;
const AMPLITUDE: f64 = 8000.0;

/// A tone in frames of 20 ms.
fn tone(frames: usize) -> Vec<Vec<i16>> {
    let sample = |n: usize| ((n as f64 / 8000.0 * PITCH * std::f64::consts::TAU).sin() * AMPLITUDE) as i16;
    (0..frames).map(|frame| (frame * SAMPLES..(frame + 1) * SAMPLES).map(sample).collect()).collect()
}

/// A voice in syllables: libopus protects no steady hum.
fn voice(frames: usize) -> Vec<Vec<i16>> {
    let sample = |n: usize| {
        let turns = n as f64 / 8000.0 * std::f64::consts::TAU;
        let loudness = 2400.0 + 1600.0 * (turns * 4.0).sin();
        (((turns * 140.0).sin() + 0.5 * (turns * 420.0).sin() + 0.2 * (turns * 980.0).sin()) * loudness) as i16
    };
    (0..frames).map(|frame| (frame * SAMPLES..(frame + 1) * SAMPLES).map(sample).collect()).collect()
}

fn in_mu_law(frames: &[Vec<i16>]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.iter().map(|sample| mu_law(*sample)).collect()).collect()
}

/// As a browser speaks it, with FEC.
fn in_opus(frames: &[Vec<i16>]) -> Vec<Vec<u8>> {
    let mut encoder = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).unwrap();
    encoder.set_inband_fec(true).unwrap();
    encoder.set_packet_loss_perc(10).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
    frames.iter().map(|frame| encoder.encode_vec(frame, 1275).unwrap()).collect()
}

/// What the far peer plays when it has everything.
fn out_of_mu_law(heard: &[(Duration, Sent)]) -> Vec<i16> {
    let linear = |code: &u8| {
        let code = !code;
        let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
        if code & 0x80 == 0 { magnitude } else { -magnitude }
    };
    heard.iter().flat_map(|(_, sent)| sent.payload.iter().map(linear)).collect()
}

fn out_of_opus(heard: &[(Duration, Sent)]) -> Vec<i16> {
    let mut decoder = opus::Decoder::new(8000, opus::Channels::Mono).unwrap();
    let mut samples = [0; SAMPLES];
    let mut decode = |sent: &Sent| {
        assert_eq!(decoder.decode(&sent.payload, &mut samples, false).unwrap(), SAMPLES);
        samples
    };
    heard.iter().flat_map(|(_, sent)| decode(sent)).collect()
}

/// The level of the tone against how it was sent, by Goertzel.
fn level_db(samples: &[i16]) -> f64 {
    let step = PITCH * std::f64::consts::TAU / 8000.0;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        real += f64::from(*sample) * (step * n as f64).cos();
        imaginary += f64::from(*sample) * (step * n as f64).sin();
    }
    20.0 * (2.0 * real.hypot(imaginary) / samples.len() as f64 / AMPLITUDE).log10()
}

/// How loud it is against the tone as it was sent, whatever it sounds like.
fn loudness_db(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (energy / samples.len() as f64 / (AMPLITUDE * AMPLITUDE / 2.0)).log10()
}

/// The peer of A speaks: each packet comes at its time (frame, time, in order of time), a millisecond at a time. Gives what left for the
/// peer of B, and when.
fn speak(trunks: &mut Trunks, payloads: &[Vec<u8>], mut arrivals: Vec<(usize, Duration)>) -> Vec<(Duration, Sent)> {
    arrivals.sort_by_key(|(_, at)| *at);
    let (payload_type, units) = if payloads[0].len() == SAMPLES { (0, 160) } else { (111, 960) };
    let (began, first, timestamp) = (trunks.now, trunks.sequence, trunks.timestamp);
    let mut heard = Vec::new();
    let last = arrivals.last().unwrap().1 + Duration::from_millis(200);
    let mut arrivals = arrivals.into_iter().peekable();
    trunks.sent.clear();
    while trunks.now - began <= last {
        while let Some((frame, _)) = arrivals.next_if(|(_, at)| *at <= trunks.now - began) {
            trunks.sequence = first.wrapping_add(frame as u16);
            trunks.timestamp = timestamp.wrapping_add(frame as u32 * units);
            let packet = trunks.packet(payload_type, &payloads[frame]);
            trunks.receive(rtp_socket(A), peer(A), &packet);
        }
        let sent = trunks.sent.drain(..).filter(|(leg, _)| *leg == B);
        heard.extend(sent.map(|(_, sent)| (trunks.now - began, sent)));
        trunks.wait(MS);
    }
    trunks.sequence = first.wrapping_add(payloads.len() as u16);
    trunks.timestamp = timestamp.wrapping_add(payloads.len() as u32 * units);
    heard
}

fn said_at(frame: usize) -> Duration {
    FRAME * frame as u32
}

/// Every packet at once, but those of `lost`.
fn without(frames: usize, lost: impl Fn(usize) -> bool) -> Vec<(usize, Duration)> {
    (0..frames).filter(|frame| !lost(*frame)).map(|frame| (frame, said_at(frame))).collect()
}

/// A twentieth, one by one; neither first nor last.
fn lost_at_random(frames: usize) -> Vec<bool> {
    let mut random = ChaCha12Rng::seed_from_u64(7);
    let mut lost: Vec<bool> = (0..frames).map(|frame| frame > 5 && random.random_range(0..20) == 0).collect();
    // Two in a row are another matter.
    (1..frames).for_each(|frame| lost[frame] &= !lost[frame - 1]);
    lost[frames - 1] = false;
    lost
}

/// Up to 45 ms late, so that every few packets one is overtaken by up to 25 ms.
fn jumbled(frames: usize, random: &mut ChaCha12Rng) -> Vec<(usize, Duration)> {
    // The first are prompt, so that all agree on which is the first.
    let late = |frame, random: &mut ChaCha12Rng| MS * if frame < 5 { 0 } else { random.random_range(0..45) };
    (0..frames).map(|frame| (frame, said_at(frame) + late(frame, random))).collect()
}

fn assert_continuous(heard: &[(Duration, Sent)], units: u32) {
    for pair in heard.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
        assert_eq!(pair[1].1.timestamp.wrapping_sub(pair[0].1.timestamp), units);
    }
}

#[test]
fn a_voice_stays_as_loud_and_without_gaps_when_every_twentieth_packet_is_lost() {
    let frames = voice(500);
    let lost = lost_at_random(500);
    assert!(lost.iter().filter(|lost| **lost).count() > 15);
    for (from, to, payloads, units) in [(OPUS, PCMU, in_opus(&frames), 160), (PCMU, OPUS, in_mu_law(&frames), 960)] {
        let listen = if to == OPUS { out_of_opus } else { out_of_mu_law };
        let whole = listen(&speak(&mut Trunks::bridged(from, to), &payloads, without(500, |_| false)));
        let heard = speak(&mut Trunks::bridged(from, to), &payloads, without(500, |frame| lost[frame]));
        assert_eq!(heard.len(), 500, "{from} to {to}");
        assert_continuous(&heard, units);
        let sound = listen(&heard);
        let difference = loudness_db(&sound) - loudness_db(&whole);
        assert!(difference.abs() < 0.5, "{from} to {to}: {difference} dB");
        for (frame, (samples, spoken)) in sound.chunks(SAMPLES).zip(whole.chunks(SAMPLES)).enumerate() {
            let difference = loudness_db(samples) - loudness_db(spoken);
            assert!(difference.abs() < 10.0, "{from} to {to}, frame {frame}: {difference} dB");
        }
        // Silence in the place of what is lost would be 13 dB below the voice.
        let wrong: Vec<i16> = sound.iter().zip(&whole).map(|(a, b)| a - b).collect();
        let wrong = loudness_db(&wrong) - loudness_db(&whole);
        assert!(wrong < -16.0, "{from} to {to}: {wrong} dB");
    }
}

#[test]
fn a_burst_of_g711_goes_on_fades_and_comes_back() {
    let mut trunks = Trunks::bridged(PCMU, OPUS);
    let heard = speak(&mut trunks, &in_mu_law(&tone(100)), without(100, |frame| (50..55).contains(&frame)));
    assert_eq!(heard.len(), 100);
    assert_continuous(&heard, 960);
    let levels: Vec<f64> = out_of_opus(&heard).chunks(SAMPLES).map(level_db).collect();
    // Opus is 6.5 ms behind.
    assert!(levels[49].abs() < 3.0 && levels[50] > -4.0 && levels[51] < levels[50] && levels[52] < levels[51]);
    assert!(levels[54] < -25.0, "silence after 60 ms: {levels:?}");
    assert!(levels[56..].iter().all(|level| level.abs() < 1.0), "back again: {levels:?}");
}

#[test]
fn where_nothing_is_overtaken_no_packet_waits_for_a_lost_one() {
    let lost = lost_at_random(300);
    for (from, to, payloads) in [(OPUS, PCMU, in_opus(&tone(300))), (PCMU, OPUS, in_mu_law(&tone(300)))] {
        let mut trunks = Trunks::bridged(from, to);
        let heard = speak(&mut trunks, &payloads, without(300, |frame| lost[frame]));
        for (frame, (left, _)) in heard.iter().enumerate() {
            // What is made up comes with its successor.
            assert_eq!(*left, said_at(frame + usize::from(lost[frame])), "{from} to {to}, frame {frame}");
        }
    }
}

#[test]
fn overtaken_and_doubled_packets_are_heard_once_and_in_their_place() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    let payloads = in_mu_law(&tone(500));
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let mut arrivals = jumbled(500, &mut random);
    let doubled: Vec<(usize, Duration)> =
        arrivals.iter().step_by(7).map(|(frame, at)| (*frame, *at + FRAME / 2)).collect();
    let twice = doubled.len() as u64;
    arrivals.extend(doubled);
    let heard = speak(&mut trunks, &payloads, arrivals);
    assert_eq!(heard.len(), 500);
    assert_continuous(&heard, 160);
    let spoken = speak(&mut Trunks::bridged(PCMU, PCMA), &payloads, without(500, |_| false));
    let right = |frame: &usize| heard[*frame].1.payload == spoken[*frame].1.payload;
    let wrong: Vec<usize> = (0..500).filter(|frame| !right(frame)).collect();
    // Until it is known how late packets come, some are given up too soon; the frame after one is led over to.
    assert!(wrong.len() < 10, "{wrong:?}");
    assert!(heard.iter().enumerate().all(|(frame, (left, _))| *left <= said_at(frame) + MS * 75));
    trunks.command(Command::Close { session: A });
    let Some(Event::Closed { statistics, .. }) = trunks.events.last() else { panic!("{:?}", trunks.events.last()) };
    assert_eq!((statistics.packets_received, statistics.packets_lost), (500 + twice, 0));
    assert!((twice..twice + 10).contains(&statistics.packets_discarded), "{}", statistics.packets_discarded);
}

#[test]
fn a_lost_packet_is_not_waited_for_any_more_once_packets_keep_their_order() {
    let mut trunks = Trunks::bridged(PCMU, PCMA);
    let payloads = in_mu_law(&tone(1000));
    let mut random = ChaCha12Rng::seed_from_u64(5);
    let mut arrivals = jumbled(200, &mut random);
    arrivals.extend((200..1000).filter(|frame| ![210, 900].contains(frame)).map(|frame| (frame, said_at(frame))));
    let heard = speak(&mut trunks, &payloads, arrivals);
    let left = |frame: usize| heard[frame].0 - said_at(frame);
    assert!(left(211) > FRAME / 2, "waited for after the jumble: {:?}", left(211));
    assert_eq!([left(215), left(901), left(950)], [Duration::ZERO; 3]);
}

/// How many bytes of Opus the peer of B gets for a second of voice.
fn bytes_a_second(trunks: &mut Trunks) -> usize {
    let heard = speak(trunks, &in_mu_law(&voice(50)), without(50, |_| false));
    assert_eq!(heard.len(), 50);
    heard.iter().map(|(_, sent)| sent.payload.len()).sum()
}

/// The peer of B answers the last sender report, `late` after it came; nothing was lost.
fn report(trunks: &mut Trunks, late: Duration) {
    let reports = trunks.rtcp.len();
    while trunks.rtcp.len() == reports {
        trunks.wait(FRAME);
        trunks.rtcp.retain(|(leg, _, report)| *leg == B && report[1] == 200);
    }
    let (_, from, sent) = trunks.rtcp.last().unwrap().clone();
    trunks.wait(late);
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 5];
    report.extend_from_slice(&sent[4..8]);
    report.extend_from_slice(&[0; 12]);
    report.extend_from_slice(&sent[10..14]);
    report.extend_from_slice(&[0; 4]);
    trunks.receive(rtcp_socket(B), from, &report);
}

#[test]
fn a_peer_behind_a_growing_queue_is_sent_fewer_bits_until_it_is_gone() {
    let mut trunks = Trunks::bridged(PCMU, &format!("{OPUS}\r\na=fmtp:111 useinbandfec=1"));
    let before = bytes_a_second(&mut trunks);
    (0..4).for_each(|_| report(&mut trunks, MS * 60));
    let calm = bytes_a_second(&mut trunks);
    (0..4).for_each(|_| report(&mut trunks, MS * 300));
    let queueing = bytes_a_second(&mut trunks);
    assert!(queueing * 4 < calm * 3, "{before}, {calm}, {queueing}");
    (0..25).for_each(|_| report(&mut trunks, MS * 60));
    let after = bytes_a_second(&mut trunks);
    assert!(after * 20 > calm * 19, "{before}, {calm}, {queueing}, {after}");
}

#[test]
fn a_stall_leaves_no_delay_behind() {
    for stalled in [300, 1500] {
        let mut trunks = Trunks::bridged(PCMU, PCMA);
        let payloads = in_mu_law(&tone(300));
        let stall = said_at(100) + MS * stalled;
        let mut arrivals: Vec<(usize, Duration)> = (0..300).map(|frame| (frame, said_at(frame))).collect();
        arrivals.iter_mut().skip(100).for_each(|(_, at)| *at = (*at).max(stall));
        // What the stall swallowed, and a packet lost long afterwards.
        arrivals.retain(|(frame, _)| ![103, 290].contains(frame));
        let heard = speak(&mut trunks, &payloads, arrivals);
        assert_eq!(heard.len(), 300);
        assert_continuous(&heard, 160);
        for (frame, (left, _)) in heard.iter().enumerate() {
            let lost = usize::from(frame == 290);
            let expected = said_at(frame + lost);
            assert_eq!(*left, if frame < 100 { expected } else { expected.max(stall) }, "frame {frame}");
        }
    }
}

#[test]
fn a_thread_that_stood_still_sends_all_that_came_meanwhile_at_once_and_what_comes_then_on_time() {
    let opus = format!("{OPUS}\r\na=fmtp:111 useinbandfec=1");
    for (from, to, payloads, units) in
        [(PCMU, opus.as_str(), in_mu_law(&voice(300)), 960), (opus.as_str(), PCMU, in_opus(&voice(300)), 160)]
    {
        let mut trunks = Trunks::bridged(from, to);
        // It stands still for 150 ms while it has a frame of each end in hand: eight come meanwhile.
        let woken = said_at(100) + MS * 150;
        let arrivals = (0..300).map(|frame| (frame, said_at(frame)));
        let arrivals = arrivals.map(|(frame, at)| (frame, if frame < 100 { at } else { at.max(woken) }));
        let heard = speak(&mut trunks, &payloads, arrivals.collect());
        assert_eq!(heard.len(), 300);
        assert_continuous(&heard, units);
        let at_once = heard.iter().filter(|(left, _)| *left == woken).count();
        assert_eq!(at_once, 8);
        for (frame, (left, _)) in heard.iter().enumerate().filter(|(frame, _)| !(100..108).contains(frame)) {
            assert_eq!(*left, said_at(frame), "frame {frame}");
        }
    }
}
