//! Legs on two shards, joined by a link: what each hears of the other, and what it is told. The runtime that carries the link is played
//! here, packets and codecs are real.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[allow(dead_code, reason = "not for every test that shares this file")]
#[path = "support/keys.rs"]
mod keys;
#[allow(dead_code, reason = "shared with the tests of plain legs")]
#[path = "support/plain.rs"]
mod plain;

use std::time::Duration;

use keys::{assert_continuous, audio, event, events, key_in, leaked, level, sample, sound, told};
use media::{
    Codec, Command, Dtmf, Event, Hears, Hold, Keying, LinkContent, LinkEnd, MediaSessionId, MediaState, MixId,
};
use plain::{A, B, FRAME, G722, OPUS, PCMA, PCMU, Sent, Trunks, mu_law, peer};

/// The ends of the link: on the shard of A, on that of B.
const NEAR: MediaSessionId = MediaSessionId(101);
const FAR: MediaSessionId = MediaSessionId(102);
const TONE: f64 = 1000.0;
const PEAK: f64 = 8000.0;

/// Two shards, A on the first and B on the second.
struct Linked {
    shards: [Trunks; 2],
    /// RTP packets that were on the link, whether they arrived or not.
    carried: usize,
    /// Whether the packet of this number is lost on the link.
    loses: fn(usize) -> bool,
}

impl Linked {
    fn new(a: &str, b: &str) -> Self {
        let mut linked = Self { shards: [Trunks::new(), Trunks::new()], carried: 0, loses: |_| false };
        linked.shards[1].now = linked.shards[0].now;
        for (shard, leg, formats) in [(0, A, a), (1, B, b)] {
            linked.shards[shard].open(leg, vec![]);
            linked.shards[shard].offer(leg, peer(leg), formats);
        }
        linked
    }

    fn joined(a: &str, b: &str) -> Self {
        let mut linked = Self::new(a, b);
        linked.open(0);
        linked.open(1);
        linked.bridge(0);
        linked.bridge(1);
        linked
    }

    /// Opens a shard's end of the link.
    fn open(&mut self, shard: usize) {
        let (session, other) = [(NEAR, FAR), (FAR, NEAR)][shard];
        let keying = Keying::Link { peer: LinkEnd { shard: 1 - shard, session: other } };
        let codecs = vec![Codec::Pcmu];
        self.command(shard, Command::Open { session, keying, codecs, silence_timeout: Duration::ZERO });
    }

    fn bridge(&mut self, shard: usize) {
        let (a, b) = [(A, NEAR), (B, FAR)][shard];
        self.command(shard, Command::Bridge { a, b });
    }

    fn command(&mut self, shard: usize, command: Command) {
        self.shards[shard].command(command);
        self.carry();
    }

    /// Brings everything across until nothing is left.
    fn carry(&mut self) {
        loop {
            let mut busy = false;
            for shard in 0..2 {
                while let Some(transmit) = self.shards[shard].shard.poll_link() {
                    busy = true;
                    assert_eq!(transmit.to.shard, 1 - shard);
                    if matches!(transmit.content, LinkContent::Rtp(_)) {
                        self.carried += 1;
                        if (self.loses)(self.carried) {
                            continue;
                        }
                    }
                    let other = &mut self.shards[1 - shard];
                    other.shard.handle_link(other.now, transmit.to.session, transmit.content);
                    other.drain();
                }
            }
            if !busy {
                return;
            }
        }
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.shards[0].now + duration;
        loop {
            let due = self.shards.iter().filter_map(|side| side.shard.poll_timeout()).min();
            let at = due.filter(|at| *at <= end);
            for side in &mut self.shards {
                side.now = side.now.max(at.unwrap_or(end));
                side.shard.handle_timeout(side.now);
                side.drain();
            }
            self.carry();
            if at.is_none() {
                return;
            }
        }
    }

