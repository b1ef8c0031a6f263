//! The network between a peer and the gateway: what it loses, how late it is, what it has no room for.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A path that keeps everything in order.
const DELAY: f64 = 0.060;
/// Packets of other things before ours in a narrow path's queue are not counted; ours may take up so much of it.
const QUEUE: f64 = 0.2;
/// When others begin to.
const OTHERS_BEGIN: f64 = 8.0;
/// IP, UDP, RTP and SRTP around a payload.
const OVERHEAD: usize = 20 + 8 + 12 + 16;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trouble {
    /// What part is lost.
    pub(crate) loss: f64,
    /// How many packets are lost in a row, on average; one when each is lost by itself.
    pub(crate) burst: f64,
    /// The standard deviation of the delay, independent from packet to packet (as netem's `delay 60ms 20ms distribution normal`),
    /// so that packets overtake each other.
    pub(crate) jitter: f64,
    /// What goes through in a second, in bits, once others use the path too.
    pub(crate) width: Option<f64>,
}

/// One way of a path, by a seed always the same.
#[derive(Debug)]
pub(crate) struct Path {
    trouble: Trouble,
    random: ChaCha12Rng,
    /// Gilbert-Elliott: in the bad state everything is lost.
    bad: bool,
    /// When a narrow path has sent what it has.
    free_at: f64,
}

impl Path {
    pub(crate) fn new(trouble: Trouble, seed: u64) -> Self {
        Self { trouble, random: ChaCha12Rng::seed_from_u64(seed), bad: false, free_at: 0.0 }
    }

    /// How long a packet of `payload` bytes sent at `at` takes; `None` when it is lost.
    pub(crate) fn carry(&mut self, at: Duration, payload: usize) -> Option<Duration> {
        let lost = self.loses();
        let jitter = (self.normal() * self.trouble.jitter).clamp(-DELAY, DELAY);
        let queued = self.queue(at.as_secs_f64(), payload)?;
        (!lost).then(|| Duration::from_secs_f64(DELAY + jitter + queued))
    }

    /// How long a small packet takes behind those on their way.
    pub(crate) fn latency(&self, at: Duration) -> Duration {
        Duration::from_secs_f64(DELAY + (self.free_at - at.as_secs_f64()).max(0.0))
    }

    fn loses(&mut self) -> bool {
        let Trouble { loss, burst, .. } = self.trouble;
        let chance = self.random.random::<f64>();
        if burst <= 1.0 {
            return chance < loss;
        }
        // The mean stay in the bad state is `burst`, and its share `loss`.
        let (leave, enter) = (1.0 / burst, loss / (1.0 - loss) / burst);
        self.bad = if self.bad { chance >= leave } else { chance < enter };
        self.bad
    }

    fn queue(&mut self, at: f64, payload: usize) -> Option<f64> {
        let Some(width) = self.trouble.width.filter(|_| at > OTHERS_BEGIN) else { return Some(0.0) };
        let begins = self.free_at.max(at);
        if begins - at > QUEUE {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "a packet")]
        let bits = ((payload + OVERHEAD) * 8) as f64;
        self.free_at = begins + bits / width;
        Some(self.free_at - at)
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.random.random::<f64>(), self.random.random::<f64>());
        (-2.0 * a.ln()).sqrt() * (b * std::f64::consts::TAU).cos()
    }
}
