//! Participants by REST.

use switchboard::{CallId, Granted, Operator, OperatorError, ParticipantState, ParticipantView, TransferTarget};

use super::*;

fn participant(id: &str, party: &str, state: ParticipantState, sip_status: Option<u16>) -> ParticipantView {
    ParticipantView {
        id: id.to_owned(),
        party: party.to_owned(),
        state,
        media: media::MediaState::default(),
        sip_status,
    }
}

fn answer(operator: &Operator) -> Result<Granted, OperatorError> {
    if let Operator::RemoveParticipant { call, participant } = operator {
        return match (call.0.as_str(), participant.as_str()) {
            ("call_1", "leg_3") => Ok(Granted::Done),
            ("call_1", _) => Err(OperatorError::UnknownParticipant),
            (_, _) => Err(OperatorError::UnknownCall),
        };
    }
    let Operator::AddParticipant { call, leg, target } = operator else { panic!("{operator:?}") };
    match (call.0.as_str(), leg.as_deref()) {
        ("call_1", _) if *target == TransferTarget::Call(CallId("call_none".into())) => {
            Err(OperatorError::UnknownTarget)
        }
        ("call_1", Some("leg_no")) => Err(OperatorError::UnknownLeg),
        ("call_1", _) => Ok(Granted::Participant(participant("leg_3", "101", ParticipantState::Routing, None))),
        ("call_early", _) => Err(OperatorError::NotConnected),
        ("call_moving", _) => Err(OperatorError::Transferring),
        ("call_busy", _) => Err(OperatorError::Changing),
        ("call_echo", _) => Err(OperatorError::Alone),
        ("call_full", _) => Err(OperatorError::Full),
        ("call_apart", _) => Err(OperatorError::Unjoinable),
        (_, _) => Err(OperatorError::UnknownCall),
    }
}

async fn ask(api: &Api, call: &str, body: Value) -> Answer {
    api.call("POST", &format!("/v1/calls/{call}/participants"), body).await
}

#[tokio::test]
async fn a_third_is_asked_by_the_switchboard_and_a_refusal_says_which_field_or_why() {
    let mut api = Api::new().await;
    let extension = api.made("/v1/extensions", json!({"number": "101"})).await;
    let mut asked = api.stand_in(answer);
    let accepted = [
        (json!({"target": {"number": "+15551234567"}}), None, TransferTarget::Number("+15551234567".into())),
        (
            json!({"target": {"number": "*97#"}, "leg_id": "leg_2"}),
            Some("leg_2"),
            TransferTarget::Number("*97#".into()),
        ),
        (json!({"target": {"extension_id": id(&extension)}}), None, TransferTarget::Extension("101".into())),
        (json!({"target": {"call_id": "call_2"}}), None, TransferTarget::Call(CallId("call_2".into()))),
    ];
    for (body, leg, target) in accepted {
        let answer = ask(&api, "call_1", body).await;
        let expected = json!({
            "id": "leg_3", "party": "101", "state": "routing", "hold": "none", "hears": "nothing", "sip_status": null
        });
        assert_eq!((answer.status, &answer.body), (StatusCode::ACCEPTED, &expected));
        assert_eq!(answer.headers["location"], "/v1/calls/call_1/participants/leg_3");
        let (call, leg) = (CallId("call_1".into()), leg.map(str::to_owned));
        assert_eq!(asked.recv().await, Some(Operator::AddParticipant { call, leg, target }));
    }
    let at_fault = [
        (json!({}), vec!["/target"]),
        (json!({"target": {}}), vec!["/target"]),
        (json!({"target": "101"}), vec!["/target"]),
        (json!({"target": {"number": "1", "call_id": "call_1"}}), vec!["/target"]),
        (json!({"target": {"number": "sip:1@x"}}), vec!["/target/number"]),
        (json!({"target": {"extension_id": "ext_none"}}), vec!["/target/extension_id"]),
        (json!({"target": {"number": "1"}, "leg_id": "x", "mode": "blind"}), vec!["/leg_id", "/mode"]),
        (json!({"target": {"number": "1"}, "leg_id": "leg_no"}), vec!["/leg_id"]),
        (json!({"target": {"call_id": "call_none"}}), vec!["/target/call_id"]),
    ];
    for (body, expected) in at_fault {
        let answer = ask(&api, "call_1", body.clone()).await;
        assert_eq!((answer.status, pointers(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, expected), "{body}");
    }
    for (call, status, code) in [
        ("call_early", StatusCode::CONFLICT, "not_connected"),
        ("call_moving", StatusCode::CONFLICT, "transferring"),
        ("call_busy", StatusCode::CONFLICT, "changing"),
        ("call_echo", StatusCode::CONFLICT, "alone"),
        ("call_apart", StatusCode::CONFLICT, "unjoinable"),
        ("call_full", StatusCode::UNPROCESSABLE_ENTITY, "too_many_participants"),
        ("call_2", StatusCode::NOT_FOUND, "not_found"),
    ] {
        let answer = ask(&api, call, json!({"target": {"number": "1"}})).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)));
    }
}

