//! The lite agent against checks made by hand.
#![allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]

use rtc_dtls::crypto_provider::{RTCCryptoProvider, default_provider};
use rtc_stun::message::METHOD_BINDING;

use super::*;

const PWD: &str = "gateway-password-of-24-ch";

fn agent() -> IceLite {
    let mut agent = IceLite::new("gw".to_owned(), PWD.to_owned());
    agent.set_remote_ufrag("br");
    agent
}

fn crypto() -> std::sync::Arc<dyn RTCCryptoProvider> {
    default_provider().expect("provider")
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], port))
}

/// A check with attributes before its integrity and others after it.
fn check(username: &str, before: &[(AttrType, &[u8])], after: &[(AttrType, &[u8])]) -> Vec<u8> {
    let provider = crypto();
    let mut request = Message::new();
    request.set_type(BINDING_REQUEST);
    request.transaction_id.0 = [9; 12];
    request.write_header();
    request.add(ATTR_USERNAME, username.as_bytes());
    for (typ, value) in before {
        request.add(*typ, value);
    }
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(PWD.to_owned(), provider.crypto());
    integrity.add_to(&mut request).expect("integrity");
    for (typ, value) in after {
        request.add(*typ, value);
    }
    FINGERPRINT.add_to(&mut request).expect("fingerprint");
    request.raw
}

fn take(agent: &mut IceLite, from: SocketAddr, packet: &[u8]) -> Check {
    agent.handle(Instant::now(), from, packet, crypto().crypto())
}

/// The answer, after its integrity and fingerprint have been checked.
fn answer(check: Check) -> Message {
    let Check::Answer(bytes) = check else { panic!("{check:?}") };
    let mut message = decode(&bytes).expect("STUN");
    MessageIntegrity::check(&mut message, PWD.as_bytes(), crypto().crypto()).expect("integrity");
    FINGERPRINT.check(&message).expect("fingerprint");
    assert_eq!(message.transaction_id.0, [9; 12]);
    message
}

fn error_code(message: &Message) -> u16 {
    assert_eq!(message.typ, BINDING_ERROR);
    let value = message.get(ATTR_ERROR_CODE).expect("ERROR-CODE");
    u16::from(value[2]) * 100 + u16::from(value[3])
}

const NOMINATE: (AttrType, &[u8]) = (ATTR_USE_CANDIDATE, &[]);

#[test]
fn a_valid_check_is_answered_with_the_address_it_came_from() {
    let mut agent = agent();
    let message = answer(take(&mut agent, address(1), &check("gw:br", &[], &[])));
    assert_eq!((message.typ, message.typ.method), (BINDING_SUCCESS, METHOD_BINDING));
    let mut mapped = XorMappedAddress::default();
    rtc_stun::message::Getter::get_from(&mut mapped, &message).expect("XOR-MAPPED-ADDRESS");
    assert_eq!(SocketAddr::new(mapped.ip, mapped.port), address(1));
    assert!(agent.has_validated(address(1)) && agent.last_consent().is_some());
}

#[test]
fn only_a_nomination_moves_media_and_the_next_one_moves_it_again() {
    let mut agent = agent();
    let _ = answer(take(&mut agent, address(1), &check("gw:br", &[NOMINATE], &[])));
    let _ = answer(take(&mut agent, address(2), &check("gw:br", &[], &[])));
    assert_eq!(agent.peer(), Some(address(1)));
    let _ = answer(take(&mut agent, address(2), &check("gw:br", &[NOMINATE], &[])));
    assert_eq!(agent.peer(), Some(address(2)));
}

#[test]
fn what_follows_the_integrity_is_not_believed() {
    let mut agent = agent();
    let _ = answer(take(&mut agent, address(1), &check("gw:br", &[NOMINATE], &[])));
    let _ = answer(take(&mut agent, address(2), &check("gw:br", &[], &[NOMINATE])));
    assert_eq!(agent.peer(), Some(address(1)), "a nomination added on the way");
    let added = check("gw:br", &[], &[(AttrType(0x7777), &[1, 2, 3, 4])]);
    assert_eq!(answer(take(&mut agent, address(1), &added)).typ, BINDING_SUCCESS);
}

#[test]
fn checks_for_or_from_others_are_not_answered() {
    let mut agent = agent();
    for username in ["gw", "gw:", "gw:other", "other:br", "br:gw", ""] {
        let refused = take(&mut agent, address(1), &check(username, &[], &[]));
        assert!(matches!(refused, Check::Discarded(_)), "{username}");
    }
    assert_eq!((agent.peer(), agent.last_consent()), (None, None));
}

#[test]
fn each_changed_byte_of_a_check_makes_it_worthless() {
    let mut agent = agent();
    let good = check("gw:br", &[NOMINATE], &[]);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let taken = take(&mut agent, address(1), &bad);
        // Only a fingerprint that is no longer taken for one leaves a check that is still right.
        if matches!(taken, Check::Answer(_)) {
            assert!(agent.has_validated(address(1)));
            let covered = &bad[..good.len() - 8];
            assert_eq!(covered, &good[..good.len() - 8], "byte {at}");
        }
    }
}

#[test]
fn an_agent_that_claims_to_be_controlled_is_told_of_the_conflict() {
    let mut agent = agent();
    let message = answer(take(&mut agent, address(1), &check("gw:br", &[(ATTR_ICE_CONTROLLED, &[0; 8])], &[])));
    assert_eq!(error_code(&message), 487);
    assert_eq!(agent.peer(), None);
}

#[test]
fn an_unknown_attribute_that_must_be_understood_is_named_in_the_refusal() {
    let mut agent = agent();
    let message = answer(take(&mut agent, address(1), &check("gw:br", &[(AttrType(0x7777), &[0; 4])], &[])));
    assert_eq!(error_code(&message), 420);
    assert_eq!(message.get(ATTR_UNKNOWN_ATTRIBUTES).expect("named"), [0x77, 0x77]);
    let optional = check("gw:br", &[(AttrType(0xc057), &[0; 4])], &[]);
    assert_eq!(answer(take(&mut agent, address(1), &optional)).typ, BINDING_SUCCESS);
}

#[test]
fn many_addresses_do_not_push_out_the_one_in_use() {
    let mut agent = agent();
    let _ = answer(take(&mut agent, address(1), &check("gw:br", &[NOMINATE], &[])));
    for port in 2..40 {
        let _ = answer(take(&mut agent, address(port), &check("gw:br", &[], &[])));
    }
    assert!(agent.has_validated(address(1)) && agent.has_validated(address(39)));
    assert!(!agent.has_validated(address(2)), "their number is bounded");
    assert_eq!(agent.peer(), Some(address(1)));
}
