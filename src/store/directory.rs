//! Makes the [`Directory`] the switchboard works from out of the tables, and publishes it.

mod border;
mod dialogs;
mod tls;
mod trunk;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sip::Ha1;
use switchboard::Directory;
use tokio::sync::watch;

use super::sql::{Pool, rows};
use super::{Agent, Extension, Location, Locations, Number, OnLimit, Place, Store, StoreError, Stored, Trunk};
pub(crate) use tls::peer as tls_peer;
use trunk::{hops, trunk};

const REVISION: &str = "SELECT revision FROM directory_revision WHERE id = 1";

const SECRETS: &str = "SELECT id, username, extension_id, realm, ha1_md5, ha1_sha256 FROM credentials";

/// What the directory is made of, as it was at one moment.
struct Tables {
    revision: i64,
    agents: Vec<Stored<Agent>>,
    extensions: Vec<Stored<Extension>>,
    secrets: Vec<Secret>,
    trunks: Vec<Stored<Trunk>>,
    numbers: Vec<Stored<Number>>,
}

#[derive(sqlx::FromRow)]
struct Secret {
    id: String,
    username: String,
    extension_id: String,
    realm: String,
    ha1_md5: String,
    ha1_sha256: String,
}

impl Store {
    /// The directory, now and whenever it changes.
    #[must_use]
    pub fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        self.shared.directory.subscribe()
    }

    /// Counts the changes of what the directory holds, by whichever node made them.
    pub(super) async fn revision(&self) -> Result<i64, StoreError> {
        let (revision,) = rows!(self, (i64,), fetch_one, REVISION)?;
        Ok(revision)
    }

    /// Publishes the directory when it is not the published one: by whichever node or process it was changed. Whoever waited while
    /// another published finds its own change published with it.
    ///
    /// # Errors
    /// When the database fails; the directory stays as it was.
    pub async fn publish(&self) -> Result<(), StoreError> {
        let mut published = self.shared.published.lock().await;
        if self.revision().await? != *published {
            let tables = self.tables().await?;
            let (store, revision) = (self.clone(), tables.revision);
            // With very many agents it takes longer than anybody who shares the thread shall wait.
            let made = tokio::task::spawn_blocking(move || Arc::new(store.directory_of(tables)));
            let directory = made.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
            *published = revision;
            self.shared.directory.send_replace(directory);
        }
        Ok(())
    }

    /// Publishes a change that is committed already, so that a failure is not the change's: the next look at the revision, a
    /// second from now at most, makes it good.
    pub(super) async fn publish_change(&self) {
        if let Err(error) = self.publish().await {
            tracing::error!(%error, "a change is stored but not in force yet");
        }
    }

    /// The gateways of all enabled trunks that have to be looked up to be found.
    #[must_use]
    pub fn places(&self) -> HashSet<Place> {
        let directory = self.shared.directory.borrow();
        let gateways = directory.trunks.values().filter(|trunk| trunk.enabled).flat_map(|trunk| &trunk.gateways);
        gateways.filter(|gateway| numeric(&gateway.host, gateway.transport).is_none()).map(place).collect()
    }

    /// What was found when a gateway was looked up last; `None` before the first time.
    #[must_use]
    pub fn location(&self, gateway: &switchboard::Gateway) -> Option<Location> {
        self.shared.locations.read().unwrap_or_else(PoisonError::into_inner).get(&place(gateway)).cloned()
    }

    /// Takes where the gateways' servers are and puts it into the published directory.
    pub async fn set_locations(&self, locations: Locations) {
        // Held so that a snapshot being read does not publish the old addresses after these.
        let _published = self.shared.published.lock().await;
        {
            let mut known = self.shared.locations.write().unwrap_or_else(PoisonError::into_inner);
            if *known == locations {
                return;
            }
            known.clone_from(&locations);
        }
        self.shared.directory.send_if_modified(|directory| {
            let mut next = Directory::clone(directory);
            for gateway in next.trunks.values_mut().flat_map(|trunk| &mut trunk.gateways) {
                gateway.hops = hops(&gateway.host, gateway.transport, &locations);
            }
            tls::name_settings(&mut next);
            let hops_of = |directory: &Directory| -> Vec<_> {
                let gateways = directory.trunks.values().flat_map(|trunk| &trunk.gateways);
                gateways.flat_map(|gateway| &gateway.hops).copied().collect()
            };
            let changed = hops_of(&next) != hops_of(directory);
            if changed {
                *directory = Arc::new(next);
            }
            changed
        });
    }

    /// Reads the tables in one transaction: a change in between would make a picture that never was.
    async fn tables(&self) -> Result<Tables, StoreError> {
        macro_rules! read {
            ($transaction:expr) => {{
                let mut transaction = $transaction;
                let (revision,) = sqlx::query_as(REVISION).fetch_one(&mut *transaction).await?;
                Tables {
                    revision,
                    agents: sqlx::query_as("SELECT * FROM agents").fetch_all(&mut *transaction).await?,
                    extensions: sqlx::query_as("SELECT * FROM extensions").fetch_all(&mut *transaction).await?,
                    secrets: sqlx::query_as(SECRETS).fetch_all(&mut *transaction).await?,
                    trunks: sqlx::query_as("SELECT * FROM trunks").fetch_all(&mut *transaction).await?,
                    numbers: sqlx::query_as("SELECT * FROM numbers").fetch_all(&mut *transaction).await?,
                }
            }};
        }
        Ok(match &self.pool {
            // With a write-ahead log a transaction sees what was there at its first read.
            Pool::Sqlite(db) => read!(db.begin().await?),
            Pool::Postgres(db) => read!(db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?),
        })
    }

    fn directory_of(&self, tables: Tables) -> Directory {
        let Tables { agents, extensions, secrets, trunks, numbers, .. } = tables;
        let numbers_of: HashMap<_, _> =
            extensions.iter().map(|row| (row.id.clone(), row.value.number.clone())).collect();
        let locations = self.shared.locations.read().unwrap_or_else(PoisonError::into_inner).clone();
        let trunks = trunks.into_iter().map(|row| (row.id.clone(), trunk(row, &locations, self.realm())));
        let mut directory = Directory {
            realm: self.realm().to_owned(),
            agents: agents.into_iter().map(|row| (row.id.clone(), agent(row))).collect(),
            extensions: extensions.into_iter().map(|row| (row.value.number.clone(), extension(row))).collect(),
            credentials: self.credentials_of(secrets, &numbers_of),
            trunks: trunks.collect(),
            numbers: numbers.into_iter().map(|row| (row.value.e164.clone(), number(row, &numbers_of))).collect(),
            tls: HashMap::new(),
        };
        tls::name_settings(&mut directory);
        directory
    }

    fn credentials_of(
        &self,
        secrets: Vec<Secret>,
        numbers: &HashMap<String, String>,
    ) -> HashMap<String, switchboard::Credential> {
        let total = secrets.len();
        let usable: HashMap<_, _> = secrets
            .into_iter()
            .filter(|secret| secret.realm == self.realm())
            .filter_map(|secret| {
                let extension = numbers.get(&secret.extension_id)?.clone();
                let ha1 = Ha1 { md5: digest(&secret.ha1_md5)?, sha256: digest(&secret.ha1_sha256)? };
                let credential =
                    switchboard::Credential { id: secret.id, username: secret.username.clone(), extension, ha1 };
                Some((secret.username, credential))
            })
            .collect();
        if usable.len() < total {
            tracing::warn!(
                count = total - usable.len(),
                realm = self.realm(),
                "credentials were made for another SIP domain and do not work until they are rotated"
            );
        }
        usable
    }
}

