//! The load generator against a server that is not ours: agents on UDP, registered at Kamailio, call the carrier through it, with Opus over
//! plain RTP all the way.

use clap::Parser;
use patchcord_load::{Cli, Run};
use serde_json::Value;

use crate::session_border_controller::Kamailio;
use crate::support::within;

const CONFIGURATION: &str = include_str!("kamailio/registrar.cfg");

/// Plays calls by three agents with a secret; whether that was clean, and the report.
async fn play(secret: &str, scenario: &str) -> (bool, Value) {
    let users = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&users, format!("100,{secret}\n101,{secret}\n102,{secret}\n")).unwrap();
    let port = crate::sipp::free_ports();
    let command = format!(
        "patchcord-load --server udp://127.0.0.1:{port} --domain phone.test --users {} --media rtp --carrier 127.0.0.1:0 {scenario}",
        users.path().display()
    );
    let run = Run::prepare(Cli::try_parse_from(command.split(' ')).unwrap()).await.unwrap();
    let _kamailio = Kamailio::start(CONFIGURATION, port, &[("CARRIER_PORT", run.carrier().port())]).await;
    let report = within(scenario, run.play()).await.unwrap();
    (report.is_clean(), serde_json::from_str(&report.json().unwrap()).unwrap())
}

#[tokio::test]
async fn agents_registered_at_kamailio_and_the_carrier_hear_each_other_in_opus() {
    let (is_clean, report) = play("correct horse", "calls --total 3 --rate 20 --talk 3s").await;
    assert!(is_clean, "{report:#}");
    assert_eq!((&report["registrations"]["registered"], &report["calls"]["answered"]), (&3.into(), &3.into()));
    for way in ["agent_to_carrier", "carrier_to_agent"] {
        let way = &report[way];
        assert_eq!((&way["calls_heard_right"], &way["packets_lost"]), (&3.into(), &0.into()), "{report:#}");
        assert!(way["added_latency"]["p50_ms"].as_f64().unwrap() < 5.0, "{report:#}");
    }
}

#[tokio::test]
async fn kamailios_refusal_of_a_wrong_secret_is_counted_as_such() {
    let (is_clean, report) = play("wrong", "register --hold 0s").await;
    assert!(!is_clean);
    let failed = report["registrations"]["failed"].as_object().unwrap();
    assert!(failed.iter().all(|(reason, count)| reason.starts_with("401") && count == 3), "{failed:?}");
    assert_eq!(failed.len(), 1);
}
