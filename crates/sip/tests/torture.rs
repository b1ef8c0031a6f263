//! RFC 4475: all 49 torture messages, each with its verdict. The files are the messages byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod support;

use sip::{Message, Method, Request, Response, Uri};
use support::{Side, event_word, udp};

/// What becomes of a message in the parser.
enum Verdict {
    /// Accepted; the check looks at what matters in it.
    Request(fn(&Request)),
    /// Accepted.
    Response(fn(&Response)),
    /// The parser refuses and gives the answer with this status.
    Refused(u16),
    /// The parser refuses and nobody can be answered.
    Dropped,
}

use Verdict::{Dropped, Refused};

fn user(uri: &Uri) -> String {
    uri.user().unwrap().into_owned()
}

fn verdicts() -> Vec<(&'static str, Verdict)> {
    let mut all = valid();
    all.extend(malformed());
    all.extend(semantic());
    all
}

/// Section 3.1.1 and 3.4.
fn valid() -> Vec<(&'static str, Verdict)> {
    vec![
        (
            "wsinv",
            Verdict::Request(|r| {
                let hops: Vec<_> = r.headers.vias().unwrap().iter().map(|v| v.branch().unwrap().into_owned()).collect();
                assert_eq!(hops, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
                assert_eq!(r.headers.to().unwrap().unwrap().tag().unwrap(), "1918181833n");
                assert_eq!(r.headers.from().unwrap().unwrap().display.as_deref(), Some("J Rosenberg \\\""));
                assert_eq!((r.headers.max_forwards(), r.headers.cseq().unwrap().unwrap().number), (Ok(Some(68)), 9));
                assert_eq!(r.headers.get("NewFangledHeader"), Some("newfangled value continued newfangled value"));
                assert_eq!(r.headers.get("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
                assert_eq!((r.headers.get("Subject"), r.body.len()), (Some(""), 150));
                let contacts = r.headers.contacts().unwrap();
                assert_eq!(contacts.first().unwrap().address.display.as_deref(), Some("Quoted string \"\""));
                assert_eq!(contacts.first().unwrap().q(), Some(330));
            }),
        ),
        (
            "intmeth",
            Verdict::Request(|r| {
                assert_eq!(r.method, Method::Other("!interesting-Method0123456789_*+`.%indeed'~".into()));
                let to = r.headers.to().unwrap().unwrap();
                assert_eq!(to.display.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
                assert_eq!(r.headers.from().unwrap().unwrap().tag().unwrap(), "_token~1'+`*%!-.");
                assert_eq!(r.headers.get("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
            }),
        ),
        (
            "esc01",
            Verdict::Request(|r| {
                assert_eq!(user(&r.uri), "sips:user@example.com");
                assert_eq!(user(&r.headers.to().unwrap().unwrap().uri), "user");
                assert_eq!(user(&r.headers.from().unwrap().unwrap().uri), "I have spaces");
            }),
        ),
        (
            "escnull",
            Verdict::Request(|r| {
                assert_eq!(user(&r.headers.to().unwrap().unwrap().uri), "null-\0-null");
                let contacts = r.headers.contacts().unwrap();
                let contacts = contacts.list();
                assert_eq!(contacts.iter().map(|c| user(c.uri())).collect::<Vec<_>>(), ["\0", "\0\0"]);
            }),
        ),
        (
            "esc02",
            Verdict::Request(|r| {
                assert_eq!(r.method, Method::Other("RE%47IST%45R".into()));
                assert_eq!(r.headers.to().unwrap().unwrap().display.as_deref(), Some("%Z%45"));
                let contacts = r.headers.contacts().unwrap();
                let contacts = contacts.list();
                assert_eq!(contacts.len(), 2);
            }),
        ),
        (
            "lwsdisp",
            Verdict::Request(|r| {
                assert_eq!(r.headers.from().unwrap().unwrap().display.as_deref(), Some("caller"));
            }),
        ),
        (
            "longreq",
            Verdict::Request(|r| {
                assert_eq!((r.headers.vias().unwrap().len(), r.body.len()), (34, 150));
                assert_eq!(r.headers.from().unwrap().unwrap().tag().unwrap().len(), 155);
            }),
        ),
        ("dblreq", Verdict::Request(|r| assert_eq!((&r.method, r.body.len()), (&Method::Register, 0)))),
        ("semiuri", Verdict::Request(|r| assert_eq!(user(&r.uri), "user;par=u@example.net"))),
        (
            "transports",
            Verdict::Request(|r| {
                let transports: Vec<_> = r.headers.vias().unwrap().into_iter().map(|v| v.transport).collect();
                assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
            }),
        ),
        (
            "mpart01",
            Verdict::Request(|r| {
                assert_eq!(r.headers.content_type().as_deref(), Some("multipart/mixed"));
                assert!(r.body.len() == 553 && r.body.contains(&0));
            }),
        ),
        (
            "unreason",
            Verdict::Response(|r| {
                assert_eq!(r.reason, "= 2**3 * 5**2 но сто девяносто девять - простое");
            }),
        ),
        ("noreason", Verdict::Response(|r| assert_eq!((r.status.code(), r.reason.as_str()), (100, "")))),
        (
            "inv2543",
            Verdict::Request(|r| {
                assert!(!r.headers.top_via().unwrap().unwrap().has_rfc3261_branch());
                assert_eq!(r.body.len(), 105);
            }),
        ),
    ]
}

/// Section 3.1.2.
fn malformed() -> Vec<(&'static str, Verdict)> {
    vec![
        // Its topmost Via is what is broken: no answer could be matched.
        ("badinv01", Dropped),
        ("clerr", Refused(400)),
        ("ncl", Refused(400)),
        ("scalar02", Refused(400)),
        ("scalarlg", Dropped),
        ("quotbal", Refused(400)),
        ("ltgtruri", Refused(400)),
        ("lwsruri", Refused(400)),
        ("lwsstart", Refused(400)),
        ("trws", Refused(400)),
        ("escruri", Refused(400)),
        // Nobody here acts on Date, so that its odd time zone harms nobody (§3.1.2.12 allows this).
        ("baddate", Verdict::Request(|r| assert!(r.headers.get("Date").unwrap().ends_with("EST")))),
        ("regbadct", Refused(400)),
        ("badaspec", Refused(400)),
        ("baddn", Refused(400)),
        ("badvers", Refused(505)),
        ("mismatch01", Refused(400)),
        ("mismatch02", Refused(400)),
        ("bigcode", Dropped),
    ]
}

/// Sections 3.2 and 3.3.
fn semantic() -> Vec<(&'static str, Verdict)> {
    vec![
        // The cookie alone names no transaction: treated like RFC 2543, by all the fields.
        ("badbranch", Verdict::Request(|r| assert!(!r.headers.top_via().unwrap().unwrap().has_rfc3261_branch()))),
        ("insuf", Refused(400)),
        ("unkscm", Verdict::Request(|r| assert!(r.uri.as_sip().is_none()))),
        ("novelsc", Verdict::Request(|r| assert_eq!(r.uri.scheme(), "soap.beep"))),
        ("unksm2", Verdict::Request(|r| assert_eq!(r.headers.to().unwrap().unwrap().uri.scheme(), "isbn"))),
        (
            "bext01",
            Verdict::Request(|r| {
                assert_eq!(r.headers.require(), ["nothingSupportsThis", "nothingSupportsThisEither"]);
            }),
        ),
        (
            "invut",
            Verdict::Request(|r| assert_eq!(r.headers.content_type().as_deref(), Some("application/unknownformat"))),
        ),
        (
            "regaut01",
            Verdict::Request(|r| assert!(!r.headers.auth_params("Authorization").any(|auth| auth.is_digest()))),
        ),
        ("multi01", Refused(400)),
        ("mcl01", Refused(400)),
        ("bcast", Verdict::Response(|r| assert_eq!(r.headers.vias().unwrap().len(), 2))),
        ("zeromf", Verdict::Request(|r| assert_eq!(r.headers.max_forwards(), Ok(Some(0))))),
        (
            "cparam01",
            Verdict::Request(|r| {
                let contacts = r.headers.contacts().unwrap();
                let contact = contacts.first().unwrap();
                assert!(contact.address.params.contains("unknownparam") && contact.uri().params().unwrap().is_empty());
            }),
        ),
        (
            "cparam02",
            Verdict::Request(|r| {
                let contacts = r.headers.contacts().unwrap();
                let contact = contacts.first().unwrap();
                assert!(contact.address.params.is_empty() && contact.uri().params().unwrap().contains("unknownparam"));
            }),
        ),
        (
            "regescrt",
            Verdict::Request(|r| {
                let contacts = r.headers.contacts().unwrap();
                assert_eq!(contacts.first().unwrap().uri().as_sip().unwrap().headers.len(), 1);
            }),
        ),
        ("sdp01", Verdict::Request(|r| assert_eq!(r.headers.get("Accept"), Some("text/nobodyKnowsThis")))),
    ]
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/torture/{name}.dat", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn each_message_of_rfc_4475_meets_its_verdict() {
    let verdicts = verdicts();
    assert_eq!(verdicts.len(), 49);
    for (name, verdict) in verdicts {
        println!("{name}");
        match (verdict, Message::parse(&file(name))) {
            (Verdict::Request(check), Ok(Message::Request(request))) => check(&request),
            (Verdict::Response(check), Ok(Message::Response(response))) => check(&response),
            (Refused(status), Err(error)) => {
                let answer = error.answer().unwrap_or_else(|| panic!("{name}: {error}"));
                assert_eq!(answer.status.code(), status, "{name}: {error}");
                assert!(answer.headers.contains("Via") && answer.headers.contains("CSeq"), "{name}");
            }
            (Dropped, Err(error)) => assert_eq!(error.answer(), None, "{name}: {error}"),
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}

/// What an endpoint sends and tells: statuses and events.
const OUTCOMES: [(&str, &str); 49] = [
    // Inside a dialog that does not exist here.
    ("wsinv", "481"),
    ("intmeth", "501"),
    ("esc01", "100 invite"),
    ("escnull", "request REGISTER"),
    ("esc02", "501"),
    ("lwsdisp", "request OPTIONS"),
    ("longreq", "100 invite"),
    // The second message is behind the end of the first (§3.1.1.8).
    ("dblreq", "request REGISTER"),
    ("semiuri", "request OPTIONS"),
    ("transports", "request OPTIONS"),
    ("mpart01", "request MESSAGE"),
    // Responses to nothing of ours.
    ("unreason", ""),
    ("noreason", ""),
    ("inv2543", "100 invite"),
    ("badinv01", "malformed"),
    ("clerr", "400 malformed answered"),
    ("ncl", "400 malformed answered"),
    ("scalar02", "400 malformed answered"),
    ("scalarlg", "malformed"),
    ("quotbal", "400 malformed answered"),
    ("ltgtruri", "400 malformed answered"),
    ("lwsruri", "400 malformed answered"),
    ("lwsstart", "400 malformed answered"),
    ("trws", "400 malformed answered"),
    ("escruri", "400 malformed answered"),
    ("baddate", "100 invite"),
    ("regbadct", "400 malformed answered"),
    ("badaspec", "400 malformed answered"),
    ("baddn", "400 malformed answered"),
    ("badvers", "505 malformed answered"),
    ("mismatch01", "400 malformed answered"),
    ("mismatch02", "400 malformed answered"),
    ("bigcode", "malformed"),
    ("badbranch", "request OPTIONS"),
    ("insuf", "400 malformed answered"),
    ("unkscm", "416"),
    ("novelsc", "416"),
    ("unksm2", "request REGISTER"),
    ("bext01", "420"),
    ("invut", "415"),
    ("regaut01", "request REGISTER"),
    ("multi01", "400 malformed answered"),
    ("mcl01", "400 malformed answered"),
    ("bcast", ""),
    // An endpoint does as if there were hops left (§3.3.11).
    ("zeromf", "request OPTIONS"),
    ("cparam01", "request REGISTER"),
    ("cparam02", "request REGISTER"),
    ("regescrt", "request REGISTER"),
    ("sdp01", "406"),
];

/// What an endpoint does about a message; its responses are read by their first line, because some repeat what is wrong with the request.
fn outcome(side: &mut Side, bytes: &[u8]) -> String {
    side.endpoint.handle_message(side.now, udp(), bytes);
    let sent = std::iter::from_fn(|| side.endpoint.poll_transmit());
    let statuses = sent.map(|transmit| String::from_utf8_lossy(&transmit.bytes[8..11]).into_owned());
    let mut words: Vec<String> = statuses.collect();
    words.extend(side.events().iter().map(event_word));
    words.join(" ")
}

#[test]
fn an_endpoint_answers_each_message_as_it_should() {
    let names: Vec<&str> = verdicts().into_iter().map(|(name, _)| name).collect();
    for (name, expected) in OUTCOMES {
        assert!(names.contains(&name));
        assert_eq!(outcome(&mut Side::new(), &file(name)), expected, "{name}");
    }
}

#[test]
fn what_is_refused_is_told_what_would_be_taken() {
    for (name, header, value) in [
        ("bext01", "Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),
        ("invut", "Accept", "application/sdp"),
        ("sdp01", "Warning", "399 192.0.2.1 \"No answer can be given but in application/sdp\""),
    ] {
        let mut side = Side::new();
        side.endpoint.handle_message(side.now, udp(), &file(name));
        let Some(Message::Response(response)) = side.sent().pop() else { panic!("{name}") };
        assert_eq!(response.headers.get(header), Some(value), "{name}");
    }
}

#[test]
fn a_response_with_a_second_via_is_not_for_us_alone_and_is_dropped() {
    let mut side = Side::new();
    let (_, invite) = side.invite(udp());
    let ours = Response::for_request(&invite, sip::StatusCode::OK).with_to_tag("bobtag");
    let ours = String::from_utf8(ours.with_header("Contact", "<sip:bob@198.51.100.7>").to_bytes().to_vec()).unwrap();
    // As in bcast: the rest of its way leads to a broadcast address.
    let more = ours.replacen("\r\nFrom:", "\r\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\nFrom:", 1);
    assert_ne!(more, ours);
    side.receive(udp(), &more);
    assert_eq!((side.event_words(), side.endpoint.counters().stray), (Vec::new(), 1));
    side.receive(udp(), &ours);
    assert_eq!(side.event_words(), ["answered"]);
}

#[test]
fn an_accepted_message_reads_the_same_after_it_was_written() {
    for (name, _) in verdicts() {
        let Ok(first) = Message::parse(&file(name)) else { continue };
        let second = Message::parse(&first.to_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(second.to_bytes(), first.to_bytes(), "{name}");
        let without_length = |m: &Message| {
            let names = m.headers().iter().filter(|h| h.name() != "Content-Length");
            names.map(|h| (h.name().to_owned(), h.value().as_bytes().to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(without_length(&second), without_length(&first), "{name}");
    }
}

#[test]
fn no_cut_and_no_changed_byte_panics() {
    for (name, _) in verdicts() {
        let whole = file(name);
        for end in (0..whole.len()).step_by(if whole.len() > 2000 { 7 } else { 1 }) {
            let _ = Message::parse(&whole[..end]);
        }
        for at in (0..whole.len()).step_by(3) {
            for byte in [0, b'\r', b'\n', b'"', b'<', b';', b',', b'%', 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                if let Err(error) = Message::parse(&changed) {
                    let _ = error.answer().map(|answer| answer.to_bytes());
                }
            }
        }
    }
}
