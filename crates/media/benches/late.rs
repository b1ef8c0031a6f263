//! What it costs when packets are lost or late: reordering, forward error correction and concealment, for each packet that was said.
//! What that brings is told by `scripts/loss`. `cargo bench -p patchcord-media --bench late`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code, reason = "shared with the other benchmarks of packets")]
mod support;

use std::rc::Rc;

use bench::{Bench, Counting, Meter, Mode};
use media::{Bandwidth, Codec};
use support::{Bare, Crowd, End, FRAMES, Fate, Voice};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls at once: their losses are at different times.
const CALLS: usize = 4;

fn main() {
    let bench = Bench::new("late");
    let seconds = if bench.mode() == Mode::Timed { 21 } else { 2 };
    let voice = Rc::new(Voice::speak(FRAMES * seconds, true).parts(FRAMES));
    let (browser, trunk) = (End::Browser(Bandwidth::Narrow), End::Trunk(Codec::Pcmu));
    for (name, ends) in [("Opus to PCMU", [browser, trunk]), ("PCMU to Opus", [trunk, browser])] {
        let mut group = bench.group(name);
        for (path, fate) in [
            ("nothing lost", (|_| Fate::Arrives) as fn(u16) -> Fate),
            ("one of 20 lost", |sequence| if sequence % 20 == 10 { Fate::IsLost } else { Fate::Arrives }),
            ("three of 60 in a row lost", |sequence| if sequence % 60 >= 57 { Fate::IsLost } else { Fate::Arrives }),
            ("one of four overtaken", |sequence| if sequence % 4 == 2 { Fate::IsLate } else { Fate::Arrives }),
        ] {
            let ours = voice.clone();
            group = group.side(path, move || {
                let (mut crowd, mut round) = (Crowd::new(CALLS, ends[0], ends[1]), 0);
                move |meter: &mut Meter| {
                    round += 1;
                    crowd.carry_over(meter, &ours[round % ours.len()], fate)
                }
            });
            if path == "nothing lost" {
                let bare = voice.clone();
                group = group.floor("bare", move || {
                    let (mut lines, mut round) = (Bare::new(CALLS, ends[0], ends[1]), 0);
                    move |meter: &mut Meter| {
                        round += 1;
                        lines.carry(meter, &bare[round % bare.len()])
                    }
                });
            }
        }
        group.run();
    }
}
