//! ICE-lite (RFC 8445 §2.5, RFC 8839): answers connectivity checks whose integrity is right, and learns from them where the peer is.
//! Never sends a check of its own. Consent (RFC 7675) is the peer's to keep up.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use rtc_dtls::crypto_provider::RTCCrypto;
use rtc_stun::attributes::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_MESSAGE_INTEGRITY,
    ATTR_PRIORITY, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter};
use rtc_stun::xoraddr::XorMappedAddress;
use smallvec::SmallVec;
use subtle::ConstantTimeEq;

/// The longest STUN message believed; checks are about 100 bytes.
const MAX_STUN: usize = 1500;
/// Addresses a peer may be at in one call: its interfaces, its NAT, and moves between networks. The oldest not in use goes first.
const MAX_ADDRESSES: usize = 8;
/// HMAC-SHA1.
const INTEGRITY_LENGTH: usize = 20;

/// What came of a STUN packet.
#[derive(Debug)]
pub(super) enum Check {
    /// Answer it with this.
    Answer(Bytes),
    /// Not a valid check of this session.
    Discarded(&'static str),
}

/// What both sides' descriptions name for one generation of checks.
#[derive(Debug)]
struct Credentials {
    local_ufrag: String,
    local_pwd: String,
    remote_ufrag: Option<String>,
}

/// The lite agent of one session.
#[derive(Debug)]
pub(super) struct IceLite {
    current: Credentials,
    /// Those before a restart: good for consent, from where it was given before, until the peer nominates under the current ones.
    previous: Option<Credentials>,
    /// Names under which no check is valid any more.
    retired: SmallVec<[String; 1]>,
    /// Whence valid checks came, newest last.
    validated: SmallVec<[SocketAddr; 2]>,
    nominated: Option<SocketAddr>,
    last_consent: Option<Instant>,
}

impl IceLite {
    pub(super) fn new(local_ufrag: String, local_pwd: String) -> Self {
        Self {
            current: Credentials { local_ufrag, local_pwd, remote_ufrag: None },
            previous: None,
            retired: SmallVec::new(),
            validated: SmallVec::new(),
            nominated: None,
            last_consent: None,
        }
    }

    pub(super) fn set_remote_ufrag(&mut self, ufrag: &str) {
        self.current.remote_ufrag = Some(ufrag.to_owned());
    }

    /// Begins anew with other credentials (RFC 8445 §9). Media and consent go on by the old ones until the peer nominates again.
    pub(super) fn restart(&mut self, local_ufrag: String, local_pwd: String) {
        let current = Credentials { local_ufrag, local_pwd, remote_ufrag: None };
        let before = std::mem::replace(&mut self.current, current);
        // A restart that is itself restarted never had a path: the one before it is still in use.
        match &self.previous {
            Some(_) => self.retired.push(before.local_ufrag),
            None => self.previous = Some(before),
        }
    }

    /// The next name under which no check is valid any more.
    pub(super) fn take_retired(&mut self) -> Option<String> {
        self.retired.pop()
    }

