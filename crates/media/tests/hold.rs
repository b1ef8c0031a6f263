//! Hold and later descriptions, on a simulated network: who is held hears music and nothing of the holder, a change that is not agreed
//! on changes nothing.
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

use std::net::SocketAddr;
use std::time::Duration;

use media::{Bandwidth, Command, Event, Hears, Hold, MediaSessionId, MediaState};
use plain::{A, B, FRAME, OPUS, PCMA, PCMU, Sent, Trunks, mu_law, peer};

const SPEECH_OF_A: [u8; 160] = [0x95; 160];
const SPEECH_OF_B: [u8; 160] = [0x25; 160];
const NOWHERE: &str = "0.0.0.0:30000";

/// One frame of the simulated shard's music.
fn music() -> Vec<u8> {
    vec![mu_law(4000); 160]
}

/// Both speak for so many frames; gives what each heard meanwhile: A, then B.
fn talk(trunks: &mut Trunks, frames: usize) -> (Vec<Sent>, Vec<Sent>) {
    trunks.sent.clear();
    for _ in 0..frames {
        trunks.say(0, 160, &SPEECH_OF_A);
        trunks.reply(0, &SPEECH_OF_B);
        trunks.wait(FRAME);
    }
    (trunks.to(A), trunks.to(B))
}

fn payloads(heard: &[Sent]) -> Vec<&[u8]> {
    let mut payloads: Vec<&[u8]> = heard.iter().map(|sent| sent.payload.as_slice()).collect();
    payloads.dedup();
    payloads
}

/// The last state told of a session.
fn state(trunks: &Trunks, wanted: MediaSessionId) -> MediaState {
    let last = trunks.events.iter().rev().find_map(|event| match event {
        Event::Changed { session, state } if *session == wanted => Some(*state),
        _ => None,
    });
    last.unwrap_or_default()
}

fn hold(session: MediaSessionId, hold: bool) -> Command {
    Command::Hold { session, hold }
}

/// The ways a peer holds: where it says it is, and what else its offer says.
fn ways() -> [(SocketAddr, String); 4] {
    [
        (peer(A), format!("{PCMU}\r\na=sendonly")),
        (peer(A), format!("{PCMU}\r\na=inactive")),
        (NOWHERE.parse().unwrap(), PCMU.to_owned()),
        (SocketAddr::new(peer(A).ip(), 0), PCMU.to_owned()),
    ]
}

#[test]
fn who_is_held_hears_music_and_nothing_of_the_holder() {
    for (from, formats) in ways() {
        let mut trunks = Trunks::bridged(PCMU, PCMU);
        let (to_a, to_b) = talk(&mut trunks, 5);
        assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
        let before = to_b.last().unwrap().clone();
        trunks.offer(A, from, &formats);
        let (to_a, to_b) = talk(&mut trunks, 50);
        assert!(to_a.is_empty(), "{formats}: a holder is sent nothing");
        assert_eq!(payloads(&to_b), [&music()[..]], "{formats}");
        assert!((49..=51).contains(&to_b.len()), "{} frames of music in a second", to_b.len());
        assert_eq!(
            state(&trunks, A),
            MediaState { hold: Hold::Remote, hears: Hears::Nothing, ..MediaState::default() }
        );
        assert_eq!(state(&trunks, B), MediaState { hold: Hold::None, hears: Hears::Music, ..MediaState::default() });
        let mut all = vec![before];
        all.extend(to_b);
        trunks.offer(A, peer(A), PCMU);
        let (to_a, to_b) = talk(&mut trunks, 5);
        assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]), "{formats}");
        assert_eq!(state(&trunks, A), MediaState { hold: Hold::None, hears: Hears::Party, ..MediaState::default() });
        assert_eq!(state(&trunks, B), MediaState { hold: Hold::None, hears: Hears::Party, ..MediaState::default() });
        all.extend(to_b);
        for pair in all.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!((160..=480).contains(&step), "{formats}: a step of {step}");
        }
    }
}

