//! Nonces: issued without being remembered, remembered once used (RFC 7616 §3.3, §5.4). A nonce carries its number, its age
//! and a MAC over both and the realm, so a flood of unauthenticated requests costs no memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::hexadecimal::hexadecimal;

/// How long a nonce is good for. Browser clients reuse one for every refresh; a stale one costs them a round trip.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// Nonces with a count to remember: one per client and lifetime, 10 times what one node serves. About 3 MB.
const MAX_USED: usize = 50_000;

/// How far a count may lag behind the highest seen: parallel requests overtake each other.
const WINDOW: u32 = 64;

/// What is known of the nonce in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ours and young enough.
    Fresh(u64),
    /// Ours, but too old or forgotten.
    Stale,
    /// Not ours.
    Foreign,
}

/// Issues nonces and tracks the counts of those in use.
pub(super) struct Nonces {
    /// Of the key with either pad of HMAC: the same for every nonce.
    inner: Sha256,
    outer: Sha256,
    epoch: Option<Instant>,
    next: u64,
    used: BTreeMap<u64, Counts>,
    /// Numbers up to here were forgotten: unknown ones below are stale, lest they be replayed.
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Counts {
    highest: u32,
    /// Bit n: `highest - n` was seen.
    seen: u64,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("next", &self.next).field("used", &self.used.len()).finish_non_exhaustive()
    }
}

impl Nonces {
    pub(super) fn new(key: [u8; 32]) -> Self {
        let padded = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
            Sha256::new_with_prefix(block)
        };
        Self { inner: padded(0x36), outer: padded(0x5c), epoch: None, next: 1, used: BTreeMap::new(), forgotten: 0 }
    }

    pub(super) fn issue(&mut self, now: Instant, realm: &str) -> String {
        let number = self.next;
        self.next += 1;
        let age = self.millis(now);
        let mut nonce = [0; 32];
        let (head, mac) = nonce.split_at_mut(16);
        let (number_bytes, age_bytes) = head.split_at_mut(8);
        number_bytes.copy_from_slice(&number.to_be_bytes());
        age_bytes.copy_from_slice(&age.to_be_bytes());
        mac.copy_from_slice(&self.mac(number, age, realm));
        hexadecimal(&nonce)
    }

    /// Checks a nonce without using it up.
    pub(super) fn check(&mut self, now: Instant, realm: &str, nonce: &str) -> Standing {
        let mut bytes = [0; 32];
        if hex::decode_to_slice(nonce, &mut bytes).is_err() {
            return Standing::Foreign;
        }
        let [number, issued, mac_high, mac_low] = words(&bytes);
        let mut mac = [0; 16];
        let (high, low) = mac.split_at_mut(8);
        high.copy_from_slice(&mac_high.to_be_bytes());
        low.copy_from_slice(&mac_low.to_be_bytes());
        if !bool::from(self.mac(number, issued, realm).ct_eq(&mac)) {
            return Standing::Foreign;
        }
        let age = Duration::from_millis(self.millis(now).saturating_sub(issued));
        if age > LIFETIME || (number <= self.forgotten && !self.used.contains_key(&number)) {
            return Standing::Stale;
        }
        Standing::Fresh(number)
    }

    /// Uses a count of a nonce; false when it was used before or lags too far behind.
    pub(super) fn use_count(&mut self, number: u64, count: u32) -> bool {
        let counts = self.used.entry(number).or_default();
        let fresh = counts.take(count);
        if self.used.len() > MAX_USED
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.forgotten = self.forgotten.max(oldest);
        }
        fresh
    }

    fn millis(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        u64::try_from(now.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// HMAC-SHA-256 (RFC 2104), cut to 128 bits.
    fn mac(&self, number: u64, age: u64, realm: &str) -> [u8; 16] {
        let inner = self
            .inner
            .clone()
            .chain_update(number.to_be_bytes())
            .chain_update(age.to_be_bytes())
            .chain_update(realm)
            .finalize();
        let outer = self.outer.clone().chain_update(inner).finalize();
        let mut mac = [0; 16];
        mac.iter_mut().zip(outer).for_each(|(to, from)| *to = from);
        mac
    }
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    }
    words
}

impl Counts {
    fn take(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= WINDOW || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a simulated clock starts somewhere")]
mod tests {
    use super::*;

    #[test]
    fn counts_may_have_gaps_and_overtake_within_the_window_but_never_repeat() {
        let mut counts = Counts::default();
        assert!(!counts.take(0));
        for (count, fresh) in
            [(1, true), (1, false), (5, true), (3, true), (3, false), (70, true), (6, false), (7, true)]
        {
            assert_eq!(counts.take(count), fresh, "count {count}");
        }
        assert!(counts.take(u32::MAX));
        assert!(!counts.take(70));
    }

    #[test]
    fn a_nonce_is_bound_to_realm_and_age() {
        let start = Instant::now();
        let mut nonces = Nonces::new([7; 32]);
        let nonce = nonces.issue(start, "a");
        assert_eq!(nonces.check(start, "a", &nonce), Standing::Fresh(1));
        assert_eq!(nonces.check(start + LIFETIME, "a", &nonce), Standing::Fresh(1));
        assert_eq!(nonces.check(start + LIFETIME + Duration::from_millis(1), "a", &nonce), Standing::Stale);
        assert_eq!(nonces.check(start, "b", &nonce), Standing::Foreign);
        assert_eq!(nonces.check(start, "a", "00ff"), Standing::Foreign);
        assert_eq!(Nonces::new([8; 32]).check(start, "a", &nonce), Standing::Foreign);
    }

    #[test]
    fn forgotten_nonces_are_stale_and_not_usable_again() {
        let start = Instant::now();
        let mut nonces = Nonces::new([7; 32]);
        let first = nonces.issue(start, "a");
        assert!(nonces.use_count(1, 1));
        for number in 2..=u64::try_from(MAX_USED).unwrap() + 1 {
            assert!(nonces.use_count(number, 1));
        }
        assert_eq!(nonces.used.len(), MAX_USED);
        assert_eq!(nonces.check(start, "a", &first), Standing::Stale);
    }
}
