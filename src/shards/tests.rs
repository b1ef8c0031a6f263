//! Real threads and real sockets of loopback: two plain legs on two shards, joined by a link, beside two on one shard.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use media::{Bandwidth, Codec, Command, Event, Hears, Keying, LinkEnd, MediaSessionId, Music};

use super::*;

/// For what only a fault keeps from coming.
const PATIENCE: Duration = Duration::from_secs(10);
const LEGS: [MediaSessionId; 2] = [MediaSessionId(1), MediaSessionId(2)];
const ENDS: [MediaSessionId; 2] = [MediaSessionId(11), MediaSessionId(12)];

/// Two phones, each with a leg on one of two shards.
struct Bench {
    shards: Shards,
    phones: [UdpSocket; 2],
    ports: [SocketAddr; 2],
    sequences: [u16; 2],
}

impl Bench {
    /// The legs are on these shards, and joined.
    fn joined(places: [usize; 2]) -> Self {
        let config = config::Media {
            listen: [127, 0, 0, 1].into(),
            browser_ports: 0,
            advertised_addresses: vec![[127, 0, 0, 1].into()],
            rtp_port_min: 0,
            rtp_port_max: 0,
            shards: 2,
            ..config::Media::default()
        };
        let shards = start(&config, &Identity::begin().unwrap(), &Music::default(), &CancellationToken::new()).unwrap();
        let phones = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        phones.iter().for_each(|phone| phone.set_read_timeout(Some(PATIENCE)).unwrap());
        let ports = [phones[0].local_addr().unwrap(); 2];
        let mut bench = Self { shards, phones, ports, sequences: [0; 2] };
        for leg in 0..2 {
            bench.open(places[leg], LEGS[leg], Keying::Plain { networks: Vec::new() });
            bench.ports[leg] = bench.agree(places[leg], leg);
        }
        if places[0] == places[1] {
            bench.tell(places[0], Command::Bridge { a: LEGS[0], b: LEGS[1] });
        } else {
            for leg in 0..2 {
                let peer = LinkEnd { shard: places[1 - leg], session: ENDS[1 - leg] };
                bench.open(places[leg], ENDS[leg], Keying::Link { peer });
                bench.tell(places[leg], Command::Bridge { a: LEGS[leg], b: ENDS[leg] });
            }
        }
        let mut deaf = LEGS.to_vec();
        while !deaf.is_empty() {
            let told = bench.await_event(|event| matches!(event, Event::Changed { .. }));
            let Event::Changed { session, state } = told else { unreachable!() };
            deaf.retain(|leg| *leg != session || state.hears != Hears::Party);
        }
        bench
    }

    fn tell(&self, shard: usize, command: Command) {
        self.shards.senders[shard].send(command).unwrap();
        self.shards.senders[shard].wake();
    }

    fn open(&self, shard: usize, session: MediaSessionId, keying: Keying) {
        let codecs = vec![Codec::Pcmu];
        self.tell(shard, Command::Open { session, keying, codecs, silence_timeout: Duration::ZERO });
    }

    fn agree(&mut self, shard: usize, leg: usize) -> SocketAddr {
        let port = self.phones[leg].local_addr().unwrap().port();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let session = LEGS[leg];
        self.tell(shard, Command::HandleOffer { session, sdp: sdp.into_bytes(), bandwidth: Bandwidth::Full });
        let described = self.await_event(|event| matches!(event, Event::LocalDescription { .. }));
        let Event::LocalDescription { sdp, .. } = described else { unreachable!() };
        let sdp = String::from_utf8(sdp).unwrap();
        let port = sdp.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
    }

    fn await_event(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.shards.events.try_recv() {
                Ok(told) if wanted(&told.event) => return told.event,
                Ok(_) => {}
                Err(_) => assert!(Instant::now() < deadline, "not told"),
            }
            std::thread::yield_now();
        }
    }

    /// One phone speaks; what the other hears, and how long that took.
    fn say(&mut self, leg: usize, payload: &[u8]) -> (Vec<u8>, Duration) {
        self.sequences[leg] += 1;
        let sequence = self.sequences[leg];
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&u32::try_from(leg + 1).unwrap().to_be_bytes());
        packet.extend_from_slice(payload);
        let mut heard = [0; 1500];
        let said = Instant::now();
        self.phones[leg].send_to(&packet, self.ports[leg]).unwrap();
        let length = self.phones[1 - leg].recv(&mut heard).expect("what was said");
        (heard[12..length].to_vec(), said.elapsed())
    }

    fn end(self) {
        let Shards { senders, threads, .. } = self.shards;
        drop(senders);
        threads.join();
    }
}

/// Says so many packets; half of them took no longer than this, and ninety-nine of a hundred no longer than that.
fn took(bench: &mut Bench, packets: u8) -> [Duration; 2] {
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        for number in 0..packets {
            let leg = usize::from(number % 2);
            let (heard, time) = bench.say(leg, &[number; 160]);
            assert_eq!(heard, [number; 160]);
            took.push(time);
        }
    }
    took.sort_unstable();
    [took[took.len() / 2], took[took.len() * 99 / 100]]
}

#[test]
fn what_is_said_on_one_thread_is_heard_from_another_and_the_hand_over_is_all_it_takes() {
    let (mut near, mut across) = (Bench::joined([0, 0]), Bench::joined([0, 1]));
    // The first packets prove where the phones are.
    took(&mut near, 10);
    took(&mut across, 10);
    let (on_one, on_two) = (took(&mut near, 200), took(&mut across, 200));
    println!("on one shard {on_one:?}, over a link {on_two:?}: half of the packets, and 99 of 100");
    // Far below a frame even on a machine that is busy with other things.
    assert!(on_two[0] < Duration::from_millis(10), "{on_two:?}");
    near.end();
    across.end();
}

#[test]
fn who_holds_on_one_thread_is_known_on_the_other() {
    let mut bench = Bench::joined([0, 1]);
    bench.say(0, &[0x11; 160]);
    bench.say(1, &[0x22; 160]);
    for (hold, hears) in [(true, Hears::Music), (false, Hears::Party)] {
        bench.tell(0, Command::Hold { session: LEGS[0], hold });
        bench.await_event(
            |event| matches!(event, Event::Changed { session, state } if *session == LEGS[1] && state.hears == hears),
        );
    }
    for session in [ENDS[0], LEGS[0]] {
        bench.tell(0, Command::Close { session });
    }
    for session in [ENDS[1], LEGS[1]] {
        bench.tell(1, Command::Close { session });
    }
    let mut closed: Vec<MediaSessionId> = Vec::new();
    while closed.len() < 4 {
        let told = bench.await_event(|event| matches!(event, Event::Closed { .. }));
        let Event::Closed { session, .. } = told else { unreachable!() };
        closed.push(session);
    }
    closed.sort_unstable();
    assert_eq!(closed, [LEGS, ENDS].concat());
    bench.end();
}
