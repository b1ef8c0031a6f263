//! RTP and RTCP of plain legs from sources nobody expected, and streams that begin anew: who is followed, when, and who never is.
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

use std::net::SocketAddr;
use std::time::Duration;

use media::Command;
use plain::{A, B, FRAME, PCMA, PCMU, Trunks, address, peer, rtcp_socket};

/// A voice: no two packets of it alike, none silent.
fn speech(n: u8) -> [u8; 160] {
    [0x80 | n; 160]
}

/// Another port of the peer of A.
fn other_port() -> SocketAddr {
    SocketAddr::new(peer(A).ip(), 40_000)
}

/// A stream of its own.
struct Stream {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Stream {
    fn new(from: SocketAddr, ssrc: u32) -> Self {
        Self { from, ssrc, sequence: 7000, timestamp: 90_000 }
    }

    /// The stream of A's peer, from elsewhere.
    fn moved(trunks: &Trunks, from: SocketAddr) -> Self {
        Self { from, ssrc: trunks.ssrc, sequence: trunks.sequence, timestamp: trunks.timestamp }
    }

    fn say(&mut self, trunks: &mut Trunks) {
        (trunks.ssrc, self.ssrc) = (self.ssrc, trunks.ssrc);
        (trunks.sequence, self.sequence) = (self.sequence, trunks.sequence);
        (trunks.timestamp, self.timestamp) = (self.timestamp, trunks.timestamp);
        trunks.say_from(self.from, 0, 160, &speech(5));
        (trunks.ssrc, self.ssrc) = (self.ssrc, trunks.ssrc);
        (trunks.sequence, self.sequence) = (self.sequence, trunks.sequence);
        (trunks.timestamp, self.timestamp) = (self.timestamp, trunks.timestamp);
    }
}

/// A call in which the peer of A has spoken; the time after a description is over.
fn talking() -> Trunks {
    let mut trunks = Trunks::bridged(PCMU, PCMU);
    for n in 0..200 {
        trunks.say(0, 160, &speech(n % 64));
        trunks.wait(FRAME);
    }
    trunks.sent.clear();
    trunks
}

/// Where the gateway sends what B says.
fn goes_to(trunks: &mut Trunks) -> SocketAddr {
    trunks.reply(0, &speech(1));
    trunks.to(A).last().unwrap().to
}

#[test]
fn a_stream_injected_beside_the_one_believed_is_discarded_and_counted_however_long_it_goes_on() {
    let mut trunks = talking();
    let mut injected = Stream::new(other_port(), 666);
    let before = trunks.discarded();
    for n in 0..200 {
        trunks.say(0, 160, &speech(n % 64));
        injected.say(&mut trunks);
        trunks.wait(FRAME);
    }
    assert_eq!((trunks.to(B).len(), trunks.discarded() - before), (200, 200));
    assert_eq!(goes_to(&mut trunks), peer(A));
}

#[test]
fn who_speaks_from_an_address_not_expected_is_never_followed_not_even_after_silence() {
    let mut trunks = talking();
    trunks.wait(Duration::from_secs(5));
    let mut injected = Stream::moved(&trunks, address(66, 30_000));
    for _ in 0..20 {
        injected.say(&mut trunks);
        trunks.wait(FRAME);
    }
    assert!(trunks.to(B).is_empty());
    assert_eq!(goes_to(&mut trunks), peer(A));
}

#[test]
fn a_nats_new_port_for_the_same_stream_is_followed_within_a_few_packets() {
    let mut trunks = talking();
    let mut moved = Stream::moved(&trunks, other_port());
    for _ in 0..20 {
        moved.say(&mut trunks);
        trunks.wait(FRAME);
    }
    let heard = trunks.to(B);
    assert!((14..=17).contains(&heard.len()), "{}", heard.len());
    assert_eq!(goes_to(&mut trunks), other_port());
    // The old port is now the other one.
    trunks.say(0, 160, &speech(1));
    assert_eq!(trunks.to(B).len(), heard.len());
}

#[test]
fn another_stream_is_followed_only_once_the_one_believed_was_silent_for_a_second() {
    let mut trunks = talking();
    let mut other = Stream::new(other_port(), 5);
    for _ in 0..48 {
        other.say(&mut trunks);
        trunks.wait(FRAME);
    }
    assert!(trunks.to(B).is_empty(), "960 ms");
    for _ in 0..5 {
        other.say(&mut trunks);
        trunks.wait(FRAME);
    }
    assert!(trunks.to(B).len() >= 3);
    assert_eq!(goes_to(&mut trunks), other_port());
}

#[test]
fn packets_that_are_no_stream_are_not_followed_whoever_is_silent() {
    let mut trunks = talking();
    trunks.wait(Duration::from_secs(5));
    for n in 0..50 {
        let mut guess = Stream::new(other_port(), 5);
        guess.sequence = n * 977;
        guess.say(&mut trunks);
    }
    // Nor are packets of a payload type that was not agreed on, in a row or not.
    trunks.ssrc = 8;
    for _ in 0..20 {
        trunks.say_from(other_port(), 96, 160, &speech(1));
    }
    assert!(trunks.to(B).is_empty());
    assert_eq!(goes_to(&mut trunks), peer(A));
}

#[test]
fn the_sdps_own_address_takes_over_from_a_network_of_the_trunk_that_was_quicker_but_not_later_on() {
    for (after, is_followed) in [(Duration::ZERO, true), (Duration::from_secs(4), false)] {
        let mut trunks = Trunks::new();
        trunks.open(A, vec!["198.51.100.0/24"]);
        trunks.offer(A, peer(A), PCMU);
        trunks.command(Command::Echo { session: A });
        let mut quick = Stream::new("198.51.100.9:4000".parse().unwrap(), 666);
        let mut meant = Stream::new(peer(A), 5);
        let until = trunks.now + after;
        while trunks.now < until {
            quick.say(&mut trunks);
            trunks.wait(FRAME);
        }
        for _ in 0..10 {
            quick.say(&mut trunks);
            meant.say(&mut trunks);
            trunks.wait(FRAME);
        }
        assert_eq!(trunks.to(A).last().unwrap().to == peer(A), is_followed, "{after:?}");
    }
}

#[test]
fn after_a_reinvite_to_another_address_packets_still_on_their_way_do_not_keep_the_call_at_the_old_one() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec!["198.51.100.0/24"]);
    let (old, new): (SocketAddr, SocketAddr) =
        ("198.51.100.9:4000".parse().unwrap(), "198.51.100.77:5000".parse().unwrap());
    trunks.offer(A, old, PCMU);
    trunks.command(Command::Echo { session: A });
    let mut stream = Stream::new(old, 5);
    stream.say(&mut trunks);
    trunks.wait(FRAME);
    trunks.offer(A, new, PCMU);
    stream.say(&mut trunks);
    // Heard, but answered where the description says.
    assert_eq!((trunks.to(A).len(), trunks.to(A)[1].to), (2, new));
    let mut there = Stream::new(new, 6);
    there.say(&mut trunks);
    assert_eq!(trunks.to(A).last().unwrap().to, new);
    stream.say(&mut trunks);
    assert_eq!(trunks.to(A).len(), 3, "the old one is heard no more");
}

