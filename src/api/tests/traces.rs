//! `GET /v1/calls/{id}/trace`.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use sip::{Flow, Transport};
use switchboard::{CallId, Note, RoutingNote, RoutingStep, Way};

use super::stand_in::{call, leg};
use super::{Api, Instant};

fn flow(transport: Transport, peer: &str) -> Flow {
    Flow { transport, peer: peer.parse().unwrap(), connection: None, tls: None }
}

fn message(start: &str, leg: &str) -> Bytes {
    let text = format!(
        "{start}\r\nVia: SIP/2.0/WSS b;branch=z9hG4bK1\r\nCall-ID: {leg}@sip\r\nCSeq: 1 INVITE\r\n\
         Proxy-Authorization: Digest username=\"100\", nonce=\"NONCE\", response=\"RESPONSE\"\r\n\r\na=ice-pwd:PWD\r\n"
    );
    Bytes::from(text)
}

/// A browser calls out; its INVITE came twice.
fn record(api: &Api) {
    let now = Instant::now();
    let browser = flow(Transport::Wss, "192.0.2.1:50000");
    let trunk = flow(Transport::Udp, "198.51.100.1:5060");
    let recorder = &api.recorder;
    for _ in 0..2 {
        recorder.message(now, Way::In, browser, &message("INVITE sip:+1555@phone SIP/2.0", "leg_a"));
    }
    let call = call("call_1", vec![leg("leg_a", Some(("100", "agt_1"))), leg("leg_b", None)]);
    recorder.call(&call.into());
    let note =
        RoutingNote { step: RoutingStep::Rule, leg: None, status: None, text: "The rule out matches.".to_owned() };
    recorder.note(CallId("call_1".to_owned()), now, Note::Routing(note));
    recorder.message(now, Way::Out, trunk, &message("INVITE sip:+1555@carrier SIP/2.0", "leg_b"));
    recorder.message(now, Way::In, trunk, &message("SIP/2.0 403 For\u{1b}[2Jbidden", "leg_b"));
}

#[tokio::test]
async fn a_trace_has_the_messages_of_all_legs_in_order_and_no_secrets() {
    let api = Api::new().await;
    record(&api);
    let answer = api.call("GET", "/v1/calls/call_1/trace", Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let messages = answer.body["messages"].as_array().unwrap();
    let seen: Vec<Value> = messages
        .iter()
        .map(|m| json!([m["direction"], m["leg_id"], m["transport"], m["from"], m["to"], m["summary"], m["repeated"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["in", "leg_a", "wss", "192.0.2.1:50000", "192.0.2.9", "INVITE sip:+1555@phone", 1]),
            json!(["out", "leg_b", "udp", "192.0.2.9:5060", "198.51.100.1:5060", "INVITE sip:+1555@carrier", 0]),
            json!(["in", "leg_b", "udp", "198.51.100.1:5060", "192.0.2.9:5060", "403 For\u{1b}[2Jbidden", 0]),
        ]
    );
    assert_eq!(answer.body["routing"][0]["step"], "rule");
    assert_eq!(answer.body["state"], "running");
    let whole = answer.body.to_string();
    assert!(whole.contains("username=\\\"100\\\""));
    for secret in ["NONCE", "RESPONSE", "PWD"] {
        assert!(!whole.contains(secret), "{secret} in {whole}");
    }
}

#[tokio::test]
async fn as_text_a_trace_is_a_ladder_that_no_terminal_obeys() {
    let api = Api::new().await;
    record(&api);
    let request = Request::get("/v1/calls/call_1/trace")
        .header("authorization", format!("Bearer {}", api.key))
        .header("accept", "text/plain, */*;q=0.5");
    let response = tower::ServiceExt::oneshot(api.router.clone(), request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text}");
    let heads = text.lines().find(|line| line.contains("Patchcord")).unwrap();
    let place = |name: &str| heads.find(name).unwrap();
    assert!(place("192.0.2.1:50000") < place("Patchcord") && place("Patchcord") < place("198.51.100.1:5060"), "{text}");
    let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(line("INVITE sip:+1555@phone (x2)").contains("->|"), "{text}");
    let (out, back) = (line("INVITE sip:+1555@carrier"), line("403 For"));
    assert!(out.ends_with(">|") && back.contains("|<--"), "{text}");
    assert_eq!(out.rfind('|'), back.rfind('|'), "both end at the trunk's column: {text}");
    assert!(line("routing: The rule out matches.").trim_start().starts_with("0.0000"), "{text}");
}

#[tokio::test]
async fn a_trace_that_is_not_kept_says_how_many_are() {
    let api = Api::new().await;
    let answer = api.call("GET", "/v1/calls/call_2/trace", Value::Null).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body["detail"].as_str().unwrap().contains("the last 10 that ended"), "{}", answer.body);
}
