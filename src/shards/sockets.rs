//! A shard's sockets: the one all its browsers share, and a pair for each trunk leg (RTP on an even port, RTCP on the next: RFC
//! 3550 §11). Binds, names and closes them.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

use media::{LocalPort, SocketId, Transmit};
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use smallvec::SmallVec;

use crate::net::address;

/// The kernel's buffer of the socket all browsers of a shard share: a second of 1,000 legs would be 8 MB; a shard is never away for half.
const BROWSER_BUFFER: usize = 4 * 1024 * 1024;

/// The kernel's buffer of a trunk leg: many seconds of one call.
const TRUNK_BUFFER: usize = 256 * 1024;

/// Packets given to the kernel with one system call.
const AT_ONCE: usize = 32;

/// What is made for one such call.
type Batch<T> = SmallVec<[T; AT_ONCE]>;

/// Pairs tried when other processes have ports of our range: the media thread has audio to carry meanwhile.
const RANGE_ATTEMPTS: usize = 16;

/// Attempts to find an even free port with a free one behind it among the kernel's own choice.
const EPHEMERAL_ATTEMPTS: usize = 64;

/// The trunk ports of one shard: every n-th pair of the configured range, so that shards never compete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    /// The first even port; 0 takes any.
    first: u16,
    /// How many pairs there are.
    pairs: u16,
    /// From one pair to the next.
    step: u16,
}

impl PortRange {
    /// The share of shard `index` of `shards`.
    pub(crate) fn share(min: u16, max: u16, index: usize, shards: usize) -> Self {
        let none = Self { first: 0, pairs: 0, step: 0 };
        if min == 0 {
            return none;
        }
        let min = usize::from(min).next_multiple_of(2);
        let all = (usize::from(max) + 1).saturating_sub(min) / 2;
        let pairs = all.saturating_sub(index).div_ceil(shards.max(1));
        let narrow = |number: usize| u16::try_from(number).ok();
        match (narrow(min + 2 * index), narrow(pairs), narrow(2 * shards)) {
            (Some(first), Some(pairs), Some(step)) => Self { first, pairs, step },
            // So many shards that nothing is left for this one: it takes any port rather than none.
            (None, _, _) | (_, None, _) | (_, _, None) => none,
        }
    }

    /// The even port of every pair.
    fn ports(self) -> impl Iterator<Item = u16> {
        (0..self.pairs)
            .filter_map(move |pair| pair.checked_mul(self.step).and_then(|offset| self.first.checked_add(offset)))
    }
}

/// Every socket of a shard.
#[derive(Debug)]
pub(crate) struct Sockets {
    registry: Registry,
    open: HashMap<SocketId, UdpSocket>,
    browsers: SocketAddr,
    advertised: IpAddr,
    /// The even ports of pairs not in use, the one closed last at the end: it rests as long as possible, so that a late packet of
    /// its last call meets nobody. `None` when any port will do.
    free: Option<VecDeque<u16>>,
    next_id: u32,
}

impl Sockets {
    /// Binds the browsers' socket. `advertised` is told to trunks.
    pub(crate) fn new(
        registry: Registry,
        browsers: SocketAddr,
        advertised: IpAddr,
        range: PortRange,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(browsers)?;
        let granted = enlarge(&socket, BROWSER_BUFFER);
        if granted < BROWSER_BUFFER {
            let wanted = BROWSER_BUFFER;
            tracing::info!(
                granted,
                wanted,
                "raise net.core.rmem_max, or a busy media thread that stands still loses packets"
            );
        }
        let browsers = socket.local_addr()?;
        let mut sockets = Self {
            registry,
            open: HashMap::new(),
            browsers,
            advertised,
            free: (range.first != 0).then(|| range.ports().collect()),
            next_id: SocketId::BROWSERS.0,
        };
        sockets.add(socket)?;
        Ok(sockets)
    }

    /// Where browsers' media arrives.
    pub(crate) fn browsers(&self) -> SocketAddr {
        self.browsers
    }

