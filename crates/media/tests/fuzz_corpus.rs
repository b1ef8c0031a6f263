//! Replays the fuzz corpora and deterministic mutations of them through the fuzz targets of this crate. A finding of the fuzzer
//! becomes a file in `fuzz/corpus/` and so a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 3550;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {target} is missing");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutate(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..=6) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..6) {
            0 | 1 => bytes[at] = random.random(),
            2 => bytes[at] ^= 1 << random.random_range(0..8),
            3 => bytes.insert(at, random.random()),
            4 => bytes.truncate(at),
            _ => {
                let end = (at + random.random_range(1..64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Runs a target over its corpus, mutations of it and plain noise.
fn replay(target: &str, rounds: usize, run: impl Fn(&[u8])) {
    println!("seed {SEED}");
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for bytes in corpus(target) {
        run(&bytes);
        for _ in 0..rounds {
            let mut changed = bytes.clone();
            mutate(&mut random, &mut changed);
            run(&changed);
        }
    }
    for _ in 0..rounds {
        let noise: Vec<u8> = (0..random.random_range(0..400)).map(|_| random.random()).collect();
        run(&noise);
    }
}

#[test]
fn no_rtp_breaks_a_bridge_or_its_numbering() {
    replay("rtp", 300, media::fuzz::rtp);
}

#[test]
fn no_rtcp_breaks_the_reports() {
    replay("rtcp", 5000, media::fuzz::rtcp);
}

#[test]
fn no_description_breaks_the_negotiation() {
    replay("sdp", 500, media::fuzz::sdp);
}

#[test]
fn no_stun_dtls_or_srtp_breaks_the_keying() {
    replay("keying", 300, media::fuzz::keying);
}
