//! The flows the signalling task can write to: the UDP socket, and connections by their name. Opens connections to trunks over
//! TCP and inside TLS on demand. Never waits for a socket.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{ConnectionId, Flow, TlsId, Transmit, Transport};
use switchboard::Directory;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use crate::net::{Inbox, Writer, address, tcp, tls};

/// Connections opened to trunks at once. One more is not opened: its request fails, and the next gateway gets its chance.
const DIALLED: usize = 256;

/// A WebSocket must see a REGISTER or a call succeed within this time of its opening, or it is closed.
const PROOF_DEADLINE: Duration = Duration::from_secs(30);

/// TLS settings that are remembered: those of the directory, and of running calls whose trunk has others by now.
const TLS_SETTINGS: usize = 1024;

/// A message could not be sent on this flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreachable(pub(super) Flow);

/// Everything that can be written to.
pub(super) struct Flows {
    udp: Arc<UdpSocket>,
    udp_local: IpAddr,
    inbox: Inbox,
    stop: CancellationToken,
    connections: HashMap<ConnectionId, Connection>,
    /// Connections by peer: TCP for flows that name none, WebSockets for what is known of them by their peer.
    by_peer: HashMap<Peer, ConnectionId>,
    dialled: usize,
    /// What connections inside TLS are opened with.
    tls: HashMap<TlsId, Arc<tls::Client>>,
    /// WebSockets in the order of their opening; each has the same time to prove itself.
    unproven: VecDeque<(Instant, ConnectionId)>,
}

/// Connections that may take each other's place have the same: two trunks at one address may not.
type Peer = (Transport, SocketAddr, Option<TlsId>);

fn peer(flow: Flow) -> Peer {
    (flow.transport, flow.peer, flow.tls)
}

struct Connection {
    flow: Flow,
    writer: Writer,
    proven: bool,
    dialled: bool,
}

impl Flows {
    pub(super) fn new(udp: Arc<UdpSocket>, inbox: Inbox, stop: CancellationToken) -> Self {
        // A bound socket knows its address.
        let udp_local = udp.local_addr().map_or(IpAddr::from([0, 0, 0, 0]), |local| local.ip());
        Self {
            udp,
            udp_local,
            inbox,
            stop,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            dialled: 0,
            tls: HashMap::new(),
            unproven: VecDeque::new(),
        }
    }

    /// The trunks' TLS settings may have changed. Connections there are go on; who has other settings now is dialled anew.
    pub(super) fn handle_directory(&mut self, directory: &Directory) {
        if self.tls.len() + directory.tls.len() > TLS_SETTINGS {
            self.tls.retain(|id, _| directory.tls.contains_key(id));
        }
        for (id, peer) in &directory.tls {
            self.tls.entry(*id).or_insert_with(|| Arc::new(tls::Client::new(Arc::clone(peer))));
        }
    }

    /// A peer connected.
    pub(super) fn opened(&mut self, now: Instant, flow: Flow, writer: Writer) {
        let Some(connection) = flow.connection else { return };
        if flow.transport.is_websocket() {
            self.unproven.push_back((now + PROOF_DEADLINE, connection));
        }
        self.by_peer.insert(peer(flow), connection);
        self.add(connection, Connection { flow, writer, proven: false, dialled: false });
    }

    fn add(&mut self, id: ConnectionId, connection: Connection) {
        crate::metrics::connections_changed(connection.flow.transport, 1.0);
        self.connections.insert(id, connection);
    }

    /// A connection is gone. The flow without a name that used it, when we had opened it.
    pub(super) fn closed(&mut self, id: ConnectionId) -> Option<Unreachable> {
        let connection = self.connections.remove(&id)?;
        let flow = connection.flow;
        crate::metrics::connections_changed(flow.transport, -1.0);
        if self.by_peer.get(&peer(flow)) == Some(&id) {
            self.by_peer.remove(&peer(flow));
        }
        self.dialled -= usize::from(connection.dialled);
        connection.dialled.then_some(Unreachable(Flow { connection: None, ..flow }))
    }

