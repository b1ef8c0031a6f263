//! Who is shown to be calling: agents to trunks, trunks to agents (RFC 3325, RFC 3323).

use sip::{Method, Request};
use switchboard::{Directory, NumberFormat};
use testkit::Simulation;

use crate::PLAN;

fn out(change: impl FnOnce(&mut Directory)) -> Request {
    let mut simulation = Simulation::with(PLAN, |_, directory| change(directory));
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    let forged = ("P-Asserted-Identity".to_owned(), "<sip:+15550000000@evil.example>".to_owned());
    simulation.peer(browser).headers = vec![forged];
    simulation.call(browser, "100", "+15551234567");
    simulation.requests_to(trunk, &Method::Invite)[0].clone()
}

fn from(request: &Request) -> String {
    request.headers.from().unwrap().unwrap().uri.to_string()
}

#[test]
fn a_trunk_is_shown_the_agents_number_else_the_trunks_and_assured_of_it() {
    let untold = out(|_| {});
    assert_eq!(from(&untold), "sip:+493011100@127.0.0.1");
    assert!(untold.headers.get("P-Asserted-Identity").is_none(), "only trusted trunks are assured");
    let trusting = |directory: &mut Directory| directory.trunks.get_mut("trk_main").unwrap().border.trusted = true;
    let invite = out(trusting);
    let assured: Vec<_> = invite.headers.get_all("P-Asserted-Identity").collect();
    assert_eq!(assured, ["<sip:+493011100@127.0.0.1>"], "ours alone: an agent cannot assert anything");
    let own = out(|directory| {
        directory.agents.get_mut("agt_100").unwrap().caller_id_number = Some("+493022200".to_owned());
    });
    assert_eq!(from(&own), "sip:+493022200@127.0.0.1");
    let written = out(|directory| {
        trusting(directory);
        let caller_id = &mut directory.trunks.get_mut("trk_main").unwrap().border.caller_id;
        caller_id.domain = Some("pbx.example.com".to_owned());
        caller_id.format = NumberFormat::E164WithoutPlus;
    });
    assert_eq!(from(&written), "sip:493011100@pbx.example.com");
    assert_eq!(written.headers.get("P-Asserted-Identity"), Some("<sip:493011100@pbx.example.com>"));
    assert_eq!(written.uri.to_string(), "sip:15551234567@main.carrier.example");
}

/// What the browser of 100 is shown when a trusted trunk calls with this From and these headers: display name and number; and the INVITE.
fn shown(caller: &str, headers: &[(&str, &str)]) -> (Option<String>, String, Request) {
    shown_by(true, caller, headers)
}

fn shown_by(trusted: bool, caller: &str, headers: &[(&str, &str)]) -> (Option<String>, String, Request) {
    let mut simulation = Simulation::with(PLAN, |_, directory| {
        directory.trunks.get_mut("trk_main").unwrap().border.trusted = trusted;
    });
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    simulation.peer(trunk).headers = headers.iter().map(own).collect();
    let (now, to) = (simulation.now, "sip:+493011100@203.0.113.1");
    simulation.peer(trunk).invite(now, caller, to, Some("v=0"), None);
    simulation.settle();
    let invite = simulation.requests_to(browser, &Method::Invite)[0].clone();
    let from = invite.headers.from().unwrap().unwrap();
    assert_eq!(simulation.views.last().unwrap().from, from.uri.user().unwrap(), "the API shows the same");
    (from.display.clone(), from.uri.user().unwrap().into_owned(), invite)
}

#[test]
fn an_agent_is_shown_the_callers_number_in_one_form() {
    for caller in ["sip:+4930555123@x.example", "sip:004930555123@x.example", "sip:+4930555123;npdi@x.example"] {
        assert_eq!(shown(caller, &[]).1, "+4930555123", "{caller}");
    }
}

#[test]
fn a_caller_without_a_number_is_known_by_what_the_trunk_asserts() {
    let asserted = [("P-Asserted-Identity", "\"Jane Doe\" <sip:+4930555123@x.example>, <tel:+4930555123>")];
    let (name, number, invite) = shown("sip:gateway.x.example", &asserted);
    assert_eq!((name.as_deref(), number.as_str()), (Some("Jane Doe"), "+4930555123"));
    assert!(invite.headers.get("P-Asserted-Identity").is_none(), "a browser is no trusted peer");
    let by_tel = [("P-Asserted-Identity", "<tel:+4930555123>")];
    assert_eq!(shown("sip:anonymous@anonymous.invalid", &by_tel).1, "+4930555123");
}

#[test]
fn what_a_trunk_asserts_goes_before_what_its_caller_claims_if_the_trunk_is_trusted() {
    let party = ("Remote-Party-ID", "\"Jane\" <sip:+4930555123@x.example>;party=calling;screen=yes;privacy=off");
    for asserted in [("P-Asserted-Identity", "\"Jane\" <sip:+4930555123@x.example>"), party] {
        let (name, number, _) = shown_by(true, "sip:+4930777000@x.example", &[asserted]);
        assert_eq!((name.as_deref(), number.as_str()), (Some("Jane"), "+4930555123"));
        let (name, number, _) = shown_by(false, "sip:+4930777000@x.example", &[asserted]);
        assert_eq!((name.as_deref(), number.as_str()), (Some("+4930777000"), "+4930777000"));
        assert_eq!(shown_by(false, "sip:anonymous@anonymous.invalid", &[asserted]).1, "anonymous");
    }
    let hidden = ("Remote-Party-ID", "<sip:+4930555123@x.example>;privacy=full");
    assert_eq!(shown_by(true, "sip:+4930555123@x.example", &[hidden]).1, "anonymous");
    // Whoever asks not to be shown is not, trusted or not.
    assert_eq!(shown_by(false, "sip:+4930555123@x.example", &[("Privacy", "id")]).1, "anonymous");
}

#[test]
fn a_caller_that_asks_for_privacy_stays_anonymous() {
    for privacy in ["id", "user;id", "header", "full"] {
        let headers = [("P-Asserted-Identity", "<sip:+4930555123@x.example>"), ("Privacy", privacy)];
        for caller in ["sip:anonymous@anonymous.invalid", "sip:+4930555123@x.example"] {
            let (name, number, invite) = shown(caller, &headers);
            assert_eq!((name.as_deref(), number.as_str()), (Some("Anonymous"), "anonymous"), "{privacy} {caller}");
            assert!(!String::from_utf8_lossy(&invite.to_bytes()).contains("555123"), "{privacy} {caller}");
        }
    }
    let none = [("P-Asserted-Identity", "<sip:+4930555123@x.example>"), ("Privacy", "none")];
    assert_eq!(shown("sip:anonymous@anonymous.invalid", &none).1, "+4930555123");
}
