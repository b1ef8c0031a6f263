//! What is shown of a leg: whose phone it is, the dialog by which its phone knows the call, and whether the phone is away.

use std::time::Duration;

use sip::{ConnectionId, Message, Transport};
use switchboard::{CallState, LegView};
use testkit::Simulation;

use crate::coming_back::{DEVICE, NEXT};
use crate::{PLAN, talk, talk_in};

fn legs(simulation: &Simulation) -> &[LegView] {
    &simulation.views.last().expect("a call").legs
}

#[test]
fn a_leg_is_shown_with_its_extension_its_agent_and_the_call_id_its_own_phone_uses() {
    let mut talk = talk();
    let shown: Vec<_> =
        legs(&talk.simulation).iter().map(|leg| (leg.extension.clone(), leg.agent_id.clone())).collect();
    assert_eq!(shown, [(Some("100".to_owned()), Some("agt_100".to_owned())), (None, None)]);
    let call_ids: Vec<_> = legs(&talk.simulation).iter().map(|leg| leg.sip_call_id.clone()).collect();
    for (at, (peer, session)) in [(talk.browser, talk.outgoing), (talk.trunk, talk.incoming)].into_iter().enumerate() {
        let known = talk.simulation.peer(peer).endpoint.call_id(session).map(str::to_owned);
        assert!(known.is_some());
        assert_eq!(call_ids[at], known);
    }
}

#[test]
fn a_phone_that_rings_finds_its_call_by_the_call_id_of_the_invite_it_got() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let (_, invite) = simulation.invites(browser).pop().unwrap();
    assert_eq!(legs(&simulation)[1].sip_call_id.as_deref(), invite.headers.call_id());
}

#[test]
fn a_leg_is_away_from_the_loss_of_its_connection_until_its_phone_is_back() {
    let mut simulation = Simulation::new(PLAN);
    let browser = simulation.browser(1);
    simulation.register_as(browser, "100", DEVICE, 600);
    let mut talk = talk_in(simulation);
    let away = |simulation: &Simulation| legs(simulation).iter().map(|leg| leg.away).collect::<Vec<_>>();
    assert_eq!(away(&talk.simulation), [false, false]);
    talk.simulation.disconnect(talk.browser);
    assert_eq!(away(&talk.simulation), [true, false]);
    talk.simulation.peer(talk.browser).from_switchboard.connection = Some(NEXT);
    talk.simulation.register_as(talk.browser, "100", DEVICE, 600);
    assert_eq!(away(&talk.simulation), [false, false]);
    talk.simulation.disconnect(talk.browser);
    talk.simulation.pass(Duration::from_secs(31));
    assert_eq!(away(&talk.simulation), [false, false], "it is not waited for any more");
    talk.simulation.assert_all_over();
}

#[test]
fn a_trunk_whose_tcp_connection_closes_is_no_phone_that_is_away_and_its_call_goes_on() {
    let mut simulation = Simulation::new(PLAN);
    let (browser, trunk) = (simulation.browser(1), simulation.gateway(1));
    simulation.register(browser, "100", 600);
    let connection = ConnectionId(500);
    let peer = simulation.peer(trunk);
    peer.from_switchboard.transport = Transport::Tcp;
    peer.from_switchboard.connection = Some(connection);
    peer.to_switchboard.transport = Transport::Tcp;
    peer.to_switchboard.connection = Some(connection);
    let now = simulation.now;
    let (from, to) = ("sip:+15550001111@x.example", "sip:+493011100@203.0.113.1");
    let calling = simulation.peer(trunk).invite(now, from, to, Some("v=0 trunk"), None);
    simulation.settle();
    let asked = simulation.incoming(browser);
    simulation.answer(browser, asked, sip::StatusCode::OK, Some("v=0 browser"));
    assert!(simulation.is_answered(trunk, calling));
    simulation.disconnect(trunk);
    assert!(legs(&simulation).iter().all(|leg| !leg.away));
    simulation.pass(Duration::from_secs(120));
    assert_eq!(simulation.views.last().unwrap().state, CallState::Connected);
    assert!(!simulation.is_hung_up(browser, asked));
    // Its BYE goes over a connection that is opened for it.
    simulation.hang_up(browser, asked);
    let bye = simulation.sent.iter().rev().find(|(_, to, message)| {
        *to == trunk && matches!(message, Message::Request(request) if request.method == sip::Method::Bye)
    });
    assert!(bye.is_some());
}
