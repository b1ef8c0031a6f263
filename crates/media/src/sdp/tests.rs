//! What real peers offer, and what they get: descriptions as Chromium, Firefox, Twilio, Asterisk, baresip and SIPp write them.

use std::time::Duration;

use proptest::prelude::*;

use super::negotiate::Answer;
use super::*;
use crate::keying::Setup;

mod codecs;

const CHROMIUM: &[u8] = include_bytes!("../../tests/sdp/chromium.sdp");
const CHROMIUM_WITH_VIDEO: &[u8] = include_bytes!("../../tests/sdp/chromium-with-video.sdp");
const FIREFOX: &[u8] = include_bytes!("../../tests/sdp/firefox.sdp");
const TWILIO: &[u8] = include_bytes!("../../tests/sdp/twilio.sdp");
const ASTERISK: &[u8] = include_bytes!("../../tests/sdp/asterisk.sdp");
const BARESIP: &[u8] = include_bytes!("../../tests/sdp/baresip.sdp");
const SIPP: &[u8] = include_bytes!("../../tests/sdp/sipp.sdp");
const HOLD: &[u8] = include_bytes!("../../tests/sdp/hold-by-zero-address.sdp");
const IPV6: &[u8] = include_bytes!("../../tests/sdp/ipv6.sdp");
const ALL: [&[u8]; 9] = [CHROMIUM, CHROMIUM_WITH_VIDEO, FIREFOX, TWILIO, ASTERISK, BARESIP, SIPP, HOLD, IPV6];

fn local(keying: LocalKeying, codecs: &[Codec]) -> LocalMedia {
    LocalMedia {
        session_id: 7,
        version: 1,
        described: Vec::new(),
        settled: None,
        address: "192.0.2.1:3478".parse().expect("address"),
        codecs: codecs.to_vec(),
        bandwidth: Bandwidth::Narrow,
        ptime: Duration::from_millis(20),
        keying,
        ssrc: 99,
        cname: "cn".to_owned(),
        direction: Direction::SendRecv,
        dtmf: crate::command::Dtmf::Auto,
    }
}

fn browser() -> LocalMedia {
    let keying = LocalKeying::DtlsSrtp {
        ufrag: "ours".to_owned(),
        pwd: "our-password-of-24-chars".to_owned(),
        fingerprint: [0xab; 32],
        candidates: vec!["192.0.2.1:3478".parse().expect("address"), "[2001:db8::1]:3478".parse().expect("address")],
    };
    local(keying, &[Codec::Opus, Codec::Pcmu])
}

fn trunk(codecs: &[Codec]) -> LocalMedia {
    local(LocalKeying::Plain, codecs)
}

fn answer(local: &LocalMedia, offer: &[u8]) -> (String, Negotiated) {
    let answer = create_answer(&mut local.clone(), offer).expect("usable");
    (String::from_utf8(answer.sdp).expect("text"), answer.negotiated.expect("a stream"))
}

fn changed(offer: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(offer.to_vec()).expect("text");
    assert!(text.contains(from));
    text.replace(from, to).into_bytes()
}

#[test]
fn chromium_gets_opus_narrowband_and_the_digits_of_its_clock() {
    let (text, negotiated) = answer(&browser(), CHROMIUM);
    assert_eq!((negotiated.codec, negotiated.send_payload_type), (Codec::Opus, 111));
    let events: Vec<_> = negotiated.telephone_events.iter().map(|e| (e.send_payload_type, e.clock_rate)).collect();
    assert_eq!(events, [(110, 48_000), (126, 8000)]);
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111 110 126",
        "a=fmtp:111 minptime=10;useinbandfec=1;maxplaybackrate=8000;sprop-maxcapturerate=8000;maxaveragebitrate=24000",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 3478 typ host",
        "a=end-of-candidates",
        "a=ssrc:99 cname:cn",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
    assert!(text.contains("a=fingerprint:sha-256 AB:AB:"));
    let peer = negotiated.peer.expect("keyed");
    assert_eq!((peer.ufrag.as_str(), peer.setup), ("xB3k", Setup::Active));
    assert_eq!(peer.fingerprint.value.len(), 32);
}

