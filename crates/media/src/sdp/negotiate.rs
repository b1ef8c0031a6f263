//! Offer and answer (RFC 3264): what we propose, what we choose from a peer's proposal, what a peer chose from ours.

use smallvec::{SmallVec, smallvec};

use super::read::{RemoteAudio, remote_audio};
use super::write::{Description, Format};
use super::{Direction, LocalKeying, LocalMedia, Negotiated, SdpError, TelephoneEvent};
use crate::command::Codec;
use crate::keying::Setup;

/// Payload types of our offers: the numbers browsers use themselves.
const OPUS: u8 = 111;
const PCMU: u8 = 0;
const PCMA: u8 = 8;
const EVENT_8000: u8 = 101;
const EVENT_48000: u8 = 110;

/// Our offer.
#[must_use]
pub(crate) fn create_offer(local: &LocalMedia) -> Vec<u8> {
    let is_dtls = is_dtls(local);
    let description = Description {
        local,
        formats: &offered_formats(local),
        direction: local.direction,
        setup: Setup::ActPass,
        lines: None,
        bundled: is_dtls,
        protocol: if is_dtls { "UDP/TLS/RTP/SAVPF" } else { "RTP/AVP" },
    };
    description.to_bytes()
}

/// Our answer to a peer's offer, and what both then agree on.
///
/// # Errors
/// When the offer cannot be used.
pub(crate) fn create_answer(local: &LocalMedia, offer: &[u8]) -> Result<(Vec<u8>, Negotiated), SdpError> {
    let remote = remote_audio(offer, is_dtls(local))?;
    let chosen = local
        .codecs
        .iter()
        .find_map(|codec| remote.formats.iter().find(|format| format.codec() == Some(*codec)).map(|f| (*codec, f)));
    let (codec, format) = chosen.ok_or(SdpError::NoCodec)?;
    // The answerer sends and receives by the offerer's numbers (RFC 3264 §6.1 asks for the same in both directions).
    let events = remote.formats.iter().filter(|format| format.is_telephone_event()).map(|format| TelephoneEvent {
        send_payload_type: format.payload_type,
        receive_payload_type: format.payload_type,
        clock_rate: format.clock_rate,
    });
    let telephone_events = best_event_first(codec, events.collect());
    let mut formats = vec![Format::Audio(codec, format.payload_type)];
    formats.extend(telephone_events.iter().map(|e| Format::TelephoneEvent(e.receive_payload_type, e.clock_rate)));
    let direction = remote.direction.answered_with(local.direction);
    let setup = match remote.peer.as_ref().map(|peer| peer.setup) {
        Some(Setup::Passive) => Setup::Active,
        Some(Setup::Active | Setup::ActPass) | None => Setup::Passive,
    };
    let protocol = remote.lines.get(remote.index).map_or("RTP/AVP", |line| line.protocol.as_str());
    let description = Description {
        local,
        formats: &formats,
        direction,
        setup,
        lines: Some((&remote.lines, remote.index)),
        bundled: remote.bundled,
        protocol,
    };
    let answer = description.to_bytes();
    let opus = format.opus();
    let receive = smallvec![(format.payload_type, codec)];
    let mut negotiated = negotiated(&remote, (codec, format.payload_type), receive, telephone_events, direction);
    negotiated.opus = opus;
    // Plain legs have a port of their own for RTCP, and our answer does not take the peer's mux.
    negotiated.rtcp_mux = remote.secure;
    Ok((answer, negotiated))
}

/// What a peer's answer to our offer means.
///
/// # Errors
/// When the answer cannot be used.
pub(crate) fn accept_answer(local: &LocalMedia, answer: &[u8]) -> Result<Negotiated, SdpError> {
    let remote = remote_audio(answer, is_dtls(local))?;
    if remote.lines.len() != 1 {
        return Err(SdpError::Mismatch);
    }
    let offered = offered_formats(local);
    let ours = |codec: Codec| {
        offered.iter().find_map(|format| match format {
            Format::Audio(offered, payload_type) if *offered == codec => Some(*payload_type),
            Format::Audio(..) | Format::TelephoneEvent(..) => None,
        })
    };
    let common = || {
        remote.formats.iter().filter_map(|format| {
            let codec = format.codec()?;
            ours(codec).map(|payload_type| (payload_type, codec, format))
        })
    };
    let (_, codec, format) = common().next().ok_or(SdpError::NoCodec)?;
    // It may change between them at any time (RFC 3264 §7 wants us prepared).
    let receive = common().map(|(payload_type, codec, _)| (payload_type, codec)).collect();
    let events = remote.formats.iter().filter(|format| format.is_telephone_event()).filter_map(|format| {
        let receive_payload_type = match format.clock_rate {
            8000 => EVENT_8000,
            48_000 => EVENT_48000,
            _ => return None,
        };
        Some(TelephoneEvent {
            send_payload_type: format.payload_type,
            receive_payload_type,
            clock_rate: format.clock_rate,
        })
    });
    let telephone_events = best_event_first(codec, events.collect());
    let direction = remote.direction.answered_with(local.direction);
    let opus = format.opus();
    let mut negotiated = negotiated(&remote, (codec, format.payload_type), receive, telephone_events, direction);
    negotiated.opus = opus;
    if let Some(peer) = &mut negotiated.peer
        && peer.setup == Setup::ActPass
    {
        // An answerer must choose (RFC 5763 §5); one that does not is taken at the recommended choice.
        peer.setup = Setup::Active;
    }
    Ok(negotiated)
}

fn negotiated(
    remote: &RemoteAudio,
    (codec, send_payload_type): (Codec, u8),
    receive: SmallVec<[(u8, Codec); 2]>,
    telephone_events: Vec<TelephoneEvent>,
    direction: Direction,
) -> Negotiated {
    Negotiated {
        codec,
        send_payload_type,
        receive,
        telephone_events,
        ptime: remote.ptime,
        remote_rtp: remote.rtp,
        remote_rtcp: remote.rtcp,
        rtcp_mux: remote.rtcp_mux,
        direction,
        opus: super::OpusParameters::default(),
        peer: remote.peer.clone(),
    }
}

fn is_dtls(local: &LocalMedia) -> bool {
    matches!(local.keying, LocalKeying::DtlsSrtp { .. })
}

fn offered_formats(local: &LocalMedia) -> Vec<Format> {
    let mut formats: Vec<Format> = local
        .codecs
        .iter()
        .map(|codec| match codec {
            Codec::Opus => Format::Audio(Codec::Opus, OPUS),
            Codec::Pcmu => Format::Audio(Codec::Pcmu, PCMU),
            Codec::Pcma => Format::Audio(Codec::Pcma, PCMA),
        })
        .collect();
    // One telephone-event for each clock rate in use (RFC 4733 §2.4.1 wants the audio's).
    if local.codecs.contains(&Codec::Opus) {
        formats.push(Format::TelephoneEvent(EVENT_48000, 48_000));
    }
    formats.push(Format::TelephoneEvent(EVENT_8000, 8000));
    formats
}

/// Digits are sent by the audio's clock where the peer has such a format; the others may still arrive.
fn best_event_first(codec: Codec, mut events: Vec<TelephoneEvent>) -> Vec<TelephoneEvent> {
    events.sort_by_key(|event| event.clock_rate != codec.clock_rate());
    events
}
