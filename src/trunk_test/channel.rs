//! One way to one server of a trunk, with a socket and an endpoint of its own: nothing of the running gateway is used or disturbed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use sip::{Endpoint, EndpointConfig, Event, Flow, Framed, Host, OutgoingId, OutgoingRequest, StreamFramer, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::net::tls::{Client, Refusal, agree, objection};

/// Bytes read at once: no SIP over UDP is longer, and of a stream it is some messages.
const READ: usize = 65_535;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// It says no.
    Refused,
    /// It says nothing.
    Silent,
    /// It cannot be reached at all.
    Failed(String),
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// A final response, and the realms that it asks credentials of.
    Answer {
        status: u16,
        reason: String,
        realms: Vec<String>,
    },
    Nothing,
    /// Nobody listens there.
    Unreachable,
    /// It ended the connection.
    Closed,
    /// It objects to us inside TLS.
    Objection(Refusal),
}

/// A stream, inside TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Socket {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>, StreamFramer),
}

/// A way to a server.
pub(super) struct Channel {
    socket: Socket,
    endpoint: Endpoint,
    pub(super) flow: Flow,
    client: Option<Arc<Client>>,
}

/// Opens a TCP connection.
pub(super) async fn open(peer: SocketAddr, until: Instant) -> Result<TcpStream, NoConnection> {
    match timeout_at(until, TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(NoConnection::Refused),
        Ok(Err(error)) => Err(NoConnection::Failed(error.to_string())),
        Err(_) => Err(NoConnection::Silent),
    }
}

impl Channel {
    /// Over UDP, from the address that SIP listens on.
    pub(super) async fn datagrams(host: IpAddr, listen: IpAddr, peer: SocketAddr) -> io::Result<Self> {
        let any = if peer.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv4Addr::UNSPECIFIED) };
        let from = if listen.is_ipv6() == peer.is_ipv6() { listen } else { any };
        let socket = UdpSocket::bind((from, 0)).await?;
        // So that a closed port is told, and nobody else is listened to.
        socket.connect(peer).await?;
        let port = socket.local_addr()?.port();
        Ok(Self::new(Socket::Datagrams(socket), Transport::Udp, host, port, peer))
    }

    /// Over a TCP connection.
    pub(super) fn stream(host: IpAddr, stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        let port = stream.local_addr()?.port();
        Ok(Self::new(Socket::Stream(Box::new(stream), StreamFramer::new()), Transport::Tcp, host, port, peer))
    }

    /// Inside TLS.
    pub(super) async fn inside_tls(
        host: IpAddr,
        stream: TcpStream,
        peer: SocketAddr,
        client: Arc<Client>,
        until: Instant,
    ) -> Result<Self, Refusal> {
        let late = || {
            Err(Refusal {
                fault: crate::net::tls::Fault::Other,
                words: "it does not finish the TLS handshake".to_owned(),
            })
        };
        let port = stream.local_addr().map(|address| address.port()).unwrap_or_default();
        let stream = timeout_at(until, agree(stream, &client)).await.unwrap_or_else(|_| late())?;
        let mut channel =
            Self::new(Socket::Stream(Box::new(stream), StreamFramer::new()), Transport::Tls, host, port, peer);
        channel.client = Some(client);
        Ok(channel)
    }

    fn new(socket: Socket, transport: Transport, host: IpAddr, port: u16, peer: SocketAddr) -> Self {
        let mut config = EndpointConfig::new(Host::Ip(host));
        (config.udp_port, config.tcp_port, config.tls_port) = (Some(port), Some(port), Some(port));
        let endpoint = Endpoint::new(config, rand::random());
        Self { socket, endpoint, flow: Flow { transport, peer, connection: None, tls: None }, client: None }
    }

    /// Sends a request, answers its challenges, and waits for what becomes of it.
    pub(super) async fn ask(&mut self, request: OutgoingRequest, until: Instant) -> Heard {
        let id = self.endpoint.send_request(Instant::now().into_std(), request);
        match timeout_at(until, self.converse(id)).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(error)) => self.broken(&error),
            Err(_) => Heard::Nothing,
        }
    }

    fn broken(&self, error: &io::Error) -> Heard {
        if let Some(refusal) = self.client.as_ref().and_then(|client| objection(error, client)) {
            return Heard::Objection(refusal);
        }
        match self.socket {
            Socket::Datagrams(_) => Heard::Unreachable,
            Socket::Stream(..) => Heard::Closed,
        }
    }

    async fn converse(&mut self, id: OutgoingId) -> io::Result<Heard> {
        let mut buffer = BytesMut::with_capacity(READ);
        loop {
            while let Some(event) = self.endpoint.poll_event() {
                if let Event::Response { id: of, response, local } = event
                    && of == id
                {
                    return Ok(if local { Heard::Nothing } else { answer(&response) });
                }
            }
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.write(&transmit.bytes).await?;
            }
            let due = self.endpoint.poll_timeout().map(Instant::from_std);
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.endpoint.handle_timeout(Instant::now().into_std());
                }
                read = self.socket.read(&mut buffer) => {
                    if read? == 0 && matches!(self.socket, Socket::Stream(..)) {
                        return Ok(Heard::Closed);
                    }
                    self.take(&mut buffer).await?;
                }
            }
        }
    }

    /// Hands what was read to the endpoint.
    async fn take(&mut self, buffer: &mut BytesMut) -> io::Result<()> {
        let (read, now) = (buffer.split(), Instant::now().into_std());
        buffer.reserve(READ);
        let Socket::Stream(_, framer) = &mut self.socket else {
            self.endpoint.handle_message(now, self.flow, &read);
            return Ok(());
        };
        framer.push(&read);
        let mut pinged = false;
        loop {
            match framer.poll().map_err(io::Error::other)? {
                Some(Framed::Message(bytes)) => self.endpoint.handle_message(now, self.flow, &bytes),
                Some(Framed::Ping) => pinged = true,
                Some(Framed::Pong) => {}
                None => break,
            }
        }
        if pinged { self.write(b"\r\n").await } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Datagrams(socket) => socket.send(bytes).await.map(drop),
            Socket::Stream(stream, _) => {
                let written = async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                };
                match written.await {
                    Ok(()) => Ok(()),
                    // Who objects to us may have said so before it closed.
                    Err(error) => Err(stream.read_u8().await.err().unwrap_or(error)),
                }
            }
        }
    }
}

impl Socket {
    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Datagrams(socket) => socket.recv_buf(buffer).await,
            Self::Stream(stream, _) => stream.read_buf(buffer).await,
        }
    }
}

fn answer(response: &sip::Response) -> Heard {
    let names = ["WWW-Authenticate", "Proxy-Authenticate"];
    let challenges = names.into_iter().flat_map(|name| response.headers.auth_params(name));
    let realms = challenges.filter_map(|params| params.get("realm").map(|realm| realm.to_string()));
    Heard::Answer { status: response.status.code(), reason: response.reason.clone(), realms: realms.collect() }
}
