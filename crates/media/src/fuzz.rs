//! Bodies of the fuzz targets: what must hold for any bytes at all. Public for the fuzzer and for the test that replays its corpus;
//! nothing else calls them.
#![allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
#![allow(clippy::expect_used, reason = "a broken promise is to be loud here")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use crate::command::{Bandwidth, Codec, Command, Dtmf, Keying, LocalPort, MediaSessionId, MixId, SdesPolicy, SocketId};
use crate::event::Event;
use crate::keying::{
    Certificate, CryptoAttribute, Fingerprint, FingerprintHash, Peer, SecureTransport, Setup, stun_username,
};
use crate::music::Music;
use crate::rtcp::{NtpClock, Reporter};
use crate::rtp::{Egress, Reception, RtpView};
use crate::sdp::{Answer, Direction, LocalCrypto, LocalKeying, LocalMedia, accept_answer, create_answer, create_offer};
use crate::shard::{Shard, ShardConfig};

const OPUS_LEG: MediaSessionId = MediaSessionId(1);
const CARRIER_LEG: MediaSessionId = MediaSessionId(2);
const CARRIER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 30_000);
const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 20_000);

fn certificate() -> Arc<Certificate> {
    static CERTIFICATE: OnceLock<Arc<Certificate>> = OnceLock::new();
    CERTIFICATE.get_or_init(|| Arc::new(Certificate::generate().expect("a key"))).clone()
}

fn music() -> Music {
    static MUSIC: OnceLock<Music> = OnceLock::new();
    MUSIC.get_or_init(Music::default).clone()
}

/// Parses the bytes as one RTP packet, then plays them as a script of packets into a bridge between an Opus and a G.711 or G.722 leg, and
/// into a mix of both: what comes out must be well-formed RTP without a hole in its sequence numbers.
///
/// # Panics
/// When a promise is broken.
pub fn rtp(bytes: &[u8]) {
    if let Ok(view) = RtpView::parse(bytes) {
        assert!(view.payload.len() + 12 <= bytes.len());
    }
    let codec = if bytes.len().is_multiple_of(2) { Codec::Pcmu } else { Codec::G722 };
    for mixed in [false, true] {
        let mut bridge = Bridge::new(mixed, codec);
        let mut script = bytes;
        while let [kind, length, step, rest @ ..] = script {
            let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            script = rest;
            bridge.play(*kind, *step, payload);
        }
    }
}

/// A bridge or a mix of two plain legs on a simulated clock.
struct Bridge {
    now: Instant,
    shard: Shard,
    sequence: u16,
    timestamp: u32,
    last: HashMap<SocketId, u16>,
    /// The carrier's payload type.
    carrier: u8,
}

impl Bridge {
    fn new(mixed: bool, codec: Codec) -> Self {
        let now = Instant::now();
        let config = ShardConfig {
            certificate: certificate(),
            candidates: vec![GATEWAY],
            started: (now, UNIX_EPOCH),
            max_sessions: 2,
            music: music(),
        };
        let mut bridge = Self {
            now,
            shard: Shard::new(config, [1; 32]),
            sequence: 65_000,
            timestamp: 0,
            last: HashMap::new(),
            carrier: if codec == Codec::G722 { 9 } else { 0 },
        };
        bridge.open(
            OPUS_LEG,
            Codec::Opus,
            10,
            "111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000",
        );
        // Comfort noise is among what a script may send; packets of 30 ms have to be made of others.
        let formats = "0 9 13 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30";
        bridge.open(CARRIER_LEG, codec, 20, formats);
        if mixed {
            for session in [OPUS_LEG, CARRIER_LEG] {
                bridge.shard.handle_command(now, Command::Mix { session, mix: MixId(1) });
            }
        } else {
            bridge.shard.handle_command(now, Command::Bridge { a: OPUS_LEG, b: CARRIER_LEG });
        }
        bridge
    }

