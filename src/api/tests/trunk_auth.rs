//! As whom trunks are called and call: passwords go in and never come out.

use super::*;

const TRUNK: &str = "/v1/trunks";

fn registering() -> Value {
    json!({
        "name": "carrier",
        "gateways": [{"uri": "sip:sip.example.net:5080"}],
        "auth": {"username": "user", "password": "open sesame"},
        "register": {"enabled": true, "expires_s": 300},
        "inbound": {"auth": {"username": "carrier", "password": "a long secret"}},
    })
}

#[tokio::test]
async fn passwords_are_kept_as_digests_over_changes_and_never_shown() {
    let api = Api::new().await;
    let made = api.made(TRUNK, registering()).await;
    let shown = json!({"username": "user", "realm": "sip.example.net", "has_password": true});
    assert_eq!(made["auth"], shown);
    assert_eq!(
        made["inbound"],
        json!({"cidrs": [], "tls_names": [], "auth": {"username": "carrier", "has_password": true}})
    );
    assert_eq!(made["register"], json!({"enabled": true, "expires_s": 300}));
    let path = format!("{TRUNK}/{}", id(&made));
    let changed = api.call("PATCH", &path, json!({"enabled": false, "auth": shown})).await;
    assert_eq!((changed.status, &changed.body["auth"]), (StatusCode::OK, &shown));
    let listed = api.call("GET", TRUNK, Value::Null).await.body.to_string();
    for secret in ["open sesame", "a long secret", "md5", "sha256", "secrets"] {
        assert!(!listed.contains(secret), "{listed}");
    }
    let known = |trunk: &str| api.store.directory().borrow().trunks[trunk].authentication.clone();
    let authentication = known(id(&made));
    let outbound = authentication.outbound.unwrap();
    assert_eq!((outbound.username.as_str(), outbound.realm.as_str()), ("user", "sip.example.net"));
    assert_eq!(outbound.ha1, sip::Ha1::new("user", "sip.example.net", "open sesame"));
    assert_eq!(authentication.inbound.unwrap().ha1, sip::Ha1::new("carrier", "phone.test", "a long secret"));
    assert_eq!(authentication.register, Some(std::time::Duration::from_secs(300)));
    api.call("PATCH", &path, json!({"auth": {"password": "another"}, "inbound": {"auth": null}})).await;
    let authentication = known(id(&made));
    assert_eq!(authentication.outbound.unwrap().ha1, sip::Ha1::new("user", "sip.example.net", "another"));
    assert_eq!(authentication.inbound, None);
}

#[tokio::test]
async fn a_password_is_good_for_its_username_and_realm_only() {
    let api = Api::new().await;
    let made = api.made(TRUNK, registering()).await;
    let path = format!("{TRUNK}/{}", id(&made));
    for (patch, pointer) in [
        (json!({"auth": {"username": "other"}}), "/auth/password"),
        (json!({"auth": {"realm": "elsewhere.example.net"}}), "/auth/password"),
        (json!({"inbound": {"auth": {"username": "other"}}}), "/inbound/auth/password"),
        (json!({"auth": {"has_password": false}}), "/auth/has_password"),
    ] {
        let answer = api.call("PATCH", &path, patch.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{patch}");
        assert_eq!(pointers(&answer), [pointer], "{patch}");
    }
    let patch = json!({"auth": {"realm": "elsewhere.example.net", "password": "new"}});
    assert_eq!(api.call("PATCH", &path, patch).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_pointer() {
    let api = Api::new().await;
    for (body, expected) in [
        (json!({"name": "a", "register": {"enabled": true}}), vec!["/register/enabled", "/register/enabled"]),
        (json!({"name": "a", "auth": {"username": "u", "password": "p"}}), vec!["/auth/realm"]),
        (json!({"name": "a", "auth": {"username": "u", "realm": "r"}}), vec!["/auth/password"]),
        (json!({"name": "a", "auth": {"username": "u", "realm": "r", "has_password": true}}), vec!["/auth/password"]),
        (
            json!({"name": "a", "auth": {"username": "u:v", "realm": "", "password": ""}}),
            vec!["/auth/username", "/auth/realm", "/auth/password"],
        ),
        (
            json!({"name": "a", "inbound": {"auth": {"username": "u", "password": "short"}}}),
            vec!["/inbound/auth/password"],
        ),
        (json!({"name": "a", "register": {"expires_s": 5}}), vec!["/register/expires_s"]),
    ] {
        let answer = api.call("POST", TRUNK, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(pointers(&answer), expected, "{body}");
    }
}

#[tokio::test]
async fn two_trunks_do_not_call_in_with_the_same_name() {
    let api = Api::new().await;
    api.made(TRUNK, registering()).await;
    let mut second = registering();
    second["name"] = json!("second");
    let answer = api.call("POST", TRUNK, second).await;
    assert_eq!((answer.status, pointers(&answer)), (StatusCode::CONFLICT, vec!["/inbound/auth/username"]));
}
