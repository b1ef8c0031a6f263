//! SIP over TCP (RFC 3261 §18.3, keep-alives by RFC 5626 §4.4.1): connections accepted from trunks and opened to them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sip::{ConnectionId, Flow, Framed, StreamFramer, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::ConnectionLimits;
use super::{Inbound, Inbox, Outbox, Writer, address};

/// Connections accepted in all: trunks are few, each with a handful of connections.
const CONNECTIONS: usize = 1024;

/// Connections accepted from one address.
const CONNECTIONS_PER_ADDRESS: usize = 64;

/// A started message must be whole, and the first one there, within this time: a trickle of bytes holds no connection.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);

/// A connection that carried nothing for this long is closed; trunks ping far more often.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The kernel asks a silent peer whether it is still there after this time.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// To open a connection; well below the 32 s of a transaction, so that the next gateway gets its chance.
const CONNECT_DEADLINE: Duration = Duration::from_secs(4);

/// For one write; a peer that does not read for this long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// Accepts connections until `stop`.
pub(crate) async fn listen(listener: TcpListener, inbox: Inbox, stop: CancellationToken) {
    let limits = ConnectionLimits::new(CONNECTIONS, CONNECTIONS_PER_ADDRESS);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, address::canonical(peer)),
            Err(error) => {
                tracing::warn!(%error, "a TCP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(permit) = limits.admit(peer.ip()) else {
            crate::metrics::connection_refused(Transport::Tcp);
            continue;
        };
        let (inbox, stop) = (inbox.clone(), stop.clone());
        tokio::spawn(async move {
            let connection = inbox.next_connection();
            let flow = Flow { transport: Transport::Tcp, peer, connection: Some(connection), tls: None };
            let (writer, outbox) = Writer::new();
            if inbox.deliver(Inbound::Opened { flow, writer }).await.is_ok() {
                carry(stream, flow, &inbox, outbox, stop, MESSAGE_DEADLINE).await;
                close(&inbox, connection).await;
            }
            drop(permit);
        });
    }
}

/// Opens a connection and carries it; what is written meanwhile waits in the outbox. The signalling task knows the connection
/// already: only its end is told.
pub(crate) async fn connect(
    peer: SocketAddr,
    connection: ConnectionId,
    inbox: Inbox,
    outbox: Outbox,
    stop: CancellationToken,
) {
    let opened = tokio::select! {
        () = stop.cancelled() => return,
        opened = timeout(CONNECT_DEADLINE, TcpStream::connect(peer)) => opened,
    };
    let flow = Flow { transport: Transport::Tcp, peer, connection: Some(connection), tls: None };
    match opened {
        // We speak first: the peer need not say anything until it is asked.
        Ok(Ok(stream)) => carry(stream, flow, &inbox, outbox, stop, IDLE).await,
        Ok(Err(error)) => {
            tracing::warn!(%error, connection = connection.0, "a trunk's gateway refused the TCP connection")
        }
        Err(_) => tracing::warn!(connection = connection.0, "a trunk's gateway did not answer the TCP connection"),
    }
    close(&inbox, connection).await;
}

async fn close(inbox: &Inbox, connection: ConnectionId) {
    // After the signalling task's end nobody is left to be told.
    if inbox.deliver(Inbound::Closed { connection }).await.is_err() {
        tracing::trace!(connection = connection.0, "closed after the end");
    }
}

/// Reads and writes until either side closes or a deadline passes.
async fn carry(
    mut stream: TcpStream,
    flow: Flow,
    inbox: &Inbox,
    mut outbox: Outbox,
    stop: CancellationToken,
    first: Duration,
) {
    prepare(&stream);
    let mut framer = StreamFramer::new();
    let mut buffer = BytesMut::with_capacity(READ);
    let mut deadline = Instant::now() + first;
    let mut mid_message = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep_until(deadline) => return,
            read = stream.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    framer.push(&buffer.split());
                    let Some(found) = deliver_all(&mut framer, flow, inbox, &mut stream).await else { return };
                    buffer.reserve(READ);
                    let begun = framer.is_mid_message();
                    // Bytes alone do not move the deadline of a message: only its end does.
                    if !begun && found {
                        deadline = Instant::now() + IDLE;
                    } else if begun && (found || !mid_message) {
                        deadline = Instant::now() + MESSAGE_DEADLINE;
                    }
                    mid_message = begun;
                }
            },
            message = outbox.next() => {
                let Some(message) = message else { return };
                if !write(&mut stream, &message).await {
                    return;
                }
                if !mid_message {
                    deadline = deadline.max(Instant::now() + IDLE);
                }
            }
        }
    }
    while let Some(message) = outbox.waiting() {
        if !write(&mut stream, &message).await {
            return;
        }
    }
}

/// Hands on every whole message and answers pings. Whether there was any; `None` when the connection cannot go on.
async fn deliver_all(framer: &mut StreamFramer, flow: Flow, inbox: &Inbox, stream: &mut TcpStream) -> Option<bool> {
    let mut found = false;
    loop {
        match framer.poll() {
            Ok(None) => return Some(found),
            Ok(Some(Framed::Message(bytes))) => inbox.deliver(Inbound::Message { flow, bytes }).await.ok()?,
            Ok(Some(Framed::Ping)) => {
                if !write(stream, &Bytes::from_static(b"\r\n")).await {
                    return None;
                }
            }
            Ok(Some(Framed::Pong)) => {}
            Err(error) => {
                crate::metrics::framing_failed(flow.transport);
                tracing::debug!(%error, transport = %flow.transport, "a connection broke the framing rules");
                return None;
            }
        }
        found = true;
    }
}

fn prepare(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    let set = stream.set_nodelay(true).and_then(|()| socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = set {
        tracing::debug!(%error, "a TCP option could not be set");
    }
}

async fn write(stream: &mut TcpStream, bytes: &Bytes) -> bool {
    matches!(timeout(WRITE_DEADLINE, stream.write_all(bytes)).await, Ok(Ok(())))
}
