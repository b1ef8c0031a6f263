//! SIP over TCP (RFC 3261 §18): connections accepted from trunks and opened to them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sip::{ConnectionId, Flow, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::limits::Permit;
use super::stream::{Opener, carry, close, limits, prepare};
use super::{Inbound, Inbox, Outbox, Writer, address};

/// To open a connection. Well below the time a gateway has to say something, so that a request that was too long for a datagram goes
/// out as one all the same (RFC 3261 §18.1.1) before the next gateway is tried.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`.
pub(crate) async fn listen(listener: TcpListener, inbox: Inbox, stop: CancellationToken) {
    let serve = |stream, peer, permit| {
        let (inbox, stop) = (inbox.clone(), stop.clone());
        tokio::spawn(async move {
            let connection = inbox.next_connection();
            let flow = Flow { transport: Transport::Tcp, peer, connection: Some(connection), tls: None };
            let (writer, outbox) = Writer::new();
            if inbox.deliver(Inbound::Opened { flow, writer }).await.is_ok() {
                prepare(&stream);
                let done = carry(stream, flow, Opener::Peer, &inbox, outbox, &stop).await;
                tracing::trace!(connection = connection.0, ?done, "TCP connection closed");
                close(&inbox, connection, None).await;
            }
            drop::<Permit>(permit);
        });
    };
    accept(listener, Transport::Tcp, &stop, serve).await;
}

/// Accepts connections as long as there is room, until `stop`.
pub(super) async fn accept(
    listener: TcpListener,
    transport: Transport,
    stop: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr, Permit),
) {
    let limits = limits();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, address::canonical(peer)),
            Err(error) => {
                tracing::warn!(%error, %transport, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match limits.admit(peer.ip()) {
            Some(permit) => serve(stream, peer, permit),
            None => crate::metrics::connection_refused(transport),
        }
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
        opened = open(peer) => opened,
    };
    let flow = Flow { transport: Transport::Tcp, peer, connection: Some(connection), tls: None };
    let refused = match opened {
        Ok(stream) => {
            let done = carry(stream, flow, Opener::Us, &inbox, outbox, &stop).await;
            tracing::trace!(connection = connection.0, ?done, "TCP connection closed");
            None
        }
        Err(reason) => {
            tracing::warn!(reason, connection = connection.0, "a trunk's gateway cannot be reached over TCP");
            Some(reason)
        }
    };
    close(&inbox, connection, refused).await;
}

/// A connection, or why there is none.
pub(super) async fn open(peer: SocketAddr) -> Result<TcpStream, String> {
    match timeout(CONNECT_DEADLINE, TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => {
            prepare(&stream);
            Ok(stream)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err("it refuses the TCP connection".to_owned())
        }
        Ok(Err(error)) => Err(format!("no TCP connection to it: {error}")),
        Err(_) => Err("it does not answer the TCP connection".to_owned()),
    }
}
