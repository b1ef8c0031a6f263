//! A SIP peer on a real socket: an agent's WebSocket, or a trunk's gateway on UDP or TCP.

use std::net::SocketAddr;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use sip::{
    ConnectionId, Flow, Framed, OutgoingId, Request, Response, SessionEvent, SessionId, StatusCode, StreamFramer,
    Transport,
};
use testkit::{Heard, Peer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;

use super::DEADLINE;
use super::gateway::{Gateway, SECRET};
use super::socket::{self, Socket};

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Link {
    WebSocket(Box<Socket>),
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, StreamFramer),
}

/// A peer and the socket it speaks through.
pub(crate) struct Phone {
    pub(crate) peer: Peer,
    link: Link,
    taken: usize,
    /// Tells this browser's Contact from others'.
    token: u64,
}

impl Phone {
    /// An agent's browser.
    pub(crate) async fn agent(gateway: &Gateway, secure: bool) -> Self {
        let ports = gateway.running.ports();
        let transport = if secure { Transport::Wss } else { Transport::Ws };
        let to = if secure { ports.https } else { ports.http.unwrap() };
        let link = Link::WebSocket(Box::new(socket::open(gateway, secure).await));
        let own = "127.0.0.1:9".parse().unwrap();
        let connection = Some(ConnectionId(1));
        Self::new(
            Flow { transport, peer: to, connection, tls: None },
            Flow { transport, peer: own, connection, tls: None },
            link,
        )
    }

    /// An agent's browser that has registered.
    pub(crate) async fn registered(gateway: &Gateway, number: &str) -> Self {
        let mut phone = Self::agent(gateway, true).await;
        assert_eq!(phone.register(number, SECRET, 600).await.status, StatusCode::OK);
        phone
    }

    /// A trunk's gateway at this address of loopback.
    pub(crate) async fn trunk(gateway: &Gateway, address: &str) -> Self {
        let udp = UdpSocket::bind((address, 0)).await.unwrap();
        let (own, to) = (udp.local_addr().unwrap(), gateway.running.ports().sip_udp);
        let flow = |peer| Flow { transport: Transport::Udp, peer, connection: None, tls: None };
        Self::new(flow(to), flow(own), Link::Udp(udp))
    }

    /// A trunk's gateway at the end of a TCP connection.
    pub(crate) fn stream(gateway: &Gateway, stream: TcpStream) -> Self {
        let (own, to) = (stream.local_addr().unwrap(), gateway.running.ports().sip_tcp);
        let flow = |peer| Flow { transport: Transport::Tcp, peer, connection: Some(ConnectionId(1)), tls: None };
        Self::new(flow(to), flow(own), Link::Stream(Box::new(stream), StreamFramer::new()))
    }

    /// A trunk's gateway at the end of a TLS connection; `own` and `to` are its addresses.
    pub(crate) fn inside_tls(stream: impl Stream + 'static, own: SocketAddr, to: SocketAddr) -> Self {
        let flow = |peer| Flow { transport: Transport::Tls, peer, connection: Some(ConnectionId(1)), tls: None };
        Self::new(flow(to), flow(own), Link::Stream(Box::new(stream), StreamFramer::new()))
    }

    fn new(to: Flow, from: Flow, link: Link) -> Self {
        Self { peer: Peer::new(to, from, rand::random()), link, taken: 0, token: rand::random() }
    }