    /// Reads a packet; `None` when the socket is closed.
    pub(crate) fn receive(&self, id: SocketId, buffer: &mut [u8]) -> Option<io::Result<(usize, SocketAddr)>> {
        let received = self.open.get(&id)?.recv_from(buffer);
        Some(received.map(|(length, from)| (length, address::canonical(from))))
    }

    /// Sends a packet; `None` when the socket is closed.
    pub(crate) fn send(&self, id: SocketId, to: SocketAddr, packet: &[u8]) -> Option<io::Result<usize>> {
        Some(self.open.get(&id)?.send_to(packet, address::native(to, self.browsers.ip())))
    }

    /// Sends packets from the socket that all browsers share, so many with one system call; gives how many the kernel took.
    pub(crate) fn send_to_browsers(&self, packets: &[Transmit]) -> usize {
        let Some(socket) = self.open.get(&SocketId::BROWSERS) else { return 0 };
        packets.chunks(AT_ONCE).map(|batch| self.send_batch(socket, batch)).sum()
    }

    fn send_batch(&self, socket: &UdpSocket, packets: &[Transmit]) -> usize {
        let local = self.browsers.ip();
        let addresses: Batch<SocketAddrAny> =
            packets.iter().map(|packet| address::native(packet.to, local).into()).collect();
        let slices: Batch<[IoSlice<'_>; 1]> = packets.iter().map(|packet| [IoSlice::new(&packet.bytes)]).collect();
        let mut controls: Batch<SendAncillaryBuffer<'_, '_, '_>> =
            packets.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let parts = addresses.iter().zip(&slices).zip(&mut controls);
        let mut messages: Batch<MMsgHdr<'_>> =
            parts.map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control)).collect();
        let (mut taken, mut left) = (0, messages.as_mut_slice());
        while !left.is_empty() {
            let done = match sendmmsg(socket, left, SendFlags::empty()) {
                Ok(sent) => {
                    taken += sent;
                    sent
                }
                // No room: what follows finds none either.
                Err(Errno::WOULDBLOCK) => break,
                // The first is refused, which says nothing of the next.
                Err(_) => 1,
            };
            left = left.get_mut(done.max(1)..).unwrap_or_default();
        }
        taken
    }

    /// Binds a pair for a trunk leg.
    ///
    /// # Errors
    /// When no pair is free, or descriptors have run out.
    pub(crate) fn bind_pair(&mut self) -> io::Result<LocalPort> {
        let (port, rtp, rtcp) = if self.free.is_none() { self.any_pair()? } else { self.free_pair()? };
        let watched = self.watch_pair(rtp, rtcp);
        if watched.is_err() {
            self.give_back(port);
        }
        let (rtp, rtcp) = watched?;
        Ok(LocalPort { rtp, rtcp, advertised: SocketAddr::new(self.advertised, port) })
    }

    fn watch_pair(&mut self, rtp: UdpSocket, rtcp: UdpSocket) -> io::Result<(SocketId, SocketId)> {
        enlarge(&rtp, TRUNK_BUFFER);
        let rtp = self.add(rtp)?;
        let rtcp = self.add(rtcp).inspect_err(|_| self.close(rtp))?;
        Ok((rtp, rtcp))
    }

    /// Closes a pair.
    pub(crate) fn release(&mut self, port: LocalPort) {
        self.close(port.rtp);
        self.close(port.rtcp);
        self.give_back(port.advertised.port());
    }

    fn give_back(&mut self, port: u16) {
        if let Some(free) = &mut self.free {
            free.push_back(port);
        }
    }

    fn close(&mut self, id: SocketId) {
        if let Some(mut socket) = self.open.remove(&id)
            && let Err(error) = self.registry.deregister(&mut socket)
        {
            tracing::warn!(%error, "a media socket was not watched");
        }
    }

    fn add(&mut self, mut socket: UdpSocket) -> io::Result<SocketId> {
        let id = SocketId(self.next_id);
        // Four thousand million pairs later; the oldest of them are long closed.
        self.next_id = self.next_id.checked_add(1).unwrap_or(SocketId::BROWSERS.0 + 1);
        self.registry.register(&mut socket, Token(id.0 as usize), Interest::READABLE)?;
        self.open.insert(id, socket);
        Ok(id)
    }

    fn free_pair(&mut self) -> io::Result<(u16, UdpSocket, UdpSocket)> {
        let mut last = io::Error::new(io::ErrorKind::AddrInUse, "every RTP port is in use");
        for _ in 0..RANGE_ATTEMPTS {
            let Some(port) = self.free.as_mut().and_then(VecDeque::pop_front) else { break };
            match self.bind(port) {
                Ok((rtp, rtcp)) => return Ok((port, rtp, rtcp)),
                Err(error) => {
                    self.give_back(port);
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn any_pair(&self) -> io::Result<(u16, UdpSocket, UdpSocket)> {
        let mut last = io::Error::new(io::ErrorKind::AddrInUse, "no pair of RTP ports is free");
        for _ in 0..EPHEMERAL_ATTEMPTS {
            let probe = UdpSocket::bind(SocketAddr::new(self.browsers.ip(), 0))?;
            let even = probe.local_addr()?.port() & !1;
            drop(probe);
            match self.bind(even) {
                Ok((rtp, rtcp)) => return Ok((even, rtp, rtcp)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        let next = port.checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let rtp = UdpSocket::bind(SocketAddr::new(self.browsers.ip(), port))?;
        Ok((rtp, UdpSocket::bind(SocketAddr::new(self.browsers.ip(), next))?))
    }
}

/// Asks for a receive buffer; the kernel gives what it allows.
fn enlarge(socket: &UdpSocket, bytes: usize) -> usize {
    let socket = socket2::SockRef::from(socket);
    if let Err(error) = socket.set_recv_buffer_size(bytes) {
        tracing::debug!(%error, "a receive buffer stays as it is");
    }
    // Linux says twice what it takes packets for.
    socket.recv_buffer_size().unwrap_or_default() / 2
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn sockets(range: PortRange) -> Sockets {
        let poll = mio::Poll::new().unwrap();
        let local = IpAddr::from([127, 0, 0, 1]);
        Sockets::new(poll.registry().try_clone().unwrap(), SocketAddr::new(local, 0), local, range).unwrap()
    }

    #[test]
    fn rtp_is_even_rtcp_the_next_and_both_are_closed_again() {
        let mut sockets = sockets(PortRange::share(0, 0, 0, 1));
        let port = sockets.bind_pair().unwrap();
        let address = |sockets: &Sockets, id| sockets.open[&id].local_addr().unwrap().port();
        assert_eq!(port.advertised.port() % 2, 0);
        assert_eq!(address(&sockets, port.rtp), port.advertised.port());
        assert_eq!(address(&sockets, port.rtcp), port.advertised.port() + 1);
        assert_eq!(sockets.open.len(), 3);
        sockets.release(port);
        assert_eq!(sockets.open.len(), 1);
    }

    #[test]
    fn shards_share_the_range_without_overlap() {
        let all: Vec<u16> = (0..3)
            .flat_map(|index| {
                let range = PortRange::share(20_001, 20_020, index, 3);
                range.ports()
            })
            .collect();
        assert_eq!(all.len(), 9);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 9);
        assert!(all.iter().all(|port| port % 2 == 0 && (20_002..=20_018).contains(port)), "{all:?}");
        assert_eq!(PortRange::share(20_000, 65_535, 0, 1).ports().last(), Some(65_534));
    }

    #[test]
    fn a_used_up_range_is_an_error_and_a_released_pair_is_found_again() {
        // One pair that is free now.
        let mut probe = sockets(PortRange::share(0, 0, 0, 1));
        let port = probe.bind_pair().unwrap();
        let free = port.advertised.port();
        probe.release(port);
        let mut sockets = sockets(PortRange::share(free, free + 1, 0, 1));
        let port = sockets.bind_pair().unwrap();
        assert_eq!(port.advertised.port(), free);
        assert_eq!(sockets.bind_pair().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        sockets.release(port);
        assert_eq!(sockets.bind_pair().unwrap().advertised.port(), free);
    }
}
