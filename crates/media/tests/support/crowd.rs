//! Any number of peers of one shard, browsers and telephones, each with a voice, a path to the gateway and an ear, on a simulated
//! network with a step of a millisecond.

use std::f64::consts::TAU;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, LocalPort, MediaSessionId,
    MediaState, Peer, Received, SecureTransport, Setup, Shard, ShardConfig, SocketId,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
/// Of what is said and heard.
pub(crate) const RATE: f64 = 16_000.0;
const FRAME: usize = 320;
const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pcmu,
    Pcma,
    /// A browser asked for narrowband.
    Browser,
    /// A browser that hears and says wideband.
    WideBrowser,
}

/// A sample of a voice, by its number at 16 kHz.
pub(crate) type Voice = Box<dyn Fn(usize) -> f64>;
/// By the number of a packet: how late it comes, `None` when never.
pub(crate) type Path = Box<dyn FnMut(usize) -> Option<Duration>>;

/// A packet heard by a peer.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Duration,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
    /// At 16 kHz; none of a digit.
    pub(crate) sound: Vec<i16>,
}

pub(crate) struct Member {
    pub(crate) session: MediaSessionId,
    pub(crate) kind: Kind,
    transport: Option<SecureTransport>,
    voice: Option<Voice>,
    pub(crate) path: Path,
    /// Between two packets of its clock.
    pub(crate) period: Duration,
    next: Duration,
    frames: usize,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    on_the_way: Vec<(Duration, Vec<u8>)>,
    encoder: opus::Encoder,
    decoder: opus::Decoder,
    pub(crate) heard: Vec<Heard>,
}

pub(crate) struct Crowd {
    pub(crate) began: Instant,
    pub(crate) now: Duration,
    pub(crate) shard: Shard,
    pub(crate) events: Vec<Event>,
    pub(crate) members: Vec<Member>,
    /// The shard's loop stands still until then.
    pub(crate) stalled_until: Duration,
    gateway: Arc<Certificate>,
    theirs: Arc<Certificate>,
}