    /// Where this peer is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.peer.from_switchboard.peer
    }

    /// Writes what waits.
    pub(crate) async fn flush(&mut self) {
        while let Some(transmit) = self.peer.endpoint.poll_transmit() {
            match &mut self.link {
                Link::WebSocket(socket) => {
                    let text = String::from_utf8(transmit.bytes.to_vec()).unwrap();
                    socket.send(Message::text(text)).await.unwrap();
                }
                Link::Udp(socket) => drop(socket.send_to(&transmit.bytes, transmit.flow.peer).await.unwrap()),
                Link::Stream(stream, _) => {
                    stream.write_all(&transmit.bytes).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        }
    }

    /// Waits for a message or a timer; `false` when the connection is closed.
    async fn turn(&mut self) -> bool {
        self.flush().await;
        let due = self.peer.endpoint.poll_timeout();
        let timer = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        let received = tokio::select! {
            () = timer => {
                self.peer.endpoint.handle_timeout(Instant::now());
                Some(Vec::new())
            }
            received = self.link.receive() => received,
        };
        let Some(messages) = received else { return false };
        for bytes in messages {
            self.peer.endpoint.handle_message(Instant::now(), self.peer.to_switchboard, &bytes);
        }
        self.peer.listen(Instant::now());
        self.flush().await;
        true
    }

    /// Waits until `look` finds something among what was told since the last find.
    pub(crate) async fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Heard) -> Option<T>) -> T {
        let search = async {
            loop {
                while let Some(heard) = self.peer.heard.get(self.taken) {
                    self.taken += 1;
                    if let Some(found) = look(heard) {
                        return found;
                    }
                }
                assert!(self.turn().await, "{what}: the connection was closed");
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found.unwrap_or_else(|_| panic!("{what}: not heard; heard were {:#?}", self.peer.heard))
    }

    /// Waits for the gateway to close the connection.
    pub(crate) async fn until_closed(&mut self) {
        super::within("the end of the connection", async { while self.turn().await {} }).await;
    }

    async fn response(&mut self, id: OutgoingId) -> Response {
        self.until("a response", |heard| match heard {
            Heard::Response(of, response) if *of == id => Some(response.clone()),
            _ => None,
        })
        .await
    }

    /// Sends REGISTER, answers the challenge; the last response.
    pub(crate) async fn register(&mut self, number: &str, secret: &str, expires: u32) -> Response {
        let contact = format!("<sip:{number}@b{}.invalid;transport=ws>", self.token);
        let id = self.peer.register(Instant::now(), number, &contact, expires, None);
        let challenge = self.response(id).await;
        assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
        let id = self.peer.register(Instant::now(), number, &contact, expires, Some((&challenge, secret)));
        self.response(id).await
    }

    /// Sends INVITE as `number`, answers the challenge; the session that follows.
    pub(crate) async fn call(&mut self, number: &str, to: &str, sdp: &str) -> SessionId {
        let from = format!("sip:{number}@{}", testkit::REALM);
        let to = format!("sip:{to}@{}", testkit::REALM);
        let first = self.peer.invite(Instant::now(), &from, &to, Some(sdp), None);
        let challenge = self.refusal(first).await;
        assert_eq!(challenge.status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let second = self.peer.invite(Instant::now(), &from, &to, Some(sdp), Some((&challenge, SECRET)));
        self.flush().await;
        second
    }

    /// Sends INVITE without any credentials.
    pub(crate) fn call_from_outside(&mut self, from: &str, to: &str, sdp: &str) -> SessionId {
        let host = self.peer.to_switchboard.peer;
        let (from, to) = (format!("sip:{from}@{}", self.address()), format!("sip:{to}@{host}"));
        self.peer.invite(Instant::now(), &from, &to, Some(sdp), None)
    }

    /// The 2xx of a session of ours.
    pub(crate) async fn answer(&mut self, session: SessionId) -> Response {
        self.session(session, "an answer", |event| match event {
            SessionEvent::Answered { response } => Some(response.clone()),
            SessionEvent::Refused { response, .. } => panic!("refused: {response:?}"),
            _ => None,
        })
        .await
    }

    /// A provisional response with this status.
    pub(crate) async fn progress(&mut self, session: SessionId, status: StatusCode) -> Response {
        self.session(session, "a provisional response", |event| match event {
            SessionEvent::Progress { response } if response.status == status => Some(response.clone()),
            SessionEvent::Refused { response, .. } => panic!("refused: {response:?}"),
            _ => None,
        })
        .await
    }

    /// The final response that refused a session of ours.
    pub(crate) async fn refusal(&mut self, session: SessionId) -> Response {
        self.session(session, "a refusal", |event| match event {
            SessionEvent::Refused { response, .. } => Some(response.clone()),
            _ => None,
        })
        .await
    }

    /// An INVITE to us.
    pub(crate) async fn invitation(&mut self) -> (SessionId, Request) {
        self.until("an INVITE", |heard| match heard {
            Heard::Invite(session, request) => Some((*session, request.clone())),
            _ => None,
        })
        .await
    }

    pub(crate) async fn ring(&mut self, session: SessionId) {
        let draft = self.peer.draft(StatusCode::RINGING, None);
        self.peer.endpoint.progress(Instant::now(), session, draft);
        self.flush().await;
    }

    pub(crate) async fn accept(&mut self, session: SessionId, sdp: &str) {
        let draft = self.peer.draft(StatusCode::OK, Some(sdp));
        self.peer.endpoint.accept(Instant::now(), session, draft);
        self.session(session, "an ACK", |event| matches!(event, SessionEvent::Confirmed { .. }).then_some(())).await;
    }

    pub(crate) async fn reject(&mut self, session: SessionId, status: StatusCode) {
        let draft = self.peer.draft(status, None);
        self.peer.endpoint.reject(Instant::now(), session, draft);
        self.flush().await;
    }

    /// Sends BYE and waits for its end.
    pub(crate) async fn hang_up(&mut self, session: SessionId) {
        self.peer.endpoint.bye(Instant::now(), session, None);
        self.session(session, "the end", |event| matches!(event, SessionEvent::Ended).then_some(())).await;
    }

    /// A BYE from the other side.
    pub(crate) async fn farewell(&mut self, session: SessionId) {
        self.session(session, "a BYE", |event| matches!(event, SessionEvent::Bye { .. }).then_some(())).await;
    }

    /// Waits for an event of a session.
    pub(crate) async fn session<T>(
        &mut self,
        session: SessionId,
        what: &str,
        mut look: impl FnMut(&SessionEvent) -> Option<T>,
    ) -> T {
        self.until(what, |heard| match heard {
            Heard::Session(of, event) if *of == session => look(event),
            _ => None,
        })
        .await
    }
}

impl Link {
    /// What has arrived; `None` when the connection is closed.
    async fn receive(&mut self) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::WebSocket(socket) => match socket.next().await? {
                Ok(Message::Text(text)) => Some(vec![text.as_bytes().to_vec()]),
                Ok(Message::Binary(bytes)) => Some(vec![bytes.to_vec()]),
                Ok(Message::Close(_)) | Err(_) => None,
                Ok(_) => Some(Vec::new()),
            },
            Self::Udp(socket) => {
                let mut buffer = vec![0; 65_535];
                let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
                buffer.truncate(length);
                Some(vec![buffer])
            }
            Self::Stream(stream, framer) => {
                let mut buffer = vec![0; 65_535];
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                if length == 0 {
                    return None;
                }
                framer.push(&buffer[..length]);
                let mut messages = Vec::new();
                while let Some(framed) = framer.poll().unwrap() {
                    if let Framed::Message(bytes) = framed {
                        messages.push(bytes.to_vec());
                    }
                }
                Some(messages)
            }
        }
    }
}
