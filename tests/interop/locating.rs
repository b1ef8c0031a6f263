//! Trunks by name (RFC 3263): SIPp in the place of a carrier's servers, a name server of the tests' own that leads to them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sip::SessionId;

use crate::sipp::Sipp;
use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::name_server::NameServer;
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
