//! SIP over WebSocket: who may open one, and how messages travel in its frames.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use sip::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::gateway::{Gateway, SECRET};
use crate::support::phone::Phone;
use crate::support::socket::{Socket, handshake, open};
use crate::support::within;

const SIP: (&str, &str) = ("sec-websocket-protocol", "sip");

fn status<T>(result: Result<T, Error>) -> u16 {
    match result {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

/// A request that is answered without authentication: 401.
fn register() -> String {
    "REGISTER sip:phone.example.com SIP/2.0\r\nVia: SIP/2.0/WSS b.invalid;branch=z9hG4bKone\r\nMax-Forwards: 70\r\n\
     From: <sip:100@phone.example.com>;tag=a\r\nTo: <sip:100@phone.example.com>\r\nCall-ID: one\r\nCSeq: 1 REGISTER\r\n\
     Contact: <sip:100@b.invalid;transport=ws>\r\nContent-Length: 0\r\n\r\n"
        .to_owned()
}

async fn next_text(socket: &mut Socket) -> String {
    within("a message", async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return text.to_string();
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_subprotocol_must_be_sip() {
    let gateway = Gateway::start().await;
    assert_eq!(status(handshake(&gateway, true, &[]).await), 400);
    assert_eq!(status(handshake(&gateway, true, &[("sec-websocket-protocol", "mqtt")]).await), 400);
    let (_, response) = handshake(&gateway, true, &[SIP]).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    let plain = gateway.fetch("/sip").await.status();
    assert!(plain.is_client_error(), "{plain} for a GET that is no handshake");
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn foreign_origins_are_refused() {
    let gateway = Gateway::start().await;
    let own = format!("https://localhost:{}", gateway.running.ports().https.port());
    for (origin, expected) in
        [(own.as_str(), 101), ("https://crm.example.com", 101), ("https://evil.example", 403), ("null", 403)]
    {
        assert_eq!(status(handshake(&gateway, true, &[SIP, ("origin", origin)]).await), expected, "{origin}");
    }
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_double_crlf_is_answered_by_a_single_one_and_a_ping_by_a_pong() {
    let gateway = Gateway::start().await;
    let mut socket = open(&gateway, true).await;
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "\r\n");
    socket.send(Message::Ping("here".into())).await.unwrap();
    let pong = within("a pong", socket.next()).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("here".into()));
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_message_arrives_whole_as_text_as_binary_in_fragments_and_split_over_messages() {
    let gateway = Gateway::start().await;
    let message = register();
    let (head, tail) = message.split_at(97);
    let fragment = |payload: &str, opcode, last| {
        let header = FrameHeader { is_final: last, opcode: OpCode::Data(opcode), ..FrameHeader::default() };
        Message::Frame(Frame::from_payload(header, payload.to_owned().into()))
    };
    let ways: [Vec<Message>; 5] = [
        vec![Message::text(message.clone())],
        vec![Message::binary(message.clone())],
        vec![fragment(head, Data::Text, false), fragment(tail, Data::Continue, true)],
        vec![Message::text(head), Message::text(tail)],
        message.chars().map(|byte| Message::binary(byte.to_string())).collect(),
    ];
    for (number, frames) in ways.into_iter().enumerate() {
        let mut socket = open(&gateway, false).await;
        for frame in frames {
            socket.send(frame).await.unwrap();
        }
        let answer = next_text(&mut socket).await;
        assert!(answer.starts_with("SIP/2.0 401 "), "way {number}: {answer}");
    }
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_sends_no_sip_is_closed_and_the_gateway_lives() {
    let gateway = Gateway::start().await;
    let mut socket = open(&gateway, true).await;
    socket.send(Message::text("x".repeat(200_000))).await.ok();
    within("the end", async { while let Some(Ok(_)) = socket.next().await {} }).await;
    assert_eq!(gateway.fetch("/livez").await.status(), 204);
    Phone::registered(&gateway, "100").await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_registration_is_shown_refreshed_and_gone_with_its_connection() {
    let gateway = Gateway::start().await;
    let extensions = gateway.get("/v1/extensions").await;
    let extension = extensions["data"].as_array().unwrap().iter().find(|row| row["number"] == "100").unwrap();
    let path = format!("/v1/extensions/{}/registrations", extension["id"].as_str().unwrap());
    let count = |list: &serde_json::Value| list["data"].as_array().map(Vec::len);
    let mut phone = Phone::agent(&gateway, true).await;
    assert_eq!(phone.register("100", "a wrong secret", 600).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(count(&gateway.get(&path).await), Some(0));
    for _ in 0..2 {
        assert_eq!(phone.register("100", SECRET, 600).await.status, StatusCode::OK);
        gateway.eventually(&path, |list| (count(list) == Some(1)).then_some(())).await;
    }
    drop(phone);
    gateway.eventually(&path, |list| (count(list) == Some(0)).then_some(())).await;
    gateway.running.shutdown().await;
}

#[tokio::test]
async fn a_credential_works_in_the_second_it_is_made() {
    let gateway = Gateway::start().await;
    let extension = gateway.post("/v1/extensions", json!({"number": "222"})).await;
    let path = format!("/v1/extensions/{}/credentials", extension["id"].as_str().unwrap());
    let credential = gateway.post(&path, json!({})).await;
    let mut phone = Phone::agent(&gateway, true).await;
    let response = phone.register("222", credential["password"].as_str().unwrap(), 600).await;
    assert_eq!(response.status, StatusCode::OK);
    gateway.running.shutdown().await;
}
