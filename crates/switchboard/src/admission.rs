//! Who a message is from, by the flow it came on: browsers' WebSockets carry agents, who must authenticate; over UDP and TCP only
//! trunks' addresses are believed.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::directory::Directory;

/// Trunks by the addresses they speak from.
#[derive(Default)]
pub(crate) struct Admission {
    addresses: HashMap<IpAddr, Vec<String>>,
    networks: Vec<(IpNet, String)>,
}

impl Admission {
    /// The index of a directory's enabled trunks.
    pub(crate) fn new(directory: &Directory) -> Self {
        let mut admission = Self::default();
        let mut trunks: Vec<_> = directory.trunks.values().filter(|trunk| trunk.enabled).collect();
        trunks.sort_by(|a, b| a.name.cmp(&b.name));
        for trunk in trunks {
            for network in &trunk.inbound_networks {
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

    /// Whether any trunk speaks from an address.
    pub(crate) fn knows(&self, address: IpAddr) -> bool {
        self.trunks(address).next().is_some()
    }
}
