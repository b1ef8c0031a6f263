//! A simulated browser and trunk around a real shard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, LocalPort, MediaSessionId,
    Peer, Received, SecureTransport, Setup, Shard, ShardConfig, SocketId,
};

pub(crate) const FRAME: usize = 160;
pub(crate) const BROWSER: MediaSessionId = MediaSessionId(1);
pub(crate) const TRUNK: MediaSessionId = MediaSessionId(2);
pub(crate) const TRUNK_PORT: SocketAddr = address(1, 20_000);
pub(crate) const TRUNK_RTP: SocketId = SocketId(10);
pub(crate) const TRUNK_RTCP: SocketId = SocketId(11);
pub(crate) const GATEWAY: SocketAddr = address(1, 3478);
pub(crate) const BROWSER_ADDRESS: SocketAddr = address(7, 50_000);
pub(crate) const CARRIER: SocketAddr = address(9, 30_000);
const AMPLITUDE: f64 = 8000.0;
const PEER_FRAME: usize = 960;

pub(crate) const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
}

/// One 20 ms frame of a tone at 8 kHz.
pub(crate) fn tone(frequency: f64, frame: usize) -> Vec<f64> {
    (0..FRAME)
        .map(|n| {
            let t = f64::from(u32::try_from(frame * FRAME + n).unwrap()) / 8000.0;
            (t * frequency * std::f64::consts::TAU).sin() * AMPLITUDE
        })
        .collect()
}

/// The level of a frequency against the tone's own, by Goertzel.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn level_db(samples: &[i16], frequency: f64) -> f64 {
    let step = frequency * std::f64::consts::TAU / 8000.0;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        real += f64::from(*sample) * (step * n as f64).cos();
        imaginary += f64::from(*sample) * (step * n as f64).sin();
    }
    let amplitude = 2.0 * (real * real + imaginary * imaginary).sqrt() / samples.len() as f64;
    20.0 * (amplitude / AMPLITUDE).log10()
}

/// What each side heard, at 8 kHz.
#[derive(Default)]
pub(crate) struct HeardAudio {
    pub(crate) browser: Vec<i16>,
    pub(crate) trunk: Vec<i16>,
}

#[derive(Clone, Debug)]
pub(crate) struct TrunkPacket {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Call {
    pub(crate) now: Instant,
    pub(crate) shard: Shard,
    pub(crate) events: Vec<Event>,
    pub(crate) trunk_packets: Vec<TrunkPacket>,
    pub(crate) browser: SecureTransport,
    pub(crate) browser_address: SocketAddr,
    /// The SSRC the browser sends under.
    pub(crate) browser_ssrc: u32,
    certificate: Arc<Certificate>,
    encoder: opus::Encoder,
    decoder: opus::Decoder,
    heard: HeardAudio,
    sequence: u16,
    timestamp: u32,
    trunk_sequence: u16,
    trunk_timestamp: u32,
    delayed: Option<Vec<u8>>,
}

pub(crate) fn browser_offer() -> String {
    let fingerprint = vec!["00"; 32].join(":");
    offer_with(&fingerprint)
}

fn offer_with(fingerprint: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110 126\r\n\
         c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:brow\r\na=ice-pwd:browser-password-24-chars\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:110 telephone-event/48000\r\n\
         a=rtpmap:126 telephone-event/8000\r\n"
    )
}

fn attribute(sdp: &str, name: &str) -> String {
    let prefix = format!("a={name}:");
    sdp.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{name} in {sdp}")).to_owned()
}

