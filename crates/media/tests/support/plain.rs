//! Two plain legs of a shard, played against from the network's side.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Keying, LocalPort, MediaSessionId, Shard, ShardConfig, SocketId,
    Transmit,
};

pub(crate) const A: MediaSessionId = MediaSessionId(1);
pub(crate) const B: MediaSessionId = MediaSessionId(2);
pub(crate) const FRAME: Duration = Duration::from_millis(20);
pub(crate) const PCMU: &str = "0 101\r\na=rtpmap:101 telephone-event/8000";
pub(crate) const PCMA: &str = "8 101\r\na=rtpmap:101 telephone-event/8000";
#[allow(dead_code, reason = "not for every test that shares this file")]
pub(crate) const G722: &str = "9 101\r\na=rtpmap:101 telephone-event/8000";
pub(crate) const OPUS: &str = "111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000";

pub(crate) fn peer(leg: MediaSessionId) -> SocketAddr {
    address(u8::try_from(leg.0).unwrap() + 10, 30_000)
}

pub(crate) fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
}

pub(crate) fn rtp_socket(leg: MediaSessionId) -> SocketId {
    SocketId(u32::try_from(leg.0).unwrap() * 10)
}

pub(crate) fn rtcp_socket(leg: MediaSessionId) -> SocketId {
    SocketId(rtp_socket(leg).0 + 1)
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) to: SocketAddr,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

impl Sent {
    pub(crate) fn new(transmit: &Transmit) -> Self {
        let bytes = &transmit.bytes;
        Self {
            to: transmit.to,
            marker: bytes[1] & 0x80 != 0,
            payload_type: bytes[1] & 0x7f,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: u32::from_be_bytes(bytes[4..8].try_into().unwrap()),
            ssrc: u32::from_be_bytes(bytes[8..12].try_into().unwrap()),
            payload: bytes[12..].to_vec(),
        }
    }
}

