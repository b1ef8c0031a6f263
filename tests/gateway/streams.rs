//! SIP from trunks over UDP and TCP: who is answered, and how messages are cut out of a stream.

use std::time::Duration;

use sip::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::audio::TrunkAudio;
use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, NUMBER};
use crate::support::phone::Phone;
use crate::support::within;

fn options(transport: &str, branch: &str) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;rport;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@127.0.0.1>;tag=a\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

async fn answer(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let length = within("a datagram", socket.recv(&mut buffer)).await.unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_stranger_over_udp_hears_nothing_and_a_trunk_is_answered() {
    let gateway = Gateway::start().await;
    let port = gateway.running.ports().sip_udp.port();
    let trunk = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    gateway.trunk(trunk.local_addr().unwrap(), "udp").await;
    for socket in [&stranger, &trunk] {
        socket.connect(("127.0.0.1", port)).await.unwrap();
    }
    // One task reads both in order: once the trunk has its answer, the stranger's message was looked at.
    stranger.send(options("UDP", "stranger").as_bytes()).await.unwrap();
    trunk.send(options("UDP", "trunk").as_bytes()).await.unwrap();
    assert!(answer(&trunk).await.starts_with("SIP/2.0 200 "));
    let mut buffer = [0; 16];
    assert_eq!(stranger.try_recv(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn rubbish_over_udp_harms_nobody() {
    let gateway = Gateway::start().await;
    let port = gateway.running.ports().sip_udp.port();
    let trunk = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    gateway.trunk(trunk.local_addr().unwrap(), "udp").await;
    trunk.connect(("127.0.0.1", port)).await.unwrap();
    for rubbish in [&b"\r\n\r\n"[..], b"\0", b"INVITE", &[0xff; 1200], b"INVITE sip:x SIP/2.0\r\n\r\n"] {
        trunk.send(rubbish).await.unwrap();
    }
    trunk.send(options("UDP", "after").as_bytes()).await.unwrap();
    within("the answer", async { while !answer(&trunk).await.contains("Call-ID: after") {} }).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn messages_are_cut_out_of_a_tcp_stream_and_pings_are_answered() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let mut stream = TcpStream::connect(gateway.running.ports().sip_tcp).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let both = format!("\r\n\r\n{}{}", options("TCP", "one"), options("TCP", "two"));
    for part in both.as_bytes().chunks(7) {
        stream.write_all(part).await.unwrap();
    }
    let mut received = String::new();
    within("both answers", async {
        let mut buffer = [0; 4096];
        while received.matches("SIP/2.0 200 ").count() < 2 {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "closed after {received}");
            received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    })
    .await;
    assert!(received.starts_with("\r\n"), "{received}");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_tcp_stream_without_content_length_and_a_strangers_are_closed() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let mut trunk = TcpStream::connect(gateway.running.ports().sip_tcp).await.unwrap();
    trunk.write_all(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n").await.unwrap();
    assert_eq!(within("the end", trunk.read(&mut [0; 64])).await.unwrap_or(0), 0);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stranger = socket.connect(gateway.running.ports().sip_tcp).await.unwrap();
    stranger.write_all(options("TCP", "stranger").as_bytes()).await.unwrap();
    assert_eq!(within("the end", stranger.read(&mut [0; 64])).await.unwrap_or(0), 0);
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_call_goes_out_over_a_tcp_connection_opened_for_it() {
    let gateway = Gateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    gateway.trunk(listener.local_addr().unwrap(), "tcp").await;
    let carrier = TrunkAudio::new().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (stream, _) = within("a connection", listener.accept()).await.unwrap();
    let mut trunk = Phone::stream(&gateway, stream);
    let (incoming, invite) = trunk.invitation().await;
    assert!(invite.headers.get("Via").unwrap().starts_with("SIP/2.0/TCP "));
    trunk.accept(incoming, &carrier.description()).await;
    browser.connect(&agent.answer(session).await.body).await;
    agent.hang_up(session).await;
    trunk.farewell(incoming).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_trunk_whose_connection_has_closed_is_told_of_the_hangup_over_a_new_one() {
    let gateway = Gateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    gateway.trunk(listener.local_addr().unwrap(), "tcp").await;
    let carrier = TrunkAudio::new().await;
    let (mut agent, mut browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    let (stream, _) = within("a connection", listener.accept()).await.unwrap();
    let mut trunk = Phone::stream(&gateway, stream);
    let (incoming, _) = trunk.invitation().await;
    trunk.accept(incoming, &carrier.description()).await;
    browser.connect(&agent.answer(session).await.body).await;
    drop(trunk);
    agent.hang_up(session).await;
    let mut received = String::new();
    within("the BYE", async {
        let (mut again, _) = listener.accept().await.unwrap();
        while !received.contains("BYE ") {
            received.push(char::from(again.read_u8().await.unwrap()));
        }
    })
    .await;
    gateway.running.shutdown_within(Duration::ZERO).await;
}

#[tokio::test]
async fn a_refused_tcp_connection_fails_the_call_with_503() {
    let gateway = Gateway::start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    gateway.trunk(nobody, "tcp").await;
    let (mut agent, browser) = (Phone::registered(&gateway, "100").await, Browser::new().await);
    let session = agent.call("100", "+4930222333", &browser.offer()).await;
    assert_eq!(agent.refusal(session).await.status, StatusCode::SERVICE_UNAVAILABLE);
    gateway.running.shutdown_within(Duration::ZERO).await;
}

#[tokio::test]
async fn a_call_comes_in_over_tcp() {
    let gateway = Gateway::start().await;
    gateway.trunk("127.0.0.1:9".parse().unwrap(), "udp").await;
    let carrier = TrunkAudio::new().await;
    let mut agent = Phone::registered(&gateway, "100").await;
    let stream = TcpStream::connect(gateway.running.ports().sip_tcp).await.unwrap();
    let mut trunk = Phone::stream(&gateway, stream);
    let outgoing = trunk.call_from_outside("+4930222333", NUMBER, &carrier.description());
    trunk.flush().await;
    let (ringing, _) = agent.invitation().await;
    agent.reject(ringing, StatusCode::BUSY_HERE).await;
    assert_eq!(trunk.refusal(outgoing).await.status, StatusCode::BUSY_HERE);
    gateway.running.shutdown().await;
}
