//! Offers and answers wherever a carrier puts them: in reliable provisional responses and their PRACKs (RFC 3262), in UPDATEs before the
//! answer (RFC 3311), in the 200 and its ACK, and in several branches of one call (RFC 3261 §13.2.2.4).

use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, MediaSessionId};
use sip::{Message, Method, Reliability, Request, Response, SessionEvent, SessionId, StatusCode};
use switchboard::{CallResult, Dialogs};
use testkit::{MediaScript, Simulation};

use crate::PLAN;
use crate::carrier::udp;

const SDP: &str = "application/sdp";

/// A carrier that agent 100 calls, written by hand: its branches have the tags it likes.
struct Called {
    simulation: Simulation,
    browser: SocketAddr,
    session: SessionId,
    invite: Request,
}

/// Trunks whose dialogs are set up so.
fn simulation(dialogs: Dialogs) -> Simulation {
    Simulation::with(PLAN, |_, directory| directory.trunks.values_mut().for_each(|trunk| trunk.dialogs = dialogs))
}

impl Called {
    fn new(dialogs: Dialogs) -> Self {
        let mut simulation = simulation(dialogs);
        let browser = simulation.browser(1);
        let session = simulation.call(browser, "100", "+15551234567");
        let invite = Self::requests(&simulation, &Method::Invite).pop().unwrap();
        Self { simulation, browser, session, invite }
    }

    fn requests(simulation: &Simulation, method: &Method) -> Vec<Request> {
        simulation.requests_to("198.51.100.1:5060".parse().unwrap(), method)
    }

    /// What the carrier got by this method: RAck, To tag and body of each.
    fn got(&self, method: &Method) -> Vec<(String, String, String)> {
        let words = |request: Request| {
            let rack = request.headers.get("RAck").unwrap_or_default().to_owned();
            let tag = request.headers.to().unwrap().unwrap().tag().unwrap().into_owned();
            (rack, tag, String::from_utf8_lossy(&request.body).into_owned())
        };
        Self::requests(&self.simulation, method).into_iter().map(words).collect()
    }

    /// A branch responds: reliably with an RSeq, and with a description unless it is empty.
    fn respond(&mut self, tag: &str, status: StatusCode, rseq: Option<u32>, sdp: &'static str) {
        let mut response = Response::for_request(&self.invite, status).with_to_tag(tag);
        response = response.with_header("Contact", "<sip:carrier@198.51.100.1:5060>");
        if let Some(rseq) = rseq {
            response = response.with_header("Require", "100rel").with_header("RSeq", rseq.to_string());
        }
        if !sdp.is_empty() {
            response = response.with_body(SDP, sdp);
        }
        self.tell(&Message::Response(response));
    }

    /// A branch asks something, and what it is answered with.
    fn ask(&mut self, tag: &str, method: Method, sequence: u32, sdp: &'static str) -> Response {
        let mut request = Request::new(method.clone(), self.invite.uri.clone());
        let header = |name: &str| self.invite.headers.get(name).unwrap().to_owned();
        request.headers.push("Via", format!("SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{tag}{sequence}"));
        request.headers.push("From", format!("{};tag={tag}", header("To")));
        request.headers.push("To", header("From"));
        request.headers.push("Call-ID", header("Call-ID"));
        request.headers.push("CSeq", format!("{sequence} {method}"));
        self.tell(&Message::Request(request.with_body(SDP, sdp)));
        match self.simulation.sent.iter().rev().find(|(_, to, _)| *to != self.browser).unwrap().2.clone() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("{}", request.method),
        }
    }

    fn tell(&mut self, message: &Message) {
        let now = self.simulation.now;
        self.simulation.switchboard.handle_message(now, udp("198.51.100.1:5060"), &message.to_bytes());
        self.simulation.settle();
    }

    /// The provisional responses that the agent's phone got, with a description or not.
    fn rang(&mut self) -> Vec<(u16, bool)> {
        let events = self.simulation.events(self.browser, self.session);
        let told = events.into_iter().filter_map(|event| match event {
            SessionEvent::Progress { response } => Some((response.status.code(), !response.body.is_empty())),
            _ => None,
        });
        told.collect()
    }

    /// The descriptions of the carrier's that its shard took, as offers or answers.
    fn taken(&self) -> Vec<String> {
        let of_carrier = |sdp: &[u8]| String::from_utf8_lossy(sdp).into_owned();
        let taken = self.simulation.commands.iter().filter_map(|command| match command {
            Command::HandleAnswer { sdp, .. } | Command::HandleOffer { sdp, .. } => Some(of_carrier(sdp)),
            _ => None,
        });
        taken.filter(|sdp| !sdp.contains("browser") && sdp != "v=0 offer").collect()
    }

    /// Whether both hear each other.
    fn are_joined(&self) -> bool {
        let joined = self.simulation.joined();
        joined.len() == 2 && joined.values().all(|others| others.len() == 1)
    }

    /// The agent talks, hangs up, and everything is over.
    fn assert_talks(mut self) {
        assert!(self.simulation.is_answered(self.browser, self.session));
        assert!(self.are_joined());
        self.simulation.hang_up(self.browser, self.session);
        let bye = Self::requests(&self.simulation, &Method::Bye).pop().unwrap();
        self.tell(&Message::Response(Response::for_request(&bye, StatusCode::OK)));
        self.simulation.assert_all_over();
        assert_eq!(self.simulation.records[0].result, CallResult::Answered);
    }
}

