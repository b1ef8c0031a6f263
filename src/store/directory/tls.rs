//! Names what trunks' connections inside TLS are opened with: the same settings and the same gateway have one name, however often the
//! directory is made, and two trunks that differ in anything have two.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sip::{TlsId, Transport, Uri};
use switchboard::{Directory, TlsClient, TlsPeer, TlsSettings};

/// Gives the hops inside TLS the names of their settings, and those to the directory.
pub(super) fn name_settings(directory: &mut Directory) {
    let mut known = HashMap::new();
    for trunk in directory.trunks.values_mut() {
        for gateway in &mut trunk.gateways {
            let hops = gateway.hops.iter_mut().filter(|hop| hop.transport == Transport::Tls);
            let mut hops = hops.peekable();
            if hops.peek().is_none() {
                continue;
            }
            let peer = peer(&trunk.tls, &gateway.host);
            let id = name_of(&peer);
            hops.for_each(|hop| hop.tls = Some(id));
            known.insert(id, Arc::new(peer));
        }
    }
    directory.tls = known;
}

/// With what a gateway's connections are opened.
pub(crate) fn peer(settings: &TlsSettings, gateway: &str) -> TlsPeer {
    let name = settings.server_name.clone().unwrap_or_else(|| host(gateway));
    TlsPeer { name, settings: settings.clone() }
}

/// What a gateway's certificate is for: the host as configured, whatever name server led to its address (RFC 5922 §4).
fn host(gateway: &str) -> String {
    let uri = Uri::parse(&format!("sip:{gateway}")).ok();
    let host = uri.as_ref().and_then(|uri| uri.host());
    match host {
        Some(sip::Host::Ip(ip)) => ip.to_string(),
        Some(sip::Host::Name(name)) => name.to_string(),
        None => gateway.to_owned(),
    }
}

fn name_of(peer: &TlsPeer) -> TlsId {
    let TlsPeer { name, settings } = peer;
    let client = settings.client.as_ref();
    let parts = [
        Some(name.as_str()),
        Some(if settings.verify { "verified" } else { "anybody" }),
        settings.ca_pem.as_deref(),
        client.map(|TlsClient { certificate_pem, .. }| certificate_pem.as_str()),
        client.map(|TlsClient { key_pem, .. }| key_pem.as_str()),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.unwrap_or_default();
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    TlsId(whole.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use switchboard::{Gateway, Hop, TlsSettings, Trunk};

    use super::*;

    fn trunk(tls: TlsSettings) -> Trunk {
        let address = "192.0.2.1:5061".parse().unwrap();
        let gateway = Gateway {
            host: "carrier.example:5061".into(),
            transport: Some(Transport::Tls),
            hops: vec![Hop::new(Transport::Tls, address), Hop::new(Transport::Udp, address)],
            priority: 1,
            weight: 1,
        };
        Trunk { gateways: vec![gateway], tls, ..Trunk::default() }
    }

    fn client(certificate: &str) -> TlsSettings {
        let client = TlsClient { certificate_pem: certificate.into(), key_pem: "key".into() };
        TlsSettings { client: Some(client), ..TlsSettings::default() }
    }

    #[test]
    fn trunks_at_one_address_share_their_tls_settings_only_when_they_are_the_same() {
        let settings = [client("a"), client("a"), client("b"), TlsSettings { verify: false, ..client("a") }];
        let mut directory = Directory::default();
        for (number, tls) in settings.into_iter().enumerate() {
            directory.trunks.insert(number.to_string(), trunk(tls));
        }
        name_settings(&mut directory);
        let name = |number: usize| directory.trunks[&number.to_string()].gateways[0].hops[0].tls.unwrap();
        assert_eq!(name(0), name(1));
        assert!(name(0) != name(2) && name(0) != name(3) && name(2) != name(3));
        assert_eq!(directory.tls.len(), 3);
        assert_eq!(directory.tls[&name(2)].name, "carrier.example");
        assert_eq!(directory.trunks["0"].gateways[0].hops[1].tls, None, "over UDP there are none");
    }
}
