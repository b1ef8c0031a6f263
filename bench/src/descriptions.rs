//! Descriptions (SDP) as peers really send them, and as a shard writes them.

/// Chromium's for one microphone, its codecs and header extensions included: an offer, where `setup` is `actpass`, or an answer.
#[must_use]
pub fn browser(setup: &str) -> String {
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n\
         a=msid-semantic: WMS 8f1d2a54-7f3e-4a0b-9f5b-0d6f0c6d9a11\r\n\
         m=audio 51372 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 192.0.2.10\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:2350640581 1 udp 2122260223 192.0.2.10 51372 typ host generation 0 network-id 1 network-cost 10\r\n\
         a=candidate:1191823921 1 udp 2122194687 198.51.100.77 51373 typ host generation 0 network-id 2 network-cost 10\r\n\
         a=candidate:4052123101 1 tcp 1518280447 192.0.2.10 9 typ host tcptype active generation 0 network-id 1 network-cost 10\r\n\
         a=ice-ufrag:Zk4r\r\na=ice-pwd:k9yU2c6nq3dJfCq1pVv0dWfR\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=mid:0\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
         a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
         a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendrecv\r\n\
         a=msid:8f1d2a54-7f3e-4a0b-9f5b-0d6f0c6d9a11 1b0d6e26-2d5f-4a9a-8a5e-5d2b6d4e8f0a\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
         a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
         a=ssrc:3735928559 cname:Qm9vdHN0cmFwIGJpbGw\r\n\
         a=ssrc:3735928559 msid:8f1d2a54-7f3e-4a0b-9f5b-0d6f0c6d9a11 1b0d6e26-2d5f-4a9a-8a5e-5d2b6d4e8f0a\r\n",
        ["A5"; 32].join(":")
    )
}

/// A carrier's, an offer of G.711 or an answer.
#[must_use]
pub fn trunk() -> String {
    "v=0\r\no=- 8000 8001 IN IP4 198.51.100.1\r\ns=SIP Call\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 16402 RTP/AVP 8 0 101\r\n\
     a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        .to_owned()
}

/// A shard's answer to a browser.
#[must_use]
pub fn to_browser() -> Vec<u8> {
    format!(
        "v=0\r\no=- 2718281828 1 IN IP4 203.0.113.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-lite\r\n\
         m=audio 40000 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 203.0.113.1\r\na=rtcp-mux\r\na=mid:0\r\na=sendrecv\r\n\
         a=candidate:1 1 udp 2130706431 203.0.113.1 40000 typ host\r\na=end-of-candidates\r\n\
         a=ice-ufrag:0a1b2c3d4e5f6071\r\na=ice-pwd:0a1b2c3d4e5f60718293a4b5c6d7e8f9\r\na=fingerprint:sha-256 {}\r\n\
         a=setup:passive\r\na=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1;minptime=10\r\n\
         a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\na=ptime:20\r\na=ssrc:1234567890 cname:patchcord\r\n",
        ["5A"; 32].join(":")
    )
    .into_bytes()
}

/// A shard's towards a trunk, as long as it really is.
#[must_use]
pub fn to_trunk() -> Vec<u8> {
    trunk().replace("198.51.100.1", "203.0.113.1").into_bytes()
}
