//! The directory and who in it is free.

use switchboard::{BindingView, CallState};

use super::stand_in::{call, leg};
use super::*;

fn register(api: &Api, extension: &str) {
    let binding = BindingView {
        id: "reg_1".into(),
        address: std::sync::Arc::new(sip::Contact { address: sip::NameAddr::new("sip:x@b.invalid".parse().unwrap()) }),
        user_agent: None,
        flow: sip::Flow {
            transport: sip::Transport::Wss,
            peer: "192.0.2.1:50000".parse().unwrap(),
            connection: None,
            tls: None,
        },
        registered_at: std::time::SystemTime::UNIX_EPOCH,
        expires_at: std::time::SystemTime::UNIX_EPOCH,
    };
    api.tables.bindings_changed(extension, vec![binding]);
}

/// Extensions 100 and 101 of Ada, who takes two calls at most, and 102 of nobody; 100 and 102 are registered.
async fn staffed() -> (Api, String) {
    let api = Api::new().await;
    let agent = api.made("/v1/agents", json!({"display_name": "Ada", "max_concurrent_calls": 2})).await;
    for number in ["100", "101"] {
        api.made("/v1/extensions", json!({"number": number, "agent_id": id(&agent)})).await;
    }
    api.made("/v1/extensions", json!({"number": "102"})).await;
    register(&api, "100");
    register(&api, "102");
    let agent = id(&agent).to_owned();
    (api, agent)
}

async fn presences(api: &Api) -> Vec<String> {
    let page = api.call("GET", "/v1/directory", Value::Null).await;
    assert_eq!(page.status, StatusCode::OK);
    let entries = page.body["data"].as_array().unwrap().iter();
    entries.map(|entry| format!("{} {}", entry["number"], entry["presence"]).replace('"', "")).collect()
}

#[tokio::test]
async fn presence_follows_registrations_calls_and_how_many_calls_an_agent_takes() {
    let (api, agent) = staffed().await;
    let (ada, trunk) = (|number| leg("leg_1", Some((number, agent.as_str()))), || leg("leg_2", None));
    assert_eq!(presences(&api).await, ["100 available", "101 offline", "102 available"]);
    let mut ringing = ada("100");
    ringing.state = CallState::Ringing;
    api.tables.call_changed(call("call_1", vec![trunk(), ringing]));
    assert_eq!(presences(&api).await, ["100 ringing", "101 offline", "102 available"]);
    // Who calls out is not free either, whatever its phone does meanwhile.
    let mut calling = ada("101");
    calling.state = CallState::Routing;
    api.tables.call_changed(call("call_1", vec![calling, trunk()]));
    assert_eq!(presences(&api).await, ["100 available", "101 busy", "102 available"]);
    api.tables.call_changed(call("call_2", vec![ada("101"), trunk()]));
    assert_eq!(presences(&api).await, ["100 busy", "101 busy", "102 available"], "two calls are as many as she takes");
    let mut over = ada("101");
    over.state = CallState::Ending;
    api.tables.call_changed(call("call_2", vec![over, trunk()]));
    assert_eq!(presences(&api).await, ["100 available", "101 busy", "102 available"], "a leg that left counts no more");
    api.tables.bindings_changed("102", Vec::new());
    assert_eq!(presences(&api).await, ["100 available", "101 busy", "102 offline"]);
}

#[tokio::test]
async fn the_directory_shows_names_and_leaves_disabled_agents_out() {
    let (api, agent) = staffed().await;
    let page = api.call("GET", "/v1/directory?limit=1", Value::Null).await.body;
    assert_eq!(page["data"], json!([{"number": "100", "name": "Ada", "presence": "available"}]));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api.call("GET", &format!("/v1/directory?cursor={cursor}"), Value::Null).await.body;
    assert_eq!(rest["data"][1], json!({"number": "102", "name": null, "presence": "available"}));
    api.call("PATCH", &format!("/v1/agents/{agent}"), json!({"enabled": false})).await;
    assert_eq!(presences(&api).await, ["102 available"]);
}
