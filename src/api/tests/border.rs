//! How trunks are presented to and believed, as the API takes it and shows it.

use super::*;

#[tokio::test]
async fn a_trunks_caller_id_trust_and_header_rules_are_stored_shown_and_in_force() {
    let api = Api::new().await;
    let rules = json!([
        {"direction": "outbound", "action": "add", "name": "X-Account", "value": "42"},
        {"direction": "inbound", "action": "rename", "name": "X-Caller", "to": "P-Asserted-Identity"},
        {"direction": "outbound", "action": "remove", "name": "Identity"},
    ]);
    let caller_id = json!({"header": "pai", "fallback": "+4930123456", "user": "pbx-7", "domain": "sip.example",
        "format": "e164_without_plus", "pass_through": true});
    let trunk = json!({"name": "carrier", "caller_id": caller_id, "trusted": true, "header_rules": rules,
        "pass_headers": ["X-Campaign", "User-to-User"], "max_cps": 5});
    let made = api.made("/v1/trunks", trunk).await;
    assert_eq!((&made["caller_id"], &made["header_rules"]), (&caller_id, &rules));
    let path = format!("/v1/trunks/{}", id(&made));
    assert_eq!(api.call("GET", &path, Value::Null).await.body, made);
    let directory = api.store.directory().borrow().clone();
    let seen = &directory.trunks[id(&made)];
    assert!(seen.border.trusted && seen.border.caller_id.pass_through);
    assert_eq!((seen.border.header_rules.len(), seen.limits.max_cps), (3, 5));
    assert_eq!(seen.border.pass_headers, ["X-Campaign", "User-to-User"]);
    assert_eq!(seen.border.caller_id.header, switchboard::CallerIdHeader::Asserted);
    let patched = api.call("PATCH", &path, json!({"header_rules": [], "trusted": false})).await;
    assert_eq!((&patched.body["trusted"], &patched.body["max_cps"]), (&json!(false), &json!(5)));
    let plain = api.made("/v1/trunks", json!({"name": "plain"})).await;
    assert_eq!(plain["caller_id"]["header"], "from");
    assert_eq!((&plain["trusted"], &plain["header_rules"], &plain["max_cps"]), (&json!(false), &json!([]), &json!(0)));
}

