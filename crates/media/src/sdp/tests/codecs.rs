//! Codecs, packet lengths, comfort noise and payload type numbers of trunks.

use super::*;

/// A trunk's offer of these formats, and attributes.
fn offer(formats: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n"
    )
    .into_bytes()
}

#[test]
fn g722_needs_no_rtpmap_and_counts_at_8000() {
    let (text, negotiated) = answer(&trunk(&[Codec::G722, Codec::Pcmu]), &offer("0 9"));
    assert_eq!((negotiated.codec, negotiated.send_payload_type), (Codec::G722, 9));
    assert!(text.contains("RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"), "{text}");
    assert_eq!(answer(&trunk(&[Codec::G722]), &offer("112\r\na=rtpmap:112 g722/8000")).1.send_payload_type, 112);
    let mut ours = trunk(&[Codec::G722, Codec::Pcma]);
    let text = String::from_utf8(create_offer(&mut ours)).expect("text");
    assert!(text.contains("RTP/AVP 9 8 101\r\n"), "{text}");
    assert_eq!(accept_answer(&mut ours, &offer("9")).expect("usable").codec, Codec::G722);
}

#[test]
fn a_browser_is_asked_for_as_much_as_the_far_side_can_use() {
    let asked = |bandwidth| answer(&LocalMedia { bandwidth, ..browser() }, CHROMIUM).0;
    assert!(asked(Bandwidth::Narrow).contains("maxplaybackrate=8000;"));
    assert!(
        asked(Bandwidth::Wide).contains("maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=32000")
    );
    assert!(!asked(Bandwidth::Full).contains("maxplaybackrate"));
}

#[test]
fn packets_are_as_long_as_the_peer_asks_else_as_we_would_like_and_never_longer_than_it_takes() {
    let ours = LocalMedia { ptime: Duration::from_millis(30), ..trunk(&[Codec::Pcma]) };
    let packets = |attributes: &str| {
        let (text, negotiated) = answer(&ours, &offer(&format!("8{attributes}")));
        assert!(text.contains("a=ptime:30\r\n"), "{text}");
        crate::packer::Target::new(&negotiated).duration().as_millis()
    };
    assert_eq!(packets(""), 30);
    assert_eq!(packets("\r\na=ptime:40"), 40);
    assert_eq!(packets("\r\na=ptime:20.0"), 20);
    assert_eq!(packets("\r\na=ptime:10\r\na=maxptime:150"), 10);
    assert_eq!(packets("\r\na=maxptime:20"), 20);
    assert_eq!(packets("\r\na=ptime:40\r\na=maxptime:25"), 20);
    assert_eq!(packets("\r\na=ptime:5"), 10);
    assert_eq!(packets("\r\na=ptime:100"), 60);
    assert_eq!(packets("\r\na=ptime:0"), 30);
}

#[test]
fn comfort_noise_is_taken_when_offered_with_a_codec_of_its_clock_and_never_offered() {
    let formats = "0 96 13 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 CN/16000";
    let (text, negotiated) = answer(&trunk(&[Codec::Pcmu]), &offer(formats));
    assert!(text.contains("RTP/AVP 0 13\r\n") && text.contains("a=rtpmap:13 CN/8000\r\n"), "{text}");
    assert_eq!(negotiated.comfort_noise[..], [13]);
    let (text, _) = answer(&trunk(&[Codec::Opus]), &offer(formats));
    assert!(text.contains("RTP/AVP 96\r\n") && !text.contains("CN/"), "{text}");
    let (_, negotiated) = answer(&trunk(&[Codec::G722]), &offer("9 118\r\na=rtpmap:118 CN/8000"));
    assert_eq!(negotiated.comfort_noise[..], [118]);
    assert!(!String::from_utf8_lossy(&create_offer(&mut trunk(&[Codec::Pcmu]))).contains("CN/"));
    let (text, _) = answer(&browser(), &changed(CHROMIUM, "a=rtpmap:111 opus/48000/2", "a=rtpmap:111 unknown/48000/2"));
    assert!(text.contains(" 0 ") && !text.contains("CN/"), "{text}");
}

#[test]
fn an_answer_with_numbers_of_its_own_is_sent_to_by_those_and_understood_by_both() {
    let mut ours = trunk(&[Codec::Opus, Codec::G722]);
    let _ = create_offer(&mut ours);
    let formats = "97 127 96\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:127 telephone-event/48000\r\na=rtpmap:96 telephone-event/8000";
    let negotiated = accept_answer(&mut ours, &offer(formats)).expect("usable");
    assert_eq!((negotiated.codec, negotiated.send_payload_type), (Codec::Opus, 97));
    assert_eq!(negotiated.receive[..], [(111, Codec::Opus), (97, Codec::Opus)]);
    let events = negotiated.telephone_events.iter();
    let events: Vec<_> = events.map(|e| (e.send_payload_type, e.receive_payload_type, e.clock_rate)).collect();
    assert_eq!(events, [(127, 110, 48_000), (96, 101, 8000), (127, 127, 48_000), (96, 96, 8000)]);
    // A number of ours means what we said, whatever it is in the answer.
    let formats = "9 110 0\r\na=rtpmap:110 telephone-event/8000";
    let negotiated = accept_answer(&mut ours, &offer(formats)).expect("usable");
    let events = negotiated.telephone_events.iter();
    let events: Vec<_> = events.map(|e| (e.send_payload_type, e.receive_payload_type, e.clock_rate)).collect();
    assert_eq!(events, [(110, 101, 8000)]);
}
