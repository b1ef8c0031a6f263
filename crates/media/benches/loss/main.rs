//! What a listener hears of speech through a shard when packets are lost, late and overtaken: with all that is done about it, without
//! any one of it, and with nothing. Writes what was heard; `scripts/loss` fetches the speech and judges it.
//! `cargo bench -p patchcord-media --bench loss -- SPEECH.wav DIRECTORY`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod call;
mod path;
mod peers;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use call::{Call, FRAME, Heard, Listener};
use media::Codec;
use path::{Path, Trouble};

/// Each condition so many times, each with other losses.
const SEEDS: u64 = 2;
/// At the beginning nothing is lost, so that both ends agree on which frame is the first.
const UNTROUBLED: usize = 10;

const RANDOM: Trouble = Trouble { loss: 0.05, burst: 1.0, jitter: 0.0, width: None };
const BURSTS: Trouble = Trouble { burst: 3.0, ..RANDOM };
const RANDOM_AND_JITTER: Trouble = Trouble { jitter: 0.020, ..RANDOM };
const BURSTS_AND_JITTER: Trouble = Trouble { jitter: 0.020, ..BURSTS };
const JITTER: Trouble = Trouble { loss: 0.0, ..RANDOM_AND_JITTER };
const NARROW: Trouble = Trouble { loss: 0.0, burst: 1.0, jitter: 0.0, width: Some(40_000.0) };
const NARROW_AND_RANDOM: Trouble = Trouble { width: NARROW.width, ..RANDOM };
const NOTHING: Trouble = Trouble { loss: 0.0, burst: 1.0, jitter: 0.0, width: None };

/// What is done about it at the gateway's ear.
#[derive(Debug, Clone, Copy)]
struct Measures {
    wait: bool,
    fec: bool,
    concealment: bool,
}

const ALL: Measures = Measures { wait: true, fec: true, concealment: true };
const NONE: Measures = Measures { wait: false, fec: false, concealment: false };

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let speech = arguments.next().map_or_else(hum, |path| {
        let mut wav = hound::WavReader::open(path).unwrap();
        assert_eq!((wav.spec().sample_rate, wav.spec().channels), (8000, 1));
        wav.samples::<i16>().map(Result::unwrap).collect()
    });
    let mut results = Results::new(arguments.next().map(PathBuf::from));
    let troubles = [
        ("nothing lost", NOTHING),
        ("20 ms jitter", JITTER),
        ("5 % lost", RANDOM),
        ("5 % lost in bursts", BURSTS),
        ("5 % lost, 20 ms jitter", RANDOM_AND_JITTER),
        ("5 % lost in bursts, 20 ms jitter", BURSTS_AND_JITTER),
    ];
    let ways = [
        ("all", ALL),
        ("without reorder wait", Measures { wait: false, ..ALL }),
        ("without FEC", Measures { fec: false, ..ALL }),
        ("without concealment", Measures { concealment: false, ..ALL }),
        ("none", NONE),
    ];
    for (name, trouble) in troubles {
        for (done, measures) in ways.into_iter().filter(|(_, measures)| trouble.needs(*measures)) {
            results.add(["browser to trunk, browser's path", name, done], &speech, |seed| {
                to_trunk(&speech, trouble, measures, seed)
            });
        }
    }
    for (name, trouble) in troubles {
        for (done, measures) in ways.into_iter().filter(|(_, measures)| trouble.needs(*measures)) {
            if measures.fec || !measures.wait {
                results.add(["trunk to browser, trunk's path", name, done], &speech, |seed| {
                    to_browser(&speech, trouble, measures, seed)
                });
            }
        }
    }
    let narrow = [("narrow path", NARROW), ("narrow path, 5 % lost", NARROW_AND_RANDOM)];
    for (name, trouble) in troubles.into_iter().filter(|(_, trouble)| trouble.jitter == 0.0).chain(narrow) {
        for (done, fec, reports) in
            [("FEC, reports followed", true, true), ("FEC, no reports", true, false), ("no FEC", false, false)]
        {
            results.add(["trunk to browser, browser's path", name, done], &speech, |seed| {
                downlink(&speech, trouble, fec, reports, seed)
            });
        }
    }
}

impl Trouble {
    /// Whether anything can be heard of doing no more than this about it.
    fn needs(&self, measures: Measures) -> bool {
        let for_loss = self.loss > 0.0 || measures.fec && measures.concealment;
        let for_order = self.jitter > 0.0 || measures.wait || !measures.fec;
        for_loss && for_order
    }
}

/// What was heard: its sound, how long its buffer was, and the bits of its packets.
struct Sound {
    samples: Vec<i16>,
    buffer: Duration,
    heard: Vec<Heard>,
}