fn late() -> Dialogs {
    Dialogs { early_offer: false, ..Dialogs::default() }
}

fn prack(rack: &str, tag: &str, sdp: &str) -> (String, String, String) {
    (rack.to_owned(), tag.to_owned(), sdp.to_owned())
}

#[test]
fn an_answer_in_a_reliable_response_is_acknowledged_heard_and_final() {
    let mut called = Called::new(Dialogs::default());
    assert!(called.invite.headers.supported().contains(&"100rel"));
    called.respond("one", StatusCode::SESSION_PROGRESS, Some(1), "v=0 early");
    assert_eq!(called.got(&Method::Prack), [prack("1 1 INVITE", "one", "")]);
    assert_eq!(called.rang(), [(183, true)]);
    assert!(called.are_joined());
    called.respond("one", StatusCode::OK, None, "v=0 something else");
    assert_eq!(called.taken(), ["v=0 early"], "what the 200 says beside it is not listened to (RFC 6337 §2.1)");
    called.assert_talks();
}

#[test]
fn without_an_offer_of_ours_the_carriers_comes_in_a_reliable_response_and_is_answered_in_its_prack() {
    let mut called = Called::new(late());
    assert!(called.invite.body.is_empty());
    called.respond("one", StatusCode::SESSION_PROGRESS, Some(7), "v=0 their offer");
    let session = opened_by_trunk(&called.simulation);
    assert_eq!(called.got(&Method::Prack), [prack("7 1 INVITE", "one", &format!("v=0 session {session}"))]);
    assert_eq!((called.rang(), called.are_joined()), (vec![(183, true)], true));
    called.respond("one", StatusCode::OK, None, "");
    assert_eq!(called.got(&Method::Ack), [prack("", "one", "")]);
    assert_eq!(called.taken(), ["v=0 their offer"]);
    called.assert_talks();
}

/// The number of the trunk's media session, which is opened first.
fn opened_by_trunk(simulation: &Simulation) -> u64 {
    let MediaSessionId(session) = simulation.wiring.legs[0];
    session
}

#[test]
fn without_an_offer_of_ours_the_carriers_may_come_in_the_200_and_is_answered_in_the_ack() {
    let mut called = Called::new(Dialogs { prack: Reliability::Off, ..late() });
    assert!(!called.invite.headers.supported().contains(&"100rel"));
    called.respond("one", StatusCode::RINGING, None, "v=0 a promise");
    assert_eq!((called.rang(), called.taken().len()), (vec![(180, false)], 0), "no offer is made unreliably");
    called.respond("one", StatusCode::OK, None, "v=0 their offer");
    let session = opened_by_trunk(&called.simulation);
    assert_eq!(called.got(&Method::Ack), [prack("", "one", &format!("v=0 session {session}"))]);
    called.assert_talks();
}

