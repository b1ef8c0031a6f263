//! Two browsers on the shard's one port: ICE, DTLS-SRTP and Opus between them, each from its own address, with real keys on a
//! simulated network.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, MediaSessionId, Milestone,
    Peer, Received, SecureTransport, Setup, Shard, ShardConfig, SocketId,
};

const GATEWAY: SocketAddr = address(1, 3478);
const FRAME: Duration = Duration::from_millis(20);
const SILENCE: Duration = Duration::from_secs(20);

const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
}

/// One page with its transport.
struct Browser {
    session: MediaSessionId,
    address: SocketAddr,
    transport: SecureTransport,
    /// The fingerprint of its certificate.
    print: String,
    sequence: u16,
    /// RTP in the clear, as it arrived.
    heard: Vec<Vec<u8>>,
    rtcp: Vec<Vec<u8>>,
}

struct Pages {
    now: Instant,
    shard: Shard,
    pages: Vec<Browser>,
    events: Vec<Event>,
    /// The gateway's name towards the first page.
    ufrag: String,
}

/// What a page offers under these ICE credentials.
fn offer(ufrag: &str, print: &str, direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\n\
         c=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}-password-of-24-chars\r\na=fingerprint:sha-256 {print}\r\n\
         a=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\na={direction}\r\na=rtpmap:111 opus/48000/2\r\n\
         a=rtpmap:110 telephone-event/48000\r\n"
    )
}

fn attribute(answer: &str, name: &str) -> String {
    answer.lines().find_map(|line| line.strip_prefix(name)).expect(name).to_owned()
}

/// The gateway as its answer describes it.
fn gateway_of(answer: &str) -> Peer {
    let print = attribute(answer, "a=fingerprint:sha-256 ");
    let value = print.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    Peer {
        ufrag: attribute(answer, "a=ice-ufrag:"),
        pwd: attribute(answer, "a=ice-pwd:"),
        fingerprint: Fingerprint { hash: FingerprintHash::Sha256, value },
        setup: Setup::Passive,
    }
}

impl Pages {
    /// Two browsers whose offers were answered, bridged; no packet has been sent yet.
    fn answered() -> Self {
        let now = Instant::now();
        let config = ShardConfig {
            certificate: Arc::new(Certificate::generate().unwrap()),
            candidates: vec![GATEWAY],
            started: (now, SystemTime::UNIX_EPOCH),
            max_sessions: 10,
            music: media::Music::default(),
        };
        let mut pages = Self {
            now,
            shard: Shard::new(config, [5; 32]),
            pages: Vec::new(),
            events: Vec::new(),
            ufrag: String::new(),
        };
        for n in 1..=2 {
            pages.open(n);
        }
        let (a, b) = (pages.pages[0].session, pages.pages[1].session);
        pages.command(Command::Bridge { a, b });
        pages
    }

    fn connected() -> Self {
        let mut pages = Self::answered();
        for page in &mut pages.pages {
            page.transport.check();
        }
        pages.deliver();
        assert!(pages.pages.iter().all(|page| page.transport.is_connected()));
        pages
    }

