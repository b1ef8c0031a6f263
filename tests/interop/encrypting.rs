//! Trunks whose media is SRTP with keys in the SDP: SIPp's descriptions with an SRTP context of the test's own, and baresip with its own.

use std::net::SocketAddr;

use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use serde_json::json;

use crate::baresip::Baresip;
use crate::sipp::Sipp;
use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;

const CM: (&str, ProtectionProfile) = ("AES_CM_128_HMAC_SHA1_80", ProtectionProfile::Aes128CmHmacSha1_80);
const SHORT: (&str, ProtectionProfile) = ("AES_CM_128_HMAC_SHA1_32", ProtectionProfile::Aes128CmHmacSha1_32);
const GCM: (&str, ProtectionProfile) = ("AEAD_AES_256_GCM", ProtectionProfile::AeadAes256Gcm);

/// Base64 (RFC 4648 §4), so that it shares nothing with the gateway's.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let is_there = digit <= group.len();
            text.push(if is_there { char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]) } else { '=' });
        }
    }
    text
}

fn context(profile: ProtectionProfile, bytes: &[u8]) -> Context {
    let (key, salt) = bytes.split_at(profile.key_len());
    Context::new(key, salt, profile, None, None, default_provider().unwrap().crypto()).unwrap()
}

/// A key of the carrier's: its line, and what seals with it.
fn key(tag: u32, (suite, profile): (&str, ProtectionProfile), filling: u8) -> (String, Context) {
    let bytes = vec![filling; profile.key_len() + profile.salt_len()];
    (format!("a=crypto:{tag} {suite} inline:{}", base64(&bytes)), context(profile, &bytes))
}

/// What opens what the gateway seals, by its description.
fn opener(description: &str, (suite, profile): (&str, ProtectionProfile)) -> Context {
    let lines = description.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    let key = lines.filter(|line| line.contains(suite)).find_map(|line| line.trim().split("inline:").nth(1)).unwrap();
    let wanted = profile.key_len() + profile.salt_len();
    let digits = |text: &str| {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        text.trim_end_matches('=').chars().map(|digit| alphabet.find(digit).unwrap()).collect::<Vec<_>>()
    };
    let bytes: Vec<u8> = digits(key)
        .chunks(4)
        .flat_map(|group| {
            let bits = (0..4).fold(0, |bits, at| bits << 6 | group.get(at).copied().unwrap_or(0));
            [16, 8, 0].map(|shift| u8::try_from(bits >> shift & 255).unwrap())
        })
        .take(wanted)
        .collect();
    context(profile, &bytes)
}

/// Both hear the other's tone.
async fn assert_talk(browser: &mut Browser, carrier: &mut TrunkAudio, to: &str) {
    carrier.say(to.as_bytes(), 1000.0, 100).await;
    let level = level_db(&browser.hear(90).await[20 * FRAME..], 1000.0);
    assert!(level.abs() < 3.0, "the browser hears the carrier at {level} dB");
    browser.say(400.0, 100).await;
    let level = level_db(&carrier.hear(90).await[20 * FRAME..], 400.0);
    assert!(level.abs() < 3.0, "the carrier hears the browser at {level} dB");
}

/// The trunk `carrier` at this address, its media encrypted so.
async fn trunk(gateway: &Gateway, address: SocketAddr, encryption: &str) {
    let gateways = json!([{"uri": format!("sip:{address}"), "transport": "udp"}]);
    let inbound = json!({"cidrs": [format!("{}/32", address.ip())]});
    gateway.trunk_with(json!({"gateways": gateways, "inbound": inbound, "media_encryption": encryption})).await;
}

/// How the trunk's leg of the one call is encrypted, and the ids of that leg and the call.
async fn shown(gateway: &Gateway) -> (String, String, String) {
    gateway
        .eventually("/v1/calls", |calls| {
            let call = calls["data"].as_array()?.first()?;
            let leg = call["legs"].as_array()?.iter().find(|leg| leg["extension"].is_null())?;
            let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
            Some((text(&leg["encryption"])?, text(&leg["id"])?, text(&call["id"])?))
        })
        .await
}

