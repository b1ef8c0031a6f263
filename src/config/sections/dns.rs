//! `[dns]`: how trunks' gateways are found.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Name servers, as `address` or `address:port`; empty takes the system's.
    pub servers: Vec<String>,
    /// Networks that names must not lead to: nothing is sent there.
    pub refused_networks: Vec<IpNet>,
    /// How long an answer is used at least, in seconds, whatever it says itself.
    pub min_ttl_s: u64,
    /// How long an answer is used at most, in seconds.
    pub max_ttl_s: u64,
}

impl Dns {
    /// The name servers; those that are no addresses are left out, which the checks do not let pass.
    pub fn name_servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().filter_map(|server| name_server(server))
    }

    /// How long an answer is used at least.
    #[must_use]
    pub fn min_ttl(&self) -> Duration {
        Duration::from_secs(self.min_ttl_s)
    }

    /// How long an answer is used at most.
    #[must_use]
    pub fn max_ttl(&self) -> Duration {
        Duration::from_secs(self.max_ttl_s)
    }
}

impl Default for Dns {
    fn default() -> Self {
        // Addresses of this host and of this link: among them what clouds tell their machines secrets at.
        let here = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"];
        Self {
            servers: Vec::new(),
            refused_networks: here.iter().filter_map(|network| network.parse().ok()).collect(),
            min_ttl_s: 5,
            max_ttl_s: 3600,
        }
    }
}

/// An address, with the port of DNS where it has none.
pub(in crate::config) fn name_server(text: &str) -> Option<SocketAddr> {
    let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    text.parse().ok().or_else(bare).filter(|address: &SocketAddr| address.port() > 0)
}
