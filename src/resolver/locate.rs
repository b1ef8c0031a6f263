//! Finding a gateway's servers (RFC 3263 §4): by NAPTR which transport, by SRV which hosts and ports in which order, by A and AAAA
//! their addresses. Knows no time: what was found says how long it holds.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::rdata::SRV;
use sip::Transport;
use switchboard::Hop;

use super::names::{Names, Unanswered};
use crate::store::{Place, host_and_port};

/// Servers of one gateway: more are never tried in one call.
const MAX_HOPS: usize = 16;

/// Addresses of one SRV target: a further host of the same provider says more about its wish to spread load.
const MAX_ADDRESSES: usize = 4;

/// Without a word of the name server, in this order (§4.1).
const BY_SERVICE: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// Where a gateway's servers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    /// None when the name server says that there are none.
    pub(super) hops: Vec<Hop>,
    /// How long that holds.
    pub(super) ttl: Duration,
}

/// Collects what the answers say.
struct Search<'a> {
    names: &'a Names,
    ttl: Duration,
}

/// Finds the servers of a gateway whose host is no address.
pub(super) async fn locate(names: &Names, place: &Place) -> Result<Located, Unanswered> {
    let (host, port) = host_and_port(&place.host);
    let Some(name) = absolute(host) else {
        return Ok(Located { hops: Vec::new(), ttl: Duration::MAX });
    };
    let mut search = Search { names, ttl: Duration::MAX };
    let hops = match (port, place.transport) {
        // Whoever names the port has chosen the server (§4.2).
        (Some(port), transport) => search.host(&name, transport.unwrap_or(Transport::Udp), port).await?,
        (None, Some(transport)) => match search.service(&name, transport).await? {
            Service::At(hops) => hops,
            Service::Refused => Vec::new(),
            Service::Unknown => search.host(&name, transport, transport.default_port()).await?,
        },
        (None, None) => search.any_transport(&name).await?,
    };
    Ok(Located { hops, ttl: search.ttl })
}

/// What SRV records say of a service.
enum Service {
    /// Its servers.
    At(Vec<Hop>),
    /// It is decidedly not there (RFC 2782: target ".").
    Refused,
    /// Nothing.
    Unknown,
}

impl Search<'_> {
    async fn any_transport(&mut self, name: &Name) -> Result<Vec<Hop>, Unanswered> {
        let naptr = self.names.naptr(name).await?;
        self.ttl = self.ttl.min(naptr.ttl);
        let mut rules: Vec<_> = naptr
            .records
            .into_iter()
            // An expression rewrites the URI, which none of these services does (§4.1).
            .filter(|rule| rule.regexp.is_empty())
            .filter_map(|rule| Some((spoken(&rule.services)?, rule)))
            .collect();
        rules.sort_by_key(|(_, rule)| (rule.order, rule.preference));
        for (transport, rule) in &rules {
            let hops = match rule.flags.as_ref() {
                b"s" | b"S" => match self.servers(&rule.replacement, *transport).await? {
                    Service::At(hops) => hops,
                    Service::Refused | Service::Unknown => Vec::new(),
                },
                b"a" | b"A" => self.host(&rule.replacement, *transport, transport.default_port()).await?,
                // One that is not final leads to further rules, which SIP has no use for: and so no loops.
                _ => Vec::new(),
            };
            if !hops.is_empty() {
                return Ok(hops);
            }
        }
        let mut refused = false;
        for transport in BY_SERVICE {
            match self.service(name, transport).await? {
                Service::At(hops) => return Ok(hops),
                Service::Refused => refused = true,
                Service::Unknown => {}
            }
        }
        if refused {
            return Ok(Vec::new());
        }
        self.host(name, Transport::Udp, Transport::Udp.default_port()).await
    }

    async fn service(&mut self, name: &Name, transport: Transport) -> Result<Service, Unanswered> {
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
            // Browsers come by themselves.
            Transport::Ws | Transport::Wss => return Ok(Service::Unknown),
        };
        match Name::from_ascii(prefix).and_then(|prefix| prefix.append_name(name)) {
            Ok(service) => self.servers(&service, transport).await,
            // Too long to be looked up.
            Err(_) => Ok(Service::Unknown),
        }
    }

    async fn servers(&mut self, service: &Name, transport: Transport) -> Result<Service, Unanswered> {
        let answer = self.names.srv(service).await?;
        self.ttl = self.ttl.min(answer.ttl);
        if let [only] = answer.records.as_slice()
            && only.target.is_root()
        {
            return Ok(Service::Refused);
        }
        let mut servers: Vec<SRV> =
            answer.records.into_iter().filter(|server| server.port > 0 && !server.target.is_root()).collect();
        if servers.is_empty() {
            return Ok(Service::Unknown);
        }
        servers.sort_by_key(|server| server.priority);
        let found = futures_util::future::join_all(servers.iter().map(|server| self.names.addresses(&server.target)));
        let mut hops = Vec::new();
        let (mut unanswered, mut ttl) = (None, self.ttl);
        for (server, found) in servers.iter().zip(found.await) {
            match found {
                Ok(answer) => {
                    ttl = ttl.min(answer.ttl);
                    hops.extend(hops_of(server, transport, &answer.records));
                }
                Err(error) => unanswered = Some(error),
            }
        }
        self.ttl = ttl;
        match unanswered {
            // A part of the servers would take the load of all.
            Some(error) => Err(error),
            None => {
                hops.truncate(MAX_HOPS);
                Ok(Service::At(hops))
            }
        }
    }

    async fn host(&mut self, name: &Name, transport: Transport, port: u16) -> Result<Vec<Hop>, Unanswered> {
        let found = self.names.addresses(name).await?;
        self.ttl = self.ttl.min(found.ttl);
        let hops = found.records.into_iter().take(MAX_HOPS);
        Ok(hops.map(|address| Hop::new(transport, SocketAddr::new(address, port))).collect())
    }
}

/// The addresses of one target: they share its weight.
fn hops_of(server: &SRV, transport: Transport, addresses: &[std::net::IpAddr]) -> Vec<Hop> {
    let addresses = addresses.get(..addresses.len().min(MAX_ADDRESSES)).unwrap_or_default();
    let share = u16::try_from(addresses.len()).unwrap_or(1).max(1);
    let weight = if server.weight == 0 { 0 } else { (server.weight / share).max(1) };
    let hop = |address: &std::net::IpAddr| Hop {
        transport,
        address: SocketAddr::new(*address, server.port),
        priority: server.priority,
        weight,
        tls: None,
    };
    addresses.iter().map(hop).collect()
}

/// The transport of a NAPTR service, when it is one we speak.
fn spoken(services: &[u8]) -> Option<Transport> {
    let known = [(&b"SIP+D2U"[..], Transport::Udp), (b"SIP+D2T", Transport::Tcp), (b"SIPS+D2T", Transport::Tls)];
    known.into_iter().find(|(service, _)| services.eq_ignore_ascii_case(service)).map(|(_, transport)| transport)
}

/// A name with dots is complete; one without may be one of the local network.
fn absolute(host: &str) -> Option<Name> {
    let mut name = Name::from_ascii(host).ok()?;
    name.set_fqdn(host.contains('.'));
    Some(name)
}