    /// A and B say these, if anything, and 20 ms pass.
    fn say(&mut self, of_a: Option<(u8, u32, &[u8])>, of_b: Option<(u8, u32, &[u8])>) {
        if let Some((payload_type, duration, payload)) = of_a {
            self.shards[0].say(payload_type, duration, payload);
        }
        if let Some((payload_type, duration, payload)) = of_b {
            self.shards[1].reply(payload_type, payload);
            self.shards[1].skip(duration);
        }
        self.carry();
        self.wait(FRAME);
    }

    fn heard(&self, leg: MediaSessionId) -> Vec<Sent> {
        self.shards[usize::from(leg == B)].to(leg)
    }

    fn audio(&self, leg: MediaSessionId) -> Vec<i16> {
        audio(&self.shards[usize::from(leg == B)], leg).concat()
    }

    fn forget(&mut self) {
        self.shards.iter_mut().for_each(|side| side.sent.clear());
    }

    /// The last state told of a leg.
    fn state(&self, leg: MediaSessionId) -> MediaState {
        let events = self.shards[usize::from(leg == B)].events.iter().rev();
        let mut states = events.filter_map(|event| match event {
            Event::Changed { session, state } if *session == leg => Some(*state),
            _ => None,
        });
        states.next().unwrap_or_default()
    }

    /// Both speak PCMU for so many frames; the payloads each then heard, without repetitions: A, then B.
    fn talk(&mut self, frames: usize) -> [Vec<Vec<u8>>; 2] {
        self.forget();
        for _ in 0..frames {
            self.say(Some((0, 160, &[0x95; 160])), Some((0, 160, &[0x25; 160])));
        }
        [A, B].map(|leg| {
            let mut payloads: Vec<Vec<u8>> = self.heard(leg).into_iter().map(|sent| sent.payload).collect();
            payloads.dedup();
            payloads
        })
    }
}

fn tone(frame: usize) -> Vec<u8> {
    sound(&[(TONE, PEAK)], frame * 160)
}

/// The level of the tone when nothing was done to it, in dBm0.
fn unchanged() -> f64 {
    let samples: Vec<i16> = (0..1600).map(|n| sample(&[(TONE, PEAK)], n)).collect();
    level(&samples, TONE)
}

/// Talk as every session hears it that is joined with one who speaks.
fn in_talk(linked: &mut Linked) {
    assert_eq!(linked.talk(5), [vec![vec![0x25; 160]], vec![vec![0x95; 160]]]);
}

#[test]
fn the_same_codec_is_relayed_byte_for_byte_both_ways() {
    for (formats, payload_type, duration) in [(PCMU, 0_u8, 160_u32), (PCMA, 8, 160), (G722, 9, 160), (OPUS, 111, 960)] {
        let mut linked = Linked::joined(formats, formats);
        for n in 0..20_u8 {
            let (of_a, of_b) = (vec![0x80 | n; 160], vec![0x40 | n; 160]);
            linked.say(Some((payload_type, duration, &of_a)), Some((payload_type, duration, &of_b)));
        }
        for (leg, mark, length) in [(A, 0x40, 160), (B, 0x80, 160)] {
            let heard = linked.heard(leg);
            assert_eq!(heard.len(), 20);
            assert_continuous(&heard, duration);
            for (n, sent) in (0_u8..).zip(&heard) {
                assert_eq!((sent.payload_type, &sent.payload), (payload_type, &vec![mark | n; length]));
                assert_eq!(sent.timestamp, heard[0].timestamp.wrapping_add(duration * u32::from(n)));
            }
        }
    }
}

