//! Two plain legs of every codec and packet length: a real tone through both, its level, its frequency and its holes.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/plain.rs"]
#[allow(dead_code, reason = "shared with the tests of plain legs")]
mod plain;
#[path = "support/sounds.rs"]
mod sounds;

use std::time::Duration;

use media::Command;
use plain::{A, B, Sent, Trunks, peer};
use sounds::{KINDS, Kind, Listener, Speaker, level_db};

/// Multiples of all packet lengths.
const SAID: u32 = 480;
const LENGTHS: [u32; 4] = [10, 20, 30, 40];

fn ms(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

/// What B is sent while A says a tone, each in packets of its length.
fn carry((from, said): (Kind, u32), (to, wanted): (Kind, u32), frequency: f64) -> Vec<Sent> {
    let mut trunks = Trunks::bridged(from.formats(), &format!("{}\r\na=ptime:{wanted}", to.formats()));
    let mut speaker = Speaker::new(from, frequency);
    for _ in 0..SAID / said {
        trunks.say(from.payload_type(), said * from.clock(), &speaker.say(said));
        trunks.wait(ms(said));
    }
    trunks.to(B)
}

fn heard(kind: Kind, sent: &[Sent]) -> Vec<i16> {
    let mut listener = Listener::new(kind);
    sent.iter().flat_map(|sent| listener.hear(&sent.payload)).collect()
}

#[test]
fn a_tone_passes_between_any_codecs_and_packet_lengths_whole_and_as_loud() {
    for (from, to) in KINDS.into_iter().flat_map(|from| KINDS.map(|to| (from, to))) {
        for (said, wanted) in LENGTHS.into_iter().flat_map(|said| LENGTHS.map(|wanted| (said, wanted))) {
            let said = from.packet_length(said);
            let sent = carry((from, said), (to, wanted), 1000.0);
            // Opus is not taken apart for its length.
            let wanted = if (from, to) == (Kind::Opus, Kind::Opus) { said } else { to.packet_length(wanted) };
            let what = format!("{from:?} {said} ms to {to:?} {wanted} ms");
            assert_eq!(u32::try_from(sent.len()).unwrap(), SAID / wanted, "{what}");
            for pair in sent.windows(2) {
                assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), wanted * to.clock(), "{what}");
                assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{what}");
            }
            assert!(sent.iter().all(|sent| sent.payload_type == to.payload_type()));
            let heard = heard(to, &sent);
            assert_eq!(heard.len(), 16 * SAID as usize, "{what}");
            for (n, part) in heard.chunks(320).enumerate().skip(5) {
                let level = level_db(part, 1000.0);
                assert!(level.abs() < 3.0, "{what}, 20 ms number {n}: {level} dB");
            }
            // Nothing but the tone: the holes and clicks of a broken one are spread over all frequencies.
            let steady = &heard[16 * 160..16 * 480];
            for other in [310.0, 1500.0, 2300.0] {
                let level = level_db(steady, other);
                assert!(level < -38.0, "{what}: {level} dB at {other} Hz");
            }
        }
    }
}

#[test]
fn seven_kilohertz_pass_where_both_sides_know_them_and_do_not_fold_back_where_one_does_not() {
    for (from, to) in KINDS.into_iter().flat_map(|from| KINDS.map(|to| (from, to))).filter(|(from, _)| from.is_wide()) {
        let heard = heard(to, &carry((from, 20), (to, 20), 5500.0));
        let (there, folded) = (level_db(&heard[3200..], 5500.0), level_db(&heard[3200..], 2500.0));
        if to.is_wide() {
            assert!(there.abs() < 3.0, "{from:?} to {to:?}: {there} dB");
        } else {
            assert!(folded < -38.0, "{from:?} to {to:?}: {folded} dB at 2500 Hz");
        }
    }
}

#[test]
fn a_packet_in_the_length_wanted_is_sent_on_at_once_in_any_codec() {
    for (from, to) in KINDS.into_iter().flat_map(|from| KINDS.map(|to| (from, to))) {
        let mut trunks = Trunks::bridged(from.formats(), to.formats());
        let mut speaker = Speaker::new(from, 1000.0);
        for n in 1..10 {
            trunks.say(from.payload_type(), 20 * from.clock(), &speaker.say(20));
            assert_eq!(trunks.to(B).len(), n, "{from:?} to {to:?}");
            trunks.wait(ms(20));
        }
    }
}

