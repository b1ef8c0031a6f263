//! Calls through one shard: browsers with real keys, each joined with a trunk or with another browser, or all of them in one mix;
//! everybody speaking at once on a simulated clock.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bench::Meter;
use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, LocalPort, MediaSessionId,
    MixId, Peer, Received, SdesPolicy, SecureTransport, Setup, Shard, ShardConfig, SocketId,
};
use rtc_srtp::context::Context;

use super::{End, Voice, bare, said};

const FRAME: Duration = Duration::from_millis(20);
const GATEWAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// What arrives at a moment: where, whence and what.
type Packets = Vec<(SocketId, SocketAddr, Vec<u8>)>;

/// What becomes of a frame on its way to the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    /// It never does.
    IsLost,
    /// The next one overtakes it.
    IsLate,
}

/// One end of a call.
struct Side {
    socket: SocketId,
    address: SocketAddr,
    codec: Codec,
    /// A browser's; a trunk has none.
    transport: Option<SecureTransport>,
    /// A trunk's with SRTP.
    sealing: Option<Context>,
    sequence: u16,
    timestamp: u32,
}

pub(crate) struct Crowd {
    now: Instant,
    shard: Shard,
    /// In pairs: who calls, and who is called; or all of a mix.
    sides: Vec<Side>,
    last_description: String,
    gateway: Arc<Certificate>,
    browsers: Arc<Certificate>,
}

impl Crowd {
    /// Calls between two kinds of ends.
    pub(crate) fn new(calls: usize, caller: End, called: End) -> Self {
        let mut crowd = Self::empty();
        for _ in 0..calls {
            let (a, b) = (crowd.enter(caller), crowd.enter(called));
            crowd.command(Command::Bridge { a, b });
        }
        crowd.shake_hands();
        crowd
    }

    /// Browsers of one bandwidth and trunks in one mix.
    pub(crate) fn mixed(browsers: usize, bandwidth: Bandwidth, trunks: usize) -> Self {
        let mut crowd = Self::empty();
        for n in 0..browsers + trunks {
            let session = crowd.enter(if n < browsers { End::Browser(bandwidth) } else { End::Trunk(Codec::Pcmu) });
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
        // Not 0, whose socket is the browsers'.
        let number = u16::try_from(self.sides.len() + 1).unwrap();
        (MediaSessionId(u64::from(number)), (Ipv4Addr::new(192, 0, 2, 2), 10_000 + 2 * number).into())
    }

    fn enter(&mut self, end: End) -> MediaSessionId {
        match end {
            End::Browser(bandwidth) => self.browser(bandwidth),
            End::Trunk(codec) | End::SecureTrunk(codec) => self.trunk(codec, bare::context(end)),
        }
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
        let codec = Codec::Opus;
        self.sides.push(Side { socket, address, codec, transport, sealing: None, sequence: 1, timestamp: 7 });
        session
    }

    fn trunk(&mut self, codec: Codec, sealing: Option<Context>) -> MediaSessionId {
        let (session, address) = self.next_session();
        let socket = SocketId(2 * u32::try_from(session.0).unwrap());
        let networks = vec![];
        let (keying, profile, crypto) = if sealing.is_some() {
            let key = BASE64_STANDARD.encode([[7; 16].as_slice(), &[9; 14]].concat());
            let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
            (Keying::Sdes { networks, policy: SdesPolicy::Required }, "RTP/SAVP", crypto)
        } else {
            (Keying::Plain { networks }, "RTP/AVP", String::new())
        };
        let silence_timeout = Duration::from_secs(30);
        self.command(Command::Open { session, keying, codecs: vec![codec], silence_timeout });
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} {profile} {} 101\r\n{crypto}\
             a=rtpmap:101 telephone-event/8000\r\n",
            address.port(),
            payload_type(codec),
            ip = address.ip()
        );
        self.command(Command::HandleOffer { session, sdp: offer.into_bytes(), bandwidth: Bandwidth::Full });
        self.sides.push(Side { socket, address, codec, transport: None, sealing, sequence: 1, timestamp: 7 });
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

    /// Every caller says every frame; gives how many packets that was.
    pub(crate) fn carry(&mut self, meter: &mut Meter, voice: &Voice) -> usize {
        self.carry_over(meter, voice, |_| Fate::Arrives)
    }

