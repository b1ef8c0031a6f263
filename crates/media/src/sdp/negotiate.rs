//! Offer and answer (RFC 3264): what we propose, what we choose from a peer's proposal, what a peer chose from ours.

use smallvec::{SmallVec, smallvec};

use super::crypto;
use super::read::remote_audio;
use super::remote::RemoteAudio;
use super::settled::{Format, Settled, event_of_answer};
use super::write::Description;
use super::{Direction, LocalMedia, Negotiated, PacketTime, SdpError, TelephoneEvent};
use crate::command::Codec;
use crate::keying::{CryptoAttribute, Setup};

/// Our answer, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The description to send.
    pub(crate) sdp: Vec<u8>,
    /// What both then agree on; `None` when the offer switches the stream off (port 0), which only a later offer can.
    pub(crate) negotiated: Option<Negotiated>,
}

/// Our offer. In a session that has begun it repeats what is settled.
#[must_use]
pub(crate) fn create_offer(local: &mut LocalMedia) -> Vec<u8> {
    let settled = settled(local);
    let formats = offered_formats(local, &settled);
    let crypto = crypto::offer(local);
    let direction = local.direction;
    // Whichever role we have: the answerer keeps to it as long as the association lives (RFC 8842 §5.5).
    describe(
        local,
        &settled,
        Shape { formats: &formats, direction, setup: Setup::ActPass, crypto: &crypto, is_off: false },
    )
}

/// Our answer to a peer's offer, and what both then agree on.
///
/// # Errors
/// When the offer cannot be used; `local` is then as it was.
pub(crate) fn create_answer(local: &mut LocalMedia, offer: &[u8]) -> Result<Answer, SdpError> {
    let remote = match (remote_audio(offer, &local.keying, local.settled.as_ref()), local.settled.as_ref()) {
        (Ok(remote), _) => remote,
        (Err(SdpError::Off(lines)), Some(before)) => {
            let off = Settled { lines, ..before.clone() };
            let shape =
                Shape { formats: &[], direction: Direction::Inactive, setup: off.setup, crypto: &[], is_off: true };
            let sdp = describe(local, &off, shape);
            local.settled = Some(off);
            return Ok(Answer { sdp, negotiated: None });
        }
        (Err(error), _) => return Err(error),
    };
    let chosen = local
        .codecs
        .iter()
        .find_map(|codec| remote.formats.iter().find(|format| format.codec() == Some(*codec)).map(|f| (*codec, f)));
    let (codec, format) = chosen.ok_or(SdpError::NoCodec)?;
    // The answerer sends and receives by the offerer's numbers (RFC 3264 §6.1 asks for the same in both directions).
    let events = remote.formats.iter().filter(|format| local.dtmf.has_events() && format.is_telephone_event());
    let events = events.map(|format| TelephoneEvent {
        send_payload_type: format.payload_type,
        receive_payload_type: format.payload_type,
        clock_rate: format.clock_rate,
    });
    let telephone_events = best_event_first(codec, events.collect());
    let mut formats = vec![Format::Audio(codec, format.payload_type)];
    // Not to a browser, which sends its silence for next to nothing, and better than anyone else makes it up.
    let noise = remote.formats.iter().filter(|format| remote.peer.is_none() && format.is_noise_of(codec));
    let comfort_noise: SmallVec<[u8; 2]> = noise.map(|format| format.payload_type).collect();
    formats.extend(comfort_noise.iter().map(|payload_type| Format::ComfortNoise(*payload_type)));
    formats.extend(telephone_events.iter().map(|e| Format::TelephoneEvent(e.receive_payload_type, e.clock_rate)));
    let direction = remote.direction.answered_with(local.direction);
    let setup = match remote.peer.as_ref().map(|peer| peer.setup) {
        Some(Setup::Passive) => Setup::Active,
        // Who was the DTLS client stays it (RFC 8842 §5.5).
        Some(Setup::ActPass) if local.settled.as_ref().is_some_and(|before| before.setup == Setup::Active) => {
            Setup::Active
        }
        Some(Setup::Active | Setup::ActPass) | None => Setup::Passive,
    };
    let (keys, line) = crypto::answer(local, &remote)?.unzip();
    let settled = Settled::by_offer(&remote, &formats, setup, local.settled.as_ref());
    let sdp = describe(
        local,
        &settled,
        Shape { formats: &formats, direction, setup, crypto: line.as_slice(), is_off: false },
    );
    local.settled = Some(settled);
    let opus = format.opus();
    let receive = smallvec![(format.payload_type, codec)];
    let mut negotiated = negotiated(local, &remote, (codec, format.payload_type), receive, direction);
    negotiated.opus = opus;
    negotiated.keys = keys;
    negotiated.telephone_events = telephone_events;
    negotiated.comfort_noise = comfort_noise;
    // Plain legs have a port of their own for RTCP, and our answer does not take the peer's mux.
    negotiated.rtcp_mux = remote.secure;
    if let Some(peer) = &mut negotiated.peer {
        peer.setup = if setup == Setup::Active { Setup::Passive } else { Setup::Active };
    }
    Ok(Answer { sdp, negotiated: Some(negotiated) })
}

