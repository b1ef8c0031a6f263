//! What a packet costs through a shard, beside the same libopus, G.711 and SRTP calls made bare: transcoded each way, and relayed from
//! browser to browser; with one call on the shard and with a hundred. `cargo bench -p patchcord-media --bench packet`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code, reason = "shared with the benchmark of mixes")]
mod support;

use support::{Bare, Cost, Counting, Crowd, Voice, Way};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames spoken by each call in a round: one second.
const FRAMES: usize = 50;
/// Enough for one that nothing disturbs.
const ROUNDS: usize = 40;
/// Calls on a busy shard: 200 sessions.
const CALLS: usize = 100;

fn main() {
    // `cargo test --benches` runs this too; it is enough then that it works.
    let (rounds, calls) = if std::env::args().any(|argument| argument == "--bench") { (ROUNDS, CALLS) } else { (1, 2) };
    compare("browser -> trunk: SRTP in, Opus decoded, PCMU out", Way::ToTrunk, rounds, calls);
    compare("trunk -> browser: PCMU in, Opus encoded, SRTP out", Way::ToBrowser, rounds, calls);
    compare("browser -> browser: SRTP in, Opus relayed, SRTP out", Way::Relayed, rounds, calls);
}

/// One call and many, each beside its floor, in turn: what disturbs the machine disturbs all four.
fn compare(what: &str, way: Way, rounds: usize, calls: usize) {
    let relayed = way == Way::Relayed;
    let (mut one, mut many) = (Pair::new(1, relayed), Pair::new(calls, relayed));
    for part in Voice::speak(FRAMES * (rounds + 1), !relayed).parts(FRAMES) {
        one.carry(way, &part);
        many.carry(way, &part);
    }
    // The first round makes the codecs and fills the pools.
    one.forget_first();
    many.forget_first();
    println!("{what}");
    let (alone, crowded) = (one.print("1 call"), many.print(&format!("{calls} calls")));
    println!("  {calls} calls against 1: {:.2}", ratio(crowded, alone));
}

/// Calls through a shard, and bare.
struct Pair {
    shard: (Crowd, Vec<Cost>),
    bare: (Bare, Vec<Cost>),
}

impl Pair {
    fn new(calls: usize, relayed: bool) -> Self {
        Self { shard: (Crowd::new(calls, relayed), Vec::new()), bare: (Bare::new(calls), Vec::new()) }
    }

    fn carry(&mut self, way: Way, voice: &Voice) {
        // Whoever comes second finds the processor used to what is said, so they take turns.
        if self.bare.1.len().is_multiple_of(2) {
            self.shard.1.push(self.shard.0.carry(way, voice));
            self.bare.1.push(self.bare.0.carry(way, voice));
        } else {
            self.bare.1.push(self.bare.0.carry(way, voice));
            self.shard.1.push(self.shard.0.carry(way, voice));
        }
    }

    fn forget_first(&mut self) {
        self.shard.1.remove(0);
        self.bare.1.remove(0);
    }

    /// Prints the fastest rounds, which other work on the machine disturbed the least; gives the shard's, in nanoseconds.
    fn print(&self, what: &str) -> u64 {
        let (shard, bare) = (fastest(&self.shard.1), fastest(&self.bare.1));
        let (ns, floor) = (shard.nanoseconds(), bare.nanoseconds());
        // Only SRTP asks for memory packet by packet, for each it opens or seals; a report now and then is the rest.
        assert!(shard.allocations <= bare.allocations + shard.packets / 10, "{} allocations", shard.allocations);
        println!(
            "  {what}: shard {ns} ns/packet, bare {floor} ns/packet, ratio {:.2}; allocations {:.2}, bare {:.2}",
            ratio(ns, floor),
            ratio(shard.allocations, shard.packets),
            ratio(bare.allocations, bare.packets),
        );
        ns
    }
}

fn fastest(costs: &[Cost]) -> Cost {
    *costs.iter().min_by_key(|cost| cost.nanoseconds()).unwrap()
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}