#[test]
fn packets_up_to_120_ms_are_taken_whatever_was_agreed_on() {
    for kind in [Kind::Pcmu, Kind::Pcma, Kind::G722] {
        for said in [5, 15, 60, 80, 120] {
            let sent = carry((kind, said), (kind, 20), 1000.0);
            assert_eq!(u32::try_from(sent.len()).unwrap(), SAID / 20, "{kind:?} in {said} ms");
            assert!(sent.iter().all(|sent| sent.payload.len() == 160));
            let level = level_db(&heard(kind, &sent)[1600..], 1000.0);
            assert!(level.abs() < 1.0, "{kind:?} in {said} ms: {level} dB");
        }
    }
}

#[test]
fn a_peer_that_comes_back_to_the_length_wanted_is_relayed_again_without_a_hole() {
    let mut trunks = Trunks::bridged("0", "0");
    let mut speaker = Speaker::new(Kind::Pcmu, 1000.0);
    let mut said = Vec::new();
    for length in [20, 20, 30, 30, 20, 20] {
        let payload = speaker.say(length);
        said.extend_from_slice(&payload);
        trunks.say(0, length * 8, &payload);
        trunks.wait(ms(length));
    }
    let sent = trunks.to(B);
    // Nothing has two codes in mu-law.
    let heard = sent.iter().flat_map(|sent| sent.payload.iter().map(|code| if *code == 0x7f { 0xff } else { *code }));
    let said = said.into_iter().map(|code| if code == 0x7f { 0xff } else { code });
    assert!(heard.eq(said));
    assert!(sent.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 160));
}

