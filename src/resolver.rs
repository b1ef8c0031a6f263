//! Resolves the trunks' gateways (A and AAAA) beside the call path: at regular times and whenever the directory changes. A host
//! that stops resolving keeps its last addresses; calls never wait for a name server.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::store::{Addresses, Store, host_and_port, numeric};

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(30);

/// For one host; a name server that does not answer must not hold up the others for long.
const DEADLINE: Duration = Duration::from_secs(5);

/// How often changes made by other nodes are looked for: a credential works everywhere in the second it was made.
const OTHERS: Duration = Duration::from_millis(500);

/// Starts the task that resolves gateways and follows the changes of other nodes; it ends when `stop` is cancelled.
#[must_use]
pub fn start(store: Store, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        tokio::join!(resolve_for_ever(&store, &stop), follow_others(&store, &stop));
    })
}

async fn resolve_for_ever(store: &Store, stop: &CancellationToken) {
    let mut directory = store.directory();
    let mut known = Addresses::new();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let only_new = tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => false,
            changed = directory.changed() => {
                if changed.is_err() {
                    return;
                }
                true
            }
        };
        let hosts = store.gateway_hosts();
        known.retain(|host, _| hosts.contains(host));
        let wanted: Vec<_> = hosts
            .into_iter()
            .filter(|host| numeric(host).is_none() && !(only_new && known.contains_key(host)))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let lookups = futures_util::future::join_all(wanted.into_iter().map(resolve));
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = lookups => found,
        };
        known.extend(found.into_iter().flatten());
        store.set_addresses(known.clone()).await;
    }
}

async fn resolve(host: String) -> Option<(String, Vec<std::net::SocketAddr>)> {
    let (name, port) = host_and_port(&host);
    let addresses: Vec<_> = match timeout(DEADLINE, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            tracing::warn!(%host, %error, "a trunk's gateway cannot be resolved");
            return None;
        }
        Err(_) => {
            tracing::warn!(%host, "a trunk's gateway cannot be resolved: the name server does not answer");
            return None;
        }
    };
    (!addresses.is_empty()).then_some((host, addresses))
}

async fn follow_others(store: &Store, stop: &CancellationToken) {
    let mut ticks = interval(OTHERS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match store.publish().await {
            Ok(()) => failing = false,
            Err(error) => {
                // Once, not twice a second: calls go on with the directory as it is.
                if !failing {
                    tracing::error!(%error, "the database does not answer");
                }
                failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Document, Gateway, GatewayTransport, Trunk};

    fn trunk(name: &str, host: &str) -> Trunk {
        let gateway = Gateway { uri: format!("sip:{host}"), transport: GatewayTransport::Udp, priority: 1, weight: 1 };
        Trunk { name: name.into(), enabled: true, gateways: Document(vec![gateway]), ..Trunk::default() }
    }

    #[tokio::test]
    async fn a_new_trunks_host_is_looked_up_at_once_and_one_that_does_not_exist_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = crate::config::Config::default().database;
        database.url = format!("sqlite://{}/patchcord.db", folder.path().display());
        let store = Store::open(&database, "phone.test").await.unwrap();
        let stop = CancellationToken::new();
        let resolver = start(store.clone(), stop.clone());
        store.create_trunk(trunk("lost", "nowhere.invalid")).await.unwrap();
        store.create_trunk(trunk("found", "localhost:5070")).await.unwrap();
        let mut directory = store.directory();
        let resolved = directory.wait_for(|directory| {
            let addresses =
                |trunk: &switchboard::Trunk| trunk.gateways.iter().flat_map(|gateway| &gateway.hops).count();
            directory.trunks.values().any(|trunk| addresses(trunk) > 0)
        });
        let directory = timeout(Duration::from_secs(20), resolved).await.unwrap().unwrap().clone();
        let found = directory.trunks.values().find(|trunk| trunk.name == "found").unwrap();
        assert!(
            found.gateways[0]
                .hops
                .iter()
                .map(|hop| hop.address)
                .all(|address| address.ip().is_loopback() && address.port() == 5070)
        );
        assert_eq!(found.gateways[0].host, "localhost:5070");
        stop.cancel();
        timeout(Duration::from_secs(20), resolver).await.unwrap().unwrap();
    }
}