    fn open(&mut self, n: u8) {
        let session = MediaSessionId(u64::from(n));
        let own = Arc::new(Certificate::generate().unwrap());
        let (keying, codecs) = (Keying::DtlsSrtp, vec![Codec::Opus, Codec::Pcmu]);
        self.command(Command::Open { session, keying, codecs, silence_timeout: SILENCE });
        let print = own.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
        let offer = offer(&format!("page{n}"), &print, "sendrecv");
        self.command(Command::HandleOffer { session, sdp: offer.into_bytes(), bandwidth: Bandwidth::Full });
        let Some(Event::LocalDescription { sdp, codec: Some(Codec::Opus), .. }) = self.events.last() else {
            panic!("no answer: {:?}", self.events.last());
        };
        let answer = String::from_utf8(sdp.clone()).unwrap();
        if n == 1 {
            self.ufrag = gateway_of(&answer).ufrag;
        }
        let mut transport = SecureTransport::controlling(own, format!("page{n}"));
        transport.set_peer(gateway_of(&answer));
        transport.set_candidate(GATEWAY);
        let address = address(n + 10, 50_000);
        let (heard, rtcp) = (Vec::new(), Vec::new());
        self.pages.push(Browser { session, address, transport, print, sequence: 0, heard, rtcp });
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command);
        self.deliver();
    }

    fn deliver(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for page in &mut self.pages {
                while let Some((_, packet)) = page.transport.poll_transmit() {
                    quiet = false;
                    self.shard.handle_packet(self.now, SocketId::BROWSERS, page.address, &packet);
                }
            }
            while let Some(transmit) = self.shard.poll_transmit() {
                quiet = false;
                let page = self.pages.iter_mut().find(|page| page.address == transmit.to).expect("a page's address");
                match page.transport.handle_packet(self.now, GATEWAY, &transmit.bytes) {
                    Received::Rtp(clear) => page.heard.push(clear.to_vec()),
                    Received::Rtcp(clear) => page.rtcp.push(clear.to_vec()),
                    Received::Consumed => {}
                    Received::Discarded(reason) => panic!("{reason}"),
                    Received::Unauthentic => panic!("not authentic"),
                }
                self.shard.recycle(transmit.bytes);
            }
            self.events.extend(std::iter::from_fn(|| self.shard.poll_event()));
        }
    }

    /// Page `n` offers again; gives the answer, which is sent.
    fn offer_again(&mut self, n: usize, ufrag: &str, direction: &str) -> String {
        let page = &self.pages[n];
        let (session, sdp) = (page.session, offer(ufrag, &page.print, direction).into_bytes());
        self.command(Command::HandleOffer { session, sdp, bandwidth: Bandwidth::Full });
        let Some(Event::LocalDescription { sdp, .. }) = self.events.last().cloned() else { panic!("no answer") };
        self.command(Command::Adopt { session });
        String::from_utf8(sdp).unwrap()
    }

    /// Page `n` sends one packet.
    fn say(&mut self, n: usize, payload_type: u8, payload: &[u8]) {
        let page = &mut self.pages[n];
        page.sequence += 1;
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&page.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(page.sequence) * 960).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 9]);
        packet.extend_from_slice(payload);
        let (_, sealed) = page.transport.protect_rtp(&packet).expect("connected");
        self.shard.handle_packet(self.now, SocketId::BROWSERS, page.address, &sealed);
        self.deliver();
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.shard.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now);
            self.deliver();
        }
        self.now = end;
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }
}

#[test]
fn two_browsers_hear_each_others_opus_unchanged() {
    let mut pages = Pages::connected();
    for n in 0..20_u8 {
        pages.say(0, 111, &[0x78, n, 1, 2, 3]);
        pages.say(1, 111, &[0x78, n, 4, 5, 6]);
        pages.wait(FRAME);
    }
    for (listener, tail) in [(1, [1, 2, 3]), (0, [4, 5, 6])] {
        let heard = &pages.pages[listener].heard;
        assert_eq!(heard.len(), 20);
        for (n, packet) in heard.iter().enumerate() {
            assert_eq!(packet[1] & 0x7f, 111);
            assert_eq!(packet[12..], [&[0x78, u8::try_from(n).unwrap()][..], &tail[..]].concat());
        }
    }
    assert_eq!(pages.count(|event| matches!(event, Event::Connected { .. })), 2);
}

#[test]
fn a_browsers_milestones_are_told_once_each_and_in_their_order() {
    let mut pages = Pages::connected();
    for n in 0..5_u8 {
        pages.say(0, 111, &[0x78, n, 1, 2, 3]);
        pages.say(1, 111, &[0x78, n, 4, 5, 6]);
    }
    let (now, peer) = (pages.now, pages.pages[0].address);
    // Whoever knows the name but not the password.
    let mut check = vec![0, 1, 0, 0x18, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 0x14];
    let ufrag = pages.ufrag.clone();
    check.extend(format!("{:<20}", format!("{ufrag}:page1")).as_bytes());
    for _ in 0..2 {
        pages.shard.handle_packet(now, SocketId::BROWSERS, address(99, 1), &check);
        pages.deliver();
    }
    let of_first = pages.events.iter().filter_map(|event| match event {
        Event::Milestone { session, milestone, .. } if *session == pages.pages[0].session => Some(*milestone),
        _ => None,
    });
    let seen: Vec<Milestone> = of_first.collect();
    let expected =
        [Milestone::PathValidated { peer }, Milestone::DtlsStarted, Milestone::FirstReceived, Milestone::FirstSent];
    assert!(matches!(seen[0], Milestone::Agreed { codec: Codec::Opus, .. }), "{seen:?}");
    assert_eq!(seen[1..5], expected);
    assert!(matches!(seen[5..], [Milestone::Refused { .. }]), "a reason is told once: {seen:?}");
}

