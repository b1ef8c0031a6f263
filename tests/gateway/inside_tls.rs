//! Trunks inside TLS, both ways: who is believed, and what is said when somebody is not.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use sip::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::audio::{FRAME, TrunkAudio, level_db};
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;
use crate::support::tls::{Authority, Pair};
use crate::support::within;

/// A carrier that waits for connections.
struct Carrier {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Carrier {
    async fn new(pair: &Pair, clients: Option<&Authority>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Authority::server(pair, clients)) }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    async fn accept(&self) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let (stream, _) = within("a connection", self.listener.accept()).await.unwrap();
        within("a handshake", self.acceptor.accept(stream)).await
    }

    /// The phone at the end of the next connection.
    async fn phone(&self) -> Phone {
        let stream = self.accept().await.unwrap();
        let to = stream.get_ref().0.peer_addr().unwrap();
        Phone::inside_tls(stream, self.listener.local_addr().unwrap(), to)
    }
}

fn trunk(port: u16, tls: &Value) -> Value {
    let gateways = json!([{"uri": format!("sip:localhost:{port}"), "transport": "tls"}]);
    json!({"gateways": gateways, "tls": tls, "inbound": {"cidrs": ["127.0.0.1/32"]}})
}

/// How the record of the only call explains it.
async fn explanation(gateway: &Gateway) -> String {
    let first = |page: &Value| page["data"][0]["explanation"].as_str().map(str::to_owned);
    gateway.eventually("/v1/cdrs", first).await
}

/// Waits until the trunk's host is looked up: `localhost` is no address.
async fn located(gateway: &Gateway) {
    let mut directory = gateway.running.store().directory();
    let found = directory.wait_for(|directory| {
        directory.trunks.values().flat_map(|trunk| &trunk.gateways).any(|gateway| !gateway.hops.is_empty())
    });
    within("the address of localhost", found).await.unwrap();
}

/// What a call over a trunk with these settings, to a carrier that shows `pair`, comes to.
async fn failed(pair: &Pair, tls: Value) -> String {
    let carrier = Carrier::new(pair, None).await;
    let gateway = Gateway::start().await;
    gateway.trunk_with(trunk(carrier.port(), &tls)).await;
    located(&gateway).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let handshake = tokio::spawn(async move { carrier.accept().await.is_ok() });
    assert_eq!(agent.refusal(session).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!handshake.await.unwrap());
    let explanation = explanation(&gateway).await;
    gateway.running.shutdown_within(Duration::ZERO).await;
    explanation
}

