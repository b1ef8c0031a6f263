//! A trunk's carrier wants us registered: we are, stay so, say when we are not and why, and are called there.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Authenticator, ClientCredentials, Ha1, Message, Method, Request, Response, StatusCode, Verdict};
use switchboard::{Directory, Hop, Operator, TrunkRegistrationState};
use testkit::Simulation;

use crate::carrier::udp;

const REALM: &str = "sip.carrier.example";
const FIRST: &str = "198.51.100.1:5060";
const SECOND: &str = "198.51.100.9:5060";

fn credentials(password: &str) -> ClientCredentials {
    ClientCredentials { username: "user".into(), realm: REALM.into(), ha1: Ha1::new("user", REALM, password) }
}

fn registers(directory: &mut Directory) {
    let trunk = directory.trunks.get_mut("trk_main").unwrap();
    trunk.authentication.outbound = Some(credentials("secret"));
    trunk.authentication.register = Some(Duration::from_secs(600));
}

/// With a second gateway behind the first.
fn registers_at_two(directory: &mut Directory) {
    registers(directory);
    let trunk = directory.trunks.get_mut("trk_main").unwrap();
    let mut second = trunk.gateways[0].clone();
    second.host = "second.carrier.example".into();
    second.hops = vec![Hop::new(sip::Transport::Udp, SECOND.parse().unwrap())];
    trunk.gateways.push(second);
}

/// The carrier's registrar.
struct Registrar {
    simulation: Simulation,
    authenticator: Authenticator,
    seen: usize,
    known: Vec<String>,
}

impl Registrar {
    fn new(change: fn(&mut Directory)) -> Self {
        let mut simulation = Simulation::with(crate::PLAN, |_, directory| change(directory));
        simulation.pass(Duration::ZERO);
        Self { simulation, authenticator: Authenticator::new([5; 32]), seen: 0, known: Vec::new() }
    }

    /// The REGISTERs since the last call, and where they went; retransmissions once.
    fn asked(&mut self) -> Vec<(SocketAddr, Request)> {
        let new = self.simulation.sent.get(self.seen..).unwrap_or_default();
        let mut asked: Vec<(SocketAddr, Request)> = Vec::new();
        for (_, to, message) in new {
            let Message::Request(request) = message else { continue };
            let name = format!("{:?} {:?}", request.headers.call_id(), request.headers.get("CSeq"));
            if request.method == Method::Register && !self.known.contains(&name) {
                asked.push((*to, request.clone()));
                self.known.push(name);
            }
        }
        self.seen = self.simulation.sent.len();
        asked
    }

    fn one(&mut self) -> (SocketAddr, Request) {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }

    fn answer(&mut self, (to, request): &(SocketAddr, Request), status: u16, headers: &[(&str, &str)]) {
        let mut response = Response::for_request(request, StatusCode::new(status).unwrap()).with_to_tag("registrar");
        for (name, value) in headers {
            response = response.with_header(name, *value);
        }
        let now = self.simulation.now;
        self.simulation.switchboard.handle_message(now, udp(&to.to_string()), &response.to_bytes());
        self.simulation.settle();
    }

    /// Challenges the REGISTER that is under way; gives the one that answers.
    fn challenge(&mut self) -> (SocketAddr, Request) {
        let asked = self.one();
        let [sha, md5] = self.authenticator.challenges(self.simulation.now, REALM, false);
        self.answer(&asked, 401, &[("WWW-Authenticate", &sha), ("WWW-Authenticate", &md5)]);
        self.one()
    }

    fn is_right(&mut self, request: &Request, password: &str) -> bool {
        let known = |name: &str| Some(Ha1::new(name, REALM, password));
        let verdict = self.authenticator.verify(self.simulation.now, request, "Authorization", known);
        verdict == Verdict::Accepted { username: "user".into() }
    }

    /// Registered, for so many seconds.
    fn registered(change: fn(&mut Directory), expires: u32) -> Self {
        let mut registrar = Self::new(change);
        let asked = registrar.challenge();
        registrar.grant(&asked, expires);
        registrar
    }