fn to_trunk(speech: &[i16], trouble: Trouble, measures: Measures, seed: u64) -> Sound {
    let spoken = peers::speak_opus(speech, measures.fec);
    let arrivals = arrivals(&spoken, trouble, measures.wait, seed);
    let listener = Listener { speaks_to_it: Codec::Pcmu, wants_fec: false, reports: false };
    let mut heard = Call::new(listener, &spoken, &arrivals, Path::new(NOTHING, 0)).carry();
    if !measures.concealment {
        for heard in heard.iter_mut().filter(|heard| is_made_up(heard, &arrivals)) {
            let next = arrivals.get(heard.frame + 1).copied().flatten();
            if !(next.is_some_and(|at| at <= heard.left) && peers::has_fec(&spoken[heard.frame + 1])) {
                heard.payload.fill(0xff);
            }
        }
    }
    let buffer = peers::buffer(&heard);
    Sound { samples: peers::listen_pcmu(&heard, spoken.len(), buffer), buffer, heard }
}

fn to_browser(speech: &[i16], trouble: Trouble, measures: Measures, seed: u64) -> Sound {
    let spoken = peers::speak_pcmu(speech);
    let arrivals = arrivals(&spoken, trouble, measures.wait, seed);
    let listener = Listener { speaks_to_it: Codec::Opus, wants_fec: true, reports: true };
    let call = || Call::new(listener, &spoken, &arrivals, Path::new(NOTHING, 0));
    let mut heard = call().carry();
    if !measures.concealment {
        let made_up = heard.iter().filter(|heard| is_made_up(heard, &arrivals));
        heard = call().stand_in(made_up.map(|heard| (heard.frame, heard.left))).carry();
    }
    let buffer = peers::buffer(&heard);
    Sound { samples: peers::listen_opus(&heard, spoken.len(), buffer), buffer, heard }
}

/// From a trunk that loses nothing to a browser behind a bad path.
fn downlink(speech: &[i16], trouble: Trouble, wants_fec: bool, reports: bool, seed: u64) -> Sound {
    let spoken = peers::speak_pcmu(speech);
    let arrivals = arrivals(&spoken, NOTHING, true, 0);
    let listener = Listener { speaks_to_it: Codec::Opus, wants_fec, reports };
    let heard = Call::new(listener, &spoken, &arrivals, Path::new(trouble, seed)).carry();
    let buffer = peers::buffer(&heard);
    Sound { samples: peers::listen_opus(&heard, spoken.len(), buffer), buffer, heard }
}

/// When each packet is at the gateway. One that does not wait for those overtaken has no use for them.
fn arrivals(spoken: &[Vec<u8>], trouble: Trouble, wait: bool, seed: u64) -> Vec<Option<Duration>> {
    let (mut calm, mut troubled) = (Path::new(NOTHING, 0), Path::new(trouble, seed));
    let mut arrivals: Vec<Option<Duration>> = (spoken.iter().enumerate())
        .map(|(frame, payload)| {
            let at = FRAME * u32::try_from(frame).unwrap();
            let path = if frame < UNTROUBLED { &mut calm } else { &mut troubled };
            path.carry(at, payload.len()).map(|delay| at + delay)
        })
        .collect();
    let mut first_behind = Duration::MAX;
    for arrival in arrivals.iter_mut().rev() {
        if let Some(at) = *arrival {
            if !wait && at > first_behind {
                *arrival = None;
            }
            first_behind = first_behind.min(at);
        }
    }
    arrivals
}

/// Whether the gateway sent this frame without having its packet.
fn is_made_up(heard: &Heard, arrivals: &[Option<Duration>]) -> bool {
    arrivals[heard.frame].is_none_or(|at| at > heard.left)
}

/// What was heard, written down.
struct Results {
    directory: Option<PathBuf>,
    list: Option<std::fs::File>,
    count: usize,
}

impl Results {
    fn new(directory: Option<PathBuf>) -> Self {
        let list = directory.as_ref().map(|directory| {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::File::create(directory.join("heard.tsv")).unwrap()
        });
        Self { directory, list, count: 0 }
    }

    /// Hears one condition (way, trouble, what is done about it).
    fn add(&mut self, [way, trouble, done]: [&str; 3], speech: &[i16], hear: impl Fn(u64) -> Sound) {
        for seed in 0..SEEDS {
            let sound = hear(seed);
            assert_eq!(sound.samples.len(), speech.len() / peers::SAMPLES * peers::SAMPLES);
            let bytes: usize = sound.heard.iter().map(|heard| heard.payload.len()).sum();
            let (buffer, bits) = (sound.buffer.as_millis(), bytes * 8 * 8000 / speech.len() / 1000);
            self.count += 1;
            let name = format!("{:03}.wav", self.count);
            if let (Some(directory), Some(list)) = (&self.directory, &mut self.list) {
                write(&directory.join(&name), &sound.samples);
                writeln!(list, "{way}\t{trouble}\t{done}\t{name}\t{buffer}\t{bits}").unwrap();
            } else {
                println!("{way}; {trouble}; {done}: buffer {buffer} ms, {bits} kbit/s");
            }
        }
    }
}

fn write(path: &std::path::Path, samples: &[i16]) {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|sample| wav.write_sample(*sample).unwrap());
    wav.finalize().unwrap();
}

/// Two seconds to try the benchmark with.
fn hum() -> Vec<i16> {
    let sample = |n: i32| ((f64::from(n) / 8000.0 * 200.0 * std::f64::consts::TAU).sin() * 8000.0) as i16;
    (0..16_000).map(sample).collect()
}
