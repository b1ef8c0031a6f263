//! Whatever signalling asks in whatever order, and whatever arrives meanwhile: every session that was opened is closed once, every
//! port comes back, and the shard never asks to be woken without end.
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/plain.rs"]
#[allow(dead_code, reason = "shared with the tests of plain legs")]
mod plain;

use std::collections::HashMap;
use std::time::Duration;

use media::{
    Bandwidth, Codec, Command, Dtmf, Event, Keying, LinkEnd, LinkTransmit, MediaSessionId, MixId, SdesPolicy, SocketId,
};
use plain::{OPUS, PCMA, PCMU, Trunks, address, peer};
use proptest::prelude::*;

/// Timers within a simulated step. RTCP, digits, tone and reordering together need far fewer.
const MOST_WAKE_UPS: usize = 2000;

#[derive(Debug, Clone)]
enum Step {
    Command(Command),
    Rtp {
        leg: u64,
        payload_type: u8,
        length: usize,
    },
    Noise {
        socket: u32,
        bytes: Vec<u8>,
    },
    /// The source sets its numbers anew.
    Jump(u16, u32),
    Wait(u64),
}

fn session() -> impl Strategy<Value = MediaSessionId> {
    (1..=4_u64).prop_map(MediaSessionId)
}

fn offer() -> impl Strategy<Value = Vec<u8>> {
    let formats = prop_oneof![Just(PCMU), Just(PCMA), Just(OPUS), Just("0"), Just("3")];
    let direction = prop_oneof![Just("sendrecv"), Just("sendonly"), Just("inactive")];
    let keys = prop_oneof![3 => Just(None), 1 => Just(Some('S')), 1 => Just(Some('T'))];
    (formats, direction, 1..=4_u64, 5_u8..70, keys).prop_map(|(formats, direction, leg, ptime, key)| {
        let ip = peer(MediaSessionId(leg)).ip();
        let profile = if key.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        let line = |key: char| format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", key.to_string().repeat(40));
        let crypto = key.map(line).unwrap_or_default();
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 30000 {profile} {formats}\r\na={direction}\r\n\
             a=ptime:{ptime}\r\n{crypto}"
        )
        .into_bytes()
    })
}

