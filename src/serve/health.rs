//! `patchcord healthcheck`: asks the gateway on this host for `/livez`, for containers without a client of their own.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};

use crate::config::{self, ConfigErrors};
use crate::net::tls::AnyCertificate;

/// For connecting, writing and reading, each.
const DEADLINE: Duration = Duration::from_secs(3);

/// Bytes of an answer looked at: its status line is in the first few.
const ENOUGH: usize = 64;

/// Why a gateway counts as dead.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The configuration is wrong, so the gateway's address is unknown.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// It did not answer.
    #[error("{address} does not answer: {source}")]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("/livez answered {0:?}")]
    Unwell(String),
}

/// Asks the configured HTTPS listener. The configured port must not be 0.
///
/// # Errors
/// When it is not alive.
pub async fn check(path: &Path) -> Result<(), HealthError> {
    let listen = config::load(path)?.http.https_listen;
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    let asked = tokio::task::spawn_blocking(move || ask(address)).await;
    asked.unwrap_or_else(|error| Err(unreachable(address)(io::Error::other(error))))
}

fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listen,
    }
}

fn unreachable(address: SocketAddr) -> impl Fn(io::Error) -> HealthError {
    move |source| HealthError::Unreachable { address, source }
}

fn ask(address: SocketAddr) -> Result<(), HealthError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        // It is this host that is asked, by its own address, and nothing secret is said. Checking the name would call a gateway dead whose
        // certificate is made for its public one.
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_no_client_auth();
    let mut session = ClientConnection::new(Arc::new(config), ServerName::IpAddress(address.ip().into()))?;
    let mut exchange = || {
        let mut socket = TcpStream::connect_timeout(&address, DEADLINE)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        let mut stream = Stream::new(&mut session, &mut socket);
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; ENOUGH];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
    };
    let answer: String = exchange().map_err(unreachable(address))?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') { Ok(()) } else { Err(HealthError::Unwell(status.to_owned())) }
}
