//! A trunk as the switchboard works from it.

use switchboard::Hop;

use super::border::{border, caller_id};
use super::{authority, numeric, unsigned};
use crate::store::{Addresses, Stored, Trunk};

pub(super) fn trunk(row: Stored<Trunk>, addresses: &Addresses) -> switchboard::Trunk {
    let trunk = row.value;
    let mut gateways: Vec<_> = trunk
        .gateways
        .0
        .iter()
        .map(|gateway| {
            let transport = gateway.transport.into();
            switchboard::Gateway {
                host: gateway.host().to_owned(),
                transport: Some(transport),
                hops: hops(gateway.host(), transport, addresses),
                priority: gateway.priority,
                weight: gateway.weight,
            }
        })
        .collect();
    gateways.sort_by_key(|gateway| (gateway.priority, std::cmp::Reverse(gateway.weight)));
    switchboard::Trunk {
        id: row.id,
        name: trunk.name,
        enabled: trunk.enabled,
        gateways,
        inbound_networks: trunk.inbound.0.cidrs,
        media_networks: trunk.media_cidrs.0,
        codecs: trunk.codecs.0.into_iter().map(Into::into).collect(),
        caller_id: caller_id(trunk.caller_id.0),
        border: border(&trunk.settings.0),
        dtmf: trunk.dtmf.into(),
        max_channels: unsigned(trunk.max_channels),
    }
}

/// A numeric host needs no resolver.
pub(super) fn hops(host: &str, transport: sip::Transport, addresses: &Addresses) -> Vec<Hop> {
    let authority = authority(host, transport);
    let found = match numeric(&authority) {
        Some(address) => vec![address],
        None => addresses.get(authority.as_ref()).cloned().unwrap_or_default(),
    };
    found.into_iter().map(|address| Hop::new(transport, address)).collect()
}
