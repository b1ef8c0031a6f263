//! What is told of trunks at this moment.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use switchboard::{CallState, ServerState, ServerView, TrunkRegistration, TrunkRegistrationState};

use super::stand_in::{call, leg};
use super::{Api, id, pointers};
use crate::store::{Location, Place};

fn server(last: u8, state: ServerState, since: u64) -> ServerView {
    ServerView {
        transport: sip::Transport::Udp,
        address: ([192, 0, 2, last], 5060).into(),
        state,
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(since),
        last_status: (state == ServerState::Up).then_some(404),
        rtt: (state == ServerState::Up).then_some(Duration::from_micros(12_345)),
    }
}

async fn ready(api: &Api) -> Value {
    api.send(Request::get("/readyz").body(Body::empty()).unwrap()).await.body
}

#[tokio::test]
async fn a_trunk_tells_which_of_its_servers_live_and_how_many_calls_it_carries() {
    let api = Api::new().await;
    let gateways = json!([{"uri": "sip:192.0.2.1", "priority": 1}, {"uri": "sip:192.0.2.2", "priority": 2},
        {"uri": "sip:lost.carrier.test", "priority": 3}]);
    let trunk = api.made("/v1/trunks", json!({"name": "carrier", "gateways": gateways})).await;
    let trunk = id(&trunk).to_owned();
    let path = format!("/v1/trunks/{trunk}/status");
    let states = |answer: &Value| -> Vec<String> {
        let gateways = answer["gateways"].as_array().unwrap();
        gateways.iter().map(|gateway| gateway["state"].as_str().unwrap().to_owned()).collect()
    };
    let fresh = api.call("GET", &path, Value::Null).await.body;
    assert_eq!(states(&fresh), ["unknown", "unknown", "unknown"]);
    assert_eq!((&fresh["gateways"][2]["addresses"], &fresh["channels_in_use"]), (&json!([]), &json!(0)));
    api.tables.servers_changed(trunk.clone(), vec![server(1, ServerState::Up, 100), server(2, ServerState::Down, 200)]);
    let place = Place { host: "lost.carrier.test".to_owned(), transport: Some(sip::Transport::Udp) };
    let problem = Some("nobody knows it".to_owned());
    api.store.set_locations([(place, Location { hops: Vec::new(), problem })].into()).await;
    let outside = |mut leg: switchboard::LegView, state| {
        (leg.trunk_id, leg.state) = (Some(trunk.clone()), state);
        leg
    };
    let legs = vec![
        leg("leg_1", Some(("100", "agt_1"))),
        outside(leg("leg_2", None), CallState::Connected),
        outside(leg("leg_3", None), CallState::Ending),
    ];
    api.tables.call_changed(call("call_1", legs));
    let told = api.call("GET", &path, Value::Null).await.body;
    assert_eq!(states(&told), ["up", "down", "down"]);
    let first = &told["gateways"][0];
    assert_eq!((&first["uri"], &first["since"]), (&json!("sip:192.0.2.1"), &json!("1970-01-01T00:01:40Z")));
    let address =
        json!({"address": "192.0.2.1:5060", "transport": "udp", "state": "up", "last_status": 404, "rtt_ms": 12.3});
    assert_eq!(first["addresses"], json!([address]));
    assert_eq!(told["gateways"][1]["addresses"][0]["rtt_ms"], Value::Null);
    assert_eq!(told["gateways"][2]["problem"], "nobody knows it");
    assert_eq!(told["channels_in_use"], 1);
    assert_eq!(told["registration"], Value::Null);
    let state = TrunkRegistrationState::Failed { status: Some(403), reason: "It says no.".to_owned(), retry_at: None };
    let registration = TrunkRegistration { state, since: SystemTime::UNIX_EPOCH };
    api.tables.trunk_registration_changed(trunk.clone(), registration);
    let told = api.call("GET", &path, Value::Null).await.body["registration"].clone();
    assert_eq!(
        (&told["state"], &told["sip_status"], &told["reason"]),
        (&json!("failed"), &json!(403), &json!("It says no."))
    );
    assert_eq!(told["since"], "1970-01-01T00:00:00Z");
    assert_eq!(api.call("GET", "/v1/trunks/trk_none/status", Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_trunk_that_is_down_degrades_the_gateway_and_does_not_make_it_unready() {
    let api = Api::new().await;
    let trunk = json!({"name": "carrier", "gateways": [{"uri": "sip:192.0.2.1"}]});
    let trunk = api.made("/v1/trunks", trunk).await;
    api.made("/v1/trunks", json!({"name": "off", "enabled": false})).await;
    api.tables.set_listening(true);
    api.tables.set_certificate_expires(SystemTime::now() + Duration::from_secs(60));
    let before = ready(&api).await;
    assert_eq!((&before["degraded"], &before["ready"]), (&json!(false), &json!(true)));
    assert_eq!(before["trunks"], json!([{"name": "carrier", "state": "unknown"}]));
    api.tables.servers_changed(id(&trunk).to_owned(), vec![server(1, ServerState::Down, 100)]);
    let after = ready(&api).await;
    assert_eq!((&after["degraded"], &after["ready"]), (&json!(true), &json!(true)));
    assert_eq!(after["trunks"][0]["state"], "down");
}

#[tokio::test]
async fn how_often_servers_are_asked_has_a_default_and_bounds() {
    let api = Api::new().await;
    let made = api.made("/v1/trunks", json!({"name": "carrier"})).await;
    assert_eq!(made["options_ping_s"], 30);
    let path = format!("/v1/trunks/{}", id(&made));
    let changed = api.call("PATCH", &path, json!({"options_ping_s": 0})).await;
    assert_eq!((changed.status, &changed.body["options_ping_s"]), (StatusCode::OK, &json!(0)));
    assert!(api.store.directory().borrow().trunks[id(&made)].options_ping.is_zero());
    for wrong in [json!(-1), json!(3601), json!("often")] {
        let refused = api.call("PATCH", &path, json!({"options_ping_s": wrong})).await;
        assert_eq!(pointers(&refused), ["/options_ping_s"]);
    }
    let auto = json!({"gateways": [{"uri": "sip:carrier.test", "transport": "auto"}]});
    assert_eq!(api.call("PATCH", &path, auto).await.body["gateways"][0]["transport"], "auto");
}
