//! Writing our descriptions, straight into one string.

use std::fmt::Write;
use std::net::SocketAddr;

use super::settled::{Format, Settled};
use super::{LocalKeying, LocalMedia};
use crate::command::{Bandwidth, Codec};
use crate::keying::{CryptoAttribute, Setup};

/// Enough for telephone speech with FEC; keeps browsers from sending 32 kbit/s and more of it.
const MAX_AVERAGE_BITRATE: u32 = 24_000;
/// The same for wideband.
const MAX_WIDE_BITRATE: u32 = 32_000;

/// What our description says beyond [`LocalMedia`].
pub(super) struct Description<'a> {
    pub(super) local: &'a LocalMedia,
    pub(super) formats: &'a [Format],
    pub(super) direction: super::Direction,
    pub(super) crypto: &'a [CryptoAttribute],
    pub(super) setup: Setup,
    /// The m-lines and which of them is the stream.
    pub(super) settled: &'a Settled,
    /// The stream is switched off, as the others are.
    pub(super) is_off: bool,
}

impl Description<'_> {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(1200);
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let local = self.local;
        let (family, ip) = (if local.address.is_ipv4() { "IP4" } else { "IP6" }, local.address.ip());
        write!(text, "v=0\r\no=- {} {} IN {family} {ip}\r\ns=-\r\n", local.session_id, local.version)?;
        write!(text, "c=IN {family} {ip}\r\nt=0 0\r\n")?;
        let mid = self.mid();
        if let LocalKeying::DtlsSrtp { .. } = local.keying {
            text.push_str("a=ice-lite\r\n");
            if self.settled.bundled && !self.is_off {
                write!(text, "a=group:BUNDLE {}\r\n", mid.unwrap_or("0"))?;
            }
            text.push_str("a=msid-semantic: WMS patchcord\r\n");
        }
        for (index, line) in self.settled.lines.iter().enumerate() {
            if index == self.settled.index && !self.is_off {
                self.write_audio(text, &line.protocol, mid)?;
            } else {
                // A stream we do not take is answered with port 0, in its place (RFC 3264 §6).
                write!(text, "m={} 0 {} {}\r\n", line.media, line.protocol, line.formats.join(" "))?;
                if let Some(mid) = &line.mid {
                    write!(text, "a=mid:{mid}\r\n")?;
                }
            }
        }
        Ok(())
    }

    fn mid(&self) -> Option<&str> {
        self.settled.lines.get(self.settled.index).and_then(|line| line.mid.as_deref())
    }

    fn write_audio(&self, text: &mut String, protocol: &str, mid: Option<&str>) -> std::fmt::Result {
        write!(text, "m=audio {} {protocol}", self.local.address.port())?;
        for format in self.formats {
            write!(text, " {}", format.payload_type())?;
        }
        text.push_str("\r\n");
        for format in self.formats {
            self.write_format(text, *format)?;
        }
        write!(text, "a=ptime:{}\r\na={}\r\n", self.local.ptime.as_millis(), self.direction.attribute())?;
        for line in self.crypto {
            write!(text, "a=crypto:{line}\r\n")?;
        }
        if let LocalKeying::DtlsSrtp { ufrag, pwd, fingerprint, candidates } = &self.local.keying {
            if let Some(mid) = mid {
                write!(text, "a=mid:{mid}\r\n")?;
            }
            write!(text, "a=rtcp-mux\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:sha-256 ")?;
            for (index, byte) in fingerprint.iter().enumerate() {
                write!(text, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
            }
            let setup = match self.setup {
                Setup::Active => "active",
                Setup::Passive => "passive",
                Setup::ActPass => "actpass",
            };
            write!(text, "\r\na=setup:{setup}\r\n")?;
            self.write_candidates(text, candidates)?;
            write!(text, "a=msid:patchcord audio\r\na=ssrc:{} cname:{}\r\n", self.local.ssrc, self.local.cname)?;
        }
        Ok(())
    }

    fn write_candidates(&self, text: &mut String, candidates: &[SocketAddr]) -> std::fmt::Result {
        for (index, candidate) in candidates.iter().enumerate() {
            // Type preference 126 (host), local preference by order, component 1 (RFC 8445 §5.1.2.1).
            let preference = 65_535 - u32::try_from(index).unwrap_or(65_535).min(65_535);
            let priority = (126 << 24) + (preference << 8) + 255;
            let (ip, port) = (candidate.ip(), candidate.port());
            write!(text, "a=candidate:{} 1 udp {priority} {ip} {port} typ host\r\n", index + 1)?;
        }
        text.push_str("a=end-of-candidates\r\n");
        Ok(())
    }

    fn write_format(&self, text: &mut String, format: Format) -> std::fmt::Result {
        match format {
            Format::Audio(Codec::Opus, payload_type) => {
                write!(
                    text,
                    "a=rtpmap:{payload_type} opus/48000/2\r\na=fmtp:{payload_type} minptime=10;useinbandfec=1"
                )?;
                match self.local.bandwidth {
                    Bandwidth::Narrow => write!(
                        text,
                        ";maxplaybackrate=8000;sprop-maxcapturerate=8000;maxaveragebitrate={MAX_AVERAGE_BITRATE}\r\n"
                    ),
                    Bandwidth::Wide => write!(
                        text,
                        ";maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate={MAX_WIDE_BITRATE}\r\n"
                    ),
                    Bandwidth::Full => write!(text, "\r\n"),
                }
            }
            Format::Audio(Codec::Pcmu, payload_type) => write!(text, "a=rtpmap:{payload_type} PCMU/8000\r\n"),
            Format::Audio(Codec::Pcma, payload_type) => write!(text, "a=rtpmap:{payload_type} PCMA/8000\r\n"),
            Format::Audio(Codec::G722, payload_type) => write!(text, "a=rtpmap:{payload_type} G722/8000\r\n"),
            Format::ComfortNoise(payload_type) => write!(text, "a=rtpmap:{payload_type} CN/8000\r\n"),
            Format::TelephoneEvent(payload_type, rate) => {
                write!(text, "a=rtpmap:{payload_type} telephone-event/{rate}\r\na=fmtp:{payload_type} 0-15\r\n")
            }
        }
    }
}
