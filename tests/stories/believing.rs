//! Whose SIP is believed during a call: the carrier's own addresses, and where its dialog says it lives. Strangers' is dropped.

use sip::{Method, StatusCode};
use switchboard::CallResult;

use crate::carrier::{Carrier, udp};

/// Outside every network of the trunk `main`.
const ELSEWHERE: &str = "203.0.113.77:5080";

/// A call whose carrier answered with a Contact outside its known addresses.
fn answered_elsewhere() -> Carrier {
    let mut call = Carrier::called();
    call.answer(StatusCode::OK, &[("Contact", "<sip:b2bua@203.0.113.77:5080>")]);
    assert!(call.simulation.is_answered(call.browser, call.session));
    let (to, ack) = call.last_request(&Method::Ack).unwrap();
    assert_eq!((to.to_string().as_str(), ack.uri.to_string().as_str()), (ELSEWHERE, "sip:b2bua@203.0.113.77:5080"));
    call
}

#[test]
fn a_carrier_hangs_up_from_where_its_contact_is() {
    let mut call = answered_elsewhere();
    call.flow = udp(ELSEWHERE);
    call.ask(Method::Bye, 1);
    assert_eq!(call.last_status(), 200);
    assert!(call.simulation.is_hung_up(call.browser, call.session));
    assert_eq!(call.simulation.records[0].result, CallResult::Answered);
}

#[test]
fn the_answer_to_our_bye_comes_from_where_the_bye_went() {
    let mut call = answered_elsewhere();
    call.simulation.hang_up(call.browser, call.session);
    let (to, bye) = call.last_request(&Method::Bye).unwrap();
    assert_eq!(to.to_string(), ELSEWHERE);
    call.flow = udp(ELSEWHERE);
    call.respond(&bye, StatusCode::OK);
    assert_eq!(call.simulation.switchboard.session_count(), 0);
}

#[test]
fn a_lost_answer_to_a_bye_is_given_again_and_then_the_address_is_a_strangers() {
    let mut call = answered_elsewhere();
    call.flow = udp(ELSEWHERE);
    call.ask(Method::Bye, 1);
    let answers = |call: &Carrier| call.simulation.sent.iter().filter(|(_, to, _)| to.to_string() == ELSEWHERE).count();
    let before = answers(&call);
    call.simulation.pass(std::time::Duration::from_secs(16));
    call.ask(Method::Bye, 1);
    assert_eq!(answers(&call), before + 1);
    call.simulation.pass(std::time::Duration::from_secs(17));
    call.ask(Method::Bye, 1);
    assert_eq!(answers(&call), before + 1);
    assert_eq!(call.simulation.switchboard.counters().strangers, 1);
}

#[test]
fn a_branch_that_rings_is_heard_from_where_its_contact_is() {
    let mut call = Carrier::called();
    call.answer(StatusCode::RINGING, &[("Contact", "<sip:b2bua@203.0.113.77:5080>")]);
    call.flow = udp(ELSEWHERE);
    call.ask(Method::Update, 1);
    assert_eq!(call.last_status(), 200);
}

#[test]
fn an_address_that_no_dialog_names_stays_a_stranger() {
    let mut call = answered_elsewhere();
    call.flow = udp("203.0.113.78:5080");
    call.ask(Method::Bye, 1);
    assert_eq!(call.simulation.switchboard.counters().strangers, 1);
    assert!(!call.simulation.is_hung_up(call.browser, call.session));
}

#[test]
fn a_trunk_that_was_removed_may_still_end_its_calls() {
    let mut call = Carrier::called();
    call.answer(StatusCode::OK, &[("Contact", "<sip:198.51.100.1>")]);
    call.simulation.change(|directory| directory.trunks.clear());
    call.simulation.hang_up(call.browser, call.session);
    let (_, bye) = call.last_request(&Method::Bye).unwrap();
    call.respond(&bye, StatusCode::OK);
    assert_eq!(call.simulation.switchboard.session_count(), 0);
}
