//! Makes the [`Directory`] the switchboard works from out of the tables, and publishes it.

mod border;
mod trunk;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sip::Ha1;
use switchboard::Directory;
use tokio::sync::watch;

use super::sql::{Pool, rows};
use super::{Addresses, Agent, Extension, Number, OnLimit, Store, StoreError, Stored, Trunk};
use trunk::{hops, trunk};

/// The default SIP port (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

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
            *published = tables.revision;
            self.shared.directory.send_replace(Arc::new(self.directory_of(tables)));
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

    /// The hosts of all gateways, as configured, and with the port of TLS where none is written.
    #[must_use]
    pub fn gateway_hosts(&self) -> HashSet<String> {
        let directory = self.shared.directory.borrow();
        let gateways = directory.trunks.values().flat_map(|trunk| &trunk.gateways);
        gateways
            .map(|gateway| authority(&gateway.host, gateway.transport.unwrap_or(sip::Transport::Udp)).into_owned())
            .collect()
    }

    /// Takes what the gateways' hosts resolved to and puts it into the published directory.
    pub async fn set_addresses(&self, addresses: Addresses) {
        // Held so that a snapshot being read does not publish the old addresses after these.
        let _published = self.shared.published.lock().await;
        {
            let mut known = self.shared.addresses.write().unwrap_or_else(PoisonError::into_inner);
            if *known == addresses {
                return;
            }
            known.clone_from(&addresses);
        }
        self.shared.directory.send_modify(|directory| {
            for gateway in Arc::make_mut(directory).trunks.values_mut().flat_map(|trunk| &mut trunk.gateways) {
                let transport = gateway.transport.unwrap_or(sip::Transport::Udp);
                gateway.hops = hops(&gateway.host, transport, &addresses);
            }
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
        let addresses = self.shared.addresses.read().unwrap_or_else(PoisonError::into_inner).clone();
        let trunks = trunks.into_iter().map(|row| (row.id.clone(), trunk(row, &addresses)));
        Directory {
            realm: self.realm().to_owned(),
            agents: agents.into_iter().map(|row| (row.id.clone(), agent(row))).collect(),
            extensions: extensions.into_iter().map(|row| (row.value.number.clone(), extension(row))).collect(),
            credentials: self.credentials_of(secrets, &numbers_of),
            trunks: trunks.collect(),
            numbers: numbers.into_iter().map(|row| (row.value.e164.clone(), number(row, &numbers_of))).collect(),
        }
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

/// `192.0.2.1`, `192.0.2.1:5080`, `[2001:db8::1]` or `[2001:db8::1]:5080`.
pub(crate) fn numeric(host: &str) -> Option<SocketAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, SIP_PORT))
}

/// `host[:port]` of a gateway with the port of TLS where none is written; the other transports' is everybody's default.
fn authority(host: &str, transport: sip::Transport) -> Cow<'_, str> {
    let has_port = host.parse::<SocketAddr>().is_ok() || numeric(host).is_none() && host.contains(':');
    if transport != sip::Transport::Tls || has_port {
        return Cow::Borrowed(host);
    }
    let port = transport.default_port();
    match numeric(host) {
        Some(address) => SocketAddr::new(address.ip(), port).to_string(),
        None => format!("{host}:{port}"),
    }
    .into()
}

/// Host and port of a gateway that is not numeric.
pub(crate) fn host_and_port(host: &str) -> (&str, u16) {
    match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, port),
        Some((_, Err(_))) | None => (host, SIP_PORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_inside_tls_is_at_port_5061_unless_another_is_written() {
        let tls = |host| authority(host, sip::Transport::Tls).into_owned();
        for (host, at) in [
            ("carrier.example", "carrier.example:5061"),
            ("carrier.example:5071", "carrier.example:5071"),
            ("192.0.2.1", "192.0.2.1:5061"),
            ("192.0.2.1:5071", "192.0.2.1:5071"),
            ("[2001:db8::1]", "[2001:db8::1]:5061"),
            ("[2001:db8::1]:5071", "[2001:db8::1]:5071"),
        ] {
            assert_eq!(tls(host), at);
            assert_eq!(authority(host, sip::Transport::Tcp), host);
        }
    }
}
