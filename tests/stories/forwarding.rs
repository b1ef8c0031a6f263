//! Calls that come from a trunk and leave by one: only where somebody says so, and as whose call (RFC 5806, RFC 8224).

use sip::{Method, Request, StatusCode};
use switchboard::{Directory, Trunk};
use testkit::Simulation;

use crate::PLAN;

/// Our number is led on to the trunk `spare`.
const FORWARDING: &str = r#"
[[rule]]
context = "trunks"
name = "on to the mobile"
number = "+493011100"
targets = [{ trunks = ["spare"], number = "+4917012345" }]
"#;

const CALLER: &str = "sip:+15550001111@x.example";

fn spare(directory: &mut Directory) -> &mut Trunk {
    directory.trunks.get_mut("trk_spare").unwrap()
}

/// The INVITE `spare` gets when `main` calls our number with this From and these headers.
fn forwarded(caller: &str, headers: &[(&str, &str)], change: impl FnOnce(&mut Directory)) -> Request {
    let plan = format!("{PLAN}{FORWARDING}");
    let mut simulation = Simulation::with(&plan, |_, directory| {
        spare(directory).border.caller_id.fallback = Some("+493099900".to_owned());
        change(directory);
    });
    let (main, spare) = (simulation.gateway(1), simulation.gateway(2));
    simulation.peer(main).headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let now = simulation.now;
    simulation.peer(main).invite(now, caller, "sip:+493011100@203.0.113.1", Some("v=0"), None);
    simulation.settle();
    simulation.requests_to(spare, &Method::Invite)[0].clone()
}

fn from(invite: &Request) -> String {
    invite.headers.get("From").unwrap().rsplit_once(";tag=").unwrap().0.to_owned()
}

#[test]
fn a_forwarded_call_shows_our_number_and_whom_it_was_for() {
    let invite = forwarded(CALLER, &[], |_| {});
    assert_eq!(from(&invite), "<sip:+493099900@127.0.0.1>");
    assert_eq!(invite.headers.get("Diversion"), Some("<sip:+493011100@127.0.0.1>;reason=unconditional;counter=1"));
    assert!(!String::from_utf8_lossy(&invite.to_bytes()).contains("15550001111"));
}

#[test]
fn its_callers_own_number_is_shown_only_where_the_trunk_lets_it_pass() {
    let passing = |directory: &mut Directory| spare(directory).border.caller_id.pass_through = true;
    let invite = forwarded(CALLER, &[], passing);
    assert_eq!(from(&invite), "<sip:+15550001111@127.0.0.1>");
    assert!(invite.headers.get("Diversion").is_some());
    let trusted = forwarded(CALLER, &[], |directory| {
        passing(directory);
        spare(directory).border.trusted = true;
    });
    let vouched = trusted.headers.get("P-Asserted-Identity");
    assert_eq!(vouched, Some("<sip:+493099900@127.0.0.1>"), "what we vouch for is ours");
    let hidden = forwarded(CALLER, &[("Privacy", "id")], passing);
    assert_eq!(from(&hidden), "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
    assert_eq!(hidden.headers.get("Privacy"), Some("id"));
}

/// As a signer writes it; the blanks are its own.
const SIGNATURE: &str =
    "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7fX0.c2ln;info=<https://cert.example/a.pem>; alg=ES256 ;ppt=\"shaken\"";

#[test]
fn a_signature_goes_on_as_it_came_with_the_date_it_was_made() {
    let date = "Sat, 21 Nov 2026 15:02:29 GMT";
    let signed = [("Identity", SIGNATURE), ("Identity", "second.x.y;info=<https://b.example>"), ("Date", date)];
    let invite = forwarded(CALLER, &signed, |_| {});
    let signatures: Vec<_> = invite.headers.get_all("Identity").collect();
    assert_eq!(signatures, [SIGNATURE, "second.x.y;info=<https://b.example>"]);
    assert_eq!(invite.headers.get("Date"), Some(date));
    assert!(forwarded(CALLER, &[("Date", date)], |_| {}).headers.get("Date").is_none(), "nothing was signed");
    let unsigned = forwarded(CALLER, &[("P-Charge-Info", "<sip:+1@x>"), ("X-Note", "a")], |_| {});
    assert!(unsigned.headers.get("P-Charge-Info").is_none() && unsigned.headers.get("X-Note").is_none());
}

#[test]
fn the_signature_of_one_who_hides_is_for_trusted_trunks_only() {
    let hidden = [("Identity", SIGNATURE), ("Privacy", "id")];
    assert!(forwarded(CALLER, &hidden, |_| {}).headers.get("Identity").is_none());
    let trusted = forwarded(CALLER, &hidden, |directory| spare(directory).border.trusted = true);
    assert_eq!(trusted.headers.get("Identity"), Some(SIGNATURE));
}

#[test]
fn a_browser_is_shown_no_signature() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    simulation.peer(main).headers = vec![("Identity".to_owned(), SIGNATURE.to_owned())];
    let now = simulation.now;
    simulation.peer(main).invite(now, CALLER, "sip:+493011100@203.0.113.1", Some("v=0"), None);
    simulation.settle();
    assert!(simulation.requests_to(browser, &Method::Invite)[0].headers.get("Identity").is_none());
}

#[test]
fn a_trunks_call_leaves_by_no_trunk_unless_a_rule_for_trunks_says_so() {
    // Agents may dial any number outside; calls from trunks are not theirs.
    let mut simulation = Simulation::new(PLAN);
    let (main, spare) = (simulation.gateway(1), simulation.gateway(2));
    let now = simulation.now;
    let session = simulation.peer(main).invite(now, CALLER, "sip:+15551234567@203.0.113.1", Some("v=0"), None);
    simulation.settle();
    assert_eq!(simulation.refusal(main, session).unwrap().status, StatusCode::NOT_FOUND);
    for trunk in [main, spare] {
        assert!(simulation.requests_to(trunk, &Method::Invite).is_empty());
    }
}

#[test]
fn whom_an_agent_hands_on_to_the_outside_calls_there_as_the_agents() {
    let mut simulation = Simulation::with(PLAN, |_, directory| {
        directory.agents.get_mut("agt_100").unwrap().caller_id_number = Some("+493022200".to_owned());
    });
    let (browser, main) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let now = simulation.now;
    simulation.peer(main).invite(now, CALLER, "sip:+493011100@203.0.113.1", Some("v=0"), None);
    simulation.settle();
    let incoming = simulation.incoming(browser);
    simulation.answer(browser, incoming, StatusCode::OK, Some("v=0"));
    assert_eq!(simulation.refer(browser, incoming, "<sip:+15551234567@phone.example.com>"), StatusCode::ACCEPTED);
    let invite = &simulation.requests_to(main, &Method::Invite)[0];
    assert_eq!(from(invite), "<sip:+493022200@127.0.0.1>");
    assert_eq!(invite.headers.get("Diversion"), Some("<sip:+493011100@127.0.0.1>;reason=deflection;counter=1"));
}