#[tokio::test]
async fn who_requires_srtp_offers_it_and_keeps_its_key_through_a_hold() {
    for (tag, suite) in [(1, CM), (2, GCM)] {
        let gateway = Gateway::start().await;
        let mut carrier = TrunkAudio::new().await;
        let (line, seals) = key(tag, suite, 5);
        let port = carrier.port().to_string();
        let keys = ["-key", "rtp_port", &port, "-key", "profile", "RTP/SAVP", "-key", "crypto", &line];
        let sipp = Sipp::play("encrypting_callee", &keys);
        trunk(&gateway, sipp.address, "required").await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let session = agent.call("100", "+4930222333", &browser.offer()).await;
        browser.connect(&agent.answer(session).await.body).await;
        let offer = sipp.description().await;
        carrier.encrypt(seals, opener(&offer, suite));
        assert_talk(&mut browser, &mut carrier, &offer).await;
        let (encryption, leg, call) = shown(&gateway).await;
        assert_eq!(encryption, "sdes");
        // Held and resumed from our side: two re-INVITEs with the key in use and no other.
        for what in ["hold", "resume"] {
            gateway.post(&format!("/v1/calls/{call}/{what}"), json!({"leg_id": leg})).await;
            sipp.until("INVITE", if what == "hold" { 2 } else { 3 }).await;
        }
        let again = sipp.description().await;
        let lines = |text: &str| {
            text.lines().filter(|line| line.starts_with("a=crypto")).map(str::to_owned).collect::<Vec<_>>()
        };
        let used = lines(&offer).into_iter().filter(|line| line.contains(suite.0)).collect::<Vec<_>>();
        assert_eq!(lines(&again), used);
        sipp.until("ACK", 3).await;
        assert_talk(&mut browser, &mut carrier, &offer).await;
        agent.hang_up(session).await;
        sipp.assert_success().await;
        gateway.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_carrier_that_refuses_srtp_is_called_once_more_without_where_it_is_optional() {
    let gateway = Gateway::start().await;
    let mut carrier = TrunkAudio::new().await;
    let port = carrier.port().to_string();
    let sipp = Sipp::play("refusing_encryption", &["-m", "2", "-key", "rtp_port", &port]);
    trunk(&gateway, sipp.address, "optional").await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    let offer = sipp.description().await;
    assert!(!offer.contains("a=crypto"), "{offer}");
    assert_talk(&mut browser, &mut carrier, &offer).await;
    assert_eq!(shown(&gateway).await.0, "none");
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_carrier_that_refuses_srtp_is_not_called_without_where_it_is_required() {
    let gateway = Gateway::start().await;
    let sipp = Sipp::play("refusing_encryption", &["-key", "rtp_port", "9"]);
    trunk(&gateway, sipp.address, "required").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status.code(), 488);
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn an_answer_in_the_clear_to_who_requires_srtp_ends_the_call() {
    let gateway = Gateway::start().await;
    let keys = ["-key", "rtp_port", "9", "-key", "profile", "RTP/AVP", "-key", "crypto", "a=sendrecv"];
    let sipp = Sipp::play("encrypting_callee", &keys);
    trunk(&gateway, sipp.address, "required").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let refusal = agent.refusal(session).await;
    assert_eq!(refusal.status.code(), 488);
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_call_in_is_answered_in_kind_and_a_new_key_of_the_carriers_is_followed() {
    let offers = [("RTP/SAVP", SHORT, "required"), ("RTP/SAVPF", CM, "optional"), ("RTP/AVP", CM, "optional")];
    for (profile, suite, encryption) in offers {
        let gateway = Gateway::start().await;
        trunk(&gateway, "127.0.0.1:9".parse().unwrap(), encryption).await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let mut carrier = TrunkAudio::new().await;
        let ((line, seals), (second, seals_anew)) = (key(3, suite, 5), key(4, suite, 6));
        let (port, to) = (carrier.port().to_string(), gateway.running.ports().sip_udp.to_string());
        let mut keys = vec!["-s", NUMBER, "-key", "rtp_port", &port, "-key", "profile", profile];
        keys.extend(["-key", "crypto", &line, "-key", "rekeyed", &second, &to]);
        let sipp = Sipp::play("encrypting_caller", &keys);
        let (incoming, invite) = agent.invitation().await;
        agent.accept(incoming, &browser.answer()).await;
        browser.connect(&invite.body).await;
        let answer = sipp.description().await;
        assert!(answer.contains(&format!(" {profile} 0")) && answer.contains("a=crypto:3 "), "{answer}");
        carrier.encrypt(seals, opener(&answer, suite));
        assert_talk(&mut browser, &mut carrier, &answer).await;
        assert_eq!(shown(&gateway).await.0, "sdes");
        sipp.until("SIP/2.0 200", 2).await;
        let again = sipp.description().await;
        assert!(again.contains("a=crypto:4 "), "{again}");
        carrier.rekey(seals_anew);
        assert_talk(&mut browser, &mut carrier, &answer).await;
        agent.hang_up(incoming).await;
        sipp.assert_success().await;
        gateway.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_call_in_that_the_policy_forbids_is_refused_in_words_and_rings_nowhere() {
    let (line, _) = key(1, CM, 5);
    let mki = format!("{line}|2^20|1:4");
    for (encryption, profile, crypto) in [
        ("off", "RTP/SAVP", &line),
        ("required", "RTP/AVP", &line),
        ("required", "RTP/AVP", &"a=sendrecv".to_owned()),
        ("optional", "RTP/SAVP", &mki),
    ] {
        let gateway = Gateway::start().await;
        trunk(&gateway, "127.0.0.1:9".parse().unwrap(), encryption).await;
        let agent = Phone::registered(&gateway, "100").await;
        let to = gateway.running.ports().sip_udp.to_string();
        let sipp =
            Sipp::play("refused_media", &["-s", NUMBER, "-key", "profile", profile, "-key", "crypto", crypto, &to]);
        sipp.assert_success().await;
        let records =
            gateway.eventually("/v1/cdrs", |cdrs| Some(cdrs["data"].clone()).filter(|all| all[0].is_object()));
        let record = records.await[0].clone();
        assert_eq!((record["sip_code"].as_i64(), record["legs"].as_array().map(Vec::len)), (Some(488), Some(1)));
        drop(agent);
        gateway.running.shutdown().await;
    }
}

/// The second implementation: calls of both directions, both voices.
#[tokio::test]
async fn baresip_is_called_with_srtp_and_each_hears_the_other() {
    let gateway = Gateway::start().await;
    let carrier = Baresip::start("mediaenc=srtp-mand", 1000.0, None).await;
    trunk(&gateway, carrier.address, "required").await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    assert_baresip_talks(&mut browser, &gateway).await;
    agent.hang_up(session).await;
    assert_heard(carrier).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn baresip_calls_with_srtp_and_each_hears_the_other() {
    // Its `srtp` puts keys into RTP/AVP, its `srtp-mand` offers RTP/SAVP.
    for (media, encryption) in [("mediaenc=srtp-mand", "required"), ("mediaenc=srtp", "optional")] {
        let gateway = Gateway::start().await;
        trunk(&gateway, "127.0.0.1:9".parse().unwrap(), encryption).await;
        let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let to = format!("sip:{NUMBER}@{}", gateway.running.ports().sip_udp);
        let carrier = Baresip::start(media, 1000.0, Some(&to)).await;
        let (incoming, invite) = agent.invitation().await;
        agent.accept(incoming, &browser.answer()).await;
        browser.connect(&invite.body).await;
        assert_baresip_talks(&mut browser, &gateway).await;
        agent.hang_up(incoming).await;
        assert_heard(carrier).await;
        gateway.running.shutdown().await;
    }
}

/// The browser hears baresip's tone, and says its own for a second.
async fn assert_baresip_talks(browser: &mut Browser, gateway: &Gateway) {
    let level = level_db(&browser.hear(50).await[20 * FRAME..], 1000.0);
    assert!(level.abs() < 3.0, "the browser hears baresip at {level} dB");
    assert_eq!(shown(gateway).await.0, "sdes");
    for _ in 0..75 {
        browser.say(400.0, 1).await;
        // As fast as it is played.
        browser.hear(1).await;
    }
}

async fn assert_heard(carrier: Baresip) {
    let heard = carrier.heard().await;
    let spoken = heard.len() / 2;
    let level = level_db(&heard[spoken..spoken + 20 * FRAME], 400.0);
    assert!(level.abs() < 3.0, "baresip hears the browser at {level} dB of {} samples", heard.len());
}
