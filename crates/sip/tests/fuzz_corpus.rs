//! Replays the fuzz corpus and deterministic mutations of it through the fuzz targets of this crate. A finding of the fuzzer
//! becomes a file in `fuzz/corpus/sip_message/` or `sip_challenge/` and so a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Mutations per file.
const ROUNDS: usize = 200;

const SEED: u64 = 4475;

fn corpus(folders: &[&str]) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in folders.iter().map(|folder| root.join(folder)) {
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

fn replay(corpus: Vec<(String, Vec<u8>)>, target: fn(&[u8])) {
    println!("seed {SEED}");
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for (name, bytes) in corpus {
        println!("{name}");
        target(&bytes);
        for _ in 0..ROUNDS {
            let mut changed = bytes.clone();
            mutate(&mut random, &mut changed);
            target(&changed);
        }
    }
}

#[test]
fn the_corpus_and_its_mutations_keep_the_promises_of_the_parser() {
    let corpus = corpus(&["../../fuzz/corpus/sip_message", "tests/torture"]);
    assert!(corpus.len() > 49, "the corpus is missing");
    replay(corpus, sip::fuzz::message);
}

#[test]
fn whatever_challenges_only_our_realm_is_answered_and_by_what_can_be_read() {
    let corpus = corpus(&["../../fuzz/corpus/sip_challenge"]);
    assert!(corpus.len() > 3, "the corpus is missing");
    replay(corpus, sip::fuzz::challenge);
}