#[test]
fn what_was_said_before_the_keys_were_there_leaves_no_hole() {
    let mut pages = Pages::answered();
    pages.pages[0].transport.check();
    pages.deliver();
    for _ in 0..5 {
        pages.say(0, 111, &[0x78, 1]);
        pages.wait(FRAME);
    }
    pages.pages[1].transport.check();
    pages.deliver();
    pages.say(0, 111, &[0x78, 2]);
    let heard = &pages.pages[1].heard;
    assert_eq!((heard.len(), heard[0][1]), (1, 0x80 | 111), "it begins a talk spurt");
    pages.command(Command::Close { session: MediaSessionId(2) });
    let Some(Event::Closed { statistics, .. }) = pages.events.last() else { panic!("not closed") };
    assert_eq!(statistics.packets_sent, 1);
}

#[test]
fn each_browser_gets_reports_on_the_shared_port() {
    let mut pages = Pages::connected();
    for _ in 0..500 {
        pages.say(0, 111, &[0x78, 1, 2]);
        pages.wait(FRAME);
    }
    assert_eq!(pages.pages[0].rtcp.first().map(|report| report[1]), Some(201), "one that only listens to it reports");
    assert_eq!(
        pages.pages[1].rtcp.last().map(|report| report[1]),
        Some(200),
        "one that speaks to it reports as sender"
    );
}

#[test]
fn a_browser_that_moves_to_another_address_is_heard_once_ice_has_checked_it() {
    let mut pages = Pages::connected();
    pages.say(0, 111, &[0x78, 1]);
    let moved = address(99, 40_000);
    pages.pages[0].address = moved;
    pages.say(0, 111, &[0x78, 2]);
    assert_eq!(pages.pages[1].heard.len(), 1, "not before the check");
    pages.pages[0].transport.check();
    pages.deliver();
    pages.say(0, 111, &[0x78, 3]);
    pages.say(1, 111, &[0x78, 4]);
    // The lost one is waited for.
    pages.wait(FRAME);
    assert_eq!(pages.pages[1].heard.len(), 2);
    assert_eq!(pages.pages[0].heard.len(), 1, "and it hears at its new address");
}

#[test]
fn a_muted_browser_lives_by_its_consent_checks_and_a_dead_one_is_told_silent_once() {
    let mut pages = Pages::connected();
    for _ in 0..12 {
        pages.wait(Duration::from_secs(5));
        pages.pages[0].transport.check();
        pages.deliver();
    }
    assert_eq!(pages.count(|event| matches!(event, Event::Silent { session: MediaSessionId(1) })), 0);
    assert_eq!(pages.count(|event| matches!(event, Event::Silent { session: MediaSessionId(2) })), 1);
}

#[test]
fn a_closed_leg_is_not_spoken_to_and_its_address_is_forgotten() {
    let mut pages = Pages::connected();
    pages.say(0, 111, &[0x78, 1]);
    pages.command(Command::Close { session: MediaSessionId(2) });
    let bye = pages.pages[1].rtcp.last().expect("a farewell");
    assert_eq!(bye[bye.len() - 8..bye.len() - 4], [0x81, 203, 0, 1]);
    pages.say(0, 111, &[0x78, 2]);
    assert_eq!(pages.pages[1].heard.len(), 1);
    let discarded = pages.shard.counters().packets_discarded;
    pages.say(1, 111, &[0x78, 3]);
    assert_eq!(pages.shard.counters().packets_discarded, discarded + 1);
    assert_eq!((pages.shard.counters().sessions, pages.count(|e| matches!(e, Event::Closed { .. }))), (1, 1));
}

