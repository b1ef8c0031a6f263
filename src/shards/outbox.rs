//! Packets a shard has made and the kernel has not been given: gathered over a turn of the loop, so that a burst costs few system calls
//! and wakes whoever waits for it once. Nothing waits longer than a moment, and nothing at all when the turn is short.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use media::{SocketId, Transmit};

use super::sockets::Sockets;

/// So many are sent, however young they are.
const MOST: usize = 32;

/// The oldest waits no longer while others are being made: half of what may be added to a voice on its way, and eight frames of Opus.
const LONGEST: Duration = Duration::from_micros(250);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// From the socket all browsers share.
    browsers: Vec<Transmit>,
    /// From the trunks', which are one each.
    trunks: Vec<Transmit>,
    /// When the oldest came.
    since: Option<Instant>,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sent {
    pub(super) taken: usize,
    /// Late audio is worth nothing: what the kernel does not take at once is dropped.
    pub(super) dropped: usize,
}

impl Outbox {
    /// Takes a packet; whether it is time to send.
    pub(super) fn push(&mut self, now: Instant, transmit: Transmit) -> bool {
        let since = *self.since.get_or_insert(now);
        let packets = if transmit.socket == SocketId::BROWSERS { &mut self.browsers } else { &mut self.trunks };
        packets.push(transmit);
        self.browsers.len() + self.trunks.len() >= MOST || now.saturating_duration_since(since) >= LONGEST
    }

    /// Sends all there is; their buffers go to `recycle`.
    pub(super) fn flush(&mut self, sockets: &Sockets, mut recycle: impl FnMut(BytesMut)) -> Sent {
        if self.since.take().is_none() {
            return Sent::default();
        }
        let mut taken = sockets.send_to_browsers(&self.browsers);
        let all = self.browsers.len() + self.trunks.len();
        for Transmit { socket, to, bytes } in &self.trunks {
            taken += usize::from(matches!(sockets.send(*socket, *to, bytes), Some(Ok(_))));
        }
        self.browsers.drain(..).chain(self.trunks.drain(..)).for_each(|transmit| recycle(transmit.bytes));
        Sent { taken, dropped: all - taken }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr, UdpSocket};

    use super::*;
    use crate::shards::sockets::PortRange;

    fn sockets() -> Sockets {
        let poll = mio::Poll::new().unwrap();
        let local = IpAddr::from([127, 0, 0, 1]);
        let range = PortRange::share(0, 0, 0, 1);
        Sockets::new(poll.registry().try_clone().unwrap(), SocketAddr::new(local, 0), local, range).unwrap()
    }

    fn phone() -> UdpSocket {
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        phone
    }

    fn transmit(socket: SocketId, to: SocketAddr, number: usize) -> Transmit {
        Transmit { socket, to, bytes: BytesMut::from(&number.to_be_bytes()[..]) }
    }

    fn heard(phone: &UdpSocket) -> usize {
        let mut packet = [0; 8];
        phone.recv(&mut packet).unwrap();
        usize::from_be_bytes(packet)
    }

    #[test]
    fn what_is_gathered_goes_to_whom_it_is_for_in_order_and_every_buffer_comes_back() {
        let mut sockets = sockets();
        let trunk = sockets.bind_pair().unwrap();
        let phones = [phone(), phone(), phone()];
        let mut outbox = Outbox::default();
        let now = Instant::now();
        // More browsers' packets than one system call takes, among a trunk's.
        for number in 0..2 * MOST {
            let (socket, phone) = if number % 4 == 3 { (trunk.rtp, 2) } else { (SocketId::BROWSERS, number % 2) };
            outbox.push(now, transmit(socket, phones[phone].local_addr().unwrap(), number));
        }
        let mut buffers = 0;
        let sent = outbox.flush(&sockets, |_| buffers += 1);
        assert_eq!((sent, buffers), (Sent { taken: 2 * MOST, dropped: 0 }, 2 * MOST));
        for number in 0..2 * MOST {
            assert_eq!(heard(&phones[if number % 4 == 3 { 2 } else { number % 2 }]), number);
        }
        assert_eq!(outbox.flush(&sockets, |_| buffers += 1), Sent::default());
        assert_eq!(buffers, 2 * MOST);
    }

    #[test]
    fn what_the_kernel_refuses_is_dropped_and_keeps_nothing_behind_it_back() {
        let sockets = sockets();
        let phone = phone();
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for number in 0..10 {
            // Port 0 is nobody's.
            let to = if number % 3 == 0 { ([127, 0, 0, 1], 0).into() } else { phone.local_addr().unwrap() };
            outbox.push(now, transmit(SocketId::BROWSERS, to, number));
        }
        outbox.push(now, transmit(SocketId(7), phone.local_addr().unwrap(), 11));
        assert_eq!(outbox.flush(&sockets, drop), Sent { taken: 6, dropped: 5 });
        assert_eq!([(); 6].map(|()| heard(&phone)), [1, 2, 4, 5, 7, 8]);
    }

    #[test]
    fn it_is_time_to_send_when_many_wait_or_one_has_waited() {
        let now = Instant::now();
        let packet = || transmit(SocketId::BROWSERS, ([127, 0, 0, 1], 9).into(), 1);
        let mut outbox = Outbox::default();
        let pushes: Vec<bool> = (0..MOST).map(|_| outbox.push(now, packet())).collect();
        assert!(pushes[MOST - 1] && !pushes[..MOST - 1].contains(&true));
        let mut outbox = Outbox::default();
        assert!(!outbox.push(now, packet()));
        assert!(!outbox.push(now + LONGEST / 2, packet()));
        assert!(outbox.push(now + LONGEST, packet()));
    }
}
