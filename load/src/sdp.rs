//! The descriptions (SDP) of both sides, and as much of the gateway's as they need.

use std::net::SocketAddr;
use std::str::FromStr;

use media::{Certificate, Fingerprint, FingerprintHash, Peer, Setup};

use crate::media::Wishes;

/// The media type of descriptions.
pub(crate) const SDP: &str = "application/sdp";
/// The payload type of Opus in our offers.
pub(crate) const OPUS: u8 = 111;

/// All directions (RFC 4566 §6).
const DIRECTIONS: [&str; 4] = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];

/// What a gateway's description says.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// Where its RTP is.
    pub(crate) rtp: SocketAddr,
    /// The payload type of the codec asked for.
    pub(crate) payload_type: u8,
    /// Its side of ICE and DTLS, when it has one.
    pub(crate) peer: Option<Peer>,
    /// How it wants to be spoken to.
    pub(crate) wishes: Wishes,
}

/// Which codec a side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// `opus/48000/2`
    Opus,
    /// `PCMU/8000`
    Pcmu,
}

impl Codec {
    /// Its RTP clock.
    pub(crate) fn kilohertz(self) -> u64 {
        match self {
            Self::Opus => 48,
            Self::Pcmu => 8,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000",
            Self::Pcmu => "pcmu/8000",
        }
    }
}

/// The description of a browser (RFC 8829, 8842): an offer, or with `active` the answer to one.
pub(crate) fn browser(certificate: &Certificate, ufrag: &str, active: bool, payload_type: u8) -> String {
    let fingerprint = certificate.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
    let setup = if active { "active" } else { "actpass" };
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}{ufrag}{ufrag}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:{setup}\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:{payload_type} opus/48000/2\r\n\
         a=fmtp:{payload_type} minptime=10;useinbandfec=1\r\n"
    )
}

/// The description of a side without encryption.
pub(crate) fn plain(address: SocketAddr, codec: Codec, payload_type: u8) -> String {
    let (ip, port) = (address.ip(), address.port());
    let map = match codec {
        Codec::Opus => format!("opus/48000/2\r\na=fmtp:{payload_type} minptime=10;useinbandfec=1"),
        Codec::Pcmu => "PCMU/8000".to_owned(),
    };
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n\
         a=rtpmap:{payload_type} {map}\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Our description with another direction, as its next version (RFC 3264 §8).
pub(crate) fn directed(own: &str, direction: &str) -> String {
    let mut text = String::with_capacity(own.len() + 8);
    for line in own.lines() {
        match line.strip_prefix("o=- 1 ").and_then(|rest| rest.split_once(' ')) {
            Some((version, rest)) => {
                let version = version.parse::<u64>().unwrap_or_default() + 1;
                text.push_str(&format!("o=- 1 {version} {rest}"));
            }
            None if DIRECTIONS.contains(&line) => text.push_str(direction),
            None => text.push_str(line),
        }
        text.push_str("\r\n");
    }
    text
}

/// Our description as the answer to another offer of the gateway's (RFC 3264 §6.1).
pub(crate) fn answering(own: &str, offer: &[u8]) -> String {
    let offer = String::from_utf8_lossy(offer);
    let offered = offer.lines().find(|line| DIRECTIONS.contains(line)).unwrap_or("a=sendrecv");
    let direction = match offered {
        "a=sendonly" => "a=recvonly",
        "a=recvonly" => "a=sendonly",
        other => other,
    };
    directed(own, direction).replace("a=setup:actpass", "a=setup:active")
}

/// The number of a call, which is in the last seven digits of numbers dialled and shown.
pub(crate) fn call_of(number: &str) -> Option<u64> {
    number.get(number.len().saturating_sub(7)..)?.parse().ok()
}

/// Reads a gateway's description; what is missing in it otherwise.
pub(crate) fn read(description: &[u8], codec: Codec) -> Result<Remote, &'static str> {
    let text = std::str::from_utf8(description).map_err(|_| "a description that is no text")?;
    let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let audio = line("m=audio ").ok_or("a description without audio")?;
    let mut words = audio.split_whitespace();
    let port: u16 = words.next().and_then(|port| port.parse().ok()).ok_or("no port")?;
    let formats: Vec<u8> = words.skip(1).filter_map(|word| word.parse().ok()).collect();
    let named = |payload_type: &u8| {
        let map =
            line(&format!("a=rtpmap:{payload_type} ")).unwrap_or(if *payload_type == 0 { "PCMU/8000" } else { "" });
        map.to_ascii_lowercase().starts_with(codec.name())
    };
    let payload_type = formats.iter().copied().find(named).ok_or("no codec that was offered")?;
    let address = line("c=IN IP4 ").or(line("c=IN IP6 ")).ok_or("no address")?;
    let mut rtp = SocketAddr::new(address.parse().map_err(|_| "no numeric address")?, port);
    let peer = match line("a=fingerprint:") {
        Some(fingerprint) => Some(Peer {
            ufrag: line("a=ice-ufrag:").ok_or("no ice-ufrag")?.to_owned(),
            pwd: line("a=ice-pwd:").ok_or("no ice-pwd")?.to_owned(),
            fingerprint: sha256(fingerprint).ok_or("no SHA-256 fingerprint")?,
            setup: if line("a=setup:") == Some("active") { Setup::Active } else { Setup::Passive },
        }),
        None => None,
    };
    if peer.is_some() {
        rtp = text
            .lines()
            .filter_map(|line| line.strip_prefix("a=candidate:"))
            .find_map(candidate)
            .ok_or("no candidate")?;
    }
    let parameters = line(&format!("a=fmtp:{payload_type} ")).unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = parameters.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.trim().parse::<u32>().ok())
    };
    let wishes = Wishes {
        max_playback_rate: parameter("maxplaybackrate"),
        max_average_bitrate: parameter("maxaveragebitrate"),
        fec: parameter("useinbandfec") == Some(1),
        ptime: line("a=ptime:").and_then(|ptime| ptime.parse().ok()),
    };
    Ok(Remote { rtp, payload_type, peer, wishes })
}

