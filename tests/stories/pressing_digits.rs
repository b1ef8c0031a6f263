//! Digits told by INFO: by an agent's client, by a trunk, to a trunk that wants them so. Media passes them on, and knows again what
//! both tell; here is seen what media is told.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, Dtmf, MediaSessionId};
use sip::{InsideRequest, Method, Request, RequestId, ResponseDraft, SessionEvent, SessionId, StatusCode};
use switchboard::ShardIndex;
use testkit::Simulation;

use crate::{PLAN, Talk, talk, talk_in};

const RELAY: &str = "application/dtmf-relay";

/// What media was told of pressed keys.
fn pressed(simulation: &Simulation) -> Vec<(MediaSessionId, char, Duration)> {
    let told = simulation.commands.iter().filter_map(|command| match command {
        Command::PressDigit { session, digit, duration } => Some((*session, *digit, *duration)),
        _ => None,
    });
    told.collect()
}

fn bridged(simulation: &Simulation) -> (MediaSessionId, MediaSessionId) {
    let bridge = simulation.commands.iter().rev().find_map(|command| match command {
        Command::Bridge { a, b } => Some((*a, *b)),
        _ => None,
    });
    bridge.unwrap()
}

/// A peer sends INFO inside its call; what it is answered.
fn inform(simulation: &mut Simulation, peer: SocketAddr, session: SessionId, kind: &str, body: &str) -> StatusCode {
    let (now, body) = (simulation.now, Some((kind.to_owned(), body.to_owned().into())));
    let asked = InsideRequest { method: Method::Info, headers: Vec::new(), body };
    simulation.peer(peer).endpoint.ask(now, session, asked).unwrap();
    simulation.settle();
    simulation.last_response(peer).status
}

/// The INFOs a peer got, with what to answer them by.
fn informed(
    simulation: &mut Simulation,
    peer: SocketAddr,
    session: SessionId,
) -> Vec<(RequestId, std::sync::Arc<Request>)> {
    let events = simulation.events(peer, session).into_iter();
    let infos = events.filter_map(|event| match event {
        SessionEvent::Request { id, request } if request.method == Method::Info => Some((id, request)),
        _ => None,
    });
    infos.collect()
}

fn bodies(infos: &[(RequestId, std::sync::Arc<Request>)]) -> Vec<String> {
    infos.iter().map(|(_, info)| String::from_utf8(info.body.to_vec()).unwrap()).collect()
}

/// The trunk answers the last INFO.
fn answer(talk: &mut Talk, status: StatusCode) {
    let (id, _) = informed(&mut talk.simulation, talk.trunk, talk.incoming).pop().unwrap();
    let now = talk.simulation.now;
    talk.simulation.peer(talk.trunk).endpoint.respond(now, id, ResponseDraft::new(status));
    talk.simulation.settle();
}

fn end(mut talk: Talk) {
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing));
    talk.simulation.assert_all_over();
}

/// Agent 100 and a trunk that wants digits by INFO, talking.
fn talk_with_info() -> Talk {
    talk_in(Simulation::with(PLAN, |_, directory| {
        directory.trunks.values_mut().for_each(|trunk| trunk.media.dtmf = Dtmf::Info);
    }))
}

#[test]
fn each_spelling_of_an_agents_digit_goes_the_way_of_its_media() {
    let mut talk = talk();
    let (agent_side, _) = bridged(&talk.simulation);
    let ms = Duration::from_millis;
    let cases = [
        (RELAY, "Signal=5\r\nDuration=160\r\n", '5', ms(160)),
        (RELAY, "Signal= *\r\nDuration= 250\r\n", '*', ms(250)),
        (RELAY, "Signal=#\r\n", '#', ms(160)),
        (RELAY, "signal=a\nduration=1\n", 'A', ms(40)),
        (RELAY, "Signal=10\r\nDuration=100\r\n", '*', ms(100)),
        (RELAY, "Signal=11\r\nDuration=60000\r\n", '#', ms(5000)),
        ("application/DTMF-Relay;charset=utf-8", "Signal=0\r\n", '0', ms(160)),
        ("application/dtmf", "7", '7', ms(160)),
        ("application/dtmf", "#\r\n", '#', ms(160)),
    ];
    for (kind, body, digit, duration) in cases {
        let status = inform(&mut talk.simulation, talk.browser, talk.outgoing, kind, body);
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(pressed(&talk.simulation).last(), Some(&(agent_side, digit, duration)), "{body}");
    }
    assert_eq!(pressed(&talk.simulation).len(), cases.len());
    end(talk);
}

