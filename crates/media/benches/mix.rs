//! What a member of a mix costs, beside the same libopus, G.711 and SRTP calls made bare: with everybody talking at once, and with two
//! talking and all others silent. `cargo bench -p patchcord-media --bench mix`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code, reason = "shared with the benchmark of packets")]
mod support;

use media::Bandwidth;
use support::{Bare, Cost, Counting, Crowd, Voice, Way};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames in a round: one second.
const FRAMES: usize = 50;
/// Enough for one that nothing disturbs.
const ROUNDS: usize = 20;

/// Who is in a mix.
struct Members {
    browsers: usize,
    bandwidth: Bandwidth,
    trunks: usize,
}

fn main() {
    // `cargo test --benches` runs this too; it is enough then that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let rounds = if is_bench { ROUNDS } else { 1 };
    let narrow = |browsers, trunks| Members { browsers, bandwidth: Bandwidth::Narrow, trunks };
    let wide = |browsers, trunks| Members { browsers, bandwidth: Bandwidth::Full, trunks };
    let mixes = [narrow(1, 2), narrow(5, 5), narrow(25, 25), narrow(0, 50), wide(1, 2), wide(5, 5), wide(3, 0)];
    for members in mixes.iter().take(if is_bench { mixes.len() } else { 1 }) {
        measure(members, rounds);
    }
}

/// A mix beside its floor, in turn: what disturbs the machine disturbs both.
fn measure(members: &Members, rounds: usize) {
    let count = members.browsers + members.trunks;
    let make = || Crowd::mixed(members.browsers, members.bandwidth, members.trunks);
    // The floor of a browser is what comes from it and what goes to it.
    let (mut talking, mut silent, mut bare) = (make(), make(), Bare::new(members.browsers.max(1)));
    let mut costs: [Vec<Cost>; 3] = Default::default();
    for part in Voice::speak(FRAMES * (rounds + 1), members.bandwidth == Bandwidth::Narrow).parts(FRAMES) {
        costs[0].push(talking.confer(&part, false));
        costs[1].push(silent.confer(&part, true));
        let (to, from) = (bare.carry(Way::ToTrunk, &part), bare.carry(Way::ToBrowser, &part));
        costs[2].push(Cost {
            elapsed: to.elapsed + from.elapsed,
            allocations: to.allocations + from.allocations,
            ..to
        });
    }
    // The first round makes the codecs and fills the pools.
    let [talking, silent, bare] = costs.map(|costs| *costs[1..].iter().min_by_key(|cost| cost.elapsed).unwrap());
    for cost in [talking, silent] {
        // Only SRTP asks for memory, for each packet it opens or seals; a report now and then is the rest.
        let sealed = (2 * members.browsers * FRAMES) as u64;
        assert!(cost.allocations <= sealed + cost.packets / 10, "{} allocations", cost.allocations);
    }
    let floor = if members.browsers == 0 { 0 } else { u64::try_from(bare.elapsed.as_micros()).unwrap() };
    let of = |cost: Cost| u64::try_from(cost.elapsed.as_micros()).unwrap();
    println!(
        "{} browsers ({:?}), {} trunks: all talk {} us a member and second, two talk {}; a second of the mix {} us, bare {floor}, ratio {:.2}",
        members.browsers,
        members.bandwidth,
        members.trunks,
        of(talking) / count as u64,
        of(silent) / count as u64,
        of(talking),
        ratio(of(talking), floor.max(1)),
    );
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}
