//! One list of tests, run on SQLite and on a real PostgreSQL.

mod postgres;

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use std::net::SocketAddr;

use super::*;
use postgres::Postgres;

type Test = fn(Store, String) -> Pin<Box<dyn Future<Output = ()>>>;

/// Each is given an empty store and the URL it is at.
const TESTS: &[(&str, Test)] = &[
    ("every resource comes back as it was stored", |store, _| Box::pin(resources_round_trip(store))),
    ("a trunk of an older release takes digits as it did", |store, url| Box::pin(older_trunks(store, url))),
    ("an update on an old version is refused", |store, _| Box::pin(old_versions(store))),
    ("taken and dangling values name their field", |store, _| Box::pin(faults(store))),
    ("what others refer to is not deleted", |store, _| Box::pin(references(store))),
    ("an extension takes its credentials along", |store, _| Box::pin(cascade(store))),
    ("a change of another node is published", |store, url| Box::pin(other_nodes(store, url))),
    ("changes that meet are all made and all in force", |store, _| Box::pin(crowds(store))),
    ("an API key is known by its secret alone", |store, _| Box::pin(api_keys(store))),
    ("an idempotency key is claimed once", |store, _| Box::pin(idempotency(store))),
    ("a call record is written once", |store, _| Box::pin(call_records(store))),
    ("credentials of another domain do not work", |store, url| Box::pin(realms(store, url))),
    ("resolved addresses reach the directory", |store, _| Box::pin(addresses(store))),
];

async fn open(url: &str, realm: &str) -> Store {
    Store::open(&config::Database { url: url.into(), max_connections: 3 }, realm).await.unwrap()
}

async fn run(name: &str, test: Test, url: String) {
    println!("{name}");
    let store = open(&url, "phone.test").await;
    test(store.clone(), url).await;
    store.close().await;
}

#[tokio::test]
async fn the_store_keeps_its_promises_on_sqlite() {
    for (name, test) in TESTS {
        let folder = tempfile::tempdir().unwrap();
        run(name, *test, format!("sqlite://{}/new/test.db", folder.path().display())).await;
    }
}

#[tokio::test]
async fn the_store_keeps_its_promises_on_postgresql() {
    let server = Postgres::start();
    let admin = sqlx::PgPool::connect(&server.url("postgres")).await.unwrap();
    for (index, (name, test)) in TESTS.iter().enumerate() {
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE test_{index}"));
        sqlx::query(create).execute(&admin).await.unwrap();
        run(name, *test, server.url(&format!("test_{index}"))).await;
    }
    admin.close().await;
}

fn agent(name: &str) -> Agent {
    Agent {
        external_id: Some(name.into()),
        display_name: name.into(),
        email: None,
        enabled: true,
        caller_id_number: Some("+4930123456".into()),
        allowed_caller_ids: Document(vec!["+4930123457".into()]),
        dial_policy: Document(DialPolicy {
            countries: vec!["DE".into()],
            max_per_day: Some(9),
            ..DialPolicy::default()
        }),
        max_cps: 3,
        max_concurrent_calls: 2,
        metadata: Document([("team".to_owned(), "blue".into())].into_iter().collect()),
    }
}

fn extension(number: &str, agent_id: Option<String>) -> Extension {
    Extension {
        number: number.into(),
        agent_id,
        ring_timeout_s: 20,
        max_contacts: 3,
        on_limit: OnLimit::Reject,
        codecs: Document(vec![CodecName::Opus, CodecName::Pcma]),
    }
}

