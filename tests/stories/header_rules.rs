//! Headers a trunk adds, wants or cannot bear: changed on the way, and handed to phones where that is asked for.

use sip::{Method, Request};
use switchboard::{HeaderRule, RuleAction, RuleDirection, Trunk};
use testkit::Simulation;

use crate::PLAN;

fn rule(direction: RuleDirection, name: &str, action: RuleAction) -> HeaderRule {
    HeaderRule { direction, name: name.to_owned(), action }
}

fn simulation(change: impl FnOnce(&mut Trunk)) -> Simulation {
    Simulation::with(PLAN, |_, directory| change(directory.trunks.get_mut("trk_main").unwrap()))
}

/// The INVITE the browser of 100 gets when `main` calls with these headers.
fn arriving(change: impl FnOnce(&mut Trunk), headers: &[(&str, &str)]) -> Request {
    let mut simulation = simulation(change);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    simulation.peer(trunk).headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let now = simulation.now;
    let to = "sip:+493011100@203.0.113.1";
    simulation.peer(trunk).invite(now, "sip:+4930555123@x.example", to, Some("v=0"), None);
    simulation.settle();
    simulation.requests_to(browser, &Method::Invite)[0].clone()
}

#[test]
fn rules_change_what_leaves_for_a_trunk_in_their_order() {
    let out = RuleDirection::Outbound;
    let mut simulation = simulation(|trunk| {
        trunk.border.trusted = true;
        trunk.border.header_rules = vec![
            rule(out, "X-Account", RuleAction::Add("42".to_owned())),
            rule(out, "X-Account", RuleAction::Add("43".to_owned())),
            rule(out, "p-asserted-identity", RuleAction::Rename("P-Preferred-Identity".to_owned())),
            rule(out, "X-Account", RuleAction::Set("44".to_owned())),
            rule(out, "X-Gone", RuleAction::Add("1".to_owned())),
            rule(out, "x-gone", RuleAction::Remove),
            rule(RuleDirection::Inbound, "X-Inbound", RuleAction::Add("1".to_owned())),
            // Never made by the API; and if it were, nothing would come of it.
            rule(out, "Contact", RuleAction::Set("<sip:evil.example>".to_owned())),
        ];
    });
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.call(browser, "100", "+15551234567");
    let invite = &simulation.requests_to(trunk, &Method::Invite)[0];
    assert_eq!(invite.headers.get_all("X-Account").collect::<Vec<_>>(), ["44"]);
    assert_eq!(invite.headers.get("P-Preferred-Identity"), Some("<sip:+493011100@127.0.0.1>"));
    for absent in ["P-Asserted-Identity", "X-Gone", "X-Inbound"] {
        assert!(invite.headers.get(absent).is_none(), "{absent}");
    }
    let contacts: Vec<_> = invite.headers.get_all("Contact").collect();
    assert!(contacts.len() == 1 && !contacts[0].contains("evil"), "{contacts:?}");
}

#[test]
fn rules_change_what_comes_from_a_trunk_before_it_is_read() {
    let inbound = RuleDirection::Inbound;
    let invite = arriving(
        |trunk| {
            trunk.border.trusted = true;
            let identity = RuleAction::Rename("P-Asserted-Identity".to_owned());
            trunk.border.header_rules = vec![rule(inbound, "X-Caller", identity)];
        },
        &[("X-Caller", "<sip:+4930111222@x.example>")],
    );
    assert_eq!(invite.headers.from().unwrap().unwrap().uri.user().unwrap(), "+4930111222");
    let shown = arriving(
        |trunk| trunk.border.header_rules = vec![rule(inbound, "Privacy", RuleAction::Remove)],
        &[("Privacy", "id")],
    );
    assert_eq!(shown.headers.from().unwrap().unwrap().uri.user().unwrap(), "+4930555123");
}

#[test]
fn phones_get_the_headers_that_are_named_and_no_others() {
    let long = "x".repeat(513);
    let invite = arriving(
        |trunk| {
            trunk.border.pass_headers = vec!["X-Campaign".to_owned(), "User-to-User".to_owned(), "X-Long".to_owned()]
        },
        &[
            ("x-campaign", "spring; a=\"b\""),
            ("User-to-User", "0a0b;encoding=hex"),
            ("X-Other", "secret"),
            ("X-Long", &long),
            ("Call-Info", "<sip:x>;answer-after=0"),
        ],
    );
    assert_eq!(invite.headers.get("X-Campaign"), Some("spring; a=\"b\""));
    assert_eq!(invite.headers.get("User-to-User"), Some("0a0b;encoding=hex"));
    for absent in ["X-Other", "X-Long", "Call-Info"] {
        assert!(invite.headers.get(absent).is_none(), "{absent}");
    }
}
