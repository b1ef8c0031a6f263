//! The graceful stop: no new calls, running ones drained up to a deadline, then BYE on both legs; last of all the call records.

use std::time::Duration;

use switchboard::Operator;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Running;
use crate::signalling::Activity;

/// For the peers to answer the last BYEs, and for trunks to be unregistered: long enough for one retransmission.
const FAREWELL: Duration = Duration::from_secs(2);

/// For open HTTP requests to be answered.
const HTTP_FAREWELL: Duration = Duration::from_secs(1);

impl Running {
    /// From now on new calls are refused with 503 and `/readyz` says so; running calls go on.
    pub async fn drain(&self) {
        self.tables.set_draining(true);
        self.tell(Operator::Drain).await;
    }

    /// Stops: drains until the configured deadline, hangs up what is left, and ends every task and thread. Returns when the last
    /// call record is written.
    pub async fn shutdown(self) {
        let deadline = self.deadline;
        self.shutdown_within(deadline).await;
    }

    /// The same with another deadline for running calls.
    pub async fn shutdown_within(mut self, deadline: Duration) {
        self.drain().await;
        let calls = self.activity.borrow().calls;
        tracing::info!(calls, ?deadline, "stopping: no new calls");
        if !until(&mut self.activity, deadline, |activity| activity.calls == 0).await {
            let calls = self.activity.borrow().calls;
            tracing::warn!(calls, "the deadline has come: hanging up");
            self.tell(Operator::HangupAll).await;
        }
        if !until(&mut self.activity, FAREWELL, |activity| *activity == Activity::default()).await {
            tracing::info!("some peers did not answer their BYE or REGISTER in time");
        }
        self.end().await;
    }

    async fn tell(&self, operator: Operator) {
        if let Err(error) = self.gateway.operator(operator).await {
            tracing::warn!(%error, "the switchboard could not be told to stop");
        }
    }

    async fn end(self) {
        self.tables.set_listening(false);
        for (handle, _) in &self.http {
            handle.graceful_shutdown(Some(HTTP_FAREWELL));
        }
        self.stop.cancel();
        let mut tasks = self.tasks;
        tasks.push(self.signalling);
        tasks.extend(self.http.into_iter().map(|(_, task)| task));
        // The signalling task held the last sender of call records: their writer ends after it, with everything written.
        tasks.push(self.records);
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task did not end well");
            }
        }
        let threads = self.threads;
        if let Err(error) = tokio::task::spawn_blocking(move || threads.join()).await {
            tracing::error!(%error, "the media threads did not end well");
        }
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// Waits until `quiet`, but no longer than `deadline`; whether it came to that.
async fn until(
    activity: &mut watch::Receiver<Activity>,
    deadline: Duration,
    quiet: impl FnMut(&Activity) -> bool,
) -> bool {
    matches!(timeout(deadline, activity.wait_for(quiet)).await, Ok(Ok(_)))
}
