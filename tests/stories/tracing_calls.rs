//! A support person looks up why a call went as it did: its messages, its routing, its media, and one sentence.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Codec, Event, MediaSessionId, Milestone};
use sip::StatusCode;
use switchboard::{CallId, RoutingStep, ShardIndex, Trace, Way};
use testkit::Simulation;

use crate::{PLAN, Talk, talk};

fn trace(simulation: &Simulation) -> &Trace {
    let id = &simulation.views.last().expect("a call").id;
    simulation.traces.get(id).expect("a trace")
}

/// Direction, last part of the peer's address and summary of each message.
fn ladder(trace: &Trace) -> Vec<(Way, String, String)> {
    let peer = |peer: SocketAddr| peer.ip().to_string();
    trace.messages().iter().map(|(_, entry)| (entry.way, peer(entry.flow.peer), entry.summary())).collect()
}

#[test]
fn a_call_that_fails_over_has_every_message_of_all_its_legs_in_order_and_why_the_next_was_tried() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    let session = simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(main);
    simulation.answer(main, incoming, StatusCode::SERVICE_UNAVAILABLE, None);
    let incoming = simulation.incoming(spare);
    simulation.answer(spare, incoming, StatusCode::OK, Some("v=0 spare"));
    simulation.pass(Duration::from_secs(3));
    simulation.hang_up(browser, session);
    simulation.assert_all_over();

    let trace = trace(&simulation);
    let (b, m, s) = ("192.0.2.1", "198.51.100.1", "198.51.100.2");
    let expected = [
        (Way::In, b, "INVITE sip:+15551234567@phone.example.com"),
        (Way::Out, b, "100 Trying"),
        (Way::Out, m, "INVITE sip:+15551234567@main.carrier.example"),
        (Way::In, m, "100 Trying"),
        (Way::In, m, "503 Service Unavailable"),
        (Way::Out, m, "ACK sip:+15551234567@main.carrier.example"),
        (Way::Out, s, "INVITE sip:+15551234567@spare.carrier.example"),
        (Way::In, s, "100 Trying"),
        (Way::In, s, "200 OK"),
    ];
    let seen = ladder(trace);
    let begins: Vec<_> = seen.iter().map(|(way, peer, summary)| (*way, peer.as_str(), summary.as_str())).collect();
    assert_eq!(begins[..expected.len()], expected);
    let ends: Vec<&str> =
        begins.iter().rev().take(4).map(|(_, _, summary)| summary.split(' ').next().unwrap()).collect();
    assert_eq!(ends.iter().filter(|word| **word == "BYE").count(), 2, "{begins:?}");
    assert_eq!(
        ends.iter().filter(|word| **word == "200").count(),
        2,
        "what comes after the end is there too: {begins:?}"
    );
    let legs: Vec<&str> = trace.messages().iter().filter_map(|(leg, _)| *leg).collect();
    assert_eq!(legs.len(), seen.len(), "every message has its leg");
    let steps: Vec<_> = trace.routing.iter().map(|note| (note.what.step, note.what.status)).collect();
    assert_eq!(
        steps,
        [
            (RoutingStep::Rule, None),
            (RoutingStep::Target, None),
            (RoutingStep::Attempt, None),
            (RoutingStep::Failed, Some(503)),
            (RoutingStep::Attempt, None),
            (RoutingStep::Answered, Some(200)),
        ]
    );
    assert!(trace.routing[0].what.text.contains("out"), "the rule is named");
    assert!(trace.routing[2].what.text.contains("198.51.100.1:5060 over UDP"));
    assert_eq!(trace.explanation(), simulation.records[0].explanation);
}

