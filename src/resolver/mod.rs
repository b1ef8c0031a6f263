//! Keeps the trunks' gateways located (RFC 3263), beside the call path: a new one is looked up at once, a known one shortly before what
//! is known of it runs out. What was found stays when the name servers fail; calls never wait for them.

mod locate;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use switchboard::Hop;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::store::{Location, Locations, Place, Store};
use locate::{Located, locate};
use names::Names;

/// For all questions about one gateway. What takes longer counts as unanswered.
const DEADLINE: Duration = Duration::from_secs(15);

/// Gateways looked up at once; further ones wait, and the calls of all go on as before.
const AT_ONCE: usize = 8;

/// Gateways that are kept located; those beyond have no address until others go.
const MAX_PLACES: usize = 1024;

/// Between two attempts while the name servers do not answer: doubled each time up to the longest.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What of its time to live a location is used before it is looked up anew.
const FRESH: f32 = 0.8;

/// What became of one look-up.
type Found = (Place, Option<Result<Located, String>>);

/// What is known of one gateway.
#[derive(Debug, Clone)]
struct Entry {
    location: Location,
    /// When it is looked up again; `None` while it is being looked up.
    due: Option<Instant>,
    failures: u32,
}

/// Starts the task that keeps gateways located; it ends when `stop` is cancelled. `listen` is where SIP over UDP listens.
///
/// # Errors
/// When the resolver cannot be set up.
pub fn start(
    store: Store,
    dns: &config::Dns,
    listen: IpAddr,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, NetError> {
    let resolver = Resolver {
        names: Names::new(dns, listen.is_ipv6())?,
        ttl: dns.min_ttl()..=dns.max_ttl(),
        store,
        known: HashMap::new(),
        lookups: JoinSet::new(),
        room: Arc::new(Semaphore::new(AT_ONCE)),
        warned: HashSet::new(),
    };
    Ok(tokio::spawn(resolver.run(stop)))
}

/// Asks the name servers once, for who wants to know what they say at this moment.
#[derive(Clone)]
pub struct Lookup(Names);

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

impl Lookup {
    /// `listen` is where SIP over UDP listens.
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub fn new(dns: &config::Dns, listen: IpAddr) -> Result<Self, NetError> {
        Names::new(dns, listen.is_ipv6()).map(Self)
    }

    /// The servers of a gateway, none when the name servers know none; why they say nothing, in words.
    pub(crate) async fn servers(&self, place: &Place) -> Result<Vec<Hop>, String> {
        locate(&self.0, place).await.map(|located| located.hops).map_err(|error| error.to_string())
    }
}

struct Resolver {
    names: Names,
    /// What a time to live is kept inside of.
    ttl: std::ops::RangeInclusive<Duration>,
    store: Store,
    known: HashMap<Place, Entry>,
    lookups: JoinSet<Found>,
    room: Arc<Semaphore>,
    /// The places of which was said that they cannot be located: once, not at every attempt.
    warned: HashSet<Place>,
}

impl Resolver {
    async fn run(mut self, stop: CancellationToken) {
        let mut directory = self.store.directory();
        loop {
            self.follow_directory();
            self.look_up_due();
            let due = self.known.values().filter_map(|entry| entry.due).min();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = directory.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(found) = self.lookups.join_next() => {
                    let mut found = vec![found];
                    // Those that are there too: the directory changes once for all.
                    found.extend(std::iter::from_fn(|| self.lookups.try_join_next()));
                    found.into_iter().flatten().for_each(|found| self.take(found));
                    self.publish().await;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// New gateways are due now; those nobody has any more are forgotten.
    fn follow_directory(&mut self) {
        let places = self.store.places();
        self.known.retain(|place, _| places.contains(place));
        self.warned.retain(|place| places.contains(place));
        for place in places {
            if self.known.len() >= MAX_PLACES && !self.known.contains_key(&place) {
                if self.warned.insert(place.clone()) {
                    tracing::warn!(host = place.host, "too many gateways to look up");
                }
                continue;
            }
            self.known.entry(place).or_insert_with(|| Entry {
                location: Location::default(),
                due: Some(Instant::now()),
                failures: 0,
            });
        }
    }

    fn look_up_due(&mut self) {
        let now = Instant::now();
        for (place, entry) in &mut self.known {
            if entry.due.is_none_or(|due| due > now) {
                continue;
            }
            entry.due = None;
            let (place, names, room) = (place.clone(), self.names.clone(), Arc::clone(&self.room));
            self.lookups.spawn(async move {
                let Ok(_turn) = room.acquire_owned().await else { return (place, None) };
                let found = match timeout(DEADLINE, locate(&names, &place)).await {
                    Ok(found) => found.map_err(|error| error.to_string()),
                    Err(_) => Err("the name servers take too long".to_owned()),
                };
                (place, Some(found))
            });
        }
    }

    fn take(&mut self, (place, found): Found) {
        let Some(entry) = self.known.get_mut(&place) else { return };
        let now = Instant::now();
        let problem = match found {
            Some(Ok(located)) => {
                entry.failures = 0;
                let ttl = located.ttl.clamp(*self.ttl.start(), *self.ttl.end());
                entry.due = Some(now + ttl.mul_f32(FRESH));
                let nowhere = || "its name servers know no address of it that may be used".to_owned();
                let problem = located.hops.is_empty().then(nowhere);
                entry.location = Location { hops: located.hops, problem: problem.clone() };
                problem
            }
            Some(Err(error)) => {
                entry.due = Some(now + retry(entry.failures));
                entry.failures = entry.failures.saturating_add(1);
                // What was found before is better than nothing.
                entry.location.problem = Some(error.clone());
                Some(error)
            }
            None => return,
        };
        match problem {
            Some(reason) if self.warned.insert(place.clone()) => {
                tracing::warn!(host = place.host, reason, "a trunk's gateway cannot be located");
            }
            None if self.warned.remove(&place) => {
                tracing::info!(host = place.host, "a trunk's gateway was located again");
            }
            Some(_) | None => {}
        }
    }

    async fn publish(&self) {
        let looked_up =
            self.known.iter().filter(|(_, entry)| !entry.location.hops.is_empty() || entry.location.problem.is_some());
        let locations: Locations = looked_up.map(|(place, entry)| (place.clone(), entry.location.clone())).collect();
        self.store.set_locations(locations).await;
    }
}

fn retry(failures: u32) -> Duration {
    RETRY.saturating_mul(1 << failures.min(8)).min(LONGEST_RETRY)
}
