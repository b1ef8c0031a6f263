//! A trunk as the switchboard works from it.

use switchboard::{Hop, NumberFormat};

use super::{authority, numeric, unsigned};
use crate::store::{Addresses, CallerIdFormat, Stored, Trunk};

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
        caller_id: switchboard::CallerId {
            fallback: trunk.caller_id.0.fallback,
            domain: trunk.caller_id.0.domain,
            format: match trunk.caller_id.0.format {
                CallerIdFormat::E164 => NumberFormat::E164,
                CallerIdFormat::E164WithoutPlus => NumberFormat::E164WithoutPlus,
            },
        },
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