#[test]
fn an_announcement_that_was_never_two_way_is_heard_and_is_no_hold() {
    let mut trunks = Trunks::bridged(&format!("{PCMU}\r\na=sendonly"), PCMU);
    let (to_a, to_b) = talk(&mut trunks, 5);
    assert!(to_a.is_empty());
    assert_eq!(payloads(&to_b), [&SPEECH_OF_A[..]]);
    assert_eq!(state(&trunks, A), MediaState { hold: Hold::None, hears: Hears::Nothing, ..MediaState::default() });
    // After early media the same peer talks, and then it can hold.
    trunks.offer(A, peer(A), PCMU);
    trunks.offer(A, peer(A), &format!("{PCMU}\r\na=sendonly"));
    assert_eq!(payloads(&talk(&mut trunks, 5).1), [&music()[..]]);
}

#[test]
fn when_both_hold_nobody_hears_anything_and_each_resumes_alone() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let held = format!("{PCMU}\r\na=sendonly");
    trunks.offer(A, peer(A), &held);
    trunks.offer(A, peer(A), &held);
    trunks.offer(B, peer(B), &held);
    let (to_a, to_b) = talk(&mut trunks, 10);
    assert!(to_a.is_empty() && to_b.is_empty());
    assert_eq!(state(&trunks, B), MediaState { hold: Hold::Remote, hears: Hears::Nothing, ..MediaState::default() });
    trunks.offer(A, peer(A), PCMU);
    let (to_a, to_b) = talk(&mut trunks, 10);
    assert_eq!(payloads(&to_a), [&music()[..]], "it is held itself now");
    assert!(to_b.is_empty());
    trunks.offer(B, peer(B), PCMU);
    let (to_a, to_b) = talk(&mut trunks, 10);
    assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
}

#[test]
fn held_from_our_side_a_peer_neither_hears_nor_is_heard_at_once() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(hold(A, true));
    let (to_a, to_b) = talk(&mut trunks, 10);
    assert!(to_a.is_empty(), "before any description says so");
    assert_eq!(payloads(&to_b), [&music()[..]]);
    assert_eq!(state(&trunks, A), MediaState { hold: Hold::Local, hears: Hears::Nothing, ..MediaState::default() });
    trunks.command(Command::CreateOffer { session: A, bandwidth: Bandwidth::Narrow });
    let Some(Event::LocalDescription { sdp, .. }) = trunks.events.last() else { panic!("no offer") };
    assert!(String::from_utf8_lossy(sdp).contains("a=inactive\r\n"));
    // The peer's answer to that does not say that it holds too.
    let answer = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\na=inactive\r\n",
        ip = peer(A).ip()
    );
    trunks.command(Command::HandleAnswer { session: A, sdp: answer.into_bytes() });
    assert_eq!(state(&trunks, A).hold, Hold::Local);
    // It may hold as well, and then goes on to when ours ends.
    trunks.offer(A, peer(A), &format!("{PCMU}\r\na=sendonly"));
    assert_eq!(state(&trunks, A).hold, Hold::Both);
    trunks.command(hold(A, false));
    assert_eq!(state(&trunks, A), MediaState { hold: Hold::Remote, hears: Hears::Nothing, ..MediaState::default() });
    assert_eq!(payloads(&talk(&mut trunks, 5).1), [&music()[..]]);
    trunks.offer(A, peer(A), PCMU);
    let (to_a, to_b) = talk(&mut trunks, 5);
    assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
}

#[test]
fn an_answer_to_what_is_agreed_on_already_changes_nothing() {
    // As a session is refreshed by a re-INVITE with the description that its peer knows.
    let answer = |direction: &str| {
        let ip = peer(A).ip();
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n{direction}")
    };
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let again = |trunks: &mut Trunks, direction: &str| {
        trunks.command(Command::HandleAnswer { session: A, sdp: answer(direction).into_bytes() });
        assert!(matches!(trunks.events.last(), Some(Event::Negotiated { .. })), "{:?}", trunks.events.last());
    };
    again(&mut trunks, "");
    let (to_a, to_b) = talk(&mut trunks, 10);
    assert_eq!((to_a.len(), to_b.len()), (10, 10));
    assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
    trunks.offer(A, peer(A), &format!("{PCMU}\r\na=sendonly"));
    again(&mut trunks, "a=sendonly\r\n");
    assert_eq!(state(&trunks, A).hold, Hold::Remote);
    assert_eq!(payloads(&talk(&mut trunks, 5).1), [&music()[..]]);
    trunks.offer(A, peer(A), PCMU);
    let (to_a, to_b) = talk(&mut trunks, 10);
    assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
}