fn sha256(text: &str) -> Option<Fingerprint> {
    let (hash, value) = text.split_once(' ')?;
    let value = value.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<_>>()?;
    hash.eq_ignore_ascii_case("sha-256").then_some(Fingerprint { hash: FingerprintHash::Sha256, value })
}

/// The address of a UDP candidate for RTP.
fn candidate(text: &str) -> Option<SocketAddr> {
    let words: Vec<_> = text.split_whitespace().collect();
    let [_, "1", transport, _, ip, port, ..] = words.as_slice() else { return None };
    let address = SocketAddr::new(FromStr::from_str(ip).ok()?, port.parse().ok()?);
    transport.eq_ignore_ascii_case("udp").then_some(address)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 111 0\r\n\
        a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10; useinbandfec=1;maxplaybackrate=8000;maxaveragebitrate=24000\r\n\
        a=ptime:40\r\na=sendrecv\r\n";

    #[test]
    fn a_description_says_how_it_wants_to_be_spoken_to() {
        let remote = read(ANSWER.as_bytes(), Codec::Opus).unwrap();
        let wanted =
            Wishes { max_playback_rate: Some(8000), max_average_bitrate: Some(24_000), fec: true, ptime: Some(40) };
        assert_eq!((remote.payload_type, remote.rtp.port(), remote.wishes), (111, 4000, wanted));
        assert_eq!(read(ANSWER.as_bytes(), Codec::Pcmu).unwrap().payload_type, 0);
        assert!(read(ANSWER.as_bytes().get(..60).unwrap(), Codec::Opus).is_err());
    }

    #[test]
    fn a_hold_is_the_next_version_and_is_answered_the_other_way_round() {
        let own = plain("127.0.0.1:4000".parse().unwrap(), Codec::Opus, OPUS);
        let held = directed(&directed(&own, "a=sendonly"), "a=inactive");
        assert!(
            held.contains("o=- 1 3 IN") && held.contains("a=inactive\r\n") && !held.contains("a=sendrecv"),
            "{held}"
        );
        assert_eq!(held.lines().count(), own.lines().count());
        assert!(answering(&own, b"v=0\r\na=sendonly\r\n").contains("a=recvonly\r\n"));
        assert!(answering(&own, b"v=0\r\n").contains("a=sendrecv\r\n"));
        assert_eq!((call_of("+493010000042"), call_of("x"), call_of("")), (Some(42), None, None));
    }

    #[test]
    fn nothing_that_a_server_may_say_instead_of_a_description_is_the_end() {
        let secure = ANSWER.replace(
            "a=ptime:40",
            "a=fingerprint:sha-256 AA:BB\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host",
        );
        assert!(read(secure.as_bytes(), Codec::Opus).unwrap().peer.is_some());
        for at in 0..secure.len() {
            let (before, after) = secure.as_bytes().split_at(at);
            for instead in [&b""[..], b"\0", b" ", b":", b"\r\n", b"\xff", "\u{20ac}".as_bytes(), b"99999999999"] {
                let changed = [before, instead, &after[1..]].concat();
                for text in [&changed[..], before] {
                    drop((read(text, Codec::Opus), read(text, Codec::Pcmu), answering(&secure, text)));
                    let text = String::from_utf8_lossy(text);
                    drop((directed(&text, "a=inactive"), call_of(&text)));
                }
            }
        }
    }

    #[test]
    fn what_is_no_description_is_refused_with_its_reason() {
        for (text, reason) in [
            ("\u{fffd}", "a description without audio"),
            ("m=audio x RTP/AVP 0\r\n", "no port"),
            ("m=audio 1 RTP/AVP 8\r\n", "no codec that was offered"),
            ("m=audio 1 RTP/AVP 0\r\n", "no address"),
            ("m=audio 1 RTP/AVP 0\r\nc=IN IP4 nowhere\r\n", "no numeric address"),
            ("m=audio 1 RTP/AVP 0\r\nc=IN IP4 127.0.0.1\r\na=fingerprint:sha-256 AA\r\n", "no ice-ufrag"),
        ] {
            assert_eq!(read(text.as_bytes(), Codec::Pcmu).unwrap_err(), reason);
        }
    }
}
