//! A call through a shard on a simulated clock: one peer speaks, the other listens, each behind a path of its own. Both are plain legs:
//! SRTP neither loses nor mends anything.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use media::{Bandwidth, Certificate, Codec, Command, Keying, LocalPort, MediaSessionId, Shard, ShardConfig, SocketId};

use super::path::Path;

pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// How often a listener reports what it lost (RFC 3550 §6.2).
const REPORTS: Duration = Duration::from_secs(5);
/// What a report takes to the gateway.
const WAY_BACK: Duration = Duration::from_millis(60);
const SPEAKER: MediaSessionId = MediaSessionId(1);
const LISTENER: MediaSessionId = MediaSessionId(2);

/// What comes out of the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Which of the frames spoken, by the timestamp.
    pub(crate) frame: usize,
    sequence: u16,
    /// When the gateway sent it, from the first frame on.
    pub(crate) left: Duration,
    /// When the listener has it; never, when it is lost.
    pub(crate) arrived: Option<Duration>,
    pub(crate) payload: Vec<u8>,
}

/// Which way the call goes, and what its listener tells the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listener {
    pub(crate) speaks_to_it: Codec,
    /// Its SDP has `useinbandfec=1`.
    pub(crate) wants_fec: bool,
    pub(crate) reports: bool,
}

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Packet(usize),
    StandIn(usize),
    Report,
    Reported(usize),
}

/// A call under way.
pub(crate) struct Call<'a> {
    started: Instant,
    shard: Shard,
    listener: Listener,
    spoken: &'a [Vec<u8>],
    agenda: BinaryHeap<Reverse<(Duration, Happening)>>,
    outbound: Path,
    heard: Vec<Heard>,
    /// SSRC and first timestamp of what the listener hears.
    stream: Option<(u32, u32)>,
    /// Highest number and packets received at the last report.
    reported: (u16, usize),
    /// Reports under way to the gateway.
    reports: Vec<Vec<u8>>,
    /// The middle of the NTP time of the gateway's last report, and when the listener has it.
    sender_report: Option<([u8; 4], Duration)>,
}

impl<'a> Call<'a> {
    /// A call whose packets come to the gateway at `arrivals`, from the first frame's time on.
    pub(crate) fn new(
        listener: Listener,
        spoken: &'a [Vec<u8>],
        arrivals: &[Option<Duration>],
        outbound: Path,
    ) -> Self {
        static CERTIFICATE: OnceLock<Arc<Certificate>> = OnceLock::new();
        let started = Instant::now();
        let config = ShardConfig {
            certificate: CERTIFICATE.get_or_init(|| Arc::new(Certificate::generate().unwrap())).clone(),
            candidates: vec![address(LISTENER)],
            started: (started, SystemTime::UNIX_EPOCH),
            max_sessions: 2,
            music: media::Music::default(),
        };
        let packets = arrivals.iter().enumerate();
        let agenda = packets.filter_map(|(frame, at)| at.map(|at| Reverse((at, Happening::Packet(frame))))).collect();
        let mut call = Self {
            started,
            shard: Shard::new(config, [5; 32]),
            listener,
            spoken,
            agenda,
            outbound,
            heard: Vec::new(),
            stream: None,
            reported: (0, 0),
            reports: Vec::new(),
            sender_report: None,
        };
        let fec = if listener.wants_fec { ";useinbandfec=1" } else { "" };
        let opus = format!("111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10{fec}");
        let to_opus = listener.speaks_to_it == Codec::Opus;
        call.open(SPEAKER, if to_opus { "0" } else { &opus });
        call.open(LISTENER, if to_opus { &opus } else { "0" });
        call.command(Command::Bridge { a: SPEAKER, b: LISTENER });
        if listener.reports {
            let length = FRAME * u32::try_from(spoken.len()).unwrap();
            let times = (1..).map(|n| REPORTS * n).take_while(|at| *at < length);
            call.agenda.extend(times.map(|at| Reverse((at, Happening::Report))));
        }
        call
    }

    /// Has silence arrive in the place of these frames, right before they would have been made up.
    pub(crate) fn stand_in(mut self, frames: impl IntoIterator<Item = (usize, Duration)>) -> Self {
        self.agenda.extend(frames.into_iter().map(|(frame, at)| Reverse((at, Happening::StandIn(frame)))));
        self
    }

    /// Speaks to the end; gives what came out.
    pub(crate) fn carry(mut self) -> Vec<Heard> {
        while let Some(Reverse((at, happening))) = self.agenda.pop() {
            self.pass_until(at);
            match happening {
                Happening::Packet(frame) => self.say(at, frame, &self.spoken[frame]),
                Happening::StandIn(frame) => self.say(at, frame, &[0xff; 160]),
                Happening::Report => self.report(at),
                Happening::Reported(number) => {
                    let from = SocketAddr::new(address(LISTENER).ip(), address(LISTENER).port() + 1);
                    self.shard.handle_packet(self.started + at, sockets(LISTENER).1, from, &self.reports[number]);
                    self.drain(at);
                }
            }
        }
        self.pass_until(FRAME * u32::try_from(self.spoken.len() + 50).unwrap());
        self.heard
    }