/// Two plain legs and what their peers receive.
pub(crate) struct Trunks {
    pub(crate) now: Instant,
    pub(crate) shard: Shard,
    pub(crate) events: Vec<Event>,
    pub(crate) sent: Vec<(MediaSessionId, Sent)>,
    /// The RTP sockets of all ports ever given.
    pub(crate) granted: Vec<SocketId>,
    pub(crate) rtcp: Vec<(MediaSessionId, SocketAddr, Vec<u8>)>,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Trunks {
    pub(crate) fn new() -> Self {
        static CERTIFICATE: OnceLock<Arc<Certificate>> = OnceLock::new();
        let now = Instant::now();
        let config = ShardConfig {
            certificate: CERTIFICATE.get_or_init(|| Arc::new(Certificate::generate().unwrap())).clone(),
            candidates: vec![address(1, 3478)],
            started: (now, SystemTime::UNIX_EPOCH),
            max_sessions: 3,
            music: media::Music::recorded(&[4000; 160], 8000).unwrap(),
        };
        let shard = Shard::new(config, [3; 32]);
        let (events, sent, granted, rtcp) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { now, shard, events, sent, granted, rtcp, sequence: 65_530, timestamp: 5000, ssrc: 99 }
    }

    pub(crate) fn bridged(a: &str, b: &str) -> Self {
        let mut trunks = Self::new();
        trunks.open(A, vec![]);
        trunks.open(B, vec![]);
        trunks.offer(A, peer(A), a);
        trunks.offer(B, peer(B), b);
        trunks.command(Command::Bridge { a: A, b: B });
        trunks
    }

    pub(crate) fn open(&mut self, session: MediaSessionId, networks: Vec<&str>) {
        let keying = Keying::Plain { networks: networks.iter().map(|text| text.parse().unwrap()).collect() };
        let codecs = vec![Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::G722];
        self.command(Command::Open { session, keying, codecs, silence_timeout: Duration::from_secs(10) });
    }

    /// The peer at `from` offers `formats` (and any further attribute lines); the answer is sent.
    pub(crate) fn offer(&mut self, session: MediaSessionId, from: SocketAddr, formats: &str) {
        self.propose(session, from, formats);
        self.command(Command::Adopt { session });
    }

    /// As [`Self::offer`], but the answer is not sent yet.
    pub(crate) fn propose(&mut self, session: MediaSessionId, from: SocketAddr, formats: &str) {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {formats}\r\n",
            from.port(),
            ip = from.ip()
        );
        self.command(Command::HandleOffer { session, sdp: sdp.into_bytes(), bandwidth: Bandwidth::Full });
        let last = self.events.last();
        assert!(matches!(last, Some(Event::LocalDescription { codec: Some(_), .. })), "{last:?}");
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command);
        while let Some(request) = self.shard.poll_port_request() {
            let (rtp, rtcp) = (rtp_socket(request.session), rtcp_socket(request.session));
            self.granted.push(rtp);
            let port = LocalPort { rtp, rtcp, advertised: address(1, u16::try_from(rtp.0).unwrap() + 20_000) };
            self.shard.handle_port(self.now, request.session, Some(port));
        }
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.shard.poll_transmit() {
            for leg in [A, B] {
                if transmit.socket == rtp_socket(leg) {
                    self.sent.push((leg, Sent::new(&transmit)));
                } else if transmit.socket == rtcp_socket(leg) {
                    self.rtcp.push((leg, transmit.to, transmit.bytes.to_vec()));
                }
            }
            self.shard.recycle(transmit.bytes);
        }
        self.events.extend(std::iter::from_fn(|| self.shard.poll_event()));
    }

    pub(crate) fn receive(&mut self, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.shard.handle_packet(self.now, socket, from, packet);
        self.drain();
    }

    pub(crate) fn packet(&self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    /// The peer of A sends the next packet, which lasts `duration` timestamp units.
    pub(crate) fn say(&mut self, payload_type: u8, duration: u32, payload: &[u8]) {
        self.say_from(peer(A), payload_type, duration, payload);
    }

    pub(crate) fn say_from(&mut self, from: SocketAddr, payload_type: u8, duration: u32, payload: &[u8]) {
        let packet = self.packet(payload_type, payload);
        self.skip(duration);
        self.receive(rtp_socket(A), from, &packet);
    }

    /// The peer of B sends a packet; its numbers are those of the moment.
    pub(crate) fn reply(&mut self, payload_type: u8, payload: &[u8]) {
        let packet = self.packet(payload_type, payload);
        self.receive(rtp_socket(B), peer(B), &packet);
    }

    /// A telephone-event of the peer of A that began at `began`.
    pub(crate) fn press(&mut self, began: u32, payload: &[u8]) {
        let timestamp = std::mem::replace(&mut self.timestamp, began);
        self.say(101, 0, payload);
        self.timestamp = timestamp;
    }

    /// A packet of the peer of A that is lost.
    pub(crate) fn skip(&mut self, duration: u32) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(duration);
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.shard.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn to(&self, leg: MediaSessionId) -> Vec<Sent> {
        self.sent.iter().filter(|(to, _)| *to == leg).map(|(_, sent)| sent.clone()).collect()
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.shard.counters().packets_discarded
    }
}

/// G.711 mu-law by search among what each code means, so that it shares nothing with the encoder under test.
#[allow(dead_code, reason = "not for every test that shares this file")]
pub(crate) fn mu_law(sample: i16) -> u8 {
    let linear = |code: u8| {
        let code = !code;
        let magnitude = ((i32::from(code & 0x0f) * 8 + 0x84) << ((code >> 4) & 7)) - 0x84;
        if code & 0x80 == 0 { magnitude } else { -magnitude }
    };
    (0..=255).min_by_key(|code| (linear(*code) - i32::from(sample)).abs()).unwrap()
}
