//! Agents at the API, by HTTP Digest with their SIP credentials: their own calls, on behalf of their own legs.

use sha2::{Digest, Sha256};
use switchboard::{CallState, LegView};
use tokio::sync::mpsc::UnboundedReceiver;

use super::stand_in::{call, leg};
use super::*;

const REALM: &str = "phone.test";
const ADA: Option<(&str, &str)> = Some(("100", "agt_a"));
const BOB: Option<(&str, &str)> = Some(("101", "agt_b"));

/// An agent's page.
pub(super) struct Page<'a> {
    api: &'a Api,
    username: &'a str,
    secret: &'a str,
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The nonce of the SHA-256 challenge in an answer.
fn nonce(answer: &Answer) -> String {
    let mut values = answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap());
    let challenge = values.rfind(|value| value.contains("algorithm=SHA-256")).expect("a challenge");
    sip::AuthParams::parse(challenge).unwrap().get("nonce").unwrap().into_owned()
}

impl Page<'_> {
    fn answering(&self, nonce: &str, count: u32, method: &str, path: &str) -> String {
        let (username, nc) = (self.username, format!("{count:08x}"));
        let a1 = sha256(&format!("{username}:{REALM}:{}", self.secret));
        let response = sha256(&format!("{a1}:{nonce}:{nc}:c0ffee:auth:{}", sha256(&format!("{method}:{path}"))));
        format!(
            "Digest username=\"{username}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{path}\", \
             response=\"{response}\", algorithm=SHA-256, qop=auth, nc={nc}, cnonce=\"c0ffee\""
        )
    }

    async fn send(&self, authorization: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
        self.send_with(authorization, method, path, body, &[]).await
    }

    async fn send_with(
        &self,
        authorization: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in authorization.map(|value| ("authorization", value)).iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.api.send(request.body(body).unwrap()).await
    }

    /// Asks as a client does that has a nonce.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_with(method, path, body, &[]).await
    }

    async fn ask_with(&self, method: &str, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let challenged = self.send(None, "GET", "/v1/calls", &Value::Null).await;
        assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
        let value = self.answering(&nonce(&challenged), 1, method, path);
        self.send_with(Some(&value), method, path, &body, headers).await
    }
}

/// Ada has the secret `correct horse` for extension 100.
pub(super) async fn with_ada() -> Api {
    let api = Api::new().await;
    let agent = api.made("/v1/agents", json!({"display_name": "Ada"})).await;
    let extension = api.made("/v1/extensions", json!({"number": "100", "agent_id": id(&agent)})).await;
    let credential = json!({"password": "correct horse"});
    api.made(&format!("/v1/extensions/{}/credentials", id(&extension)), credential).await;
    api
}

pub(super) fn page(api: &Api) -> Page<'_> {
    Page { api, username: "100", secret: "correct horse" }
}

fn rings(mut leg: LegView) -> LegView {
    leg.state = CallState::Ringing;
    leg
}

#[tokio::test]
async fn without_credentials_every_way_to_authenticate_is_named_where_agents_may_ask() {
    let api = with_ada().await;
    let challenges = async |path: &str| {
        let answer = page(&api).send(None, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let values = answer.headers.get_all("www-authenticate").iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for path in ["/v1/directory", "/v1/calls", "/v1/calls/call_1", "/v1/calls/call_1/transfers"] {
        let named = challenges(path).await;
        assert_eq!(named[0], "Bearer realm=\"patchcord\"", "{path}");
        assert!(named[1].starts_with("Digest realm=\"phone.test\"") && named[1].contains("algorithm=SHA-256"));
        assert!(named[2].contains("algorithm=MD5") && named[2].contains("qop=\"auth\""));
        assert_eq!(named.len(), 3);
    }
    assert_eq!(challenges("/v1/extensions").await, ["Bearer realm=\"patchcord\""]);
}

#[tokio::test]
async fn a_nonce_serves_many_requests_and_none_of_them_twice() {
    let api = with_ada().await;
    let page = page(&api);
    let nonce = nonce(&page.send(None, "GET", "/v1/calls", &Value::Null).await);
    let value = |count| page.answering(&nonce, count, "GET", "/v1/directory?limit=5");
    let get = async |value: String| page.send(Some(&value), "GET", "/v1/directory?limit=5", &Value::Null).await;
    assert_eq!(get(value(1)).await.status, StatusCode::OK);
    assert_eq!(get(value(2)).await.status, StatusCode::OK);
    let replayed = get(value(2)).await;
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED);
    let stale =
        replayed.headers.get_all("www-authenticate").iter().filter(|v| v.to_str().unwrap().contains("stale=true"));
    assert_eq!(stale.count(), 2);
    let elsewhere = page.send(Some(&value(3)), "GET", "/v1/calls", &Value::Null).await;
    assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED, "credentials are for the path they were made for");
}