#[test]
fn an_offer_of_the_carriers_that_cannot_be_used_ends_the_call_with_488() {
    for rseq in [Some(1), None] {
        let mut called = Called::new(late());
        called.simulation.script = MediaScript::RejectsOffers;
        let status = if rseq.is_some() { StatusCode::SESSION_PROGRESS } else { StatusCode::OK };
        called.respond("one", status, rseq, "v=0 nonsense");
        let refusal = called.simulation.refusal(called.browser, called.session).unwrap();
        assert_eq!(refusal.status.code(), 488);
        let last = if rseq.is_some() { Method::Cancel } else { Method::Bye };
        let request = Called::requests(&called.simulation, &last).pop().unwrap();
        called.tell(&Message::Response(Response::for_request(&request, StatusCode::OK)));
        called.respond("one", StatusCode::REQUEST_TERMINATED, None, "");
        called.simulation.assert_all_over();
    }
}

#[test]
fn of_several_branches_the_latest_description_is_heard_and_another_ones_ringing_does_not_silence_it() {
    let mut called = Called::new(Dialogs::default());
    called.respond("one", StatusCode::SESSION_PROGRESS, None, "v=0 first");
    called.respond("two", StatusCode::SESSION_PROGRESS, Some(1), "v=0 second");
    called.respond("one", StatusCode::RINGING, None, "");
    called.respond("three", StatusCode::RINGING, None, "");
    assert_eq!((called.rang(), called.taken()), (vec![(183, true)], vec!["v=0 first".into(), "v=0 second".to_owned()]));
    assert!(called.are_joined());
    called.respond("one", StatusCode::OK, None, "");
    assert_eq!(called.taken(), ["v=0 first", "v=0 second", "v=0 first"], "the branch that answers counts");
    called.assert_talks();
}

#[test]
fn a_branch_that_is_over_gives_way_to_another_and_the_last_one_to_ringback() {
    let mut called = Called::new(Dialogs::default());
    called.respond("one", StatusCode::SESSION_PROGRESS, None, "v=0 first");
    called.respond("two", StatusCode::SESSION_PROGRESS, None, "v=0 second");
    called.respond("two", StatusCode::EARLY_DIALOG_TERMINATED, None, "");
    assert_eq!(called.taken(), ["v=0 first", "v=0 second", "v=0 first"]);
    assert!(called.are_joined());
    called.respond("one", StatusCode::EARLY_DIALOG_TERMINATED, None, "");
    assert!(matches!(called.simulation.commands.last(), Some(Command::Ringback { .. })));
    called.respond("three", StatusCode::OK, None, "v=0 third");
    called.assert_talks();
}

#[test]
fn offers_of_several_branches_are_each_answered_in_their_own_prack() {
    let mut called = Called::new(late());
    called.simulation.script = MediaScript::Slow;
    called.respond("one", StatusCode::SESSION_PROGRESS, Some(1), "v=0 first");
    called.respond("two", StatusCode::SESSION_PROGRESS, Some(5), "v=0 second");
    called.simulation.shards_catch_up();
    called.simulation.script = MediaScript::Works;
    let sdp = format!("v=0 session {}", opened_by_trunk(&called.simulation));
    let expected = [prack("1 1 INVITE", "one", &sdp), prack("5 1 INVITE", "two", &sdp)];
    assert_eq!(called.got(&Method::Prack), expected);
    called.respond("one", StatusCode::OK, None, "");
    assert_eq!(called.taken(), ["v=0 first", "v=0 second", "v=0 first"]);
    assert_eq!(called.got(&Method::Prack).len(), 2, "and none is answered twice");
    called.assert_talks();
}

#[test]
fn an_update_before_the_answer_moves_early_media_and_stands_when_the_call_is_answered() {
    let mut called = Called::new(Dialogs::default());
    called.respond("one", StatusCode::SESSION_PROGRESS, Some(1), "v=0 announcement");
    let refreshed = called.ask("one", Method::Update, 1, "");
    assert_eq!((refreshed.status.code(), refreshed.body.len()), (200, 0));
    let moved = called.ask("one", Method::Update, 2, "v=0 person");
    let sdp = format!("v=0 session {}", opened_by_trunk(&called.simulation));
    assert_eq!((moved.status.code(), &moved.body[..]), (200, sdp.as_bytes()));
    assert!(matches!(called.simulation.commands.last(), Some(Command::Adopt { .. })));
    called.respond("one", StatusCode::OK, None, "");
    assert_eq!(called.taken(), ["v=0 announcement", "v=0 person"]);
    let later = called.ask("one", Method::Update, 3, "v=0 elsewhere");
    assert_eq!(later.status.code(), 200);
    called.assert_talks();
}

