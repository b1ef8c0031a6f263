//! SIP over UDP (RFC 3261 §18): one socket for every trunk. One datagram is one message.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip::{Flow, Transport};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::{Inbound, Inbox, address};

/// Datagrams read before other tasks get their turn.
const BATCH: usize = 64;

/// The largest datagram there is.
const LARGEST: usize = 65_535;

/// The kernel's buffer for datagrams not yet read: a burst of a thousand INVITEs.
const RECEIVE_BUFFER: usize = 2 * 1024 * 1024;

/// Binds the socket.
///
/// # Errors
/// When the address is taken or not ours.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // The kernel gives what it allows; less only costs retransmissions.
    if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%error, "the receive buffer stays as it is");
    }
    UdpSocket::from_std(socket).map(Arc::new)
}

/// Reads datagrams until `stop`.
pub(crate) async fn listen(socket: Arc<UdpSocket>, inbox: Inbox, stop: CancellationToken) {
    let mut buffer = vec![0; LARGEST];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::error!(%error, "the UDP socket is broken");
                    return;
                }
            }
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, peer)) => receive(&inbox, peer, buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP error of an earlier datagram; its transaction times out by itself.
                Err(error) => tracing::debug!(%error, "a datagram could not be read"),
            }
        }
        tokio::task::yield_now().await;
    }
}

fn receive(inbox: &Inbox, peer: SocketAddr, datagram: &[u8]) {
    // Keep-alives of a NAT: CRLFs (RFC 5626 §3.5.1), zero bytes, or nothing at all.
    if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return;
    }
    let flow = Flow { transport: Transport::Udp, peer: address::canonical(peer), connection: None, tls: None };
    inbox.offer(Inbound::Message { flow, bytes: Bytes::copy_from_slice(datagram) });
}
