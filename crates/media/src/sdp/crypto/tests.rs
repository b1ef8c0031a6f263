//! Who offers and answers what of SDES under which policy, by table; and what must be refused.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::*;
use crate::command::{Bandwidth, Codec, Dtmf};
use crate::sdp::negotiate::{accept_answer, create_answer, create_offer};
use crate::sdp::{Direction, Negotiated};
use SdesPolicy::{Optional, Required};

const TAG80: &str = "AES_CM_128_HMAC_SHA1_80";
const TAG32: &str = "AES_CM_128_HMAC_SHA1_32";
const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER: &str = "inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm";

fn local(keying: LocalKeying) -> LocalMedia {
    LocalMedia {
        session_id: 7,
        version: 0,
        described: Vec::new(),
        settled: None,
        address: "192.0.2.1:3478".parse().expect("address"),
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        bandwidth: Bandwidth::Narrow,
        ptime: std::time::Duration::from_millis(20),
        keying,
        ssrc: 99,
        cname: "cn".to_owned(),
        direction: Direction::SendRecv,
        dtmf: Dtmf::Auto,
    }
}

fn sdes(policy: SdesPolicy) -> LocalMedia {
    let keys = LocalCrypto::new(policy, &mut ChaCha12Rng::from_seed([9; 32]));
    local(LocalKeying::Sdes(Box::new(keys)))
}

/// A description of a peer's with one audio stream.
fn described(profile: &str, crypto: &[&str]) -> Vec<u8> {
    let lines: String = crypto.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    format!("{head}m=audio 30000 {profile} 0\r\n{lines}").into_bytes()
}

/// Our answer's m-line and crypto lines, and what was agreed on; or why not.
fn answered(local: &mut LocalMedia, offer: &[u8]) -> Result<(String, Vec<String>, Negotiated), String> {
    let answer = create_answer(local, offer).map_err(|error| error.to_string())?;
    let text = String::from_utf8(answer.sdp).expect("text");
    let profile = text.lines().find_map(|line| line.strip_prefix("m=audio 3478 ")).expect("a stream");
    Ok((profile.trim_end_matches(" 0").to_owned(), crypto_lines(&text), answer.negotiated.expect("a stream")))
}

fn crypto_lines(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("a=crypto:")).map(str::to_owned).collect()
}

/// Tag and suite of each of our lines.
fn names(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split(" inline:").next()).collect()
}

