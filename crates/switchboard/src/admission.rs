//! Who a message is from, by the flow it came on: browsers' WebSockets carry agents, who must authenticate; over UDP and TCP
//! trunks' addresses are believed, inside TLS also the names that a client's certificate has proved, and nobody else's but for an INVITE
//! that proves which trunk it is of (`vouching`).

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::directory::Directory;

/// Trunks by the addresses they speak from.
#[derive(Default)]
pub(crate) struct Admission {
    addresses: HashMap<IpAddr, Vec<String>>,
    networks: Vec<(IpNet, String)>,
    /// Trunks by the usernames they call in with.
    usernames: HashMap<String, String>,
    /// Whether one of those may call from anywhere.
    open: bool,
    /// Trunks by the names of their certificates, in lower case.
    names: HashMap<String, Vec<String>>,
}

impl Admission {
    /// The index of a directory's enabled trunks.
    pub(crate) fn new(directory: &Directory) -> Self {
        let mut admission = Self::default();
        let mut trunks: Vec<_> = directory.trunks.values().filter(|trunk| trunk.enabled).collect();
        trunks.sort_by(|a, b| a.name.cmp(&b.name));
        for trunk in trunks {
            if let Some(known) = &trunk.authentication.inbound {
                admission.usernames.insert(known.username.clone(), trunk.id.clone());
                admission.open |= trunk.inbound.networks.is_empty();
            }
            for name in &trunk.inbound.tls_names {
                admission.names.entry(name.to_ascii_lowercase()).or_default().push(trunk.id.clone());
            }
            for network in &trunk.inbound.networks {
                admission.networks.push((*network, trunk.id.clone()));
            }
            for hop in trunk.gateways.iter().flat_map(|gateway| &gateway.hops) {
                admission.addresses.entry(hop.address.ip()).or_default().push(trunk.id.clone());
            }
        }
        // The narrowest network knows best.
        admission.networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        admission
    }

    /// The trunks that speak from an address, the likeliest first: several trunks of one carrier share its addresses.
    pub(crate) fn trunks(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let by_network = self.networks.iter().filter(move |(network, _)| network.contains(&address)).map(|(_, id)| id);
        by_network.chain(self.addresses.get(&address).into_iter().flatten()).map(String::as_str)
    }

    /// The trunk that calls in with a username.
    pub(crate) fn trunk_called(&self, username: &str) -> Option<&str> {
        self.usernames.get(username).map(String::as_str)
    }

    /// Whether any trunk proves itself by digest.
    pub(crate) fn has_credentials(&self) -> bool {
        !self.usernames.is_empty()
    }

    /// Whether a trunk may call from anywhere, by its digest alone.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The trunks that have one of these names.
    pub(crate) fn certified(&self, names: &[String]) -> impl Iterator<Item = &str> {
        names.iter().filter_map(|name| self.names.get(name)).flatten().map(String::as_str)
    }
}