#[tokio::test]
async fn a_header_rule_touches_nothing_that_carries_the_call_and_brings_no_second_header() {
    let api = Api::new().await;
    let mut rules = Vec::new();
    for name in ["Via", "from", "TO", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards", "v"] {
        rules.push(json!({"direction": "outbound", "action": "remove", "name": name}));
    }
    for name in ["Content-Type", "Content-Length", "Authorization", "Proxy-Authorization", "X Y", "X-A:", "é"] {
        rules.push(json!({"direction": "outbound", "action": "remove", "name": name}));
    }
    let count = rules.len();
    let refused = api.call("POST", "/v1/trunks", json!({"name": "t", "header_rules": rules})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected: Vec<_> = (0..count).map(|at| format!("/header_rules/{at}/name")).collect();
    assert_eq!(pointers(&refused), expected);
    for (rule, pointer) in [
        (json!({"direction": "outbound", "action": "set", "name": "X-A", "value": "1\r\nX-B: 2"}), "value"),
        (json!({"direction": "outbound", "action": "set", "name": "X-A", "value": "1\n2"}), "value"),
        (json!({"direction": "outbound", "action": "add", "name": "X-A", "value": "x".repeat(257)}), "value"),
        (json!({"direction": "outbound", "action": "add", "name": "X-A"}), "value"),
        (json!({"direction": "outbound", "action": "rename", "name": "X-A", "to": "From"}), "to"),
        (json!({"direction": "outbound", "action": "rename", "name": "X-A", "to": "Identity"}), "to"),
        (json!({"direction": "outbound", "action": "set", "name": "identity", "value": "x"}), "name"),
        (json!({"direction": "outbound", "action": "remove", "name": "X-A", "value": "x"}), "value"),
        (json!({"direction": "up", "action": "remove", "name": "X-A"}), "direction"),
        (json!({"action": "remove", "name": "X-A"}), "direction"),
    ] {
        let refused = api.call("POST", "/v1/trunks", json!({"name": "t", "header_rules": [rule]})).await;
        assert_eq!(pointers(&refused), [format!("/header_rules/0/{pointer}")], "{rule}");
    }
    let many = vec![json!({"direction": "inbound", "action": "remove", "name": "X-A"}); 33];
    assert_eq!(
        pointers(&api.call("POST", "/v1/trunks", json!({"name": "t", "header_rules": many})).await),
        ["/header_rules"]
    );
}

#[tokio::test]
async fn what_phones_must_not_get_and_what_from_cannot_carry_is_refused() {
    let api = Api::new().await;
    let trunk = json!({"name": "t", "pass_headers": ["Alert-Info", "X-A\r\nX-B", "P-Asserted-Identity", 7],
        "caller_id": {"header": "from", "user": "pbx"}, "max_cps": -1});
    let refused = api.call("POST", "/v1/trunks", trunk).await;
    let mut found = pointers(&refused);
    found.sort_unstable();
    assert_eq!(
        found,
        ["/caller_id/user", "/max_cps", "/pass_headers/0", "/pass_headers/1", "/pass_headers/2", "/pass_headers/3"]
    );
    let strange = json!({"name": "t", "caller_id": {"header": "p-asserted-identity"}});
    assert_eq!(pointers(&api.call("POST", "/v1/trunks", strange).await), ["/caller_id/header"]);
}

#[tokio::test]
async fn an_agents_numbers_are_in_international_form() {
    let api = Api::new().await;
    let numbers = json!(["+4930123456", "+15550001111"]);
    let made = api.made("/v1/agents", json!({"display_name": "Ada", "allowed_caller_ids": numbers})).await;
    assert_eq!(made["allowed_caller_ids"], numbers);
    let directory = api.store.directory().borrow().clone();
    assert_eq!(directory.agents[id(&made)].allowed_caller_ids, ["+4930123456", "+15550001111"]);
    let wrong = json!({"display_name": "Ada", "allowed_caller_ids": ["+4930123456", "030123456", 7]});
    let refused = api.call("POST", "/v1/agents", wrong).await;
    assert_eq!(pointers(&refused), ["/allowed_caller_ids/1", "/allowed_caller_ids/2"]);
}

#[tokio::test]
async fn a_dial_policy_names_countries_and_beginnings_of_numbers() {
    let api = Api::new().await;
    let policy = json!({"countries": ["DE", "+1204"], "blocked_prefixes": ["+49180", "0900"], "max_per_day": 30});
    let made = api.made("/v1/agents", json!({"display_name": "Ada", "dial_policy": policy, "max_cps": 2})).await;
    assert_eq!((&made["dial_policy"], &made["max_cps"]), (&policy, &json!(2)));
    let directory = api.store.directory().borrow().clone();
    let seen = &directory.agents[id(&made)];
    assert_eq!((seen.dial_policy.max_per_day, seen.max_cps), (Some(30), 2));
    assert_eq!(seen.dial_policy.countries, ["DE", "+1204"]);
    assert_eq!(seen.dial_policy.blocked_prefixes, ["+49180", "0900"]);
    let path = format!("/v1/agents/{}", id(&made));
    let changed = api.call("PATCH", &path, json!({"dial_policy": {"max_per_day": null}})).await;
    assert_eq!(changed.body["dial_policy"]["max_per_day"], Value::Null);
    let plain = api.made("/v1/agents", json!({"display_name": "Bob"})).await;
    assert_eq!(plain["dial_policy"], json!({"countries": [], "blocked_prefixes": [], "max_per_day": null}));
    let wrong = json!({"countries": ["XX", "de", "+", "44", "+4a"], "blocked_prefixes": ["", "+49x"], "max_per_day": -1,
        "country": "DE"});
    let refused = api.call("POST", "/v1/agents", json!({"display_name": "Eve", "dial_policy": wrong})).await;
    let mut found = pointers(&refused);
    found.sort_unstable();
    let expected = [
        "blocked_prefixes/0",
        "blocked_prefixes/1",
        "countries/0",
        "countries/1",
        "countries/2",
        "countries/3",
        "countries/4",
        "country",
        "max_per_day",
    ];
    assert_eq!(found, expected.map(|field| format!("/dial_policy/{field}")));
}