fn command() -> impl Strategy<Value = Command> {
    let bandwidth = Bandwidth::Narrow;
    prop_oneof![
        3 => (session(), session(), 0..6).prop_map(|(session, other, kind)| {
            let keying = match kind {
                0 | 1 => Keying::DtlsSrtp,
                2 => Keying::Link { peer: LinkEnd { shard: 0, session: other } },
                3 => Keying::Sdes { networks: vec![], policy: SdesPolicy::Optional },
                _ => Keying::Plain { networks: vec![] },
            };
            let codecs = vec![Codec::Opus, Codec::Pcmu, Codec::Pcma];
            Command::Open { session, keying, codecs, silence_timeout: Duration::from_secs(3) }
        }),
        4 => (session(), offer()).prop_map(move |(session, sdp)| Command::HandleOffer { session, sdp, bandwidth }),
        1 => session().prop_map(move |session| Command::CreateOffer { session, bandwidth }),
        1 => (session(), offer()).prop_map(|(session, sdp)| Command::HandleAnswer { session, sdp }),
        3 => (session(), session()).prop_map(|(a, b)| Command::Bridge { a, b }),
        1 => session().prop_map(|session| Command::Echo { session }),
        1 => session().prop_map(|session| Command::Ringback { session }),
        1 => session().prop_map(|session| Command::Music { session }),
        3 => (session(), 1..=2_u64).prop_map(|(session, mix)| Command::Mix { session, mix: MixId(mix) }),
        2 => (session(), "[0-9A-Dx*#]{0,8}", 0..400_u64).prop_map(|(session, digits, ms)| {
            Command::SendDigits { session, digits, duration: Duration::from_millis(ms) }
        }),
        2 => session().prop_map(|session| Command::Adopt { session }),
        2 => (session(), any::<bool>()).prop_map(|(session, hold)| Command::Hold { session, hold }),
        2 => (session(), "[0-9A-Dx*#]", 0..400_u64).prop_map(|(session, digit, ms)| {
            Command::PressDigit { session, digit: digit.chars().next().unwrap(), duration: Duration::from_millis(ms) }
        }),
        1 => (session(), prop_oneof![Just(Dtmf::Auto), Just(Dtmf::Rfc4733), Just(Dtmf::Inband), Just(Dtmf::Info)])
            .prop_map(|(session, dtmf)| Command::SetDtmf { session, dtmf }),
        1 => session().prop_map(|session| Command::Close { session }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => command().prop_map(Step::Command),
        4 => (1..=4_u64, prop_oneof![Just(0_u8), Just(8), Just(111), Just(101), Just(110), Just(13)], 0..200_usize)
            .prop_map(|(leg, payload_type, length)| Step::Rtp { leg, payload_type, length }),
        1 => (0..45_u32, proptest::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(socket, bytes)| Step::Noise { socket, bytes }),
        1 => any::<(u16, u32)>().prop_map(|(sequence, timestamp)| Step::Jump(sequence, timestamp)),
        2 => (0..6000_u64).prop_map(Step::Wait),
    ]
}

/// Lets time pass; fails when the shard wants to be woken again and again.
fn wait(trunks: &mut Trunks, duration: Duration) {
    let end = trunks.now + duration;
    let mut wake_ups = 0;
    while let Some(at) = trunks.shard.poll_timeout().filter(|at| *at <= end) {
        trunks.now = trunks.now.max(at);
        trunks.shard.handle_timeout(trunks.now);
        trunks.drain();
        wake_ups += 1;
        assert!(wake_ups < MOST_WAKE_UPS, "the shard spins");
    }
    trunks.now = end;
}

/// Brings back what the shard has for links, whose other ends are on the same one here. What that leads to comes the next time: two ends
/// that are joined with each other would never come to rest.
fn carry(trunks: &mut Trunks) {
    let waiting: Vec<LinkTransmit> = std::iter::from_fn(|| trunks.shard.poll_link()).collect();
    for LinkTransmit { to, content } in waiting {
        trunks.shard.handle_link(trunks.now, to.session, content);
    }
    trunks.drain();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_session_closes_once_and_every_port_comes_back(steps in proptest::collection::vec(step(), 1..60)) {
        let mut trunks = Trunks::new();
        let mut closes: HashMap<MediaSessionId, usize> = HashMap::new();
        for step in steps {
            match step {
                Step::Command(command) => {
                    if let Command::Close { session } = command {
                        *closes.entry(session).or_default() += 1;
                    }
                    trunks.command(command);
                }
                Step::Rtp { leg, payload_type, length } => {
                    let packet = trunks.packet(payload_type, &vec![0x5a; length]);
                    trunks.skip(160);
                    let socket = SocketId(u32::try_from(leg).unwrap() * 10);
                    trunks.receive(socket, peer(MediaSessionId(leg)), &packet);
                }
                Step::Noise { socket, bytes } => trunks.receive(SocketId(socket), address(11, 30_000), &bytes),
                Step::Jump(sequence, timestamp) => (trunks.sequence, trunks.timestamp) = (sequence, timestamp),
                Step::Wait(ms) => wait(&mut trunks, Duration::from_millis(ms)),
            }
            carry(&mut trunks);
        }
        for session in (1..=4).map(MediaSessionId) {
            *closes.entry(session).or_default() += 1;
            trunks.command(Command::Close { session });
        }
        for (session, asked) in closes {
            let told = trunks.events.iter().filter(|e| matches!(e, Event::Closed { session: s, .. } if *s == session));
            prop_assert_eq!(told.count(), asked);
        }
        let mut released: Vec<SocketId> = std::iter::from_fn(|| trunks.shard.poll_port_release()).map(|p| p.rtp).collect();
        released.sort_unstable();
        trunks.granted.sort_unstable();
        prop_assert_eq!(&released, &trunks.granted);
        prop_assert_eq!(trunks.shard.counters().sessions, 0);
        trunks.sent.clear();
        wait(&mut trunks, Duration::from_secs(30));
        prop_assert!(trunks.sent.is_empty() && trunks.shard.poll_timeout().is_none());
    }
}
