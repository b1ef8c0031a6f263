//! What an agent shows to the public network: which number, in which header, and that it can show none (RFC 3323, RFC 3325).

use sip::{Method, Request, StatusCode};
use switchboard::{CallResult, CallerIdHeader, Trunk};
use testkit::Simulation;

use crate::PLAN;

/// With a number for agent 100, and others it may choose.
fn with_numbers(change: impl FnOnce(&mut Trunk)) -> Simulation {
    Simulation::with(PLAN, |_, directory| {
        let agent = directory.agents.get_mut("agt_100").unwrap();
        agent.caller_id_number = Some("+493022200".to_owned());
        agent.allowed_caller_ids = vec!["+493022201".to_owned(), "+493022202".to_owned()];
        change(directory.trunks.get_mut("trk_main").unwrap());
    })
}

/// The INVITE the trunk `main` gets when agent 100 calls out with these headers.
fn out(change: impl FnOnce(&mut Trunk), headers: &[(&str, &str)]) -> Request {
    let mut simulation = with_numbers(change);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    simulation.peer(browser).headers = headers.iter().map(own).collect();
    simulation.call(browser, "100", "+15551234567");
    simulation.requests_to(trunk, &Method::Invite)[0].clone()
}

/// From without its tag.
fn from(invite: &Request) -> String {
    invite.headers.get("From").unwrap().rsplit_once(";tag=").unwrap().0.to_owned()
}

const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

#[test]
fn an_agent_chooses_among_its_numbers_call_by_call() {
    let choosing =
        |number: &str| out(|_| {}, &[("P-Preferred-Identity", &format!("<sip:{number}@phone.example.com>"))]);
    for (preferred, shown) in [
        ("+493022202", "+493022202"),
        ("+49-30-22201", "+493022201"),
        ("00493022201", "+493022201"),
        ("+493022200", "+493022200"),
        ("100", "+493022200"),
    ] {
        let invite = choosing(preferred);
        assert_eq!(from(&invite), format!("<sip:{shown}@127.0.0.1>"), "{preferred}");
        assert!(invite.headers.get("P-Preferred-Identity").is_none(), "it is between the agent and us");
    }
    let by_tel = out(|_| {}, &[("P-Preferred-Identity", "<tel:+493022201>")]);
    assert_eq!(from(&by_tel), "<sip:+493022201@127.0.0.1>");
}

#[test]
fn a_number_that_is_not_the_agents_is_refused_in_words() {
    let mut simulation = with_numbers(|_| {});
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let foreign = ("P-Preferred-Identity".to_owned(), "<sip:+15550000000@phone.example.com>".to_owned());
    simulation.peer(browser).headers = vec![foreign];
    let session = simulation.call(browser, "100", "+15551234567");
    let refusal = simulation.refusal(browser, session).unwrap();
    assert_eq!(refusal.status, StatusCode::FORBIDDEN);
    let why = "The caller ID +15550000000 is not one of this agent's";
    assert_eq!(refusal.reason, why);
    assert!(refusal.headers.get("Reason").unwrap().contains(why), "{:?}", refusal.headers.get("Reason"));
    assert!(simulation.requests_to(trunk, &Method::Invite).is_empty());
    simulation.assert_all_over();
    let record = &simulation.records[0];
    assert_eq!((record.result, record.sip_status), (CallResult::Failed, 403));
    assert_eq!(record.explanation, format!("{why}."));
}

#[test]
fn the_number_stands_in_the_header_the_trunk_reads() {
    let asserted = out(
        |trunk| {
            trunk.border.caller_id.header = CallerIdHeader::Asserted;
            trunk.border.caller_id.user = Some("pbx-7".to_owned());
            trunk.border.caller_id.domain = Some("sip.carrier.example".to_owned());
        },
        &[],
    );
    assert_eq!(from(&asserted), "<sip:pbx-7@sip.carrier.example>");
    assert_eq!(asserted.headers.get("P-Asserted-Identity"), Some("<sip:+493022200@sip.carrier.example>"));
    let party = out(|trunk| trunk.border.caller_id.header = CallerIdHeader::RemoteParty, &[]);
    assert_eq!(from(&party), "<sip:+493011100@127.0.0.1>", "without a user of its own From has the trunk's number");
    let value = "<sip:+493022200@127.0.0.1>;party=calling;screen=yes;privacy=off";
    assert_eq!(party.headers.get("Remote-Party-ID"), Some(value));
    assert!(party.headers.get("P-Asserted-Identity").is_none());
}

#[test]
fn who_hides_is_nobody_to_the_called_and_known_to_trusted_trunks_only() {
    for privacy in ["id", "user;id", "full"] {
        let hidden = out(|_| {}, &[("Privacy", privacy)]);
        assert_eq!(from(&hidden), ANONYMOUS, "{privacy}");
        assert_eq!(hidden.headers.get("Privacy"), Some("id"));
        assert!(!String::from_utf8_lossy(&hidden.to_bytes()).contains("3022200"), "{hidden:?}");
    }
    for header in [CallerIdHeader::From, CallerIdHeader::Asserted, CallerIdHeader::RemoteParty] {
        let untrusted = out(|trunk| trunk.border.caller_id.header = header, &[("Privacy", "id")]);
        assert!(!String::from_utf8_lossy(&untrusted.to_bytes()).contains("3022200"), "{untrusted:?}");
    }
    let trusted = out(|trunk| trunk.border.trusted = true, &[("Privacy", "id")]);
    assert_eq!(from(&trusted), ANONYMOUS);
    assert_eq!(trusted.headers.get("P-Asserted-Identity"), Some("<sip:+493022200@127.0.0.1>"));
    assert_eq!(trusted.headers.get("Privacy"), Some("id"));
    let open = out(|_| {}, &[("Privacy", "none")]);
    assert_eq!(from(&open), "<sip:+493022200@127.0.0.1>");
    assert!(open.headers.get("Privacy").is_none());
}

#[test]
fn a_colleague_sees_who_calls_whatever_is_hidden_outside() {
    let mut simulation = with_numbers(|_| {});
    let (browser, colleague) = (simulation.browser(1), simulation.browser(2));
    simulation.register(colleague, "101", 600);
    simulation.peer(browser).headers = vec![("Privacy".to_owned(), "id".to_owned())];
    simulation.call(browser, "100", "101");
    let invite = &simulation.requests_to(colleague, &Method::Invite)[0];
    assert_eq!(from(invite), "\"Agent 100\" <sip:100@phone.example.com>");
}
