//! SIP over WebSocket (RFC 7118) at `/sip`: the handshake's checks, frames to messages and back, keep-alives both ways. Whether a
//! connection proves itself by a REGISTER or an authenticated call is watched by the signalling task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sip::{Flow, Framed, MAX_MESSAGE, StreamFramer, Transport};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::Permit;
use super::{Inbound, Inbox, Outbox, Writer, address};

/// The subprotocol every client must offer (RFC 7118 §4.1).
const SUBPROTOCOL: &str = "sip";

/// Bytes read at once, kept for as long as the connection: most of what an agent's phone says fits, and a longer message grows it while
/// it is read.
const READ: usize = 4 * 1024;

/// Between our pings; NATs forget TCP connections after a minute at the earliest.
const PING: Duration = Duration::from_secs(25);

/// A peer that was not heard for this long, two pings included, is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// For one write; a peer that does not read for this long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// What the endpoint works with, one per listener.
#[derive(Debug, Clone)]
pub(crate) struct SipSocket {
    transport: Transport,
    inbox: Inbox,
    origins: Arc<[String]>,
    stop: CancellationToken,
}

impl SipSocket {
    /// For a listener of [`Transport::Ws`] or [`Transport::Wss`]. `origins` may open it beside the listener's own pages.
    pub(crate) fn new(transport: Transport, inbox: Inbox, origins: &[String], stop: CancellationToken) -> Self {
        let origins = origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        Self { transport, inbox, origins, stop }
    }
}

/// `GET /sip`
pub(crate) async fn upgrade(
    State(socket): State<SipSocket>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(permit): Extension<Arc<Permit>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let peer = address::canonical(peer);
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if !is_allowed(&headers, &socket.origins) {
        crate::metrics::connection_refused(socket.transport);
        return (StatusCode::FORBIDDEN, "this origin may not open the WebSocket\n").into_response();
    }
    let upgrade = upgrade.read_buffer_size(READ).max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "the WebSocket subprotocol must be \"sip\" (RFC 7118)\n").into_response();
    }
    upgrade.on_upgrade(move |stream| async move {
        let connection = socket.inbox.next_connection();
        let flow = Flow { transport: socket.transport, peer, connection: Some(connection), tls: None };
        let (writer, outbox) = Writer::of(permit);
        if socket.inbox.deliver(Inbound::Opened { flow, writer }).await.is_ok() {
            carry(stream, flow, &socket.inbox, outbox, &socket.stop).await;
            let told = socket.inbox.deliver(Inbound::Closed { connection, refused: None }).await;
            tracing::trace!(connection = connection.0, told = told.is_ok(), "WebSocket closed");
        }
    })
}

/// Whether a page of this origin may speak here. Clients that are no browsers send no Origin, and are no danger to a browser's user.
fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let origin = origin.to_ascii_lowercase();
    allowed.contains(&origin) || is_own(&origin, headers)
}

/// Whether the origin is the host the request was sent to. The scheme is left out: behind a TLS proxy it differs.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let (Ok(origin), Some(host)) = (origin.parse::<Uri>(), host) else { return false };
    let default_port = match origin.scheme_str() {
        Some("https") => ":443",
        Some("http") => ":80",
        Some(_) | None => return false,
    };
    let Some(authority) = origin.authority() else { return false };
    let without_port = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_ascii_lowercase();
    without_port(authority.as_str()) == without_port(host)
}

async fn carry(mut stream: WebSocket, flow: Flow, inbox: &Inbox, mut outbox: Outbox, stop: &CancellationToken) {
    let mut framer = StreamFramer::websocket();
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => break,
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE || !write(&mut stream, Message::Ping(Bytes::new())).await {
                    return;
                }
                continue;
            }
            message = outbox.next() => {
                let Some(message) = message else { break };
                if !write(&mut stream, frame(message)).await {
                    return;
                }
                continue;
            }
            received = stream.recv() => received,
        };
        let Some(Ok(message)) = received else { return };
        heard = Instant::now();
        let bytes: Bytes = match message {
            Message::Text(text) => text.into(),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => break,
        };
        framer.push(&bytes);
        if !deliver_all(&mut framer, flow, inbox, &mut stream).await {
            break;
        }
    }
    // What was left to be said is said, and a peer that is still there learns that this is the end; one that is not cannot hold us up.
    while let Some(message) = outbox.waiting() {
        if !write(&mut stream, frame(message)).await {
            return;
        }
    }
    write(&mut stream, Message::Close(None)).await;
}

/// Hands on every whole message and answers pings; `false` when the connection cannot go on.
async fn deliver_all(framer: &mut StreamFramer, flow: Flow, inbox: &Inbox, stream: &mut WebSocket) -> bool {
    loop {
        match framer.poll() {
            Ok(None) => return true,
            Ok(Some(Framed::Message(bytes))) => {
                if inbox.deliver(Inbound::Message { flow, bytes }).await.is_err() {
                    return false;
                }
            }
            Ok(Some(Framed::Ping)) => {
                if !write(stream, Message::Text(Utf8Bytes::from_static("\r\n"))).await {
                    return false;
                }
            }
            Ok(Some(Framed::Pong)) => {}
            Err(error) => {
                crate::metrics::framing_failed(flow.transport);
                tracing::debug!(%error, transport = %flow.transport, "a connection broke the framing rules");
                return false;
            }
        }
    }
}

/// Text where it is text: some clients do not read binary frames.
fn frame(message: Bytes) -> Message {
    Utf8Bytes::try_from(message.clone()).map_or(Message::Binary(message), Message::Text)
}

async fn write(stream: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(WRITE_DEADLINE, stream.send(message)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allowed(origin: Option<&'static str>, host: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        is_allowed(&headers, &["https://crm.example.com".to_owned()])
    }

    #[test]
    fn only_own_and_listed_origins_may_open_the_websocket() {
        for (origin, host) in [
            (None, "phone.example.com"),
            (Some("https://phone.example.com"), "phone.example.com"),
            (Some("https://phone.example.com"), "phone.example.com:443"),
            (Some("https://phone.example.com:8443"), "phone.example.com:8443"),
            (Some("https://PHONE.example.com"), "phone.Example.com"),
            (Some("http://[::1]:8080"), "[::1]:8080"),
            (Some("https://crm.example.com"), "phone.example.com"),
        ] {
            assert!(allowed(origin, host), "{origin:?} at {host}");
        }
        for (origin, host) in [
            (Some("https://evil.example"), "phone.example.com"),
            (Some("https://phone.example.com.evil.example"), "phone.example.com"),
            (Some("https://phone.example.com:8444"), "phone.example.com:8443"),
            (Some("http://crm.example.com"), "phone.example.com"),
            (Some("null"), "phone.example.com"),
            (Some("file://"), "phone.example.com"),
        ] {
            assert!(!allowed(origin, host), "{origin:?} at {host}");
        }
    }
}