/// A tone of -12 dBov.
pub(crate) fn tone(frequency: f64) -> Voice {
    loud_tone(frequency, 8000.0)
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn loud_tone(frequency: f64, peak: f64) -> Voice {
    Box::new(move |n| (n as f64 / RATE * frequency * TAU).sin() * peak)
}

impl Crowd {
    /// Members with everything agreed on, who talk and are joined with nothing.
    pub(crate) fn of(kinds: &[Kind]) -> Self {
        static KEYS: OnceLock<[Arc<Certificate>; 2]> = OnceLock::new();
        let [gateway, theirs] =
            KEYS.get_or_init(|| std::array::from_fn(|_| Arc::new(Certificate::generate().unwrap())));
        let began = Instant::now();
        let config = ShardConfig {
            certificate: gateway.clone(),
            candidates: vec![GATEWAY],
            started: (began, SystemTime::UNIX_EPOCH),
            max_sessions: 100,
            music: media::Music::recorded(&[4000; 160], 8000).unwrap(),
        };
        let mut crowd = Self {
            began,
            now: Duration::ZERO,
            shard: Shard::new(config, [3; 32]),
            events: Vec::new(),
            members: Vec::new(),
            stalled_until: Duration::ZERO,
            gateway: gateway.clone(),
            theirs: theirs.clone(),
        };
        kinds.iter().for_each(|kind| crowd.open(*kind));
        crowd
    }

    pub(crate) fn session(place: usize) -> MediaSessionId {
        MediaSessionId(place as u64 + 1)
    }

    fn open(&mut self, kind: Kind) {
        let place = self.members.len();
        let session = Self::session(place);
        let is_browser = matches!(kind, Kind::Browser | Kind::WideBrowser);
        let (keying, codecs) = match kind {
            Kind::Pcmu => (Keying::Plain { networks: vec![] }, vec![Codec::Pcmu]),
            Kind::Pcma => (Keying::Plain { networks: vec![] }, vec![Codec::Pcma]),
            Kind::Browser | Kind::WideBrowser => (Keying::DtlsSrtp, vec![Codec::Opus]),
        };
        self.command(Command::Open { session, keying, codecs, silence_timeout: Duration::ZERO });
        let mut encoder = opus::Encoder::new(16_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
        if kind == Kind::Browser {
            encoder.set_max_bandwidth(opus::Bandwidth::Narrowband).unwrap();
        }
        self.members.push(Member {
            session,
            kind,
            transport: is_browser.then(|| SecureTransport::controlling(self.theirs.clone(), "brow".to_owned())),
            voice: None,
            path: Box::new(|_| Some(Duration::ZERO)),
            period: MS * 20,
            // Nobody's packets come at the same time as another's.
            next: self.now + MS * (u32::try_from(place).unwrap() * 7 % 20),
            frames: 0,
            sequence: u16::try_from(65_500 + place).unwrap(),
            timestamp: u32::MAX - 5000,
            on_the_way: Vec::new(),
            encoder,
            decoder: opus::Decoder::new(16_000, opus::Channels::Mono).unwrap(),
            heard: Vec::new(),
        });
        self.offer(place, kind, "sendrecv");
        if is_browser {
            self.shake_hands(place);
        }
    }

    /// The peer offers what is of its kind; the answer is sent.
    pub(crate) fn offer(&mut self, place: usize, kind: Kind, direction: &str) {
        let (session, ip) = (Self::session(place), address(place).ip());
        let head = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\n");
        let plain = |codec: u8| {
            format!(
                "{head}m=audio 30000 RTP/AVP {codec} 101\r\nc=IN IP4 {ip}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
            )
        };
        let sdp = match kind {
            Kind::Pcmu => plain(0),
            Kind::Pcma => plain(8),
            Kind::Browser | Kind::WideBrowser => {
                let print = self.theirs.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
                format!(
                    "{head}a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:brow\r\n\
                     a=ice-pwd:browser-password-24-chars\r\na=fingerprint:sha-256 {print}\r\na=setup:actpass\r\na=mid:0\r\n\
                     a={direction}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
                     a=rtpmap:110 telephone-event/48000\r\n"
                )
            }
        };
        let bandwidth = if kind == Kind::Browser { Bandwidth::Narrow } else { Bandwidth::Full };
        self.command(Command::HandleOffer { session, sdp: sdp.into_bytes(), bandwidth });
        self.command(Command::Adopt { session });
        self.members[place].kind = kind;
    }

    fn shake_hands(&mut self, place: usize) {
        let answer = self.events.iter().rev().find_map(|event| match event {
            Event::LocalDescription { sdp, .. } => Some(String::from_utf8(sdp.clone()).unwrap()),
            _ => None,
        });
        let answer = answer.unwrap();
        let attribute = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let value = self.gateway.fingerprint_sha256().to_vec();
        let transport = self.members[place].transport.as_mut().unwrap();
        transport.set_peer(Peer {
            ufrag: attribute("a=ice-ufrag:"),
            pwd: attribute("a=ice-pwd:"),
            fingerprint: Fingerprint { hash: FingerprintHash::Sha256, value },
            setup: Setup::Passive,
        });
        transport.set_candidate(GATEWAY);
        transport.check();
        self.deliver();
        assert!(self.members[place].transport.as_ref().unwrap().is_connected());
    }

    fn time(&self) -> Instant {
        self.began + self.now
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.shard.handle_command(self.time(), command);
        while let Some(request) = self.shard.poll_port_request() {
            let rtp = u32::try_from(request.session.0).unwrap() * 10;
            let advertised = (Ipv4Addr::new(192, 0, 2, 1), u16::try_from(rtp).unwrap() + 20_000).into();
            let port = LocalPort { rtp: SocketId(rtp), rtcp: SocketId(rtp + 1), advertised };
            self.shard.handle_port(self.time(), request.session, Some(port));
        }
        self.deliver();
    }

    /// From now on a peer says this, from its beginning; nothing at all with `None`.
    pub(crate) fn say(&mut self, place: usize, voice: impl Into<Option<Voice>>) {
        let member = &mut self.members[place];
        member.voice = voice.into();
        while member.next < self.now {
            // Its clock went on meanwhile.
            member.next += member.period;
            member.timestamp = member.timestamp.wrapping_add(member.units());
        }
    }

    pub(crate) fn state(&self, place: usize) -> MediaState {
        let last = self.events.iter().rev().find_map(|event| match event {
            Event::Changed { session, state } if *session == Self::session(place) => Some(*state),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// Carries what the shard has to send, and answers of transports.
    fn deliver(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for place in 0..self.members.len() {
                while let Some((_, packet)) = self.members[place].transport.as_mut().and_then(|t| t.poll_transmit()) {
                    quiet = false;
                    self.shard.handle_packet(self.time(), SocketId::BROWSERS, address(place), &packet);
                }
            }
            while let Some(transmit) = self.shard.poll_transmit() {
                quiet = false;
                let place = self.members.iter().position(|member| {
                    let plain = SocketId(u32::try_from(member.session.0).unwrap() * 10);
                    transmit.socket == plain || transmit.to == address(member.place())
                });
                if let Some(place) = place {
                    let (now, time) = (self.now, self.time());
                    self.members[place].receive(now, time, &transmit.bytes);
                }
                self.shard.recycle(transmit.bytes);
            }
        }
        self.events.extend(std::iter::from_fn(|| self.shard.poll_event()));
    }

    /// Lets time pass: everybody says what they have to say, packets come at their time, timers fire.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += MS;
            for member in &mut self.members {
                member.speak(self.now);
            }
            if self.now < self.stalled_until {
                continue;
            }
            // As the runtime's loop does: timers first.
            let time = self.time();
            if self.shard.poll_timeout().is_some_and(|at| at <= time) {
                self.shard.handle_timeout(time);
                self.deliver();
            }
            for place in 0..self.members.len() {
                for packet in self.members[place].arrived(self.now) {
                    self.receive(place, &packet);
                }
            }
        }
    }

    /// A packet of a peer arrives, in the clear.
    pub(crate) fn receive(&mut self, place: usize, packet: &[u8]) {
        let (socket, packet) = match &mut self.members[place].transport {
            Some(transport) => (SocketId::BROWSERS, transport.protect_rtp(packet).unwrap().1.to_vec()),
            None => (SocketId(u32::try_from(place + 1).unwrap() * 10), packet.to_vec()),
        };
        self.shard.handle_packet(self.time(), socket, address(place), &packet);
        self.deliver();
    }

    /// Forgets what was heard so far.
    pub(crate) fn forget(&mut self) {
        self.members.iter_mut().for_each(|member| member.heard.clear());
    }

    /// What a peer heard, as it plays it: each packet at its timestamp, silence where none is.
    pub(crate) fn sound(&self, place: usize) -> Vec<i16> {
        let member = &self.members[place];
        let mut sound: Vec<i16> = Vec::new();
        let spoken = || member.heard.iter().filter(|heard| !heard.sound.is_empty());
        let Some(first) = spoken().next() else { return sound };
        for heard in spoken() {
            let units = heard.timestamp.wrapping_sub(first.timestamp).cast_signed();
            let at = usize::try_from(i64::from(units) * 320 / i64::from(member.units())).unwrap();
            sound.resize(at.max(sound.len()), 0);
            sound.truncate(at);
            sound.extend_from_slice(&heard.sound);
        }
        sound
    }

    /// The level of a tone in what a peer heard, against one as loud as [`tone`].
    pub(crate) fn level(&self, place: usize, frequency: f64) -> f64 {
        level(&self.sound(place), frequency)
    }
}

/// The level of a tone against one as loud as [`tone`], by Goertzel.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn level(samples: &[i16], frequency: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * frequency * n as f64 / RATE;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    let peak = 2.0 * f64::hypot(re, im) / samples.len().max(1) as f64;
    20.0 * (peak / 8000.0).max(1e-9).log10()
}

pub(crate) fn address(place: usize) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, u8::try_from(place + 10).unwrap()), 30_000).into()
}

