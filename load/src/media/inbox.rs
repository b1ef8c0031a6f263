//! Takes what waits at a socket in one system call, with the time at which the kernel got each packet: the thread need not wake up for
//! a packet to know when it came.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::RawFd;
use std::time::{Duration, Instant, SystemTime};

use nix::cmsg_space;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, setsockopt};
use nix::sys::time::TimeSpec;

/// Packets taken at once: more wait at a socket only after a stall.
const BATCH: usize = 4;
/// Two clocks that are read within this time are read at once.
const NEAR: Duration = Duration::from_micros(5);
/// No packet of a call is longer.
const LONGEST: usize = 2048;

/// The buffers, and what the kernel's clock shows beside ours.
pub(super) struct Inbox {
    buffers: [[u8; LONGEST]; BATCH],
    /// One for each address family: the kernel writes the lengths of addresses into them.
    headers: [MultiHeaders<SockaddrStorage>; 2],
    clocks: (Instant, SystemTime),
    /// The kernel stamps packets as long as there is a socket that asks for it, and begins some time after the first does.
    _stamped: Option<UdpSocket>,
}

/// A packet, whence, and when it came.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) octets: &'a [u8],
}

impl Inbox {
    pub(super) fn new() -> Self {
        let headers = || MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec)));
        Self {
            buffers: [[0; LONGEST]; BATCH],
            headers: [headers(), headers()],
            clocks: compare_clocks(),
            _stamped: UdpSocket::bind("127.0.0.1:0").ok().filter(|socket| stamp(socket).is_ok()),
        }
    }

    /// Sets the clocks by each other.
    pub(super) fn compare_clocks(&mut self) {
        self.clocks = compare_clocks();
    }

    /// Gives everything that waits at a socket of an address family to `take`.
    pub(super) fn empty(&mut self, socket: RawFd, is_v6: bool, mut take: impl FnMut(Packet<'_>)) {
        while self.batch(socket, usize::from(is_v6), &mut take) == BATCH {}
    }

    /// How many there were.
    fn batch(&mut self, socket: RawFd, family: usize, take: &mut impl FnMut(Packet<'_>)) -> usize {
        let clocks = self.clocks;
        let Some(headers) = self.headers.get_mut(family) else { return 0 };
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        // An error of one datagram (ICMP) is not one of the socket, and nothing waits otherwise.
        let Ok(received) = recvmmsg(socket, headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) else { return 0 };
        let mut count = 0;
        for message in received {
            count += 1;
            if let (Some(from), Some(octets)) = (source(&message), message.iovs().next()) {
                take(Packet { at: arrival(&message, clocks), from, octets });
            }
        }
        count
    }
}

/// Has the kernel say when it gets the packets of a socket.
pub(super) fn stamp(socket: &UdpSocket) -> std::io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// What both clocks show at a time. The thread may be kept from working between two looks: the shortest try counts.
fn compare_clocks() -> (Instant, SystemTime) {
    let mut best: Option<(Duration, Instant, SystemTime)> = None;
    for _ in 0..8 {
        let (before, wall) = (Instant::now(), SystemTime::now());
        let took = before.elapsed();
        if best.is_none_or(|(shortest, ..)| took < shortest) {
            best = Some((took, before, wall));
        }
        if took < NEAR {
            break;
        }
    }
    best.map_or_else(|| (Instant::now(), SystemTime::now()), |(_, now, wall)| (now, wall))
}

fn source(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SocketAddr> {
    let address = message.address?;
    let v4 = address.as_sockaddr_in().map(|it| SocketAddr::V4(SocketAddrV4::new(it.ip(), it.port())));
    let v6 = || {
        let it = address.as_sockaddr_in6()?;
        Some(SocketAddr::V6(SocketAddrV6::new(it.ip(), it.port(), it.flowinfo(), it.scope_id())))
    };
    v4.or_else(v6)
}

/// When the kernel got a packet, by our clock.
fn arrival(message: &RecvMsg<'_, '_, SockaddrStorage>, (now, wall): (Instant, SystemTime)) -> Instant {
    let stamp = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|it| if let ControlMessageOwned::ScmTimestampns(at) = it { Some(at) } else { None })
    });
    let stamp = stamp.and_then(|at| {
        let (seconds, nanos) = (u64::try_from(at.tv_sec()).ok()?, u32::try_from(at.tv_nsec()).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
    });
    let Some(stamp) = stamp else { return now };
    match wall.duration_since(stamp) {
        Ok(ago) => now.checked_sub(ago).unwrap_or(now),
        Err(later) => now + later.duration(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// How long after its sending a packet came that is taken 2 ms after it.
    fn delay(
        inbox: &mut Inbox,
        socket: &UdpSocket,
        peer: &UdpSocket,
        lengths: std::ops::RangeInclusive<usize>,
    ) -> Duration {
        let (to, begin) = (socket.local_addr().unwrap(), Instant::now());
        for length in lengths.clone() {
            peer.send_to(&[7; LONGEST][..length], to).unwrap();
        }
        let sent = Instant::now();
        while sent.elapsed() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
        inbox.compare_clocks();
        let mut seen = Vec::new();
        inbox.empty(socket.as_raw_fd(), to.is_ipv6(), |packet| {
            assert_eq!(packet.from, peer.local_addr().unwrap());
            seen.push((packet.octets.len(), packet.at));
        });
        assert_eq!(seen.iter().map(|it| it.0).collect::<Vec<_>>(), lengths.collect::<Vec<_>>());
        assert!(seen.iter().all(|(_, at)| *at + Duration::from_micros(100) > begin));
        seen.iter().map(|(_, at)| at.saturating_duration_since(sent)).max().unwrap()
    }

    #[test]
    fn all_that_waits_is_taken_with_its_source_and_the_time_it_came() {
        let mut inbox = Inbox::new();
        for address in ["127.0.0.1", "::1"] {
            let (socket, peer) = (UdpSocket::bind((address, 0)).unwrap(), UdpSocket::bind((address, 0)).unwrap());
            stamp(&socket).unwrap();
            socket.set_nonblocking(true).unwrap();
            // Packets come when they are sent, not when they are taken, from when the kernel has begun to stamp them.
            let begin = Instant::now();
            while delay(&mut inbox, &socket, &peer, 1..=9) > Duration::from_millis(1) {
                assert!(begin.elapsed() < Duration::from_secs(20), "packets are not stamped");
            }
        }
    }
}