#[test]
fn a_packet_lost_on_the_way_is_made_up_where_packets_are_regrouped_and_no_number_is_missing() {
    for kind in [Kind::Pcma, Kind::G722] {
        let mut trunks = Trunks::bridged(kind.formats(), &format!("{}\r\na=ptime:40", kind.formats()));
        let mut speaker = Speaker::new(kind, 500.0);
        for n in 0..40 {
            let payload = speaker.say(20);
            if n == 20 {
                trunks.skip(160);
            } else {
                trunks.say(kind.payload_type(), 160, &payload);
            }
            trunks.wait(ms(20));
        }
        let sent = trunks.to(B);
        assert_eq!(sent.len(), 20);
        assert!(sent.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
        let heard = heard(kind, &sent);
        let made_up = level_db(&heard[20 * 320..21 * 320], 500.0);
        assert!(made_up > -4.0, "{kind:?}: {made_up} dB where a packet was lost");
    }
}

/// A browser's Opus goes to a trunk as it is, under the trunk's number.
#[test]
fn opus_is_relayed_packet_by_packet_whatever_its_number_on_either_side() {
    let to = "97\r\na=rtpmap:97 opus/48000/2\r\na=ptime:40";
    let mut trunks = Trunks::bridged(Kind::Opus.formats(), to);
    let mut speaker = Speaker::new(Kind::Opus, 1000.0);
    for _ in 0..5 {
        let payload = speaker.say(20);
        trunks.say(111, 960, &payload);
        let last = trunks.to(B).pop().expect("relayed at once");
        assert_eq!((last.payload_type, last.payload), (97, payload));
        trunks.wait(ms(20));
    }
    // Only what a peer cannot take is made anew.
    let mut trunks = Trunks::bridged(Kind::Opus.formats(), &format!("{to}\r\na=maxptime:20"));
    trunks.say(111, 1920, &speaker.say(40));
    let sent = trunks.to(B);
    assert_eq!((sent.len(), sent[1].timestamp.wrapping_sub(sent[0].timestamp)), (2, 960));
}

#[test]
fn music_ringback_and_tones_come_in_the_length_and_codec_wanted() {
    for kind in KINDS {
        for wanted in LENGTHS {
            let length = kind.packet_length(wanted);
            let mut trunks = Trunks::bridged(kind.formats(), &format!("{}\r\na=ptime:{wanted}", kind.formats()));
            trunks.command(Command::Ringback { session: B });
            trunks.wait(ms(900));
            let sent = trunks.to(B);
            let count = u32::try_from(sent.len()).unwrap();
            assert!((900 / length..=900 / length + 2).contains(&count), "{kind:?} {wanted} ms: {count} packets");
            assert!(sent.windows(2).all(|p| p[1].timestamp.wrapping_sub(p[0].timestamp) == length * kind.clock()));
            let level = level_db(&heard(kind, &sent)[3200..12_800], 425.0);
            assert!((-8.0..-4.0).contains(&level), "{kind:?}: ringback at {level} dB");
            // Without telephone-events a digit is sound, in this codec and length too.
            trunks.sent.clear();
            trunks.command(Command::SendDigits { session: B, digits: "5".to_owned(), duration: ms(200) });
            trunks.wait(ms(220));
            let tone = heard(kind, &trunks.to(B));
            for frequency in [770.0, 1336.0] {
                let level = level_db(&tone[640..2880], frequency);
                assert!((-6.0..6.0).contains(&level), "{kind:?} {wanted} ms: {frequency} Hz at {level} dB");
            }
        }
    }
}

/// Digits of an Opus browser count at 48000, those of a G.722 trunk at 8000, each under numbers of its own.
#[test]
fn digits_pass_between_clocks_and_numbers_of_either_side() {
    let opus = "96 127\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:127 telephone-event/48000";
    for (formats, number) in
        [("9 97\r\na=rtpmap:97 telephone-event/8000", 97), ("8 101\r\na=rtpmap:101 telephone-event/8000", 101)]
    {
        let mut trunks = Trunks::bridged(opus, formats);
        for (end, units) in [(0, 960_u16), (0, 2880), (0x80, 4800), (0x80, 4800), (0x80, 4800)] {
            let [high, low] = units.to_be_bytes();
            trunks.say(127, 0, &[7, end | 10, high, low]);
            trunks.wait(ms(20));
        }
        trunks.wait(ms(200));
        let sent = trunks.to(B);
        assert!(sent.iter().all(|sent| sent.payload_type == number), "{sent:?}");
        let last = sent.last().expect("a digit");
        assert_eq!((last.payload[0], last.payload[1] & 0x80), (7, 0x80));
        // 100 ms, give or take an update.
        let units = u16::from_be_bytes([last.payload[2], last.payload[3]]);
        assert!((800..=960).contains(&units), "{units}");
    }
}

#[test]
fn every_codec_hears_itself_in_the_echo_test_and_others_in_a_mix() {
    for kind in KINDS {
        let mut trunks = Trunks::new();
        trunks.open(A, vec![]);
        trunks.offer(A, peer(A), &format!("{}\r\na=ptime:30", kind.formats()));
        trunks.command(Command::Echo { session: A });
        let mut speaker = Speaker::new(kind, 700.0);
        for _ in 0..48 {
            trunks.say(kind.payload_type(), 20 * kind.clock(), &speaker.say(20));
            trunks.wait(ms(20));
        }
        let level = level_db(&heard(kind, &trunks.to(A))[6400..], 700.0);
        assert!(level.abs() < 1.5, "{kind:?}: {level} dB of echo");
        for other in KINDS {
            let mut trunks = Trunks::new();
            for (session, kind, length) in [(A, kind, 20), (B, other, 30)] {
                trunks.open(session, vec![]);
                trunks.offer(session, peer(session), &format!("{}\r\na=ptime:{length}", kind.formats()));
                trunks.command(Command::Mix { session, mix: media::MixId(1) });
            }
            let mut speaker = Speaker::new(kind, 700.0);
            for _ in 0..48 {
                trunks.say(kind.payload_type(), 20 * kind.clock(), &speaker.say(20));
                trunks.wait(ms(20));
            }
            let sent = trunks.to(B);
            let length = other.packet_length(30) * other.clock();
            assert!(sent.windows(2).all(|p| p[1].timestamp.wrapping_sub(p[0].timestamp) == length), "{other:?}");
            let level = level_db(&heard(other, &sent)[6400..], 700.0);
            assert!(level.abs() < 1.5, "{kind:?} to {other:?}: {level} dB in a mix");
        }
    }
}
