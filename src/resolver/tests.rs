use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::rr::RecordType;
use sip::Transport;
use switchboard::Hop;

use super::names::Unanswered;
use super::*;
use crate::store::{Document, Gateway, GatewayTransport, Trunk};
use name_server::{Mood, NOTHING_FOR, NameServer};

#[allow(dead_code, reason = "shared with the gateway's tests, which use all of it")]
#[path = "../../tests/gateway/support/name_server.rs"]
mod name_server;

fn dns(server: &NameServer) -> config::Dns {
    let refused_networks = vec!["169.254.0.0/16".parse().unwrap()];
    config::Dns { servers: vec![server.address.to_string()], refused_networks, min_ttl_s: 1, max_ttl_s: 60 }
}

fn hop(transport: Transport, last: u8, port: u16, priority: u16, weight: u16) -> Hop {
    Hop { transport, address: SocketAddr::from(([192, 0, 2, last], port)), priority, weight, tls: None }
}

async fn found(server: &NameServer, host: &str, transport: Option<Transport>) -> Vec<Hop> {
    located(server, host, transport).await.unwrap().hops
}

async fn located(server: &NameServer, host: &str, transport: Option<Transport>) -> Result<Located, Unanswered> {
    let names = Names::new(&dns(server), false).unwrap();
    let place = Place { host: host.to_owned(), transport };
    timeout(Duration::from_secs(20), locate(&names, &place)).await.unwrap()
}

#[tokio::test]
async fn naptr_says_which_transport_and_srv_which_servers() {
    let server = NameServer::start().await;
    server.naptr("sip.test", 60, (20, 10, "s", "SIP+D2U", "_sip._udp.sip.test"));
    server.naptr("sip.test", 60, (10, 20, "S", "sip+d2t", "tcp.elsewhere.test"));
    server.naptr("sip.test", 60, (10, 10, "s", "SIP+D2S", "_sip._sctp.sip.test"));
    server.naptr("sip.test", 60, (1, 1, "u", "E2U+sip", "."));
    server.srv("tcp.elsewhere.test", 60, (20, 5, 5070, "b.test"));
    server.srv("tcp.elsewhere.test", 60, (10, 7, 5060, "a.test"));
    server.a("a.test", 60, [192, 0, 2, 1]);
    server.a("b.test", 60, [192, 0, 2, 2]);
    let expected = [hop(Transport::Tcp, 1, 5060, 10, 7), hop(Transport::Tcp, 2, 5070, 20, 5)];
    assert_eq!(found(&server, "sip.test", None).await, expected);
    assert_eq!(server.asked("_sip._udp.sip.test", RecordType::SRV), 0);
}

#[tokio::test]
async fn naptr_may_lead_to_an_address_and_to_a_transport_without_servers_the_next_rule_is_taken() {
    let server = NameServer::start().await;
    server.naptr("sip.test", 60, (10, 10, "s", "SIP+D2T", "_sip._tcp.gone.test"));
    server.naptr("sip.test", 60, (20, 10, "a", "SIP+D2U", "host.test"));
    server.a("host.test", 60, [192, 0, 2, 3]);
    assert_eq!(found(&server, "sip.test", None).await, [Hop::new(Transport::Udp, "192.0.2.3:5060".parse().unwrap())]);
}

#[tokio::test]
async fn without_naptr_srv_is_asked_by_transport_and_then_the_host_itself() {
    let server = NameServer::start().await;
    server.a("plain.test", 60, [192, 0, 2, 1]);
    server.a("b.test", 60, [192, 0, 2, 2]);
    server.srv("_sip._tcp.tcp.test", 60, (1, 1, 5080, "b.test"));
    let plain = Hop::new(Transport::Udp, "192.0.2.1:5060".parse().unwrap());
    assert_eq!(found(&server, "plain.test", None).await, [plain]);
    assert_eq!(found(&server, "tcp.test", None).await, [hop(Transport::Tcp, 2, 5080, 1, 1)]);
    assert_eq!(server.asked("_sip._udp.tcp.test", RecordType::SRV), 1);
}

#[tokio::test]
async fn a_fixed_transport_asks_for_its_own_service_only_and_a_port_for_the_address_only() {
    let server = NameServer::start().await;
    server.srv("_sip._tcp.sip.test", 60, (1, 1, 5080, "b.test"));
    server.srv("_sips._tcp.sip.test", 60, (1, 1, 5081, "b.test"));
    server.a("b.test", 60, [192, 0, 2, 2]);
    server.a("sip.test", 60, [192, 0, 2, 9]);
    let at = |transport, text: &str| [Hop::new(transport, text.parse().unwrap())];
    assert_eq!(found(&server, "sip.test", Some(Transport::Tcp)).await, [hop(Transport::Tcp, 2, 5080, 1, 1)]);
    assert_eq!(found(&server, "sip.test", Some(Transport::Tls)).await, [hop(Transport::Tls, 2, 5081, 1, 1)]);
    assert_eq!(found(&server, "sip.test", Some(Transport::Udp)).await, at(Transport::Udp, "192.0.2.9:5060"));
    assert_eq!(found(&server, "sip.test:5099", None).await, at(Transport::Udp, "192.0.2.9:5099"));
    assert_eq!(found(&server, "sip.test:5099", Some(Transport::Tcp)).await, at(Transport::Tcp, "192.0.2.9:5099"));
    assert_eq!(server.asked("sip.test", RecordType::NAPTR), 0);
}