impl Call {
    /// A browser and a trunk, bridged, with ICE and DTLS done.
    pub(crate) fn connected() -> Self {
        let now = Instant::now();
        let certificate = Arc::new(Certificate::generate().unwrap());
        let theirs = Arc::new(Certificate::generate().unwrap());
        let config = ShardConfig {
            certificate: certificate.clone(),
            candidates: vec![GATEWAY],
            started: (now, SystemTime::now()),
            max_sessions: 100,
            music: media::Music::default(),
        };
        let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        // As the answer asks, the far side being G.711.
        encoder.set_max_bandwidth(opus::Bandwidth::Narrowband).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
        let mut call = Self {
            now,
            shard: Shard::new(config, [7; 32]),
            events: Vec::new(),
            trunk_packets: Vec::new(),
            browser: SecureTransport::controlling(theirs.clone(), "brow".to_owned()),
            browser_address: BROWSER_ADDRESS,
            browser_ssrc: 42,
            certificate,
            encoder,
            decoder: opus::Decoder::new(8000, opus::Channels::Mono).unwrap(),
            heard: HeardAudio::default(),
            sequence: 65_500,
            timestamp: u32::MAX - 5000,
            trunk_sequence: 100,
            trunk_timestamp: u32::MAX - 1000,
            delayed: None,
        };
        call.open_browser(BROWSER, vec![Codec::Opus]);
        let answer = call.browser_offers("brow", &theirs);
        call.browser.set_peer(answer);
        call.browser.set_candidate(GATEWAY);
        let silence_timeout = Duration::from_secs(30);
        let keying = Keying::Plain { networks: vec![] };
        call.command(Command::Open { session: TRUNK, keying, codecs: vec![Codec::Pcmu], silence_timeout });
        call.command(Command::CreateOffer { session: TRUNK, bandwidth: Bandwidth::Full });
        assert!(call.description(TRUNK).contains("m=audio 20000 RTP/AVP 0 101\r\n"));
        let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 101\r\n\
                   a=rtpmap:101 telephone-event/8000\r\n";
        call.command(Command::HandleAnswer { session: TRUNK, sdp: sdp.into() });
        call.command(Command::Bridge { a: BROWSER, b: TRUNK });
        call.browser.check();
        call.deliver();
        assert!(call.browser.is_connected());
        assert!(call.events.iter().any(|event| matches!(event, Event::Connected { session: BROWSER, .. })));
        call
    }

    /// The browser offers itself under this name and certificate; gives the gateway as the answer describes it.
    pub(crate) fn browser_offers(&mut self, ufrag: &str, theirs: &Certificate) -> Peer {
        let print = theirs.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
        let sdp = offer_with(&print).replace("ufrag:brow", &format!("ufrag:{ufrag}")).into_bytes();
        self.command(Command::HandleOffer { session: BROWSER, sdp, bandwidth: Bandwidth::Narrow });
        let answer = self.description(BROWSER);
        let value = self.certificate.fingerprint_sha256().to_vec();
        Peer {
            ufrag: attribute(&answer, "ice-ufrag"),
            pwd: attribute(&answer, "ice-pwd"),
            fingerprint: Fingerprint { hash: FingerprintHash::Sha256, value },
            setup: Setup::Passive,
        }
    }

    pub(crate) fn open_browser(&mut self, session: MediaSessionId, codecs: Vec<Codec>) {
        let silence_timeout = Duration::ZERO;
        self.command(Command::Open { session, keying: Keying::DtlsSrtp, codecs, silence_timeout });
    }