impl Member {
    fn place(&self) -> usize {
        usize::try_from(self.session.0).unwrap() - 1
    }

    /// Timestamp units of a packet.
    fn units(&self) -> u32 {
        if matches!(self.kind, Kind::Pcmu | Kind::Pcma) { 160 } else { 960 }
    }

    pub(crate) fn payload_type(&self) -> u8 {
        match self.kind {
            Kind::Pcmu => 0,
            Kind::Pcma => 8,
            Kind::Browser | Kind::WideBrowser => 111,
        }
    }

    pub(crate) fn packet(&self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&u32::try_from(self.session.0).unwrap().to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    #[allow(clippy::cast_possible_truncation)]
    fn speak(&mut self, now: Duration) {
        while self.voice.is_some() && self.next <= now {
            let Some(voice) = &self.voice else { return };
            let first = self.frames * FRAME;
            let samples: Vec<i16> = (first..first + FRAME).map(|n| voice(n) as i16).collect();
            let payload = match self.kind {
                Kind::Pcmu => samples.iter().step_by(2).map(|sample| code(Kind::Pcmu, *sample)).collect(),
                Kind::Pcma => samples.iter().step_by(2).map(|sample| code(Kind::Pcma, *sample)).collect(),
                Kind::Browser | Kind::WideBrowser => self.encoder.encode_vec(&samples, 1275).unwrap(),
            };
            let packet = self.packet(self.payload_type(), self.timestamp, &payload);
            if let Some(late) = (self.path)(self.frames) {
                self.on_the_way.push((self.next + late, packet));
            }
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(self.units());
            self.next += self.period;
            self.frames += 1;
        }
    }

    /// In the order in which they come.
    fn arrived(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let waiting = std::mem::take(&mut self.on_the_way);
        let (mut arrived, on_the_way): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, _)| *at <= now);
        self.on_the_way = on_the_way;
        arrived.sort_by_key(|(at, _)| *at);
        arrived.into_iter().map(|(_, packet)| packet).collect()
    }

    fn receive(&mut self, now: Duration, time: Instant, packet: &[u8]) {
        let clear = match &mut self.transport {
            Some(transport) => match transport.handle_packet(time, GATEWAY, packet) {
                Received::Rtp(clear) => clear.to_vec(),
                _ => return,
            },
            None => packet.to_vec(),
        };
        let (payload_type, payload) = (clear[1] & 0x7f, clear[12..].to_vec());
        let sound = match payload_type {
            0 => payload.iter().flat_map(|code| [linear(Kind::Pcmu, *code); 2]).collect(),
            8 => payload.iter().flat_map(|code| [linear(Kind::Pcma, *code); 2]).collect(),
            111 => {
                let mut samples = vec![0; 1920];
                let count = self.decoder.decode(&payload, &mut samples, false).unwrap();
                samples.truncate(count);
                samples
            }
            _ => Vec::new(),
        };
        self.heard.push(Heard {
            at: now,
            marker: clear[1] & 0x80 != 0,
            payload_type,
            sequence: u16::from_be_bytes([clear[2], clear[3]]),
            timestamp: u32::from_be_bytes(clear[4..8].try_into().unwrap()),
            payload,
            sound,
        });
    }
}

