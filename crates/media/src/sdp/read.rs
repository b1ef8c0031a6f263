//! Reading a peer's description: the first audio stream and everything said about it, at media level or inherited from the session.

use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rtc_sdp::description::common::{Attribute, ConnectionInformation};
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::remote::{Format, MediaLine, RemoteAudio};
use super::settled::Settled;
use super::{Direction, LocalKeying, MAX_SDP, SdpError};
use crate::keying::{CryptoAttribute, Fingerprint, FingerprintHash, Peer, Setup, Unusable};

/// More m-lines than any phone sends.
const MAX_MEDIA: usize = 16;
/// More a=crypto lines than there are suites.
const MAX_CRYPTO: usize = 32;
/// The longest packet we take apart.
const MAX_PTIME: u64 = 120;

/// Reads a description and its audio stream: the one that was `settled` on, else the first that is not switched off.
pub(super) fn remote_audio(
    sdp: &[u8],
    keying: &LocalKeying,
    settled: Option<&Settled>,
) -> Result<RemoteAudio, SdpError> {
    if sdp.len() > MAX_SDP {
        return Err(SdpError::Malformed("too long".to_owned()));
    }
    let session =
        SessionDescription::unmarshal(&mut Cursor::new(sdp)).map_err(|error| SdpError::Malformed(error.to_string()))?;
    if session.media_descriptions.len() > MAX_MEDIA {
        return Err(SdpError::Malformed("too many m-lines".to_owned()));
    }
    let usable = |media: &&MediaDescription| media.media_name.media == "audio" && media.media_name.port.value != 0;
    let descriptions = &session.media_descriptions;
    let index = settled
        .map(|settled| settled.index)
        .filter(|index| descriptions.get(*index).is_some_and(|media| usable(&media)))
        .or_else(|| preferred(descriptions, keying, usable));
    let Some(index) = index else {
        let is_off = descriptions.iter().any(|media| media.media_name.media == "audio");
        let lines = || descriptions.iter().map(media_line).collect();
        return Err(if is_off { SdpError::Off(lines()) } else { SdpError::NoAudio });
    };
    let media = session.media_descriptions.get(index).ok_or(SdpError::NoAudio)?;
    let scope = Scope { session: &session, media };
    let profile = Profile::of(media, keying)?;
    let secure = profile == Profile::Dtls;
    let (rtp, is_hold) = scope.rtp_address()?;
    let had_address = settled.is_some_and(|settled| settled.had_address);
    let direction = scope.direction();
    let rtcp_mux = scope.has("rtcp-mux");
    let rtcp = if rtcp_mux { rtp } else { scope.rtcp_address(rtp) };
    let peer = if secure { Some(scope.peer()?) } else { None };
    let (crypto, unusable) = scope.crypto();
    Ok(RemoteAudio {
        lines: session.media_descriptions.iter().map(media_line).collect(),
        index,
        bundled: scope.is_bundled(),
        secure,
        rtp,
        rtcp,
        rtcp_mux,
        // 0.0.0.0 is the old way to say "do not send to me" (RFC 3264 §8.4).
        // To a browser that never named one the address means nothing: ICE finds its own.
        direction: if is_hold && (!secure || had_address) {
            Direction::new(direction.sends(), false)
        } else {
            direction
        },
        formats: scope.formats(),
        ptime: scope.packet_time("ptime"),
        longest: scope.packet_time("maxptime"),
        peer,
        is_savp: profile == Profile::Savp,
        crypto,
        unusable,
    })
}

/// Of the streams that can be used: the encrypted one a peer offers beside a plain one where we take both, else the first in a profile this
/// leg speaks, else the first.
fn preferred(
    descriptions: &[MediaDescription],
    keying: &LocalKeying,
    usable: impl Fn(&&MediaDescription) -> bool,
) -> Option<usize> {
    let rank = |media: &MediaDescription| match Profile::of(media, keying) {
        Ok(Profile::Savp | Profile::Dtls) => 0,
        Ok(Profile::Avp) => 1,
        Err(_) => 2,
    };
    let streams = descriptions.iter().enumerate().filter(|(_, media)| usable(media));
    streams.min_by_key(|(_, media)| rank(media)).map(|(index, _)| index)
}