/// What a peer's answer to our offer means.
///
/// # Errors
/// When the answer cannot be used; `local` is then as it was.
pub(crate) fn accept_answer(local: &mut LocalMedia, answer: &[u8]) -> Result<Negotiated, SdpError> {
    let mut settled = settled(local);
    let remote = remote_audio(answer, &local.keying, local.settled.as_ref())?;
    if remote.lines.len() != settled.lines.len() {
        return Err(SdpError::Mismatch);
    }
    let offered = offered_formats(local, &settled);
    let ours = |codec: Codec| {
        offered.iter().find_map(|format| match format {
            Format::Audio(offered, payload_type) if *offered == codec => Some(*payload_type),
            Format::Audio(..) | Format::TelephoneEvent(..) | Format::ComfortNoise(_) => None,
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
    let mut receive: SmallVec<[(u8, Codec); 2]> =
        common().map(|(payload_type, codec, _)| (payload_type, codec)).collect();
    // Some send by the numbers of their own answer, which are ours to send by (§5.1): understood where they mean nothing else.
    let is_free = |payload_type: u8| offered.iter().all(|format| format.payload_type() != payload_type);
    receive.extend(
        common().filter(|(.., theirs)| is_free(theirs.payload_type)).map(|(_, codec, f)| (f.payload_type, codec)),
    );
    let numbers = settled.numbers;
    let events = remote.formats.iter().filter(|format| local.dtmf.has_events() && format.is_telephone_event());
    let events = events.filter_map(|format| event_of_answer(numbers, format.payload_type, format.clock_rate));
    let mut telephone_events = best_event_first(codec, events.collect());
    let theirs = |event: &TelephoneEvent| TelephoneEvent { receive_payload_type: event.send_payload_type, ..*event };
    let odd: Vec<_> = telephone_events.iter().map(theirs).filter(|event| is_free(event.send_payload_type)).collect();
    telephone_events.extend(odd);
    let direction = remote.direction.answered_with(local.direction);
    let opus = format.opus();
    let mut negotiated = negotiated(local, &remote, (codec, format.payload_type), receive, direction);
    negotiated.opus = opus;
    negotiated.keys = crypto::accept(local, &remote)?;
    negotiated.telephone_events = telephone_events;
    if let Some(peer) = &mut negotiated.peer {
        // An answerer must choose (RFC 5763 §5); one that does not is taken at the role it has, or at the recommended choice.
        peer.setup = match (peer.setup, settled.setup) {
            (Setup::Passive, _) | (Setup::ActPass, Setup::Active) => Setup::Passive,
            (Setup::Active | Setup::ActPass, _) => Setup::Active,
        };
        settled.setup = if peer.setup == Setup::Passive { Setup::Active } else { Setup::Passive };
    }
    settled.take_protocol(&remote);
    settled.had_address |= !remote.rtp.ip().is_unspecified();
    local.settled = Some(settled);
    Ok(negotiated)
}

fn negotiated(
    local: &LocalMedia,
    remote: &RemoteAudio,
    (codec, send_payload_type): (Codec, u8),
    receive: SmallVec<[(u8, Codec); 2]>,
    direction: Direction,
) -> Negotiated {
    Negotiated {
        codec,
        send_payload_type,
        receive,
        telephone_events: Vec::new(),
        comfort_noise: SmallVec::new(),
        dtmf: local.dtmf,
        packets: Some(PacketTime { wanted: remote.ptime.unwrap_or(local.ptime), longest: remote.longest }),
        remote_rtp: remote.rtp,
        remote_rtcp: remote.rtcp,
        rtcp_mux: remote.rtcp_mux,
        direction,
        peer_receives: remote.direction.receives(),
        opus: crate::codec::OpusParameters::default(),
        peer: remote.peer.clone(),
        keys: None,
    }
}

fn settled(local: &LocalMedia) -> Settled {
    local.settled.clone().unwrap_or_else(|| Settled::first(&local.keying))
}

/// What a description says beyond [`LocalMedia`] and what is settled.
struct Shape<'a> {
    formats: &'a [Format],
    direction: Direction,
    setup: Setup,
    crypto: &'a [CryptoAttribute],
    is_off: bool,
}

/// Writes our description; a new version of the last one when it differs from it.
fn describe(local: &mut LocalMedia, settled: &Settled, shape: Shape<'_>) -> Vec<u8> {
    let Shape { formats, direction, setup, crypto, is_off } = shape;
    let description =
        |local: &LocalMedia| Description { local, formats, direction, crypto, setup, settled, is_off }.to_bytes();
    let mut sdp = description(local);
    if sdp != local.described {
        local.version += 1;
        sdp = description(local);
        local.described.clone_from(&sdp);
    }
    sdp
}

fn offered_formats(local: &LocalMedia, settled: &Settled) -> Vec<Format> {
    let numbers = settled.numbers;
    let mut formats: Vec<Format> =
        local.codecs.iter().map(|codec| Format::Audio(*codec, numbers.audio(*codec))).collect();
    if !local.dtmf.has_events() {
        return formats;
    }
    // One telephone-event for each clock rate in use (RFC 4733 §2.4.1 wants the audio's).
    let rates: &[u32] = if local.codecs.contains(&Codec::Opus) { &[48_000, 8000] } else { &[8000] };
    formats.extend(rates.iter().filter_map(|rate| Some(Format::TelephoneEvent(numbers.event(*rate)?, *rate))));
    formats
}

/// Digits are sent by the audio's clock where the peer has such a format; the others may still arrive.
fn best_event_first(codec: Codec, mut events: Vec<TelephoneEvent>) -> Vec<TelephoneEvent> {
    events.sort_by_key(|event| event.clock_rate != codec.clock_rate());
    events
}
