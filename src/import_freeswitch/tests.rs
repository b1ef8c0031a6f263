use std::path::Path;

use super::*;

const VARIABLES: &str = r#"<include>
  <X-PRE-PROCESS cmd="set" data="domain=phone.test"/>
  <X-PRE-PROCESS cmd="set" data="company_number=+4930 555-0"/>
  <X-PRE-PROCESS cmd="stun-set" data="external_rtp_ip=stun.example.com"/>
</include>"#;

const DOMAIN: &str = r#"<include>
  <domain name="$${domain}">
    <params><param name="dial-string" value="unused"/></params>
    <groups>
      <group name="default"><users><X-PRE-PROCESS cmd="include" data="team/*.xml"/></users></group>
      <group name="sales"><users><user id="1001" type="pointer"/></users></group>
    </groups>
  </domain>
</include>"#;

const HASHED: &str = r#"<include>
  <user id="1001">
    <params>
      <param name="a1-hash" value="HASH"/>
      <param name="vm-password" value="4711"/>
    </params>
    <variables>
      <variable name="effective_caller_id_name" value="Support one"/>
      <variable name="effective_caller_id_number" value="1001"/>
      <variable name="outbound_caller_id_number" value="$${company_number}"/>
      <variable name="toll_allow" value="domestic"/>
    </variables>
  </user>
</include>"#;

const IN_CLEAR: &str = r#"<include>
  <user id="1002"><params><param name="password" value="in-a-file-in-clear"/></params></user>
  <user id="10 03"><params><param name="password" value="x"/></params></user>
</include>"#;

const PROFILE: &str = r#"<profile name="external">
  <gateways><X-PRE-PROCESS cmd="include" data="external/*.xml"/></gateways>
  <settings><param name="sip-port" value="5080"/></settings>
</profile>"#;

const CARRIER: &str = r#"<include>
  <gateway name="carrier one">
    <param name="username" value="customer-17"/>
    <param name="password" value="carrier-secret"/>
    <param name="realm" value="sip.carrier.example"/>
    <param name="proxy" value="sip.carrier.example:5070;transport=tcp"/>
    <param name="expire-seconds" value="600"/>
    <param name="from-domain" value="carrier.example"/>
    <param name="ping" value="25"/>
    <param name="caller-id-in-from" value="true"/>
  </gateway>
  <!-- <gateway name="switched-off"/> -->
</include>"#;

/// FreeSWITCH's folder, and an empty database.
struct Scene {
    folder: tempfile::TempDir,
    store: Store,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join("freeswitch").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let md5 = hex::encode(sip::Ha1::new("1001", "phone.test", "known to nobody").md5).to_uppercase();
        write("vars.xml", VARIABLES);
        write("directory/default.xml", DOMAIN);
        write("directory/team/1001.xml", &HASHED.replace("HASH", &md5));
        write("directory/team/1002.xml", IN_CLEAR);
        write("sip_profiles/external.xml", PROFILE);
        write("sip_profiles/external/carrier.xml", CARRIER);
        write("dialplan/default.xml", "<include/>");
        let mut database = crate::config::Config::default().database;
        database.url = format!("sqlite://{}/patchcord.db", folder.path().display());
        let store = Store::open(&database, "phone.test").await.unwrap();
        Self { folder, store }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("freeswitch")
    }

    async fn import(&self, folder: &Path, domain: Option<&str>, dry_run: bool) -> Vec<News> {
        let mut news = Vec::new();
        import(&self.store, folder, domain, dry_run, |one| news.push(one)).await.unwrap();
        news
    }
}

fn made(news: &[News]) -> Vec<String> {
    let made = news.iter().filter_map(|one| match one {
        News::Made { kind, name, .. } => Some(format!("{kind} {name}")),
        News::There { .. } | News::Dropped { .. } | News::Refused { .. } => None,
    });
    made.collect()
}

fn lost(news: &[News], text: &str) -> bool {
    news.iter().any(|one| matches!(one, News::Dropped { place, what } | News::Refused { place, what } if format!("{place}: {what}").contains(text)))
}

const ALL: [&str; 7] = [
    "agent freeswitch:1001@phone.test",
    "extension 1001",
    "credential 1001",
    "agent freeswitch:1002@phone.test",
    "extension 1002",
    "credential 1002",
    "trunk carrier-one",
];

#[tokio::test]
async fn users_and_gateways_become_agents_extensions_credentials_and_trunks() {
    let scene = Scene::new().await;
    let news = scene.import(&scene.path(), None, false).await;
    assert_eq!(made(&news), ALL);
    let directory = scene.store.directory().borrow().clone();
    let agent = directory.agents.values().find(|agent| agent.display_name == "Support one").unwrap();
    assert_eq!(agent.caller_id_number.as_deref(), Some("+49305550"));
    assert_eq!(directory.extensions["1001"].agent_id.as_ref(), Some(&agent.id));
    let trunk = directory.trunks.values().next().unwrap();
    assert_eq!((trunk.name.as_str(), trunk.gateways[0].host.as_str()), ("carrier-one", "sip.carrier.example:5070"));
    assert_eq!(trunk.gateways[0].transport, Some(sip::Transport::Tcp));
    assert_eq!(trunk.border.caller_id.domain.as_deref(), Some("carrier.example"));
}

