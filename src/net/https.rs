//! The HTTPS listener and its plain sibling: page, REST API and the browsers' WebSocket on one port. TLS agrees on HTTP/1.1 only,
//! because a WebSocket needs it; certificates are read again without closing a connection.

use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{AddExtension, Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use sip::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tower::{Layer, ServiceBuilder};
use tower_http::compression::CompressionLayer;

use super::limits::{ConnectionLimits, Permit};
use super::tls::{Identity, Tickets, TlsError};
use super::websocket::{self, SipSocket};
use crate::page;

/// HTTP connections in all, WebSockets included: the agents of a very large site, each with a connection that nobody has missed yet.
const CONNECTIONS: usize = 65_536;

/// HTTP connections of peers that have not proved who they are: none has yet whose WebSocket has not seen a REGISTER or call succeed.
const STRANGERS: usize = 16_384;

/// Those from one address, over TLS: a whole office may stand behind one NAT, and come back at once.
const STRANGERS_PER_ADDRESS: usize = 2_048;

/// A request's headers must have arrived within this time, which also ends idle kept-alive connections.
const HEADER_DEADLINE: Duration = Duration::from_secs(15);

/// A connection on which nothing arrives for this long is closed: longer than a WebSocket's pings are apart, and than any request
/// may take. It ends what no other deadline sees, such as a handshake or a preface that stops half way.
const SILENCE: Duration = Duration::from_secs(90);

/// A request must be answered within this time, the arrival of its body included. A WebSocket is answered by its handshake.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// What the page needs and no more: own scripts and styles, the WebSocket of its own origin, sounds and worklets of its own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
media-src 'self' blob: data:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
frame-ancestors 'none'";

/// Headers on every response.
const SECURITY: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// How a listener is told to stop and counts its connections.
pub(crate) type Handle = axum_server::Handle<SocketAddr>;

/// Page, API and WebSocket for one listener.
pub(crate) fn router(api: Router, socket: SipSocket) -> Router {
    let compressed = ServiceBuilder::new().layer(CompressionLayer::new()).service(api.fallback(page::serve));
    let everything =
        Router::new().route("/sip", get(websocket::upgrade)).with_state(socket).fallback_service(compressed);
    let outside = ServiceBuilder::new().layer(from_fn(secure)).layer(from_fn(watch)).service(everything);
    // Around the whole, for a router lays a copy of each layer around every route.
    Router::new().fallback_service(outside)
}

/// Adds the headers that every response has.
async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Counts requests, and gives up those that take too long: a body that trickles in holds nothing for ever.
async fn watch(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await;
    let response = response.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response());
    crate::metrics::http_request(&method, response.status());
    response
}