#[test]
fn the_echo_of_who_is_held_stops_and_comes_back() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(Command::Echo { session: A });
    assert_eq!(state(&trunks, B).hears, Hears::Nothing);
    for (held, frames) in [(true, 0), (false, 5)] {
        trunks.command(hold(A, held));
        assert_eq!(talk(&mut trunks, 5).0.len(), frames);
    }
}

#[test]
fn a_later_offer_changes_nothing_before_its_answer_is_sent() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let (before_a, before_b) = (state(&trunks, A), state(&trunks, B));
    trunks.propose(A, NOWHERE.parse().unwrap(), &format!("{PCMA}\r\na=inactive"));
    let (to_a, to_b) = talk(&mut trunks, 5);
    assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
    assert_eq!((state(&trunks, A), state(&trunks, B)), (before_a, before_b));
    // One that cannot be used does not take the place of the one before, nor of what is agreed on.
    let unusable =
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 30000 RTP/AVP 3\r\n";
    let bandwidth = Bandwidth::Narrow;
    trunks.command(Command::HandleOffer { session: A, sdp: unusable.to_vec(), bandwidth });
    assert!(matches!(trunks.events.last(), Some(Event::Rejected { session: A, .. })));
    assert_eq!(payloads(&talk(&mut trunks, 5).1), [&SPEECH_OF_A[..]]);
    trunks.command(Command::Adopt { session: A });
    assert_eq!(state(&trunks, A).hold, Hold::Remote);
}

#[test]
fn an_offer_of_ours_that_is_refused_leaves_version_and_media_as_they_were() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let version = |trunks: &Trunks| {
        let Some(Event::LocalDescription { sdp, .. }) = trunks.events.last() else { panic!("no description") };
        let text = String::from_utf8(sdp.clone()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("o=")?.split(' ').nth(2)).unwrap().to_owned()
    };
    trunks.command(Command::CreateOffer { session: A, bandwidth: Bandwidth::Narrow });
    assert_eq!(version(&trunks), "2");
    trunks.command(Command::CreateOffer { session: A, bandwidth: Bandwidth::Narrow });
    assert_eq!(version(&trunks), "2", "the one before was never agreed on");
    assert_eq!(payloads(&talk(&mut trunks, 5).1), [&SPEECH_OF_A[..]]);
    trunks.propose(A, peer(A), PCMU);
    assert_eq!(version(&trunks), "1", "the same answer as at first");
}

#[test]
fn music_goes_on_when_who_hears_it_changes_codec_or_hears_nothing_for_a_while() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(hold(A, true));
    trunks.offer(B, peer(B), PCMA);
    let to_b = talk(&mut trunks, 10).1;
    assert!(to_b.len() >= 9 && to_b.iter().all(|sent| sent.payload_type == 8));
    assert_eq!(payloads(&to_b).len(), 1);
    trunks.offer(B, peer(B), &format!("{PCMA}\r\na=inactive"));
    assert!(talk(&mut trunks, 5).1.is_empty());
    trunks.offer(B, peer(B), OPUS);
    let to_b = talk(&mut trunks, 10).1;
    assert!(to_b.len() >= 9 && to_b.iter().all(|sent| sent.payload_type == 111));
}

#[test]
fn a_digit_sent_to_who_is_held_is_heard_without_music() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(hold(A, true));
    talk(&mut trunks, 5);
    trunks.sent.clear();
    let duration = Duration::from_millis(200);
    trunks.command(Command::SendDigits { session: B, digits: "5".to_owned(), duration });
    trunks.wait(Duration::from_secs(1));
    let heard = trunks.to(B);
    let events: Vec<usize> = (0..heard.len()).filter(|n| heard[*n].payload_type == 101).collect();
    assert!(events.len() >= 5);
    let (first, last) = (events[0], events[events.len() - 1]);
    assert_eq!(last - first + 1, events.len(), "no music between the packets of a digit");
    assert!(heard.len() - last > 20, "and it goes on after");
}

