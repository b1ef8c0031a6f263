//! A gateway to test against, and its peers.

pub(crate) mod audio;
pub(crate) mod browser;
pub(crate) mod gateway;
pub(crate) mod name_server;
pub(crate) mod phone;
pub(crate) mod socket;
pub(crate) mod tls;

use std::time::Duration;

/// How long anything may take. Generous: the machine may be busy; a test that passes never waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}