#[test]
fn repeated_messages_are_counted_and_not_shown_again() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, main, _) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
    simulation.loses = Box::new(move |peer, _| peer == main);
    simulation.call(browser, "100", "+15551234567");
    simulation.pass(Duration::from_millis(3600));
    let trace = trace(&simulation);
    let invites = trace.messages().into_iter().filter(|(_, entry)| entry.flow.peer == main).collect::<Vec<_>>();
    assert_eq!((invites.len(), invites[0].1.repeated), (1, 3), "after 0.5, 1.5 and 3.5 s");
    assert_eq!(invites[0].1.last_at - invites[0].1.at, Duration::from_millis(3500));
    assert_eq!(
        trace.explanation(),
        "A target is being found for +15551234567: Trunk main is called at 198.51.100.1:5060 over UDP."
    );
}

/// What the first trunk says, and what a support person reads.
#[test]
fn a_refusal_is_explained_with_where_to_look() {
    let cases = [
        (401, "demands authentication; look at the user name, password and realm"),
        (403, "403 Forbidden; carriers do so when the number presented is not one of the account's"),
        (404, "does not know the number; look at the number and how the trunk writes it (caller_id.format)"),
        (415, "415 Unsupported Media Type; look at the trunk's codecs"),
        (420, "look at Require, Supported and Unsupported in its answer"),
        (422, "look at the session timer"),
        (480, "the called party is not there at the moment"),
        (483, "the call goes round in a circle"),
        (484, "look at the number and how the trunk writes it"),
        (486, "Trunk main is busy."),
        (488, "look at the trunk's codecs and media encryption"),
        (500, "the trouble is on the carrier's side"),
        (503, "503 Service Unavailable; the trouble is on the carrier's side"),
        (603, "Trunk main declined the call."),
    ];
    for (status, said) in cases {
        let mut simulation = Simulation::with(PLAN, |_, directory| {
            directory.trunks.get_mut("trk_spare").unwrap().enabled = false;
        });
        let (browser, main) = (simulation.browser(1), simulation.gateway(1));
        simulation.call(browser, "100", "+15551234567");
        let incoming = simulation.incoming(main);
        simulation.answer(main, incoming, StatusCode::new(status).unwrap(), None);
        simulation.assert_all_over();
        let explanation = trace(&simulation).explanation();
        assert!(explanation.contains(said) && explanation.ends_with('.'), "{status}: {explanation}");
        assert_eq!(explanation, simulation.records[0].explanation, "record and trace say the same");
    }
}

#[test]
fn a_call_that_never_left_the_gateway_is_explained_too() {
    let disable = |spare: bool| {
        move |directory: &mut switchboard::Directory| {
            directory.trunks.get_mut("trk_main").unwrap().enabled = false;
            directory.trunks.get_mut("trk_spare").unwrap().enabled = !spare;
            directory.trunks.get_mut("trk_spare").unwrap().limits.max_channels = 1;
        }
    };
    for (dialled, disabled, said) in [
        ("555", false, "No rule of the dialplan matches 555; look at what was dialled"),
        ("102", false, "No phone of extension 102 is registered; look at whether its page is open"),
        ("+15551234567", true, "No trunk is there to carry the call; look at whether the trunk"),
    ] {
        let mut simulation = Simulation::with(PLAN, |_, directory| disable(disabled)(directory));
        let browser = simulation.browser(1);
        simulation.call(browser, "100", dialled);
        simulation.assert_all_over();
        let trace = trace(&simulation);
        assert!(trace.explanation().starts_with(said), "{}", trace.explanation());
        assert_eq!(ladder(trace).len(), 4, "INVITE, 100, refusal, ACK: {:?}", ladder(trace));
    }
    let mut simulation = Simulation::with(PLAN, |_, directory| disable(false)(directory));
    let (browser, other, _) = (simulation.browser(1), simulation.browser(2), simulation.gateway(2));
    simulation.call(browser, "100", "+15551234567");
    simulation.call(other, "101", "+15551234567");
    let explanation = &simulation.records[0].explanation;
    assert!(
        explanation.starts_with("All channels of trunk spare are taken; look at the trunk's max_channels"),
        "{explanation}"
    );
}

/// The media sessions of the browser and of the trunk.
fn sessions(talk: &Talk) -> [MediaSessionId; 2] {
    let legs = &talk.simulation.wiring.legs;
    // The trunk's is opened first: the caller's waits for what it says.
    [legs[1], legs[0]]
}

