//! Who may test trunks, and how many at once.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Api, id};

#[tokio::test]
async fn a_trunk_is_tested_once_at_a_time_and_few_in_all() {
    let api = Api::new().await;
    let mut paths = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let gateways = json!([{"uri": "sip:127.0.0.1:9", "transport": "tcp"}]);
        let trunk = api.made("/v1/trunks", json!({"name": name, "gateways": gateways})).await;
        paths.push(id(&trunk).to_owned());
    }
    let path = |index: usize| format!("/v1/trunks/{}/test", paths[index]);
    let turns: Vec<_> = paths.iter().take(4).map(|trunk| api.trunk_tests.begin(trunk).unwrap()).collect();
    for index in [0, 4] {
        let refused = api.call("POST", &path(index), Value::Null).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("testing")));
        assert_eq!(refused.headers["retry-after"], "15");
    }
    drop(turns);
    for _ in 0..2 {
        let told = api.call("POST", &path(0), Value::Null).await;
        assert_eq!((told.status, &told.body["ok"]), (StatusCode::OK, &json!(false)));
        let steps = told.body["steps"].as_array().unwrap();
        let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["dns", "connection"]);
        assert_eq!(steps[1]["gateway"], "sip:127.0.0.1:9");
    }
}

#[tokio::test]
async fn a_test_needs_a_trunk_with_gateways_and_leave_to_write() {
    let mut api = Api::new().await;
    let none = api.call("POST", "/v1/trunks/trk_none/test", Value::Null).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let trunk = api.made("/v1/trunks", json!({"name": "empty"})).await;
    let path = format!("/v1/trunks/{}/test", id(&trunk));
    let refused = api.call("POST", &path, Value::Null).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("no_gateways")));
    let reader = api.made("/v1/api-keys", json!({"name": "reader", "scopes": ["trunks:read"]})).await;
    api.key = reader["token"].as_str().unwrap().to_owned();
    assert_eq!(api.call("POST", &path, Value::Null).await.status, StatusCode::FORBIDDEN);
}