#[tokio::test]
async fn a_third_asked_with_a_key_is_asked_once() {
    let mut api = Api::new().await;
    let mut asked = api.stand_in(answer);
    let request = || {
        let request = Request::builder().method("POST").uri("/v1/calls/call_1/participants");
        let request = request.header("authorization", format!("Bearer {}", api.key));
        let request = request.header("content-type", "application/json").header("idempotency-key", "once");
        request.body(Body::from(r#"{"target":{"number":"101"}}"#)).unwrap()
    };
    let (first, again) = (api.send(request()).await, api.send(request()).await);
    assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.body, again.body);
    assert!(asked.recv().await.is_some());
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn participants_are_listed_read_and_let_go() {
    let mut api = Api::new().await;
    let mut call = stand_in::call("call_1", Vec::new());
    let holds =
        media::MediaState { hold: media::Hold::Remote, hears: media::Hears::Nothing, ..media::MediaState::default() };
    call.participants = vec![
        ParticipantView { media: holds, ..participant("leg_1", "100", ParticipantState::Connected, None) },
        participant("leg_3", "102", ParticipantState::Ringing, None),
        participant("leg_2", "101", ParticipantState::Ended, Some(486)),
    ];
    api.tables.call_changed(call);
    let page = api.call("GET", "/v1/calls/call_1/participants?limit=2", Value::Null).await;
    assert_eq!(page.status, StatusCode::OK);
    let first = json!({
        "id": "leg_1", "party": "100", "state": "connected", "hold": "remote", "hears": "nothing", "sip_status": null
    });
    assert_eq!((&page.body["data"][0], &page.body["data"][1]["state"]), (&first, &json!("ringing")));
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = api.call("GET", &format!("/v1/calls/call_1/participants?cursor={cursor}"), Value::Null).await;
    let last = &rest.body["data"][0];
    assert_eq!((&last["state"], &last["sip_status"]), (&json!("ended"), &json!(486)));
    let one = api.call("GET", "/v1/calls/call_1/participants/leg_1", Value::Null).await;
    assert_eq!((one.status, &one.body), (StatusCode::OK, &first));
    for nowhere in ["/v1/calls/call_1/participants/leg_none", "/v1/calls/call_2/participants"] {
        assert_eq!(api.call("GET", nowhere, Value::Null).await.status, StatusCode::NOT_FOUND);
    }
    let mut asked = api.stand_in(answer);
    let gone = api.call("DELETE", "/v1/calls/call_1/participants/leg_3", Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let (call, participant) = (CallId("call_1".into()), "leg_3".to_owned());
    assert_eq!(asked.recv().await, Some(Operator::RemoveParticipant { call, participant }));
    for nowhere in ["/v1/calls/call_1/participants/leg_none", "/v1/calls/call_2/participants/leg_3"] {
        let answer = api.call("DELETE", nowhere, Value::Null).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    }
}
