//! SIP over a stream (RFC 3261 §18.3, keep-alives by RFC 5626 §3.5.1 and §4.4.1), whatever it is inside of: cut into messages, read and
//! written until one side has enough. Opens and accepts nothing.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use sip::{ConnectionId, Flow, Framed, StreamFramer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::ConnectionLimits;
use super::{Inbound, Inbox, Outbox};

/// Connections a listener accepts in all: trunks are few, each with a handful of connections.
const CONNECTIONS: usize = 1024;

/// Connections a listener accepts from one address.
const CONNECTIONS_PER_ADDRESS: usize = 64;

/// A started message must be whole, and the first one there, within this time: a trickle of bytes holds no connection.
pub(super) const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);

/// A connection that carried nothing for this long is closed; trunks ping far more often.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// Between two pings of ours on a connection we opened: NATs and firewalls forget silent ones after some minutes.
const PING: Duration = Duration::from_secs(60);

/// The kernel asks a silent peer whether it is still there after this time.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// For one write; a peer that does not read for this long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// To say goodbye inside TLS.
const FAREWELL: Duration = Duration::from_secs(1);

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// What a listener for trunks takes.
pub(super) fn limits() -> ConnectionLimits {
    ConnectionLimits::new(CONNECTIONS, CONNECTIONS, CONNECTIONS_PER_ADDRESS)
}

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    /// We did, and speak first: the peer need not say anything until it is asked.
    Us,
    /// The peer did, because it has something to say.
    Peer,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Carried {
    /// Whether the peer ever said anything.
    pub(super) heard: bool,
    /// What the stream failed with, when it did.
    pub(super) result: io::Result<()>,
}

/// Reads and writes until either side closes or a deadline passes.
pub(super) async fn carry<S>(
    mut stream: S,
    flow: Flow,
    opener: Opener,
    inbox: &Inbox,
    outbox: Outbox,
    stop: &CancellationToken,
) -> Carried
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let done = Carrying::new(&mut stream, flow, opener, inbox, outbox).run(stop).await;
    // Inside TLS an end without goodbye looks like an attack; a peer that is gone does not hear it.
    if timeout(FAREWELL, stream.shutdown()).await.is_err() {
        tracing::trace!(transport = %flow.transport, "a peer did not hear the end of its connection");
    }
    done
}

struct Carrying<'a, S> {
    stream: &'a mut S,
    flow: Flow,
    inbox: &'a Inbox,
    outbox: Outbox,
    framer: StreamFramer,
    /// When the connection is closed unless something comes of it.
    deadline: Instant,
    mid_message: bool,
    /// When the peer is pinged next.
    ping: Option<Instant>,
    heard: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Carrying<'a, S> {
    fn new(stream: &'a mut S, flow: Flow, opener: Opener, inbox: &'a Inbox, outbox: Outbox) -> Self {
        let now = Instant::now();
        let (first, ping) = match opener {
            Opener::Us => (IDLE, Some(now + PING)),
            Opener::Peer => (MESSAGE_DEADLINE, None),
        };
        let framer = StreamFramer::new();
        Self { stream, flow, inbox, outbox, framer, deadline: now + first, mid_message: false, ping, heard: false }
    }

    async fn run(mut self, stop: &CancellationToken) -> Carried {
        let result = match self.exchange(stop).await {
            // Who objects to us may have said so before it closed.
            Err(error) if !self.heard => Err(self.objection().await.unwrap_or(error)),
            result => result,
        };
        Carried { heard: self.heard, result }
    }

    /// What reading fails with, once nothing can be written any more.
    async fn objection(&mut self) -> Option<io::Error> {
        let mut rest = BytesMut::with_capacity(READ);
        timeout(FAREWELL, self.stream.read_buf(&mut rest)).await.ok()?.err()
    }

    async fn exchange(&mut self, stop: &CancellationToken) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(READ);
        loop {
            let ping = self.ping;
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(self.deadline) => return Ok(()),
                () = sleep_until(ping.unwrap_or(self.deadline)), if ping.is_some() => {
                    write(self.stream, b"\r\n\r\n").await?;
                    self.ping = Some(Instant::now() + PING);
                }
                read = self.stream.read_buf(&mut buffer) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.heard = true;
                    self.framer.push(&buffer.split());
                    let Some(found) = self.deliver_all().await? else { return Ok(()) };
                    buffer.reserve(READ);
                    self.heard(found);
                }
                message = self.outbox.next() => {
                    let Some(message) = message else { return Ok(()) };
                    write(self.stream, &message).await?;
                    if !self.mid_message {
                        self.deadline = self.deadline.max(Instant::now() + IDLE);
                    }
                }
            }
        }
        while let Some(message) = self.outbox.waiting() {
            write(self.stream, &message).await?;
        }
        Ok(())
    }

    /// Bytes alone do not move the deadline of a message: only its end does.
    fn heard(&mut self, found: bool) {
        let begun = self.framer.is_mid_message();
        if !begun && found {
            self.deadline = Instant::now() + IDLE;
        } else if begun && (found || !self.mid_message) {
            self.deadline = Instant::now() + MESSAGE_DEADLINE;
        }
        self.mid_message = begun;
    }

    /// Hands on every whole message and answers pings. Whether there was any; `None` when the connection cannot go on.
    async fn deliver_all(&mut self) -> io::Result<Option<bool>> {
        let (flow, mut found) = (self.flow, false);
        loop {
            match self.framer.poll() {
                Ok(None) => return Ok(Some(found)),
                Ok(Some(Framed::Message(bytes))) => {
                    if self.inbox.deliver(Inbound::Message { flow, bytes }).await.is_err() {
                        return Ok(None);
                    }
                }
                Ok(Some(Framed::Ping)) => write(self.stream, b"\r\n").await?,
                Ok(Some(Framed::Pong)) => {}
                Err(error) => {
                    crate::metrics::framing_failed(flow.transport);
                    tracing::debug!(%error, transport = %flow.transport, "a connection broke the framing rules");
                    return Ok(None);
                }
            }
            found = true;
        }
    }
}

/// Tells the end of a connection, and why it was never one.
pub(super) async fn close(inbox: &Inbox, connection: ConnectionId, refused: Option<String>) {
    // After the signalling task's end nobody is left to be told.
    if inbox.deliver(Inbound::Closed { connection, refused }).await.is_err() {
        tracing::trace!(connection = connection.0, "closed after the end");
    }
}

/// Options of every socket that carries SIP.
pub(super) fn prepare(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    let set = stream.set_nodelay(true).and_then(|()| socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = set {
        tracing::debug!(%error, "a TCP option could not be set");
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    timeout(WRITE_DEADLINE, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
