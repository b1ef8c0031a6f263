//! Transfers by REST.

use switchboard::{TransferMode, TransferStatus, TransferTarget, TransferView};

use super::*;

fn transfer(target: &str, status: TransferStatus, sip_status: Option<u16>) -> TransferView {
    TransferView {
        id: format!("trf_{target}"),
        mode: TransferMode::Blind,
        target: target.to_owned(),
        by: "leg_1".to_owned(),
        status,
        sip_status,
    }
}

fn answer(operator: &Operator) -> Result<Granted, OperatorError> {
    let Operator::Transfer { call, leg, target } = operator else { panic!("{operator:?}") };
    match (call.0.as_str(), leg.as_deref()) {
        ("call_1", _) if *target == TransferTarget::Call(CallId("call_none".into())) => {
            Err(OperatorError::UnknownTarget)
        }
        ("call_apart", _) => Err(OperatorError::Unjoinable),
        ("call_1", Some("leg_no")) => Err(OperatorError::UnknownLeg),
        ("call_1", _) => Ok(Granted::Transfer(transfer("101", TransferStatus::Trying, None))),
        ("call_early", _) => Err(OperatorError::NotConnected),
        ("call_busy", _) => Err(OperatorError::Transferring),
        ("call_echo", _) => Err(OperatorError::NobodyToTransfer),
        (_, _) => Err(OperatorError::UnknownCall),
    }
}

async fn ask(api: &Api, call: &str, body: Value) -> Answer {
    api.call("POST", &format!("/v1/calls/{call}/transfers"), body).await
}

#[tokio::test]
async fn a_call_is_transferred_by_the_switchboard_and_a_refusal_says_which_field_or_why() {
    let mut api = Api::new().await;
    let extension = api.made("/v1/extensions", json!({"number": "101"})).await;
    let mut asked = api.stand_in(answer);
    let to = |number: &str| TransferTarget::Number(number.to_owned());
    let accepted = [
        (json!({"target": {"number": "+15551234567"}}), None, to("+15551234567")),
        (json!({"mode": "blind", "target": {"number": "*97#"}, "leg_id": "leg_2"}), Some("leg_2"), to("*97#")),
        (json!({"target": {"extension_id": id(&extension)}}), None, TransferTarget::Extension("101".into())),
        (
            json!({"mode": "attended", "target": {"call_id": "call_2"}}),
            None,
            TransferTarget::Call(CallId("call_2".into())),
        ),
    ];
    for (body, leg, target) in accepted {
        let answer = ask(&api, "call_1", body).await;
        assert_eq!((answer.status, &answer.body["id"]), (StatusCode::ACCEPTED, &json!("trf_101")));
        assert_eq!((&answer.body["status"], &answer.body["leg_id"]), (&json!("trying"), &json!("leg_1")));
        assert_eq!(answer.headers["location"], "/v1/calls/call_1/transfers/trf_101");
        let (call, leg) = (CallId("call_1".into()), leg.map(str::to_owned));
        assert_eq!(asked.recv().await, Some(Operator::Transfer { call, leg, target }));
    }
    let at_fault = [
        (json!({}), vec!["/target"]),
        (json!({"target": {}}), vec!["/target"]),
        (json!({"target": "101"}), vec!["/target"]),
        (json!({"target": {"number": "1", "extension_id": "ext_1"}}), vec!["/target"]),
        (json!({"target": {"number": ""}}), vec!["/target/number"]),
        (json!({"target": {"number": "sip:1@x"}}), vec!["/target/number"]),
        (json!({"target": {"extension_id": "ext_none"}}), vec!["/target/extension_id"]),
        (json!({"mode": "warm", "target": {"number": "1"}, "leg_id": "x", "to": 1}), vec!["/mode", "/leg_id", "/to"]),
        (json!({"target": {"number": "1"}, "leg_id": "leg_no"}), vec!["/leg_id"]),
        (json!({"mode": "attended", "target": {"number": "1"}}), vec!["/target", "/target/number"]),
        (json!({"target": {"call_id": "call_2"}}), vec!["/target", "/target/call_id"]),
        (json!({"mode": "attended", "target": {"call_id": "call_none"}}), vec!["/target/call_id"]),
    ];
    for (body, expected) in at_fault {
        let answer = ask(&api, "call_1", body.clone()).await;
        assert_eq!((answer.status, pointers(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, expected), "{body}");
    }
    for (call, status, code) in [
        ("call_early", StatusCode::CONFLICT, "not_connected"),
        ("call_busy", StatusCode::CONFLICT, "transferring"),
        ("call_echo", StatusCode::CONFLICT, "nobody_to_transfer"),
        ("call_apart", StatusCode::CONFLICT, "unjoinable"),
        ("call_2", StatusCode::NOT_FOUND, "not_found"),
    ] {
        let answer = ask(&api, call, json!({"target": {"number": "1"}})).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)));
    }
}

#[tokio::test]
async fn a_calls_transfers_are_listed_oldest_first_and_page_by_page() {
    let api = Api::new().await;
    let mut call = stand_in::call("call_1", Vec::new());
    call.transfers = vec![
        transfer("101", TransferStatus::Failed, Some(486)),
        transfer("102", TransferStatus::Cancelled, Some(487)),
        transfer("+15557654321", TransferStatus::Trying, None),
    ];
    api.tables.call_changed(call);
    let page = api.call("GET", "/v1/calls/call_1/transfers?limit=2", Value::Null).await;
    assert_eq!(page.status, StatusCode::OK);
    let first = json!({"id": "trf_101", "mode": "blind", "target": "101", "leg_id": "leg_1", "status": "failed", "sip_status": 486});
    assert_eq!((&page.body["data"][0], &page.body["data"][1]["status"]), (&first, &json!("cancelled")));
    let one = api.call("GET", "/v1/calls/call_1/transfers/trf_101", Value::Null).await;
    assert_eq!((one.status, &one.body), (StatusCode::OK, &first));
    for nowhere in ["/v1/calls/call_1/transfers/trf_none", "/v1/calls/call_2/transfers/trf_101"] {
        let answer = api.call("GET", nowhere, Value::Null).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    }
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = api.call("GET", &format!("/v1/calls/call_1/transfers?cursor={cursor}"), Value::Null).await;
    assert_eq!(rest.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&rest.body["data"][0]["status"], &rest.body["data"][0]["sip_status"]),
        (&json!("trying"), &Value::Null)
    );
    assert_eq!(api.call("GET", "/v1/calls/call_2/transfers", Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_that_may_only_read_calls_sees_transfers_and_makes_none() {
    let api = Api::new().await;
    let reader = api.store.create_api_key("reader", &["calls:read".into()]).await.unwrap().token;
    let request = |method: &str, body: &'static str| {
        let request = Request::builder().method(method).uri("/v1/calls/call_1/transfers");
        let request = request.header("authorization", format!("Bearer {reader}"));
        request.header("content-type", "application/json").body(Body::from(body)).unwrap()
    };
    assert_eq!(api.send(request("GET", "")).await.status, StatusCode::NOT_FOUND, "no such call, but allowed to look");
    let post = request("POST", r#"{"target":{"number":"1"}}"#);
    assert_eq!(api.send(post).await.status, StatusCode::FORBIDDEN);
}