#[test]
fn between_different_codecs_a_tone_keeps_its_level_and_has_no_hole() {
    for (a, b) in [(PCMU, PCMA), (PCMU, OPUS), (OPUS, PCMU), (OPUS, PCMA)] {
        let mut linked = Linked::joined(a, b);
        let mut opus = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        for n in 0..100 {
            if a == PCMU {
                linked.say(Some((0, 160, &tone(n))), None);
            } else {
                let wave = |m: usize| sample(&[(TONE / 6.0, PEAK)], n * 960 + m);
                let samples: Vec<i16> = (0..960).map(wave).collect();
                linked.say(Some((111, 960, &opus.encode_vec(&samples, 1275).unwrap())), None);
            }
        }
        let (heard, samples) = (linked.heard(B), linked.audio(B));
        assert_continuous(&heard, if b == OPUS { 960 } else { 160 });
        assert_eq!(samples.len(), 100 * 160, "{a} to {b}");
        let loss = level(&samples[20 * 160..], TONE) - unchanged();
        assert!(loss.abs() < 2.0, "{a} to {b}: {loss} dB");
        let silent = samples[20 * 160..].chunks(40).filter(|chunk| chunk.iter().all(|s| s.abs() < 1000)).count();
        assert_eq!(silent, 0, "{a} to {b}");
    }
}

#[test]
fn a_packet_is_heard_in_the_turn_in_which_the_link_brings_it() {
    let mut linked = Linked::joined(PCMU, OPUS);
    for n in 0..10 {
        linked.shards[0].say(0, 160, &tone(n));
        assert_eq!(linked.heard(B).len(), n);
        linked.carry();
        assert_eq!(linked.heard(B).len(), n + 1, "no clock has moved");
        linked.wait(FRAME);
    }
}

#[test]
fn what_is_lost_on_the_way_to_the_link_or_on_it_is_concealed_where_it_is_decoded() {
    let mut linked = Linked::joined(PCMU, OPUS);
    linked.loses = |number| number == 60;
    for n in 0..100 {
        if n == 30 {
            linked.shards[0].skip(160);
            linked.wait(FRAME);
        } else {
            linked.say(Some((0, 160, &tone(n))), None);
        }
    }
    let samples = linked.audio(B);
    assert_eq!(samples.len(), 100 * 160);
    assert_continuous(&linked.heard(B), 960);
    let silent = samples[20 * 160..].chunks(80).filter(|chunk| chunk.iter().all(|s| s.abs() < 500)).count();
    assert_eq!(silent, 0);
}

#[test]
fn a_relayed_stream_shows_its_loss_to_the_peer_across() {
    let mut linked = Linked::joined(OPUS, OPUS);
    linked.loses = |number| number == 15;
    for n in 0..20_u8 {
        if n == 5 {
            linked.shards[0].skip(960);
            linked.wait(FRAME);
        } else {
            linked.say(Some((111, 960, &[n; 60])), None);
        }
    }
    let heard = linked.heard(B);
    let steps: Vec<u16> = heard.windows(2).map(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence)).collect();
    // The fifteenth on the link is the sixteenth said: the sixth never got there.
    let expected: Vec<u16> = (1..18).map(|n| if n == 5 || n == 14 { 2 } else { 1 }).collect();
    assert_eq!(steps, expected);
}