#[tokio::test]
async fn a_hash_of_this_domain_keeps_its_secret_and_a_secret_in_clear_is_replaced_and_shown_once() {
    let scene = Scene::new().await;
    let news = scene.import(&scene.path(), None, false).await;
    let secrets = news.iter().filter_map(|one| match one {
        News::Made { secret: Some(secret), name, .. } => Some((name.as_str(), secret.as_str())),
        News::Made { .. } | News::There { .. } | News::Dropped { .. } | News::Refused { .. } => None,
    });
    let secrets: Vec<_> = secrets.collect();
    let [("1002", secret)] = secrets[..] else { panic!("{secrets:?}") };
    let directory = scene.store.directory().borrow().clone();
    let kept = sip::Ha1::new("1001", "phone.test", "known to nobody");
    assert_eq!(directory.credentials["1001"].ha1.md5, kept.md5);
    assert_ne!(directory.credentials["1001"].ha1.sha256, kept.sha256);
    assert_eq!(directory.credentials["1002"].ha1, sip::Ha1::new("1002", "phone.test", secret));
    assert_ne!(directory.credentials["1002"].ha1, sip::Ha1::new("1002", "phone.test", "in-a-file-in-clear"));
}

#[tokio::test]
async fn what_cannot_be_carried_over_is_named_with_its_file_and_line() {
    let scene = Scene::new().await;
    let news = scene.import(&scene.path(), None, false).await;
    for text in [
        "directory/team/1001.xml:2: user 1001: variable toll_allow",
        "directory/team/1001.xml:2: user 1001: parameter vm-password",
        "directory/team/1002.xml:3: user 10 03: /number",
        "sip_profiles/external/carrier.xml:2: gateway carrier one: parameter caller-id-in-from",
        "vars.xml: X-PRE-PROCESS stun-set",
        "dialplan/: routing rules",
    ] {
        assert!(lost(&news, text), "{text} in {news:#?}");
    }
    let told = format!("{news:?}");
    for secret in ["4711", "in-a-file-in-clear", "carrier-secret"] {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_second_import_makes_nothing_and_a_dry_run_never_does() {
    let scene = Scene::new().await;
    let news = scene.import(&scene.path(), None, true).await;
    assert_eq!(made(&news), ALL);
    assert!(scene.store.directory().borrow().agents.is_empty());
    assert!(!news.iter().any(|one| matches!(one, News::Made { secret: Some(_), .. })));
    scene.import(&scene.path(), None, false).await;
    let again = scene.import(&scene.path(), None, false).await;
    assert_eq!(made(&again), [""; 0]);
    assert_eq!(again.iter().filter(|one| matches!(one, News::There { .. })).count(), ALL.len());
}

#[tokio::test]
async fn a_hash_of_another_domain_is_replaced_by_a_new_secret() {
    let scene = Scene::new().await;
    let news = scene.import(&scene.path(), Some("old.example"), false).await;
    assert!(lost(&news, "user 1001: a1-hash is for the domain old.example, not phone.test"), "{news:#?}");
    assert!(news.iter().any(|one| matches!(one, News::Made { name, secret: Some(_), .. } if name == "1001")));
}

#[tokio::test]
async fn somebody_elses_extension_is_left_alone() {
    let scene = Scene::new().await;
    let extension = validate::extension(json!({"number": "1001"})).unwrap();
    scene.store.create_extension(extension).await.unwrap();
    let news = scene.import(&scene.path(), None, false).await;
    assert!(lost(&news, "user 1001: somebody else has this extension already"));
    assert!(!made(&news).iter().any(|one| one.contains("1001")), "{news:#?}");
}

#[tokio::test]
async fn the_folder_of_the_users_alone_finds_its_variables_next_to_it() {
    let scene = Scene::new().await;
    let news = scene.import(&scene.path().join("directory"), None, false).await;
    assert_eq!(made(&news), ALL[..6]);
}

#[tokio::test]
async fn broken_files_loops_and_empty_folders_end_with_a_word_about_it_and_nothing_made() {
    let scene = Scene::new().await;
    let loops = scene.path().join("directory/team/loop.xml");
    std::fs::write(&loops, r#"<include><X-PRE-PROCESS cmd="include" data="loop.xml"/></include>"#).unwrap();
    assert_eq!(made(&scene.import(&scene.path(), None, true).await), ALL);
    std::fs::write(&loops, r#"<include><X-PRE-PROCESS cmd="include" data="../../../outside.xml"/></include>"#).unwrap();
    std::fs::write(scene.folder.path().join("outside.xml"), "<include/>").unwrap();
    assert!(lost(&scene.import(&scene.path(), None, true).await, "lies outside the folder"));
    for text in ["<include><user id='1'>", "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><include>&a;</include>"] {
        std::fs::write(&loops, text).unwrap();
        let error = import(&scene.store, &scene.path(), None, false, |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("loop.xml"), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    let error = import(&scene.store, empty.path(), None, false, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("has no XML files"), "{error}");
    assert!(scene.store.directory().borrow().agents.is_empty());
}