/// How a stream's profile has it keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// Not at all.
    Avp,
    /// In the description.
    Savp,
    /// By DTLS.
    Dtls,
}

impl Profile {
    /// An error when this leg does not speak it.
    fn of(media: &MediaDescription, keying: &LocalKeying) -> Result<Self, SdpError> {
        let protocol = media.media_name.protos.join("/").to_ascii_uppercase();
        let is_savp = matches!(protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF");
        let is_dtls = matches!(protocol.as_str(), "UDP/TLS/RTP/SAVPF" | "UDP/TLS/RTP/SAVP");
        let is_plain = matches!(protocol.as_str(), "RTP/AVP" | "RTP/AVPF");
        match keying {
            LocalKeying::DtlsSrtp { .. } if is_dtls || is_savp => Ok(Self::Dtls),
            LocalKeying::Sdes(_) if is_savp => Ok(Self::Savp),
            LocalKeying::Sdes(_) | LocalKeying::Plain if is_plain => Ok(Self::Avp),
            LocalKeying::Plain if is_savp => Err(SdpError::Encrypted),
            LocalKeying::DtlsSrtp { .. } | LocalKeying::Sdes(_) | LocalKeying::Plain => {
                Err(SdpError::Profile(protocol))
            }
        }
    }
}

fn media_line(media: &MediaDescription) -> MediaLine {
    MediaLine {
        media: media.media_name.media.clone(),
        protocol: media.media_name.protos.join("/"),
        formats: media.media_name.formats.clone(),
        mid: media.attribute("mid").flatten().map(|mid| mid.trim().to_owned()),
    }
}

/// Attributes of a stream, looked up in its section and then in the session's.
struct Scope<'a> {
    session: &'a SessionDescription,
    media: &'a MediaDescription,
}

impl<'a> Scope<'a> {
    fn find(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
        let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
        Some(attribute.value.as_deref().unwrap_or_default().trim())
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        Self::find(&self.media.attributes, key).or_else(|| Self::find(&self.session.attributes, key))
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn rtp_address(&self) -> Result<(SocketAddr, bool), SdpError> {
        let connection = self.media.connection_information.as_ref();
        let connection =
            connection.or(self.session.connection_information.as_ref()).ok_or(SdpError::Missing("c= line"))?;
        let ip = address(connection).ok_or(SdpError::Missing("numeric address"))?;
        let port = u16::try_from(self.media.media_name.port.value).map_err(|_| SdpError::Missing("valid port"))?;
        // A browser before ICE writes port 9 on 0.0.0.0 (RFC 8840 §4.3.2): that is no hold.
        let is_hold = ip.is_unspecified() && port != 9;
        Ok((SocketAddr::new(ip, port), is_hold))
    }

    /// `a=rtcp:port [IN IP4 address]` (RFC 3605), else the next port.
    fn rtcp_address(&self, rtp: SocketAddr) -> SocketAddr {
        let mut parts = self.get("rtcp").unwrap_or_default().split_ascii_whitespace();
        let port = parts.next().and_then(|port| port.parse().ok()).unwrap_or(rtp.port().wrapping_add(1));
        let ip = parts.nth(2).and_then(|ip| ip.parse().ok()).unwrap_or(rtp.ip());
        SocketAddr::new(ip, port)
    }

    fn direction(&self) -> Direction {
        let of = |attributes: &[Attribute]| {
            attributes.iter().find_map(|attribute| match attribute.key.as_str() {
                "sendrecv" => Some(Direction::SendRecv),
                "sendonly" => Some(Direction::SendOnly),
                "recvonly" => Some(Direction::RecvOnly),
                "inactive" => Some(Direction::Inactive),
                _ => None,
            })
        };
        of(&self.media.attributes).or_else(|| of(&self.session.attributes)).unwrap_or(Direction::SendRecv)
    }

    fn is_bundled(&self) -> bool {
        let Some(mid) = Self::find(&self.media.attributes, "mid") else { return false };
        let groups = self.session.attributes.iter().filter(|attribute| attribute.key == "group");
        groups.filter_map(|group| group.value.as_deref()).any(|group| {
            let mut words = group.split_ascii_whitespace();
            words.next() == Some("BUNDLE") && words.any(|word| word == mid)
        })
    }

    fn formats(&self) -> Vec<Format> {
        let values = |key: &'static str| {
            let attributes = self.media.attributes.iter().filter(move |attribute| attribute.key == key);
            attributes.filter_map(|attribute| attribute.value.as_deref()?.trim().split_once(' '))
        };
        let types = self.media.media_name.formats.iter();
        let types = types.filter_map(|text| text.parse::<u8>().ok().filter(|payload_type| *payload_type < 128));
        types
            .filter_map(|payload_type| {
                let number = payload_type.to_string();
                let map = values("rtpmap").find(|(key, _)| *key == number).map(|(_, map)| map);
                // Static types need no rtpmap (RFC 3551 §6).
                let map = map.or(match payload_type {
                    0 => Some("PCMU/8000"),
                    8 => Some("PCMA/8000"),
                    9 => Some("G722/8000"),
                    13 => Some("CN/8000"),
                    _ => None,
                })?;
                let mut parts = map.trim().split('/');
                let encoding = parts.next()?.to_owned();
                let clock_rate = parts.next()?.trim().parse().ok().filter(|rate| *rate > 0)?;
                let parameters = values("fmtp").find(|(key, _)| *key == number).map(|(_, text)| text.to_owned());
                Some(Format { payload_type, encoding, clock_rate, parameters: parameters.unwrap_or_default() })
            })
            .collect()
    }