#[tokio::test]
async fn records_that_lead_nowhere_are_passed_over() {
    let server = NameServer::start().await;
    server.srv("_sip._udp.sip.test", 60, (1, 1, 0, "a.test"));
    server.srv("_sip._udp.sip.test", 60, (2, 1, 5060, "nowhere.test"));
    server.srv("_sip._udp.sip.test", 60, (3, 1, 5060, "."));
    server.srv("_sip._udp.sip.test", 60, (4, 1, 5060, "secret.test"));
    server.srv("_sip._udp.sip.test", 60, (5, 1, 5060, "a.test"));
    server.a("a.test", 60, [192, 0, 2, 1]);
    server.a("secret.test", 60, [169, 254, 169, 254]);
    server.a("secret.test", 60, [0, 0, 0, 0]);
    server.a("secret.test", 60, [224, 0, 0, 1]);
    assert_eq!(found(&server, "sip.test", Some(Transport::Udp)).await, [hop(Transport::Udp, 1, 5060, 5, 1)]);
    assert_eq!(found(&server, "secret.test", Some(Transport::Udp)).await, []);
}

#[tokio::test]
async fn a_service_that_is_decidedly_not_there_is_not_looked_for_at_the_host() {
    let server = NameServer::start().await;
    server.srv("_sip._udp.sip.test", 60, (0, 0, 0, "."));
    server.a("sip.test", 60, [192, 0, 2, 1]);
    assert_eq!(found(&server, "sip.test", Some(Transport::Udp)).await, []);
    assert_eq!(found(&server, "sip.test", None).await, []);
    assert_eq!(found(&server, "sip.test", Some(Transport::Tcp)).await.len(), 1);
}

#[tokio::test]
async fn many_records_are_cut_short_and_the_addresses_of_one_target_share_its_weight() {
    let server = NameServer::start().await;
    for number in 1..=40 {
        server.srv("_sip._udp.many.test", 60, (number, 1, 5000 + number, "a.test"));
    }
    server.srv("_sip._udp.two.test", 60, (1, 60, 5060, "b.test"));
    server.a("a.test", 60, [192, 0, 2, 1]);
    for last in 1..=3 {
        server.a("b.test", 60, [192, 0, 2, last]);
    }
    assert_eq!(found(&server, "many.test", Some(Transport::Udp)).await.len(), 16);
    let shares: Vec<_> = found(&server, "two.test", Some(Transport::Udp)).await.iter().map(|hop| hop.weight).collect();
    assert_eq!(shares, [20, 20, 20]);
}

#[tokio::test]
async fn what_was_found_holds_as_long_as_the_briefest_answer() {
    let server = NameServer::start().await;
    server.srv("_sip._udp.sip.test", 30, (1, 1, 5060, "a.test"));
    server.a("a.test", 20, [192, 0, 2, 1]);
    let ttl = |located: Located| located.ttl.as_secs();
    assert_eq!(ttl(located(&server, "sip.test", Some(Transport::Udp)).await.unwrap()), 20);
    assert_eq!(ttl(located(&server, "sip.test", None).await.unwrap()), u64::from(NOTHING_FOR), "there is no NAPTR");
    assert_eq!(ttl(located(&server, "nothing.test", None).await.unwrap()), u64::from(NOTHING_FOR));
}

#[tokio::test]
async fn a_failing_name_server_is_no_answer() {
    let server = NameServer::start().await;
    server.a("sip.test", 60, [192, 0, 2, 1]);
    server.feel(Mood::Failing);
    assert!(located(&server, "sip.test", Some(Transport::Udp)).await.is_err());
    server.feel(Mood::Well);
    assert!(located(&server, "sip.test", Some(Transport::Udp)).await.is_ok());
}

#[tokio::test]
async fn this_host_is_known_without_asking_and_a_name_that_is_none_leads_nowhere() {
    let server = NameServer::start().await;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5070));
    assert_eq!(found(&server, "localhost:5070", None).await, [Hop::new(Transport::Udp, local)]);
    assert_eq!(found(&server, &"a".repeat(64), None).await, []);
    assert_eq!(server.asked("localhost", RecordType::A), 0);
}