#[test]
fn a_digit_pressed_while_holding_goes_nowhere_and_one_under_way_ends() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    let began = trunks.timestamp;
    trunks.press(began, &[5, 0x0a, 0, 160]);
    trunks.wait(FRAME);
    trunks.command(hold(A, true));
    trunks.wait(Duration::from_millis(300));
    let ended = trunks.to(B).iter().any(|sent| sent.payload_type == 101 && sent.payload[1] & 0x80 != 0);
    assert!(ended, "the digit does not sound on");
    trunks.sent.clear();
    trunks.press(began + 8000, &[7, 0x0a, 0, 160]);
    trunks.press(began + 8000, &[7, 0x8a, 3, 32]);
    trunks.wait(Duration::from_millis(300));
    assert!(trunks.to(B).iter().all(|sent| sent.payload_type == 0));
}

#[test]
fn who_holds_may_be_silent_and_counts_as_gone_only_after_it_resumed() {
    let silent = |trunks: &Trunks| trunks.events.iter().filter(|e| matches!(e, Event::Silent { session: A })).count();
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.say(0, 160, &SPEECH_OF_A);
    trunks.offer(A, peer(A), &format!("{PCMU}\r\na=inactive"));
    trunks.wait(Duration::from_secs(60));
    assert_eq!(silent(&trunks), 0);
    trunks.offer(A, peer(A), PCMU);
    trunks.wait(Duration::from_secs(9));
    assert_eq!(silent(&trunks), 0, "its time begins with the agreement");
    trunks.wait(Duration::from_secs(2));
    assert_eq!(silent(&trunks), 1);
}

#[test]
fn music_ends_with_the_holder() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(hold(A, true));
    trunks.wait(Duration::from_millis(100));
    trunks.command(Command::Close { session: A });
    trunks.sent.clear();
    trunks.wait(Duration::from_secs(1));
    assert!(trunks.to(B).is_empty());
    assert_eq!(state(&trunks, B).hears, Hears::Nothing);
}

#[test]
fn ringback_is_told_and_ends_with_the_join() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(Command::Ringback { session: A });
    assert_eq!((state(&trunks, A).hears, state(&trunks, B).hears), (Hears::Ringback, Hears::Nothing));
    trunks.command(Command::Bridge { a: A, b: B });
    assert_eq!((state(&trunks, A).hears, state(&trunks, B).hears), (Hears::Party, Hears::Party));
}

#[test]
fn who_waits_hears_music_until_it_is_joined_and_whom_it_talked_to_hears_nothing() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(Command::Music { session: A });
    let (to_a, to_b) = talk(&mut trunks, 50);
    assert_eq!(payloads(&to_a), [&music()[..]]);
    assert!((49..=51).contains(&to_a.len()), "{} frames of music in a second", to_a.len());
    assert!(to_b.is_empty(), "it is not heard");
    assert_eq!((state(&trunks, A).hears, state(&trunks, B).hears), (Hears::Music, Hears::Nothing));
    trunks.command(Command::Bridge { a: A, b: B });
    let (to_a, to_b) = talk(&mut trunks, 5);
    assert_eq!((payloads(&to_a), payloads(&to_b)), (vec![&SPEECH_OF_B[..]], vec![&SPEECH_OF_A[..]]));
    assert_eq!((state(&trunks, A).hears, state(&trunks, B).hears), (Hears::Party, Hears::Party));
    trunks.command(Command::Music { session: A });
    trunks.command(Command::Ringback { session: A });
    assert_eq!(state(&trunks, A).hears, Hears::Ringback);
}

#[test]
fn who_waits_and_holds_hears_music_again_when_it_resumes() {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    trunks.command(Command::Music { session: A });
    trunks.offer(A, peer(A), &format!("{PCMU}\r\na=sendonly"));
    assert!(talk(&mut trunks, 10).0.is_empty());
    assert_eq!(state(&trunks, A), MediaState { hold: Hold::Remote, hears: Hears::Nothing, ..MediaState::default() });
    trunks.offer(A, peer(A), PCMU);
    assert_eq!(payloads(&talk(&mut trunks, 10).0), [&music()[..]]);
    trunks.command(hold(A, true));
    assert!(talk(&mut trunks, 10).0.is_empty());
    trunks.command(hold(A, false));
    assert_eq!(payloads(&talk(&mut trunks, 10).0), [&music()[..]]);
    assert!(talk(&mut trunks, 5).1.is_empty(), "and the other one nothing of it");
}
