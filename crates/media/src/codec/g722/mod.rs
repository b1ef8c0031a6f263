//! G.722 (ITU-T G.722) at 64 kbit/s, its mode 1: 7 kHz of sound at 16 kHz, two samples to a byte. A pair of mirror filters parts the sound
//! into two bands of 8 kHz each; of the lower, six bits of each sample's difference from a prediction are sent, of the higher two. Both
//! sides adapt predictor and step by what was sent alone. Conceals nothing.

mod band;

use band::{Band, clip};

/// The mirror filter's taps (table 4), every other one; the others are the same backwards. In units of 2^-13.
const FILTER: [i32; TAPS] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
const TAPS: usize = 12;

/// Where a quantised difference of the lower band begins, in units of 2^-12 steps (table 5).
const DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// The same for the higher band, which has one (table 6).
const DECISION: i32 = 564;
/// What six bits of the lower band mean, in units of 2^-15 steps (table 7).
const LEVELS: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360,
    -1040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9360, 8576, 7856, 7192, 6576,
    6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// The last samples of two sequences that the mirror filter works on.
#[derive(Debug, Clone, Default)]
struct Mirror {
    first: [i32; TAPS],
    second: [i32; TAPS],
}

impl Mirror {
    /// Takes a sample of each; gives the sum of each sequence's under its taps.
    fn next(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.first.copy_within(1.., 0);
        self.second.copy_within(1.., 0);
        self.first[TAPS - 1] = first;
        self.second[TAPS - 1] = second;
        let forwards = self.first.iter().zip(&FILTER).map(|(sample, tap)| sample * tap).sum();
        let backwards = self.second.iter().zip(FILTER.iter().rev()).map(|(sample, tap)| sample * tap).sum();
        (forwards, backwards)
    }
}

/// Encodes sound of 16 kHz.
#[derive(Debug, Clone)]
pub(crate) struct G722Encoder {
    mirror: Mirror,
    low: Band,
    high: Band,
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self { mirror: Mirror::default(), low: Band::low(), high: Band::high() }
    }
}

impl G722Encoder {
    /// Appends `samples` encoded, two to a byte; an odd one out is left out.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(samples.chunks_exact(2).map(|pair| match pair {
            [first, second] => self.pair(i32::from(*first), i32::from(*second)),
            // Chunks of two are pairs.
            _ => 0,
        }));
    }

    fn pair(&mut self, first: i32, second: i32) -> u8 {
        let (odd, even) = self.mirror.next(first, second);
        let low = self.code_low((even + odd) >> 14);
        let high = self.code_high((even - odd) >> 14);
        high << 6 | low
    }

    fn code_low(&mut self, sample: i32) -> u8 {
        let difference = clip(sample - self.low.estimate());
        let magnitude = if difference < 0 { !difference } else { difference };
        let step = self.low.step();
        let place = DECISIONS.partition_point(|decision| magnitude >= (decision * step) >> 12);
        #[allow(clippy::cast_possible_truncation)] // up to 29
        let place = place as u8;
        let code = match (difference < 0, place) {
            (false, place) => 61 - place,
            (true, 0 | 1) => 63 - place,
            (true, place) => 33 - place,
        };
        self.low.take_low(code);
        code
    }

    fn code_high(&mut self, sample: i32) -> u8 {
        let difference = clip(sample - self.high.estimate());
        let magnitude = if difference < 0 { !difference } else { difference };
        let is_great = magnitude >= (DECISION * self.high.step()) >> 12;
        let code = match (difference < 0, is_great) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.high.take_high(code);
        code
    }
}

/// Decodes to 16 kHz.
#[derive(Debug, Clone)]
pub(crate) struct G722Decoder {
    mirror: Mirror,
    low: Band,
    high: Band,
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self { mirror: Mirror::default(), low: Band::low(), high: Band::high() }
    }
}

impl G722Decoder {
    /// Decodes as much of `payload` as fits; gives how many samples.
    pub(crate) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let mut count = 0;
        for (pair, code) in samples.chunks_exact_mut(2).zip(payload) {
            pair.copy_from_slice(&self.pair(*code));
            count += 2;
        }
        count
    }

    fn pair(&mut self, code: u8) -> [i16; 2] {
        let low = code & 0x3f;
        let level = LEVELS.get(usize::from(low)).copied().unwrap_or_default();
        let lower = limit(self.low.estimate() + ((self.low.step() * level) >> 15));
        self.low.take_low(low);
        let before = self.high.estimate();
        let higher = limit(before + self.high.take_high(code >> 6));
        let (second, first) = self.mirror.next(lower + higher, lower - higher);
        [sample(first >> 11), sample(second >> 11)]
    }
}

/// Codes of the smallest differences there are, now up and now down: whatever was said before, the steps shrink to nothing.
pub(crate) const fn silence<const N: usize>() -> [u8; N] {
    let mut codes = [0xfd; N];
    let mut place = 1;
    #[allow(clippy::indexing_slicing)] // evaluated by the compiler, below N
    while place < N {
        codes[place] = 0x7f;
        place += 2;
    }
    codes
}

/// A band's sample has 15 bits.
fn limit(sample: i32) -> i32 {
    sample.clamp(-16_384, 16_383)
}

fn sample(value: i32) -> i16 {
    i16::try_from(clip(value)).unwrap_or_default()
}
