//! The network side of SIP: listeners and connections that turn bytes into [`Inbound`] messages for the signalling task and
//! write what it sends. Frames and limits; understands no SIP beyond Content-Length.

pub(crate) mod address;
pub(crate) mod https;
pub(crate) mod limits;
mod stream;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod udp;
pub(crate) mod websocket;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sip::{ConnectionId, Flow};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use limits::Permit;

/// Messages waiting for the signalling task, which turns one around in tens of microseconds: about a tenth of a second of work.
/// When it is full, connections wait (their peers feel it by flow control) and datagrams are dropped and counted
/// (`patchcord_queue_full_total{queue="inbox"}`); SIP over UDP sends them again.
const INBOX_WAITING: usize = 4096;

/// Messages waiting for one connection's socket. A peer that does not read so many is gone or hostile: when the queue is full, its
/// connection is closed (`patchcord_queue_full_total{queue="connection"}`).
const WRITER_WAITING: usize = 256;

/// What the network tells the signalling task.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A peer connected. Told before anything else of the connection.
    Opened {
        /// The flow, with its connection.
        flow: Flow,
        /// How to write to it.
        writer: Writer,
    },
    /// A datagram or one framed message.
    Message {
        /// Whence it came.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// The peer of a connection has proved by its certificate who it is. Told before any message of the connection.
    Named {
        /// Which.
        connection: ConnectionId,
        /// The names of its certificate, in lower case.
        names: Vec<String>,
    },
    /// A connection is gone. Told last of the connection.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why there never was one, in words, when it could not be opened.
        refused: Option<String>,
    },
}

/// The way into the signalling task; names connections.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    sender: mpsc::Sender<Inbound>,
    connections: Arc<AtomicU64>,
}

/// The signalling task has ended.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Inbox {
    /// An inbox, and its end for the signalling task.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Inbound>) {
        let (sender, receiver) = mpsc::channel(INBOX_WAITING);
        (Self { sender, connections: Arc::default() }, receiver)
    }

    /// A name for a new connection.
    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Delivers, waiting while the inbox is full.
    ///
    /// # Errors
    /// When the signalling task has ended.
    pub(crate) async fn deliver(&self, inbound: Inbound) -> Result<(), Stopped> {
        self.sender.send(inbound).await.map_err(|_| Stopped)
    }

    /// Delivers, or drops and counts while the inbox is full.
    pub(crate) fn offer(&self, inbound: Inbound) {
        if self.sender.try_send(inbound).is_err() {
            crate::metrics::queue_full("inbox");
        }
    }
}

/// The signalling task's side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    messages: mpsc::Sender<Bytes>,
    close: CancellationToken,
    permit: Option<Arc<Permit>>,
}

/// The connection's side.
#[derive(Debug)]
pub(crate) struct Outbox {
    messages: mpsc::Receiver<Bytes>,
    close: CancellationToken,
}

impl Writer {
    /// Both sides.
    pub(crate) fn new() -> (Self, Outbox) {
        let (sender, messages) = mpsc::channel(WRITER_WAITING);
        let close = CancellationToken::new();
        (Self { messages: sender, close: close.clone(), permit: None }, Outbox { messages, close })
    }

    /// Both sides, of a connection whose peer may prove who it is.
    pub(crate) fn of(permit: Arc<Permit>) -> (Self, Outbox) {
        let (writer, outbox) = Self::new();
        (Self { permit: Some(permit), ..writer }, outbox)
    }

    /// The peer has proved who it is.
    pub(crate) fn prove(&self) {
        if let Some(permit) = &self.permit {
            permit.prove();
        }
    }

    /// Leaves a message to be written; never waits. A connection whose queue is full is closed.
    pub(crate) fn send(&self, bytes: Bytes) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.messages.try_send(bytes) {
            crate::metrics::queue_full("connection");
            self.close();
        }
    }

    /// Has the connection closed; what waits to be written is lost.
    pub(crate) fn close(&self) {
        self.close.cancel();
    }
}

impl Outbox {
    /// The next message; `None` when the connection is to be closed.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            () = self.close.cancelled() => None,
            message = self.messages.recv() => message,
        }
    }

    /// Whether the connection is to be closed.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.close.is_cancelled()
    }

    /// A message that waits already.
    pub(crate) fn waiting(&mut self) -> Option<Bytes> {
        self.messages.try_recv().ok()
    }
}
