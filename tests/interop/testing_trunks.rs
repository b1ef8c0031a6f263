//! What the test of a trunk says of carriers that live, and of those that do not take us.

use serde_json::{Value, json};

use crate::baresip_inside_tls::Baresip;
use crate::sipp::Sipp;
use crate::support::gateway::Gateway;
use crate::support::tls::Authority;

/// Makes a trunk that is not used yet, and tests it.
async fn tested(mut trunk: Value) -> Value {
    let gateway = Gateway::start().await;
    trunk["enabled"] = json!(false);
    let trunk = gateway.trunk_with(trunk).await;
    let told = gateway.post(&format!("/v1/trunks/{}/test", trunk["id"].as_str().unwrap()), Value::Null).await;
    gateway.running.shutdown().await;
    told
}

/// The test of a trunk that registers at a carrier of this realm.
async fn registering(carrier: &str, realm: &str, password: &str) -> Value {
    let sipp = Sipp::serve("asked_registrar", &["-key", "realm", carrier]);
    tested(json!({
        "gateways": [{"uri": format!("sip:{}", sipp.address)}],
        "auth": {"username": "user", "password": password, "realm": realm},
        "register": {"enabled": true, "expires_s": 60},
    }))
    .await
}

/// Asserts what was tried, that the last of it alone failed, and what that advises.
fn assert_fails_last(told: &Value, names: &[&str], advice: &str) {
    let steps = told["steps"].as_array().unwrap();
    let tried: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(tried, names, "{told}");
    let (last, before) = steps.split_last().unwrap();
    assert!(before.iter().all(|step| step["ok"] == true), "{told}");
    assert_eq!((&last["ok"], &told["ok"]), (&json!(false), &json!(false)), "{told}");
    assert!(last["advice"].as_str().unwrap().contains(advice), "{told}");
}

#[tokio::test]
async fn a_carrier_that_answers_and_knows_us_passes() {
    let told = registering("carrier.test", "carrier.test", "secret").await;
    assert_eq!(told["ok"], true, "{told}");
    let names: Vec<_> = told["steps"].as_array().unwrap().iter().map(|step| &step["name"]).collect();
    assert_eq!(names, ["dns", "options", "register"]);
}

#[tokio::test]
async fn a_carrier_of_another_realm_has_its_realm_advised() {
    let told = registering("elsewhere.test", "carrier.test", "secret").await;
    assert_fails_last(&told, &["dns", "options", "register"], "Set auth.realm to \"elsewhere.test\"");
}

#[tokio::test]
async fn a_carrier_that_refuses_the_password_has_the_account_advised() {
    let told = registering("carrier.test", "carrier.test", "wrong").await;
    assert_fails_last(&told, &["dns", "options", "register"], "auth.password");
}

#[tokio::test]
async fn a_dead_port_has_the_firewall_advised() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    // Of what others send to it the kernel says that nobody is there.
    taken.connect("127.0.0.1:1").unwrap();
    let told = tested(json!({"gateways": [{"uri": format!("sip:{}", taken.local_addr().unwrap())}]})).await;
    assert_fails_last(&told, &["dns", "options"], "firewall");
}

#[tokio::test]
async fn a_carrier_inside_tls_passes_by_its_name_alone() {
    let authority = Authority::new();
    for (name, passes) in [("localhost", true), ("sbc.other.example", false)] {
        let baresip = Baresip::start("+4930222333", &authority.issue(&[name]), 1000.0, "").await;
        let gateways = json!([{"uri": format!("sip:localhost:{}", baresip.port), "transport": "tls"}]);
        let told = tested(json!({"gateways": gateways, "tls": {"ca_pem": authority.pem}})).await;
        if passes {
            assert_eq!(told["ok"], true, "{told}");
        } else {
            let steps = ["dns", "connection", "tls"];
            assert_fails_last(&told, &steps, "A certificate for localhost was expected");
        }
    }
}
