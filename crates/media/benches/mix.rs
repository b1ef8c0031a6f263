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
    // The floor of a browser is what comes from it and what goes to it; what two others with no more than G.711 cost is little beside.
    let is_wide = members.bandwidth == Bandwidth::Full && members.browsers > 1;
    let (mut talking, mut silent, mut bare) = (make(), make(), Bare::of(members.browsers, is_wide));
    let mut costs: [Vec<Cost>; 3] = Default::default();
    for part in Voice::speak(FRAMES * (rounds + 1), members.bandwidth == Bandwidth::Narrow).parts(FRAMES) {
        costs[0].push(talking.confer(&part, false));
        costs[1].push(silent.confer(&part, true));
        if members.browsers == 0 {
            continue;
        }
        let (to, from) = (bare.carry(Way::ToTrunk, &part), bare.carry(Way::ToBrowser, &part.chorus(count - 1)));
        costs[2].push(Cost {
            elapsed: to.elapsed + from.elapsed,
            allocations: to.allocations + from.allocations,
            ..to
        });
    }
    // The first round makes the codecs and fills the pools.
    let [talking, silent, bare] = costs.map(|costs| costs.into_iter().skip(1).min_by_key(|cost| cost.elapsed));
    let (talking, silent) = (talking.unwrap(), silent.unwrap());
    for cost in [talking, silent] {
        // Only SRTP asks for memory, for each packet it opens or seals; a report now and then is the rest.
        let sealed = (2 * members.browsers * FRAMES) as u64;
        assert!(cost.allocations <= sealed + cost.packets / 10, "{} allocations", cost.allocations);
    }
    let each = |cost: Cost| u64::try_from(cost.elapsed.as_micros()).unwrap() / count as u64;
    let Members { browsers, bandwidth, trunks } = members;
    print!("{browsers} browsers ({bandwidth:?}), {trunks} trunks, us of processor a member and second: ");
    print!("all talk {}, two talk {}", each(talking), each(silent));
    match bare {
        Some(bare) => println!(", bare {}, ratio {:.2}", each(bare), ratio(each(talking), each(bare))),
        None => println!(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}
