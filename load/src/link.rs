//! How SIP messages travel between an agent or the carrier and the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use sip::Transport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::tls;

/// How long a connection may take to open.
const DEADLINE: Duration = Duration::from_secs(20);

/// What is read at once of a WebSocket: it is cleared before each read.
const READ_BUFFER: usize = 8192;
/// The longest message over UDP.
const LONGEST: usize = 16_384;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where the gateway's SIP is.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    /// A WebSocket, `ws://` or `wss://`.
    WebSocket {
        /// As given.
        url: String,
        /// Its host's address.
        address: SocketAddr,
        /// Its host's name.
        host: String,
        /// TLS, when it is `wss://`.
        tls: Option<Arc<ClientConfig>>,
        /// Whether TLS sessions are resumed by who comes back.
        resumes: bool,
    },
    /// UDP, `udp://host:port`.
    Udp(SocketAddr),
}

impl Server {
    /// Reads an address and finds its host.
    pub(crate) async fn find(url: &str, resumes: bool) -> anyhow::Result<Self> {
        let expected = || format!("--server: expected wss://, ws:// or udp:// with HOST[:PORT], found {url}");
        let (scheme, rest) = url.split_once("://").with_context(expected)?;
        let usual = match scheme {
            "wss" => 443,
            "ws" => 80,
            "udp" => 5060,
            _ => anyhow::bail!(expected()),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok().with_context(expected)?),
            Some(_) | None => (authority, usual),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        anyhow::ensure!(!name.is_empty(), expected());
        let mut addresses =
            lookup_host((name, port)).await.with_context(|| format!("--server: {name} is not found"))?;
        let address = addresses.next().with_context(|| format!("--server: {name} has no address"))?;
        let tls = if scheme == "wss" { Some(Arc::new(tls::config()?)) } else { None };
        Ok(match scheme {
            "udp" => Self::Udp(address),
            _ => Self::WebSocket { url: url.to_owned(), address, host: name.to_owned(), tls, resumes },
        })
    }

    /// The same for another agent: TLS sessions are each one's own.
    pub(crate) fn for_one_more(&self) -> Self {
        match self {
            Self::WebSocket { url, address, host, tls, resumes } => Self::WebSocket {
                url: url.clone(),
                address: *address,
                host: host.clone(),
                tls: tls.as_ref().map(|config| Arc::new(tls::of_one(config, *resumes))),
                resumes: *resumes,
            },
            Self::Udp(address) => Self::Udp(*address),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        match self {
            Self::WebSocket { tls: Some(_), .. } => Transport::Wss,
            Self::WebSocket { tls: None, .. } => Transport::Ws,
            Self::Udp(_) => Transport::Udp,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::WebSocket { address, .. } | Self::Udp(address) => *address,
        }
    }
}

/// An open way to the gateway.
pub(crate) enum Link {
    /// A WebSocket with the subprotocol `sip` (RFC 7118).
    WebSocket(Box<WebSocketStream<Box<dyn Stream>>>),
    /// A UDP socket.
    Udp(UdpSocket),
    /// None any more.
    Closed,
}

/// What opening a way took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    /// TCP, TLS and the WebSocket's handshake.
    pub(crate) took: Duration,
    /// Whether a TLS session was resumed.
    pub(crate) resumed: bool,
}

impl Link {
    /// Opens it.
    pub(crate) async fn open(server: &Server) -> anyhow::Result<(Self, Opened)> {
        let begun = Instant::now();
        let opened = tokio::time::timeout(DEADLINE, Self::open_now(server)).await;
        let (link, resumed) = opened.map_err(|_| anyhow::anyhow!("not within {} s", DEADLINE.as_secs()))??;
        Ok((link, Opened { took: begun.elapsed(), resumed }))
    }

    async fn open_now(server: &Server) -> anyhow::Result<(Self, bool)> {
        match server {
            Server::Udp(address) => {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(address).await?;
                Ok((Self::Udp(socket), false))
            }
            Server::WebSocket { url, address, host, tls, .. } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let (stream, resumed): (Box<dyn Stream>, bool) = match tls {
                    Some(config) => {
                        let name = ServerName::try_from(host.clone())?;
                        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
                        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                        (Box::new(stream), resumed)
                    }
                    None => (Box::new(stream), false),
                };
                let mut request = url.as_str().into_client_request()?;
                request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("sip"));
                let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
                let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
                Ok((Self::WebSocket(Box::new(socket)), resumed))
            }
        }
    }

    /// This side's address, where it is one that the gateway can send to.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::WebSocket(_) | Self::Closed => None,
            Self::Udp(socket) => socket.local_addr().ok(),
        }
    }

    /// The next message; `None` when the connection is closed. May be given up at any time.
    pub(crate) async fn receive(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await? {
                    Ok(Message::Text(text)) => return Some(text.as_bytes().to_vec()),
                    Ok(Message::Binary(bytes)) => return Some(bytes.to_vec()),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                }
            },
            Self::Udp(socket) => loop {
                let mut buffer = vec![0; LONGEST];
                // An ICMP error is of one datagram, not of the way.
                if let Ok(length) = socket.recv(&mut buffer).await {
                    buffer.truncate(length);
                    return Some(buffer);
                }
                tokio::task::yield_now().await;
            },
            Self::Closed => None,
        }
    }

    /// Writes a message; a connection that does not take it is found closed by reading.
    pub(crate) async fn send(&mut self, message: &[u8]) {
        match self {
            Self::WebSocket(socket) => match String::from_utf8(message.to_vec()) {
                Ok(text) => drop(socket.send(Message::text(text)).await),
                Err(error) => drop(socket.send(Message::binary(error.into_bytes())).await),
            },
            // What is lost is sent again.
            Self::Udp(socket) => drop(socket.send(message).await),
            Self::Closed => {}
        }
    }
}