    /// The names under which checks are valid.
    pub(super) fn ufrags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.previous).map(|credentials| credentials.local_ufrag.as_str())
    }

    /// Where media goes: the nominated pair, or before that the newest valid one.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.nominated.or_else(|| self.validated.last().copied())
    }

    pub(super) fn has_validated(&self, address: SocketAddr) -> bool {
        self.validated.contains(&address)
    }

    pub(super) fn last_consent(&self) -> Option<Instant> {
        self.last_consent
    }

    /// Takes a STUN packet (RFC 8445 §7.3).
    pub(super) fn handle(&mut self, now: Instant, from: SocketAddr, packet: &[u8], crypto: &dyn RTCCrypto) -> Check {
        let Some(mut request) = decode(packet) else { return Check::Discarded("malformed STUN") };
        if request.typ != BINDING_REQUEST {
            return Check::Discarded("not a binding request");
        }
        let position = request.attributes.0.iter().position(|attribute| attribute.typ == ATTR_MESSAGE_INTEGRITY);
        let integrity = request.get(ATTR_MESSAGE_INTEGRITY).unwrap_or_default();
        let previous = self.previous.as_ref().filter(|previous| previous.are_named_by(&request));
        let (credentials, is_current) = (previous.unwrap_or(&self.current), previous.is_none());
        if integrity.len() != INTEGRITY_LENGTH
            || MessageIntegrity::check(&mut request, credentials.local_pwd.as_bytes(), crypto).is_err()
        {
            return Check::Discarded("STUN integrity is wrong");
        }
        if request.contains(ATTR_FINGERPRINT) && FINGERPRINT.check(&request).is_err() {
            return Check::Discarded("STUN fingerprint is wrong");
        }
        // What follows the integrity is not covered by it: anyone may have put it there (RFC 8489 §14.5).
        request.attributes.0.truncate(position.unwrap_or_default());
        if !credentials.are_named_by(&request) {
            return Check::Discarded("STUN username of another session");
        }
        let pwd = credentials.local_pwd.clone();
        let unknown = unknown_required(&request);
        if !unknown.is_empty() {
            return answer(&request, pwd, BINDING_ERROR, &[&ErrorCode(420), &Unknown(unknown)], crypto);
        }
        if request.contains(ATTR_ICE_CONTROLLED) {
            // A lite agent is always controlled, so the peer must control (§7.3.1.1).
            return answer(&request, pwd, BINDING_ERROR, &[&ErrorCode(487)], crypto);
        }
        if is_current {
            let nominates = request.contains(ATTR_USE_CANDIDATE);
            self.learn(now, from, nominates);
            if nominates {
                self.retired.extend(self.previous.take().map(|previous| previous.local_ufrag));
            }
        } else if self.has_validated(from) {
            self.last_consent = Some(now);
        } else {
            return Check::Discarded("a check of before the ICE restart from a new address");
        }
        let mapped = XorMappedAddress { ip: from.ip(), port: from.port() };
        answer(&request, pwd, BINDING_SUCCESS, &[&mapped], crypto)
    }

    fn learn(&mut self, now: Instant, from: SocketAddr, nominates: bool) {
        self.last_consent = Some(now);
        if !self.validated.contains(&from) {
            if self.validated.len() >= MAX_ADDRESSES {
                let in_use = self.nominated;
                let oldest = self.validated.iter().position(|address| Some(*address) != in_use);
                self.validated.remove(oldest.unwrap_or_default());
            }
            self.validated.push(from);
        }
        if nominates {
            self.nominated = Some(from);
        }
    }
}

impl Credentials {
    fn are_named_by(&self, request: &Message) -> bool {
        let username = request.get(ATTR_USERNAME).unwrap_or_default();
        let mut parts = username.splitn(2, |byte| *byte == b':');
        let (local, remote) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let expected = self.remote_ufrag.as_ref().is_none_or(|ufrag| bool::from(ufrag.as_bytes().ct_eq(remote)));
        bool::from(self.local_ufrag.as_bytes().ct_eq(local)) && expected
    }
}

fn answer(request: &Message, pwd: String, typ: MessageType, setters: &[&dyn Setter], crypto: &dyn RTCCrypto) -> Check {
    let mut response = Message::new();
    response.set_type(typ);
    response.transaction_id = request.transaction_id;
    response.write_header();
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(pwd, crypto);
    let tail: [&dyn Setter; 2] = [&integrity, &FINGERPRINT];
    for setter in setters.iter().copied().chain(tail) {
        if setter.add_to(&mut response).is_err() {
            return Check::Discarded("no STUN answer could be made");
        }
    }
    Check::Answer(Bytes::from(response.raw))
}

/// The local ufrag a binding request names, to find its session; `None` for anything else. Checks no integrity.
#[must_use]
pub fn stun_username(packet: &[u8]) -> Option<String> {
    let message = decode(packet)?;
    let username = message.get(ATTR_USERNAME).ok()?;
    let local = username.split(|byte| *byte == b':').next()?;
    std::str::from_utf8(local).ok().map(str::to_owned)
}

fn decode(packet: &[u8]) -> Option<Message> {
    if packet.len() > MAX_STUN {
        return None;
    }
    let mut message = Message::new();
    message.unmarshal_binary(packet).ok()?;
    Some(message)
}

