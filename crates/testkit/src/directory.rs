//! Who there is in the simulation: agents, extensions, trunks, a number.

use std::net::SocketAddr;
use std::time::Duration;

use media::Codec;
use sip::{Ha1, Transport};
use switchboard::{
    Agent, Border, CallerId, Credential, DialPolicy, Directory, Extension, Gateway, Hop, Number, OnLimit, Trunk,
    TrunkMedia,
};

/// The agents' domain.
pub const REALM: &str = "phone.example.com";

/// Extensions 100 to 103 with the secret `secret-<number>`, trunks `main` (198.51.100.1) and `spare` (198.51.100.2), the number
/// +493011100 at `main` ringing 100.
#[must_use]
pub fn directory() -> Directory {
    let mut directory = Directory { realm: REALM.to_owned(), ..Directory::default() };
    for number in ["100", "101", "102", "103"] {
        let agent = format!("agt_{number}");
        directory.agents.insert(
            agent.clone(),
            Agent {
                id: agent.clone(),
                display_name: format!("Agent {number}"),
                enabled: true,
                caller_id_number: None,
                allowed_caller_ids: Vec::new(),
                dial_policy: DialPolicy::default(),
                max_cps: 0,
                max_concurrent_calls: 1,
            },
        );
        directory.extensions.insert(
            number.to_owned(),
            Extension {
                id: format!("ext_{number}"),
                number: number.to_owned(),
                agent_id: Some(agent),
                ring_timeout: Duration::from_secs(30),
                max_contacts: 2,
                on_limit: OnLimit::ReplaceOldest,
                codecs: vec![Codec::Opus],
            },
        );
        directory.credentials.insert(
            number.to_owned(),
            Credential {
                id: format!("crd_{number}"),
                username: number.to_owned(),
                extension: number.to_owned(),
                ha1: Ha1::new(number, REALM, &format!("secret-{number}")),
            },
        );
    }
    for (name, last) in [("main", 1u8), ("spare", 2)] {
        let address = SocketAddr::from(([198, 51, 100, last], 5060));
        let gateway = Gateway {
            host: format!("{name}.carrier.example"),
            transport: Some(Transport::Udp),
            hops: vec![Hop::new(Transport::Udp, address)],
            priority: 1,
            weight: 1,
        };
        let caller_id = CallerId { fallback: Some("+493011100".to_owned()), ..CallerId::default() };
        let trunk = Trunk {
            id: format!("trk_{name}"),
            name: name.to_owned(),
            enabled: true,
            gateways: vec![gateway],
            border: Border { caller_id, ..Border::default() },
            media: TrunkMedia { codecs: vec![Codec::Pcmu], ptime: Duration::from_millis(20), ..TrunkMedia::default() },
            ..Trunk::default()
        };
        directory.trunks.insert(trunk.id.clone(), trunk);
    }
    directory.numbers.insert(
        "+493011100".to_owned(),
        Number {
            id: "num_1".to_owned(),
            e164: "+493011100".to_owned(),
            trunk_id: "trk_main".to_owned(),
            extension: Some("100".to_owned()),
        },
    );
    directory
}
