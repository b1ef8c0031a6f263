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

fn settle(call: &CallId, id: &str, status: TransferStatus) -> Result<Granted, OperatorError> {
    match (call.0.as_str(), id) {
        ("call_1", "trf_101") => Ok(Granted::Transfer(transfer("101", status, None))),
        ("call_1", "trf_over") => Err(OperatorError::NotConsulting),
        ("call_1", _) => Err(OperatorError::UnknownTransfer),
        (_, _) => Err(OperatorError::UnknownCall),
    }
}

fn answer(operator: &Operator) -> Result<Granted, OperatorError> {
    if let Operator::CompleteTransfer { call, transfer } = operator {
        return settle(call, transfer, TransferStatus::Succeeded);
    }
    if let Operator::CancelTransfer { call, transfer } = operator {
        return settle(call, transfer, TransferStatus::Cancelled);
    }
    let Operator::Transfer { call, leg, target, .. } = operator else { panic!("{operator:?}") };
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
    use TransferMode::{Attended, Blind};
    let to = |number: &str| TransferTarget::Number(number.to_owned());
    let accepted = [
        (json!({"target": {"number": "+15551234567"}}), Blind, None, to("+15551234567")),
        (json!({"mode": "blind", "target": {"number": "*97#"}, "leg_id": "leg_2"}), Blind, Some("leg_2"), to("*97#")),
        (json!({"target": {"extension_id": id(&extension)}}), Blind, None, TransferTarget::Extension("101".into())),
        (json!({"mode": "attended", "target": {"number": "102"}}), Attended, None, to("102")),
        (
            json!({"mode": "attended", "target": {"extension_id": id(&extension)}, "leg_id": "leg_2"}),
            Attended,
            Some("leg_2"),
            TransferTarget::Extension("101".into()),
        ),
        (
            json!({"mode": "attended", "target": {"call_id": "call_2"}}),
            Attended,
            None,
            TransferTarget::Call(CallId("call_2".into())),
        ),
    ];
    for (body, mode, leg, target) in accepted {
        let answer = ask(&api, "call_1", body).await;
        assert_eq!((answer.status, &answer.body["id"]), (StatusCode::ACCEPTED, &json!("trf_101")));
        assert_eq!((&answer.body["status"], &answer.body["leg_id"]), (&json!("trying"), &json!("leg_1")));
        assert_eq!(answer.headers["location"], "/v1/calls/call_1/transfers/trf_101");
        let (call, leg) = (CallId("call_1".into()), leg.map(str::to_owned));
        assert_eq!(asked.recv().await, Some(Operator::Transfer { call, mode, leg, target }));
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
        (json!({"mode": "attended", "target": {}}), vec!["/target"]),
        (json!({"mode": "attended", "target": {"number": "1", "call_id": "call_2"}}), vec!["/target"]),
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
async fn a_consultation_is_completed_or_cancelled_once_and_the_answer_is_the_transfer() {
    let mut api = Api::new().await;
    let mut asked = api.stand_in(answer);
    let (call, transfer) = (CallId("call_1".into()), "trf_101".to_owned());
    let complete = Operator::CompleteTransfer { call: call.clone(), transfer: transfer.clone() };
    for (verb, status, operator) in
        [("complete", "succeeded", complete), ("cancel", "cancelled", Operator::CancelTransfer { call, transfer })]
    {
        let path = format!("/v1/calls/call_1/transfers/trf_101/{verb}");
        let request = || {
            let request = Request::builder().method("POST").uri(&path).header("idempotency-key", verb);
            request.header("authorization", format!("Bearer {}", api.key)).body(Body::empty()).unwrap()
        };
        let (first, again) = (api.send(request()).await, api.send(request()).await);
        assert_eq!((first.status, &first.body["status"]), (StatusCode::ACCEPTED, &json!(status)));
        assert_eq!((again.status, again.body), (first.status, first.body), "the same answer");
        assert_eq!(asked.recv().await, Some(operator));
        assert!(asked.try_recv().is_err(), "and it was done once");
        for (at, status, code) in [
            ("call_1/transfers/trf_over", StatusCode::CONFLICT, "not_consulting"),
            ("call_1/transfers/trf_none", StatusCode::NOT_FOUND, "not_found"),
            ("call_2/transfers/trf_101", StatusCode::NOT_FOUND, "not_found"),
        ] {
            let answer = api.call("POST", &format!("/v1/calls/{at}/{verb}"), Value::Null).await;
            assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)));
            asked.recv().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_calls_transfers_are_listed_oldest_first_and_page_by_page() {
    let api = Api::new().await;
    let mut call = stand_in::call("call_1", Vec::new());
    call.transfers = vec![
        transfer("101", TransferStatus::Failed, Some(486)),
        transfer("102", TransferStatus::Cancelled, Some(487)),
        transfer("+15557654321", TransferStatus::Consulting, None),
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
        (&json!("consulting"), &Value::Null)
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