    fn open(&mut self, session: MediaSessionId, codec: Codec, socket: u32, formats: &str) {
        let keying = Keying::Plain { networks: Vec::new() };
        let silence_timeout = Duration::from_secs(30);
        self.shard.handle_command(self.now, Command::Open { session, keying, codecs: vec![codec], silence_timeout });
        let port = LocalPort { rtp: SocketId(socket), rtcp: SocketId(socket + 1), advertised: GATEWAY };
        self.shard.handle_port(self.now, session, Some(port));
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 30000 RTP/AVP {formats}\r\n"
        );
        let bandwidth = Bandwidth::Narrow;
        self.shard.handle_command(self.now, Command::HandleOffer { session, sdp: sdp.into_bytes(), bandwidth });
        let agreed = std::iter::from_fn(|| self.shard.poll_event())
            .any(|event| matches!(event, Event::LocalDescription { codec: Some(_), .. }));
        assert!(agreed, "the leg of this test does not open");
    }

    /// One packet: `kind` says where it goes and what it is, `step` how far its numbers and the clock move.
    fn play(&mut self, kind: u8, step: u8, payload: &[u8]) {
        let (socket, numbers) = if kind & 1 == 0 { (10, [111, 110, 13]) } else { (20, [self.carrier, 101, 13]) };
        self.sequence = self.sequence.wrapping_add_signed(i16::from(step.cast_signed() >> 4));
        self.timestamp = self.timestamp.wrapping_add(u32::from(step & 0x0f) * 160);
        self.now += Duration::from_millis(u64::from(step & 0x1f));
        let mut packet = Vec::with_capacity(payload.len() + 12);
        if let Some(number) = numbers.get(usize::from(kind >> 1 & 3)) {
            packet.extend_from_slice(&[0x80, number | (kind & 0x80)]);
            packet.extend_from_slice(&self.sequence.to_be_bytes());
            packet.extend_from_slice(&self.timestamp.to_be_bytes());
            packet.extend_from_slice(&u32::from(kind >> 6).to_be_bytes());
        }
        packet.extend_from_slice(payload);
        self.shard.handle_packet(self.now, SocketId(socket + u32::from(kind >> 3 & 1)), CARRIER, &packet);
        if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
            self.shard.handle_timeout(self.now);
        }
        while let Some(transmit) = self.shard.poll_transmit() {
            if matches!(transmit.socket, SocketId(10 | 20)) {
                let view = RtpView::parse(&transmit.bytes).expect("what is sent is RTP");
                assert!(transmit.bytes.len() <= 1500 && transmit.to == CARRIER);
                let before = self.last.insert(transmit.socket, view.header.sequence);
                assert!(before.is_none_or(|before| view.header.sequence == before.wrapping_add(1)), "a hole");
            }
            self.shard.recycle(transmit.bytes);
        }
        while self.shard.poll_event().is_some() {}
    }
}

/// Takes the bytes as a compound RTCP packet; whatever it claims, our next report can be made and the round trip is plausible.
///
/// # Panics
/// When a promise is broken.
pub fn rtcp(bytes: &[u8]) {
    let now = Instant::now();
    let clock = NtpClock { started: (now, UNIX_EPOCH) };
    let mut reporter = Reporter::new(clock, "fuzz".to_owned(), now, 1);
    let mut reception = Reception::new(8000);
    reception.admit(now, 7, 1, 0);
    let egress = Egress::new(u32::from_be_bytes([0, 0, 0, 7]), 1, 0, 8000);
    let later = now + Duration::from_secs(20);
    reporter.handle(later, egress.ssrc, bytes);
    assert!(reporter.round_trip().is_none_or(|trip| trip <= Duration::from_secs(60)));
    assert!(reporter.poll(later, &egress, &mut reception).is_some());
}