fn digest<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn unsigned(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

fn agent(row: Stored<Agent>) -> switchboard::Agent {
    switchboard::Agent {
        id: row.id,
        display_name: row.value.display_name,
        enabled: row.value.enabled,
        caller_id_number: row.value.caller_id_number,
        allowed_caller_ids: row.value.allowed_caller_ids.0,
        dial_policy: switchboard::DialPolicy {
            countries: row.value.dial_policy.0.countries,
            blocked_prefixes: row.value.dial_policy.0.blocked_prefixes,
            max_per_day: row.value.dial_policy.0.max_per_day,
        },
        max_cps: unsigned(row.value.max_cps),
        max_concurrent_calls: unsigned(row.value.max_concurrent_calls),
    }
}

fn extension(row: Stored<Extension>) -> switchboard::Extension {
    switchboard::Extension {
        id: row.id,
        number: row.value.number,
        agent_id: row.value.agent_id,
        ring_timeout: Duration::from_secs(unsigned(row.value.ring_timeout_s).into()),
        max_contacts: usize::try_from(row.value.max_contacts.max(1)).unwrap_or(usize::MAX),
        on_limit: match row.value.on_limit {
            OnLimit::ReplaceOldest => switchboard::OnLimit::ReplaceOldest,
            OnLimit::Reject => switchboard::OnLimit::Reject,
        },
        codecs: row.value.codecs.0.into_iter().map(Into::into).collect(),
    }
}

fn number(row: Stored<Number>, numbers: &HashMap<String, String>) -> switchboard::Number {
    switchboard::Number {
        id: row.id,
        e164: row.value.e164,
        trunk_id: row.value.trunk_id,
        extension: row.value.target.and_then(|target| numbers.get(&target.0).cloned()),
    }
}

fn place(gateway: &switchboard::Gateway) -> Place {
    Place { host: gateway.host.clone(), transport: gateway.transport }
}

/// `192.0.2.1`, `192.0.2.1:5080`, `[2001:db8::1]` or `[2001:db8::1]:5080`.
pub(crate) fn numeric(host: &str, transport: Option<sip::Transport>) -> Option<SocketAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let port = transport.unwrap_or(sip::Transport::Udp).default_port();
    bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
}

/// Host and, where one is named, port of a gateway that is not numeric.
pub(crate) fn host_and_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, Some(port)),
        Some((_, Err(_))) | None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_inside_tls_is_at_port_5061_unless_another_is_written() {
        let tls = Some(sip::Transport::Tls);
        for (host, inside, outside) in [
            ("192.0.2.1", "192.0.2.1:5061", "192.0.2.1:5060"),
            ("192.0.2.1:5071", "192.0.2.1:5071", "192.0.2.1:5071"),
            ("[2001:db8::1]", "[2001:db8::1]:5061", "[2001:db8::1]:5060"),
            ("[2001:db8::1]:5071", "[2001:db8::1]:5071", "[2001:db8::1]:5071"),
        ] {
            let at = |transport| numeric(host, transport).unwrap().to_string();
            assert_eq!((at(tls).as_str(), at(None).as_str()), (inside, outside));
        }
        assert_eq!((numeric("carrier.example", tls), numeric("carrier.example:5071", None)), (None, None));
    }
}