#[test]
fn each_digit_crosses_once_with_its_length_however_the_legs_tell_digits() {
    // By events on both sides, of the same clock or not; by tones on the one or the other.
    for (a, b) in [(PCMU, PCMA), (PCMU, OPUS), ("0", PCMU), (PCMU, "0")] {
        let mut linked = Linked::joined(a, b);
        let press = |linked: &mut Linked, digit: char, code: u8| {
            for n in 0..15_u16 {
                let ends = n >= 5;
                if a == "0" {
                    let waves = if ends { Vec::new() } else { keys::key(digit).to_vec() };
                    let payload: Vec<u8> = (0..160).map(|m| mu_law(sample(&waves, usize::from(n) * 160 + m))).collect();
                    linked.say(Some((0, 160, &payload)), None);
                } else {
                    let began = linked.shards[0].timestamp.wrapping_sub(u32::from(n) * 160);
                    if n < 8 {
                        linked.shards[0].press(began, &event(code, ends, 160 * n.min(5)));
                    }
                    linked.shards[0].timestamp = linked.shards[0].timestamp.wrapping_add(160);
                    linked.carry();
                    linked.wait(FRAME);
                }
            }
        };
        for n in 0..10 {
            linked.say(Some((0, 160, &sound(&keys::VOICE, n * 160))), None);
        }
        press(&mut linked, '5', 5);
        press(&mut linked, '#', 11);
        linked.wait(Duration::from_secs(1));
        assert_eq!(told(&linked.shards[0]), "5#", "{a} to {b}");
        assert_eq!(told(&linked.shards[1]), "", "told once, where it was heard");
        if b == "0" {
            let mut digits: Vec<char> = audio(&linked.shards[1], B).iter().filter_map(|f| key_in(f)).collect();
            digits.dedup();
            assert_eq!(digits, ['5', '#']);
        } else {
            let got = events(&linked.shards[1], B, if b == OPUS { 110 } else { 101 });
            assert_eq!(got.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [5, 11], "{a} to {b}");
            assert!(got.iter().all(|(_, length)| (80..=130).contains(length)), "{a} to {b}: {got:?}");
            assert!(leaked(&linked.shards[1], B, '5') <= 20);
        }
    }
}

#[test]
fn digits_dialled_and_told_by_signalling_reach_the_leg_across() {
    let mut linked = Linked::joined(PCMU, PCMU);
    let duration = Duration::from_millis(100);
    linked.command(0, Command::PressDigit { session: A, digit: '7', duration });
    linked.wait(Duration::from_secs(1));
    linked.command(1, Command::SendDigits { session: B, digits: "8".to_owned(), duration });
    linked.wait(Duration::from_secs(1));
    assert_eq!(events(&linked.shards[1], B, 101), [(7, 100), (8, 100)]);
    assert!(events(&linked.shards[0], A, 101).is_empty());
}

#[test]
fn a_leg_that_wants_no_digits_in_media_gets_none_across() {
    let mut linked = Linked::new(PCMU, PCMU);
    linked.command(1, Command::SetDtmf { session: B, dtmf: Dtmf::Info });
    linked.shards[1].offer(B, peer(B), PCMU);
    linked.open(0);
    linked.open(1);
    linked.bridge(0);
    linked.bridge(1);
    linked.command(0, Command::PressDigit { session: A, digit: '7', duration: Duration::from_millis(100) });
    linked.wait(Duration::from_secs(1));
    assert!(linked.heard(B).is_empty());
    assert_eq!(told(&linked.shards[0]), "7");
}

#[test]
fn whoever_is_held_across_hears_music_and_nothing_of_the_holder() {
    let talking = MediaState { hold: Hold::None, hears: Hears::Party, ..MediaState::default() };
    let music = vec![vec![mu_law(4000); 160]];
    let mut linked = Linked::joined(PCMU, PCMU);
    in_talk(&mut linked);
    assert_eq!((linked.state(A), linked.state(B)), (talking, talking));
    // Held by its phone, then by us.
    for by_phone in [true, false] {
        if by_phone {
            linked.shards[0].offer(A, peer(A), &format!("{PCMU}\r\na=sendonly"));
            linked.carry();
        } else {
            linked.command(0, Command::Hold { session: A, hold: true });
        }
        assert_eq!(linked.talk(50), [vec![], music.clone()], "by phone: {by_phone}");
        assert!((49..=51).contains(&linked.heard(B).len()), "{} frames in a second", linked.heard(B).len());
        let hold = if by_phone { Hold::Remote } else { Hold::Local };
        assert_eq!(linked.state(A), MediaState { hold, hears: Hears::Nothing, ..MediaState::default() });
        assert_eq!(linked.state(B), MediaState { hold: Hold::None, hears: Hears::Music, ..MediaState::default() });
        if by_phone {
            linked.shards[0].offer(A, peer(A), PCMU);
            linked.carry();
        } else {
            linked.command(0, Command::Hold { session: A, hold: false });
        }
        in_talk(&mut linked);
        assert_eq!((linked.state(A), linked.state(B)), (talking, talking));
    }
    // Both hold, and each resumes alone.
    linked.command(0, Command::Hold { session: A, hold: true });
    linked.command(1, Command::Hold { session: B, hold: true });
    assert_eq!(linked.talk(5), [Vec::<Vec<u8>>::new(), vec![]]);
    linked.command(0, Command::Hold { session: A, hold: false });
    assert_eq!(linked.talk(5), [music, vec![]]);
    linked.command(1, Command::Hold { session: B, hold: false });
    in_talk(&mut linked);
}

