//! Trunks by name (RFC 3263): SIPp in the place of a carrier's servers, a name server of the tests' own that leads to them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::RecordType;
use serde_json::{Value, json};
use sip::SessionId;

use crate::sipp::{Sipp, free_ports};
use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::name_server::{Mood, NameServer};
use crate::support::phone::Phone;
use crate::support::within;

/// The carrier's name.
const CARRIER: &str = "carrier.test";

/// Between the beginnings of two calls.
const PACE: Duration = Duration::from_millis(100);

/// T1; 64 times that is how long a request to a server waits that is dead.
const T1: Duration = Duration::from_millis(30);

/// A gateway that asks this name server.
async fn gateway(names: &NameServer) -> Gateway {
    Gateway::start_with(|config| {
        config.dns.servers = vec![names.address.to_string()];
        config.dns.refused_networks = Vec::new();
        config.sip.t1_ms = u64::try_from(T1.as_millis()).unwrap();
    })
    .await
}

/// Adds the trunk [`CARRIER`] and waits until so many servers of it are known. Its id.
async fn trunk(gateway: &Gateway, transport: &str, servers: usize) -> String {
    let gateways = json!([{"uri": format!("sip:{CARRIER}"), "transport": transport}]);
    let trunk = gateway.trunk_with(json!({"gateways": gateways})).await;
    let mut directory = gateway.running.store().directory();
    let found = directory.wait_for(|directory| {
        directory.trunks.values().flat_map(|trunk| &trunk.gateways).any(|gateway| gateway.hops.len() == servers)
    });
    within("the carrier's servers", found).await.unwrap();
    trunk["id"].as_str().unwrap().to_owned()
}

/// Two servers of [`CARRIER`]: all calls are the first's as long as it lives.
fn serve_in_turn(names: &NameServer, first: SocketAddr, second: SocketAddr) {
    names.srv("_sip._udp.carrier.test", 60, (10, 1, first.port(), "host.carrier.test"));
    names.srv("_sip._udp.carrier.test", 60, (20, 1, second.port(), "host.carrier.test"));
    names.a("host.carrier.test", 60, [127, 0, 0, 1]);
}

fn number(call: usize) -> String {
    format!("+49302223{call:02}")
}

/// Calls, and waits for the answer.
async fn call(mut agent: Phone, to: String, offer: String) -> (Phone, SessionId) {
    let session = agent.call("100", &to, &offer).await;
    agent.answer(session).await;
    (agent, session)
}

/// Whose calls it was that a SIPp answered, by what was called.
fn answered(sipp: &Sipp, calls: std::ops::Range<usize>) -> BTreeSet<usize> {
    let invited = sipp.heard("INVITE ");
    calls.filter(|call| invited.iter().any(|line| line.contains(&number(*call)))).collect()
}

