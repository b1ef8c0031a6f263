//! The load generator in this process against the gateway: each scenario small, and what a report says of a gateway that does the wrong thing.

use clap::Parser;
use patchcord_load::{Cli, Run};
use serde_json::Value;

use crate::support::gateway::{Gateway, NUMBER, SECRET};
use crate::support::within;

/// How a run ended.
struct Played {
    report: Value,
    is_clean: bool,
}

impl Played {
    /// The number at a JSON pointer.
    fn number(&self, pointer: &str) -> u64 {
        self.report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {}", self.report))
    }

    /// That all went well, with so many calls in which both sides heard what they should.
    fn assert_calls(&self, count: u64) {
        assert!(self.is_clean, "{:#}", self.report);
        let counts = ["/calls/attempted", "/calls/answered"].map(|pointer| self.number(pointer));
        assert_eq!(counts, [count, count]);
        for way in ["/agent_to_carrier", "/carrier_to_agent"] {
            let of = |name: &str| self.number(&format!("{way}/{name}"));
            assert_eq!((of("calls_heard_right"), of("packets_lost")), (count, 0), "{:#}", self.report);
            assert!(of("packets_received") > 20 * count && of("added_latency/count") >= count, "{:#}", self.report);
        }
    }
}

/// Agents with a secret, against a gateway whose trunk leads to the generator's carrier.
async fn play_with(gateway: &Gateway, server: &str, secret: &str, has_trunk: bool, scenario: &str) -> Played {
    let users = gateway.folder.path().join("users.csv");
    std::fs::write(&users, format!("100,{secret},{NUMBER}\n101,{secret}\n")).unwrap();
    let (users, trunk) = (users.display(), gateway.running.ports().sip_udp);
    let command = format!(
        "patchcord-load --server {server} --domain {} --users {users} --carrier 127.0.0.1:0 --trunk {trunk} {scenario}",
        testkit::REALM
    );
    let run = Run::prepare(Cli::try_parse_from(command.split(' ')).unwrap()).await.unwrap();
    if has_trunk {
        gateway.trunk(run.carrier(), "udp").await;
    }
    let report = within(scenario, run.play()).await.unwrap();
    Played { report: serde_json::from_str(&report.json().unwrap()).unwrap(), is_clean: report.is_clean() }
}

async fn play(scenario: &str) -> Played {
    let gateway = Gateway::start().await;
    let server = format!("wss://{}/sip", gateway.running.ports().https);
    let played = play_with(&gateway, &server, SECRET, true, scenario).await;
    gateway.running.shutdown().await;
    played
}

#[tokio::test]
async fn agents_register_and_refresh_over_the_connections_they_have() {
    let played = play("register --hold 500ms --refresh-rate 40").await;
    assert!(played.is_clean, "{:#}", played.report);
    assert_eq!((played.number("/registrations/registered"), played.number("/registrations/connect/count")), (2, 2));
    let refreshed = played.number("/registrations/refreshed");
    assert!((15..=21).contains(&refreshed), "{refreshed}");
    assert_eq!(played.number("/registrations/refresh/count"), refreshed);
}

#[tokio::test]
async fn agents_lose_their_connections_and_come_back() {
    let played = play("reconnect --times 2").await;
    assert!(played.is_clean, "{:#}", played.report);
    assert_eq!((played.number("/registrations/reconnected"), played.number("/registrations/connect/count")), (4, 6));
}

#[tokio::test]
async fn both_sides_hear_each_other_in_calls_out_with_a_hold() {
    let played = play("calls --total 2 --rate 20 --talk 3s --holds").await;
    played.assert_calls(2);
    assert_eq!(played.number("/calls/session_changes"), 4);
}

#[tokio::test]
async fn both_sides_hear_each_other_in_calls_in() {
    let played = play("calls --total 2 --rate 20 --talk 3s --direction in").await;
    played.assert_calls(2);
}

