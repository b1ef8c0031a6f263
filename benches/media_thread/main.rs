//! What a packet costs with its system calls: the media thread with real sockets of loopback, beside a thread that receives, decrypts,
//! decodes, encodes, encrypts and sends the same packets bare in a loop. `cargo bench -p patchcord --bench media_thread`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod bare;
mod gateway;
mod phones;
mod voice;

use std::time::Duration;

use bare::Bare;
use gateway::Gateway;
use phones::{Heard, Pace};
use voice::Voice;

/// Frames said by everybody in a round: one second.
const FRAMES: usize = 50;

/// What comes out of a codec at the far end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Between a browser and a trunk.
    Transcoded,
    /// Between two browsers.
    Relayed,
}

/// As the benchmarks of the shard have it: each call is somewhere else in the text.
fn said(payloads: &[Vec<u8>], frame: usize, call: usize) -> &[u8] {
    &payloads[(frame + call * 7) % payloads.len()]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |what: &str| arguments.is_empty() || arguments.iter().any(|argument| what.contains(argument.as_str()));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    for kind in [Kind::Transcoded, Kind::Relayed] {
        for (calls, rounds) in [(1, 10), (10, 10), (100, 6), (400, 4)] {
            for pace in [Pace::AtOnce, Pace::Spread] {
                let what = format!("{kind:?}, {calls} calls, {pace:?}");
                if wanted(&what) {
                    compare(&what, kind, calls, rounds, pace);
                }
            }
        }
    }
}

/// Both in turn: what disturbs the machine disturbs both.
fn compare(what: &str, kind: Kind, calls: usize, rounds: usize, pace: Pace) {
    let (mut gateway, mut ours) = Gateway::new(kind, calls);
    let (bare, mut theirs) = Bare::new(kind, calls);
    let voice = Voice::speak(FRAMES * (rounds + 1), kind == Kind::Transcoded);
    let (mut through, mut floor): (Vec<Heard>, Vec<Heard>) = (Vec::new(), Vec::new());
    for (round, part) in voice.parts(FRAMES).enumerate() {
        let mut ours = || ours.talk(&part, pace, "media-0");
        let mut theirs = || theirs.talk(&part, pace, bare::NAME);
        // Whoever comes second finds the processor used to what is said.
        let (heard, bare) = if round % 2 == 0 {
            (ours(), theirs())
        } else {
            let bare = theirs();
            (ours(), bare)
        };
        // The first round makes the codecs and fills the pools.
        if round > 0 {
            through.push(heard);
            floor.push(bare);
        }
        gateway.forget_events();
    }
    bare.end();
    gateway.end();
    let (ours, theirs) = (Figures::of(&through), Figures::of(&floor));
    println!("{what}");
    println!("  ours {ours}\n  bare {theirs}\n  ratio {:.2}", ours.nanoseconds / theirs.nanoseconds);
}

/// Of several rounds the cheapest, and the delays of all.
struct Figures {
    nanoseconds: f64,
    delays: [Duration; 3],
    lost: usize,
}

impl Figures {
    fn of(rounds: &[Heard]) -> Self {
        let cost = |heard: &Heard| heard.processor.as_secs_f64() * 1e9 / heard.delays.len().max(1) as f64;
        let mut delays: Vec<Duration> = rounds.iter().flat_map(|heard| heard.delays.iter().copied()).collect();
        delays.sort_unstable();
        let at = |percent: usize| delays.get(delays.len() * percent / 100).copied().unwrap_or_default();
        Self {
            nanoseconds: rounds.iter().map(cost).fold(f64::INFINITY, f64::min),
            delays: [at(50), at(95), at(99)],
            lost: rounds.iter().map(|heard| heard.lost).sum(),
        }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, nearly_all] = self.delays.map(|delay| delay.as_secs_f64() * 1e3);
        write!(
            f,
            "{:.2} us/packet, {:.2} ms/s a call; later by {half:.3} ms p50, {most:.3} p95, {nearly_all:.3} p99; lost {}",
            self.nanoseconds / 1e3,
            self.nanoseconds / 1e4,
            self.lost
        )
    }
}