#[test]
fn a_leg_is_heard_and_hears_in_a_mix_of_another_shard() {
    for a in [PCMU, PCMA] {
        let mut linked = Linked::new(a, PCMU);
        linked.open(0);
        linked.open(1);
        linked.bridge(0);
        for session in [B, FAR] {
            linked.command(1, Command::Mix { session, mix: MixId(1) });
        }
        let talking = MediaState { hold: Hold::None, hears: Hears::Party, ..MediaState::default() };
        assert_eq!((linked.state(A), linked.state(B)), (talking, talking));
        let payload_type = if a == PCMU { 0 } else { 8 };
        for n in 0..100 {
            let of_b = sound(&[(TONE * 1.6, PEAK)], n * 160);
            // In A-law one sound is as good as another.
            let of_a = if a == PCMU { tone(n) } else { vec![0x80 | u8::try_from(n).unwrap(); 160] };
            linked.say(Some((payload_type, 160, &of_a)), Some((0, 160, &of_b)));
        }
        assert!(linked.heard(A).iter().all(|sent| sent.payload_type == payload_type));
        let loss = level(&linked.audio(A)[40 * 160..90 * 160], TONE * 1.6) - unchanged();
        assert!(loss.abs() < 2.0, "{loss} dB");
        if a == PCMU {
            let loss = level(&linked.audio(B)[40 * 160..90 * 160], TONE) - unchanged();
            assert!(loss.abs() < 2.0, "{loss} dB");
        }
        linked.command(0, Command::Hold { session: A, hold: true });
        assert_eq!(linked.state(B).hears, Hears::Music, "all others hold");
        linked.command(0, Command::Hold { session: A, hold: false });
        assert_eq!((linked.state(A), linked.state(B)), (talking, talking));
    }
}

#[test]
fn a_hold_from_before_the_link_is_known_across_whichever_end_is_opened_first() {
    for order in [[0, 1], [1, 0]] {
        let mut linked = Linked::new(PCMU, PCMU);
        linked.command(0, Command::Hold { session: A, hold: true });
        for shard in order {
            linked.open(shard);
            linked.bridge(shard);
        }
        assert_eq!(linked.state(B).hears, Hears::Music, "{order:?}");
        assert_eq!(linked.state(A), MediaState { hold: Hold::Local, hears: Hears::Nothing, ..MediaState::default() });
        linked.command(0, Command::Hold { session: A, hold: false });
        in_talk(&mut linked);
    }
}

#[test]
fn a_leg_that_only_listens_is_not_said_to_be_heard_across() {
    let mut linked = Linked::joined(&format!("{PCMU}\r\na=recvonly"), PCMU);
    assert_eq!((linked.state(A).hears, linked.state(B).hears), (Hears::Party, Hears::Nothing));
    assert_eq!(linked.talk(5), [vec![vec![0x25; 160]], vec![]]);
}