fn linear(kind: Kind, code: u8) -> i16 {
    if kind == Kind::Pcma {
        let code = code ^ 0x55;
        let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 0x0f));
        let magnitude = if exponent == 0 { mantissa * 16 + 8 } else { (mantissa * 16 + 0x108) << (exponent - 1) };
        return if code & 0x80 == 0 { -magnitude } else { magnitude };
    }
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) * 8 + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// By search, so that it shares nothing with the encoder under test; each sample once.
fn code(kind: Kind, sample: i16) -> u8 {
    static CODES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let codes = CODES.get_or_init(|| {
        [Kind::Pcmu, Kind::Pcma].map(|kind| {
            let mut levels: Vec<(i32, u8)> = (0..=255).map(|code| (i32::from(linear(kind, code)), code)).collect();
            levels.sort_unstable();
            let nearest = |sample: i16| {
                let place = levels.partition_point(|(level, _)| *level < i32::from(sample));
                let near = &levels[place.saturating_sub(1)..(place + 1).min(levels.len())];
                near.iter().min_by_key(|(level, _)| (level - i32::from(sample)).abs()).unwrap().1
            };
            (i16::MIN..=i16::MAX).map(nearest).collect()
        })
    });
    codes[usize::from(kind == Kind::Pcma)][usize::try_from(i32::from(sample) + 32_768).unwrap()]
}
