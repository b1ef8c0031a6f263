//! Any number of peers of one shard, browsers and telephones, each with a voice, a path to the gateway and an ear, on a simulated
//! network with a step of a millisecond.

mod member;
mod sound;
pub(crate) mod three;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, LocalPort, MediaSessionId,
    MediaState, Peer, SecureTransport, Setup, Shard, ShardConfig, SocketId,
};

pub(crate) use member::{Kind, Member};
use sound::MARK;
pub(crate) use sound::{Voice, level, loud_tone, marked, tone};

pub(crate) const MS: Duration = Duration::from_millis(1);
const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

pub(crate) struct Crowd {
    pub(crate) began: Instant,
    pub(crate) now: Duration,
    pub(crate) shard: Shard,
    pub(crate) events: Vec<Event>,
    pub(crate) members: Vec<Member>,
    /// The shard's loop stands still until then.
    pub(crate) stalled_until: Duration,
    /// It reads packets before it looks at the clock, and not after.
    pub(crate) reads_first: bool,
    gateway: Arc<Certificate>,
    theirs: Arc<Certificate>,
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
            reads_first: false,
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
            Kind::Pcmu => (Keying::Plain { networks: vec![] }, vec![Codec::Pcmu, Codec::Pcma]),
            Kind::Toning | Kind::Pcma => (Keying::Plain { networks: vec![] }, vec![Codec::Pcmu, Codec::Pcma]),
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
            address: address(place),
            ufrag: "brow",
            voice: None,
            path: Box::new(|_| Some(Duration::ZERO)),
            period: MS * 20,
            // Nobody's packets come at the same time as another's.
            next: self.now + MS * (20 + u32::try_from(place).unwrap() * 7 % 20),
            frames: 0,
            sequence: 65_500 + u16::try_from(place % 30).unwrap(),
            timestamp: u32::MAX - 5000,
            on_the_way: Vec::new(),
            encoder,
            decoder: opus::Decoder::new(16_000, opus::Channels::Mono).unwrap(),
            marks: Vec::new(),
            heard: Vec::new(),
        });
        self.offer(place, kind, "sendrecv");
        if is_browser {
            self.shake_hands(place);
        }
    }

    /// The peer offers what is of its kind; the answer is sent.
    pub(crate) fn offer(&mut self, place: usize, kind: Kind, direction: &str) {
        let (session, ip, ufrag) = (Self::session(place), address(place).ip(), self.members[place].ufrag);
        let head = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\n");
        let plain = |codec: u8| {
            format!(
                "{head}m=audio 30000 RTP/AVP {codec} 101\r\nc=IN IP4 {ip}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
            )
        };
        let sdp = match kind {
            Kind::Pcmu => plain(0),
            Kind::Pcma => plain(8),
            Kind::Toning => plain(0).replace(" 101\r\n", "\r\n").replace("a=rtpmap:101 telephone-event/8000\r\n", ""),
            Kind::Browser | Kind::WideBrowser => {
                let print = self.theirs.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
                format!(
                    "{head}a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\n\
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
        let ufrag = self.members[place].ufrag;
        let transport = self.members[place].transport.as_mut().unwrap();
        if ufrag == "again" {
            transport.restart_ice(ufrag.to_owned(), String::new());
        }
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

    /// A browser finds itself at another address, and offers again.
    pub(crate) fn move_browser(&mut self, place: usize) {
        self.members[place].ufrag = "again";
        self.offer(place, self.members[place].kind, "sendrecv");
        self.run(MS * 200);
        self.members[place].address = address(place + 100);
        self.shake_hands(place);
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
                    self.shard.handle_packet(self.time(), SocketId::BROWSERS, self.members[place].address, &packet);
                }
            }
            while let Some(transmit) = self.shard.poll_transmit() {
                quiet = false;
                let place = self.members.iter().position(|member| {
                    let plain = SocketId(u32::try_from(member.session.0).unwrap() * 10);
                    transmit.socket == plain || transmit.to == member.address
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
            if self.reads_first {
                self.read();
            }
            while self.shard.poll_timeout().is_some_and(|at| at <= self.time()) {
                self.shard.handle_timeout(self.time());
                self.deliver();
                // As the runtime's loop does: in turn.
                self.read();
            }
            self.read();
        }
    }

    fn read(&mut self) {
        for place in 0..self.members.len() {
            for packet in self.members[place].arrived(self.now) {
                self.receive(place, &packet);
            }
        }
    }

    /// A packet of a peer arrives, in the clear.
    pub(crate) fn receive(&mut self, place: usize, packet: &[u8]) {
        let (socket, packet) = match &mut self.members[place].transport {
            Some(transport) => (SocketId::BROWSERS, transport.protect_rtp(packet).unwrap().1.to_vec()),
            None => (SocketId(u32::try_from(place + 1).unwrap() * 10), packet.to_vec()),
        };
        self.shard.handle_packet(self.time(), socket, self.members[place].address, &packet);
        self.deliver();
    }

    /// A peer holds a key for so long, in place of its audio; its last packet is said three times.
    pub(crate) fn press(&mut self, place: usize, event: u8, duration: Duration) {
        self.hold_key(place, event, duration);
        self.release(place, event, duration);
    }

    /// A key goes down and is updated for so long, and does not come up.
    pub(crate) fn hold_key(&mut self, place: usize, event: u8, duration: Duration) {
        let voice = self.members[place].voice.take();
        let began = self.members[place].timestamp;
        for step in 1..duration.as_millis() / 20 {
            self.send_event(place, began, [event, 0x0a], MS * 20 * u32::try_from(step).unwrap());
            self.run(MS * 20);
        }
        self.members[place].voice = voice;
        self.members[place].timestamp = began;
    }

    fn release(&mut self, place: usize, event: u8, duration: Duration) {
        let began = self.members[place].timestamp;
        (0..3).for_each(|_| self.send_event(place, began, [event, 0x8a], duration));
        let voice = self.members[place].voice.take();
        self.say(place, voice);
    }

    fn send_event(&mut self, place: usize, began: u32, [event, flags]: [u8; 2], duration: Duration) {
        let member = &mut self.members[place];
        let (payload_type, per_ms) = if member.units() == 160 { (101, 8) } else { (110, 48) };
        let [high, low] = u16::try_from(duration.as_millis() * per_ms).unwrap().to_be_bytes();
        let packet = member.packet(payload_type, began, &[event, flags, high, low]);
        member.sequence = member.sequence.wrapping_add(1);
        self.receive(place, &packet);
    }

    /// The keys a peer was told of by telephone-events: code and milliseconds of each, by their first end.
    pub(crate) fn keys(&self, place: usize) -> Vec<(u8, u32)> {
        let (payload_type, per_ms) = if self.members[place].units() == 160 { (101, 8) } else { (110, 48) };
        let mut ends: Vec<(u32, u8, u32)> = Vec::new();
        for heard in self.members[place].heard.iter().filter(|heard| heard.payload_type == payload_type) {
            let units = u32::from(u16::from_be_bytes([heard.payload[2], heard.payload[3]]));
            if heard.payload[1] & 0x80 != 0 && ends.iter().all(|(timestamp, ..)| *timestamp != heard.timestamp) {
                ends.push((heard.timestamp, heard.payload[0], units / per_ms));
            }
        }
        ends.into_iter().map(|(_, code, ms)| (code, ms)).collect()
    }

    /// The digits that signalling was told of a peer.
    pub(crate) fn told(&self, place: usize) -> String {
        let digits = self.events.iter().filter_map(|event| match event {
            Event::Digit { session, digit, .. } if *session == Self::session(place) => Some(*digit),
            _ => None,
        });
        digits.collect()
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

    /// How long each mark took from one peer to another, from the sample that was said to the sample that was heard, in milliseconds:
    /// what any way takes, a packet's own length, is not in it.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn latencies(&self, from: usize, to: usize) -> Vec<f64> {
        let said = self.members[from].marks.iter();
        let since = self.members[to].heard.first().map(|heard| heard.at).unwrap_or_default();
        let said: Vec<f64> = said.filter(|at| **at >= since).map(|at| at.as_secs_f64() * 1000.0).collect();
        let (mut latencies, mut last) = (Vec::new(), f64::MIN);
        for heard in &self.members[to].heard {
            let end = heard.at.as_secs_f64() * 1000.0;
            for (n, _) in heard.sound.iter().enumerate().filter(|(_, sample)| **sample > MARK) {
                let at = end - 20.0 + n as f64 / 16.0;
                if at - last > 200.0
                    && let Some(said) = said.iter().rev().find(|said| **said <= at + 1.0)
                {
                    latencies.push(at - said);
                }
                last = at;
            }
        }
        latencies
    }

    /// The level of a tone in what a peer heard, against one as loud as [`tone`].
    pub(crate) fn level(&self, place: usize, frequency: f64) -> f64 {
        level(&self.sound(place), frequency)
    }
}

pub(crate) fn address(place: usize) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, u8::try_from(place + 10).unwrap()), 30_000).into()
}