    /// `a=ptime` or `a=maxptime`, in whole milliseconds.
    fn packet_time(&self, key: &str) -> Option<Duration> {
        let number = Self::find(&self.media.attributes, key)?.split('.').next()?;
        number.parse::<u64>().ok().filter(|ms| (1..=MAX_PTIME).contains(ms)).map(Duration::from_millis)
    }

    /// The a=crypto lines of the stream that can be used, and why the first of the others cannot. They stand in no session's section
    /// (RFC 4568 §9.1).
    fn crypto(&self) -> (Vec<CryptoAttribute>, Option<Unusable>) {
        let lines = self.media.attributes.iter().filter(|attribute| attribute.key == "crypto").take(MAX_CRYPTO);
        let mut unusable = None;
        let read = lines.filter_map(|line| {
            let read = CryptoAttribute::parse(line.value.as_deref().unwrap_or_default());
            read.inspect_err(|why| {
                unusable.get_or_insert(*why);
            })
            .ok()
        });
        (read.collect(), unusable)
    }

    fn peer(&self) -> Result<Peer, SdpError> {
        let (hash, value) = self
            .get("fingerprint")
            .and_then(|text| text.split_once(' '))
            .ok_or(SdpError::Missing("certificate fingerprint"))?;
        let hash = match hash.to_ascii_lowercase().as_str() {
            "sha-256" => FingerprintHash::Sha256,
            "sha-384" => FingerprintHash::Sha384,
            "sha-512" => FingerprintHash::Sha512,
            _ => return Err(SdpError::Fingerprint),
        };
        let value = hex::decode(value.trim().replace(':', "")).map_err(|_| SdpError::Fingerprint)?;
        let setup = match self.get("setup") {
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            Some("actpass") | None => Setup::ActPass,
            Some(_) => return Err(SdpError::Missing("usable a=setup")),
        };
        Ok(Peer {
            ufrag: self.get("ice-ufrag").ok_or(SdpError::Missing("ICE user fragment"))?.to_owned(),
            pwd: self.get("ice-pwd").ok_or(SdpError::Missing("ICE password"))?.to_owned(),
            fingerprint: Fingerprint { hash, value },
            setup,
        })
    }
}

fn address(connection: &ConnectionInformation) -> Option<IpAddr> {
    connection.address.as_ref()?.address.parse().ok()
}