#[test]
fn firefox_inherits_its_fingerprint_from_the_session_level() {
    let (text, negotiated) = answer(&browser(), FIREFOX);
    assert_eq!((negotiated.codec, negotiated.receive[0].0), (Codec::Opus, 109));
    assert_eq!(negotiated.telephone_events.first().map(|e| (e.send_payload_type, e.clock_rate)), Some((101, 8000)));
    assert!(negotiated.opus.fec && !negotiated.opus.dtx);
    assert_eq!(negotiated.opus.max_playback_rate, Some(48_000));
    assert_eq!(negotiated.direction, Direction::SendRecv, "0.0.0.0 before ICE is no hold");
    assert!(text.contains("m=audio 3478 UDP/TLS/RTP/SAVPF 109 101\r\n"));
}

#[test]
fn a_stream_we_do_not_take_is_answered_with_port_zero_in_its_place() {
    let (text, _) = answer(&browser(), CHROMIUM_WITH_VIDEO);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 UDP/TLS/RTP/SAVPF 96", "m=audio 3478 UDP/TLS/RTP/SAVPF 111 110"]);
    assert!(text.contains("a=group:BUNDLE a\r\n"));
}

#[test]
fn twilio_gets_pcmu_with_digits() {
    let (text, negotiated) = answer(&trunk(&[Codec::Pcmu, Codec::Pcma]), TWILIO);
    assert_eq!(negotiated.codec, Codec::Pcmu);
    assert_eq!(negotiated.remote_rtp.to_string(), "203.0.113.24:12846");
    assert_eq!(negotiated.remote_rtcp.port(), 12_847);
    assert!(text.contains("m=audio 3478 RTP/AVP 0 101\r\n"));
    assert!(!text.contains("ice") && !text.contains("rtcp-mux"));
}

#[test]
fn asterisk_holding_with_pcma_first_gets_our_preference_and_recvonly() {
    let (text, negotiated) = answer(&trunk(&[Codec::Pcmu, Codec::Pcma]), ASTERISK);
    assert_eq!(negotiated.codec, Codec::Pcmu, "our order decides");
    assert_eq!(negotiated.direction, Direction::RecvOnly);
    assert_eq!(negotiated.packets.map(|packets| packets.wanted), Some(Duration::from_millis(30)));
    assert_eq!(negotiated.remote_rtcp.port(), 18_100);
    assert!(text.contains("a=recvonly\r\n"));
    assert_eq!(answer(&trunk(&[Codec::Pcma]), ASTERISK).1.codec, Codec::Pcma);
}

#[test]
fn baresip_and_sipp_are_understood() {
    let negotiated = answer(&trunk(&[Codec::Pcmu]), BARESIP).1;
    assert_eq!((negotiated.remote_rtp.port(), negotiated.rtcp_mux), (33_424, false));
    let negotiated = answer(&trunk(&[Codec::Pcmu]), SIPP).1;
    assert_eq!((negotiated.codec, negotiated.telephone_events.len()), (Codec::Pcmu, 0));
}

#[test]
fn the_zero_address_is_a_hold_and_ipv6_is_an_address() {
    assert_eq!(answer(&trunk(&[Codec::Pcmu]), HOLD).1.direction, Direction::RecvOnly);
    assert_eq!(answer(&trunk(&[Codec::Pcmu]), IPV6).1.remote_rtp.to_string(), "[2001:db8::7]:18034");
}

