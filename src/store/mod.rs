//! The database behind one type: SQLite or PostgreSQL, the same SQL on both. Publishes the [`Directory`] after every change;
//! the signalling task never waits for anything in here.

mod agents;
mod api_keys;
mod credentials;
pub(crate) use records::{direction_name, encryption_name, result_name, state_name};
mod directory;
mod error;
mod extensions;
mod following;
mod idempotency;
mod model;
mod numbers;
mod records;
mod sql;
mod trunks;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use switchboard::Directory;
use tokio::sync::{Mutex, watch};

pub use api_keys::{ApiKey, MintedKey};
pub(crate) use directory::{host_and_port, numeric, tls_peer};
pub use error::StoreError;
pub use following::follow_others;
pub use idempotency::{Claim, Replay};
pub use model::{
    Agent, CallerId, CallerIdFormat, CallerIdHeader, ClientKey, CodecName, Credential, DialPolicy, Document, DtmfMode,
    Extension, Gateway, GatewayTransport, HeaderRule, Inbound, InboundAuth, KeptKey, MediaEncryption, Number, OnLimit,
    PacketMillis, Password, PingInterval, Prack, Register, RuleAction, RuleDirection, Secret, SessionTimer, Stored,
    Target, TargetKind, TargetShape, Timestamp, Trunk, TrunkAuth, TrunkDialogs, TrunkSecrets, TrunkSettings, TrunkTls,
};
pub use records::{Cdr, CdrLeg, RECORDS_WAITING, RecordSender, record_writer};

use sql::Pool;

use crate::config;

/// How long a writer waits for another one's lock in SQLite.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer to "does the database answer" is good for.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// The revision before the first.
const NEVER: i64 = -1;

/// A gateway as configured, without what its trunk adds: all that its servers are found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Host, and port if it has one.
    pub host: String,
    /// How it is reached; `None` when the name server chooses.
    pub transport: Option<sip::Transport>,
}

/// Where a gateway's servers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// What was found last.
    pub hops: Vec<switchboard::Hop>,
    /// Why there is nothing, or nothing newer.
    pub problem: Option<String>,
}

/// The gateways that were looked up.
pub type Locations = HashMap<Place, Location>;

/// The database. Cheap to clone; all clones share the connections and the published directory.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    realm: String,
    directory: watch::Sender<Arc<Directory>>,
    locations: RwLock<Locations>,
    /// The revision published last; held while publishing, so that an older snapshot never replaces a newer one.
    published: Mutex<i64>,
    /// When the database was last asked whether it answers, and whether it did.
    asked: Mutex<Option<(Instant, bool)>>,
}

/// Which resources a listing starts after, and how many it takes at most.
#[derive(Debug, Clone)]
pub struct Page {
    /// The id the page before ended with; empty for the first page.
    pub after: String,
    /// Rows at most.
    pub limit: i64,
}

impl Store {
    /// Connects, brings the schema up to date and publishes the first directory. `realm` is the agents' SIP domain.
    ///
    /// # Errors
    /// When the database cannot be reached, created or migrated.
    pub async fn open(database: &config::Database, realm: &str) -> Result<Self, StoreError> {
        let pool = connect(database).await?;
        match &pool {
            Pool::Sqlite(db) => sqlx::migrate!("./migrations").run(db).await?,
            Pool::Postgres(db) => sqlx::migrate!("./migrations").run(db).await?,
        }
        let store = Self {
            pool,
            shared: Arc::new(Shared {
                realm: realm.to_owned(),
                directory: watch::Sender::new(Arc::new(Directory::default())),
                locations: RwLock::default(),
                published: Mutex::new(NEVER),
                asked: Mutex::default(),
            }),
        };
        store.publish().await?;
        Ok(store)
    }

    /// The agents' SIP domain and digest realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.shared.realm
    }

    /// Closes every connection; what is running finishes first.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(db) => db.close().await,
            Pool::Postgres(db) => db.close().await,
        }
    }

    /// Whether the database answers. It is asked once a second at most, however many want to know.
    pub async fn answers(&self) -> bool {
        let mut asked = self.shared.asked.lock().await;
        match *asked {
            Some((at, answers)) if at.elapsed() < ASKED_AGAIN => answers,
            Some(_) | None => {
                let answers = self.revision().await.is_ok();
                *asked = Some((Instant::now(), answers));
                answers
            }
        }
    }
}

async fn connect(database: &config::Database) -> Result<Pool, StoreError> {
    if database.url.starts_with("sqlite:") {
        let options: SqliteConnectOptions = database.url.parse()?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With a write-ahead log this loses nothing but the last commits on a power failure, never consistency.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        if let Some(folder) = options.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        let pool = SqlitePoolOptions::new().max_connections(database.max_connections).acquire_timeout(ACQUIRE_TIMEOUT);
        return Ok(Pool::Sqlite(pool.connect_with(options).await?));
    }
    let options: PgConnectOptions = database.url.parse()?;
    let pool = PgPoolOptions::new().max_connections(database.max_connections).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(Pool::Postgres(pool.connect_with(options).await?))
}

#[cfg(test)]
mod tests;