async fn assert_nothing_is_left(gateway: &Gateway, trunk: &str) {
    gateway.eventually("/v1/calls", |calls| calls["data"].as_array()?.is_empty().then_some(())).await;
    gateway
        .eventually(&format!("/v1/trunks/{trunk}/status"), |status| (status["channels_in_use"] == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn calls_go_on_over_the_second_server_when_the_first_is_killed_under_load() {
    const CALLS: usize = 32;
    const KILLED_BEFORE: usize = 9;
    let names = NameServer::start().await;
    let gateway = gateway(&names).await;
    let (mut first, second) = (Sipp::serve("callee", &[]), Sipp::serve("callee", &[]));
    serve_in_turn(&names, first.address, second.address);
    let trunk = trunk(&gateway, "udp", 2).await;
    let offer = Browser::new().await.offer();
    let mut agents = Vec::new();
    for _ in 0..=CALLS {
        agents.push(Phone::agent(&gateway, false).await);
    }
    let last = agents.pop().unwrap();
    let mut pace = tokio::time::interval(PACE);
    let mut calls = Vec::new();
    for (this, agent) in agents.into_iter().enumerate() {
        pace.tick().await;
        if this == KILLED_BEFORE {
            first.until("ACK ", 1).await;
            first.kill().await;
        }
        calls.push(tokio::spawn(call(agent, number(this), offer.clone())));
    }
    let mut running = Vec::new();
    for call in calls {
        running.push(within("the end of a call's beginning", call).await.unwrap());
    }
    let by_second = answered(&second, 0..CALLS);
    assert!(by_second.is_superset(&(KILLED_BEFORE..CALLS).collect()), "the second was called for {by_second:?}");
    assert!(by_second.len() < CALLS, "none ran through the first");

    // By now the first is known to be dead: nobody waits for it.
    let began = Instant::now();
    running.push(call(last, number(CALLS), offer).await);
    assert!(began.elapsed() < T1 * 32, "{:?}", began.elapsed());
    let dead = first.address.to_string();
    let is_down = |status: &Value| {
        let mut servers = status["gateways"][0]["addresses"].as_array()?.iter();
        servers.find(|server| server["address"] == dead && server["state"] == "down").map(|_| ())
    };
    gateway.eventually(&format!("/v1/trunks/{trunk}/status"), is_down).await;

    for (agent, session) in &mut running {
        agent.hang_up(*session).await;
    }
    let all = |records: &Value| Some(records["data"].as_array()?.clone()).filter(|records| records.len() > CALLS);
    let records = gateway.eventually("/v1/cdrs?limit=100", all).await;
    let told: BTreeSet<_> = records.iter().map(|record| record["to"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, (0..=CALLS).map(number).collect());
    assert!(
        records.iter().all(|record| record["result"] == "answered" && record["ended_by"] == "caller"),
        "{records:#?}"
    );
    second.until("BYE ", by_second.len() + 1).await;
    assert_nothing_is_left(&gateway, &trunk).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_silent_name_server_holds_up_its_own_trunk_and_no_call_over_another() {
    let mut names = NameServer::start().await;
    names.feel(Mood::Silent);
    let gateway = gateway(&names).await;
    let sipp = Sipp::play("callee", &[]);
    gateway.trunk(sipp.address, "udp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    // The dialplan takes all trunks by name: this one would be the first.
    let gateways = json!([{"uri": format!("sip:{CARRIER}"), "transport": "udp"}]);
    let lost = json!({"name": "another", "gateways": gateways, "options_ping_s": 0});
    let lost = gateway.post("/v1/trunks", lost).await;
    within("the question", names.is_asked("_sip._udp.carrier.test", RecordType::SRV, 1)).await;
    let asked = Instant::now();
    let session = agent.call("100", &number(0), &browser.offer()).await;
    agent.answer(session).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let status = gateway.get(&format!("/v1/trunks/{}/status", lost["id"].as_str().unwrap())).await;
    let gateway_of_lost = &status["gateways"][0];
    assert_eq!(gateway_of_lost["problem"], Value::Null, "the question is still open");
    assert_eq!(gateway_of_lost["addresses"], json!([]));
    agent.hang_up(session).await;
    sipp.assert_success().await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_server_that_wants_no_calls_for_a_minute_passes_this_one_on_and_gets_none_of_the_next() {
    let names = NameServer::start().await;
    let gateway = gateway(&names).await;
    let (first, second) = (Sipp::serve("unavailable", &[]), Sipp::serve("callee", &[]));
    serve_in_turn(&names, first.address, second.address);
    let trunk = trunk(&gateway, "udp", 2).await;
    let (mut agent, offer) = (Phone::agent(&gateway, false).await, Browser::new().await.offer());
    for this in 0..2 {
        let (phone, session) = call(agent, number(this), offer.clone()).await;
        agent = phone;
        agent.hang_up(session).await;
    }
    second.until("BYE ", 2).await;
    first.until("ACK ", 1).await;
    assert_eq!(answered(&second, 0..2), BTreeSet::from([0, 1]));
    assert_eq!(answered(&first, 0..2), BTreeSet::from([0]), "the first was called again");
    assert_nothing_is_left(&gateway, &trunk).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn naptr_has_sipp_called_over_tcp_by_its_providers_name() {
    let names = NameServer::start().await;
    let gateway = gateway(&names).await;
    let (sipp, other) = (Sipp::play("callee", &["-t", "t1"]), Sipp::serve("callee", &[]));
    names.naptr(CARRIER, 60, (20, 10, "s", "SIP+D2U", "_sip._udp.carrier.test"));
    names.naptr(CARRIER, 60, (10, 10, "s", "SIP+D2T", "_sip._tcp.carrier.test"));
    names.srv("_sip._udp.carrier.test", 60, (1, 1, other.address.port(), "host.carrier.test"));
    names.srv("_sip._tcp.carrier.test", 60, (1, 1, sipp.address.port(), "host.carrier.test"));
    names.a("host.carrier.test", 60, [127, 0, 0, 1]);
    let trunk = trunk(&gateway, "auto", 1).await;
    let (agent, offer) = (Phone::agent(&gateway, false).await, Browser::new().await.offer());
    sipp.listening().await;
    let (mut agent, session) = call(agent, number(0), offer).await;
    assert_eq!(sipp.heard("INVITE "), [format!("INVITE sip:{}@{CARRIER} SIP/2.0", number(0))]);
    agent.hang_up(session).await;
    sipp.assert_success().await;
    assert_eq!(other.heard("INVITE "), [""; 0]);
    assert_nothing_is_left(&gateway, &trunk).await;
    gateway.running.shutdown().await;
}

/// Waits until the status of a trunk's only server is this.
async fn is(gateway: &Gateway, trunk: &str, state: &str) -> Value {
    let there = |status: &Value| {
        let server = status["gateways"][0]["addresses"][0].clone();
        (status["gateways"][0]["state"] == state && server["state"] == state).then_some(server)
    };
    gateway.eventually(&format!("/v1/trunks/{trunk}/status"), there).await
}

#[tokio::test]
async fn a_server_that_does_not_answer_options_is_down_until_it_does() {
    let names = NameServer::start().await;
    let gateway = gateway(&names).await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_ports()));
    names.a(CARRIER, 60, [127, 0, 0, 1]);
    let gateways = json!([{"uri": format!("sip:{CARRIER}:{}", address.port()), "transport": "udp"}]);
    let trunk = gateway.trunk_with(json!({"gateways": gateways, "options_ping_s": 1})).await;
    let trunk = trunk["id"].as_str().unwrap();
    let down = is(&gateway, trunk, "down").await;
    assert_eq!((&down["address"], &down["last_status"]), (&json!(address.to_string()), &Value::Null));
    let sipp = Sipp::serve_at(address.port(), "alive", &[]);
    let up = is(&gateway, trunk, "up").await;
    assert_eq!(up["last_status"], 200);
    assert!(up["rtt_ms"].as_f64().unwrap() < 500.0, "{up}");
    let asked = sipp.heard("OPTIONS ");
    assert!(asked.len() >= 2, "one answer is no proof: {asked:?}");
    assert_eq!(asked[0], format!("OPTIONS sip:{CARRIER}:{} SIP/2.0", address.port()));
    drop(sipp);
    is(&gateway, trunk, "down").await;
    gateway.running.shutdown().await;
}
