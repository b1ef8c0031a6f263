//! What is said as packets: Opus as a browser speaks it to whoever described itself so (RFC 7587 §6.1), PCMU as a carrier does. Encoded
//! once and sent again and again, by as many calls as there are.

use std::time::Duration;

use opus::{Application, Channels, Encoder};

use super::sound::{Ear, FRAME, RATE, ROUND_MS, frequency, said};

/// The rate that browsers record at, in Hz.
const RECORDED: usize = 48_000;
/// The longest Opus packet (RFC 6716 §3.2.1).
const LONGEST: usize = 1275;

/// How much of the sound Opus says; browsers choose it by the peer's `maxplaybackrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Band {
    Narrow,
    Medium,
    Wide,
    SuperWide,
    Full,
}

impl Band {
    fn of(playback_rate: u32) -> Self {
        match playback_rate {
            ..=8000 => Self::Narrow,
            8001..=12_000 => Self::Medium,
            12_001..=16_000 => Self::Wide,
            16_001..=24_000 => Self::SuperWide,
            24_001.. => Self::Full,
        }
    }

    fn bandwidth(self) -> opus::Bandwidth {
        match self {
            Self::Narrow => opus::Bandwidth::Narrowband,
            Self::Medium => opus::Bandwidth::Mediumband,
            Self::Wide => opus::Bandwidth::Wideband,
            Self::SuperWide => opus::Bandwidth::Superwideband,
            Self::Full => opus::Bandwidth::Fullband,
        }
    }

    /// What Chrome says it at unless it is told otherwise, in bit/s.
    fn usual_bitrate(self) -> u32 {
        match self {
            Self::Narrow => 12_000,
            Self::Medium | Self::Wide => 20_000,
            Self::SuperWide | Self::Full => 32_000,
        }
    }
}

/// What a description asks for of who speaks to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// `maxplaybackrate`, in Hz.
    pub(crate) max_playback_rate: Option<u32>,
    /// `maxaveragebitrate`, in bit/s.
    pub(crate) max_average_bitrate: Option<u32>,
    /// `useinbandfec=1`.
    pub(crate) fec: bool,
    /// `ptime`, in milliseconds.
    pub(crate) ptime: Option<u32>,
}

/// How a side speaks: the wishes as a browser fulfils them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Voice {
    band: Band,
    /// In kbit/s, so that there are not too many different ones.
    kilobits: u32,
    fec: bool,
    /// What a packet holds, in milliseconds: 10, 20, 40 or 60.
    frame: u32,
}

impl Voice {
    /// The way to speak to whoever has these wishes.
    pub(super) fn fulfilling(wishes: &Wishes) -> Self {
        let band = Band::of(wishes.max_playback_rate.unwrap_or(48_000));
        let bitrate = wishes.max_average_bitrate.unwrap_or_else(|| band.usual_bitrate());
        // Chrome takes the length that is next to what is asked for.
        let frame = match wishes.ptime.unwrap_or(20) {
            ..15 => 10,
            15..30 => 20,
            30..50 => 40,
            50.. => 60,
        };
        Self { band, kilobits: bitrate.clamp(6000, 128_000) / 1000, fec: wishes.fec, frame }
    }

    /// What a packet holds.
    pub(super) fn frame(self) -> Duration {
        Duration::from_millis(self.frame.into())
    }

    fn encoder(self) -> opus::Result<Encoder> {
        let mut encoder = Encoder::new(RECORDED as u32, Channels::Mono, Application::Voip)?;
        encoder.set_max_bandwidth(self.band.bandwidth())?;
        encoder.set_bitrate(opus::Bitrate::Bits(i32::try_from(self.kilobits * 1000).unwrap_or(i32::MAX)))?;
        // No other complexity is heard or costs the listener anything.
        encoder.set_complexity(5)?;
        encoder.set_inband_fec(self.fec)?;
        encoder.set_packet_loss_perc(5)?;
        Ok(encoder)
    }
}

/// A round in packets, to be sent again and again.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    packets: Vec<Vec<u8>>,
    frame: Duration,
    /// What its codec puts it off by.
    delay: Duration,
}

impl Speech {
    /// As a browser says it.
    pub(super) fn opus(voice: Voice, call: u64) -> opus::Result<Self> {
        let mut encoder = voice.encoder()?;
        let (said, samples) = (said(RECORDED, frequency(call)), RECORDED / 1000 * voice.frame as usize);
        // The end is said once before the beginning, which it leads to whenever the round is repeated.
        for frame in said.chunks_exact(samples).skip(ROUND_MS * 4 / 5 / voice.frame as usize) {
            encoder.encode_vec(frame, LONGEST)?;
        }
        let packets =
            said.chunks_exact(samples).map(|frame| encoder.encode_vec(frame, LONGEST)).collect::<Result<_, _>>()?;
        Ok(Self { packets, frame: voice.frame(), delay: Duration::ZERO })
    }

    /// As a carrier says it: PCMU.
    pub(super) fn pcmu(call: u64) -> Self {
        let said = said(RATE, frequency(call));
        let packets = said.chunks_exact(FRAME).map(|frame| frame.iter().map(|sample| to_mu_law(*sample)).collect());
        Self { packets: packets.collect(), frame: Duration::from_millis(20), delay: Duration::ZERO }
    }

