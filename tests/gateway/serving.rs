//! What the HTTP listeners serve beside the API, and what a reload changes.

use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::phone::Phone;
use crate::support::socket::{self, open};

use sip::StatusCode;

#[tokio::test]
async fn every_answer_carries_security_headers_and_unknown_files_are_404() {
    let gateway = Gateway::start().await;
    for path in ["/", "/livez", "/v1/agents", "/no-such-file.js"] {
        let response = gateway.fetch(path).await;
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy", "permissions-policy"] {
            assert!(response.headers().contains_key(name), "{name} on {path}");
        }
    }
    assert_eq!(gateway.fetch("/no-such-file.js").await.status(), 404);
    assert!(gateway.fetch("/").await.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(gateway.fetch("/readyz").await.status(), 200);
    assert_eq!(gateway.get("/openapi.json").await["info"]["title"], "Patchcord");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn metrics_name_what_an_operator_watches() {
    let gateway = Gateway::start().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "9196", &browser.offer()).await;
    browser.connect(&agent.answer(session).await.body).await;
    browser.say(500.0, 5).await;
    browser.hear(3).await;
    agent.hang_up(session).await;
    for name in [
        "patchcord_calls_active{direction=\"internal\"}",
        "patchcord_calls_ended_total{direction=\"internal\",result=\"answered\"}",
        "patchcord_connections{transport=\"wss\"}",
        "patchcord_registrations ",
        "patchcord_sip_messages_received_total ",
        "patchcord_sip_challenges_total ",
        "patchcord_media_packets_received_total{shard=\"0\"}",
        "patchcord_time_to_media_seconds_bucket",
        "patchcord_http_requests_total{",
    ] {
        crate::support::within(name, async {
            while !gateway.fetch("/metrics").await.text().await.unwrap().contains(name) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_dropping_connections() {
    let gateway = Gateway::start().await;
    let mut before = Phone::registered(&gateway, "100").await;
    let path = |name: &str| gateway.folder.path().join(name);
    for name in ["certificate.pem", "key.pem"] {
        std::fs::remove_file(path(name)).unwrap();
    }
    patchcord::certificate::make_if_missing(&path("certificate.pem"), &path("key.pem")).unwrap();
    assert!(gateway.running.reload());
    // The peer trusts the new file alone.
    open(&gateway, true).await;
    assert_eq!(before.register("100", crate::support::gateway::SECRET, 600).await.status, StatusCode::OK);
    std::fs::write(path("certificate.pem"), "rubbish").unwrap();
    assert!(!gateway.running.reload());
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_reloaded_dialplan_counts_for_the_next_call_and_a_wrong_one_changes_nothing() {
    let gateway = Gateway::start().await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let file = gateway.folder.path().join("dialplan/05-first.toml");
    let rule = "[[rule]]\ncontext = \"agents\"\nname = \"closed\"\nnumber = \"9196\"\ntargets = [{ reject = 486 }]\n";
    std::fs::write(&file, rule).unwrap();
    assert!(gateway.running.reload());
    let session = agent.call("100", "9196", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
    std::fs::write(&file, "[[rule]]\ncontext = \"nowhere\"\n").unwrap();
    assert!(!gateway.running.reload());
    let session = agent.call("100", "9196", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let gateway = Gateway::start().await;
    let taken = gateway.running.ports().sip_udp;
    let mut config = patchcord::config::Config::default();
    config.http.https_listen = "127.0.0.1:0".parse().unwrap();
    config.http.certificate = gateway.folder.path().join("certificate.pem");
    config.http.key = gateway.folder.path().join("key.pem");
    config.sip.udp_listen = taken;
    config.dialplan.directory = gateway.folder.path().join("dialplan");
    let error = patchcord::serve::start(&config).await.unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()), "{error}");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn the_listener_speaks_http_1_1_over_tls() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = Gateway::start().await;
    let mut stream = socket::stream(&gateway, true).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    crate::support::within("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    gateway.running.shutdown().await;
}
