//! Calls through one shard: browsers with real keys, each joined with a trunk or with another browser, or all of them in one mix;
//! everybody speaking at once on a simulated clock.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, LocalPort, MediaSessionId,
    MixId, Peer, Received, SecureTransport, Setup, Shard, ShardConfig, SocketId,
};

use super::{Cost, Voice, Way, said};

const FRAME: Duration = Duration::from_millis(20);
const GATEWAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// One end of a call.
struct Side {
    socket: SocketId,
    address: SocketAddr,
    /// A browser's; a trunk has none.
    transport: Option<SecureTransport>,
    sequence: u16,
    timestamp: u32,
}

pub(crate) struct Crowd {
    now: Instant,
    shard: Shard,
    /// In pairs: a browser and whom it is joined with; or all of a mix.
    sides: Vec<Side>,
    last_description: String,
    gateway: Arc<Certificate>,
    browsers: Arc<Certificate>,
}

impl Crowd {
    /// Calls between browsers and trunks (transcoded), or among browsers (relayed).
    pub(crate) fn new(calls: usize, relayed: bool) -> Self {
        let mut crowd = Self::empty();
        let bandwidth = if relayed { Bandwidth::Full } else { Bandwidth::Narrow };
        for _ in 0..calls {
            let a = crowd.browser(bandwidth);
            let b = if relayed { crowd.browser(bandwidth) } else { crowd.trunk() };
            crowd.command(Command::Bridge { a, b });
        }
        crowd.shake_hands();
        crowd
    }

    /// Browsers of one bandwidth and trunks in one mix.
    pub(crate) fn mixed(browsers: usize, bandwidth: Bandwidth, trunks: usize) -> Self {
        let mut crowd = Self::empty();
        for n in 0..browsers + trunks {
            let session = if n < browsers { crowd.browser(bandwidth) } else { crowd.trunk() };
            crowd.command(Command::Mix { session, mix: MixId(1) });
        }
        crowd.shake_hands();
        crowd
    }

    fn empty() -> Self {
        let now = Instant::now();
        let (gateway, browsers) =
            (Arc::new(Certificate::generate().unwrap()), Arc::new(Certificate::generate().unwrap()));
        let config = ShardConfig {
            certificate: gateway.clone(),
            candidates: vec![GATEWAY],
            started: (now, SystemTime::now()),
            max_sessions: 10_000,
            music: media::Music::default(),
        };
        let shard = Shard::new(config, [7; 32]);
        Self { now, shard, sides: Vec::new(), last_description: String::new(), gateway, browsers }
    }

    fn next_session(&self) -> (MediaSessionId, SocketAddr) {
        let number = u16::try_from(self.sides.len()).unwrap();
        (MediaSessionId(u64::from(number)), (Ipv4Addr::new(192, 0, 2, 2), 10_000 + 2 * number).into())
    }