#[test]
fn a_codec_changed_by_a_later_offer_is_followed_across() {
    let mut linked = Linked::joined(PCMU, PCMU);
    in_talk(&mut linked);
    let before = linked.heard(B).last().unwrap().clone();
    linked.shards[0].offer(A, peer(A), PCMA);
    linked.carry();
    linked.forget();
    for _ in 0..10 {
        linked.say(Some((8, 160, &[0xaa; 160])), Some((0, 160, &[0x80; 160])));
    }
    // The loudest positive sample of each law.
    assert!(linked.heard(B).iter().all(|sent| sent.payload_type == 0 && sent.payload == [0x80; 160]));
    assert!(linked.heard(A).iter().all(|sent| sent.payload_type == 8 && sent.payload == [0xaa; 160]));
    assert_eq!((linked.heard(A).len(), linked.heard(B).len()), (10, 10));
    let mut all = vec![before];
    all.extend(linked.heard(B));
    linked.shards[0].offer(A, peer(A), OPUS);
    linked.carry();
    linked.forget();
    let mut opus = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).unwrap();
    for n in 0..50 {
        let samples: Vec<i16> = (n * 160..n * 160 + 160).map(|m| sample(&[(TONE, PEAK)], m)).collect();
        linked.say(Some((111, 960, &opus.encode_vec(&samples, 1275).unwrap())), Some((0, 160, &tone(n))));
    }
    for leg in [A, B] {
        let samples = linked.audio(leg);
        assert_eq!(samples.len(), 50 * 160);
        let loss = level(&samples[20 * 160..], TONE) - unchanged();
        assert!(loss.abs() < 2.0, "{leg:?}: {loss} dB");
    }
    all.extend(linked.heard(B));
    assert_continuous(&all, 320);
}