#[test]
fn nothing_is_heard_of_a_browser_whose_certificate_is_not_the_one_it_named() {
    let mut pages = Pages::answered();
    let stranger = Arc::new(Certificate::generate().unwrap());
    let page = &mut pages.pages[0];
    // Whoever knows the ICE password, but holds another key.
    let mut transport = SecureTransport::controlling(stranger, "page1".to_owned());
    std::mem::swap(&mut transport, &mut page.transport);
    let peer = pages.events.iter().find_map(|event| match event {
        Event::LocalDescription { session: MediaSessionId(1), sdp, .. } => {
            Some(String::from_utf8(sdp.clone()).unwrap())
        }
        _ => None,
    });
    page.transport.set_peer(gateway_of(&peer.expect("an answer")));
    page.transport.set_candidate(GATEWAY);
    page.transport.check();
    pages.deliver();
    assert_eq!(pages.count(|event| matches!(event, Event::Failed { session: MediaSessionId(1), .. })), 1);
    assert_eq!(pages.count(|event| matches!(event, Event::Connected { .. })), 0);
}

#[test]
fn a_later_offer_with_the_same_credentials_keeps_ice_and_dtls() {
    let mut pages = Pages::connected();
    let answers = ["inactive", "sendrecv"].map(|direction| pages.offer_again(0, "page1", direction));
    for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:sha-256 ", "a=setup:"] {
        assert_eq!(attribute(&answers[0], name), attribute(&answers[1], name));
    }
    assert_eq!(attribute(&answers[1], "a=setup:"), "passive");
    pages.say(0, 111, &[0x78, 1]);
    pages.say(1, 111, &[0x78, 2]);
    assert_eq!((pages.pages[0].heard.len(), pages.pages[1].heard.len()), (1, 1));
    assert_eq!(pages.count(|event| matches!(event, Event::Connected { .. })), 2);
}

#[test]
fn media_stays_on_the_old_path_through_an_ice_restart_until_the_new_one_is_checked() {
    let mut pages = Pages::connected();
    let (old, moved) = (pages.pages[0].address, address(99, 40_000));
    let answer = pages.offer_again(0, "again", "sendrecv");
    let before = pages.pages[0].transport.remote_ufrag().map(str::to_owned);
    assert_ne!(Some(attribute(&answer, "a=ice-ufrag:")), before);
    pages.say(0, 111, &[0x78, 1]);
    pages.say(1, 111, &[0x78, 2]);
    assert_eq!((pages.pages[0].heard.len(), pages.pages[1].heard.len()), (1, 1), "the old path is in use");
    pages.pages[0].transport.check();
    let (_, stale) = pages.pages[0].transport.poll_transmit().unwrap();
    pages.shard.handle_packet(pages.now, SocketId::BROWSERS, moved, &stale);
    assert!(pages.shard.poll_transmit().is_none(), "nothing new begins by the old credentials");
    pages.shard.handle_packet(pages.now, SocketId::BROWSERS, old, &stale);
    assert!(pages.shard.poll_transmit().is_some_and(|answer| answer.to == old), "but consent goes on");
    let page = &mut pages.pages[0];
    page.transport.restart_ice("again".to_owned(), String::new());
    page.transport.set_peer(gateway_of(&answer));
    page.transport.set_candidate(GATEWAY);
    page.address = moved;
    page.transport.check();
    pages.deliver();
    pages.say(0, 111, &[0x78, 3]);
    pages.say(1, 111, &[0x78, 4]);
    assert_eq!((pages.pages[0].heard.len(), pages.pages[1].heard.len()), (2, 2), "the new path is, by the old keys");
    pages.shard.handle_packet(pages.now, SocketId::BROWSERS, old, &stale);
    assert!(pages.shard.poll_transmit().is_none(), "the old credentials are forgotten");
    assert_eq!(pages.count(|event| matches!(event, Event::Connected { .. })), 2);
}
