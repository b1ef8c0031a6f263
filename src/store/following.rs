//! Follows what other nodes and processes change in the database: a credential works everywhere in the second it was made.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Store;

/// How often changes made by others are looked for.
const INTERVAL: Duration = Duration::from_millis(500);

/// Starts the task that publishes the changes of others; it ends when `stop` is cancelled.
#[must_use]
pub fn follow_others(store: Store, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(INTERVAL);
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
    })
}
