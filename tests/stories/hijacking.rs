//! Nobody touches another's call by knowing its dialog: a browser's leg obeys its own connection, or one that speaks for the same
//! extension; a trunk's leg no WebSocket at all.

use sip::{ConnectionId, Method, SessionEvent, Uri};

use crate::{Talk, talk};

/// The connection of somebody who learned all identifiers of the dialog.
const FOREIGN: ConnectionId = ConnectionId(77);

/// What the browser's dialog answers to a request over a connection that is not its own.
fn ask_from_elsewhere(talk: &mut Talk, method: &str, sequence: u32, headers: &str) -> (u16, sip::Response) {
    let own = talk.simulation.peer(talk.browser).from_switchboard.connection.replace(FOREIGN);
    let answer = talk.simulation.request_inside(talk.browser, talk.outgoing, method, sequence, headers, "");
    talk.simulation.peer(talk.browser).from_switchboard.connection = own;
    let answer = answer.expect("an answer");
    (answer.status.code(), answer)
}

#[test]
fn a_strangers_websocket_is_challenged_and_the_call_obeys_its_own() {
    let mut talk = talk();
    for (sequence, method) in (10..).zip(["BYE", "INFO", "UPDATE", "INVITE", "REFER"]) {
        assert_eq!(ask_from_elsewhere(&mut talk, method, sequence, "").0, 407, "{method}");
    }
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
    talk.simulation.hang_up(talk.trunk, talk.incoming);
    assert!(talk.simulation.is_hung_up(talk.browser, talk.outgoing), "the leg has not moved");
}

#[test]
fn another_agents_websocket_is_no_better_than_a_strangers() {
    let mut talk = talk();
    let other = talk.simulation.browser(2);
    talk.simulation.peer(other).from_switchboard.connection = Some(FOREIGN);
    talk.simulation.register(other, "101", 600);
    assert_eq!(ask_from_elsewhere(&mut talk, "BYE", 10, "").0, 407);
    assert!(!talk.simulation.is_hung_up(talk.trunk, talk.incoming));
}

#[test]
fn a_connection_that_proved_the_same_extension_takes_the_leg_over() {
    let mut talk = talk();
    let other = talk.simulation.browser(2);
    talk.simulation.peer(other).from_switchboard.connection = Some(FOREIGN);
    talk.simulation.register(other, "100", 600);
    assert_eq!(ask_from_elsewhere(&mut talk, "BYE", 10, "").0, 200);
    assert!(talk.simulation.is_hung_up(talk.trunk, talk.incoming));
}

#[test]
fn what_was_proven_counts_no_more_once_the_credential_is_another_or_the_connection_closed() {
    for closes in [true, false] {
        let mut talk = talk();
        let other = talk.simulation.browser(2);
        talk.simulation.peer(other).from_switchboard.connection = Some(FOREIGN);
        talk.simulation.register(other, "100", 600);
        if closes {
            talk.simulation.disconnect(other);
        } else {
            talk.simulation.change(|directory| {
                let credential = directory.credentials.get_mut("100").unwrap();
                credential.ha1 = sip::Ha1::new("100", testkit::REALM, "another secret");
            });
        }
        assert_eq!(ask_from_elsewhere(&mut talk, "BYE", 10, "").0, 407);
    }
}

#[test]
fn the_request_itself_may_prove_whose_it_is() {
    for (user, status) in [("101", 403), ("100", 200)] {
        let mut talk = talk();
        let (_, challenge) = ask_from_elsewhere(&mut talk, "BYE", 10, "");
        let answered = talk.simulation.events(talk.browser, talk.outgoing).into_iter().find_map(|event| match event {
            SessionEvent::Answered { response } => Some(response),
            _ => None,
        });
        let contact = answered.unwrap().headers.get("Contact").unwrap().to_owned();
        let uri = Uri::parse(contact.trim_matches(['<', '>'])).unwrap();
        let secret = format!("secret-{user}");
        let peer = talk.simulation.peer(talk.browser);
        let value = peer.credentials(user, &secret, &Method::Bye, &uri, &challenge, "Proxy-Authenticate");
        let headers = format!("Proxy-Authorization: {value}\r\n");
        assert_eq!(ask_from_elsewhere(&mut talk, "BYE", 11, &headers).0, status, "{user}");
        assert_eq!(talk.simulation.is_hung_up(talk.trunk, talk.incoming), status == 200);
    }
}

#[test]
fn a_leg_that_moved_is_shown_where_it_is_now() {
    let mut talk = talk();
    let other = talk.simulation.browser(2);
    talk.simulation.register(other, "100", 600);
    let there = talk.simulation.peer(other).from_switchboard;
    talk.simulation.peer(talk.browser).from_switchboard = there;
    talk.simulation.request_inside(talk.browser, talk.outgoing, "OPTIONS", 10, "", "");
    assert_eq!(talk.simulation.views.last().unwrap().legs[0].remote, there.peer);
}