#[tokio::test]
async fn who_may_not_phone_may_not_ask_either() {
    let api = with_ada().await;
    let wrong = Page { secret: "battery staple", ..page(&api) };
    assert_eq!(wrong.ask("GET", "/v1/calls", Value::Null).await.status, StatusCode::UNAUTHORIZED);
    let unknown = Page { username: "999", ..page(&api) };
    assert_eq!(unknown.ask("GET", "/v1/calls", Value::Null).await.status, StatusCode::UNAUTHORIZED);
    let agent = api.call("GET", "/v1/agents", Value::Null).await.body["data"][0]["id"].as_str().unwrap().to_owned();
    api.call("PATCH", &format!("/v1/agents/{agent}"), json!({"enabled": false})).await;
    assert_eq!(page(&api).ask("GET", "/v1/calls", Value::Null).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn too_many_wrong_answers_are_429_and_say_when_to_try_again() {
    let api = with_ada().await;
    let wrong = Page { secret: "battery staple", ..page(&api) };
    for _ in 0..10 {
        assert_eq!(wrong.ask("GET", "/v1/calls", Value::Null).await.status, StatusCode::UNAUTHORIZED);
    }
    let refused = page(&api).ask("GET", "/v1/calls", Value::Null).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_attempts")));
    let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after));
}