    fn description(&self, wanted: MediaSessionId) -> String {
        let sdp = self.events.iter().rev().find_map(|event| match event {
            Event::LocalDescription { session, sdp, .. } if *session == wanted => Some(sdp.clone()),
            _ => None,
        });
        String::from_utf8(sdp.expect("a description")).unwrap()
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command);
        while let Some(request) = self.shard.poll_port_request() {
            let port = LocalPort { rtp: TRUNK_RTP, rtcp: TRUNK_RTCP, advertised: TRUNK_PORT };
            self.shard.handle_port(self.now, request.session, Some(port));
        }
        self.deliver();
    }

    /// Carries packets until nobody has any.
    pub(crate) fn deliver(&mut self) {
        loop {
            let mut quiet = true;
            while let Some((to, packet)) = self.browser.poll_transmit() {
                assert_eq!(to, GATEWAY);
                self.shard.handle_packet(self.now, SocketId::BROWSERS, self.browser_address, &packet);
                quiet = false;
            }
            while let Some(transmit) = self.shard.poll_transmit() {
                quiet = false;
                if transmit.socket == SocketId::BROWSERS {
                    assert_eq!(transmit.to, self.browser_address);
                    let received = self.browser.handle_packet(self.now, GATEWAY, &transmit.bytes);
                    if let Received::Rtp(clear) = received {
                        self.browser_hears(&clear);
                    }
                } else if transmit.socket == TRUNK_RTP {
                    assert_eq!(transmit.to, CARRIER);
                    self.trunk_hears(&transmit.bytes);
                }
                self.shard.recycle(transmit.bytes);
            }
            while let Some(event) = self.shard.poll_event() {
                self.events.push(event);
            }
            if quiet {
                return;
            }
        }
    }

    fn browser_hears(&mut self, packet: &[u8]) {
        if packet[1] & 0x7f == 111 {
            let mut samples = [0_i16; 960];
            let count = self.decoder.decode(&packet[12..], &mut samples, false).unwrap();
            self.heard.browser.extend_from_slice(&samples[..count]);
        }
    }

    fn trunk_hears(&mut self, packet: &[u8]) {
        let parsed = TrunkPacket {
            payload_type: packet[1] & 0x7f,
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
            payload: packet[12..].to_vec(),
        };
        if parsed.payload_type == 0 {
            self.heard.trunk.extend(parsed.payload.iter().map(|code| ulaw_to_linear(*code)));
        }
        self.trunk_packets.push(parsed);
    }

    /// Digits the trunk saw: event code and milliseconds.
    pub(crate) fn trunk_digits(&self) -> Vec<(u8, u32)> {
        let mut digits: Vec<(u32, u8, u32)> = Vec::new();
        for packet in self.trunk_packets.iter().filter(|packet| packet.payload_type == 101) {
            let ended = packet.payload[1] & 0x80 != 0;
            let units = u32::from(u16::from_be_bytes([packet.payload[2], packet.payload[3]]));
            if ended && digits.iter().all(|(timestamp, _, _)| *timestamp != packet.timestamp) {
                digits.push((packet.timestamp, packet.payload[0], units / 8));
            }
        }
        digits.into_iter().map(|(_, event, ms)| (event, ms)).collect()
    }

    /// Lets `frames` times 20 ms pass, with something said in each; gives what was heard meanwhile.
    pub(crate) fn speak(&mut self, frames: usize, mut say: impl FnMut(&mut Self, usize)) -> HeardAudio {
        self.heard = HeardAudio::default();
        for n in 0..frames {
            say(self, n);
            self.deliver();
            self.wait(Duration::from_millis(20));
        }
        std::mem::take(&mut self.heard)
    }

    /// Lets time pass, timers firing when they are due.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.shard.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now);
            self.deliver();
        }
        self.now = end;
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn browser_packet(&mut self, samples: &[f64]) -> Vec<u8> {
        // The browser works at 48 kHz: six samples for each.
        let upsampled: Vec<i16> = (0..PEER_FRAME)
            .map(|n| {
                let (index, part) = (n / 6, f64::from(u32::try_from(n % 6).unwrap()) / 6.0);
                let next = samples.get(index + 1).copied().unwrap_or_else(|| 2.0 * samples[index] - samples[index - 1]);
                (samples[index] * (1.0 - part) + next * part) as i16
            })
            .collect();
        let payload = self.encoder.encode_vec(&upsampled, 1275).unwrap();
        let packet = self.rtp(111, false, self.timestamp, &payload);
        self.timestamp = self.timestamp.wrapping_add(960);
        packet
    }

    fn rtp(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type | (u8::from(marker) << 7)];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.browser_ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    pub(crate) fn browser_sends(&mut self, packet: &[u8]) {
        let (_, sealed) = self.browser.protect_rtp(packet).unwrap();
        self.shard.handle_packet(self.now, SocketId::BROWSERS, self.browser_address, &sealed);
    }

    pub(crate) fn browser_says(&mut self, samples: &[f64]) {
        let packet = self.browser_packet(samples);
        self.browser_sends(&packet);
        if let Some(late) = self.delayed.take() {
            self.browser_sends(&late);
        }
    }

    pub(crate) fn browser_loses(&mut self, samples: &[f64]) {
        let _ = self.browser_packet(samples);
    }

    /// The packet arrives right after the next one.
    pub(crate) fn browser_delays(&mut self, samples: &[f64]) {
        if let Some(late) = self.delayed.take() {
            self.browser_sends(&late);
        }
        self.delayed = Some(self.browser_packet(samples));
    }

    pub(crate) fn browser_presses(&mut self, event: u8, duration: Duration) {
        let started = self.timestamp;
        let total = u16::try_from(duration.as_millis() * 48).unwrap();
        let mut elapsed = 960_u16;
        while elapsed < total {
            let marker = elapsed == 960;
            let [high, low] = elapsed.to_be_bytes();
            let packet = self.rtp(110, marker, started, &[event, 10, high, low]);
            self.browser_sends(&packet);
            self.deliver();
            self.wait(Duration::from_millis(20));
            elapsed += 960;
        }
        let [high, low] = total.to_be_bytes();
        for _ in 0..3 {
            let packet = self.rtp(110, false, started, &[event, 0x8a, high, low]);
            self.browser_sends(&packet);
            self.deliver();
        }
        self.wait(Duration::from_millis(20));
        self.timestamp = started.wrapping_add(u32::from(total));
    }

    pub(crate) fn trunk_says(&mut self, samples: &[f64]) {
        let packet = self.trunk_packet(samples);
        self.trunk_sends(&packet);
    }

    pub(crate) fn trunk_sends(&mut self, packet: &[u8]) {
        self.shard.handle_packet(self.now, TRUNK_RTP, CARRIER, packet);
    }

    /// What was heard since the last time it was asked for.
    pub(crate) fn take_heard(&mut self) -> HeardAudio {
        std::mem::take(&mut self.heard)
    }

    pub(crate) fn stranger_says(&mut self, samples: &[f64]) {
        let packet = self.trunk_packet(samples);
        self.shard.handle_packet(self.now, TRUNK_RTP, address(66, 30_000), &packet);
    }

    pub(crate) fn trunk_packet(&mut self, samples: &[f64]) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.trunk_sequence.to_be_bytes());
        packet.extend_from_slice(&self.trunk_timestamp.to_be_bytes());
        packet.extend_from_slice(&77_u32.to_be_bytes());
        #[allow(clippy::cast_possible_truncation)]
        packet.extend(samples.iter().map(|sample| linear_to_ulaw(*sample as i16)));
        self.trunk_sequence = self.trunk_sequence.wrapping_add(1);
        self.trunk_timestamp = self.trunk_timestamp.wrapping_add(160);
        packet
    }

    /// Bytes from anywhere to every socket.
    pub(crate) fn inject(&mut self, packet: &[u8]) {
        self.shard.handle_packet(self.now, SocketId::BROWSERS, BROWSER_ADDRESS, packet);
        self.shard.handle_packet(self.now, SocketId::BROWSERS, address(66, 1), packet);
        self.shard.handle_packet(self.now, TRUNK_RTCP, CARRIER, packet);
    }
}

pub(crate) fn ulaw_to_linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7);
    let magnitude = magnitude - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// By search, so that it shares nothing with the encoder under test.
pub(crate) fn linear_to_ulaw(sample: i16) -> u8 {
    (0..=255).min_by_key(|code| (i32::from(ulaw_to_linear(*code)) - i32::from(sample)).abs()).unwrap()
}
