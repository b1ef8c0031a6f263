//! Two endpoints over a link that loses, repeats and reorders: every call ends on both sides and leaves nothing behind.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sip::{
    Endpoint, EndpointConfig, Event, Flow, Host, Invitation, NameAddr, ResponseDraft, SessionEvent, SessionId,
    StatusCode, Transport, Uri,
};

/// How bad the link is, in percent.
struct Link {
    loss: u32,
    repeats: u32,
    longest_delay: u64,
}

struct World {
    now: Instant,
    rng: ChaCha8Rng,
    link: Link,
    sides: [Endpoint; 2],
    /// Packets on their way: when they arrive (and a number for order), at which side.
    in_flight: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    next: u64,
    /// Sessions told and not yet ended, per side.
    alive: [Vec<SessionId>; 2],
    invited: usize,
    ended: [usize; 2],
    refusals: usize,
    answers: usize,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + u8::try_from(side).unwrap()], 5060))
}

fn flow_to(side: usize) -> Flow {
    Flow { transport: Transport::Udp, peer: address(side), connection: None, tls: None }
}

fn uri(side: usize) -> Uri {
    Uri::parse(&format!("sip:side@{}", address(side))).unwrap()
}

impl World {
    fn new(seed: u64, link: Link) -> Self {
        let endpoint = |side: usize| {
            let mut config = EndpointConfig::new(Host::Ip(address(side).ip()));
            config.udp_port = Some(5060);
            let mut bytes = [0; 32];
            bytes[0] = u8::try_from(side).unwrap();
            bytes[1..9].copy_from_slice(&seed.to_be_bytes());
            Endpoint::new(config, bytes)
        };
        Self {
            now: Instant::now(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            link,
            sides: [endpoint(0), endpoint(1)],
            in_flight: BTreeMap::new(),
            next: 0,
            alive: [Vec::new(), Vec::new()],
            invited: 0,
            ended: [0, 0],
            refusals: 0,
            answers: 0,
        }
    }

    fn invite(&mut self) {
        let invitation = Invitation {
            flow: flow_to(1),
            uri: uri(1),
            from: NameAddr::new(uri(0)),
            to: NameAddr::new(uri(1)),
            contact: uri(0),
            max_forwards: None,
            headers: Vec::new(),
            body: None,
            session_expires: None,
            credentials: None,
            reliability: sip::Reliability::Off,
        };
        let session = self.sides[0].invite(self.now, invitation);
        self.alive[0].push(session);
        self.invited += 1;
    }

    /// The user of a side does something to a random session of its.
    fn act(&mut self, side: usize) {
        if self.alive[side].is_empty() {
            return;
        }
        let session = self.alive[side][self.rng.random_range(0..self.alive[side].len())];
        let (now, endpoint) = (self.now, &mut self.sides[side]);
        let contact = uri(side);
        match self.rng.random_range(0..6) {
            0 => endpoint.progress(now, session, ResponseDraft::new(StatusCode::RINGING)),
            1 | 2 => endpoint.accept(now, session, ResponseDraft::new(StatusCode::OK).with_contact(contact)),
            3 => endpoint.reject(now, session, ResponseDraft::new(StatusCode::BUSY_HERE)),
            4 => endpoint.cancel(now, session, None),
            _ => endpoint.bye(now, session, None),
        }
    }

    fn drain(&mut self) {
        for side in 0..2 {
            while let Some(transmit) = self.sides[side].poll_transmit() {
                let to = if transmit.flow.peer == address(0) { 0 } else { 1 };
                let copies = 1 + u32::from(self.rng.random_range(0..100) < self.link.repeats);
                for _ in 0..copies {
                    if self.rng.random_range(0..100) >= self.link.loss {
                        let delay = Duration::from_millis(self.rng.random_range(1..=self.link.longest_delay));
                        self.next += 1;
                        self.in_flight.insert((self.now + delay, self.next), (to, transmit.bytes.to_vec()));
                    }
                }
            }
            while let Some(event) = self.sides[side].poll_event() {
                self.note(side, event);
            }
        }
    }

    fn note(&mut self, side: usize, event: Event) {
        match event {
            Event::Invite { session, .. } => self.alive[side].push(session),
            Event::Session { session, event: SessionEvent::Ended } => {
                let before = self.alive[side].len();
                self.alive[side].retain(|alive| *alive != session);
                assert_eq!(self.alive[side].len() + 1, before, "ended once, and was told before");
                self.ended[side] += 1;
            }
            Event::Session { session, event } => {
                assert!(self.alive[side].contains(&session), "{event:?} after the end");
                match event {
                    SessionEvent::Refused { .. } => self.refusals += 1,
                    SessionEvent::Answered { .. } => self.answers += 1,
                    _ => {}
                }
            }
            Event::Malformed { reason, .. } => panic!("an endpoint sent malformed SIP: {reason}"),
            _ => {}
        }
    }

    /// Moves to the next moment at which anything happens, before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.in_flight.keys().next().map(|(at, _)| *at);
        let timers = self.sides.iter().filter_map(Endpoint::poll_timeout);
        let Some(at) = timers.chain(packet).min().filter(|at| *at <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(at);
        while let Some(entry) = self.in_flight.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, bytes) = entry.remove();
            self.sides[to].handle_message(self.now, flow_to(1 - to), &bytes);
            self.drain();
        }
        for side in 0..2 {
            self.sides[side].handle_timeout(self.now);
        }
        self.drain();
        true
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
    }
}

fn play(seed: u64, link: Link) {
    let mut world = World::new(seed, link);
    for _ in 0..8 {
        world.invite();
        world.drain();
        for _ in 0..world.rng.random_range(1..12) {
            let pause = Duration::from_millis(world.rng.random_range(1..3000));
            world.run(pause);
            let side = world.rng.random_range(0..2);
            world.act(side);
            world.drain();
        }
    }
    // Whoever still rings or talks is hung up, again and again: a 2xx may be on its way when CANCEL is sent.
    for _ in 0..4 {
        for side in 0..2 {
            for session in world.alive[side].clone() {
                let now = world.now;
                world.sides[side].end(now, session, StatusCode::TEMPORARILY_UNAVAILABLE, None);
            }
        }
        world.drain();
        world.run(Duration::from_secs(100));
    }
    world.run(Duration::from_secs(200));
    assert_eq!(world.alive, [vec![], vec![]], "seed {seed}: every session ends");
    assert_eq!(world.ended[0], world.invited, "seed {seed}");
    assert_eq!(world.refusals + world.answers, world.invited, "seed {seed}: each INVITE has one outcome");
    for side in &world.sides {
        let counters = side.counters();
        let held = (counters.client_transactions, counters.server_transactions, counters.sessions);
        assert_eq!(held, (0, 0, 0), "seed {seed}: nothing is left behind");
    }
}

#[test]
fn every_call_ends_on_both_sides_of_a_perfect_link() {
    for seed in 0..40 {
        play(seed, Link { loss: 0, repeats: 0, longest_delay: 20 });
    }
}

#[test]
fn every_call_ends_on_both_sides_of_a_bad_link() {
    for seed in 100..220 {
        play(seed, Link { loss: 25, repeats: 10, longest_delay: 400 });
    }
}

#[test]
fn every_call_ends_on_both_sides_of_a_link_that_hardly_works() {
    for seed in 300..340 {
        play(seed, Link { loss: 80, repeats: 30, longest_delay: 2000 });
    }
}