    fn open(&mut self, session: MediaSessionId, formats: &str) {
        let (codecs, at) = (vec![Codec::Opus, Codec::Pcmu], address(session));
        let keying = Keying::Plain { networks: vec![] };
        self.command(Command::Open { session, keying, codecs, silence_timeout: Duration::ZERO });
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {formats}\r\n",
            at.port(),
            ip = at.ip()
        );
        self.command(Command::HandleOffer { session, sdp: sdp.into_bytes(), bandwidth: Bandwidth::Full });
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.started, command);
        while let Some(request) = self.shard.poll_port_request() {
            let (rtp, rtcp) = sockets(request.session);
            let port = LocalPort { rtp, rtcp, advertised: address(request.session) };
            self.shard.handle_port(self.started, request.session, Some(port));
        }
        while self.shard.poll_event().is_some() {}
    }

    /// Lets time pass, and timers fire when they are due.
    fn pass_until(&mut self, end: Duration) {
        while let Some(at) = self.shard.poll_timeout().filter(|at| *at <= self.started + end) {
            self.shard.handle_timeout(at);
            self.drain(at.saturating_duration_since(self.started));
        }
    }

    fn say(&mut self, at: Duration, frame: usize, payload: &[u8]) {
        let (payload_type, units) = if self.listener.speaks_to_it == Codec::Opus { (0, 160) } else { (111, 960) };
        let number = u32::try_from(frame).unwrap();
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&number.to_be_bytes()[2..]);
        packet.extend_from_slice(&(number * units).to_be_bytes());
        packet.extend_from_slice(&42_u32.to_be_bytes());
        packet.extend_from_slice(payload);
        self.shard.handle_packet(self.started + at, sockets(SPEAKER).0, address(SPEAKER), &packet);
        self.drain(at);
    }

    fn drain(&mut self, now: Duration) {
        let units = self.listener.speaks_to_it.clock_rate() / 50;
        while let Some(transmit) = self.shard.poll_transmit() {
            if transmit.socket == sockets(LISTENER).0 {
                let word = |at: usize| u32::from_be_bytes(transmit.bytes[at..at + 4].try_into().unwrap());
                let (_, first) = *self.stream.get_or_insert((word(8), word(4)));
                let frame = usize::try_from(word(4).wrapping_sub(first) / units).unwrap();
                let (sequence, payload) = ((word(0) & 0xffff) as u16, transmit.bytes[12..].to_vec());
                let arrived = self.outbound.carry(now, payload.len()).map(|delay| now + delay);
                self.heard.push(Heard { frame, sequence, left: now, arrived, payload });
            } else if transmit.socket == sockets(LISTENER).1 && transmit.bytes[1] == 200 {
                let middle = transmit.bytes[10..14].try_into().unwrap();
                self.sender_report = Some((middle, now + self.outbound.latency(now)));
            }
            self.shard.recycle(transmit.bytes);
        }
        while self.shard.poll_event().is_some() {}
    }

    /// The listener's receiver report (RFC 3550 §6.4.2).
    fn report(&mut self, now: Duration) {
        let Some((ssrc, _)) = self.stream else { return };
        let here = || self.heard.iter().filter(|heard| heard.arrived.is_some_and(|at| at <= now));
        let first = self.heard[0].sequence;
        let Some(highest) = here().map(|heard| heard.sequence.wrapping_sub(first)).max() else { return };
        let received = here().count();
        let (expected, came) = (usize::from(highest - self.reported.0), received - self.reported.1);
        self.reported = (highest, received);
        let fraction = u8::try_from(expected.saturating_sub(came) * 256 / expected.max(1)).unwrap();
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 5];
        report.extend_from_slice(&ssrc.to_be_bytes());
        report.push(fraction);
        report.extend_from_slice(&[0; 11]);
        let (middle, since) = self.sender_report.filter(|(_, at)| *at <= now).unwrap_or_default();
        report.extend_from_slice(&middle);
        let since = (now - since).as_micros() * 65_536 / 1_000_000;
        report.extend_from_slice(&u32::try_from(since).unwrap().to_be_bytes());
        self.agenda.push(Reverse((now + WAY_BACK, Happening::Reported(self.reports.len()))));
        self.reports.push(report);
    }
}

fn sockets(session: MediaSessionId) -> (SocketId, SocketId) {
    let rtp = u32::try_from(session.0).unwrap() * 10;
    (SocketId(rtp), SocketId(rtp + 1))
}

fn address(session: MediaSessionId) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(session.0).unwrap())), 30_000)
}
