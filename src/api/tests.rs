mod agents;
mod border;
mod dialogs;
mod digits;
mod directory;
mod encryption;
mod participants;
mod presets;
mod reclaims;
mod stand_in;
mod traces;
mod transfers;
mod trunk_auth;
mod trunk_status;
mod trunk_test;

use std::time::{Instant, SystemTime};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use switchboard::{CallId, Clock, Granted, Operator, OperatorError, TraceLimits};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::config::Database;
use crate::gateway::{GatewayTables, OperatorCommand, gateway};
use crate::recorder::Recorder;
use crate::resolver::Lookup;

struct Api {
    router: Router,
    store: Store,
    key: String,
    tables: GatewayTables,
    recorder: Recorder,
    trunk_tests: TrunkTests,
    commands: tokio::sync::mpsc::Receiver<OperatorCommand>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Api {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", folder.path().display());
        let store = Store::open(&Database { url, max_connections: 4 }, "phone.test").await.unwrap();
        let key = store.create_api_key("test", &["admin".into()]).await.unwrap().token;
        let (handle, tables, commands) = gateway();
        let metrics: RenderMetrics = Arc::new(|| "up 1\n".to_owned());
        let clock = Clock { instant: Instant::now(), system: SystemTime::UNIX_EPOCH };
        let limits = TraceLimits { ended: 10, bytes: 1 << 20 };
        let recorder = Recorder::start(limits, clock, CancellationToken::new());
        let own = OwnAddresses { host: "192.0.2.9".parse().unwrap(), udp: 5060, tcp: 5061 };
        let traces = TraceAccess { recorder: recorder.clone(), own };
        let certificates: ReloadCertificates = Arc::new(|| Err(vec!["key.pem: no key".to_owned()]));
        let agents = AgentAccess::default();
        let here = std::net::IpAddr::from([127, 0, 0, 1]);
        let lookup = Lookup::new(&crate::config::Dns::default(), here).unwrap();
        let trunk_tests = TrunkTests::new("192.0.2.9".parse().unwrap(), here, lookup);
        let state = ApiState {
            store: store.clone(),
            gateway: handle,
            metrics,
            certificates,
            agents,
            traces,
            trunk_tests: trunk_tests.clone(),
        };
        Self { router: router(state), store, key, tables, recorder, trunk_tests, commands, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if parts.status.is_client_error() || parts.status == StatusCode::INTERNAL_SERVER_ERROR {
            assert_eq!(parts.headers["content-type"], "application/problem+json", "{bytes:?}");
            assert_eq!(body["status"], parts.status.as_u16());
        }
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    async fn call_with(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let answer = self.call("POST", path, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.body
    }
}

fn pointers(answer: &Answer) -> Vec<&str> {
    answer.body["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

fn id(body: &Value) -> &str {
    body["id"].as_str().unwrap()
}

#[tokio::test]
async fn agents_are_made_read_listed_patched_and_deleted() {
    let api = Api::new().await;
    let made = api.call("POST", "/v1/agents", json!({"display_name": "Ada", "email": "ada@example.com"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = format!("/v1/agents/{}", id(&made.body));
    assert_eq!(made.headers["location"], path.as_str());
    assert_eq!(id(&made.body).len(), 30);
    assert_eq!(made.body["enabled"], true);
    assert!(made.body["created_at"].as_str().unwrap().ends_with('Z'));
    let patched = api.call("PATCH", &path, json!({"display_name": "Ada L.", "email": null})).await;
    assert_eq!(patched.status, StatusCode::OK);
    assert_eq!(patched.body["display_name"], "Ada L.");
    assert_eq!(patched.body["email"], Value::Null);
    assert_eq!(api.call("GET", &path, Value::Null).await.body, patched.body);
    assert_eq!(api.call("GET", "/v1/agents", Value::Null).await.body["data"], json!([patched.body]));
    assert_eq!(api.call("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.call("GET", &path, Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once() {
    let api = Api::new().await;
    let body = json!({"enabled": "yes", "caller_id_number": "030", "max_concurrent_calls": -1, "nickname": "x"});
    let answer = api.call("POST", "/v1/agents", body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let found = pointers(&answer);
    for pointer in ["/display_name", "/enabled", "/caller_id_number", "/max_concurrent_calls", "/nickname"] {
        assert!(found.contains(&pointer), "{pointer} is missing in {found:?}");
    }
    let trunk = json!({"name": "t", "gateways": [{"uri": "sips:x"}, {"uri": "sip:ok.example"}], "codecs": ["g729"], "ptime_ms": 25,
        "inbound": {"cidrs": ["10.0.0.0/8", "x", "0.0.0.0/0"]}, "register": {"enabled": true}, "media_encryption": "maybe"});
    let answer = api.call("POST", "/v1/trunks", trunk).await;
    let found = pointers(&answer);
    for pointer in [
        "/gateways/0/uri",
        "/codecs/0",
        "/inbound/cidrs/1",
        "/inbound/cidrs/2",
        "/register/enabled",
        "/media_encryption",
        "/ptime_ms",
    ] {
        assert!(found.contains(&pointer), "{pointer} is missing in {found:?}");
    }
    assert!(!found.contains(&"/gateways/1/uri"));
}

#[tokio::test]
async fn a_credential_is_in_the_directory_before_the_answer_and_gone_when_deleted() {
    let api = Api::new().await;
    let extension = api.made("/v1/extensions", json!({"number": "1001"})).await;
    let path = format!("/v1/extensions/{}/credentials", id(&extension));
    let made = api.made(&path, json!({})).await;
    let (secret, realm) = (made["password"].as_str().unwrap(), made["realm"].as_str().unwrap());
    assert_eq!((made["username"].as_str().unwrap(), realm), ("1001", "phone.test"));
    let directory = api.store.directory();
    let of = |secret: &str| sip::Ha1::new("1001", realm, secret).sha256;
    assert_eq!(directory.borrow().credentials["1001"].ha1.sha256, of(secret));
    let path = format!("/v1/credentials/{}", id(&made));
    assert_eq!(api.call("GET", &path, Value::Null).await.body["password"], Value::Null);
    let chosen = json!({"password": "correct horse"});
    assert_eq!(api.call("POST", &format!("{path}/rotate"), chosen).await.status, StatusCode::OK);
    assert_eq!(directory.borrow().credentials["1001"].ha1.sha256, of("correct horse"));
    let short = api.call("POST", &format!("{path}/rotate"), json!({"password": "short"})).await;
    assert_eq!(pointers(&short), ["/password"]);
    assert_eq!(api.call("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert!(directory.borrow().credentials.is_empty());
}

#[tokio::test]
async fn conflicts_are_409_and_dangling_references_point_at_their_field() {
    let api = Api::new().await;
    let agent = api.made("/v1/agents", json!({"display_name": "Ada"})).await;
    let extension = json!({"number": "1001", "agent_id": id(&agent)});
    let made = api.made("/v1/extensions", extension.clone()).await;
    let again = api.call("POST", "/v1/extensions", extension).await;
    assert_eq!((again.status, pointers(&again)), (StatusCode::CONFLICT, vec!["/number"]));
    let path = format!("/v1/agents/{}", id(&agent));
    assert_eq!(api.call("DELETE", &path, Value::Null).await.body["code"], "in_use");
    let dangling = api.call("POST", "/v1/extensions", json!({"number": "1002", "agent_id": "agt_none"})).await;
    assert_eq!((dangling.status, pointers(&dangling)), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/agent_id"]));
    let trunk = api.made("/v1/trunks", json!({"name": "carrier", "gateways": [{"uri": "sip:127.0.0.1:5080"}]})).await;
    let number = |target: &str, trunk: &str| json!({"e164": "+4930123456", "trunk_id": trunk, "target": {"type": "extension", "id": target}});
    let wrong = api.call("POST", "/v1/numbers", number("ext_none", id(&trunk))).await;
    assert_eq!(pointers(&wrong), ["/target/id"]);
    let wrong = api.call("POST", "/v1/numbers", number(id(&made), "trk_none")).await;
    assert_eq!(pointers(&wrong), ["/trunk_id"]);
    api.made("/v1/numbers", number(id(&made), id(&trunk))).await;
    let directory = api.store.directory();
    assert_eq!(directory.borrow().numbers["+4930123456"].extension.as_deref(), Some("1001"));
    let gateways = directory.borrow().trunks[id(&trunk)].gateways.clone();
    assert_eq!(gateways[0].hops[0].address, "127.0.0.1:5080".parse::<std::net::SocketAddr>().unwrap());
}

#[tokio::test]
async fn a_key_is_needed_and_its_scopes_are_kept() {
    let mut api = Api::new().await;
    let request = Request::builder().uri("/v1/agents").body(Body::empty()).unwrap();
    let answer = api.send(request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.headers.contains_key("www-authenticate"));
    let reader = api.made("/v1/api-keys", json!({"name": "reader", "scopes": ["agents:read"]})).await;
    let admin = std::mem::replace(&mut api.key, reader["token"].as_str().unwrap().into());
    assert_eq!(api.call("GET", "/v1/agents", Value::Null).await.status, StatusCode::OK);
    assert_eq!(api.call("POST", "/v1/agents", json!({})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(api.call("GET", "/v1/api-keys", Value::Null).await.status, StatusCode::FORBIDDEN);
    let reader = (id(&reader).to_owned(), std::mem::replace(&mut api.key, admin));
    let path = format!("/v1/api-keys/{}", reader.0);
    assert_eq!(api.call("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    api.key = reader.1;
    assert_eq!(api.call("GET", "/v1/agents", Value::Null).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn if_match_refuses_a_change_made_on_an_old_reading() {
    let api = Api::new().await;
    let made = api.call("POST", "/v1/agents", json!({"display_name": "Ada"})).await;
    let (path, tag) = (format!("/v1/agents/{}", id(&made.body)), made.headers["etag"].to_str().unwrap().to_owned());
    let first = api.call_with("PATCH", &path, json!({"enabled": false}), &[("if-match", &tag)]).await;
    assert_eq!(first.status, StatusCode::OK);
    let second = api.call_with("PATCH", &path, json!({"enabled": true}), &[("if-match", &tag)]).await;
    assert_eq!(second.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(api.call_with("DELETE", &path, Value::Null, &[("if-match", &tag)]).await.status, second.status);
}

#[tokio::test]
async fn a_repeated_post_does_nothing_twice_and_shows_no_secret_again() {
    let api = Api::new().await;
    let key = [("idempotency-key", "once")];
    let first = api.call_with("POST", "/v1/extensions", json!({"number": "1001"}), &key).await;
    let second = api.call_with("POST", "/v1/extensions", json!({"number": "1001"}), &key).await;
    assert_eq!((second.status, &second.body), (StatusCode::CREATED, &first.body));
    assert_eq!(second.headers["location"], first.headers["location"]);
    let other = api.call_with("POST", "/v1/extensions", json!({"number": "1002"}), &key).await;
    assert_eq!((other.status, other.body["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("key_reused")));
    let (path, key) = (format!("/v1/extensions/{}/credentials", id(&first.body)), [("idempotency-key", "two")]);
    let first = api.call_with("POST", &path, json!({}), &key).await;
    let second = api.call_with("POST", &path, json!({}), &key).await;
    assert!(first.body["password"].is_string());
    assert_eq!((id(&second.body), &second.body["password"]), (id(&first.body), &Value::Null));
}

#[tokio::test]
async fn what_was_refused_may_be_repeated_with_its_key() {
    let api = Api::new().await;
    let key = [("idempotency-key", "once")];
    let taken = api.made("/v1/extensions", json!({"number": "1001"})).await;
    let post = || api.call_with("POST", "/v1/extensions", json!({"number": "1001"}), &key);
    assert_eq!(post().await.status, StatusCode::CONFLICT);
    api.call("DELETE", &format!("/v1/extensions/{}", id(&taken)), Value::Null).await;
    assert_eq!(post().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_credentials_tag_can_be_changed_and_nothing_else_of_it() {
    let api = Api::new().await;
    let extension = api.made("/v1/extensions", json!({"number": "1001"})).await;
    let made = api.made(&format!("/v1/extensions/{}/credentials", id(&extension)), json!({"tag": "desk"})).await;
    let path = format!("/v1/credentials/{}", id(&made));
    let patch = async |body| api.call("PATCH", &path, body).await;
    assert_eq!(patch(json!({"tag": "home"})).await.body["tag"], "home");
    assert_eq!(patch(json!({"tag": null})).await.body["tag"], Value::Null);
    let refused = patch(json!({"username": "other", "password": "long enough by far"})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(pointers(&refused), ["/password", "/username"]);
    assert_eq!(api.store.directory().borrow().credentials["1001"].id, id(&made));
}

#[tokio::test]
async fn an_extensions_number_has_no_signs_between_its_digits() {
    let api = Api::new().await;
    for number in ["10-20", "10.20", "-", "1020-"] {
        let refused = api.call("POST", "/v1/extensions", json!({"number": number})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{number}");
        assert_eq!(pointers(&refused), ["/number"], "{number}");
    }
    for number in ["1020", "anna.b", "front-desk", "desk-1", "10_20"] {
        api.made("/v1/extensions", json!({"number": number})).await;
    }
}

#[tokio::test]
async fn cursors_walk_a_list_without_gaps() {
    let api = Api::new().await;
    for number in 0..5 {
        api.made("/v1/extensions", json!({"number": format!("10{number}")})).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/extensions?limit=2".to_owned());
    loop {
        let page = api.call("GET", &path, Value::Null).await.body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["number"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/extensions?limit=2&cursor={cursor}");
    }
    seen.sort();
    assert_eq!(seen, ["100", "101", "102", "103", "104"]);
    assert_eq!(api.call("GET", "/v1/extensions?limit=0", Value::Null).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.call("GET", "/v1/extensions?page=1", Value::Null).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_no_request_of_this_api_is_refused_as_a_problem() {
    let api = Api::new().await;
    assert_eq!(api.call("GET", "/v1/nothing", Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.call("PUT", "/v1/agents", json!({})).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let post = |content_type: &str, body: String| {
        let request = Request::builder().method("POST").uri("/v1/agents").header("content-type", content_type);
        request.header("authorization", format!("Bearer {}", api.key)).body(Body::from(body)).unwrap()
    };
    assert_eq!(api.send(post("text/plain", "{}".into())).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(api.send(post("application/json", "{".into())).await.status, StatusCode::BAD_REQUEST);
    let large = format!("\"{}\"", "x".repeat(300 * 1024));
    assert_eq!(api.send(post("application/json", large)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_call_is_hung_up_by_the_switchboard_or_refused_with_its_reason() {
    let mut api = Api::new().await;
    let mut commands = std::mem::replace(&mut api.commands, tokio::sync::mpsc::channel(1).1);
    let switchboard = tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            let known = command.operator == Operator::Hangup { call: CallId("call_1".into()) };
            let answer = if known { Ok(Granted::Done) } else { Err(OperatorError::UnknownCall) };
            command.reply.send(answer).unwrap();
        }
    });
    assert_eq!(api.call("POST", "/v1/calls/call_1/hangup", Value::Null).await.status, StatusCode::ACCEPTED);
    assert_eq!(api.call("POST", "/v1/calls/call_2/hangup", Value::Null).await.status, StatusCode::NOT_FOUND);
    switchboard.abort();
    let _ = switchboard.await;
    assert_eq!(api.call("POST", "/v1/calls/call_1/hangup", Value::Null).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_call_is_held_for_the_agent_or_the_leg_that_is_named() {
    let mut api = Api::new().await;
    let mut asked = api.stand_in(|operator| {
        let Operator::Hold { call, .. } = operator else { panic!("{operator:?}") };
        match call.0.as_str() {
            "call_1" => Ok(Granted::Done),
            "call_2" => Err(OperatorError::NotConnected),
            "call_3" => Err(OperatorError::HeldByPhone),
            "call_4" => Err(OperatorError::UnknownLeg),
            _ => Err(OperatorError::UnknownCall),
        }
    });
    let cases = [
        ("call_1/hold", Value::Null, StatusCode::ACCEPTED, ""),
        ("call_1/hold", json!({"leg_id": "leg_1"}), StatusCode::ACCEPTED, ""),
        ("call_1/resume", Value::Null, StatusCode::ACCEPTED, ""),
        ("call_2/hold", Value::Null, StatusCode::CONFLICT, "not_connected"),
        ("call_3/resume", Value::Null, StatusCode::CONFLICT, "held_by_phone"),
        ("call_4/hold", json!({"leg_id": "leg_2"}), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("call_5/hold", Value::Null, StatusCode::NOT_FOUND, "not_found"),
        ("call_1/hold", json!({"leg_id": 7}), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("call_1/hold", json!({"music": true}), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
    ];
    for (path, body, status, code) in cases {
        let answer = api.call("POST", &format!("/v1/calls/{path}"), body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.body["code"].as_str().unwrap_or_default(), code, "{path}");
    }
    for (leg, hold) in [(None, true), (Some("leg_1".to_owned()), true), (None, false)] {
        assert_eq!(asked.recv().await, Some(Operator::Hold { call: CallId("call_1".into()), leg, hold }));
    }
}

#[tokio::test]
async fn readiness_follows_listeners_certificate_and_draining() {
    let api = Api::new().await;
    let ready = || async { api.send(Request::get("/readyz").body(Body::empty()).unwrap()).await.status };
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    api.tables.set_listening(true);
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE, "the certificate expired in 1970");
    api.tables.set_certificate_expires(std::time::SystemTime::now() + std::time::Duration::from_secs(60));
    assert_eq!(ready().await, StatusCode::OK);
    api.tables.set_draining(true);
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(api.send(Request::get("/livez").body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_openapi_document_is_whole() {
    let api = Api::new().await;
    let document = api.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/agents",
        "/v1/agents/{id}",
        "/v1/extensions",
        "/v1/extensions/{id}",
        "/v1/extensions/{id}/registrations",
        "/v1/extensions/{id}/credentials",
        "/v1/credentials/{id}",
        "/v1/credentials/{id}/rotate",
        "/v1/trunks",
        "/v1/trunks/{id}",
        "/v1/trunks/{id}/test",
        "/v1/numbers",
        "/v1/numbers/{id}",
        "/v1/directory",
        "/v1/calls",
        "/v1/calls/{id}",
        "/v1/calls/{id}/dtmf",
        "/v1/calls/{id}/hangup",
        "/v1/calls/{id}/hold",
        "/v1/calls/{id}/resume",
        "/v1/calls/{id}/reclaim",
        "/v1/calls/{id}/transfers",
        "/v1/cdrs",
        "/v1/cdrs/{id}",
        "/v1/api-keys",
        "/v1/api-keys/{id}",
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is missing");
    }
    for (path, operations) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["security"].is_array(), "{method} {path} says nothing of its key");
            let named = operation["security"].as_array().unwrap().iter().any(|way| way.get("agent").is_some());
            let may = ownership::is_for_agents(&method.to_uppercase().parse().unwrap(), path);
            assert_eq!(named, may, "{method} {path} says wrongly whether agents may use it");
            assert!(operation["responses"].get("401").is_some(), "{method} {path} tells no refusals");
        }
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
