//! The questions to the name servers, and what of the answers is believed. Keeps nothing: who asks knows how long an answer holds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use ipnet::IpNet;

use crate::config;

/// How long one name server may take to answer one question, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// Records of one answer that are looked at: carriers have a handful.
const MAX_RECORDS: usize = 16;

/// How long it holds that there is nothing, when the answer does not say.
const NOTHING_FOR: Duration = Duration::from_secs(60);

/// For how long a name that never changes is good.
const FOR_EVER: Duration = Duration::from_hours(24);

/// What one question came to.
#[derive(Debug, Clone)]
pub(super) struct Answer<T> {
    /// None when the name or the record does not exist.
    pub(super) records: Vec<T>,
    /// How long that holds.
    pub(super) ttl: Duration,
}

impl<T> Answer<T> {
    fn nothing(ttl: Option<u32>) -> Self {
        let ttl = ttl.map_or(NOTHING_FOR, |seconds| Duration::from_secs(seconds.into()));
        Self { records: Vec::new(), ttl }
    }
}

/// No name server answered, or none in earnest: what was known before still holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name servers do not answer for {name}: {reason}")]
pub(super) struct Unanswered {
    name: String,
    reason: String,
}

/// The name servers.
#[derive(Clone)]
pub(super) struct Names {
    resolver: TokioResolver,
    refused: Vec<IpNet>,
    /// IPv6 addresses are of use.
    ipv6: bool,
}

impl Names {
    /// The configured name servers, else the system's. `ipv6` when our sockets reach IPv6 peers.
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub(super) fn new(dns: &config::Dns, ipv6: bool) -> Result<Self, NetError> {
        let servers: Vec<_> = dns.name_servers().map(name_server).collect();
        let with = |servers| {
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().unwrap_or_else(|error| {
                // Gateways known by their addresses do not need any.
                tracing::warn!(%error, "the system's name servers are unknown: gateways' names lead nowhere");
                with(Vec::new())
            })
        } else {
            with(servers)
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = PATIENCE;
        options.attempts = ATTEMPTS;
        // What was found is kept with how long it holds, and asked for anew before that.
        options.cache_size = 0;
        options.edns0 = true;
        options.use_hosts_file = ResolveHosts::Always;
        Ok(Self { resolver: builder.build()?, refused: dns.refused_networks.clone(), ipv6 })
    }

    pub(super) async fn naptr(&self, name: &Name) -> Result<Answer<NAPTR>, Unanswered> {
        let read = |record: &Record| if let RData::NAPTR(naptr) = &record.data { Some(naptr.clone()) } else { None };
        self.ask(name, RecordType::NAPTR, read).await
    }

    pub(super) async fn srv(&self, name: &Name) -> Result<Answer<SRV>, Unanswered> {
        let read = |record: &Record| if let RData::SRV(srv) = &record.data { Some(srv.clone()) } else { None };
        self.ask(name, RecordType::SRV, read).await
    }

    /// The addresses of a host, without those nothing shall be sent to; IPv4 first.
    pub(super) async fn addresses(&self, name: &Name) -> Result<Answer<IpAddr>, Unanswered> {
        if is_localhost(name) {
            // Names of this very host are never asked for (RFC 6761 §6.3).
            let mut records = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
            records.extend(self.ipv6.then_some(IpAddr::from(Ipv6Addr::LOCALHOST)));
            return Ok(Answer { records, ttl: FOR_EVER });
        }
        let v4 = self.ask(name, RecordType::A, |record| {
            if let RData::A(address) = &record.data { Some(IpAddr::V4(address.0)) } else { None }
        });
        let v6 = async {
            if !self.ipv6 {
                return None;
            }
            let read = |record: &Record| {
                if let RData::AAAA(address) = &record.data { Some(IpAddr::V6(address.0)) } else { None }
            };
            Some(self.ask(name, RecordType::AAAA, read).await)
        };
        let mut found = match tokio::join!(v4, v6) {
            (v4, None) => v4?,
            (Ok(mut v4), Some(Ok(v6))) => {
                v4.ttl = match (v4.records.is_empty(), v6.records.is_empty()) {
                    (true, false) => v6.ttl,
                    (false, true) => v4.ttl,
                    (true, true) | (false, false) => v4.ttl.min(v6.ttl),
                };
                v4.records.extend(v6.records);
                v4
            }
            // One family is better than none.
            (Ok(answer), Some(Err(error))) | (Err(error), Some(Ok(answer))) => {
                if answer.records.is_empty() {
                    return Err(error);
                }
                answer
            }
            (Err(error), Some(Err(_))) => return Err(error),
        };
        let all = found.records.len();
        found.records.retain(|address| self.may_be_sent_to(*address));
        if found.records.len() < all {
            tracing::warn!(%name, "addresses in dns.refused_networks were left out");
        }
        Ok(found)
    }

    fn may_be_sent_to(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified()
            && !address.is_multicast()
            && !self.refused.iter().any(|network| network.contains(&address))
    }

    async fn ask<T>(
        &self,
        name: &Name,
        kind: RecordType,
        read: impl Fn(&Record) -> Option<T>,
    ) -> Result<Answer<T>, Unanswered> {
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                // A chain of aliases holds as long as its weakest link.
                let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
                let records = lookup.answers().iter().filter_map(read).take(MAX_RECORDS).collect();
                Ok(Answer { records, ttl: Duration::from_secs(ttl.into()) })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) if is_answer(&nothing) => {
                Ok(Answer::nothing(nothing.negative_ttl))
            }
            Err(error) => Err(Unanswered { name: name.to_string(), reason: error.to_string() }),
        }
    }
}

/// Whether "nothing" was said, and not "I cannot tell" (SERVFAIL, REFUSED).
fn is_answer(nothing: &hickory_resolver::net::NoRecords) -> bool {
    use hickory_resolver::proto::op::ResponseCode;
    nothing.response_code == ResponseCode::NoError || nothing.response_code == ResponseCode::NXDomain
}

fn is_localhost(name: &Name) -> bool {
    name.iter().next_back().is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![port(ConnectionConfig::udp()), port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}
