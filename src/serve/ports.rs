//! Where a running gateway listens: for people in the log, for programs as JSON.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

/// The addresses as bound; a configured port of 0 shows the real one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// Page, API and WebSocket over TLS.
    pub https: SocketAddr,
    /// The same without TLS.
    pub http: Option<SocketAddr>,
    /// SIP over UDP.
    pub sip_udp: SocketAddr,
    /// SIP over TCP.
    pub sip_tcp: SocketAddr,
    /// SIP inside TLS.
    pub sip_tls: Option<SocketAddr>,
    /// Browsers' media, one per shard.
    pub media: Vec<SocketAddr>,
}

impl Ports {
    /// One line per listener.
    pub(super) fn announce(&self) {
        tracing::info!(address = %self.https, "listening: HTTPS (page, /v1, /sip)");
        if let Some(address) = self.http {
            tracing::info!(%address, "listening: HTTP (page, /v1, /sip)");
        }
        tracing::info!(address = %self.sip_udp, "listening: SIP over UDP");
        tracing::info!(address = %self.sip_tcp, "listening: SIP over TCP");
        if let Some(address) = self.sip_tls {
            tracing::info!(%address, "listening: SIP inside TLS");
        }
        for (shard, address) in self.media.iter().enumerate() {
            tracing::info!(%address, shard, "listening: browsers' media over UDP");
        }
    }

    /// Writes them to a file as JSON, whole or not at all: whoever waits for the file never reads half of it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let draft = path.with_file_name(name);
        std::fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(draft, path)
    }
}