/// A store with a resolver at work.
struct Running {
    server: NameServer,
    store: Store,
    stop: CancellationToken,
    resolver: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn new() -> Self {
        let server = NameServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let mut database = config::Config::default().database;
        database.url = format!("sqlite://{}/patchcord.db", folder.path().display());
        let store = Store::open(&database, "phone.test").await.unwrap();
        let stop = CancellationToken::new();
        let resolver = start(store.clone(), &dns(&server), Ipv4Addr::UNSPECIFIED.into(), stop.clone()).unwrap();
        Self { server, store, stop, resolver, _folder: folder }
    }

    async fn trunk(&self, name: &str, host: &str) {
        let transport = GatewayTransport::Udp;
        let gateway = Gateway { uri: format!("sip:{host}"), transport, priority: 1, weight: 1 };
        let trunk = Trunk { name: name.into(), enabled: true, gateways: Document(vec![gateway]), ..Trunk::default() };
        self.store.create_trunk(trunk).await.unwrap();
    }

    /// Waits until a trunk's gateway is at these addresses.
    async fn is_at(&self, name: &str, expected: &[&str]) {
        let expected: Vec<SocketAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        let mut directory = self.store.directory();
        let there = directory.wait_for(|directory| {
            let trunk = directory.trunks.values().find(|trunk| trunk.name == name);
            trunk.is_some_and(|trunk| trunk.gateways[0].hops.iter().map(|hop| hop.address).eq(expected.clone()))
        });
        timeout(Duration::from_secs(20), there).await.unwrap().unwrap();
    }

    async fn is_asked(&mut self, owner: &str, times: usize) {
        timeout(Duration::from_secs(20), self.server.is_asked(owner, RecordType::A, times)).await.unwrap();
    }

    fn problem(&self, host: &str) -> Option<String> {
        let transport = Some(Transport::Udp);
        let gateway =
            switchboard::Gateway { host: host.to_owned(), transport, hops: Vec::new(), priority: 1, weight: 1 };
        self.store.location(&gateway).and_then(|location| location.problem)
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(20), self.resolver).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_new_trunk_is_looked_up_at_once_and_one_that_does_not_exist_holds_up_nobody() {
    let running = Running::new().await;
    running.server.a("found.test", 60, [192, 0, 2, 1]);
    running.trunk("lost", "nowhere.test").await;
    running.trunk("found", "found.test:5070").await;
    running.is_at("found", &["192.0.2.1:5070"]).await;
    running.is_at("lost", &[]).await;
    running.end().await;
}

#[tokio::test]
async fn an_answer_is_used_for_its_time_and_asked_for_anew_before_that_is_over() {
    let mut running = Running::new().await;
    running.server.a("brief.test", 1, [192, 0, 2, 1]);
    running.server.a("lasting.test", 600, [192, 0, 2, 9]);
    running.trunk("brief", "brief.test:5060").await;
    running.trunk("lasting", "lasting.test:5060").await;
    running.is_at("brief", &["192.0.2.1:5060"]).await;
    running.server.remove("brief.test");
    running.server.a("brief.test", 1, [192, 0, 2, 2]);
    running.is_at("brief", &["192.0.2.2:5060"]).await;
    running.is_asked("brief.test", 3).await;
    assert_eq!(running.server.asked("lasting.test", RecordType::A), 1);
    running.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_again_when_that_has_run_out() {
    let mut running = Running::new().await;
    running.trunk("late", "late.test:5060").await;
    running.is_asked("late.test", 1).await;
    running.server.a("late.test", 60, [192, 0, 2, 1]);
    running.is_at("late", &["192.0.2.1:5060"]).await;
    running.end().await;
}

#[tokio::test]
async fn addresses_outlive_a_name_server_that_fails_and_not_one_that_says_they_are_gone() {
    let mut running = Running::new().await;
    running.server.a("sip.test", 1, [192, 0, 2, 1]);
    running.trunk("carrier", "sip.test:5060").await;
    running.is_at("carrier", &["192.0.2.1:5060"]).await;
    assert_eq!(running.problem("sip.test:5060"), None);
    running.server.feel(Mood::Failing);
    let before = running.server.asked("sip.test", RecordType::A);
    running.is_asked("sip.test", before + 2).await;
    while running.problem("sip.test:5060").is_none() {
        tokio::task::yield_now().await;
    }
    running.is_at("carrier", &["192.0.2.1:5060"]).await;
    running.server.remove("sip.test");
    running.server.feel(Mood::Well);
    running.is_at("carrier", &[]).await;
    running.end().await;
}

#[test]
fn attempts_at_silent_name_servers_become_rare_and_never_stop() {
    let seconds: Vec<_> = [0, 1, 2, 4, 5, 100].map(|failures| retry(failures).as_secs()).to_vec();
    assert_eq!(seconds, [2, 4, 8, 32, 60, 60]);
}
