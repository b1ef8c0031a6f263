//! Replays the fuzz corpus and deterministic mutations of it through the fuzz targets of this crate. A finding of the fuzzer
//! becomes a file in `fuzz/corpus/sip_message/` and so a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Mutations per file.
const ROUNDS: usize = 200;

const SEED: u64 = 4475;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [root.join("../../fuzz/corpus/sip_message"), root.join("tests/torture")] {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

fn mutate(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..5) {
            0 => bytes[at] = random.random(),
            1 => bytes.insert(at, *b"\r\n \t\"<>;,:%@?=\\[]\0".get(random.random_range(0..18)).unwrap_or(&0)),
            2 => {
                bytes.remove(at);
            }
            3 => bytes.truncate(at),
            _ => {
                let end = (at + random.random_range(1..64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

#[test]
fn the_corpus_and_its_mutations_keep_the_promises_of_the_parser() {
    println!("seed {SEED}");
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let corpus = corpus();
    assert!(corpus.len() > 49, "the corpus is missing");
    for (name, bytes) in corpus {
        println!("{name}");
        sip::fuzz::message(&bytes);
        for _ in 0..ROUNDS {
            let mut changed = bytes.clone();
            mutate(&mut random, &mut changed);
            sip::fuzz::message(&changed);
        }
    }
}