#[test]
fn every_direction_is_answered_by_the_matrix() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let matrix = [
        (SendRecv, SendRecv, SendRecv),
        (SendRecv, SendOnly, SendOnly),
        (SendRecv, RecvOnly, RecvOnly),
        (SendRecv, Inactive, Inactive),
        (SendOnly, SendRecv, RecvOnly),
        (SendOnly, SendOnly, Inactive),
        (SendOnly, RecvOnly, RecvOnly),
        (SendOnly, Inactive, Inactive),
        (RecvOnly, SendRecv, SendOnly),
        (RecvOnly, SendOnly, SendOnly),
        (RecvOnly, RecvOnly, Inactive),
        (RecvOnly, Inactive, Inactive),
        (Inactive, SendRecv, Inactive),
        (Inactive, SendOnly, Inactive),
        (Inactive, RecvOnly, Inactive),
        (Inactive, Inactive, Inactive),
    ];
    for (offered, wanted, expected) in matrix {
        let offer = changed(TWILIO, "a=sendrecv", &format!("a={}", offered.attribute()));
        let mut ours = trunk(&[Codec::Pcmu]);
        ours.direction = wanted;
        let (text, negotiated) = answer(&ours, &offer);
        assert_eq!(negotiated.direction, expected, "{offered:?} {wanted:?}");
        assert!(text.contains(&format!("a={}\r\n", expected.attribute())));
    }
}

#[test]
fn a_peer_that_insists_on_being_passive_is_spoken_to_first() {
    let offer = changed(CHROMIUM, "a=setup:actpass", "a=setup:passive");
    let (text, negotiated) = answer(&browser(), &offer);
    assert!(text.contains("a=setup:active\r\n"));
    assert_eq!(negotiated.peer.map(|peer| peer.setup), Some(Setup::Passive));
}

#[test]
fn what_cannot_be_used_is_refused_in_words() {
    let pcmu = [Codec::Pcmu];
    let refused =
        |local: &LocalMedia, offer: &[u8]| create_answer(&mut local.clone(), offer).expect_err("unusable").to_string();
    assert_eq!(refused(&trunk(&pcmu), CHROMIUM), "UDP/TLS/RTP/SAVPF is not accepted on this leg");
    assert_eq!(refused(&browser(), TWILIO), "RTP/AVP is not accepted on this leg");
    assert_eq!(refused(&trunk(&[Codec::Opus]), TWILIO), "no audio codec in common");
    assert_eq!(refused(&trunk(&pcmu), &changed(TWILIO, "m=audio 12846", "m=audio 0")), "no usable audio stream");
    assert_eq!(refused(&browser(), &changed(CHROMIUM, "sha-256", "sha-1")), "certificate fingerprint not accepted");
    let named = changed(TWILIO, "c=IN IP4 203.0.113.24", "c=IN IP4 media.example.com");
    assert_eq!(refused(&trunk(&pcmu), &named), "the audio stream has no numeric address");
    assert!(refused(&trunk(&pcmu), b"hello").starts_with("malformed SDP"));
    assert!(refused(&trunk(&pcmu), &vec![b'a'; MAX_SDP + 1]).starts_with("malformed SDP"));
}

#[test]
fn our_offer_to_a_browser_and_its_answer_agree_on_opus() {
    let mut ours = browser();
    let offer = String::from_utf8(create_offer(&mut ours)).expect("text");
    assert!(offer.contains("m=audio 3478 UDP/TLS/RTP/SAVPF 111 0 110 101\r\n"));
    assert!(offer.contains("a=setup:actpass\r\n") && offer.contains("a=mid:0\r\n"));
    assert!(offer.contains("a=msid:patchcord audio\r\n"));
    let reply = changed(CHROMIUM, "a=setup:actpass", "a=setup:active");
    let negotiated = accept_answer(&mut ours, &reply).expect("usable");
    assert_eq!((negotiated.codec, negotiated.receive[0].0), (Codec::Opus, 111));
    let events: Vec<_> =
        negotiated.telephone_events.iter().map(|e| (e.send_payload_type, e.receive_payload_type)).collect();
    assert_eq!(events[..2], [(110, 110), (126, 101)]);
}

#[test]
fn an_answer_in_another_codec_order_takes_what_it_names_first() {
    let mut ours = trunk(&[Codec::Pcmu, Codec::Pcma]);
    assert_eq!(accept_answer(&mut ours, ASTERISK).expect("usable").codec, Codec::Pcma);
    assert_eq!(accept_answer(&mut browser(), CHROMIUM_WITH_VIDEO), Err(SdpError::Mismatch));
}