    /// Somebody has authenticated on this connection.
    pub(super) fn prove(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.proven = true;
            connection.writer.prove();
        }
    }

    /// Somebody has authenticated on the WebSocket from this peer.
    pub(super) fn prove_peer(&mut self, transport: Transport, peer: SocketAddr) {
        if let Some(id) = self.by_peer.get(&(transport, peer, None)).copied() {
            self.prove(id);
        }
    }

    /// Closes what had its time to prove itself and did not.
    pub(super) fn close_unproven(&mut self, now: Instant) {
        while let Some((deadline, id)) = self.unproven.front().copied() {
            if deadline > now {
                return;
            }
            self.unproven.pop_front();
            if let Some(connection) = self.connections.get(&id).filter(|connection| !connection.proven) {
                tracing::info!(connection = id.0, "nobody authenticated on a WebSocket in time: closed");
                crate::metrics::unproven_closed();
                connection.writer.close();
            }
        }
    }

    /// When `close_unproven` is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.unproven.front().map(|(deadline, _)| *deadline)
    }

    /// Closes a connection; its end is told by itself.
    pub(super) fn close(&self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id) {
            connection.writer.close();
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the flow is gone or cannot be opened.
    pub(super) fn send(&mut self, transmit: Transmit) -> Result<(), Unreachable> {
        let Transmit { flow, bytes } = transmit;
        match (flow.transport, flow.connection) {
            (Transport::Udp, _) => self.send_datagram(flow, &bytes),
            (_, Some(id)) => {
                self.connections.get(&id).ok_or(Unreachable(flow))?.writer.send(bytes);
                Ok(())
            }
            (Transport::Tcp | Transport::Tls, None) => self.send_or_dial(flow, bytes),
            (Transport::Ws | Transport::Wss, None) => Err(Unreachable(flow)),
        }
    }

    fn send_datagram(&self, flow: Flow, bytes: &[u8]) -> Result<(), Unreachable> {
        match self.udp.try_send_to(bytes, address::native(flow.peer, self.udp_local)) {
            Ok(_) => Ok(()),
            // The kernel's buffer is full: dropped and counted; the transaction sends it again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                crate::metrics::queue_full("udp");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "a datagram could not be sent");
                Err(Unreachable(flow))
            }
        }
    }

    fn send_or_dial(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Unreachable> {
        let open = self.by_peer.get(&peer(flow)).and_then(|id| self.connections.get(id));
        if let Some(connection) = open {
            connection.writer.send(bytes);
            return Ok(());
        }
        // Whom to expect there is not known: nobody is.
        let settings = flow.tls.and_then(|id| self.tls.get(&id)).cloned();
        if self.dialled >= DIALLED || (flow.transport == Transport::Tls && settings.is_none()) {
            crate::metrics::connection_refused(flow.transport);
            return Err(Unreachable(flow));
        }
        let id = self.inbox.next_connection();
        let (writer, outbox) = Writer::new();
        writer.send(bytes);
        self.dialled += 1;
        self.by_peer.insert(peer(flow), id);
        let named = Flow { connection: Some(id), ..flow };
        self.add(id, Connection { flow: named, writer, proven: true, dialled: true });
        let (inbox, stop) = (self.inbox.clone(), self.stop.clone());
        match settings {
            Some(settings) => drop(tokio::spawn(tls::connect(named, settings, inbox, outbox, stop))),
            None => drop(tokio::spawn(tcp::connect(flow.peer, id, inbox, outbox, stop))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Outbox, udp};

    fn flows() -> (Flows, tokio::sync::mpsc::Receiver<crate::net::Inbound>) {
        let (inbox, inbound) = Inbox::new();
        let socket = udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        (Flows::new(socket, inbox, CancellationToken::new()), inbound)
    }

    fn open(flows: &mut Flows, now: Instant, number: u16) -> (Flow, Outbox) {
        let (writer, outbox) = Writer::new();
        let peer = SocketAddr::from(([127, 0, 0, 1], number));
        let flow = Flow { transport: Transport::Wss, peer, connection: Some(ConnectionId(number.into())), tls: None };
        flows.opened(now, flow, writer);
        (flow, outbox)
    }

    #[tokio::test]
    async fn a_websocket_nobody_authenticates_on_is_closed_in_time_and_a_proven_one_stays() {
        let (mut flows, _inbound) = flows();
        let now = Instant::now();
        let (_, mut idle) = open(&mut flows, now, 1);
        let (_, mut registered) = open(&mut flows, now, 2);
        let (_, mut calling) = open(&mut flows, now, 3);
        flows.prove(ConnectionId(2));
        flows.prove_peer(Transport::Wss, SocketAddr::from(([127, 0, 0, 1], 3)));
        assert_eq!(flows.deadline(), Some(now + PROOF_DEADLINE));
        flows.close_unproven(now + PROOF_DEADLINE - Duration::from_millis(1));
        assert!(!idle.is_closed());
        flows.close_unproven(now + PROOF_DEADLINE);
        assert!(idle.is_closed() && !registered.is_closed() && !calling.is_closed());
        assert_eq!(flows.deadline(), None);
        assert_eq!(idle.next().await, None);
        assert!(registered.waiting().is_none() && calling.waiting().is_none());
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_closed_and_a_gone_one_unreachable() {
        let (mut flows, _inbound) = flows();
        let (flow, outbox) = open(&mut flows, Instant::now(), 1);
        let transmit = || Transmit { flow, bytes: Bytes::from_static(b"x") };
        let sent =
            std::iter::repeat_with(|| flows.send(transmit())).take(100_000).take_while(|_| !outbox.is_closed()).count();
        assert!(outbox.is_closed(), "after {sent}");
        assert_eq!(flows.closed(ConnectionId(1)), None);
        assert_eq!(flows.send(transmit()), Err(Unreachable(flow)));
    }

    #[tokio::test]
    async fn tcp_connections_opened_at_once_are_bounded_and_come_free_again() {
        let (mut flows, _inbound) = flows();
        let to = |port| Flow {
            transport: Transport::Tcp,
            peer: SocketAddr::from(([127, 0, 0, 1], port)),
            connection: None,
            tls: None,
        };
        let send = |flows: &mut Flows, port| flows.send(Transmit { flow: to(port), bytes: Bytes::from_static(b"x") });
        for port in 1..=256 {
            assert_eq!(send(&mut flows, port), Ok(()));
        }
        assert_eq!(send(&mut flows, 256), Ok(()), "the one there is used again");
        assert_eq!(send(&mut flows, 257), Err(Unreachable(to(257))));
        assert_eq!(flows.closed(ConnectionId(1)), Some(Unreachable(to(1))));
        assert_eq!(send(&mut flows, 257), Ok(()));
    }
}