    /// As [`Self::carry`], over a path that is not that good; what is lost counts too.
    pub(crate) fn carry_over(&mut self, meter: &mut Meter, voice: &Voice, fate: impl Fn(u16) -> Fate) -> usize {
        let mut arriving: Vec<Packets> = Vec::new();
        let mut late = Packets::new();
        for frame in 0..voice.wide.len() {
            let mut packets = Packets::new();
            let mut overtaken = Packets::new();
            for (call, side) in self.sides.iter_mut().step_by(2).enumerate() {
                let fate = fate(side.sequence);
                let packet = side.arriving(said(voice.payloads(side.codec), frame, call));
                match fate {
                    Fate::Arrives => packets.push(packet),
                    Fate::IsLost => {}
                    Fate::IsLate => overtaken.push(packet),
                }
            }
            packets.append(&mut late);
            late = overtaken;
            arriving.push(packets);
        }
        // Whoever is overtaken last comes with the last.
        arriving.last_mut().unwrap().append(&mut late);
        let said = voice.wide.len() * self.sides.len() / 2;
        let (arrived, sent) = self.bring(meter, &arriving);
        // The first that are overtaken are given up, until it is known how long they have to be waited for.
        let is_overtaken = (0..4).any(|sequence| fate(sequence) == Fate::IsLate);
        assert!(sent >= if is_overtaken { arrived * 7 / 10 } else { arrived }, "{sent} of {said} packets came through");
        said
    }

    /// What the trunk of the one call hears of what the browser says.
    pub(crate) fn heard_at_trunk(&mut self, voice: &Voice) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        for payload in voice.payloads(Codec::Opus) {
            let (socket, address, packet) = self.sides[0].arriving(payload);
            self.shard.handle_packet(self.now, socket, address, &packet);
            while let Some(transmit) = self.shard.poll_transmit() {
                // RTP, not RTCP.
                if transmit.to == self.sides[1].address {
                    heard.push(transmit.bytes[12..].to_vec());
                }
            }
            self.now += FRAME;
        }
        heard
    }

    /// Every member of the mix says every frame, in its own codec. With `silent`, only two of them do, and the others send nothing. Gives how
    /// many members there are.
    pub(crate) fn confer(&mut self, meter: &mut Meter, voice: &Voice, silent: bool) -> usize {
        let arriving: Vec<Packets> = (0..voice.payloads(Codec::Pcmu).len())
            .map(|frame| {
                let speaking = if silent { 2 } else { self.sides.len() };
                let last = self.sides.len() - 1;
                // The first and the last: a browser and a trunk, where there are both.
                let members = self.sides.iter_mut().enumerate().filter(|(n, _)| *n == last || n + 1 < speaking);
                members.map(|(n, side)| side.arriving(said(voice.payloads(side.codec), frame, n))).collect()
            })
            .collect();
        let (arrived, sent) = self.bring(meter, &arriving);
        assert!(sent >= arrived, "only {sent} of {arrived} packets came through");
        self.sides.len()
    }

    /// Brings packets frame by frame; gives how many that were, and how many were sent.
    fn bring(&mut self, meter: &mut Meter, arriving: &[Packets]) -> (usize, usize) {
        let mut sent = 0;
        meter.measure(|| {
            for frame in arriving {
                for (socket, address, packet) in frame {
                    self.shard.handle_packet(self.now, *socket, *address, packet);
                    sent += self.drain();
                }
                // What falls due meanwhile is part of the cost.
                let next = self.now + FRAME;
                while let Some(due) = self.shard.poll_timeout().filter(|due| *due <= next) {
                    self.shard.handle_timeout(due.max(self.now));
                    sent += self.drain();
                }
                self.now = next;
            }
        });
        (arriving.iter().map(Vec::len).sum(), sent)
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

fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 111,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
    }
}

impl Side {
    fn arriving(&mut self, payload: &[u8]) -> (SocketId, SocketAddr, Vec<u8>) {
        let duration = if self.codec == Codec::Opus { 960 } else { 160 };
        let mut packet = vec![0x80, payload_type(self.codec)];
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
        if let Some(sealing) = &mut self.sealing {
            packet = sealing.encrypt_rtp(&packet).unwrap().to_vec();
        }
        (self.socket, self.address, packet)
    }
}
