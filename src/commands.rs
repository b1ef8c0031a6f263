//! The commands that do not serve: `check`, `init`, `import-freeswitch` and `api-key`. They print to standard output; errors are left to `main`.

use std::path::Path;
use std::process::ExitCode;

use switchboard::Dialplan;

use crate::api::unknown_scopes;
use crate::cli::{ApiKey, ImportFreeswitch};
use crate::config::{self, Config, ConfigErrors};
use crate::import_freeswitch::{ImportError, News, import};
use crate::init::{InitError, Made, init};
use crate::music::{self, MusicFileError};
use crate::store::{Page, Store, StoreError};

/// API keys listed in one step.
const PAGE: i64 = 200;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The dialplan is wrong: every mistake, one a line.
    #[error("{0}")]
    Dialplan(String),
    /// The music on hold cannot be played.
    #[error(transparent)]
    Music(#[from] MusicFileError),
    /// The first start could not be prepared.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The database failed, or has no such key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A FreeSWITCH configuration could not be taken over, or not to its end.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A scope that does not exist.
    #[error("unknown scopes: {0}; known are {known}", known = crate::api::SCOPES.join(", "))]
    Scopes(String),
}

/// Reads the dialplan's files in the order of their names.
///
/// # Errors
/// Every mistake in every file, or why the folder cannot be read.
pub fn read_dialplan(directory: &Path) -> Result<Dialplan, CommandError> {
    let unreadable = |path: &Path, error: std::io::Error| {
        CommandError::Dialplan(format!("{}: cannot be read: {error}", path.display()))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        paths.push(entry.map_err(|error| unreadable(directory, error))?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut files = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        files.push((path.display().to_string(), text));
    }
    Dialplan::parse(&files).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        CommandError::Dialplan(lines.join("\n"))
    })
}

/// `patchcord check`: configuration, dialplan and music on hold; a wrong configuration leaves the dialplan's folder unknown.
///
/// # Errors
/// Everything that is wrong.
pub fn check(path: &Path) -> Result<(), CommandError> {
    let config = config::load(path)?;
    read_dialplan(&config.dialplan.directory)?;
    music::load(&config.media.music_on_hold)?;
    println!("{}: the configuration and the dialplan are right", path.display());
    Ok(())
}

/// `patchcord init`: prints each secret it made, this once.
///
/// # Errors
/// When something cannot be made.
pub async fn prepare(path: &Path, demo: bool) -> Result<(), CommandError> {
    let config = config::load(path)?;
    let show = |made| match made {
        Made::Certificate => println!("made a development certificate: {}", config.http.certificate.display()),
        Made::ApiKey(key) => println!("administrator's API key (shown this once): {}", key.token),
        Made::Demo(demo) => {
            println!("demo agent's address: {}", demo.address);
            println!("demo agent's secret (shown this once): {}", demo.secret);
            println!("to phone: open {}, sign in as the demo agent and call 9196, the echo test", page_url(&config));
        }
    };
    Ok(init(&config, demo, show).await?)
}

/// Where the page is, as seen from this host.
fn page_url(config: &Config) -> String {
    let listen = config.http.https_listen;
    if listen.ip().is_unspecified() {
        format!("https://localhost:{}", listen.port())
    } else {
        format!("https://{listen}")
    }
}

/// `patchcord api-key …`
///
/// # Errors
/// When the configuration is wrong, the database fails, or there is no such key or scope.
pub async fn api_key(command: &ApiKey) -> Result<(), CommandError> {
    match command {
        ApiKey::Create { config, name, scopes } => {
            let unknown = unknown_scopes(scopes);
            if !unknown.is_empty() {
                return Err(CommandError::Scopes(unknown.join(", ")));
            }
            let store = open(&config::load(&config.path)?).await?;
            let minted = store.create_api_key(name, scopes).await?;
            println!("{} (shown this once): {}", minted.key.id, minted.token);
            store.close().await;
        }
        ApiKey::List { config } => {
            let store = open(&config::load(&config.path)?).await?;
            let mut page = Page { after: String::new(), limit: PAGE };
            loop {
                let keys = store.api_keys(&page).await?;
                for key in &keys {
                    println!("{}  pk_{}_…  {}  {}", key.id, key.prefix, key.name, key.scopes.join(","));
                }
                let Some(last) = keys.last() else { break };
                page.after.clone_from(&last.id);
            }
            store.close().await;
        }
        ApiKey::Revoke { config, id } => {
            let store = open(&config::load(&config.path)?).await?;
            store.revoke_api_key(id).await?;
            println!("{id} is revoked");
            store.close().await;
        }
    }
    Ok(())
}

/// `patchcord import-freeswitch`: prints what is made as it is made, with each new secret, this once; then what was not carried over.
/// The code is 2 when something could not be carried over at all.
///
/// # Errors
/// When the folder cannot be read, or the database fails.
pub async fn import_freeswitch(options: &ImportFreeswitch) -> Result<ExitCode, CommandError> {
    let store = open(&config::load(&options.config.path)?).await?;
    let (mut dropped, mut refused) = (Vec::new(), Vec::new());
    let verb = if options.dry_run { "would make" } else { "made" };
    let done = import(&store, &options.folder, options.domain.as_deref(), options.dry_run, |news| match news {
        News::Made { kind, name, secret: None } => println!("{verb} {kind} {name}"),
        News::Made { kind, name, secret: Some(secret) } => {
            println!("{verb} {kind} {name}, secret (shown this once): {secret}");
        }
        News::There { kind, name } => println!("there is {kind} {name} already: left as it is"),
        News::Dropped { place, what } => dropped.push(format!("  {place}: {what}")),
        News::Refused { place, what } => refused.push(format!("  {place}: {what}")),
    })
    .await;
    store.close().await;
    for (title, lines) in [("not carried over", &dropped), ("not carried over at all", &refused)] {
        if !lines.is_empty() {
            println!("{title}:\n{}", lines.join("\n"));
        }
    }
    done?;
    Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn open(config: &Config) -> Result<Store, StoreError> {
    Store::open(&config.database, &config.sip.domain).await
}
