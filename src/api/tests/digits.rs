//! Digits by REST, and how trunks want them.

use super::*;

/// A switchboard that knows a call which takes digits and two which do not.
fn answer(operator: &Operator) -> Result<switchboard::Granted, OperatorError> {
    let Operator::SendDigits { call, leg, .. } = operator else { panic!("{operator:?}") };
    match (call.0.as_str(), leg.as_deref()) {
        ("call_1", Some("leg_no")) => Err(OperatorError::UnknownLeg),
        ("call_1", _) => Ok(switchboard::Granted::Done),
        ("call_early", _) => Err(OperatorError::NotConnected),
        ("call_busy", _) => Err(OperatorError::DigitsWaiting),
        ("call_held", _) => Err(OperatorError::LegHeld),
        (_, _) => Err(OperatorError::UnknownCall),
    }
}

async fn send(api: &Api, call: &str, body: Value) -> Answer {
    api.call("POST", &format!("/v1/calls/{call}/dtmf"), body).await
}

#[tokio::test]
async fn digits_are_sent_by_the_switchboard_and_a_refusal_says_which_field_or_why() {
    let mut api = Api::new().await;
    let mut asked = api.stand_in(answer);
    let accepted = [
        (json!({"digits": "12#a"}), (None, "12#A", 160)),
        (json!({"digits": "5", "leg_id": "leg_2", "duration_ms": 40}), (Some("leg_2"), "5", 40)),
        (json!({"digits": "1".repeat(32), "duration_ms": 3000}), (None, "11111111111111111111111111111111", 3000)),
    ];
    for (body, (leg, digits, ms)) in accepted {
        assert_eq!(send(&api, "call_1", body).await.status, StatusCode::ACCEPTED);
        let (call, leg, digits) = (CallId("call_1".into()), leg.map(str::to_owned), digits.to_owned());
        let duration = std::time::Duration::from_millis(ms);
        assert_eq!(asked.recv().await, Some(Operator::SendDigits { call, leg, digits, duration }));
    }
    let at_fault = [
        (json!({}), vec!["/digits"]),
        (json!({"digits": ""}), vec!["/digits"]),
        (json!({"digits": "1x"}), vec!["/digits"]),
        (json!({"digits": "1".repeat(33)}), vec!["/digits"]),
        (json!({"digits": "\u{665}"}), vec!["/digits"]),
        (
            json!({"digits": 5, "duration_ms": 39, "leg_id": "x", "to": "b"}),
            vec!["/leg_id", "/digits", "/duration_ms", "/to"],
        ),
        (json!({"digits": "1", "duration_ms": 3001}), vec!["/duration_ms"]),
        (json!({"digits": "1", "leg_id": "leg_no"}), vec!["/leg_id"]),
    ];
    for (body, expected) in at_fault {
        let answer = send(&api, "call_1", body).await;
        assert_eq!((answer.status, pointers(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, expected));
    }
    for (call, status, code) in [
        ("call_early", StatusCode::CONFLICT, "not_connected"),
        ("call_busy", StatusCode::TOO_MANY_REQUESTS, "digits_waiting"),
        ("call_held", StatusCode::CONFLICT, "leg_held"),
        ("call_2", StatusCode::NOT_FOUND, "not_found"),
    ] {
        let answer = send(&api, call, json!({"digits": "1"})).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)));
        assert_eq!(answer.headers.contains_key("retry-after"), status == StatusCode::TOO_MANY_REQUESTS);
    }
}

#[tokio::test]
async fn a_key_that_may_only_read_calls_sends_no_digits() {
    let api = Api::new().await;
    let reader = api.store.create_api_key("reader", &["calls:read".into()]).await.unwrap().token;
    let request = Request::post("/v1/calls/call_1/dtmf").header("authorization", format!("Bearer {reader}"));
    let request = request.header("content-type", "application/json").body(Body::from(r#"{"digits":"1"}"#)).unwrap();
    assert_eq!(api.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_trunk_says_how_digits_travel_and_auto_is_what_it_says_by_itself() {
    let api = Api::new().await;
    let made = api.made("/v1/trunks", json!({"name": "t"})).await;
    assert_eq!(made["dtmf"], "auto");
    let path = format!("/v1/trunks/{}", id(&made));
    for (mode, expected) in [
        ("rfc4733", media::Dtmf::Rfc4733),
        ("info", media::Dtmf::Info),
        ("inband", media::Dtmf::Inband),
        ("auto", media::Dtmf::Auto),
    ] {
        let patched = api.call("PATCH", &path, json!({"dtmf": mode})).await;
        assert_eq!((patched.status, &patched.body["dtmf"]), (StatusCode::OK, &json!(mode)));
        let directory = api.store.directory().borrow().clone();
        assert_eq!(directory.trunks[id(&made)].media.dtmf, expected);
    }
    for wrong in [json!("sip-info"), json!(1), json!("RFC4733")] {
        let answer = api.call("PATCH", &path, json!({"dtmf": wrong})).await;
        assert_eq!((answer.status, pointers(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/dtmf"]));
    }
    let document = api.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await.body;
    let modes = document["components"]["schemas"]["DtmfMode"].to_string();
    for word in ["auto", "rfc4733", "info", "inband"] {
        assert!(modes.contains(&format!("\"{word}\"")), "{word} is missing in {modes}");
    }
}