fn trunk(host: &str) -> Trunk {
    let gateway = Gateway { uri: format!("sip:{host}"), transport: GatewayTransport::Udp, priority: 10, weight: 100 };
    Trunk {
        name: "carrier".into(),
        enabled: true,
        gateways: Document(vec![gateway]),
        inbound: Document(Inbound {
            cidrs: vec!["203.0.113.0/24".parse().unwrap()],
            auth: None,
            tls_names: Vec::new(),
        }),
        media_cidrs: Document(vec!["198.51.100.0/24".parse().unwrap()]),
        codecs: Document(vec![CodecName::Pcmu]),
        caller_id: Document(CallerId {
            fallback: Some("+4930123456".into()),
            format: CallerIdFormat::E164WithoutPlus,
            ..CallerId::default()
        }),
        dtmf: DtmfMode::Inband,
        max_channels: 30,
        settings: Document::default(),
        secrets: Document::default(),
    }
}

fn number(trunk_id: &str, target: Option<&str>) -> Number {
    Number {
        e164: "+4930999".into(),
        trunk_id: trunk_id.into(),
        target: target.map(|id| Target(id.into())),
        label: Some("hotline".into()),
    }
}

fn page() -> Page {
    Page { after: String::new(), limit: 10 }
}

async fn resources_round_trip(store: Store) {
    let ada = store.create_agent(agent("ada")).await.unwrap();
    let phone = store.create_extension(extension("1001", Some(ada.id.clone()))).await.unwrap();
    let carrier = store.create_trunk(trunk("192.0.2.1")).await.unwrap();
    let hotline = store.create_number(number(&carrier.id, Some(&phone.id))).await.unwrap();
    assert_eq!(store.agent(&ada.id).await.unwrap(), ada);
    assert_eq!(store.extensions(&page()).await.unwrap(), std::slice::from_ref(&phone));
    assert_eq!(store.trunk(&carrier.id).await.unwrap(), carrier);
    assert_eq!(store.number(&hotline.id).await.unwrap(), hotline);
    let directory = store.directory().borrow().clone();
    let seen = &directory.extensions["1001"];
    assert_eq!((seen.ring_timeout, seen.max_contacts), (Duration::from_secs(20), 3));
    assert_eq!(seen.codecs, [media::Codec::Opus, media::Codec::Pcma]);
    assert_eq!(directory.numbers["+4930999"].extension.as_deref(), Some("1001"));
    assert_eq!(
        directory.trunks[&carrier.id].gateways[0].hops[0].address,
        "192.0.2.1:5060".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(directory.trunks[&carrier.id].border.caller_id.format, switchboard::NumberFormat::E164WithoutPlus);
    assert_eq!(directory.trunks[&carrier.id].media.dtmf, media::Dtmf::Inband);
    let changed = Trunk { dtmf: DtmfMode::Info, ..trunk("192.0.2.1") };
    let changed = store.update_trunk(&carrier.id, 1, changed).await.unwrap();
    assert_eq!(
        (changed.value.dtmf, store.trunk(&carrier.id).await.unwrap().value.dtmf),
        (DtmfMode::Info, DtmfMode::Info)
    );
}

/// The database as it was before trunks said how digits travel, opened again.
async fn older_trunks(store: Store, url: String) {
    use super::sql::execute;
    let carrier = store.create_trunk(trunk("192.0.2.1")).await.unwrap();
    execute!(&store, "ALTER TABLE trunks DROP COLUMN dtmf").unwrap();
    execute!(&store, "DELETE FROM _sqlx_migrations WHERE version = 2").unwrap();
    store.close().await;
    let store = open(&url, "phone.test").await;
    assert_eq!(store.trunk(&carrier.id).await.unwrap().value.dtmf, DtmfMode::Auto);
    assert_eq!(store.directory().borrow().trunks[&carrier.id].media.dtmf, media::Dtmf::Auto);
    store.close().await;
}

async fn old_versions(store: Store) {
    let ada = store.create_agent(agent("ada")).await.unwrap();
    let changed = store.update_agent(&ada.id, 1, agent("grace")).await.unwrap();
    assert_eq!((changed.version, changed.value.display_name.as_str()), (2, "grace"));
    assert!(matches!(store.update_agent(&ada.id, 1, agent("old")).await, Err(StoreError::Changed)));
    assert!(matches!(store.delete_agent(&ada.id, 1).await, Err(StoreError::Changed)));
    store.delete_agent(&ada.id, 2).await.unwrap();
    assert!(store.directory().borrow().agents.is_empty());
}

async fn faults(store: Store) {
    store.create_agent(agent("ada")).await.unwrap();
    let taken = store.create_agent(agent("ada")).await;
    assert!(matches!(taken, Err(StoreError::Taken { field: "external_id" })), "{taken:?}");
    let dangling = store.create_extension(extension("1001", Some("agt_none".into()))).await;
    assert!(matches!(dangling, Err(StoreError::Dangling { field: "agent_id" })), "{dangling:?}");
    let carrier = store.create_trunk(trunk("192.0.2.1")).await.unwrap();
    let dangling = store.create_number(number(&carrier.id, Some("ext_none"))).await;
    assert!(matches!(dangling, Err(StoreError::Dangling { field: "target/id" })), "{dangling:?}");
    let dangling = store.create_number(number("trk_none", None)).await;
    assert!(matches!(dangling, Err(StoreError::Dangling { field: "trunk_id" })), "{dangling:?}");
}

async fn references(store: Store) {
    let ada = store.create_agent(agent("ada")).await.unwrap();
    let phone = store.create_extension(extension("1001", Some(ada.id.clone()))).await.unwrap();
    let carrier = store.create_trunk(trunk("192.0.2.1")).await.unwrap();
    store.create_number(number(&carrier.id, Some(&phone.id))).await.unwrap();
    assert!(matches!(store.delete_agent(&ada.id, 1).await, Err(StoreError::InUse(_))));
    assert!(matches!(store.delete_extension(&phone.id, 1).await, Err(StoreError::InUse(_))));
    assert!(matches!(store.delete_trunk(&carrier.id, 1).await, Err(StoreError::InUse(_))));
}

fn credential(extension_id: &str) -> Credential {
    Credential { extension_id: extension_id.into(), username: "1001".into(), tag: None }
}

async fn cascade(store: Store) {
    let phone = store.create_extension(extension("1001", None)).await.unwrap();
    let made = store.create_credential(credential(&phone.id), "correct horse").await.unwrap();
    assert_eq!(store.credentials(&phone.id, &page()).await.unwrap(), std::slice::from_ref(&made));
    let wanted = sip::Ha1::new("1001", "phone.test", "correct horse");
    let held = store.directory().borrow().credentials["1001"].ha1.clone();
    assert_eq!((held.md5, held.sha256), (wanted.md5, wanted.sha256));
    store.delete_extension(&phone.id, 1).await.unwrap();
    assert!(matches!(store.credential(&made.id).await, Err(StoreError::NotFound(_))));
    assert!(store.directory().borrow().credentials.is_empty());
}

async fn other_nodes(store: Store, url: String) {
    let other = open(&url, "phone.test").await;
    store.create_extension(extension("1001", None)).await.unwrap();
    assert!(other.directory().borrow().extensions.is_empty());
    other.publish().await.unwrap();
    assert!(other.directory().borrow().extensions.contains_key("1001"));
    other.close().await;
}

async fn crowds(store: Store) {
    let mut making = tokio::task::JoinSet::new();
    for number in 1000..1060 {
        let store = store.clone();
        making.spawn(async move {
            let number = number.to_string();
            store.create_extension(extension(&number, None)).await.unwrap();
            assert!(store.directory().borrow().extensions.contains_key(&number), "in force once it is answered");
        });
    }
    making.join_all().await;
    assert_eq!(store.directory().borrow().extensions.len(), 60);
}

async fn api_keys(store: Store) {
    let minted = store.create_api_key("crm", &["agents:read".into(), "calls:control".into()]).await.unwrap();
    assert_eq!(store.authenticate(&minted.token).await.unwrap().as_ref(), Some(&minted.key));
    for wrong in ["", "pk_", "pk_00000000_x", &minted.token[..minted.token.len() - 1], &minted.token[3..]] {
        assert_eq!(store.authenticate(wrong).await.unwrap(), None, "{wrong}");
    }
    store.revoke_api_key(&minted.key.id).await.unwrap();
    assert_eq!(store.authenticate(&minted.token).await.unwrap(), None);
    assert!(matches!(store.revoke_api_key(&minted.key.id).await, Err(StoreError::NotFound(_))));
}

async fn idempotency(store: Store) {
    let answer = Replay { status: 201, headers: "{}".into(), body: "{\"id\":\"x\"}".into() };
    assert_eq!(store.claim("a", "body").await.unwrap(), Claim::New);
    assert_eq!(store.claim("a", "body").await.unwrap(), Claim::Running);
    assert_eq!(store.claim("a", "other").await.unwrap(), Claim::Mismatch);
    store.keep_answer("a", &answer).await.unwrap();
    assert_eq!(store.claim("a", "body").await.unwrap(), Claim::Answered(answer));
    store.release("a").await.unwrap();
    assert_eq!(store.claim("a", "other").await.unwrap(), Claim::New);
}

async fn call_records(store: Store) {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let record = |id: &str| switchboard::CallRecord {
        call: switchboard::CallView {
            id: switchboard::CallId(id.into()),
            direction: switchboard::Direction::Outbound,
            state: switchboard::CallState::Ending,
            from: "1001".into(),
            to: "+4930999".into(),
            started_at: start,
            answered_at: Some(start + Duration::from_secs(3)),
            agent_id: None,
            trunk_id: None,
            legs: Vec::new(),
            transfers: Vec::new(),
            participants: Vec::new(),
        },
        ringing_at: None,
        ended_at: start + Duration::from_secs(63),
        result: switchboard::CallResult::Answered,
        sip_status: 200,
        q850: Some(16),
        ended_by: switchboard::EndedBy::Callee,
        explanation: "the called side hung up".into(),
        statistics: Vec::new(),
    };
    let (sender, task) = record_writer(store.clone());
    for id in ["call_1", "call_2", "call_1"] {
        sender.send(record(id));
    }
    drop(sender);
    task.await.unwrap();
    let cdrs = store.cdrs(&page()).await.unwrap();
    assert_eq!(cdrs.len(), 2);
    let cdr = store.cdr("call_1").await.unwrap();
    assert_eq!((cdr.talk_s, cdr.sip_code, cdr.q850, cdr.result.as_str()), (60, 200, Some(16), "answered"));
    assert_eq!(store.cdr(&cdr.id).await.unwrap(), cdr);
}

async fn realms(store: Store, url: String) {
    let phone = store.create_extension(extension("1001", None)).await.unwrap();
    let made = store.create_credential(credential(&phone.id), "correct horse").await.unwrap();
    let moved = open(&url, "other.test").await;
    assert!(moved.directory().borrow().credentials.is_empty());
    moved.rotate_credential(&made.id, made.version, "correct horse").await.unwrap();
    assert!(moved.directory().borrow().credentials.contains_key("1001"));
    moved.close().await;
}

async fn addresses(store: Store) {
    let carrier = store.create_trunk(trunk("carrier.test:5070")).await.unwrap();
    let directory = store.directory();
    let seen = || directory.borrow().trunks[&carrier.id].gateways[0].hops.clone();
    assert!(seen().is_empty());
    let place = Place { host: "carrier.test:5070".to_owned(), transport: Some(sip::Transport::Udp) };
    assert!(store.places().iter().eq([&place]));
    let address: SocketAddr = "192.0.2.7:5070".parse().unwrap();
    let hop = switchboard::Hop::new(sip::Transport::Udp, address);
    store.set_locations([(place, Location { hops: vec![hop], problem: None })].into()).await;
    assert_eq!(seen(), [hop]);
    store.create_agent(agent("Ada")).await.unwrap();
    assert_eq!(seen(), [hop], "also after the directory was read anew");
}
