//! What a packet costs through a shard, beside the same libopus, G.711 and SRTP calls made bare: of each pair of codecs each way, and
//! relayed; with one call on the shard, and where it matters most with a hundred. `cargo bench -p patchcord-media --bench packet`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code, reason = "shared with the other benchmarks of packets")]
mod support;

use std::rc::Rc;

use bench::{Bench, Counting, Meter, Mode};
use media::{Bandwidth, Codec};
use support::{Bare, Crowd, End, FRAMES, Voice};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NARROW: End = End::Browser(Bandwidth::Narrow);
const WIDE: End = End::Browser(Bandwidth::Wide);
const FULL: End = End::Browser(Bandwidth::Full);
const PCMU: End = End::Trunk(Codec::Pcmu);
const PCMA: End = End::Trunk(Codec::Pcma);
const G722: End = End::Trunk(Codec::G722);
const SECURE: End = End::SecureTrunk(Codec::Pcmu);

fn main() {
    let bench = Bench::new("packet");
    // Beyond the rounds of a benchmark the voice begins again.
    let seconds = if bench.mode() == Mode::Timed { 21 } else { 2 };
    let narrow: Vec<Voice> = Voice::speak(FRAMES * seconds, true).parts(FRAMES);
    let wide: Vec<Voice> = Voice::speak(FRAMES * seconds, false).with_g722().parts(FRAMES);
    let (narrow, wide) = (Rc::new(narrow), Rc::new(wide));
    let often = if bench.mode() == Mode::Timed { &[1, 100][..] } else { &[1] };
    for (name, ends, voice, calls) in [
        ("Browser to trunk: SRTP and Opus in, PCMU out", [NARROW, PCMU], &narrow, often),
        ("Trunk to browser: PCMU in, Opus and SRTP out", [PCMU, NARROW], &narrow, often),
        ("Browser to trunk: SRTP and Opus in, PCMA out", [NARROW, PCMA], &narrow, &[1]),
        ("Trunk to browser: PCMA in, Opus and SRTP out", [PCMA, NARROW], &narrow, &[1]),
        ("Browser to trunk: SRTP and Opus in, G.722 out", [WIDE, G722], &wide, &[1]),
        ("Trunk to browser: G.722 in, Opus and SRTP out", [G722, WIDE], &wide, &[1]),
        ("Browser to browser: SRTP in, the same Opus and SRTP out", [FULL, FULL], &wide, often),
        ("Trunk to trunk: PCMU as it is", [PCMU, PCMU], &narrow, often),
        ("Trunk to trunk: SRTP in, the same PCMU out", [SECURE, PCMU], &narrow, &[1]),
        ("Trunk to trunk: PCMU in, the same in SRTP out", [PCMU, SECURE], &narrow, &[1]),
        ("Trunk to trunk: PCMU in, PCMA out", [PCMU, PCMA], &narrow, &[1]),
        ("Trunk to trunk: G.722 in, PCMU out", [G722, PCMU], &wide, &[1]),
    ] {
        compare(&bench, name, ends, voice, calls);
    }
}

/// One call and many, each beside its floor.
fn compare(bench: &Bench, name: &str, [from, to]: [End; 2], voice: &Rc<Vec<Voice>>, sizes: &'static [usize]) {
    let mut group = bench.group(name);
    for calls in sizes {
        let (ours, bare) = (voice.clone(), voice.clone());
        let shard = move || {
            let (mut crowd, mut round) = (Crowd::new(*calls, from, to), 0);
            move |meter: &mut Meter| {
                round += 1;
                crowd.carry(meter, &ours[round % ours.len()])
            }
        };
        let floor = move || {
            let (mut lines, mut round) = (Bare::new(*calls, from, to), 0);
            move |meter: &mut Meter| {
                round += 1;
                lines.carry(meter, &bare[round % bare.len()])
            }
        };
        let many = if *calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
        // Only SRTP asks for memory packet by packet, for each it opens or seals; a report now and then is the rest.
        group = group.side(&many, shard).floor("bare", floor).allocating_at_most(0.1);
    }
    group.run();
}
