//! Presets of trunks.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Api;

/// What the caller gives beside the preset.
fn own(preset: &str) -> Value {
    match preset {
        "twilio" => {
            json!({"gateways": [{"uri": "sip:example.pstn.twilio.com"}], "caller_id": {"fallback": "+12025550123"}})
        }
        "telnyx" => json!({"auth": {"username": "we", "password": "secret"}}),
        "generic-register" => {
            json!({"gateways": [{"uri": "sip:sip.carrier.example"}], "auth": {"username": "we", "password": "secret"}})
        }
        "generic-ip" => json!({"gateways": [{"uri": "sip:192.0.2.1"}], "inbound": {"cidrs": ["192.0.2.0/24"]}}),
        other => panic!("a preset without a test: {other}"),
    }
}

#[tokio::test]
async fn each_preset_makes_a_trunk_of_what_it_asks_for_and_stores_its_fields() {
    let api = Api::new().await;
    let presets = api.call("GET", "/v1/trunk-presets", Value::Null).await.body;
    assert_eq!(presets["data"].as_array().unwrap().len(), 4);
    for preset in presets["data"].as_array().unwrap() {
        let name = preset["name"].as_str().unwrap();
        let mut body = own(name);
        body["name"] = json!(name);
        body["preset"] = json!(name);
        let trunk = api.made("/v1/trunks", body).await;
        for (field, value) in preset["settings"].as_object().unwrap() {
            for (inner, value) in value.as_object().into_iter().flatten() {
                assert_eq!(trunk[field][inner], *value, "{name}: {field}.{inner}");
            }
            if value.is_string() || (value.is_array() && field != "gateways") {
                assert_eq!(trunk[field], *value, "{name}: {field}");
            }
        }
        assert!(trunk.get("preset").is_none());
        let bare = api.call("POST", "/v1/trunks", json!({"name": "bare", "preset": name})).await;
        assert_eq!(bare.status, StatusCode::UNPROCESSABLE_ENTITY);
        let missing: Vec<&Value> =
            bare.body["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        let required: Vec<&Value> =
            preset["required"].as_array().unwrap().iter().map(|field| &field["pointer"]).collect();
        assert_eq!(missing, required, "{name}");
    }
}

#[tokio::test]
async fn what_the_caller_gives_wins_over_its_preset() {
    let api = Api::new().await;
    let mut body = own("telnyx");
    let ours = json!({"name": "eu", "preset": "telnyx", "codecs": ["pcma"], "register": {"expires_s": 120},
        "gateways": [{"uri": "sip:sip-eu.telnyx.com"}], "inbound": {"cidrs": ["5.172.39.10/32"]}});
    body.as_object_mut().unwrap().extend(ours.as_object().unwrap().clone());
    let trunk = api.made("/v1/trunks", body).await;
    assert_eq!((&trunk["codecs"], &trunk["inbound"]["cidrs"]), (&json!(["pcma"]), &json!(["5.172.39.10/32"])));
    assert_eq!((&trunk["register"]["enabled"], &trunk["register"]["expires_s"]), (&json!(true), &json!(120)));
    assert_eq!(trunk["gateways"][0]["uri"], "sip:sip-eu.telnyx.com");
    assert_eq!(trunk["dtmf"], "rfc4733");
}

#[tokio::test]
async fn a_preset_is_for_new_trunks_and_has_to_exist() {
    let api = Api::new().await;
    let unknown = api.call("POST", "/v1/trunks", json!({"name": "a", "preset": "acme"})).await;
    assert_eq!(
        (unknown.status, &unknown.body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/preset"))
    );
    assert!(unknown.body["errors"][0]["detail"].as_str().unwrap().contains("twilio, telnyx"));
    let mut body = own("generic-ip");
    body["name"] = json!("b");
    let trunk = api.made("/v1/trunks", body).await;
    let path = format!("/v1/trunks/{}", trunk["id"].as_str().unwrap());
    let changed = api.call("PATCH", &path, json!({"preset": "generic-ip"})).await;
    assert_eq!(
        (changed.status, &changed.body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/preset"))
    );
}

#[tokio::test]
async fn the_openapi_document_names_the_preset_beside_the_fields_of_a_new_trunk() {
    let api = Api::new().await;
    let document = api.call("GET", "/openapi.json", Value::Null).await.body;
    let body = &document["paths"]["/v1/trunks"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    let schema = document.pointer(body["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap().to_string();
    for field in ["\"preset\"", "schemas/Trunk\""] {
        assert!(schema.contains(field), "{schema}");
    }
}