/// Reads certificate and key: what the listener works with, and until when browsers believe it.
///
/// # Errors
/// When a file is missing or wrong, or the two do not fit.
pub(crate) fn tls(certificate: &Path, key: &Path) -> Result<(Arc<ServerConfig>, SystemTime), TlsError> {
    let identity = Identity::read(certificate, key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // What a session needs travels in its ticket: when everybody comes back at once, all of them have one.
    config.ticketer = Arc::new(Tickets::default());
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok((Arc::new(config), identity.expires))
}

/// Serves over TLS until `handle` ends it.
///
/// # Errors
/// When the listener breaks.
pub(crate) async fn serve_tls(
    listener: std::net::TcpListener,
    tls: RustlsConfig,
    router: Router,
    handle: Handle,
) -> io::Result<()> {
    let limited = Limited::new(Transport::Wss);
    let mut server = axum_server::from_tcp_rustls(listener, tls)?.map(|tls| tls.acceptor(limited)).handle(handle);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Serves without TLS until `handle` ends it.
///
/// # Errors
/// When the listener breaks.
pub(crate) async fn serve_plain(listener: std::net::TcpListener, router: Router, handle: Handle) -> io::Result<()> {
    let limited = Limited::new(Transport::Ws);
    let mut server = axum_server::from_tcp(listener)?.acceptor(limited).handle(handle);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Lets a connection through as long as there is room, before a byte of it is read.
#[derive(Debug, Clone)]
struct Limited {
    limits: ConnectionLimits,
    /// Of its WebSockets.
    transport: Transport,
}

impl Limited {
    fn new(transport: Transport) -> Self {
        // Without TLS there is a proxy in front, whose address all of them have.
        let per_address = if transport == Transport::Ws { STRANGERS } else { STRANGERS_PER_ADDRESS };
        Self { limits: ConnectionLimits::new(CONNECTIONS, STRANGERS, per_address), transport }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Limited {
    type Stream = Held;
    type Service = AddExtension<S, Arc<Permit>>;
    type Future = Ready<io::Result<(Held, Self::Service)>>;

    /// Its requests carry the permit, for whoever learns who the peer is.
    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = stream.peer_addr().and_then(|peer| {
            stream.set_nodelay(true)?;
            let permit = self.limits.admit(peer.ip().to_canonical());
            permit.map(Arc::new).ok_or_else(|| {
                crate::metrics::connection_refused(self.transport);
                io::Error::other("too many connections")
            })
        });
        ready(admitted.map(|permit| (Held::new(stream, Arc::clone(&permit)), Extension(permit).layer(service))))
    }
}

/// A connection with its place among the others, which it loses when its peer falls silent.
struct Held {
    stream: TcpStream,
    silent: Pin<Box<Sleep>>,
    _permit: Arc<Permit>,
}

impl Held {
    fn new(stream: TcpStream, permit: Arc<Permit>) -> Self {
        Self { stream, silent: Box::pin(sleep(SILENCE)), _permit: permit }
    }
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, into) {
            self.silent.as_mut().reset(Instant::now() + SILENCE);
            return Poll::Ready(read);
        }
        self.silent.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use rustls::HandshakeKind;
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::super::tls::AnyCertificate;
    use super::*;

    /// Connects and says a byte each way, with which the client has its tickets; how they shook hands.
    async fn connect(server: Arc<ServerConfig>, client: &Arc<rustls::ClientConfig>) -> HandshakeKind {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let serve = async {
            let mut stream = TlsAcceptor::from(server).accept(ours).await.unwrap();
            stream.write_all(b"!").await.unwrap();
            stream.flush().await.unwrap();
            stream.get_ref().1.handshake_kind().unwrap()
        };
        let ask = async {
            let name = ServerName::try_from("phone.test").unwrap();
            let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, theirs).await.unwrap();
            let mut heard = [0];
            stream.read_exact(&mut heard).await.unwrap();
        };
        tokio::join!(serve, ask).0
    }

    #[tokio::test]
    async fn everybody_who_comes_back_resumes_until_the_certificate_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        crate::certificate::make_if_missing(&certificate, &key).unwrap();
        let (server, _) = tls(&certificate, &key).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
            let client = || {
                let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider));
                let client = client.with_protocol_versions(versions).unwrap().dangerous();
                let client = client.with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider.clone())));
                Arc::new(client.with_no_client_auth())
            };
            // More than any session cache of a sensible size would remember.
            let agents: Vec<_> = (0..300).map(|_| client()).collect();
            for agent in &agents {
                assert_eq!(connect(Arc::clone(&server), agent).await, HandshakeKind::Full);
            }
            for agent in &agents {
                assert_eq!(connect(Arc::clone(&server), agent).await, HandshakeKind::Resumed);
            }
            let (renewed, _) = tls(&certificate, &key).unwrap();
            for agent in &agents[..2] {
                assert_eq!(connect(Arc::clone(&renewed), agent).await, HandshakeKind::Full);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_peer_falls_silent_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut held, _) = Limited::new(Transport::Wss).accept(stream, ()).await.unwrap();
        peer.write_all(b"PRI").await.unwrap();
        let (mut heard, start) = ([0; 16], Instant::now());
        assert_eq!(held.read(&mut heard).await.unwrap(), 3);
        let end = held.read(&mut heard).await.unwrap_err();
        assert_eq!((end.kind(), start.elapsed() >= SILENCE), (io::ErrorKind::TimedOut, true));
    }
}
