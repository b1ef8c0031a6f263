//! Identifiers and secrets: `agt_` and 26 characters (a ULID in lower case: 48 bits of time, 80 of chance), so that ids sort by
//! the time they were made.

use std::time::{SystemTime, UNIX_EPOCH};

/// Crockford's alphabet: no i, l, o, u, so that nothing is misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Letters and digits that cannot be taken for one another, for secrets people type.
const SECRET_ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Characters of a generated secret: 24 of 57 make 139 bits.
const SECRET_LENGTH: usize = 24;

/// A new id with this prefix, e.g. `agt`.
#[must_use]
pub fn new_id(prefix: &str) -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis()) & 0xffff_ffff_ffff;
    let mut value = (millis << 80) | (rand::random::<u128>() >> 48);
    let mut letters = [b'0'; 26];
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'0');
        value >>= 5;
    }
    format!("{prefix}_{}", String::from_utf8_lossy(&letters))
}

/// A new secret for a phone.
#[must_use]
pub fn new_secret() -> String {
    (0..SECRET_LENGTH)
        .filter_map(|_| SECRET_ALPHABET.get(rand::random_range(0..SECRET_ALPHABET.len())))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_prefix_and_sort_by_time() {
        let first = new_id("agt");
        assert_eq!(first.len(), 30);
        assert!(first.starts_with("agt_"));
        std::iter::repeat_with(SystemTime::now)
            .find(|now| now.duration_since(UNIX_EPOCH).unwrap().as_millis() & 0xffff_ffff_ffff > millis_of(&first));
        assert!(new_id("agt") > first);
    }

    fn millis_of(id: &str) -> u128 {
        let value = id[4..].bytes().fold(0_u128, |value, byte| {
            (value << 5) | ALPHABET.iter().position(|letter| *letter == byte).unwrap() as u128
        });
        value >> 80
    }

    #[test]
    fn secrets_are_long_and_never_twice_the_same() {
        assert_eq!(new_secret().len(), SECRET_LENGTH);
        assert_ne!(new_secret(), new_secret());
    }
}