/// Takes the bytes as an offer and as an answer, of a browser and of a trunk with any encryption, and as an a=crypto line. An answer we make
/// can be read again; who requires encryption gets it, and whoever has it keeps it.
///
/// # Panics
/// When a promise is broken.
pub fn sdp(bytes: &[u8]) {
    let dtls = LocalKeying::DtlsSrtp {
        ufrag: "ufrag".to_owned(),
        pwd: "password-of-twenty-four-c".to_owned(),
        fingerprint: [7; 32],
        candidates: vec![GATEWAY],
    };
    let read = std::str::from_utf8(bytes).ok().and_then(|text| CryptoAttribute::parse(text).ok());
    assert!(read.is_none_or(|line| CryptoAttribute::parse(&line.to_string()) == Ok(line)));
    let sdes = |policy| LocalKeying::Sdes(Box::new(LocalCrypto::new(policy, &mut ChaCha12Rng::from_seed([1; 32]))));
    for keying in [LocalKeying::Plain, dtls, sdes(SdesPolicy::Optional), sdes(SdesPolicy::Required)] {
        let is_sdes = matches!(keying, LocalKeying::Sdes(_));
        let required = keying == sdes(SdesPolicy::Required);
        let mut local = LocalMedia {
            session_id: 1,
            version: 1,
            described: Vec::new(),
            settled: None,
            address: GATEWAY,
            codecs: vec![Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::G722],
            bandwidth: Bandwidth::Full,
            ptime: Duration::from_millis(20),
            keying,
            ssrc: 1,
            cname: "fuzz".to_owned(),
            direction: Direction::SendRecv,
            dtmf: Dtmf::Auto,
        };
        assert!(!create_offer(&mut local).is_empty());
        if let Ok(agreed) = accept_answer(&mut local.clone(), bytes) {
            assert!(agreed.keys.is_some() || !required, "a downgrade");
        }
        if let Ok(answer) = create_answer(&mut local, bytes) {
            let keys = answer.negotiated.as_ref().and_then(|negotiated| negotiated.keys.clone());
            let is_encrypted = keys.is_some();
            assert!(is_encrypted || !required || answer.negotiated.is_none(), "a downgrade");
            // Read as an offer, because an answer to several m-lines is none to our own offer of one. Whoever reads it has other keys.
            let other = |local: &LocalMedia| {
                let mut other = local.clone();
                if let (true, LocalKeying::Sdes(crypto)) = (is_sdes, &mut other.keying) {
                    **crypto = LocalCrypto::new(SdesPolicy::Optional, &mut ChaCha12Rng::from_seed([2; 32]));
                }
                other
            };
            let read = create_answer(&mut other(&local), &answer.sdp);
            assert!(read.is_ok(), "our answer cannot be read: {read:?} {}", String::from_utf8_lossy(&answer.sdp));
            // What was settled by it is repeated in our next offer, which meets an answer of as many m-lines.
            let again = create_offer(&mut local);
            let read = create_answer(&mut other(&local), &again);
            assert!(read.is_ok(), "our next offer cannot be read: {read:?} {}", String::from_utf8_lossy(&again));
            if let Ok(Answer { negotiated: Some(negotiated), .. }) = create_answer(&mut local, bytes) {
                assert_eq!(negotiated.keys, keys, "the same offer again changes no key");
            }
        }
    }
}

/// Takes the bytes as STUN, DTLS or SRTP from an address that ICE has validated: whatever a browser can send before its keys.
///
/// # Panics
/// When a promise is broken.
pub fn keying(bytes: &[u8]) {
    let now = Instant::now();
    let _ = stun_username(bytes);
    let mut gateway = SecureTransport::new(certificate(), "gateway".to_owned(), "gateway-password-of-24-ch".to_owned());
    let mut browser = SecureTransport::controlling(certificate(), "browser".to_owned());
    let fingerprint = Fingerprint { hash: FingerprintHash::Sha256, value: certificate().fingerprint_sha256().to_vec() };
    let peer = |ufrag: &str, pwd: &str, setup| Peer {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
        fingerprint: fingerprint.clone(),
        setup,
    };
    gateway.set_peer(peer("browser", "browser-password-of-24-ch", Setup::Active));
    browser.set_peer(peer("gateway", "gateway-password-of-24-ch", Setup::Passive));
    browser.set_candidate(GATEWAY);
    browser.check();
    while let Some((_, check)) = browser.poll_transmit() {
        gateway.handle_packet(now, CARRIER, &check);
    }
    assert!(gateway.has_validated(CARRIER));
    gateway.handle_packet(now, CARRIER, bytes);
    while gateway.poll_transmit().is_some() {}
    assert!(!gateway.is_connected());
}
