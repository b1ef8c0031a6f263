//! Everybody who talks: one socket each, saying a frame every 20 ms and noting when what they hear arrives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::Timespec;

use super::said;
use super::voice::Voice;

const FRAME: Duration = Duration::from_millis(20);
/// What has not arrived by then is lost.
const PATIENCE: Duration = Duration::from_secs(2);
const HEADER: usize = 12;

/// How a frame's packets are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Everybody's at once, and the next when all are heard.
    AtOnce,
    /// Evenly over 20 ms, in real time.
    Spread,
}

/// Protects a packet, or leaves it as it is.
pub(crate) type Seal = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// One end of a call.
pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    /// Where it sends to.
    pub(crate) to: SocketAddr,
    pub(crate) seal: Seal,
    pub(crate) speaks_opus: bool,
    /// Which phone hears it.
    pub(crate) heard_by: usize,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// The sequence number it will hear next.
    expected: Option<u16>,
}

impl Phone {
    pub(crate) fn new(socket: UdpSocket, to: SocketAddr, speaks_opus: bool, heard_by: usize, seal: Seal) -> Self {
        Self { socket, to, seal, speaks_opus, heard_by, sequence: 1, timestamp: 7, expected: None }
    }

    fn say(&mut self, payload: &[u8]) -> Vec<u8> {
        let (payload_type, duration) = if self.speaks_opus { (111, 960) } else { (0, 160) };
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&42_u32.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(duration);
        (self.seal)(&packet)
    }
}

pub(crate) fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// What a round brought.
pub(crate) struct Heard {
    /// Of the thread that carried it.
    pub(crate) processor: Duration,
    /// From the sender's system call to the receiver's, packet by packet.
    pub(crate) delays: Vec<Duration>,
    pub(crate) lost: usize,
}

/// All of them.
pub(crate) struct Phones {
    phones: Vec<Phone>,
    poll: rustix::fd::OwnedFd,
}

/// What is on its way: when each phone said each frame of this round, and the number its listener hears the first under.
struct Round {
    said_at: Vec<Vec<Instant>>,
    first: Vec<Option<u16>>,
    delays: Vec<Duration>,
}

impl Phones {
    pub(crate) fn new(phones: Vec<Phone>) -> Self {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        for (number, phone) in phones.iter().enumerate() {
            let number = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, &phone.socket, number, epoll::EventFlags::IN).unwrap();
        }
        Self { phones, poll }
    }

    /// Everybody says every frame, and what they hear is taken; `thread` carries it.
    pub(crate) fn talk(&mut self, voice: &Voice, pace: Pace, thread: &str) -> Heard {
        let everybody = self.phones.len();
        let frames: Vec<Vec<Vec<u8>>> = (0..voice.pcmu.len())
            .map(|frame| {
                let each = self.phones.iter_mut().enumerate();
                each.map(|(number, phone)| {
                    let payloads = if phone.speaks_opus { &voice.opus } else { &voice.pcmu };
                    phone.say(said(payloads, frame, number / 2))
                })
                .collect()
            })
            .collect();
        let first = self.phones.iter().map(|phone| phone.expected).collect();
        let mut round = Round { said_at: vec![Vec::new(); everybody], first, delays: Vec::new() };
        let before = processor_time(thread);
        let begun = Instant::now();
        for (frame, packets) in frames.iter().enumerate() {
            for (number, packet) in packets.iter().enumerate() {
                if pace == Pace::Spread {
                    let part = FRAME * u32::try_from(number).unwrap() / u32::try_from(everybody).unwrap();
                    self.listen_until(begun + FRAME * u32::try_from(frame).unwrap() + part, &mut round, usize::MAX);
                }
                let phone = &self.phones[number];
                round.said_at[number].push(Instant::now());
                phone.socket.send_to(packet, phone.to).unwrap();
            }
            if pace == Pace::AtOnce {
                self.listen_until(Instant::now() + PATIENCE, &mut round, (frame + 1) * everybody);
            }
        }
        let all = frames.len() * everybody;
        self.listen_until(Instant::now() + PATIENCE, &mut round, all);
        let processor = processor_time(thread) - before;
        Heard { processor, lost: all - round.delays.len(), delays: round.delays }
    }

    /// Takes what arrives until a moment, or until so many packets of the round are heard.
    fn listen_until(&mut self, until: Instant, round: &mut Round, enough: usize) {
        let mut ready: Vec<epoll::Event> = Vec::with_capacity(64);
        while round.delays.len() < enough {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
            ready.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut ready), Some(&left)).unwrap();
            if ready.is_empty() {
                return;
            }
            for event in &ready {
                self.hear(usize::try_from(event.data.u64()).unwrap(), round);
            }
        }
    }

    fn hear(&mut self, number: usize, round: &mut Round) {
        let mut packet = [0; 2048];
        let phone = &mut self.phones[number];
        while let Ok(length) = phone.socket.recv(&mut packet) {
            let arrived = Instant::now();
            // Reports and what is not RTP are none of what was said.
            if length <= HEADER || packet[0] & 0xc0 != 0x80 || (192..=223).contains(&packet[1]) {
                continue;
            }
            let sequence = u16::from_be_bytes([packet[2], packet[3]]);
            phone.expected = Some(sequence.wrapping_add(1));
            let first = *round.first[number].get_or_insert(sequence);
            let frame = usize::from(sequence.wrapping_sub(first));
            // Said by whom it is joined with.
            if let Some(said_at) = round.said_at[phone.heard_by].get(frame) {
                round.delays.push(arrived - *said_at);
            }
        }
    }
}

/// What a thread has had of a processor, once it rests.
fn processor_time(thread: &str) -> Duration {
    let name = |task: &std::path::Path| fs::read_to_string(task.join("comm")).unwrap_or_default();
    let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let task = tasks.find(|task| name(task).trim() == thread).expect("the thread");
    let read = || {
        let figures = fs::read_to_string(task.join("schedstat")).unwrap();
        Duration::from_nanos(figures.split(' ').next().unwrap().parse().unwrap())
    };
    let mut time = read();
    loop {
        std::thread::sleep(Duration::from_millis(3));
        match read() {
            later if later == time => return time,
            later => time = later,
        }
    }
}
