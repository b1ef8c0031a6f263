//! What G.722 sounds like, and that it is G.722.

use super::g722::{G722Decoder, G722Encoder, silence};

/// Pieces of noise and of a chord at different levels, silence among them.
fn sound(count: u64) -> Vec<i16> {
    let mut state = 1_u64;
    (0..i64::try_from(count).unwrap())
        .map(|n| {
            state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
            let noise = i64::try_from((state >> 16) & 0x3fff).unwrap() - 8192;
            let triangle = ((n * 37) % 2000 - 1000).abs() * 20 - 10_000;
            let gain = [0, 1, 2, 4][usize::try_from(n / 800 % 4).unwrap()];
            let value = (triangle * gain).div_euclid(4) + (noise * gain).div_euclid(8);
            i16::try_from(value.clamp(-32_768, 32_767)).unwrap()
        })
        .collect()
}

fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn encoded(samples: &[i16]) -> Vec<u8> {
    let mut payload = Vec::new();
    G722Encoder::default().encode(samples, &mut payload);
    payload
}

fn decoded(payload: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; payload.len() * 2];
    assert_eq!(G722Decoder::default().decode(payload, &mut samples), samples.len());
    samples
}

fn tone(frequency: f64, amplitude: f64, count: u32) -> Vec<i16> {
    #[allow(clippy::cast_possible_truncation)]
    let sample = |n: u32| ((f64::from(n) / 16_000.0 * frequency * std::f64::consts::TAU).sin() * amplitude) as i16;
    (0..count).map(sample).collect()
}

fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>()
        / f64::from(u32::try_from(samples.len()).unwrap())
}

/// Signal to noise after a round trip, the filters' delay of 22 samples taken out.
fn signal_to_noise(samples: &[i16]) -> f64 {
    let heard = decoded(&encoded(samples));
    let said = &samples[1600..samples.len() - 22];
    let noise: Vec<i16> = said.iter().zip(&heard[1622..]).map(|(a, b)| a.saturating_sub(*b)).collect();
    10.0 * (power(said) / power(&noise)).log10()
}

/// The sums were made by libg722, which is not ours.
#[test]
fn what_is_sent_and_heard_is_to_the_bit_what_another_implementation_makes() {
    let payload = encoded(&sound(16_000));
    assert_eq!(fnv(payload.iter().copied()), 0x22b8_db96_c67a_fe75);
    assert_eq!(fnv(decoded(&payload).into_iter().flat_map(i16::to_le_bytes)), 0x77db_0bee_2762_13d6);
}

/// Any byte is a code; these make the most of every clip and limit.
#[test]
fn bytes_of_no_encoder_are_decoded_as_another_implementation_does() {
    let mut state = 7_u64;
    let bytes = std::iter::repeat_with(|| {
        state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        u8::try_from((state >> 16) & 0xff).unwrap()
    });
    let bytes: Vec<u8> = bytes.take(8000).collect();
    assert_eq!(fnv(decoded(&bytes).into_iter().flat_map(i16::to_le_bytes)), 0xfb8e_c998_db32_6945);
    for byte in 0..=255 {
        decoded(&vec![byte; 4000]);
    }
}

#[test]
fn tones_of_both_bands_come_back_clear() {
    for (frequency, least) in [(300.0, 30.0), (1000.0, 30.0), (3000.0, 22.0), (5000.0, 12.0), (6500.0, 12.0)] {
        let ratio = signal_to_noise(&tone(frequency, 8000.0, 16_000));
        assert!(ratio > least, "{frequency} Hz: {ratio} dB");
    }
}

#[test]
fn a_voice_comes_back_clear_at_any_loudness() {
    for loudness in [200.0, 2000.0, 8000.0] {
        let harmonics = [(120.0, 1.0), (360.0, 0.5), (840.0, 0.3), (2400.0, 0.1), (4800.0, 0.03)];
        let voice: Vec<i16> = (0..16_000_u32)
            .map(|n| {
                let t = f64::from(n) / 16_000.0;
                let syllable = 0.55 + 0.45 * (t * 4.0 * std::f64::consts::TAU).sin();
                let sum: f64 = harmonics.iter().map(|(f, a)| (t * f * std::f64::consts::TAU).sin() * a).sum();
                #[allow(clippy::cast_possible_truncation)]
                let sample = (sum * syllable * loudness) as i16;
                sample
            })
            .collect();
        let ratio = signal_to_noise(&voice);
        assert!(ratio > 20.0, "{loudness}: {ratio} dB");
    }
}

#[test]
fn silence_stays_silent_and_comes_at_once_after_the_loudest_sound() {
    assert!(decoded(&encoded(&[0; 16_000])).iter().all(|sample| sample.abs() <= 8));
    let mut samples = tone(700.0, 30_000.0, 4800);
    samples.extend([0; 4800]);
    let heard = decoded(&encoded(&samples));
    assert!(heard[4800 + 320..].iter().all(|sample| sample.abs() < 60), "{:?}", &heard[5120..5140]);
}

#[test]
fn codes_of_silence_end_the_loudest_sound_within_a_packet() {
    let mut payload = encoded(&tone(700.0, 30_000.0, 4800));
    payload.extend(silence::<480>());
    let heard = decoded(&payload);
    assert!(heard[4800 + 320..].iter().all(|sample| sample.abs() < 100), "{:?}", &heard[5120..5180]);
}

#[test]
fn the_loudest_sound_does_not_wrap_round() {
    let heard = decoded(&encoded(&tone(1000.0, 32_767.0, 16_000)));
    let step = heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    assert!(step < 20_000, "{step}");
}