    fn browser(&mut self, bandwidth: Bandwidth) -> MediaSessionId {
        let (gateway, own) = (self.gateway.clone(), self.browsers.clone());
        let (session, address) = self.next_session();
        let (codecs, silence_timeout) = (vec![Codec::Opus], Duration::from_secs(30));
        self.command(Command::Open { session, keying: Keying::DtlsSrtp, codecs, silence_timeout });
        let print = own.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
        let offer = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\n\
             c=IN IP4 0.0.0.0\r\na=ice-ufrag:page\r\na=ice-pwd:browser-password-24-chars\r\na=fingerprint:sha-256 {print}\r\n\
             a=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
             a=rtpmap:110 telephone-event/48000\r\n"
        );
        self.command(Command::HandleOffer { session, sdp: offer.into_bytes(), bandwidth });
        let attribute =
            |name: &str| self.last_description.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let mut transport = SecureTransport::controlling(own.clone(), "page".to_owned());
        transport.set_peer(Peer {
            ufrag: attribute("a=ice-ufrag:"),
            pwd: attribute("a=ice-pwd:"),
            fingerprint: Fingerprint { hash: FingerprintHash::Sha256, value: gateway.fingerprint_sha256().to_vec() },
            setup: Setup::Passive,
        });
        transport.set_candidate(GATEWAY);
        let (socket, transport) = (SocketId::BROWSERS, Some(transport));
        self.sides.push(Side { socket, address, transport, sequence: 1, timestamp: 7 });
        session
    }

    fn trunk(&mut self) -> MediaSessionId {
        let (session, address) = self.next_session();
        let socket = SocketId(2 * u32::try_from(session.0).unwrap());
        let (keying, codecs) = (Keying::Plain { networks: vec![] }, vec![Codec::Pcmu]);
        self.command(Command::Open { session, keying, codecs, silence_timeout: Duration::from_secs(30) });
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\n",
            address.port(),
            ip = address.ip()
        );
        self.command(Command::HandleOffer { session, sdp: offer.into_bytes(), bandwidth: Bandwidth::Full });
        self.sides.push(Side { socket, address, transport: None, sequence: 1, timestamp: 7 });
        session
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command);
        while let Some(request) = self.shard.poll_port_request() {
            let rtp = SocketId(2 * u32::try_from(request.session.0).unwrap());
            let port = LocalPort { rtp, rtcp: SocketId(rtp.0 + 1), advertised: GATEWAY };
            self.shard.handle_port(self.now, request.session, Some(port));
        }
        while let Some(event) = self.shard.poll_event() {
            if let Event::LocalDescription { sdp, .. } = event {
                self.last_description = String::from_utf8(sdp).unwrap();
            }
        }
    }

    fn shake_hands(&mut self) {
        self.sides.iter_mut().filter_map(|side| side.transport.as_mut()).for_each(SecureTransport::check);
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for side in &mut self.sides {
                while let Some((_, packet)) = side.transport.as_mut().and_then(SecureTransport::poll_transmit) {
                    quiet = false;
                    self.shard.handle_packet(self.now, side.socket, side.address, &packet);
                }
            }
            while let Some(transmit) = self.shard.poll_transmit() {
                quiet = false;
                let side = self.sides.iter_mut().find(|side| side.address == transmit.to).unwrap();
                let transport = side.transport.as_mut().unwrap();
                let received = transport.handle_packet(self.now, GATEWAY, &transmit.bytes);
                assert!(matches!(received, Received::Consumed), "{received:?}");
            }
        }
        let connected = |side: &Side| side.transport.as_ref().is_none_or(SecureTransport::is_connected);
        assert!(self.sides.iter().all(connected));
    }

    /// Every call says every frame.
    pub(crate) fn carry(&mut self, way: Way, voice: &Voice) -> Cost {
        let payloads = if way == Way::ToBrowser { &voice.pcmu } else { &voice.opus };
        let from = usize::from(way == Way::ToBrowser);
        let arriving: Vec<Vec<(SocketId, SocketAddr, Vec<u8>)>> = (0..payloads.len())
            .map(|frame| {
                let calls = self.sides.iter_mut().skip(from).step_by(2).enumerate();
                calls.map(|(call, side)| side.arriving(said(payloads, frame, call))).collect()
            })
            .collect();
        self.bring(&arriving)
    }

    /// Every member of the mix says every frame, in its own codec. With `silent`, only two of them do, and the others send nothing.
    pub(crate) fn confer(&mut self, voice: &Voice, silent: bool) -> Cost {
        let arriving: Vec<Vec<(SocketId, SocketAddr, Vec<u8>)>> = (0..voice.pcmu.len())
            .map(|frame| {
                let speaking = if silent { 2 } else { self.sides.len() };
                let last = self.sides.len() - 1;
                // The first and the last: a browser and a trunk, where there are both.
                let members = self.sides.iter_mut().enumerate().filter(|(n, _)| *n == last || n + 1 < speaking);
                members
                    .map(|(n, side)| {
                        let payloads = if side.transport.is_some() { &voice.opus } else { &voice.pcmu };
                        side.arriving(said(payloads, frame, n))
                    })
                    .collect()
            })
            .collect();
        let members = self.sides.len();
        let cost = self.bring(&arriving);
        // Whatever they say, all of them hear: this is the cost of a member's frame.
        Cost { packets: (voice.pcmu.len() * members) as u64, ..cost }
    }

    /// Brings packets frame by frame; as many at least must be sent.
    fn bring(&mut self, arriving: &[Vec<(SocketId, SocketAddr, Vec<u8>)>]) -> Cost {
        let packets = arriving.iter().map(Vec::len).sum();
        let mut sent = 0;
        let cost = Cost::of(packets, || {
            for frame in arriving {
                for (socket, address, packet) in frame {
                    self.shard.handle_packet(self.now, *socket, *address, packet);
                    sent += self.drain();
                }
                self.now += FRAME;
                // What falls due meanwhile is part of the cost.
                if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.shard.handle_timeout(self.now);
                    sent += self.drain();
                }
            }
        });
        assert!(sent >= packets, "only {sent} of {packets} packets came through");
        cost
    }

    fn drain(&mut self) -> usize {
        let mut sent = 0;
        while let Some(transmit) = self.shard.poll_transmit() {
            sent += 1;
            self.shard.recycle(black_box(transmit).bytes);
        }
        while self.shard.poll_event().is_some() {}
        sent
    }
}

impl Side {
    fn arriving(&mut self, payload: &[u8]) -> (SocketId, SocketAddr, Vec<u8>) {
        let (payload_type, duration) = if self.transport.is_some() { (111, 960) } else { (0, 160) };
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&42_u32.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(duration);
        if let Some(transport) = &mut self.transport {
            let sealed = transport.protect_rtp(&packet).unwrap().1.to_vec();
            // Sixteen bytes of tag: AES-128-GCM was agreed on, which the floor is measured with.
            assert_eq!(sealed.len(), packet.len() + 16);
            packet = sealed;
        }
        (self.socket, self.address, packet)
    }
}
