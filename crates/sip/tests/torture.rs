//! RFC 4475: all 49 torture messages, each with its verdict. The files are the messages byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use sip::{Contacts, Message, Method, Request, Response, Uri};

/// What becomes of a message.
enum Verdict {
    /// Accepted; the check looks at what matters in it.
    Request(fn(&Request)),
    /// Accepted.
    Response(fn(&Response)),
    /// Accepted by the parser; a layer above refuses with this status, because of what the check shows.
    RefusedAbove(u16, fn(&Request) -> u16),
    /// The parser refuses and gives the answer with this status.
    Refused(u16),
    /// The parser refuses and nobody can be answered.
    Dropped,
}

use Verdict::{Dropped, Refused, RefusedAbove};

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
                assert_eq!(r.headers.from().unwrap().unwrap().display.unwrap(), "J Rosenberg \\\"");
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
                let Contacts::List(contacts) = r.headers.contacts().unwrap() else { panic!() };
                assert_eq!(contacts.iter().map(|c| user(c.uri())).collect::<Vec<_>>(), ["\0", "\0\0"]);
            }),
        ),
        (
            "esc02",
            Verdict::Request(|r| {
                assert_eq!(r.method, Method::Other("RE%47IST%45R".into()));
                assert_eq!(r.headers.to().unwrap().unwrap().display.as_deref(), Some("%Z%45"));
                let Contacts::List(contacts) = r.headers.contacts().unwrap() else { panic!() };
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
        ("unkscm", RefusedAbove(416, |r| if r.uri.as_sip().is_none() { 416 } else { 0 })),
        ("novelsc", RefusedAbove(416, |r| if r.uri.scheme() == "soap.beep" { 416 } else { 0 })),
        ("unksm2", Verdict::Request(|r| assert_eq!(r.headers.to().unwrap().unwrap().uri.scheme(), "isbn"))),
        ("bext01", RefusedAbove(420, |r| if r.headers.require().len() == 2 { 420 } else { 0 })),
        (
            "invut",
            RefusedAbove(415, |r| {
                if r.headers.content_type().as_deref() == Some("application/unknownformat") { 415 } else { 0 }
            }),
        ),
        (
            "regaut01",
            RefusedAbove(401, |r| if r.headers.auth_params("Authorization").any(|a| a.is_digest()) { 0 } else { 401 }),
        ),
        ("multi01", Refused(400)),
        ("mcl01", Refused(400)),
        // Dropped above: its second Via shows that it is not ours alone (§18.1.2).
        ("bcast", Verdict::Response(|r| assert_eq!(r.headers.vias().unwrap().len(), 2))),
        ("zeromf", RefusedAbove(483, |r| if r.headers.max_forwards() == Ok(Some(0)) { 483 } else { 0 })),
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
        ("sdp01", RefusedAbove(406, |r| if r.headers.get("Accept") == Some("text/nobodyKnowsThis") { 406 } else { 0 })),
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
            (RefusedAbove(status, check), Ok(Message::Request(request))) => {
                assert_eq!(check(&request), status, "{name}")
            }
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