#[test]
fn a_trunks_digit_goes_the_way_of_its_media_too() {
    let mut talk = talk();
    let (_, trunk_side) = bridged(&talk.simulation);
    let status = inform(&mut talk.simulation, talk.trunk, talk.incoming, RELAY, "Signal=9\r\nDuration=120\r\n");
    assert_eq!(status, StatusCode::OK);
    assert_eq!(pressed(&talk.simulation), [(trunk_side, '9', Duration::from_millis(120))]);
    let browser_got = informed(&mut talk.simulation, talk.browser, talk.outgoing);
    assert!(browser_got.is_empty(), "a browser hears it in its media");
    end(talk);
}

#[test]
fn an_info_that_is_no_digit_is_refused_and_the_call_goes_on() {
    let mut talk = talk();
    let cases = [
        ("Content-Type: application/dtmf-relay\r\n", "Signal=x\r\n", 400, ""),
        ("Content-Type: application/dtmf-relay\r\n", "Signal=99\r\n", 400, ""),
        ("Content-Type: application/dtmf-relay\r\n", "Duration=100\r\n", 400, ""),
        ("Content-Type: application/dtmf-relay\r\n", "", 400, ""),
        ("Content-Type: application/dtmf\r\n", "55", 400, ""),
        ("Content-Type: application/dtmf\r\n", "", 400, ""),
        ("Content-Type: application/media_control+xml\r\n", "<media_control/>", 415, "Accept"),
        ("", "Signal=5\r\n", 415, "Accept"),
        ("Info-Package: foo\r\nContent-Type: application/dtmf-relay\r\n", "Signal=5\r\n", 469, "Recv-Info"),
        ("", "", 200, ""),
    ];
    for (sequence, (headers, body, status, header)) in (10..).zip(cases) {
        let response =
            talk.simulation.request_inside(talk.browser, talk.outgoing, "INFO", sequence, headers, body).unwrap();
        assert_eq!(response.status.code(), status, "{headers}{body}");
        assert!(header.is_empty() || response.headers.get(header).is_some(), "{status} needs {header}");
        if status == 415 {
            assert_eq!(response.headers.get("Accept"), Some("application/dtmf-relay, application/dtmf"));
        }
    }
    assert!(pressed(&talk.simulation).is_empty());
    end(talk);
}

#[test]
fn a_digit_outside_a_call_is_481_for_a_trunk_and_for_an_agent_who_proves_to_be_one() {
    let mut talk = talk();
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    let content = "Content-Type: application/dtmf-relay\r\n";
    let late =
        talk.simulation.request_inside(talk.browser, talk.outgoing, "INFO", 20, content, "Signal=5\r\n").unwrap();
    assert_eq!(late.status, StatusCode::CALL_DOES_NOT_EXIST);
    for (peer, status) in [(talk.trunk, 481), (talk.browser, 401)] {
        let flow = talk.simulation.peer(peer).from_switchboard;
        let text = format!(
            "INFO sip:patchcord@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/{} peer.invalid;branch=z9hG4bKoutside{status}\r\n\
             From: <sip:100@phone.example.com>;tag=1\r\nTo: <sip:x@phone.example.com>\r\nCall-ID: outside{status}\r\nCSeq: 1 INFO\r\n\
             {content}Content-Length: 10\r\n\r\nSignal=5\r\n",
            if status == 481 { "UDP" } else { "WSS" }
        );
        let before = talk.simulation.sent.len();
        let now = talk.simulation.now;
        talk.simulation.switchboard.handle_message(now, flow, text.as_bytes());
        talk.simulation.settle();
        let answers: Vec<u16> = talk.simulation.sent[before..]
            .iter()
            .filter_map(|(_, _, message)| match message {
                sip::Message::Response(response) => Some(response.status.code()),
                sip::Message::Request(_) => None,
            })
            .collect();
        assert_eq!(answers, [status]);
    }
    assert!(pressed(&talk.simulation).is_empty());
    talk.simulation.assert_all_over();
}