    fn grant(&mut self, asked: &(SocketAddr, Request), expires: u32) {
        let contact = format!("<{}>;expires={expires}", contact(&asked.1));
        let others = "<sip:user@192.0.2.99>;expires=7";
        self.answer(asked, 200, &[("Contact", others), ("Contact", &contact), ("Expires", "11")]);
    }

    fn state(&self) -> TrunkRegistrationState {
        self.simulation.trunk_registrations["trk_main"].state.clone()
    }

    fn reason(&self) -> (Option<u16>, String) {
        match self.state() {
            TrunkRegistrationState::Failed { status, reason, .. } => (status, reason),
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass until the next REGISTER; how long that took.
    fn wait(&mut self, most: u64) -> (u64, (SocketAddr, Request)) {
        for second in 1..=most {
            self.simulation.pass(Duration::from_secs(1));
            if let Some(asked) = self.asked().pop() {
                return (second, asked);
            }
        }
        panic!("no REGISTER within {most} s");
    }
}

fn contact(request: &Request) -> String {
    request.headers.contacts().unwrap().first().unwrap().uri().to_string()
}

fn number(request: &Request) -> u32 {
    request.headers.cseq().unwrap().unwrap().number
}

#[test]
fn a_trunk_is_registered_with_its_credentials_for_as_long_as_its_contact_was_granted() {
    let mut registrar = Registrar::new(registers);
    assert_eq!(registrar.state(), TrunkRegistrationState::Registering);
    let (to, asked) = registrar.challenge();
    assert_eq!((to.to_string().as_str(), asked.uri.to_string().as_str()), (FIRST, "sip:main.carrier.example"));
    assert_eq!(asked.headers.get("To"), Some("<sip:user@main.carrier.example>"));
    assert!(asked.headers.get("From").unwrap().starts_with("<sip:user@main.carrier.example>;tag="));
    assert_eq!(asked.headers.get("Contact"), Some("<sip:user@127.0.0.1:5060>;expires=600"));
    assert!(registrar.is_right(&asked, "secret"));
    registrar.grant(&(to, asked.clone()), 120);
    match registrar.state() {
        TrunkRegistrationState::Registered { registrar: at, expires_at } => {
            assert_eq!(at, to);
            assert_eq!(expires_at, std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(120));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(registrar.simulation.switchboard.trunk_registrations().registered, 1);
    let (after, (_, again)) = registrar.wait(120);
    assert!((88..=110).contains(&after), "{after} s");
    assert_eq!(again.headers.call_id(), asked.headers.call_id());
    assert!(number(&again) > number(&asked), "{again:?}");
}

#[test]
fn a_carrier_that_finds_the_interval_too_brief_is_asked_for_a_longer_one() {
    let mut registrar = Registrar::new(registers);
    let asked = registrar.one();
    registrar.answer(&asked, 423, &[("Min-Expires", "1800")]);
    let asked = registrar.one();
    assert_eq!(asked.1.headers.get("Expires"), Some("1800"));
    registrar.answer(&asked, 200, &[]);
    let (after, _) = registrar.wait(1800);
    assert!((1340..=1630).contains(&after), "{after} s");
    // One that asks for nothing longer has refused.
    let mut registrar = Registrar::new(registers);
    let asked = registrar.one();
    registrar.answer(&asked, 423, &[("Min-Expires", "60")]);
    assert!(registrar.asked().is_empty());
    assert_eq!(registrar.reason().0, Some(423));
}

#[test]
fn the_next_gateway_is_asked_when_one_is_unavailable_or_silent() {
    let mut registrar = Registrar::new(registers_at_two);
    let asked = registrar.one();
    assert_eq!(asked.0.to_string(), FIRST);
    registrar.answer(&asked, 503, &[("Retry-After", "600")]);
    let asked = registrar.one();
    assert_eq!(
        (asked.0.to_string().as_str(), asked.1.uri.to_string().as_str()),
        (SECOND, "sip:second.carrier.example")
    );
    registrar.grant(&asked, 100);
    // Where it is registered it is refreshed first.
    let (_, asked) = registrar.wait(100);
    assert_eq!(asked.0.to_string(), SECOND);
    let mut registrar = Registrar::new(registers_at_two);
    registrar.one();
    let (after, asked) = registrar.wait(10);
    assert_eq!((after, asked.0.to_string().as_str()), (4, SECOND));
}

#[test]
fn what_fails_is_said_in_words_and_tried_again_ever_later() {
    let mut registrar = Registrar::new(registers);
    let asked = registrar.one();
    registrar.answer(&asked, 500, &[]);
    assert_eq!(
        registrar.reason(),
        (Some(500), "The carrier refused the registration with 500 Server Internal Error.".into())
    );
    assert_eq!(registrar.simulation.switchboard.trunk_registrations().failed, 1);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (after, asked) = registrar.wait(301);
        registrar.answer(&asked, 500, &[]);
        waits.push(after);
    }
    assert!(waits[0] <= 5 && waits[3] >= 20 && waits[8] >= 150, "{waits:?}");
    registrar.answer(&asked, 200, &[]);
    let (_, asked) = registrar.wait(301);
    registrar.answer(&asked, 503, &[("Retry-After", "1000 (maintenance)")]);
    let (after, asked) = registrar.wait(2000);
    assert!(after >= 1000, "{after} s");
    registrar.grant(&asked, 60);
    assert!(matches!(registrar.state(), TrunkRegistrationState::Registered { .. }));
    // Nobody there at all.
    let mut registrar = Registrar::new(registers);
    registrar.simulation.pass(Duration::from_secs(33));
    assert_eq!(registrar.reason(), (Some(408), "The carrier does not respond.".into()));
}

#[test]
fn wrong_credentials_and_foreign_realms_are_told_apart_and_not_hammered() {
    let mut registrar = Registrar::new(registers);
    let asked = registrar.challenge();
    registrar.answer(&asked, 403, &[]);
    assert_eq!(registrar.reason().0, Some(403));
    let (after, _) = registrar.wait(61);
    assert!(after >= 30, "{after} s");
    let mut registrar = Registrar::new(registers);
    let asked = registrar.challenge();
    let [sha, _] = registrar.authenticator.challenges(registrar.simulation.now, REALM, false);
    registrar.answer(&asked, 401, &[("WWW-Authenticate", &sha)]);
    assert!(registrar.asked().is_empty());
    assert_eq!(registrar.reason(), (Some(401), "The carrier does not accept the username or password.".into()));
    let mut registrar = Registrar::new(registers);
    let asked = registrar.one();
    registrar.answer(&asked, 401, &[("WWW-Authenticate", "Digest realm=\"other\", nonce=\"a\"")]);
    assert!(registrar.asked().is_empty());
    let words =
        "The carrier asks for credentials of the realm \"other\", but the trunk's are for \"sip.carrier.example\".";
    assert_eq!(registrar.reason(), (Some(401), words.into()));
}

#[test]
fn a_registration_goes_with_its_trunk_and_with_the_gateway() {
    let disables = |registrar: &mut Registrar| {
        registrar.simulation.change(|directory| directory.trunks.get_mut("trk_main").unwrap().enabled = false);
    };
    let removes = |registrar: &mut Registrar| {
        registrar.simulation.change(|directory| drop(directory.trunks.remove("trk_main")));
    };
    let drains = |registrar: &mut Registrar| {
        registrar.simulation.switchboard.handle_operator(registrar.simulation.now, Operator::Drain).unwrap();
        registrar.simulation.settle();
    };
    let ways: [&dyn Fn(&mut Registrar); 3] = [&disables, &removes, &drains];
    for end in ways {
        let mut registrar = Registrar::registered(registers, 120);
        assert!(matches!(registrar.state(), TrunkRegistrationState::Registered { .. }));
        end(&mut registrar);
        let asked = registrar.challenge();
        assert_eq!(asked.1.headers.get("Contact"), Some("<sip:user@127.0.0.1:5060>;expires=0"));
        assert!(registrar.is_right(&asked.1, "secret"));
        assert_eq!(registrar.simulation.switchboard.farewell_count(), 1);
        registrar.answer(&asked, 200, &[]);
        assert_eq!(registrar.simulation.switchboard.farewell_count(), 0);
        assert_eq!(registrar.state(), TrunkRegistrationState::Unregistered);
        registrar.simulation.pass(Duration::from_secs(3600));
        assert!(registrar.asked().is_empty());
    }
}

#[test]
fn another_password_is_another_registration_and_other_addresses_are_not() {
    let mut registrar = Registrar::registered(registers, 3600);
    registrar.simulation.change(|directory| {
        let hops = vec![Hop::new(sip::Transport::Udp, "198.51.100.7:5060".parse().unwrap())];
        directory.trunks.get_mut("trk_main").unwrap().gateways[0].hops = hops;
    });
    registrar.simulation.pass(Duration::from_secs(1));
    assert!(registrar.asked().is_empty());
    registrar.simulation.change(|directory| {
        directory.trunks.get_mut("trk_main").unwrap().authentication.outbound = Some(credentials("new"));
    });
    registrar.simulation.pass(Duration::ZERO);
    let asked = registrar.asked();
    let expires: Vec<_> = asked.iter().map(|(to, it)| (to.to_string(), it.headers.get("Expires").unwrap())).collect();
    assert_eq!(expires, [(FIRST.to_owned(), "0"), ("198.51.100.7:5060".to_owned(), "600")]);
}

#[test]
fn a_trunk_registers_as_soon_as_an_address_is_known() {
    let mut registrar = Registrar::new(|directory| {
        registers(directory);
        directory.trunks.get_mut("trk_main").unwrap().gateways[0].hops.clear();
    });
    assert!(registrar.asked().is_empty());
    assert_eq!(registrar.reason(), (None, "No address of the trunk's gateways is known.".into()));
    registrar.simulation.change(registers);
    registrar.simulation.change(|directory| {
        let hops = vec![Hop::new(sip::Transport::Udp, FIRST.parse().unwrap())];
        directory.trunks.get_mut("trk_main").unwrap().gateways[0].hops = hops;
    });
    registrar.simulation.pass(Duration::ZERO);
    registrar.one();
}

#[test]
fn the_registrar_calls_in_by_our_contact_and_names_the_number_in_to() {
    for (to, dialled) in [("+493011100", "+493011100"), ("user", "+493011100")] {
        let mut registrar = Registrar::registered(registers, 3600);
        // What its name leads to has changed since; the registration is where it was.
        registrar.simulation.change(|directory| {
            let hops = vec![Hop::new(sip::Transport::Udp, "198.51.100.7:5060".parse().unwrap())];
            directory.trunks.get_mut("trk_main").unwrap().gateways[0].hops = hops;
        });
        let invite = format!(
            "INVITE sip:user@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {FIRST};branch=z9hG4bKin\r\nMax-Forwards: 70\r\n\
             From: <sip:+4930222@carrier.example>;tag=c\r\nTo: <sip:{to}@main.carrier.example>\r\nCall-ID: in\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:carrier@{FIRST}>\r\nContent-Length: 0\r\n\r\n"
        );
        let now = registrar.simulation.now;
        registrar.simulation.switchboard.handle_message(now, udp(FIRST), invite.as_bytes());
        registrar.simulation.settle();
        let call = registrar.simulation.views.last().expect("a call");
        assert_eq!((call.to.as_str(), call.trunk_id.as_deref()), (dialled, Some("trk_main")));
        assert_eq!(registrar.simulation.switchboard.counters().strangers, 0);
    }
}