#[tokio::test]
async fn an_agent_sees_its_own_calls_only_and_of_others_not_where_they_are() {
    let api = with_ada().await;
    api.tables.call_changed(call("call_1", vec![leg("leg_1", ADA), leg("leg_2", None)]));
    api.tables.call_changed(call("call_2", vec![leg("leg_3", BOB), leg("leg_4", None)]));
    let mut left = leg("leg_5", ADA);
    left.state = CallState::Ending;
    api.tables.call_changed(call("call_3", vec![left, leg("leg_6", BOB)]));
    let page = page(&api);
    let listed = page.ask("GET", "/v1/calls", Value::Null).await;
    assert_eq!(listed.status, StatusCode::OK);
    let calls = listed.body["data"].as_array().unwrap();
    assert_eq!((calls.len(), calls[0]["id"].as_str()), (1, Some("call_1")));
    let own = &calls[0]["legs"][0];
    assert_eq!((&own["extension"], &own["sip_call_id"]), (&json!("100"), &json!("leg_1@sip")));
    assert_eq!((&own["remote"], &own["away"]), (&json!("192.0.2.1:50000"), &json!(false)));
    assert_eq!(calls[0]["legs"][1]["remote"], Value::Null);
    assert_eq!(page.ask("GET", "/v1/calls/call_1", Value::Null).await.body, calls[0]);
    assert_eq!(api.call("GET", "/v1/calls/call_1", Value::Null).await.body["legs"][1]["remote"], own["remote"]);
    assert_eq!(api.call("GET", "/v1/calls", Value::Null).await.body["data"].as_array().unwrap().len(), 3);
    for path in ["call_2", "call_3", "call_4", "call_2/transfers"] {
        let path = format!("/v1/calls/{path}");
        assert_eq!(page.ask("GET", &path, Value::Null).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for operation in ["hold", "resume", "dtmf", "hangup", "transfers", "anything"] {
        let path = format!("/v1/calls/call_2/{operation}");
        assert_eq!(page.ask("POST", &path, json!({"leg_id": "leg_3"})).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn other_resources_are_not_for_agents() {
    let api = with_ada().await;
    let page = page(&api);
    for (method, path) in [
        ("GET", "/v1/extensions"),
        ("GET", "/v1/agents"),
        ("GET", "/v1/cdrs"),
        ("GET", "/v1/api-keys"),
        ("POST", "/v1/extensions"),
        ("DELETE", "/v1/credentials/crd_1"),
        ("POST", "/v1/directory"),
    ] {
        assert_eq!(page.ask(method, path, Value::Null).await.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
}

/// The leg that a request, once the switchboard has it, is about.
async fn leg_asked(asked: &mut UnboundedReceiver<Operator>) -> Option<String> {
    let command = asked.recv().await.expect("a command");
    let (Operator::Hold { leg, .. } | Operator::SendDigits { leg, .. } | Operator::Transfer { leg, .. }) = command
    else {
        panic!("{command:?}")
    };
    leg
}

#[tokio::test]
async fn an_agent_acts_on_behalf_of_its_own_leg_and_no_other() {
    let mut api = with_ada().await;
    let mut asked = api.stand_in(|_| Ok(Granted::Done));
    let page = page(&api);
    // Ada was called by Bob: without an agent's word the caller's leg would be meant.
    api.tables.call_changed(call("call_1", vec![leg("leg_bob", BOB), leg("leg_ada", ADA)]));
    let to = json!({"target": {"number": "102"}});
    for (operation, body) in [("hold", Value::Null), ("hold", json!({"leg_id": "leg_ada"})), ("resume", json!({}))] {
        let answer = page.ask("POST", &format!("/v1/calls/call_1/{operation}"), body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(leg_asked(&mut asked).await.as_deref(), Some("leg_ada"), "{operation}");
    }
    assert_eq!(page.ask("POST", "/v1/calls/call_1/transfers", to.clone()).await.status, StatusCode::ACCEPTED);
    assert_eq!(leg_asked(&mut asked).await.as_deref(), Some("leg_ada"));
    let mut theirs = to;
    theirs["leg_id"] = json!("leg_bob");
    for (operation, body) in [
        ("hold", json!({"leg_id": "leg_bob"})),
        ("resume", json!({"leg_id": "leg_bob"})),
        ("transfers", theirs),
        ("anything", json!({"leg_id": "leg_none"})),
    ] {
        let answer = page.ask("POST", &format!("/v1/calls/call_1/{operation}"), body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{operation}");
    }
    let mut shown = call("call_1", vec![leg("leg_bob", BOB), leg("leg_ada", ADA)]);
    shown.transfers.push(switchboard::TransferView {
        id: "trf_1".to_owned(),
        mode: switchboard::TransferMode::Attended,
        target: "102".to_owned(),
        by: "leg_bob".to_owned(),
        status: switchboard::TransferStatus::Trying,
        sip_status: None,
    });
    api.tables.call_changed(shown);
    for operation in ["transfers/trf_1/complete", "transfers/trf_1/cancel"] {
        let answer = page.ask("POST", &format!("/v1/calls/call_1/{operation}"), Value::Null).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{operation} is for who transfers");
    }
    for path in ["call_1/transfers/trf_%31/cancel", "call_%31/hold"] {
        let answer = page.ask("POST", &format!("/v1/calls/{path}"), Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: nor does spelling it otherwise help");
    }
    assert!(asked.try_recv().is_err(), "the switchboard heard of none of these");
    // Digits are for whom she talks to.
    for body in [json!({"digits": "1"}), json!({"digits": "1", "leg_id": "leg_bob"})] {
        assert_eq!(page.ask("POST", "/v1/calls/call_1/dtmf", body).await.status, StatusCode::ACCEPTED);
        assert_eq!(leg_asked(&mut asked).await.as_deref(), Some("leg_bob"));
    }
    for (body, status) in [(json!({"leg_id": 7}), 422), (json!([]), 422)] {
        assert_eq!(page.ask("POST", "/v1/calls/call_1/hold", body).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn an_agent_hangs_up_what_it_talks_in_or_calls_and_not_what_rings_at_others_too() {
    let mut api = with_ada().await;
    let mut asked = api.stand_in(|_| Ok(Granted::Done));
    let page = page(&api);
    api.tables
        .call_changed(call("call_1", vec![leg("leg_1", None), rings(leg("leg_2", ADA)), rings(leg("leg_3", BOB))]));
    api.tables.call_changed(call("call_2", vec![rings(leg("leg_4", ADA)), rings(leg("leg_5", None))]));
    api.tables.call_changed(call("call_3", vec![leg("leg_6", None), leg("leg_7", ADA)]));
    for (id, status) in [("call_1", 403), ("call_2", 202), ("call_3", 202)] {
        let answer = page.ask("POST", &format!("/v1/calls/{id}/hangup"), Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{id}");
    }
    for id in ["call_2", "call_3"] {
        assert_eq!(asked.recv().await, Some(Operator::Hangup { call: CallId(id.into()) }));
    }
}

#[tokio::test]
async fn of_three_who_talk_an_agent_who_was_asked_to_join_lets_itself_go_and_nobody_else() {
    let mut api = with_ada().await;
    let mut asked = api.stand_in(|_| Ok(Granted::Done));
    let page = page(&api);
    let mut three = call("call_1", vec![leg("leg_bob", BOB), leg("leg_2", None), leg("leg_ada", ADA)]);
    three.agent_id = Some("agt_b".to_owned());
    api.tables.call_changed(three.clone());
    let statuses = async |paths: [(&str, &str); 3]| {
        let mut statuses = Vec::new();
        for (method, path) in paths {
            statuses.push(page.ask(method, &format!("/v1/calls/call_1/{path}"), Value::Null).await.status.as_u16());
        }
        statuses
    };
    let wishes = [("POST", "hangup"), ("DELETE", "participants/leg_2"), ("DELETE", "participants/leg_ada")];
    assert_eq!(statuses(wishes).await, [403, 403, 204]);
    let mut nobodys = three.clone();
    nobodys.agent_id = None;
    nobodys.legs[2].agent_id = None;
    api.tables.call_changed(nobodys);
    assert_eq!(statuses(wishes).await, [403, 403, 204], "that both are no agent's makes it nobody's own");
    three.agent_id = Some("agt_a".to_owned());
    api.tables.call_changed(three);
    assert_eq!(statuses(wishes).await, [202, 204, 204], "the call is her own");
    assert_eq!(std::iter::from_fn(|| asked.try_recv().ok()).count(), 5);
}

#[tokio::test]
async fn an_idempotency_key_is_one_agents_own() {
    let mut api = with_ada().await;
    let mut asked = api.stand_in(|_| Ok(Granted::Done));
    api.tables.call_changed(call("call_1", vec![leg("leg_1", ADA), leg("leg_2", None)]));
    let key = [("idempotency-key", "once")];
    let answer = page(&api).ask_with("POST", "/v1/calls/call_1/hold", Value::Null, &key).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let again = page(&api).ask_with("POST", "/v1/calls/call_1/hold", Value::Null, &key).await;
    assert_eq!((again.status, again.headers.contains_key("idempotent-replayed")), (StatusCode::ACCEPTED, true));
    assert!(asked.try_recv().is_ok() && asked.try_recv().is_err(), "it was carried out once");
    let other = api.call_with("POST", "/v1/calls/call_1/hold", Value::Null, &key).await;
    assert_eq!((other.status, other.headers.contains_key("idempotent-replayed")), (StatusCode::ACCEPTED, false));
}

#[tokio::test]
async fn wrong_answers_count_under_the_name_that_was_tried_whatever_else_is_claimed() {
    let api = with_ada().await;
    let wrong = Page { secret: "battery staple", ..page(&api) };
    let guess = async |count: u32| {
        let challenged = wrong.send(None, "GET", "/v1/calls", &Value::Null).await;
        let decoy =
            format!("Digest username=\"decoy{count}\", realm=\"{REALM}\", nonce=\"00\", uri=\"/\", response=\"00\"");
        let value = wrong.answering(&nonce(&challenged), 1, "GET", "/v1/calls");
        wrong.send_with(Some(&decoy), "GET", "/v1/calls", &Value::Null, &[("authorization", &value)]).await.status
    };
    for count in 0..10 {
        assert_eq!(guess(count).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(guess(10).await, StatusCode::TOO_MANY_REQUESTS);
}