#[test]
fn a_link_says_nothing_of_itself_sends_no_reports_and_is_never_silent() {
    let mut linked = Linked::joined(PCMU, PCMU);
    in_talk(&mut linked);
    linked.carried = 0;
    linked.wait(Duration::from_secs(60));
    assert_eq!(linked.carried, 0, "no RTCP");
    // Without legs it has nothing to wake up for either.
    linked.command(0, Command::Close { session: A });
    linked.command(1, Command::Close { session: B });
    linked.wait(Duration::from_secs(60));
    assert!(linked.shards.iter().all(|side| side.shard.poll_timeout().is_none()));
    linked.command(0, Command::Close { session: NEAR });
    linked.command(1, Command::Close { session: FAR });
    let mut closed = Vec::new();
    for event in linked.shards.iter().flat_map(|side| &side.events) {
        match event {
            Event::Silent { session } => assert!([A, B].contains(session)),
            Event::Closed { session: A | B, .. } => {}
            Event::Closed { session, statistics } => closed.push((*session, *statistics)),
            Event::Changed { session, .. } | Event::Connected { session, .. } => assert!([A, B].contains(session)),
            // Each leg's own: a link comes to nothing anybody looks for.
            Event::Milestone { session, .. } => assert!([A, B].contains(session)),
            Event::LocalDescription { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(closed.iter().map(|(session, _)| *session).collect::<Vec<_>>(), [NEAR, FAR]);
    for (_, figures) in &closed {
        assert_eq!((figures.packets_received, figures.packets_sent), (5, 5));
        assert_eq!((figures.packets_lost, figures.packets_discarded), (0, 0));
    }
    let silences = linked.shards.iter().flat_map(|side| &side.events).filter(|e| matches!(e, Event::Silent { .. }));
    assert_eq!(silences.count(), 2, "of each leg, once");
}

#[test]
fn who_leaves_one_end_is_heard_no_more_at_the_other_and_what_comes_late_is_dropped() {
    let mut linked = Linked::joined(PCMU, PCMU);
    in_talk(&mut linked);
    linked.shards[0].say(0, 160, &[0x95; 160]);
    let late = linked.shards[0].shard.poll_link().expect("a packet on its way");
    linked.command(0, Command::Close { session: A });
    assert_eq!(linked.state(B), MediaState { hold: Hold::None, hears: Hears::Nothing, ..MediaState::default() });
    linked.command(1, Command::Close { session: FAR });
    linked.forget();
    let other = &mut linked.shards[1];
    other.shard.handle_link(other.now, FAR, late.content.clone());
    // Nor does a leg of the network take what only a link may bring.
    other.shard.handle_link(other.now, B, late.content);
    other.drain();
    linked.wait(FRAME);
    assert!(linked.heard(B).is_empty());
}

#[test]
fn what_a_link_does_not_know_is_discarded() {
    let mut linked = Linked::joined(PCMU, PCMU);
    in_talk(&mut linked);
    let before = linked.shards[1].discarded();
    let packet = linked.shards[0].packet(77, &[1; 160]);
    let other = &mut linked.shards[1];
    for bytes in [&packet[..], b"no RTP"] {
        other.shard.handle_link(other.now, FAR, LinkContent::Rtp(bytes.into()));
    }
    assert_eq!(linked.shards[1].discarded(), before + 2);
    in_talk(&mut linked);
}

#[test]
fn a_mix_is_heard_across_without_what_comes_from_there() {
    const OTHER: f64 = 600.0;
    for formats in [PCMU, OPUS] {
        let mut linked = Linked::new(PCMU, formats);
        linked.open(0);
        linked.open(1);
        linked.bridge(1);
        // A third, who listens only, is on the shard of A.
        linked.shards[0].open(B, vec![]);
        linked.shards[0].offer(B, peer(B), PCMA);
        for session in [A, B, NEAR] {
            linked.command(0, Command::Mix { session, mix: MixId(1) });
        }
        let mut opus = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        let say = |linked: &mut Linked, opus: &mut opus::Encoder, frames: std::ops::Range<usize>| {
            linked.forget();
            for n in frames {
                let of_b: Vec<i16> = (n * 160..n * 160 + 160).map(|n| sample(&[(OTHER, PEAK)], n)).collect();
                let (payload_type, units, of_b) = match formats {
                    PCMU => (0, 160, of_b.iter().map(|sample| mu_law(*sample)).collect()),
                    _ => (111, 960, opus.encode_vec(&of_b, 1275).unwrap()),
                };
                linked.say(Some((0, 160, &tone(n))), Some((payload_type, units, &of_b)));
            }
        };
        say(&mut linked, &mut opus, 0..20);
        say(&mut linked, &mut opus, 20..70);
        let third = |linked: &Linked| audio(&linked.shards[0], B).concat();
        let levels = |heard: &[i16]| [TONE, OTHER].map(|frequency| level(heard, frequency) - unchanged());
        for (who, heard, wanted) in [
            ("A", linked.audio(A), [false, true]),
            ("B across", linked.audio(B), [true, false]),
            ("the third", third(&linked), [true, true]),
        ] {
            let levels = levels(&heard);
            let is_heard = levels.map(|level| level.abs() < 2.0);
            assert!(
                is_heard == wanted && levels.iter().all(|level| level.abs() < 2.0 || *level < -25.0),
                "{who}: {levels:?}"
            );
        }
        assert_eq!(linked.heard(B).len(), 50);
        // Who holds across is not heard, and nobody hears music for it.
        linked.command(1, Command::Hold { session: B, hold: true });
        say(&mut linked, &mut opus, 70..80);
        say(&mut linked, &mut opus, 80..110);
        assert!(linked.heard(B).is_empty() && levels(&third(&linked))[1] < -25.0);
        assert_eq!(linked.state(A), MediaState { hold: Hold::None, hears: Hears::Party, ..MediaState::default() });
        // The only one left here hears music, as across a bridge.
        linked.command(0, Command::Close { session: B });
        assert_eq!(linked.state(A).hears, Hears::Music);
        linked.command(1, Command::Hold { session: B, hold: false });
        assert_eq!((linked.state(A).hears, linked.state(B).hears), (Hears::Party, Hears::Party));
        linked.command(0, Command::Close { session: A });
        assert_eq!(linked.state(B).hears, Hears::Nothing, "alone in the mix");
    }
}
