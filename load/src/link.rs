//! How SIP messages travel between an agent or the carrier and the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sip::Transport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// How long a connection may take to open.
const DEADLINE: Duration = Duration::from_secs(20);

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
    },
    /// UDP, `udp://host:port`.
    Udp(SocketAddr),
}

impl Server {
    /// Reads an address and finds its host. Certificates are not looked at: what is measured is the gateway, mostly with a certificate of
    /// its own making.
    pub(crate) async fn find(url: &str) -> anyhow::Result<Self> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| anyhow::anyhow!("expected wss://, ws:// or udp://, found {url}"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        let (name, port) = match (authority.rsplit_once(':'), scheme) {
            (Some((name, port)), _) => (name, port.parse()?),
            (None, "wss") => (authority, 443),
            (None, "ws") => (authority, 80),
            (None, _) => (authority, 5060),
        };
        let address =
            lookup_host((name, port)).await?.next().ok_or_else(|| anyhow::anyhow!("{name} has no address"))?;
        let host = name.to_owned();
        match scheme {
            "wss" => Ok(Self::WebSocket { url: url.to_owned(), address, host, tls: Some(Arc::new(tls()?)) }),
            "ws" => Ok(Self::WebSocket { url: url.to_owned(), address, host, tls: None }),
            "udp" => Ok(Self::Udp(address)),
            other => anyhow::bail!("expected wss://, ws:// or udp://, found {other}://"),
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
}

impl Link {
    /// Opens it.
    pub(crate) async fn open(server: &Server) -> anyhow::Result<Self> {
        tokio::time::timeout(DEADLINE, Self::open_now(server)).await?
    }

    async fn open_now(server: &Server) -> anyhow::Result<Self> {
        match server {
            Server::Udp(address) => {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(address).await?;
                Ok(Self::Udp(socket))
            }
            Server::WebSocket { url, address, host, tls } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let stream: Box<dyn Stream> = match tls {
                    Some(config) => {
                        let name = ServerName::try_from(host.clone())?;
                        Box::new(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?)
                    }
                    None => Box::new(stream),
                };
                let mut request = url.as_str().into_client_request()?;
                request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("sip"));
                let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
                Ok(Self::WebSocket(Box::new(socket)))
            }
        }
    }

    /// This side's address, where it is one that the gateway can send to.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::WebSocket(_) => None,
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
                let mut buffer = vec![0; 65_535];
                // An ICMP error is of one datagram, not of the way.
                if let Ok(length) = socket.recv(&mut buffer).await {
                    buffer.truncate(length);
                    return Some(buffer);
                }
                tokio::task::yield_now().await;
            },
        }
    }

    /// Writes a message; whether the connection took it.
    pub(crate) async fn send(&mut self, message: &[u8]) -> bool {
        match self {
            Self::WebSocket(socket) => match String::from_utf8(message.to_vec()) {
                Ok(text) => socket.send(Message::text(text)).await.is_ok(),
                Err(error) => socket.send(Message::binary(error.into_bytes())).await.is_ok(),
            },
            // What is lost is sent again.
            Self::Udp(socket) => {
                drop(socket.send(message).await);
                true
            }
        }
    }
}

fn tls() -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth())
}

/// Believes any certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