#[tokio::test]
async fn calls_are_handed_on() {
    let played = play("calls --total 2 --rate 20 --talk 5s --transfers").await;
    played.assert_calls(2);
    assert_eq!((played.number("/calls/transfers_done"), played.number("/calls/transfers_failed")), (2, 0));
}

#[tokio::test]
async fn a_ramp_has_figures_of_each_step() {
    let pid = std::process::id();
    let played =
        play(&format!("--pid {pid} --linger 0s ramp --steps 1 --target 2 --rate 20 --settle 100ms --hold 3s")).await;
    played.assert_calls(2);
    let steps = played.report["steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step["calls"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for (step, calls) in steps.iter().zip(1..) {
        assert!(step["gateway_processor_ms_per_call_second"].as_f64().unwrap() > 0.0, "{step:#}");
        let sent = step["carrier_to_agent"]["packets_sent"].as_u64().unwrap();
        assert!((calls * 120..calls * 180).contains(&sent), "{step:#}");
        assert_eq!(step["agent_to_carrier"]["packets_lost"], 0);
    }
    assert!(played.number("/gateway/memory/later_kib") > 0);
}

#[tokio::test]
async fn without_tls_and_media_only_signalling_is_loaded() {
    let gateway = Gateway::start().await;
    let server = format!("ws://{}/sip", gateway.running.ports().http.unwrap());
    let played = play_with(&gateway, &server, SECRET, true, "--no-media calls --total 20 --rate 100 --talk 0s").await;
    assert!(played.is_clean, "{:#}", played.report);
    assert_eq!((played.number("/calls/answered"), &played.report["agent_to_carrier"]), (20, &Value::Null));
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_the_refusal_that_it_is() {
    let gateway = Gateway::start().await;
    let server = format!("wss://{}/sip", gateway.running.ports().https);
    let played = play_with(&gateway, &server, "wrong", true, "calls --total 2").await;
    assert!(!played.is_clean);
    assert_eq!((played.number("/registrations/registered"), played.number("/calls/attempted")), (0, 0));
    let failed = played.report["registrations"]["failed"].as_object().unwrap();
    assert_eq!(failed.values().filter_map(Value::as_u64).sum::<u64>(), 2, "{failed:?}");
    assert!(failed.keys().all(|reason| reason.starts_with('4')), "{failed:?}");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn calls_to_a_carrier_that_is_not_there_fail_by_their_cause() {
    let gateway = Gateway::start().await;
    let server = format!("wss://{}/sip", gateway.running.ports().https);
    let played = play_with(&gateway, &server, SECRET, false, "calls --total 2 --rate 20 --talk 1s").await;
    assert!(!played.is_clean);
    assert_eq!((played.number("/calls/attempted"), played.number("/calls/answered")), (2, 0));
    let failed = played.report["calls"]["failed"].as_object().unwrap();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed.iter().all(|(reason, count)| reason.starts_with(['4', '5', '6']) && count == 2), "{failed:?}");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_run_that_cannot_begin_says_why() {
    let users = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&users, "100,secret\n").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = users.path().display().to_string();
    for (server, users, reason) in [
        (format!("ws://{closed}/sip"), path.as_str(), "Connection refused"),
        ("wss://nowhere.invalid/sip".to_owned(), &path, "nowhere.invalid is not found"),
        ("http://127.0.0.1/sip".to_owned(), &path, "expected wss://, ws:// or udp://"),
        ("udp://127.0.0.1:port".to_owned(), &path, "expected wss://, ws:// or udp://"),
        (format!("ws://{closed}/sip"), "/nonexistent", "/nonexistent: No such file"),
    ] {
        let arguments =
            ["--server", &server, "--domain", "d", "--users", users, "--carrier", "127.0.0.1:0", "register"];
        let cli = Cli::try_parse_from(["patchcord-load"].into_iter().chain(arguments)).unwrap();
        let error = within(reason, patchcord_load::play(cli)).await.unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    }
}
