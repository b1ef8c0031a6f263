//! How trunks' dialogs are set up and kept, as the API takes it and shows it.

use super::*;

#[tokio::test]
async fn a_trunks_prack_offer_and_session_timer_are_stored_shown_and_in_force() {
    let api = Api::new().await;
    let timer = json!({"enabled": true, "expires_s": 300});
    let trunk = json!({"name": "carrier", "prack": "required", "early_offer": false, "session_timer": timer});
    let made = api.made("/v1/trunks", trunk).await;
    assert_eq!((&made["prack"], &made["early_offer"]), (&json!("required"), &json!(false)));
    assert_eq!(made["session_timer"], timer);
    let path = format!("/v1/trunks/{}", id(&made));
    assert_eq!(api.call("GET", &path, Value::Null).await.body, made);
    let seen = api.store.directory().borrow().trunks[id(&made)].dialogs;
    let every = switchboard::SessionTimer::Every(std::time::Duration::from_secs(300));
    assert_eq!((seen.prack, seen.early_offer, seen.session_timer), (sip::Reliability::Required, false, every));
    api.call("PATCH", &path, json!({"session_timer": {"enabled": false}, "prack": "off"})).await;
    let seen = api.store.directory().borrow().trunks[id(&made)].dialogs;
    assert_eq!((seen.prack, seen.session_timer), (sip::Reliability::Off, switchboard::SessionTimer::Off));
    let plain = api.made("/v1/trunks", json!({"name": "plain"})).await;
    assert_eq!((&plain["prack"], &plain["early_offer"]), (&json!("supported"), &json!(true)));
    assert_eq!(plain["session_timer"], json!({"enabled": true, "expires_s": 0}));
    let seen = api.store.directory().borrow().trunks[id(&plain)].dialogs;
    assert_eq!(seen, switchboard::Dialogs::default());
}

#[tokio::test]
async fn a_session_timer_is_none_that_no_peer_may_accept() {
    let api = Api::new().await;
    for (trunk, pointer) in [
        (json!({"session_timer": {"expires_s": 89}}), "/session_timer/expires_s"),
        (json!({"session_timer": {"expires_s": 86_401}}), "/session_timer/expires_s"),
        (json!({"session_timer": {"enabled": "yes"}}), "/session_timer/enabled"),
        (json!({"session_timer": 90}), "/session_timer"),
        (json!({"prack": "always"}), "/prack"),
        (json!({"early_offer": 1}), "/early_offer"),
    ] {
        let mut body = trunk;
        body["name"] = json!("t");
        let refused = api.call("POST", "/v1/trunks", body).await;
        assert_eq!((refused.status, pointers(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, vec![pointer]));
    }
}
