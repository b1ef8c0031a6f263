//! What a member of a mix costs for a second, beside the same libopus, G.711 and SRTP calls made bare: with everybody talking at once, and
//! with two talking and all others silent. `cargo bench -p patchcord-media --bench mix`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code, reason = "shared with the other benchmarks of packets")]
mod support;

use std::rc::Rc;

use bench::{Bench, Counting, Meter, Mode};
use media::{Bandwidth, Codec};
use support::{Bare, Crowd, End, FRAMES, Voice};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Who is in a mix.
#[derive(Debug, Clone, Copy)]
struct Members {
    browsers: usize,
    bandwidth: Bandwidth,
    trunks: usize,
}

fn main() {
    let bench = Bench::new("mix");
    let seconds = if bench.mode() == Mode::Timed { 11 } else { 2 };
    let narrow = |browsers, trunks| Members { browsers, bandwidth: Bandwidth::Narrow, trunks };
    let wide = |browsers, trunks| Members { browsers, bandwidth: Bandwidth::Full, trunks };
    let mixes = [narrow(1, 2), narrow(5, 5), narrow(0, 50), wide(3, 0), narrow(25, 25), wide(1, 2), wide(5, 5)];
    let some = match bench.mode() {
        Mode::Timed => mixes.len(),
        Mode::Counted => 4,
        Mode::Once => 1,
    };
    for members in &mixes[..some] {
        measure(&bench, *members, seconds);
    }
}

fn measure(bench: &Bench, members: Members, seconds: usize) {
    let Members { browsers, bandwidth, trunks } = members;
    let is_narrow = bandwidth == Bandwidth::Narrow;
    let of = match (browsers, is_narrow) {
        (0, _) => String::new(),
        (1, true) => "1 browser, ".to_owned(),
        (_, true) => format!("{browsers} browsers, "),
        (1, false) => "1 browser in wideband, ".to_owned(),
        (_, false) => format!("{browsers} browsers in wideband, "),
    };
    let voice = Rc::new(Voice::speak(FRAMES * seconds, is_narrow).parts(FRAMES));
    let shard = |silent| {
        let voice = voice.clone();
        move || {
            let (mut crowd, mut round) = (Crowd::mixed(browsers, bandwidth, trunks), 0);
            move |meter: &mut Meter| {
                round += 1;
                crowd.confer(meter, &voice[round % voice.len()], silent)
            }
        }
    };
    let bare = voice.clone();
    let floor = move || {
        let [browser, trunk] = [End::Browser(bandwidth), End::Trunk(Codec::Pcmu)];
        // The floor of a browser is what comes from it and what goes to it; what two others with no more than G.711 cost is little beside.
        let is_wide = bandwidth == Bandwidth::Full && browsers > 1;
        let mut from = Bare::with_band(browsers, browser, trunk, is_wide);
        let mut to = Bare::with_band(browsers, trunk, browser, is_wide);
        // With the sum of all voices to encode, which is made beforehand.
        let sums: Vec<Voice> = bare.iter().map(|part| part.chorus(browsers + trunks - 1)).collect();
        let mut round = 0;
        move |meter: &mut Meter| {
            round += 1;
            from.carry(meter, &bare[round % bare.len()]);
            to.carry(meter, &sums[round % sums.len()]);
            browsers + trunks
        }
    };
    let with = if trunks == 0 { "no trunk".to_owned() } else { format!("{trunks} trunks") };
    let mut group = bench.group(&format!("{of}{with}")).side("all talk", shard(false));
    if browsers > 0 {
        group = group.floor("bare", floor);
    }
    // Only SRTP asks for memory, for each packet it opens or seals; a report now and then is the rest.
    group.allocating_at_most(5.0).side("two talk", shard(true)).run();
}