#[test]
fn an_offer_is_answered_as_the_policy_says() {
    let one = format!("1 {TAG80} {KEY}");
    let (short_first, unknown) = (format!("4 {TAG32} {KEY}"), format!("1 AES_192_CM_HMAC_SHA1_80 {KEY}"));
    let open = format!("1 {TAG80} {KEY} UNENCRYPTED_SRTP");
    let required = "RTP/AVP is not accepted on this leg, which requires RTP/SAVP with keys";
    let off = "RTP/SAVP is not accepted on this leg, whose media encryption is off";
    let none: [&str; 0] = [];
    let (plain, optional, strict) = (|| local(LocalKeying::Plain), || sdes(Optional), || sdes(Required));
    let makers: [&dyn Fn() -> LocalMedia; 3] = [&plain, &optional, &strict];
    // What is offered; then for off, optional and required: the suite answered ("" for none), or why it is refused.
    type Row<'a> = (&'a str, Vec<&'a str>, [Result<&'a str, &'a str>; 3]);
    let rows: [Row<'_>; 10] = [
        ("RTP/AVP", none.to_vec(), [Ok(""), Ok(""), Err(required)]),
        ("RTP/AVPF", none.to_vec(), [Ok(""), Ok(""), Err(required)]),
        ("RTP/SAVP", vec![&one], [Err(off), Ok("1 AES_CM_128_HMAC_SHA1_80"), Ok("1 AES_CM_128_HMAC_SHA1_80")]),
        ("RTP/SAVPF", vec![&one], [Err(off), Ok("1 AES_CM_128_HMAC_SHA1_80"), Ok("1 AES_CM_128_HMAC_SHA1_80")]),
        // Keys under RTP/AVP are a wish.
        ("RTP/AVP", vec![&one], [Ok(""), Ok("1 AES_CM_128_HMAC_SHA1_80"), Err(required)]),
        ("RTP/AVP", vec![&open], [Ok(""), Ok(""), Err(required)]),
        // The offerer's order counts, and what is not known to us does not.
        (
            "RTP/SAVP",
            vec![&unknown, &short_first, &one],
            [Err(off), Ok("4 AES_CM_128_HMAC_SHA1_32"), Ok("4 AES_CM_128_HMAC_SHA1_32")],
        ),
        (
            "RTP/SAVP",
            none.to_vec(),
            [Err(off), Err("the audio stream has no a=crypto line"), Err("the audio stream has no a=crypto line")],
        ),
        (
            "RTP/SAVP",
            vec![&unknown],
            [
                Err(off),
                Err("no a=crypto line can be used: its suite is not known"),
                Err("no a=crypto line can be used: its suite is not known"),
            ],
        ),
        (
            "RTP/SAVP",
            vec![&open],
            [
                Err(off),
                Err("no a=crypto line can be used: it wants packets without protection"),
                Err("no a=crypto line can be used: it wants packets without protection"),
            ],
        ),
    ];
    for (profile, crypto, expected) in rows {
        for (local, expected) in makers.iter().zip(expected) {
            let found = answered(&mut local(), &described(profile, &crypto));
            match (&found, expected) {
                (Ok((answered_profile, lines, negotiated)), Ok(suite)) => {
                    assert_eq!(answered_profile, profile, "{crypto:?}");
                    assert_eq!(names(lines).join(","), suite, "{profile} {crypto:?}");
                    assert_eq!(negotiated.keys.is_some(), !suite.is_empty());
                    assert!(!lines.iter().any(|line| line.contains(KEY)), "our key is another than theirs");
                }
                (Err(why), Err(expected)) => assert_eq!(why, expected, "{profile} {crypto:?}"),
                (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{profile} {crypto:?}: {found:?}, not {expected:?}"),
            }
        }
    }
}

#[test]
fn of_two_streams_the_one_that_the_policy_wants_is_taken() {
    let mut offer = described("RTP/AVP", &[]);
    offer.extend_from_slice(format!("m=audio 30002 RTP/SAVP 0\r\na=crypto:1 {TAG80} {KEY}\r\n").as_bytes());
    for (mut ours, port) in [(sdes(Optional), 30_002), (sdes(Required), 30_002), (local(LocalKeying::Plain), 30_000)] {
        let answer = create_answer(&mut ours, &offer).expect("usable");
        assert_eq!(answer.negotiated.map(|negotiated| negotiated.remote_rtp.port()), Some(port));
        let text = String::from_utf8(answer.sdp).expect("text");
        let refused = if port == 30_000 { "m=audio 0 RTP/SAVP 0\r\n" } else { "m=audio 0 RTP/AVP 0\r\n" };
        assert!(text.contains(refused), "{text}");
    }
}

#[test]
fn our_offer_lists_every_suite_with_a_key_of_its_own_and_the_one_every_carrier_takes_first() {
    let offer = create_offer(&mut sdes(Required));
    let text = String::from_utf8(offer).expect("text");
    assert!(text.contains("m=audio 3478 RTP/SAVP 0 8 101\r\n"), "{text}");
    let lines = crypto_lines(&text);
    let expected =
        ["1 AES_CM_128_HMAC_SHA1_80", "2 AEAD_AES_256_GCM", "3 AEAD_AES_128_GCM", "4 AES_CM_128_HMAC_SHA1_32"];
    assert_eq!(names(&lines), expected);
    let keys: std::collections::HashSet<_> = lines.iter().filter_map(|line| line.split("inline:").nth(1)).collect();
    assert_eq!(keys.len(), 4);
}

#[test]
fn an_answer_names_one_line_of_our_offer_or_is_refused() {
    let none = "the a=crypto line of the answer is none of the offer's";
    let required = "RTP/AVP is not accepted on this leg, which requires RTP/SAVP with keys";
    let line = |tag: u32, suite: &str, key: &str| format!("{tag} {suite} {key}");
    let (right, wrong_tag, no_tag) = (line(1, TAG80, KEY), line(4, TAG80, KEY), line(5, TAG80, KEY));
    let short = line(4, TAG32, KEY);
    let open = format!("1 {TAG80} {KEY} UNAUTHENTICATED_SRTP");
    type Row<'a> = (&'a str, Vec<&'a str>, Result<bool, &'a str>, Result<bool, &'a str>);
    let rows: [Row<'_>; 9] = [
        ("RTP/SAVP", vec![&right], Ok(true), Ok(true)),
        ("RTP/SAVP", vec![&short], Ok(true), Ok(true)),
        ("RTP/SAVP", vec![&wrong_tag], Err(none), Err(none)),
        ("RTP/SAVP", vec![&no_tag], Err(none), Err(none)),
        ("RTP/SAVP", vec![&right, &short], Err(none), Err(none)),
        ("RTP/SAVP", vec![], Err(none), Err(none)),
        (
            "RTP/SAVP",
            vec![&open],
            Err("no a=crypto line can be used: it wants packets without protection"),
            Err("no a=crypto line can be used: it wants packets without protection"),
        ),
        ("RTP/AVP", vec![], Ok(false), Err(required)),
        ("RTP/AVP", vec![&right], Ok(true), Err(required)),
    ];
    for (profile, crypto, optional, strict) in rows {
        for (policy, expected) in [(Optional, optional), (Required, strict)] {
            let mut ours = sdes(policy);
            let _ = create_offer(&mut ours);
            let found = accept_answer(&mut ours, &described(profile, &crypto));
            let found = found.map(|negotiated| negotiated.keys.is_some()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{policy:?} {profile} {crypto:?}");
        }
    }
}

#[test]
fn our_own_offer_sent_back_is_no_answer() {
    let mut ours = sdes(Required);
    let offer = create_offer(&mut ours);
    let text = String::from_utf8(offer).expect("text");
    let own = crypto_lines(&text).first().cloned().expect("a line");
    let answer = described("RTP/SAVP", &[&own]);
    assert_eq!(
        accept_answer(&mut ours, &answer).map_err(|error| error.to_string()),
        Err("the peer's key is our own".to_owned())
    );
}

#[test]
fn later_offers_repeat_our_key_and_what_was_agreed_on_whoever_offers() {
    let mut ours = sdes(Optional);
    let offer = String::from_utf8(create_offer(&mut ours)).expect("text");
    let second = crypto_lines(&offer).get(3).cloned().expect("a line");
    accept_answer(&mut ours, &described("RTP/SAVP", &[&format!("4 {TAG32} {KEY}")])).expect("usable");
    let again = String::from_utf8(create_offer(&mut ours)).expect("text");
    assert!(again.contains("m=audio 3478 RTP/SAVP "), "{again}");
    assert_eq!(crypto_lines(&again), std::slice::from_ref(&second), "one line: the tag, suite and key in use");
    // The peer re-keys itself: ours stays.
    let agreed = accept_answer(&mut ours, &described("RTP/SAVP", &[&format!("4 {TAG32} {OTHER}")])).expect("usable");
    let keys = agreed.keys.expect("encrypted");
    let (_, lines, negotiated) =
        answered(&mut ours, &described("RTP/SAVP", &[&format!("9 {TAG32} {OTHER}")])).expect("usable");
    assert_eq!(negotiated.keys, Some(keys));
    assert_eq!(lines, [second.replacen('4', "9", 1)], "under the peer's tag");
}

#[test]
fn a_second_answer_may_choose_another_line_of_the_offer() {
    let mut ours = sdes(Required);
    let _ = create_offer(&mut ours);
    accept_answer(&mut ours, &described("RTP/SAVP", &[&format!("1 {TAG80} {KEY}")])).expect("usable");
    let second = accept_answer(&mut ours, &described("RTP/SAVP", &[&format!("4 {TAG32} {OTHER}")])).expect("usable");
    assert_eq!(second.keys.map(|keys| keys.ours.suite()), Some(Suite::AesCm128HmacSha1Tag32));
}

#[test]
fn a_session_once_encrypted_is_never_downgraded_and_one_in_the_clear_may_become_encrypted() {
    let (encrypted, plain) = (described("RTP/SAVP", &[&format!("1 {TAG80} {KEY}")]), described("RTP/AVP", &[]));
    let mut ours = sdes(Optional);
    assert!(answered(&mut ours, &plain).expect("usable").2.keys.is_none());
    let offer = String::from_utf8(create_offer(&mut ours)).expect("text");
    assert!(offer.contains(" RTP/AVP ") && crypto_lines(&offer).is_empty(), "{offer}");
    assert!(answered(&mut ours, &encrypted).expect("usable").2.keys.is_some());
    let before = ours.clone();
    for policy in ["offer", "answer"] {
        let refused = match policy {
            "offer" => create_answer(&mut ours, &plain).map(drop),
            _ => accept_answer(&mut ours, &plain).map(drop),
        };
        assert_eq!(refused.map_err(|error| error.to_string()), Err("the stream is encrypted and stays so".to_owned()));
        assert_eq!(ours.keying, before.keying);
    }
    // Switched off and on again it is what it was.
    let off = String::from_utf8(encrypted.clone()).expect("text").replace("m=audio 30000", "m=audio 0");
    assert_eq!(create_answer(&mut ours, off.as_bytes()).expect("usable").negotiated, None);
    assert!(create_answer(&mut ours, &plain).is_err());
    assert!(answered(&mut ours, &encrypted).expect("usable").2.keys.is_some());
}
