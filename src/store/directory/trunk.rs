//! A trunk as the switchboard works from it.

use std::time::Duration;

use sip::ClientCredentials;
use switchboard::{Authentication, Hop, Inbound, InboundCredentials, Limits, TlsClient, TlsSettings, TrunkMedia};

use super::border::border;
use super::dialogs::dialogs;
use super::{numeric, unsigned};
use crate::store::{ClientKey, KeptKey, Locations, Place, Stored, Trunk, TrunkTls};

pub(super) fn trunk(row: Stored<Trunk>, locations: &Locations, realm: &str) -> switchboard::Trunk {
    let trunk = row.value;
    let authentication = authentication(&trunk, realm);
    let tls = tls(&trunk);
    let mut gateways: Vec<_> = trunk
        .gateways
        .0
        .iter()
        .map(|gateway| {
            let transport = gateway.transport.chosen();
            switchboard::Gateway {
                host: gateway.host().to_owned(),
                transport,
                hops: hops(gateway.host(), transport, locations),
                priority: gateway.priority,
                weight: gateway.weight,
            }
        })
        .collect();
    gateways.sort_by_key(|gateway| (gateway.priority, std::cmp::Reverse(gateway.weight)));
    let settings = &trunk.settings.0;
    switchboard::Trunk {
        id: row.id,
        name: trunk.name,
        enabled: trunk.enabled,
        gateways,
        tls,
        options_ping: Duration::from_secs(unsigned(settings.options_ping_s.0).into()),
        inbound: Inbound { networks: trunk.inbound.0.cidrs, tls_names: trunk.inbound.0.tls_names },
        authentication,
        border: border(trunk.caller_id.0, settings),
        media: TrunkMedia {
            networks: trunk.media_cidrs.0,
            codecs: trunk.codecs.0.into_iter().map(Into::into).collect(),
            ptime: Duration::from_millis(settings.ptime_ms.0.into()),
            dtmf: trunk.dtmf.into(),
            encryption: settings.media_encryption.into(),
        },
        limits: Limits { max_channels: unsigned(trunk.max_channels), max_cps: unsigned(settings.max_cps) },
        dialogs: dialogs(trunk.settings.0.dialogs),
    }
}

fn authentication(trunk: &Trunk, our_realm: &str) -> Authentication {
    let (settings, secrets) = (&trunk.settings.0, &trunk.secrets.0);
    let outbound = settings.auth.as_ref().and(secrets.auth.as_ref()).map(|secret| ClientCredentials {
        username: secret.username.clone(),
        realm: secret.realm.clone(),
        ha1: secret.ha1.clone(),
    });
    let expires = Duration::from_secs(unsigned(settings.register.expires_s).into());
    let inbound = trunk.inbound.0.auth.as_ref().and(secrets.inbound.as_ref());
    let usable = inbound.filter(|secret| secret.realm == our_realm);
    if inbound.is_some() && usable.is_none() {
        tracing::warn!(trunk = trunk.name, "its inbound password was set for another SIP domain and must be set again");
    }
    Authentication {
        register: (settings.register.enabled && outbound.is_some()).then_some(expires),
        outbound,
        inbound: usable.map(|secret| InboundCredentials { username: secret.username.clone(), ha1: secret.ha1.clone() }),
    }
}

/// A numeric host needs no resolver.
pub(super) fn hops(host: &str, transport: Option<sip::Transport>, locations: &Locations) -> Vec<Hop> {
    match numeric(host, transport) {
        Some(address) => vec![Hop::new(transport.unwrap_or(sip::Transport::Udp), address)],
        None => {
            let place = Place { host: host.to_owned(), transport };
            locations.get(&place).map(|location| location.hops.clone()).unwrap_or_default()
        }
    }
}

fn tls(trunk: &Trunk) -> TlsSettings {
    let TrunkTls { verify, server_name, ca_pem, .. } = trunk.settings.0.tls.clone();
    let client = trunk
        .secrets
        .0
        .tls
        .clone()
        .map(|KeptKey { certificate_pem, key_pem: ClientKey(key_pem) }| TlsClient { certificate_pem, key_pem });
    TlsSettings { verify, server_name, ca_pem, client }
}