/// Comprehension-required attributes (below 0x8000) that a check has no business with (RFC 8489 §6.3.1).
fn unknown_required(request: &Message) -> Vec<AttrType> {
    let known = [ATTR_USERNAME, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_ICE_CONTROLLING];
    let types = request.attributes.0.iter().map(|attribute| attribute.typ);
    types.filter(|typ| typ.0 < 0x8000 && !known.contains(typ)).collect()
}

/// The other side of a check: an agent that controls, as browsers do. Knows one remote candidate and checks only that.
#[derive(Debug)]
pub(super) struct IceControlling {
    local_ufrag: String,
    remote: Option<(String, String, SocketAddr)>,
    validated: bool,
    transaction: u64,
    last_consent: Option<Instant>,
}

impl IceControlling {
    pub(super) fn new(local_ufrag: String) -> Self {
        Self { local_ufrag, remote: None, validated: false, transaction: 0, last_consent: None }
    }

    pub(super) fn set_remote(&mut self, ufrag: &str, pwd: &str, candidate: SocketAddr) {
        // After a restart the pair goes on to be used until its successor is found (RFC 8445 §9).
        self.validated &= self.remote.as_ref().is_some_and(|(_, _, known)| *known == candidate);
        self.remote = Some((ufrag.to_owned(), pwd.to_owned(), candidate));
    }

    pub(super) fn restart(&mut self, local_ufrag: String) {
        self.local_ufrag = local_ufrag;
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.remote.as_ref().filter(|_| self.validated).map(|(_, _, candidate)| *candidate)
    }

    pub(super) fn last_consent(&self) -> Option<Instant> {
        self.last_consent
    }

    /// A check that nominates (RFC 8445 §7.2).
    pub(super) fn check(&mut self, crypto: &dyn RTCCrypto) -> Option<(SocketAddr, Bytes)> {
        let (ufrag, pwd, candidate) = self.remote.as_ref()?;
        self.transaction += 1;
        let mut request = Message::new();
        request.set_type(BINDING_REQUEST);
        if let Some(low) = request.transaction_id.0.get_mut(4..) {
            low.copy_from_slice(&self.transaction.to_be_bytes());
        }
        request.write_header();
        request.add(ATTR_USERNAME, format!("{ufrag}:{}", self.local_ufrag).as_bytes());
        request.add(ATTR_PRIORITY, &[0x6e, 0, 1, 0xff]);
        request.add(ATTR_ICE_CONTROLLING, &[0; 8]);
        request.add(ATTR_USE_CANDIDATE, &[]);
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(pwd.clone(), crypto);
        integrity.add_to(&mut request).ok()?;
        FINGERPRINT.add_to(&mut request).ok()?;
        Some((*candidate, Bytes::from(request.raw)))
    }

    /// Takes the answer to a check.
    pub(super) fn handle(&mut self, now: Instant, from: SocketAddr, packet: &[u8], crypto: &dyn RTCCrypto) -> bool {
        let (Some(mut answer), Some((_, pwd, candidate))) = (decode(packet), &self.remote) else { return false };
        let integrity = answer.get(ATTR_MESSAGE_INTEGRITY).unwrap_or_default();
        let genuine = answer.typ == BINDING_SUCCESS
            && from == *candidate
            && integrity.len() == INTEGRITY_LENGTH
            && MessageIntegrity::check(&mut answer, pwd.as_bytes(), crypto).is_ok();
        if genuine {
            self.validated = true;
            self.last_consent = Some(now);
        }
        genuine
    }
}

struct ErrorCode(u16);

impl Setter for ErrorCode {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        let (class, number) = (self.0 / 100, self.0 % 100);
        message.add(ATTR_ERROR_CODE, &[0, 0, class.to_be_bytes()[1], number.to_be_bytes()[1]]);
        Ok(())
    }
}

struct Unknown(Vec<AttrType>);

impl Setter for Unknown {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        let value: Vec<u8> = self.0.iter().flat_map(|typ| typ.0.to_be_bytes()).collect();
        message.add(ATTR_UNKNOWN_ATTRIBUTES, &value);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
