//! A browser that offers again as another one in the middle of its call (RFC 8842 §3.1): other ICE credentials and another certificate. A
//! new handshake brings new keys, and both voices come back.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[allow(dead_code, reason = "not for every test that shares this file")]
mod support;

use std::sync::Arc;

use media::{Certificate, Command, Event, SecureTransport, SocketId};
use support::{BROWSER, Call, GATEWAY, HeardAudio, address, level_db, tone};

const AGENT: f64 = 1000.0;
const CUSTOMER: f64 = 700.0;

/// Both speak for a second.
fn talk(call: &mut Call, began: usize) -> HeardAudio {
    call.speak(50, |call, frame| {
        call.browser_says(&tone(AGENT, began + frame));
        call.trunk_says(&tone(CUSTOMER, began + frame));
    })
}

/// Both were heard all the time, as loud as they spoke; the first frames are left to codecs that settle.
fn assert_both_heard(heard: &HeardAudio, what: &str) {
    for (samples, frequency) in [(&heard.trunk, AGENT), (&heard.browser, CUSTOMER)] {
        assert!((7840..=8160).contains(&samples.len()), "{what}, {frequency} Hz: {} samples", samples.len());
        for (frame, samples) in samples.chunks_exact(160).enumerate().skip(5) {
            let level = level_db(samples, frequency);
            assert!(level.abs() < 2.0, "{what}, {frequency} Hz, frame {frame}: {level} dB");
        }
    }
}

#[test]
fn a_new_certificate_and_new_credentials_in_a_call_are_followed_by_a_new_handshake_and_both_voices_come_back() {
    let mut call = Call::connected();
    assert_both_heard(&talk(&mut call, 0), "before");
    let theirs = Arc::new(Certificate::generate().unwrap());
    let answer = call.browser_offers("anew", &theirs);
    assert_both_heard(&talk(&mut call, 50), "until the answer is sent, by the old keys");

    // RFC 5763 §6.6: with the answer the old association is over.
    call.command(Command::Adopt { session: BROWSER });
    let old_address = call.browser_address;
    let stale = call.speak(10, |call, frame| call.browser_says(&tone(AGENT, 100 + frame)));
    assert!(stale.trunk.is_empty(), "the old keys are another certificate's");
    let unheard = call.speak(10, |call, frame| call.trunk_says(&tone(CUSTOMER, 100 + frame)));
    assert!(unheard.browser.is_empty(), "nothing goes out that only the old keys open");

    let anew = SecureTransport::controlling(theirs, "anew".to_owned());
    let mut old = std::mem::replace(&mut call.browser, anew);
    call.browser.set_peer(answer);
    call.browser.set_candidate(GATEWAY);
    call.browser_address = address(7, 50_002);
    call.browser_ssrc = 43;
    // What the old association says at its end comes late, and ends nothing.
    old.close(call.now);
    let farewell = old.poll_transmit().expect("close_notify").1;
    call.shard.handle_packet(call.now, SocketId::BROWSERS, old_address, &farewell);
    call.browser.check();
    call.deliver();
    assert!(call.browser.is_connected(), "the second handshake");
    assert!(!call.events.iter().any(|event| matches!(event, Event::Failed { .. })), "{:?}", call.events);
    assert_both_heard(&talk(&mut call, 110), "by the new keys");
}

#[test]
fn the_new_handshake_holds_the_browser_to_the_certificate_of_its_new_description() {
    let mut call = Call::connected();
    let named = Certificate::generate().unwrap();
    let answer = call.browser_offers("anew", &named);
    call.command(Command::Adopt { session: BROWSER });
    call.browser = SecureTransport::controlling(Arc::new(Certificate::generate().unwrap()), "anew".to_owned());
    call.browser.set_peer(answer);
    call.browser.set_candidate(GATEWAY);
    call.browser.check();
    call.deliver();
    assert!(call.events.iter().any(|event| matches!(event, Event::Failed { session: BROWSER, .. })));
    let heard = call.speak(10, |call, frame| call.trunk_says(&tone(CUSTOMER, frame)));
    assert!(heard.browser.is_empty());
}