#[test]
fn an_update_that_cannot_be_used_is_488_and_one_that_a_shard_never_answers_500() {
    let mut called = Called::new(Dialogs::default());
    called.respond("one", StatusCode::SESSION_PROGRESS, Some(1), "v=0 announcement");
    called.simulation.script = MediaScript::RejectsOffers;
    assert_eq!(called.ask("one", Method::Update, 1, "v=0 nonsense").status.code(), 488);
    called.simulation.script = MediaScript::Mute;
    called.ask("one", Method::Update, 2, "v=0 person");
    called.simulation.pass(Duration::from_secs(6));
    let last = called.simulation.sent.iter().rev().find(|(_, to, _)| *to != called.browser).unwrap().2.clone();
    assert!(matches!(last, Message::Response(response) if response.status.code() == 500));
    called.simulation.script = MediaScript::Works;
    called.respond("one", StatusCode::OK, None, "");
    called.assert_talks();
}

#[test]
fn a_carrier_that_does_not_take_our_prack_is_left_for_the_next_one() {
    let mut called = Called::new(Dialogs::default());
    called.respond("one", StatusCode::SESSION_PROGRESS, Some(1), "v=0 early");
    let refused = Called::requests(&called.simulation, &Method::Prack).pop().unwrap();
    called.tell(&Message::Response(Response::for_request(&refused, StatusCode::CALL_DOES_NOT_EXIST)));
    assert_eq!(Called::requests(&called.simulation, &Method::Cancel).len(), 1);
    let spare = "198.51.100.2:5060".parse().unwrap();
    assert_eq!(called.simulation.requests_to(spare, &Method::Invite).len(), 1);
    called.respond("one", StatusCode::REQUEST_TERMINATED, None, "");
    let (now, browser, session) = (called.simulation.now, called.browser, called.session);
    called.simulation.peer(browser).endpoint.cancel(now, session, None);
    called.simulation.assert_all_over();
}

/// The trunk calls agent 100, whose phone rings; the trunk's session and the agent's.
fn call_in(
    simulation: &mut Simulation,
    headers: &[(&str, &str)],
    offer: Option<&str>,
) -> (SocketAddr, SessionId, SocketAddr) {
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    simulation.peer(trunk).headers = headers.iter().map(owned).collect();
    let (now, to) = (simulation.now, "sip:+493011100@203.0.113.1");
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@198.51.100.1", to, offer, None);
    simulation.settle();
    (trunk, session, browser)
}

const REQUIRED: &[(&str, &str)] = &[("Require", "100rel")];
const SUPPORTED: &[(&str, &str)] = &[("Supported", "100rel")];

/// The INVITE's responses that went to the trunk: status, whether reliable, and whether with a description.
fn responses(simulation: &Simulation, trunk: SocketAddr) -> Vec<(u16, bool, bool)> {
    let responses = simulation.sent.iter().filter_map(|(_, to, message)| match message {
        Message::Response(response) if *to == trunk && response.headers.get("CSeq")? == "1 INVITE" => Some(response),
        _ => None,
    });
    responses.map(|it| (it.status.code(), it.headers.contains("RSeq"), !it.body.is_empty())).skip(1).collect()
}

#[test]
fn who_requires_reliable_responses_gets_the_ringing_reliably_and_a_browser_hears_nothing_of_it() {
    let mut simulation = simulation(Dialogs::default());
    simulation.loses = Box::new(|_, text| text.starts_with("PRACK"));
    let (trunk, session, browser) = call_in(&mut simulation, REQUIRED, Some("v=0 offer"));
    let incoming = simulation.incoming(browser);
    let invite = simulation.requests_to(browser, &Method::Invite).pop().unwrap();
    let said = [invite.headers.supported(), invite.headers.require(), invite.headers.tokens("Allow")].concat();
    assert!(!said.contains(&"100rel") && !said.contains(&"PRACK"), "{said:?}");
    simulation.answer(browser, incoming, StatusCode::RINGING, None);
    assert_eq!(responses(&simulation, trunk), [(180, true, false)]);
    simulation.answer(browser, incoming, StatusCode::OK, Some("v=0 browser"));
    assert!(simulation.is_answered(trunk, session), "a ringing without a description holds nothing up");
    assert_eq!(responses(&simulation, trunk), [(180, true, false), (200, false, true)]);
    simulation.hang_up(trunk, session);
    simulation.assert_all_over();
}

