//! Trunks whose carriers want us registered.

use serde_json::{Value, json};
use switchboard::TrunkRegistrationState;

use crate::sipp::Sipp;
use crate::support::gateway::Gateway;
use crate::support::within;

async fn registering(gateway: &Gateway, sipp: &Sipp) -> String {
    let trunk = json!({
        "gateways": [{"uri": format!("sip:{}", sipp.address)}],
        "auth": {"username": "user", "password": "secret", "realm": "carrier.test"},
        "register": {"enabled": true, "expires_s": 60},
    });
    let trunk: Value = gateway.trunk_with(trunk).await;
    trunk["id"].as_str().unwrap().to_owned()
}

/// Waits until the trunk's registration stands so.
async fn until(gateway: &Gateway, trunk: &str, look: impl Fn(&TrunkRegistrationState) -> bool) {
    within("the registration", async {
        loop {
            let status = gateway.running.gateway().trunk_status(trunk);
            if status.registration.is_some_and(|registration| look(&registration.state)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Registered for longer than any refresh of the scenario was granted.
fn for_long(state: &TrunkRegistrationState) -> bool {
    let long = std::time::SystemTime::now() + std::time::Duration::from_secs(1000);
    matches!(state, TrunkRegistrationState::Registered { expires_at, .. } if *expires_at > long)
}

#[tokio::test]
async fn a_trunk_is_registered_refreshed_and_unregistered_when_the_gateway_stops() {
    let gateway = Gateway::start().await;
    let port = gateway.running.ports().sip_udp.port().to_string();
    let sipp = Sipp::play("registrar", &["-key", "gateway", &port]);
    let trunk = registering(&gateway, &sipp).await;
    until(&gateway, &trunk, for_long).await;
    gateway.running.shutdown().await;
    sipp.assert_success().await;
}

#[tokio::test]
async fn a_registrar_that_fails_is_tried_again_and_says_so_meanwhile() {
    let gateway = Gateway::start().await;
    let sipp = Sipp::play("overloaded_registrar", &[]);
    let trunk = registering(&gateway, &sipp).await;
    let failed = |state: &TrunkRegistrationState| matches!(state, TrunkRegistrationState::Failed { status: Some(500), reason, .. } if reason.contains("500"));
    until(&gateway, &trunk, failed).await;
    until(&gateway, &trunk, for_long).await;
    gateway.running.shutdown().await;
    sipp.assert_success().await;
}
