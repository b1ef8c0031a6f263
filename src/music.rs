//! Reads the music on hold from its WAV file, once, at start. What is done with it is the media shards' matter.

use std::io::Read;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};
use media::{Music, MusicError};

/// Seconds read of a file; the rest would be refused anyway, and need not be held in memory first.
const LONGEST_S: u32 = 601;

/// Why a file is no music on hold.
#[derive(Debug, thiserror::Error)]
#[error("media.music_on_hold: {path}: {reason}")]
pub struct MusicFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot be read as a WAV file: {0}")]
    Unreadable(#[from] hound::Error),
    #[error(transparent)]
    Unplayable(#[from] MusicError),
}

/// The music of a file; the gateway's own for an empty path.
///
/// # Errors
/// When the file cannot be read or played.
pub(crate) fn load(path: &Path) -> Result<Music, MusicFileError> {
    if path.as_os_str().is_empty() {
        return Ok(Music::default());
    }
    let read = || read(WavReader::open(path)?);
    read().map_err(|reason| MusicFileError { path: path.to_owned(), reason })
}

fn read(reader: WavReader<impl Read>) -> Result<Music, Reason> {
    let spec = reader.spec();
    let channels = usize::from(spec.channels).max(1);
    let most =
        usize::try_from(LONGEST_S.saturating_mul(spec.sample_rate)).unwrap_or(usize::MAX).saturating_mul(channels);
    #[allow(clippy::cast_possible_truncation)] // scaled to 16 bits before
    let samples: Vec<i16> = match spec.sample_format {
        SampleFormat::Float => {
            let samples = reader.into_samples::<f32>().take(most);
            samples
                .map(|sample| Ok((sample?.clamp(-1.0, 1.0) * 32_767.0) as i16))
                .collect::<Result<_, hound::Error>>()?
        }
        SampleFormat::Int => {
            let (down, up) = (spec.bits_per_sample.saturating_sub(16), 16_u16.saturating_sub(spec.bits_per_sample));
            let samples = reader.into_samples::<i32>().take(most);
            samples.map(|sample| Ok(((sample? >> down) << up) as i16)).collect::<Result<_, hound::Error>>()?
        }
    };
    let mono: Vec<i16> = samples.chunks(channels).map(mixed).collect();
    Ok(Music::recorded(&mono, spec.sample_rate)?)
}

/// One frame's channels as one.
fn mixed(frame: &[i16]) -> i16 {
    let sum: i64 = frame.iter().map(|sample| i64::from(*sample)).sum();
    let count = i64::try_from(frame.len()).unwrap_or(1).max(1);
    i16::try_from(sum / count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

    fn file(spec: WavSpec, write: impl FnOnce(&mut WavWriter<&mut std::io::Cursor<Vec<u8>>>)) -> Result<Music, Reason> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        write(&mut writer);
        writer.finalize().unwrap();
        read(WavReader::new(bytes.get_ref().as_slice()).unwrap())
    }

    fn spec(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec { channels, sample_rate: 8000, bits_per_sample, sample_format }
    }

    #[test]
    fn every_kind_of_sample_becomes_the_same_music() {
        let expected = Music::recorded(&[16_384, -16_384], 8000).unwrap();
        for bits in [16, 24, 32] {
            let level = 1_i32 << (bits - 2);
            let music = file(spec(1, bits, SampleFormat::Int), |wav| {
                wav.write_sample(level).unwrap();
                wav.write_sample(-level).unwrap();
            });
            assert_eq!(music.unwrap(), expected, "{bits} bits");
        }
        let eight = file(spec(1, 8, SampleFormat::Int), |wav| {
            wav.write_sample(64_i8).unwrap();
            wav.write_sample(-64_i8).unwrap();
        });
        assert_eq!(eight.unwrap(), expected);
        let float = file(spec(1, 32, SampleFormat::Float), |wav| {
            wav.write_sample(0.500_02_f32).unwrap();
            wav.write_sample(-0.500_02_f32).unwrap();
        });
        assert_eq!(float.unwrap(), expected);
    }

    #[test]
    fn two_channels_become_one() {
        let stereo = file(spec(2, 16, SampleFormat::Int), |wav| {
            for sample in [1000_i16, 3000, -500, 500] {
                wav.write_sample(sample).unwrap();
            }
        });
        assert_eq!(stereo.unwrap(), Music::recorded(&[2000, 0], 8000).unwrap());
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_key_and_file() {
        let missing = load(Path::new("/nonexistent/music.wav")).unwrap_err().to_string();
        assert!(
            missing.starts_with("media.music_on_hold: /nonexistent/music.wav: cannot be read as a WAV file"),
            "{missing}"
        );
        let empty = file(spec(1, 16, SampleFormat::Int), |_| {});
        assert!(matches!(empty, Err(Reason::Unplayable(MusicError::Empty))));
        assert_eq!(load(Path::new("")).unwrap(), Music::default());
    }
}
