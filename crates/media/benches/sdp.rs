//! What a description costs: offers and answers, of and to browsers and trunks, through the commands of a shard, beside copying what is
//! read and written. `cargo bench -p patchcord-media --bench sdp`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bench::{Bench, Counting, Meter, descriptions};
use media::{
    Bandwidth, Certificate, Codec, Command, Event, Keying, LocalPort, MediaSessionId, Music, Shard, ShardConfig,
    SocketId,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

/// Sessions in a round.
const SESSIONS: usize = 500;

/// What is done with a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Answer,
    Offer,
    TakeAnswer,
}

fn main() {
    let bench = Bench::new("sdp");
    for (peer, keying) in [("browser", Keying::DtlsSrtp), ("trunk", Keying::Plain { networks: vec![] })] {
        for (name, deed) in [
            (format!("Answer a {peer}'s offer"), Deed::Answer),
            (format!("Offer to a {peer}"), Deed::Offer),
            (format!("Take a {peer}'s answer"), Deed::TakeAnswer),
        ] {
            let keying = keying.clone();
            let make = move || {
                let mut desk = Desk::new(keying);
                move |meter: &mut Meter| desk.describe(meter, deed)
            };
            bench.group(&name).side("", make).run();
        }
    }
    let offer = descriptions::browser("actpass");
    bench
        .group("Copy a browser's offer")
        .side("", || move |meter: &mut Meter| meter.repeat(SESSIONS, || black_box(&offer).clone()))
        .run();
}

/// A shard and the sessions of one kind of peer.
struct Desk {
    now: Instant,
    shard: Shard,
    keying: Keying,
    next: u64,
}

impl Desk {
    fn new(keying: Keying) -> Self {
        let now = Instant::now();
        let config = ShardConfig {
            certificate: Arc::new(Certificate::generate().unwrap()),
            candidates: vec![GATEWAY],
            started: (now, SystemTime::UNIX_EPOCH),
            max_sessions: SESSIONS,
            music: Music::default(),
        };
        Self { now, shard: Shard::new(config, [7; 32]), keying, next: 0 }
    }

    fn describe(&mut self, meter: &mut Meter, deed: Deed) -> usize {
        let sessions: Vec<MediaSessionId> = (0..meter.times(SESSIONS)).map(|_| self.open()).collect();
        let is_browser = self.keying == Keying::DtlsSrtp;
        let sdp = |setup| if is_browser { descriptions::browser(setup) } else { descriptions::trunk() };
        let bandwidth = Bandwidth::Narrow;
        let mut commands = Vec::new();
        for session in &sessions {
            let session = *session;
            if deed == Deed::TakeAnswer {
                self.shard.handle_command(self.now, Command::CreateOffer { session, bandwidth });
            }
            commands.push(match deed {
                Deed::Answer => Command::HandleOffer { session, sdp: sdp("actpass").into_bytes(), bandwidth },
                Deed::Offer => Command::CreateOffer { session, bandwidth },
                Deed::TakeAnswer => Command::HandleAnswer { session, sdp: sdp("active").into_bytes() },
            });
        }
        while self.shard.poll_event().is_some() {}
        let mut told = Vec::with_capacity(4 * SESSIONS);
        let (now, shard) = (self.now, &mut self.shard);
        meter.measure(|| {
            for command in commands {
                shard.handle_command(now, command);
                told.extend(std::iter::from_fn(|| shard.poll_event()));
            }
        });
        let is_done = |event: &&Event| match event {
            Event::LocalDescription { codec, .. } => codec.is_some() == (deed == Deed::Answer),
            Event::Negotiated { .. } => deed == Deed::TakeAnswer,
            Event::Rejected { .. }
            | Event::Connected { .. }
            | Event::Milestone { .. }
            | Event::Changed { .. }
            | Event::Digit { .. }
            | Event::Silent { .. }
            | Event::Failed { .. }
            | Event::Closed { .. } => false,
        };
        assert_eq!(told.iter().filter(is_done).count(), sessions.len(), "{deed:?}");
        for session in &sessions {
            self.shard.handle_command(self.now, Command::Close { session: *session });
        }
        while self.shard.poll_event().is_some() {}
        while self.shard.poll_transmit().is_some() {}
        sessions.len()
    }

    fn open(&mut self) -> MediaSessionId {
        self.next += 1;
        let session = MediaSessionId(self.next);
        let codecs = if self.keying == Keying::DtlsSrtp { vec![Codec::Opus] } else { vec![Codec::Pcma, Codec::Pcmu] };
        let (keying, silence_timeout) = (self.keying.clone(), Duration::from_secs(30));
        self.shard.handle_command(self.now, Command::Open { session, keying, codecs, silence_timeout });
        while let Some(request) = self.shard.poll_port_request() {
            let rtp = SocketId(2 * u32::try_from(request.session.0).unwrap());
            let port = LocalPort { rtp, rtcp: SocketId(rtp.0 + 1), advertised: GATEWAY };
            self.shard.handle_port(self.now, request.session, Some(port));
        }
        session
    }
}
