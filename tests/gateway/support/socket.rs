//! WebSockets to the gateway, plain and over TLS.

use std::sync::Arc;

use patchcord::serve::Ports;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, handshake::client::Request};

use super::gateway::Gateway;
use super::within;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// A handshake for `/sip` with these headers.
pub(crate) fn request(ports: &Ports, secure: bool, headers: &[(&'static str, &str)]) -> Request {
    let scheme = if secure { "wss" } else { "ws" };
    let port = if secure { ports.https.port() } else { ports.http.unwrap().port() };
    let mut request = format!("{scheme}://localhost:{port}/sip").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// Connects, trusting the gateway's own certificate and nothing else.
pub(crate) async fn stream(gateway: &Gateway, secure: bool) -> Box<dyn Stream> {
    let ports = gateway.running.ports();
    if !secure {
        return Box::new(TcpStream::connect(ports.http.unwrap()).await.unwrap());
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(gateway.folder.path().join("certificate.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let tcp = TcpStream::connect(ports.https).await.unwrap();
    Box::new(connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap())
}

/// The handshake with these headers.
pub(crate) async fn handshake(
    gateway: &Gateway,
    secure: bool,
    headers: &[(&'static str, &str)],
) -> Result<(Socket, Response<Option<Vec<u8>>>), Error> {
    let request = request(gateway.running.ports(), secure, headers);
    let stream = stream(gateway, secure).await;
    within("the handshake", tokio_tungstenite::client_async(request, stream)).await
}

/// An open WebSocket for SIP.
pub(crate) async fn open(gateway: &Gateway, secure: bool) -> Socket {
    handshake(gateway, secure, &[("sec-websocket-protocol", "sip")]).await.unwrap().0
}