#[test]
fn who_calls_without_an_offer_and_requires_reliable_responses_is_offered_in_the_ringing() {
    let mut simulation = simulation(Dialogs::default());
    let (trunk, session, browser) = call_required(&mut simulation);
    let incoming = simulation.incoming(browser);
    simulation.answer(browser, incoming, StatusCode::RINGING, None);
    assert_eq!(responses(&simulation, trunk), [(180, true, true)]);
    let taken = |simulation: &Simulation| {
        let answers = simulation
            .commands
            .iter()
            .filter(|command| matches!(command, Command::HandleAnswer { sdp, .. } if sdp == b"v=0 late answer"));
        answers.count()
    };
    assert_eq!(taken(&simulation), 1, "the PRACK's answer is the caller's");
    simulation.answer(browser, incoming, StatusCode::OK, Some("v=0 browser"));
    assert_eq!(responses(&simulation, trunk).last(), Some(&(200, false, false)), "what is agreed on is not said again");
    assert!(simulation.is_answered(trunk, session));
    simulation.pass(Duration::from_secs(60));
    assert_eq!((simulation.switchboard.call_count(), taken(&simulation)), (1, 1));
    simulation.hang_up(trunk, session);
    simulation.assert_all_over();
    assert_eq!(simulation.records[0].result, CallResult::Answered);
}

/// The trunk's own stack calls without an offer, and wants reliable responses.
fn call_required(simulation: &mut Simulation) -> (SocketAddr, SessionId, SocketAddr) {
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    simulation.peer(trunk).reliability = Reliability::Required;
    let (now, to) = (simulation.now, "sip:+493011100@203.0.113.1");
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@198.51.100.1", to, None, None);
    simulation.settle();
    (trunk, session, browser)
}

#[test]
fn a_caller_that_acknowledges_nothing_is_refused_with_504_and_a_reason() {
    let mut simulation = simulation(Dialogs::default());
    simulation.change(|directory| {
        // It rings for longer than a PRACK is waited for.
        directory.extensions.values_mut().for_each(|extension| extension.ring_timeout = Duration::from_secs(60));
    });
    simulation.loses = Box::new(|_, text| text.starts_with("PRACK"));
    let (trunk, session, browser) = call_required(&mut simulation);
    let incoming = simulation.incoming(browser);
    simulation.answer(browser, incoming, StatusCode::RINGING, None);
    simulation.pass(Duration::from_secs(33));
    assert_eq!(simulation.refusal(trunk, session).unwrap().status.code(), 504);
    simulation.assert_all_over();
    assert!(simulation.records[0].explanation.contains("PRACK"), "{}", simulation.records[0].explanation);
}

#[test]
fn a_trunk_may_forbid_reliable_responses_or_insist_on_them() {
    let off = Dialogs { prack: Reliability::Off, ..Dialogs::default() };
    let insists = Dialogs { prack: Reliability::Required, ..Dialogs::default() };
    for (dialogs, headers, status, told) in
        [(off, REQUIRED, 420, ("Unsupported", "100rel")), (insists, &[], 421, ("Require", "100rel"))]
    {
        let mut simulation = simulation(dialogs);
        let (trunk, session, _) = call_in(&mut simulation, headers, Some("v=0 offer"));
        let refusal = simulation.refusal(trunk, session).unwrap();
        assert_eq!((refusal.status.code(), refusal.headers.get(told.0)), (status, Some(told.1)));
    }
    let mut simulation = simulation(off);
    let (trunk, _, browser) = call_in(&mut simulation, SUPPORTED, Some("v=0 offer"));
    let incoming = simulation.incoming(browser);
    simulation.answer(browser, incoming, StatusCode::RINGING, None);
    assert_eq!(responses(&simulation, trunk), [(180, false, false)]);
    let required = Called::new(insists);
    assert_eq!(required.invite.headers.require(), ["100rel"]);
}

#[test]
fn a_trunk_is_asked_for_the_session_timer_it_is_set_to() {
    use switchboard::SessionTimer;
    for (session_timer, said) in [
        (SessionTimer::Configured, Some("1800;refresher=uac")),
        (SessionTimer::Off, None),
        (SessionTimer::Every(Duration::from_secs(300)), Some("300;refresher=uac")),
    ] {
        let called = Called::new(Dialogs { session_timer, ..Dialogs::default() });
        assert_eq!(called.invite.headers.get("Session-Expires"), said);
    }
}