#[test]
fn what_we_write_we_can_read() {
    let offer = create_offer(&mut trunk(&[Codec::Pcmu, Codec::Pcma]));
    let Answer { sdp: reply, negotiated: ours } = create_answer(&mut trunk(&[Codec::Pcma]), &offer).expect("usable");
    let theirs = accept_answer(&mut trunk(&[Codec::Pcmu, Codec::Pcma]), &reply).expect("usable");
    assert_eq!((ours.map(|ours| ours.codec), theirs.codec), (Some(Codec::Pcma), Codec::Pcma));
    let offer = create_offer(&mut browser());
    assert_eq!(create_answer(&mut browser(), &offer).expect("usable").negotiated.map(|n| n.codec), Some(Codec::Opus));
}

/// The number after `o=- <session>`.
fn version(sdp: &[u8]) -> u64 {
    let text = String::from_utf8(sdp.to_vec()).expect("text");
    let origin = text.lines().find_map(|line| line.strip_prefix("o=- 7 ")).expect("our origin");
    origin.split(' ').next().and_then(|version| version.parse().ok()).expect("a version")
}

#[test]
fn the_version_rises_by_one_when_the_description_changes_and_only_then() {
    let mut ours = trunk(&[Codec::Pcmu]);
    ours.version = 0;
    let hold = changed(TWILIO, "a=sendrecv", "a=sendonly");
    let versions = [TWILIO, TWILIO, &hold, &hold, TWILIO].map(|offer| {
        let answer = create_answer(&mut ours, offer).expect("usable");
        version(&answer.sdp)
    });
    assert_eq!(versions, [1, 1, 2, 2, 3]);
    create_answer(&mut ours, &changed(TWILIO, "PCMU", "G729")).expect_err("no codec in common");
    assert_eq!(version(&create_answer(&mut ours, TWILIO).expect("usable").sdp), 3, "a refused offer changes nothing");
}

#[test]
fn our_next_offer_repeats_the_lines_and_numbers_of_the_peer() {
    let mut ours = browser();
    create_answer(&mut ours, CHROMIUM_WITH_VIDEO).expect("usable");
    let offer = String::from_utf8(create_offer(&mut ours)).expect("text");
    let lines: Vec<_> = offer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 UDP/TLS/RTP/SAVPF 96", "m=audio 3478 UDP/TLS/RTP/SAVPF 111 0 110 101"]);
    assert!(
        offer.contains("a=mid:a\r\n")
            && offer.contains("a=group:BUNDLE a\r\n")
            && offer.contains("a=setup:actpass\r\n")
    );
    // Numbers that mean something else to the peer are not used.
    let other = changed(FIREFOX, "101", "110");
    let mut ours = browser();
    create_answer(&mut ours, &other).expect("usable");
    let offer = String::from_utf8(create_offer(&mut ours)).expect("text");
    assert!(offer.contains("a=rtpmap:110 telephone-event/8000\r\n"), "{offer}");
    assert!(offer.contains("a=rtpmap:127 telephone-event/48000\r\n"), "{offer}");
    let reply = changed(&other, "a=setup:actpass", "a=setup:active");
    let negotiated = accept_answer(&mut ours, &reply).expect("usable");
    assert_eq!(negotiated.telephone_events.first().map(|e| (e.receive_payload_type, e.clock_rate)), Some((110, 8000)));
}

#[test]
fn an_answer_with_fewer_lines_than_our_next_offer_does_not_match() {
    let mut ours = browser();
    create_answer(&mut ours, CHROMIUM_WITH_VIDEO).expect("usable");
    let _ = create_offer(&mut ours);
    assert_eq!(accept_answer(&mut ours, CHROMIUM), Err(SdpError::Mismatch));
}

