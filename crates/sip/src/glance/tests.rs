use super::*;

fn cleaned(message: &str) -> String {
    String::from_utf8(without_secrets(message.as_bytes()).into_owned()).unwrap()
}

#[test]
fn a_glance_says_what_a_message_is_and_whose() {
    let cases = [
        ("INVITE sip:100@a SIP/2.0\r\nCall-ID: x@y\r\nCSeq: 1 INVITE\r\n\r\n", ("INVITE sip:100@a", "x@y", "INVITE")),
        ("\r\nSIP/2.0 183 Session Progress\r\ni : x\r\ncseq:7  BYE\r\n\r\n", ("183 Session Progress", "x", "BYE")),
        ("BYE sip:a SIP/2.0\nCSeq: 2\n BYE\nCALL-ID:\n folded\n\n", ("BYE sip:a", "folded", "BYE")),
    ];
    for (message, (summary, call_id, method)) in cases {
        let glance = Glance::of(message.as_bytes()).unwrap();
        assert_eq!((&*glance.summary, &*glance.call_id, &*glance.method), (summary, call_id, method));
    }
    for message in
        ["", "\r\n\r\n", "GET / HTTP/1.1\r\nCall-ID: x\r\nCSeq: 1 A\r\n\r\n", "SIP/2.0 200 OK\r\nCSeq: 1 A\r\n\r\n"]
    {
        assert_eq!(Glance::of(message.as_bytes()), None, "{message}");
    }
}

#[test]
fn nothing_that_lets_its_reader_in_or_listen_stays_in_a_message() {
    let kept = [
        "username=\"100\"",
        "realm=\"our realm\"",
        "uri=\"sip:200@x\"",
        "nc=00000001",
        "Digest",
        "alice",
        "inline:",
        "Duration=160",
    ];
    let message = "INVITE sip:alice:SECRET1@host;a=b SIP/2.0\r\n\
        Call-ID: keep-me\r\n\
        Authorization: Digest username=\"100\", realm=\"our realm\",\r\n nonce=\"SECRET2\", uri=\"sip:200@x\",\r\n\
        \tresponse=\"SECRET3\", cnonce=\"SECRET4\", opaque=\"SECRET5\", nc=00000001\r\n\
        PROXY-AUTHORIZATION : Bearer SECRET6\r\n\
        Proxy-Authorization: digest RESPONSE=SECRET7,username=\"a, response=\"SECRET8\"\r\n\
        WWW-Authenticate: Digest realm=\"r\", nonce=\"SECRET9\", Digest nonce=\"SECRET10\"\r\n\
        Proxy-Authenticate:Digest nonce=SECRET11\r\n\
        Authentication-Info: nextnonce=\"SECRET12\", rspauth=\"SECRET13\", cnonce=\"SECRET14\"\r\n\
        Authorization: SECRET15\r\n\
        Authorization: username=\"SECRET16\"\r\n\
        Contact: \"Bob\" <SIPS:bob:SECRET17@host>, <sip:carol:SECRET18@host>\r\n\
        Refer-To: <sip:a@b?Replaces=x&Authorization=Digest%20SECRET19&Subject=y>\r\n\
        Content-Type: application/dtmf-relay\r\n\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET20|2^20|1:4;inline:SECRET21\r\n\
        A=CRYPTO:SECRET22\r\na=ice-pwd:SECRET23\ra=ice-pwd:SECRET24\nk=base64:SECRET25\r\na=key-mgmt:mikey SECRET26\r\n\
        Signal=SECRET27\r\nDuration=160";
    let clean = cleaned(message);
    assert!(!clean.to_ascii_uppercase().contains("SECRET"), "{clean}");
    for text in kept.iter().chain(&["keep-me", "realm=\"r\"", "Replaces=x&", "&Subject=y>", "AES_CM_128_HMAC_SHA1_80"])
    {
        assert!(clean.contains(text), "{text} in {clean}");
    }
    assert_eq!(cleaned(&clean), clean, "what is clean stays as it is");
}

#[test]
fn a_message_without_secrets_is_not_touched() {
    let message = "INVITE sip:200@x:5060;transport=tcp SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nReplaces: x;to-tag=y;from-tag=z\r\n\r\nv=0\r\n\
        a=fingerprint:sha-256 AA:BB\r\nm=audio 4000 RTP/AVP 0";
    assert!(matches!(without_secrets(message.as_bytes()), Cow::Borrowed(_)));
}
