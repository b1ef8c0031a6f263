//! Carriers that prove who they are by digest, from a known address or from any.

use sip::{Ha1, Message, Method, Response, Uri};
use switchboard::{Directory, InboundCredentials};
use testkit::{Peer, Simulation};

use crate::carrier::udp;

/// Outside every network of any trunk.
const ELSEWHERE: &str = "203.0.113.77:5060";
const GATEWAY: &str = "198.51.100.1:5060";
const REALM: &str = "phone.example.com";

fn proves_itself(directory: &mut Directory) {
    let ha1 = Ha1::new("carrier", REALM, "a long secret");
    directory.trunks.get_mut("trk_main").unwrap().authentication.inbound =
        Some(InboundCredentials { username: "carrier".into(), ha1 });
}

fn proves_itself_in_a_network(directory: &mut Directory) {
    proves_itself(directory);
    directory.trunks.get_mut("trk_main").unwrap().inbound.networks = vec!["192.0.2.0/24".parse().unwrap()];
}

fn request(method: &str, number: u32, extra: &str) -> String {
    format!(
        "{method} sip:+493011100@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {ELSEWHERE};branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+4930222@carrier.example>;tag=c\r\nTo: <sip:+493011100@127.0.0.1>\r\n\
         Call-ID: in\r\nCSeq: {number} {method}\r\nContact: <sip:carrier@{ELSEWHERE}>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

struct Stranger {
    simulation: Simulation,
    from: &'static str,
}

impl Stranger {
    fn new(from: &'static str, change: fn(&mut Directory)) -> Self {
        Self { simulation: Simulation::with(crate::PLAN, |_, directory| change(directory)), from }
    }

    /// Says something; what is answered to it.
    fn say(&mut self, text: &str) -> Vec<Response> {
        let before = self.simulation.sent.len();
        self.simulation.switchboard.handle_message(self.simulation.now, udp(self.from), text.as_bytes());
        self.simulation.settle();
        let answers = self.simulation.sent.iter().skip(before).filter(|(_, to, _)| to.to_string() == self.from);
        answers
            .filter_map(|(_, _, message)| match message {
                Message::Response(response) => Some(response.clone()),
                Message::Request(_) => None,
            })
            .collect()
    }

    fn statuses(&mut self, text: &str) -> Vec<u16> {
        self.say(text).iter().map(|response| response.status.code()).collect()
    }

    /// An INVITE that answers a challenge.
    fn proof(&mut self, challenge: &Response, username: &str, password: &str, number: u32) -> String {
        let uri = Uri::parse("sip:+493011100@127.0.0.1:5060").unwrap();
        let mut client = Peer::new(udp("127.0.0.1:5060"), udp(self.from), [1; 32]);
        let value = client.credentials(username, password, &Method::Invite, &uri, challenge, "WWW-Authenticate");
        request("INVITE", number, &format!("Authorization: {value}\r\n"))
    }

    fn calls(&self) -> usize {
        self.simulation.switchboard.call_count()
    }
}

#[test]
fn a_stranger_that_answers_the_challenge_of_an_open_trunk_calls_as_that_trunk() {
    let mut stranger = Stranger::new(ELSEWHERE, proves_itself);
    let challenged = stranger.say(&request("INVITE", 1, ""));
    let [challenge] = &challenged[..] else { panic!("{challenged:?}") };
    assert_eq!(challenge.status.code(), 401);
    let offered: Vec<&str> = challenge.headers.get_all("WWW-Authenticate").collect();
    assert!(offered[0].contains("SHA-256") && offered[1].contains("algorithm=MD5") && offered.len() == 2);
    assert!(offered[0].contains("realm=\"phone.example.com\""));
    // Nothing is kept of it, and nothing repeated.
    assert_eq!(stranger.simulation.switchboard.endpoint_counters().server_transactions, 0);
    assert!(stranger.say(&request("ACK", 1, "")).is_empty());
    let proof = stranger.proof(challenge, "carrier", "a long secret", 2);
    assert_eq!(stranger.statuses(&proof).first(), Some(&100));
    assert_eq!(
        stranger.simulation.records.first().or(None).map(|record| record.call.trunk_id.clone()),
        Some(Some("trk_main".into()))
    );
    assert_eq!(stranger.simulation.records[0].call.to, "+493011100");
}

#[test]
fn the_same_proof_is_good_for_one_call_only() {
    let mut stranger = Stranger::new(ELSEWHERE, proves_itself);
    let challenge = stranger.say(&request("INVITE", 1, "")).remove(0);
    let proof = stranger.proof(&challenge, "carrier", "a long secret", 2);
    stranger.say(&proof);
    assert_eq!(stranger.simulation.records.len(), 1);
    stranger.from = "203.0.113.78:5060";
    let again = stranger.say(&proof);
    assert_eq!(again[0].status.code(), 401);
    assert!(again[0].headers.get("WWW-Authenticate").unwrap().contains("stale=true"));
    assert_eq!(stranger.simulation.records.len(), 1);
}

#[test]
fn who_guesses_is_challenged_again_and_counted() {
    let mut stranger = Stranger::new(ELSEWHERE, proves_itself);
    let challenge = stranger.say(&request("INVITE", 1, "")).remove(0);
    for (name, password) in [("carrier", "a wrong secret"), ("100", "secret-100")] {
        let proof = stranger.proof(&challenge, name, password, 2);
        assert_eq!(stranger.statuses(&proof), [401]);
    }
    assert_eq!(stranger.simulation.switchboard.counters().authentication_failures, 2);
    assert_eq!((stranger.calls(), stranger.simulation.records.len()), (0, 0));
}

#[test]
fn a_stranger_hears_nothing_but_a_bounded_number_of_challenges_to_invites() {
    let mut stranger = Stranger::new(ELSEWHERE, proves_itself);
    for method in ["OPTIONS", "REGISTER", "MESSAGE", "CANCEL", "BYE"] {
        assert!(stranger.say(&request(method, 1, "")).is_empty(), "{method}");
    }
    let challenged = |stranger: &mut Stranger| -> usize {
        (1..=50).map(|number| stranger.say(&request("INVITE", number, "")).len()).sum()
    };
    assert_eq!(challenged(&mut stranger), 10);
    stranger.simulation.pass(std::time::Duration::from_secs(1));
    assert_eq!(challenged(&mut stranger), 10);
    // From ever other addresses.
    stranger.simulation.pass(std::time::Duration::from_secs(1));
    let before = stranger.simulation.sent.len();
    for last in 0..=250u8 {
        let from = udp(&format!("203.0.113.{last}:5060"));
        let now = stranger.simulation.now;
        stranger.simulation.switchboard.handle_message(now, from, request("INVITE", 1, "").as_bytes());
        stranger.simulation.settle();
    }
    assert_eq!(stranger.simulation.sent.len() - before, 100);
    // Without a trunk that may call from anywhere, not even that.
    for change in [proves_itself_in_a_network, |_: &mut Directory| {}] {
        let mut stranger = Stranger::new(ELSEWHERE, change);
        assert!(stranger.say(&request("INVITE", 1, "")).is_empty());
        assert_eq!(stranger.simulation.switchboard.counters().strangers, 1);
    }
}

#[test]
fn an_address_of_the_trunk_is_not_enough_when_it_has_credentials() {
    for from in ["192.0.2.5:5060", GATEWAY] {
        let mut carrier = Stranger::new(from, proves_itself_in_a_network);
        let challenged = carrier.say(&request("INVITE", 1, ""));
        assert_eq!(challenged.last().unwrap().status.code(), 401, "{from}");
        assert_eq!(carrier.simulation.records.len(), 0);
        carrier.say(&request("ACK", 1, ""));
        let proof = carrier.proof(challenged.last().unwrap(), "carrier", "a long secret", 2);
        carrier.say(&proof);
        // The digest alone is not enough either: both must be right.
        let calls = if from == GATEWAY { 0 } else { 1 };
        assert_eq!(carrier.simulation.records.len(), calls, "{from}");
    }
}

#[test]
fn a_trunk_without_credentials_calls_from_its_address_as_ever() {
    let mut carrier = Stranger::new("198.51.100.2:5060", proves_itself);
    assert_eq!(carrier.statuses(&request("INVITE", 1, "")).first(), Some(&100));
    assert_eq!(carrier.simulation.records[0].call.trunk_id.as_deref(), Some("trk_spare"));
}