#[tokio::test]
async fn an_agent_calls_over_tls_and_hears_the_carrier_whose_name_is_right() {
    let authority = Authority::new();
    let carrier = Carrier::new(&authority.issue(&["localhost"]), None).await;
    let gateway = Gateway::start().await;
    gateway.trunk_with(trunk(carrier.port(), &json!({"ca_pem": authority.pem}))).await;
    located(&gateway).await;
    let mut audio = TrunkAudio::new().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let mut phone = carrier.phone().await;
    let (incoming, invite) = phone.invitation().await;
    assert!(invite.headers.get("Contact").unwrap().contains(";transport=tls"));
    phone.accept(incoming, &audio.description()).await;
    browser.connect(&agent.answer(session).await.body).await;
    audio.say(&invite.body, 1000.0, 60).await;
    let heard = browser.hear(50).await;
    let level = level_db(&heard[20 * FRAME..], 1000.0);
    assert!(level.abs() < 3.0, "{level} dB");
    agent.hang_up(session).await;
    phone.farewell(incoming).await;

    // The connection is there for the next call.
    let again = agent.call("100", "+4930222334", &browser.offer()).await;
    let (incoming, _) = phone.invitation().await;
    phone.reject(incoming, StatusCode::BUSY_HERE).await;
    assert_eq!(agent.refusal(again).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_gateway_with_another_name_is_refused_and_the_record_says_which() {
    let authority = Authority::new();
    let told = failed(&authority.issue(&["sbc.other.example"]), json!({"ca_pem": authority.pem})).await;
    assert!(told.contains("its certificate is not for localhost but for sbc.other.example"), "{told}");
}

#[tokio::test]
async fn a_gateway_whose_certificate_has_expired_or_is_of_somebody_elses_authority_is_refused() {
    let authority = Authority::new();
    let past = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    let told = failed(&authority.issue_until(&["localhost"], past), json!({"ca_pem": authority.pem})).await;
    assert!(told.contains("its certificate has expired"), "{told}");
    let told = failed(&Authority::new().issue(&["localhost"]), json!({"ca_pem": authority.pem})).await;
    assert!(told.contains("an authority that is not believed"), "{told}");
    let told = failed(&authority.issue(&["localhost"]), json!({})).await;
    assert!(told.contains("an authority that is not believed"), "without its own CA the public ones count: {told}");
}

#[tokio::test]
async fn who_says_not_to_verify_reaches_anybody_and_a_server_name_takes_the_hosts_place() {
    let authority = Authority::new();
    for (names, tls) in [
        (["sbc.other.example"], json!({"verify": false})),
        (["sbc.other.example"], json!({"ca_pem": authority.pem, "server_name": "sbc.other.example"})),
    ] {
        let carrier = Carrier::new(&authority.issue(&names), None).await;
        let gateway = Gateway::start().await;
        gateway.trunk_with(trunk(carrier.port(), &tls)).await;
        located(&gateway).await;
        let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let session = agent.call("100", "+4930222333", &browser.offer()).await;
        let stream = carrier.accept().await.unwrap();
        let asked = stream.get_ref().1.server_name().map(str::to_owned);
        assert_eq!(asked.as_deref(), tls["server_name"].as_str().or(Some("localhost")), "SNI");
        let to = stream.get_ref().0.peer_addr().unwrap();
        let mut phone = Phone::inside_tls(stream, carrier.listener.local_addr().unwrap(), to);
        let (incoming, _) = phone.invitation().await;
        phone.reject(incoming, StatusCode::BUSY_HERE).await;
        assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
        gateway.running.shutdown().await;
    }
}

/// A gateway that listens inside TLS, with a certificate of `authority`, for clients of the same.
async fn listening(authority: &Authority, folder: &tempfile::TempDir) -> Gateway {
    let (certificate, key) = authority.issue(&["gateway.test"]).write(folder.path(), "sip");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    Gateway::start_with(|config| {
        config.sip.tls_listen = Some("127.0.0.1:0".parse().unwrap());
        config.sip.tls_certificate = certificate;
        config.sip.tls_key = key;
        config.sip.tls_client_ca = ca;
    })
    .await
}

async fn known_by_name(gateway: &Gateway) {
    let gateways = json!([{"uri": "sip:192.0.2.1", "transport": "tls"}]);
    gateway.trunk_with(json!({"gateways": gateways, "inbound": {"tls_names": ["SBC.carrier.example"]}})).await;
}

fn sip_tls(gateway: &Gateway) -> SocketAddr {
    gateway.running.ports().sip_tls.unwrap()
}

#[tokio::test]
async fn a_trunk_is_recognised_by_the_name_its_client_certificate_proves() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let gateway = listening(&authority, &folder).await;
    known_by_name(&gateway).await;
    let mut agent = Phone::registered(&gateway, "100").await;
    let pair = authority.issue(&["sbc.carrier.example"]);
    let stream = authority.connect(sip_tls(&gateway), "gateway.test", Some(&pair)).await.unwrap();
    let own = stream.get_ref().0.local_addr().unwrap();
    let mut trunk = Phone::inside_tls(stream, own, sip_tls(&gateway));
    let audio = TrunkAudio::new().await;
    let outgoing = trunk.call_from_outside("+4930222333", NUMBER, &audio.description());
    trunk.flush().await;
    let (ringing, _) = agent.invitation().await;
    agent.reject(ringing, StatusCode::BUSY_HERE).await;
    assert_eq!(trunk.refusal(outgoing).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn without_a_certificate_or_with_another_name_a_client_is_a_stranger_and_its_connection_is_closed() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let gateway = listening(&authority, &folder).await;
    known_by_name(&gateway).await;
    for pair in [None, Some(authority.issue(&["sbc.other.example"]))] {
        let stream = authority.connect(sip_tls(&gateway), "gateway.test", pair.as_ref()).await.unwrap();
        let own = stream.get_ref().0.local_addr().unwrap();
        let mut trunk = Phone::inside_tls(stream, own, sip_tls(&gateway));
        let audio = TrunkAudio::new().await;
        trunk.call_from_outside("+4930222333", NUMBER, &audio.description());
        trunk.flush().await;
        trunk.until_closed().await;
    }
    // One that is signed by somebody else does not even get that far.
    let forged = Authority::new().issue(&["sbc.carrier.example"]);
    let agreed = authority.connect(sip_tls(&gateway), "gateway.test", Some(&forged)).await;
    let closed = match agreed {
        Ok(mut stream) => within("the objection", stream.read_u8()).await.is_err(),
        Err(_) => true,
    };
    assert!(closed);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_gateway_that_wants_to_know_who_we_are_is_shown_the_trunks_certificate_and_its_objections_are_told() {
    let authority = Authority::new();
    let wants = authority.issue(&["localhost"]);
    let (ours, foreign) = (authority.issue(&["us.example"]), Authority::new().issue(&["us.example"]));
    let settings = |pair: Option<&Pair>| match pair {
        None => json!({"ca_pem": authority.pem}),
        Some(pair) => {
            json!({"ca_pem": authority.pem, "client_certificate_pem": pair.certificate, "client_key_pem": pair.key})
        }
    };
    for pair in [None, Some(&foreign)] {
        let carrier = Carrier::new(&wants, Some(&authority)).await;
        let gateway = Gateway::start().await;
        gateway.trunk_with(trunk(carrier.port(), &settings(pair))).await;
        located(&gateway).await;
        let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
        let session = agent.call("100", "+4930222333", &browser.offer()).await;
        assert!(carrier.accept().await.is_err());
        assert_eq!(agent.refusal(session).await.status, StatusCode::SERVICE_UNAVAILABLE);
        let told = explanation(&gateway).await;
        assert!(told.contains("client certificate"), "{told}");
        gateway.running.shutdown_within(Duration::ZERO).await;
    }
    let carrier = Carrier::new(&wants, Some(&authority)).await;
    let gateway = Gateway::start().await;
    let made = gateway.trunk_with(trunk(carrier.port(), &settings(Some(&ours)))).await;
    assert!(!made.to_string().contains("PRIVATE KEY"), "the key is never shown");
    located(&gateway).await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let mut phone = carrier.phone().await;
    let (incoming, _) = phone.invitation().await;
    phone.reject(incoming, StatusCode::BUSY_HERE).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_certificate_read_again_is_shown_to_new_connections_and_an_open_one_goes_on() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let gateway = listening(&authority, &folder).await;
    known_by_name(&gateway).await;
    let mut agent = Phone::registered(&gateway, "100").await;
    let pair = authority.issue(&["sbc.carrier.example"]);
    let open = authority.connect(sip_tls(&gateway), "gateway.test", Some(&pair)).await.unwrap();
    let (own, before) = (open.get_ref().0.local_addr().unwrap(), shown(&open));
    let next = authority.issue(&["gateway.test"]);
    std::fs::write(folder.path().join("sip.pem"), &next.certificate).unwrap();
    let half = gateway.try_post("/v1/certificates/reload").await;
    assert_eq!(half.status().as_u16(), 409, "the key is still the old one");
    let unmoved = authority.connect(sip_tls(&gateway), "gateway.test", None).await.unwrap();
    assert_eq!(shown(&unmoved), before);
    next.write(folder.path(), "sip");
    let told = gateway.post("/v1/certificates/reload", json!({})).await;
    let listeners: Vec<_> = told["data"].as_array().unwrap().iter().map(|row| row["listener"].clone()).collect();
    assert_eq!(listeners, ["https", "sip_tls"]);
    let renewed = authority.connect(sip_tls(&gateway), "gateway.test", None).await.unwrap();
    assert_ne!(shown(&renewed), before);
    let mut trunk = Phone::inside_tls(open, own, sip_tls(&gateway));
    let audio = TrunkAudio::new().await;
    let outgoing = trunk.call_from_outside("+4930222333", NUMBER, &audio.description());
    trunk.flush().await;
    let (ringing, _) = agent.invitation().await;
    agent.reject(ringing, StatusCode::BUSY_HERE).await;
    assert_eq!(trunk.refusal(outgoing).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}

/// The certificate a server has shown.
fn shown(stream: &tokio_rustls::client::TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}