#[test]
fn a_new_ssrc_of_the_source_believed_is_a_new_stream_and_what_is_sent_goes_on() {
    for formats in [PCMU, PCMA] {
        let mut trunks = Trunks::bridged(PCMU, formats);
        for n in 0..40_u8 {
            if n == 20 {
                (trunks.ssrc, trunks.sequence, trunks.timestamp) = (1234, 50_000, 4_000_000_000);
            }
            trunks.say(0, 160, &speech(n));
            trunks.wait(FRAME);
        }
        let heard = trunks.to(B);
        assert_eq!(heard.len(), 40);
        assert!(heard.windows(2).all(|pair| pair[1].ssrc == pair[0].ssrc));
        assert!(heard.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
        assert!(heard.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 160));
        assert!(heard[20].marker && !heard[19].marker);
    }
}

/// A receiver report that names no one.
fn report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

#[test]
fn rtcp_goes_where_the_first_report_came_from_and_follows_only_one_that_is_silent() {
    let mut trunks = talking();
    let (first, second) = (SocketAddr::new(peer(A).ip(), 41_001), SocketAddr::new(peer(A).ip(), 42_001));
    let reports_go_to = |trunks: &mut Trunks| {
        trunks.rtcp.clear();
        trunks.wait(Duration::from_secs(8));
        trunks.rtcp.iter().find(|(leg, ..)| *leg == A).map(|(_, to, _)| *to).expect("a report")
    };
    trunks.receive(rtcp_socket(A), first, &report(99));
    let discarded = trunks.discarded();
    trunks.receive(rtcp_socket(A), second, &report(99));
    assert_eq!(trunks.discarded(), discarded + 1);
    assert_eq!(reports_go_to(&mut trunks), first);
    trunks.wait(Duration::from_secs(15));
    trunks.receive(rtcp_socket(A), second, &report(99));
    assert_eq!(reports_go_to(&mut trunks), second);
}

#[test]
fn rtcp_from_another_host_of_the_trunk_than_its_rtp_is_not_believed() {
    let mut trunks = Trunks::new();
    trunks.open(A, vec!["198.51.100.0/24"]);
    trunks.offer(A, peer(A), PCMU);
    trunks.command(Command::Echo { session: A });
    Stream::new("198.51.100.9:4000".parse().unwrap(), 5).say(&mut trunks);
    let before = trunks.discarded();
    trunks.receive(rtcp_socket(A), "198.51.100.10:4001".parse().unwrap(), &report(5));
    assert_eq!(trunks.discarded(), before + 1);
    trunks.receive(rtcp_socket(A), "198.51.100.9:4001".parse().unwrap(), &report(5));
    assert_eq!(trunks.discarded(), before + 1);
}