#[test]
fn the_dtls_role_stays_whatever_later_offers_leave_open() {
    for (first, role) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let mut ours = browser();
        create_answer(&mut ours, &changed(CHROMIUM, "setup:actpass", &format!("setup:{first}"))).expect("usable");
        let again = create_answer(&mut ours, CHROMIUM).expect("usable");
        assert!(String::from_utf8_lossy(&again.sdp).contains(&format!("a=setup:{role}\r\n")), "{first}");
    }
    let mut ours = browser();
    let _ = create_offer(&mut ours);
    accept_answer(&mut ours, &changed(CHROMIUM, "setup:actpass", "setup:passive")).expect("usable");
    let again = create_answer(&mut ours, CHROMIUM).expect("usable");
    assert!(String::from_utf8_lossy(&again.sdp).contains("a=setup:active\r\n"));
    assert_eq!(again.negotiated.and_then(|n| n.peer).map(|peer| peer.setup), Some(Setup::Passive));
}

#[test]
fn a_stream_switched_off_later_is_answered_with_port_zero_and_may_come_back() {
    for (mut ours, offer, port) in
        [(trunk(&[Codec::Pcmu]), TWILIO, "m=audio 12846"), (browser(), CHROMIUM, "m=audio 51472")]
    {
        create_answer(&mut ours, offer).expect("usable");
        let off = create_answer(&mut ours, &changed(offer, port, "m=audio 0")).expect("usable");
        let text = String::from_utf8(off.sdp).expect("text");
        assert!(text.contains("m=audio 0 ") && !text.contains("a=group") && !text.contains("sendrecv"), "{text}");
        assert_eq!(off.negotiated, None);
        let back = create_answer(&mut ours, offer).expect("usable");
        assert_eq!(back.negotiated.map(|negotiated| negotiated.direction), Some(Direction::SendRecv));
        assert!(String::from_utf8_lossy(&back.sdp).contains("m=audio 3478 "));
    }
}

#[test]
fn who_does_not_want_to_receive_holds_us() {
    for (attribute, receives) in [("sendrecv", true), ("recvonly", true), ("sendonly", false), ("inactive", false)] {
        let offer = changed(TWILIO, "a=sendrecv", &format!("a={attribute}"));
        for wanted in [Direction::SendRecv, Direction::Inactive] {
            let mut ours = trunk(&[Codec::Pcmu]);
            ours.direction = wanted;
            assert_eq!(answer(&ours, &offer).1.peer_receives, receives, "{attribute} {wanted:?}");
        }
    }
    assert!(!answer(&trunk(&[Codec::Pcmu]), HOLD).1.peer_receives);
}

#[test]
fn the_zero_address_is_a_browsers_hold_once_it_had_an_address() {
    let zero = changed(CHROMIUM, "c=IN IP4 192.0.2.44", "c=IN IP4 0.0.0.0");
    let mut ours = browser();
    assert!(create_answer(&mut ours, &zero).expect("usable").negotiated.is_some_and(|n| n.peer_receives));
    create_answer(&mut ours, CHROMIUM).expect("usable");
    let held = create_answer(&mut ours, &zero).expect("usable");
    assert_eq!(held.negotiated.map(|n| (n.peer_receives, n.direction)), Some((false, Direction::RecvOnly)));
}

proptest! {
    #[test]
    fn broken_descriptions_never_panic(
        which in 0..ALL.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut sdp = ALL.get(which).map(|sdp| sdp.to_vec()).unwrap_or_default();
        for (at, byte) in changes {
            let at = at.index(sdp.len());
            if let Some(slot) = sdp.get_mut(at) {
                *slot = byte;
            }
        }
        let cut = cut.index(sdp.len() * 4);
        sdp.truncate(cut.max(1));
        let _ = create_answer(&mut browser(), &sdp);
        let _ = create_answer(&mut trunk(&[Codec::Pcmu]), &sdp);
        let _ = accept_answer(&mut browser(), &sdp);
    }

    #[test]
    fn any_bytes_never_panic(sdp in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = create_answer(&mut browser(), &sdp);
    }
}