fn tell(talk: &mut Talk, session: MediaSessionId, milestone: Milestone) {
    let (at, shard) = (talk.simulation.now, ShardIndex(0));
    talk.simulation.switchboard.handle_media(at, shard, Event::Milestone { session, at, milestone });
    talk.simulation.settle();
}

/// What came of the browser's and the trunk's media, and what a support person reads after 5 seconds.
#[test]
fn media_that_does_not_come_is_explained_by_how_far_it_came() {
    let somewhere: SocketAddr = "192.0.2.77:4000".parse().unwrap();
    let agreed = Milestone::Agreed { codec: Codec::Opus, remote: somewhere };
    let path = Milestone::PathValidated { peer: somewhere };
    let refused = |reason| Milestone::Refused { from: somewhere, reason };
    let heard = [agreed, Milestone::FirstReceived];
    let unbelieved = [agreed, refused("RTP from an address not believed")];
    let cases: [(&[Milestone], &[Milestone], &str); 7] = [
        (&[agreed], &heard, "; no ICE check of extension 100 ever arrived"),
        (&[agreed, refused("STUN integrity is wrong")], &heard, "dropped (STUN integrity is wrong)"),
        (&[agreed, path], &heard, "; extension 100 reached the gateway by ICE but never began DTLS"),
        (&[agreed, path, Milestone::DtlsStarted], &heard, "; DTLS with extension 100 began but never finished"),
        (&heard, &[agreed], "; no media ever came from trunk main, which was to send from near 192.0.2.77:4000"),
        (&heard, &unbelieved, "what came from 192.0.2.77:4000 was dropped (RTP from an address not believed)"),
        (&heard, &heard, "The caller hung up."),
    ];
    for (browser, trunk, said) in cases {
        let mut talk = talk();
        let [near, far] = sessions(&talk);
        browser.iter().for_each(|milestone| tell(&mut talk, near, *milestone));
        trunk.iter().for_each(|milestone| tell(&mut talk, far, *milestone));
        talk.simulation.pass(Duration::from_secs(5));
        let running = trace(&talk.simulation).explanation();
        let finding = said.trim_start_matches("; ").replace("trunk main", "+15551234567 at the trunk");
        let quiet = said == "The caller hung up.";
        assert!(if quiet { running == "The call is answered." } else { running.contains(&finding) }, "{running}");
        talk.simulation.hang_up(talk.browser, talk.outgoing);
        talk.simulation.assert_all_over();
        let explanation = trace(&talk.simulation).explanation();
        assert!(explanation.starts_with("The caller hung up") && explanation.contains(said), "{explanation}");
        assert_eq!(trace(&talk.simulation).media.len(), browser.len() + trunk.len() + 1, "and the answer: {said}");
    }
}

#[test]
fn a_call_hung_up_at_once_says_nothing_of_media() {
    let mut talk = talk();
    let [near, _] = sessions(&talk);
    let remote = "192.0.2.77:4000".parse().unwrap();
    tell(&mut talk, near, Milestone::Agreed { codec: Codec::Opus, remote });
    talk.simulation.pass(Duration::from_secs(1));
    talk.simulation.hang_up(talk.browser, talk.outgoing);
    assert_eq!(talk.simulation.records[0].explanation, "The caller hung up.");
}

#[test]
fn a_missing_ack_is_explained_with_where_acks_go() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.loses = Box::new(move |peer, text| peer == browser && text.starts_with("ACK "));
    simulation.call(browser, "100", "+15551234567");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0 trunk"));
    simulation.pass(Duration::from_secs(33));
    let explanation = trace(&simulation).explanation();
    assert!(explanation.contains("no ACK arrived; it is sent to the address in our Contact"), "{explanation}");
}

#[test]
fn a_call_nobody_knows_has_no_trace() {
    let simulation = Simulation::new(PLAN);
    assert!(simulation.traces.get(&CallId("call_unknown".to_owned())).is_none());
}
