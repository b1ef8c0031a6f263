//! Hashing of numbers this process gave out itself, one after another: nobody outside chooses them, so nothing need be hidden from anyone
//! and one multiplication spreads them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by serial number.
pub(super) type SerialMap<K, V> = HashMap<K, V, BuildHasherDefault<SerialHasher>>;

/// 2^64 divided by the golden ratio (Knuth, TAOCP 3, §6.4): neighbours end up far apart, in the high bits as in the low ones.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct SerialHasher(u64);

impl Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        let product = (self.0 ^ number).wrapping_mul(SPREAD);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::MediaSessionId;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn successive_numbers_meet_neither_in_the_low_bits_nor_in_the_high_ones() {
        let build = BuildHasherDefault::<SerialHasher>::default();
        for step in [1, 2, 1 << 16, 1 << 32] {
            let hashes: Vec<u64> = (0..128).map(|n| build.hash_one(MediaSessionId(n * step))).collect();
            // A map finds its bucket by the low bits and tells neighbours apart by the seven highest.
            let low: HashSet<u64> = hashes.iter().map(|hash| hash & 1023).collect();
            let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            assert!(low.len() > 90 && high.len() > 60, "{step}: {} and {}", low.len(), high.len());
        }
    }
}
