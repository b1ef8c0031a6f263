//! An agent presses digits during a call, which its client tells by INFO.

use std::time::Duration;

use media::{Command, MediaSessionId};
use sip::StatusCode;
use testkit::Simulation;

use crate::talk;

fn digits(simulation: &Simulation) -> Vec<(MediaSessionId, String, Duration)> {
    let sent = simulation.commands.iter().filter_map(|command| match command {
        Command::SendDigits { session, digits, duration } => Some((*session, digits.clone(), *duration)),
        _ => None,
    });
    sent.collect()
}

fn bridged(simulation: &Simulation) -> (MediaSessionId, MediaSessionId) {
    let bridge = simulation.commands.iter().rev().find_map(|command| match command {
        Command::Bridge { a, b } => Some((*a, *b)),
        _ => None,
    });
    bridge.unwrap()
}

#[test]
fn each_spelling_of_a_digit_reaches_the_trunk_as_an_event() {
    let mut talk = talk();
    let (_, trunk_side) = bridged(&talk.simulation);
    let ms = Duration::from_millis;
    let cases = [
        ("Signal=5\r\nDuration=160\r\n", "5", ms(160)),
        ("Signal= *\r\nDuration= 250\r\n", "*", ms(250)),
        ("Signal=#\r\n", "#", ms(160)),
        ("signal=a\nduration=1\n", "A", ms(40)),
        ("Signal=10\r\nDuration=100\r\n", "*", ms(100)),
        ("Signal=11\r\nDuration=60000\r\n", "#", ms(5000)),
    ];
    for (sequence, (body, digit, duration)) in (10..).zip(cases) {
        let content = "Content-Type: application/dtmf-relay\r\n";
        let response =
            talk.simulation.request_inside(talk.browser, talk.outgoing, "INFO", sequence, content, body).unwrap();
        assert_eq!(response.status, StatusCode::OK, "{body}");
        assert_eq!(digits(&talk.simulation).last(), Some(&(trunk_side, digit.to_owned(), duration)), "{body}");
    }
    assert_eq!(digits(&talk.simulation).len(), cases.len());
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    talk.simulation.assert_all_over();
}

#[test]
fn an_info_that_is_no_digit_is_refused_and_the_call_goes_on() {
    let mut talk = talk();
    let cases = [
        ("Content-Type: application/dtmf-relay\r\n", "Signal=x\r\n", 400, ""),
        ("Content-Type: application/dtmf-relay\r\n", "Signal=99\r\n", 400, ""),
        ("Content-Type: application/dtmf-relay\r\n", "Duration=100\r\n", 400, ""),
        ("Content-Type: application/media_control+xml\r\n", "<media_control/>", 415, "Accept"),
        ("Info-Package: foo\r\nContent-Type: application/dtmf-relay\r\n", "Signal=5\r\n", 469, "Recv-Info"),
        ("", "", 200, ""),
    ];
    for (sequence, (headers, body, status, header)) in (10..).zip(cases) {
        let response =
            talk.simulation.request_inside(talk.browser, talk.outgoing, "INFO", sequence, headers, body).unwrap();
        assert_eq!(response.status.code(), status, "{headers}{body}");
        assert!(header.is_empty() || response.headers.get(header).is_some(), "{status} needs {header}");
    }
    assert!(digits(&talk.simulation).is_empty());
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.simulation.assert_all_over();
}
