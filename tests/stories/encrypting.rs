//! A trunk's media is SRTP, may be, or is not.

use std::net::SocketAddr;

use media::{Command, Keying, SdesPolicy};
use sip::{SessionId, StatusCode};
use switchboard::MediaEncryption;
use testkit::Simulation;

use crate::PLAN;

const SAVP: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 30000 RTP/SAVP 0\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
const AVP: &str =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";

/// Two trunks, of which `main` treats its media so.
fn simulation(encryption: MediaEncryption) -> Simulation {
    Simulation::with(PLAN, |_, directory| {
        directory.trunks.get_mut("trk_main").unwrap().media.encryption = encryption;
    })
}

/// How the legs of trunks were opened, in order.
fn opened(simulation: &Simulation) -> Vec<Option<SdesPolicy>> {
    let keyings = simulation.commands.iter().filter_map(|command| match command {
        Command::Open { keying: Keying::Sdes { policy, .. }, .. } => Some(Some(*policy)),
        Command::Open { keying: Keying::Plain { .. }, .. } => Some(None),
        _ => None,
    });
    keyings.collect()
}

#[test]
fn a_gateway_that_refuses_encrypted_media_is_asked_once_more_in_the_clear_where_that_is_allowed() {
    for status in [415, 488, 606] {
        let mut simulation = simulation(MediaEncryption::Optional);
        let (browser, main, spare) = (simulation.browser(1), simulation.gateway(1), simulation.gateway(2));
        let session = simulation.call(browser, "100", "+15551234567");
        let incoming = simulation.incoming(main);
        simulation.answer(main, incoming, StatusCode::new(status).unwrap(), None);
        assert_eq!(opened(&simulation), [Some(SdesPolicy::Optional), None], "{status}");
        let (again, _) = simulation.invites(main)[1].clone();
        simulation.answer(main, again, StatusCode::OK, Some(AVP));
        assert!(simulation.is_answered(browser, session), "{status}");
        assert!(simulation.invites(spare).is_empty());
        simulation.hang_up(browser, session);
        simulation.assert_all_over();
    }
}

#[test]
fn who_refuses_that_too_is_believed() {
    let mut simulation = simulation(MediaEncryption::Optional);
    let (browser, main) = (simulation.browser(1), simulation.gateway(1));
    let session = simulation.call(browser, "100", "+15551234567");
    for attempt in 0..2 {
        let (incoming, _) = simulation.invites(main)[attempt].clone();
        simulation.answer(main, incoming, StatusCode::NOT_ACCEPTABLE_HERE, None);
    }
    assert_eq!(simulation.invites(main).len(), 2);
    assert_eq!(simulation.refusal(browser, session).map(|refusal| refusal.status.code()), Some(488));
    simulation.assert_all_over();
}

#[test]
fn nobody_is_called_in_the_clear_who_must_not_be_or_refused_something_else() {
    for (encryption, status) in
        [(MediaEncryption::Required, 488), (MediaEncryption::Optional, 486), (MediaEncryption::Off, 488)]
    {
        let mut simulation = simulation(encryption);
        let (browser, main) = (simulation.browser(1), simulation.gateway(1));
        let session = simulation.call(browser, "100", "+15551234567");
        let incoming = simulation.incoming(main);
        simulation.answer(main, incoming, StatusCode::new(status).unwrap(), None);
        assert_eq!(simulation.invites(main).len(), 1, "{encryption:?} {status}");
        assert_eq!(simulation.refusal(browser, session).map(|refusal| refusal.status.code()), Some(status));
        simulation.assert_all_over();
    }
}

/// The trunk `main` calls extension 100 with this offer.
fn call_in(simulation: &mut Simulation, offer: &str) -> (SocketAddr, SessionId) {
    let (trunk, now) = (simulation.gateway(1), simulation.now);
    let to = "sip:+493011100@203.0.113.1";
    let session = simulation.peer(trunk).invite(now, "sip:+15550001111@198.51.100.1", to, Some(offer), None);
    simulation.settle();
    (trunk, session)
}

#[test]
fn an_offer_that_the_policy_forbids_is_refused_in_words_before_any_phone_rings() {
    let no_keys = SAVP.split("a=crypto").next().unwrap();
    for (encryption, offer, refused) in [
        (MediaEncryption::Off, SAVP, Some("RTP/SAVP is not accepted on this leg, whose media encryption is off")),
        (
            MediaEncryption::Required,
            AVP,
            Some("RTP/AVP is not accepted on this leg, which requires RTP/SAVP with keys"),
        ),
        (MediaEncryption::Optional, no_keys, Some("the audio stream has no a=crypto line")),
        (MediaEncryption::Off, AVP, None),
        (MediaEncryption::Optional, AVP, None),
        (MediaEncryption::Optional, SAVP, None),
        (MediaEncryption::Required, SAVP, None),
    ] {
        let mut simulation = simulation(encryption);
        let browser = simulation.browser(1);
        simulation.register(browser, "100", 600);
        let (trunk, session) = call_in(&mut simulation, offer);
        assert_eq!(simulation.invites(browser).is_empty(), refused.is_some(), "{encryption:?} {offer}");
        let told = simulation.refusal(trunk, session).map(|refusal| {
            let text = refusal.headers.reasons()[0].text.clone().unwrap_or_default();
            (refusal.status.code(), text.contains(refused.unwrap_or("nothing")))
        });
        assert_eq!(told, refused.map(|_| (488, true)), "{encryption:?} {offer}");
        if refused.is_none() {
            let incoming = simulation.incoming(browser);
            simulation.answer(browser, incoming, StatusCode::OK, Some("v=0 browser"));
            simulation.hang_up(trunk, session);
        }
        simulation.assert_all_over();
    }
}
