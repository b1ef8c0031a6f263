//! Reclaiming a call by REST.

use super::stand_in::{call, leg};
use super::*;

fn answer(operator: &Operator) -> Result<Granted, OperatorError> {
    let Operator::Reclaim { call, .. } = operator else { panic!("{operator:?}") };
    match call.0.as_str() {
        "call_1" => Ok(Granted::Done),
        "call_alone" => Err(OperatorError::NotRegistered),
        "call_busy" => Err(OperatorError::Changing),
        "call_early" => Err(OperatorError::NotConnected),
        _ => Err(OperatorError::UnknownCall),
    }
}

#[tokio::test]
async fn a_call_is_reclaimed_by_the_switchboard_or_refused_at_once_with_the_reason() {
    let mut api = Api::new().await;
    let mut asked = api.stand_in(answer);
    for (id, body, status, code) in [
        ("call_1", Value::Null, StatusCode::ACCEPTED, Value::Null),
        ("call_1", json!({"leg_id": "leg_1"}), StatusCode::ACCEPTED, Value::Null),
        ("call_alone", json!({}), StatusCode::CONFLICT, json!("not_registered")),
        ("call_busy", json!({}), StatusCode::CONFLICT, json!("changing")),
        ("call_early", json!({}), StatusCode::CONFLICT, json!("not_connected")),
        ("call_none", json!({}), StatusCode::NOT_FOUND, json!("not_found")),
        ("call_1", json!({"leg": "leg_1"}), StatusCode::UNPROCESSABLE_ENTITY, json!("invalid")),
    ] {
        let answer = api.call("POST", &format!("/v1/calls/{id}/reclaim"), body).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &code), "{id}");
    }
    for leg in [None, Some("leg_1".to_owned())] {
        assert_eq!(asked.recv().await, Some(Operator::Reclaim { call: CallId("call_1".into()), leg }));
    }
}

#[tokio::test]
async fn of_several_legs_an_agent_reclaims_the_one_that_is_away() {
    let mut api = agents::with_ada().await;
    let mut asked = api.stand_in(answer);
    let phone = Some(("100", "agt_a"));
    let mut lost = leg("leg_2", phone);
    lost.away = true;
    api.tables.call_changed(call("call_1", vec![leg("leg_1", phone), lost, leg("leg_3", None)]));
    let page = agents::page(&api);
    let answer = page.ask("POST", "/v1/calls/call_1/reclaim", Value::Null).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let leg = Some("leg_2".to_owned());
    assert_eq!(asked.recv().await, Some(Operator::Reclaim { call: CallId("call_1".into()), leg }));
    let other = page.ask("POST", "/v1/calls/call_1/reclaim", json!({"leg_id": "leg_3"})).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
}