    /// As a gateway says in Opus what it heard at [`RATE`].
    pub(super) fn narrow() -> opus::Result<Self> {
        let mut encoder = Encoder::new(RATE as u32, Channels::Mono, Application::Voip)?;
        let said = said(RATE, frequency(0));
        let packets =
            said.chunks_exact(FRAME).map(|frame| encoder.encode_vec(frame, LONGEST)).collect::<Result<_, _>>()?;
        Ok(Self { packets, frame: Duration::from_millis(20), delay: Duration::ZERO })
    }

    /// The same, with what Opus puts it off by.
    pub(super) fn delayed_by(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// What Opus puts it off by, decoded at [`RATE`]: a gateway that adds nothing adds that.
    pub(super) fn measured_delay(&self) -> opus::Result<Duration> {
        let mut decoder = opus::Decoder::new(RATE as u32, Channels::Mono)?;
        let (mut ear, mut samples, mut at) = (Ear::new(), [0; 6 * FRAME], 0_u64);
        let round = self.packets.len() as u64;
        // The second chirp: the first meets a decoder without memory.
        for number in 0..round + round / 8 {
            let count = decoder.decode(self.packet(number), &mut samples, false)?;
            let heard = samples.get(..count).unwrap_or_default();
            if number >= round
                && let Some(place) = ear.hear(at, heard)
            {
                return Ok(Duration::from_secs_f64(place as f64 / RATE as f64));
            }
            at += if number >= round { count as u64 } else { 0 };
        }
        Ok(Duration::ZERO)
    }

    /// What its codec puts it off by.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// The payload of a packet; packets are counted on and on.
    pub(super) fn packet(&self, number: u64) -> &[u8] {
        let at = usize::try_from(number % self.packets.len().max(1) as u64).unwrap_or_default();
        self.packets.get(at).map_or(&[], Vec::as_slice)
    }

    /// Whether a packet begins the round, and so is the chirp's first.
    pub(super) fn begins(&self, number: u64) -> bool {
        number.is_multiple_of(self.packets.len().max(1) as u64)
    }

    /// What a packet holds.
    pub(super) fn frame(&self) -> Duration {
        self.frame
    }
}

/// G.711 mu-law (ITU-T G.711), by its definition.
pub(super) fn from_mu_law(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn to_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 0x84;
    let exponent = 8_u32.saturating_sub(magnitude.leading_zeros()).min(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | u8::try_from((exponent << 4) | u32::from(mantissa)).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const NARROW: Wishes =
        Wishes { max_playback_rate: Some(8000), max_average_bitrate: Some(24_000), fec: true, ptime: Some(20) };

    #[test]
    fn mu_law_gives_back_what_it_was_given() {
        for sample in (-32_000..32_000_i16).step_by(37) {
            let error = (i32::from(from_mu_law(to_mu_law(sample))) - i32::from(sample)).abs();
            assert!(error <= i32::from(sample.unsigned_abs()) / 16 + 8, "{sample}: {error}");
        }
    }

    #[test]
    fn who_plays_8_khz_is_sent_narrowband_at_the_rate_it_asked_for() {
        let speech = Speech::opus(Voice::fulfilling(&NARROW), 3).unwrap();
        let bands: Vec<_> = speech.packets.iter().map(|packet| opus::packet::get_bandwidth(packet).unwrap()).collect();
        assert!(bands.iter().all(|band| *band == opus::Bandwidth::Narrowband), "{bands:?}");
        let octets: usize = speech.packets.iter().map(Vec::len).sum();
        let bitrate = octets * 8 * 1000 / ROUND_MS;
        assert!((15_000..26_000).contains(&bitrate), "{bitrate} bit/s");
        let full = Speech::opus(Voice::fulfilling(&Wishes { fec: true, ..Wishes::default() }), 3).unwrap();
        let band = opus::packet::get_bandwidth(full.packet(60)).unwrap();
        assert!(matches!(band, opus::Bandwidth::Superwideband | opus::Bandwidth::Fullband), "{band:?}");
    }

    #[test]
    fn packets_are_as_long_as_the_description_asks_and_come_to_the_same_round() {
        for (ptime, frame, count) in [(10, 10, 240), (20, 20, 120), (30, 40, 60), (40, 40, 60), (120, 60, 40)] {
            let voice = Voice::fulfilling(&Wishes { ptime: Some(ptime), ..NARROW });
            let speech = Speech::opus(voice, 0).unwrap();
            assert_eq!((voice.frame, speech.packets.len()), (frame, count));
            assert_eq!(opus::packet::get_nb_samples(speech.packet(7), 48_000).unwrap(), 48 * frame as usize);
            assert!(speech.begins(0) && speech.begins(count as u64) && !speech.begins(7));
        }
    }

    #[test]
    fn opus_puts_a_chirp_off_by_its_lookahead() {
        let narrow = Speech::narrow().unwrap().measured_delay().unwrap();
        assert!((4..11).contains(&narrow.as_millis()), "{narrow:?}");
        for rate in [8000, 48_000] {
            let voice = Voice::fulfilling(&Wishes { max_playback_rate: Some(rate), ..NARROW });
            // libopus: 6.5 ms at 48 kHz, and at 8 kHz as much with its resamplers.
            let delay = Speech::opus(voice, 0).unwrap().measured_delay().unwrap();
            assert!((4..11).contains(&delay.as_millis()), "{rate} Hz: {delay:?}");
        }
    }
}
