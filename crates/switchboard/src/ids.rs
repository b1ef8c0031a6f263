//! Ids as people and the API see them: a prefix and 26 characters of base 32, from a seeded generator.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Makes ids and every other random choice of the switchboard.
pub(crate) struct Ids {
    random: ChaCha20Rng,
    counter: u64,
}

impl Ids {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { random: ChaCha20Rng::from_seed(seed), counter: 0 }
    }

    /// A further independent seed.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        self.random.random()
    }

    /// `prefix` and 26 random characters.
    pub(crate) fn random(&mut self, prefix: &str) -> String {
        let mut id = String::with_capacity(prefix.len() + 26);
        id.push_str(prefix);
        for _ in 0..26 {
            let at: usize = self.random.random_range(0..ALPHABET.len());
            id.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'0')));
        }
        id
    }

    /// A number never given before.
    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.random.random_range(0..bound.max(1))
    }
}