#[test]
fn a_trunk_that_wants_info_gets_an_agents_digits_one_after_another_in_order() {
    let mut talk = talk_with_info();
    for digit in ["1", "#", "3"] {
        inform(
            &mut talk.simulation,
            talk.browser,
            talk.outgoing,
            RELAY,
            &format!("Signal={digit}\r\nDuration=100\r\n"),
        );
    }
    let (trunk, incoming) = (talk.trunk, talk.incoming);
    let first = informed(&mut talk.simulation, trunk, incoming);
    assert_eq!(bodies(&first), ["Signal=1\r\nDuration=100\r\n"]);
    assert_eq!(first[0].1.headers.content_type().as_deref(), Some(RELAY));
    talk.simulation.pass(Duration::from_millis(400));
    assert_eq!(informed(&mut talk.simulation, trunk, incoming).len(), 1, "the next waits for the answer");
    answer(&mut talk, StatusCode::OK);
    assert_eq!(informed(&mut talk.simulation, trunk, incoming).len(), 2);
    answer(&mut talk, StatusCode::OK);
    assert_eq!(informed(&mut talk.simulation, trunk, incoming).len(), 2, "the next waits until the last has sounded");
    talk.simulation.pass(Duration::from_millis(160));
    let all = bodies(&informed(&mut talk.simulation, trunk, incoming));
    assert_eq!(all, ["Signal=1\r\nDuration=100\r\n", "Signal=#\r\nDuration=100\r\n", "Signal=3\r\nDuration=100\r\n"]);
    answer(&mut talk, StatusCode::OK);
    end(talk);
}

#[test]
fn a_trunk_that_wants_info_gets_what_was_heard_in_the_agents_media() {
    let mut talk = talk_with_info();
    let (agent_side, trunk_side) = bridged(&talk.simulation);
    let wanted = talk
        .simulation
        .commands
        .iter()
        .any(|command| matches!(command, Command::SetDtmf { session, dtmf: Dtmf::Info } if *session == trunk_side));
    assert!(wanted, "its media takes no digits");
    let now = talk.simulation.now;
    for session in [agent_side, trunk_side] {
        let event = media::Event::Digit { session, digit: '8', duration: Duration::from_millis(90) };
        talk.simulation.switchboard.handle_media(now, ShardIndex(0), event);
    }
    talk.simulation.settle();
    let infos = informed(&mut talk.simulation, talk.trunk, talk.incoming);
    assert_eq!(bodies(&infos), ["Signal=8\r\nDuration=90\r\n"], "and its own digits do not come back to it");
    answer(&mut talk, StatusCode::OK);
    end(talk);
}

#[test]
fn a_trunk_that_refuses_a_digit_or_never_answers_one_is_not_hung_up_on_and_gets_the_next() {
    let mut talk = talk_with_info();
    for digit in ["1", "2", "3"] {
        inform(&mut talk.simulation, talk.browser, talk.outgoing, RELAY, &format!("Signal={digit}\r\n"));
    }
    answer(&mut talk, StatusCode::CALL_DOES_NOT_EXIST);
    talk.simulation.pass(Duration::from_secs(1));
    assert_eq!(informed(&mut talk.simulation, talk.trunk, talk.incoming).len(), 2);
    talk.simulation.pass(Duration::from_secs(33));
    assert_eq!(informed(&mut talk.simulation, talk.trunk, talk.incoming).len(), 3);
    answer(&mut talk, StatusCode::OK);
    assert_eq!(talk.simulation.switchboard.call_count(), 1);
    end(talk);
}

#[test]
fn digits_that_still_wait_when_the_call_ends_are_gone_with_it() {
    let mut talk = talk_with_info();
    for digit in ["1", "2", "3"] {
        inform(&mut talk.simulation, talk.browser, talk.outgoing, RELAY, &format!("Signal={digit}\r\n"));
    }
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    talk.simulation.pass(Duration::from_secs(60));
    assert_eq!(informed(&mut talk.simulation, talk.trunk, talk.incoming).len(), 1);
    talk.simulation.assert_all_over();
}

#[test]
fn keys_pressed_by_who_holds_do_not_reach_a_trunk_that_wants_info() {
    let mut talk = talk_with_info();
    let (agent_side, _) = bridged(&talk.simulation);
    let press = |talk: &mut Talk| {
        let event = media::Event::Digit { session: agent_side, digit: '8', duration: Duration::from_millis(90) };
        talk.simulation.switchboard.handle_media(talk.simulation.now, ShardIndex(0), event);
        talk.simulation.settle();
        informed(&mut talk.simulation, talk.trunk, talk.incoming).len()
    };
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendonly"));
    assert_eq!(press(&mut talk), 0);
    talk.simulation.reinvite(talk.browser, talk.outgoing, Some("v=0 a=sendrecv"));
    assert_eq!(press(&mut talk), 1);
    answer(&mut talk, StatusCode::OK);
    end(talk);
}
