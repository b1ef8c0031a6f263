//! Requests inside a call: what is not supported gets the right status, and the call goes on.

use sip::{Method, StatusCode};
use switchboard::CallResult;

use crate::carrier::Carrier;
use crate::talk;

#[test]
fn what_is_not_supported_inside_a_call_gets_its_status_and_the_call_goes_on() {
    let mut talk = talk();
    let cases = [
        ("OPTIONS", "", "", 200),
        ("UPDATE", "", "", 200),
        ("UPDATE", "Content-Type: application/sdp\r\n", "v=0", 200),
        ("REFER", "", "", 400),
        ("MESSAGE", "Content-Type: text/plain\r\n", "Hello", 405),
        ("PRACK", "RAck: 1 1 INVITE\r\n", "", 405),
        ("SUBSCRIBE", "Event: dialog\r\n", "", 489),
        ("NOTIFY", "Event: refer\r\nSubscription-State: active\r\n", "", 489),
        ("FROB", "", "", 501),
        ("INFO", "Require: 100rel\r\n", "", 420),
    ];
    for (sequence, (method, headers, body, status)) in (10..).zip(cases) {
        let response =
            talk.simulation.request_inside(talk.browser, talk.outgoing, method, sequence, headers, body).unwrap();
        assert_eq!(response.status.code(), status, "{method}");
        let allow = response.headers.allow();
        assert_eq!(allow.contains(&Method::Bye), matches!(status, 405 | 501) || method == "OPTIONS", "{method}");
    }
    assert_eq!(talk.simulation.switchboard.call_count(), 1);
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
    assert_eq!(talk.simulation.records[0].result, CallResult::Answered);
}

#[test]
fn an_older_request_of_the_dialog_is_out_of_order() {
    let mut talk = talk();
    let first = talk.simulation.request_inside(talk.browser, talk.outgoing, "OPTIONS", 10, "", "").unwrap();
    let older = talk.simulation.request_inside(talk.browser, talk.outgoing, "OPTIONS", 9, "", "").unwrap();
    assert_eq!((first.status.code(), older.status.code()), (200, 500));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn a_dialog_that_is_over_does_not_exist() {
    let mut talk = talk();
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    let late = talk.simulation.request_inside(talk.browser, talk.outgoing, "OPTIONS", 20, "", "").unwrap();
    assert_eq!(late.status, StatusCode::CALL_DOES_NOT_EXIST);
    talk.simulation.assert_all_over();
}

#[test]
fn what_a_carrier_asks_while_it_rings_finds_the_call_and_the_call_goes_on() {
    let mut call = Carrier::called();
    call.answer(StatusCode::RINGING, &[("Contact", "<sip:198.51.100.1>")]);
    for (sequence, method, status) in [(1, Method::Update, 200), (2, Method::Info, 200), (3, Method::Notify, 489)] {
        call.ask(method, sequence);
        assert_eq!(call.last_status(), status);
    }
    call.answer(StatusCode::OK, &[("Contact", "<sip:198.51.100.1>")]);
    assert!(call.simulation.is_answered(call.browser, call.session));
    call.ask(Method::Bye, 4);
    assert_eq!(call.last_status(), 200);
    assert!(call.simulation.is_hung_up(call.browser, call.session));
}
