//! What is offered, taken and answered of `a=crypto` (RFC 4568 §5, §7.1): one key for each direction, under a tag and suite of the offer's, and
//! never less protection than the policy and the session so far demand.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use smallvec::SmallVec;

use super::read::remote_audio;
use super::remote::RemoteAudio;
use super::{LocalKeying, LocalMedia, SdpError};
use crate::command::SdesPolicy;
use crate::keying::{AgreedKeys, CryptoAttribute, SdesKey, Suite};

/// Our side of a stream keyed by SDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalCrypto {
    policy: SdesPolicy,
    /// What we send with: a key for each suite, for as long as the session lasts.
    keys: [SdesKey; Suite::ALL.len()],
    /// The lines of our last offer.
    offered: SmallVec<[(u32, Suite); Suite::ALL.len()]>,
    /// The line that is agreed on. Once there is one, nothing goes in the clear any more.
    agreed: Option<(u32, Suite)>,
}

/// The lines of an answer or offer of ours.
pub(super) type Lines = SmallVec<[CryptoAttribute; Suite::ALL.len()]>;

impl LocalCrypto {
    pub(crate) fn new(policy: SdesPolicy, rng: &mut impl RngCore) -> Self {
        let keys = Suite::ALL.map(|suite| SdesKey::generate(suite, rng));
        Self { policy, keys, offered: SmallVec::new(), agreed: None }
    }

    fn line(&self, (tag, suite): (u32, Suite)) -> Option<CryptoAttribute> {
        let key = self.keys.iter().find(|key| key.suite() == suite)?;
        Some(CryptoAttribute { tag, key: key.clone() })
    }

    fn must_encrypt(&self) -> Result<(), SdpError> {
        match self.policy {
            _ if self.agreed.is_some() => Err(SdpError::Downgrade),
            SdesPolicy::Required => Err(SdpError::Unencrypted),
            SdesPolicy::Optional => Ok(()),
        }
    }
}

/// Why a first offer cannot be taken by a trunk leg with this policy (`None`: plain RTP only), as far as encryption goes and in words for a
/// 488. Whatever else may be wrong with it is for the session to say.
#[must_use]
pub fn refuses_encryption(policy: Option<SdesPolicy>, offer: &[u8]) -> Option<String> {
    let keying = match policy {
        None => LocalKeying::Plain,
        // Keys that nobody will see: what is asked is only whether there would be any.
        Some(policy) => {
            LocalKeying::Sdes(Box::new(LocalCrypto::new(policy, &mut ChaCha12Rng::from_seed(Default::default()))))
        }
    };
    let found = remote_audio(offer, &keying, None).and_then(|remote| match keying {
        LocalKeying::Sdes(mut crypto) => answer_with(&mut crypto, &remote).map(drop),
        LocalKeying::Plain | LocalKeying::DtlsSrtp { .. } => Ok(()),
    });
    match found {
        Err(error @ (SdpError::Encrypted | SdpError::Unencrypted | SdpError::Crypto(_) | SdpError::NoCrypto)) => {
            Some(error.to_string())
        }
        Ok(())
        | Err(
            SdpError::Malformed(_)
            | SdpError::NoAudio
            | SdpError::Off(_)
            | SdpError::NoCodec
            | SdpError::Profile(_)
            | SdpError::Missing(_)
            | SdpError::Fingerprint
            | SdpError::Mismatch
            | SdpError::Downgrade
            | SdpError::CryptoAnswer
            | SdpError::OwnKey,
        ) => None,
    }
}

fn crypto(local: &mut LocalMedia) -> Option<&mut LocalCrypto> {
    match &mut local.keying {
        LocalKeying::Sdes(crypto) => Some(crypto),
        LocalKeying::Plain | LocalKeying::DtlsSrtp { .. } => None,
    }
}

/// The lines of our next offer: all our suites; later what was agreed on, with the same key.
pub(super) fn offer(local: &mut LocalMedia) -> Lines {
    let is_first = local.settled.is_none();
    let Some(crypto) = crypto(local) else { return Lines::new() };
    crypto.offered = match crypto.agreed {
        Some(agreed) => [agreed].into_iter().collect(),
        None if is_first => (1..).zip(Suite::ALL).collect(),
        None => SmallVec::new(),
    };
    crypto.offered.iter().filter_map(|line| crypto.line(*line)).collect()
}

/// Chooses from a peer's offer: the first line that we can use (RFC 4568 §5.1.2), with the line of our answer. `None`: the stream is not
/// encrypted.
///
/// # Errors
/// When there is no such line and plain RTP is not allowed.
pub(super) fn answer(
    local: &mut LocalMedia,
    remote: &RemoteAudio,
) -> Result<Option<(AgreedKeys, CryptoAttribute)>, SdpError> {
    crypto(local).map_or(Ok(None), |crypto| answer_with(crypto, remote))
}

fn answer_with(
    crypto: &mut LocalCrypto,
    remote: &RemoteAudio,
) -> Result<Option<(AgreedKeys, CryptoAttribute)>, SdpError> {
    // In an offer of RTP/AVP keys are a wish (best effort); they are not enough for who requires them.
    let counts = remote.is_savp || crypto.policy == SdesPolicy::Optional || crypto.agreed.is_some();
    if let Some(theirs) = remote.crypto.first().filter(|_| counts) {
        let line = (theirs.tag, theirs.key.suite());
        let ours = crypto.line(line).filter(|ours| ours.key != theirs.key).ok_or(SdpError::OwnKey)?;
        crypto.agreed = Some(line);
        let keys = AgreedKeys { ours: ours.key.clone(), theirs: theirs.key.clone() };
        return Ok(Some((keys, ours)));
    }
    if remote.is_savp {
        return Err(remote.unusable.map_or(SdpError::NoCrypto, SdpError::Crypto));
    }
    crypto.must_encrypt()?;
    Ok(None)
}

/// What a peer chose of the lines of our last offer. `None`: the stream is not encrypted.
///
/// # Errors
/// When it is anything else than one line of ours with a key of the peer's own, and plain RTP is not allowed or not meant.
pub(super) fn accept(local: &mut LocalMedia, remote: &RemoteAudio) -> Result<Option<AgreedKeys>, SdpError> {
    let Some(crypto) = crypto(local) else { return Ok(None) };
    if !remote.is_savp && remote.crypto.is_empty() && remote.unusable.is_none() {
        crypto.must_encrypt()?;
        return Ok(None);
    }
    if !remote.is_savp && crypto.policy == SdesPolicy::Required {
        return Err(SdpError::Unencrypted);
    }
    let [theirs] = remote.crypto.as_slice() else {
        return Err(remote.unusable.map_or(SdpError::CryptoAnswer, SdpError::Crypto));
    };
    let line = (theirs.tag, theirs.key.suite());
    let ours = crypto.line(line).filter(|_| crypto.offered.contains(&line) && remote.unusable.is_none());
    let ours = ours.ok_or(SdpError::CryptoAnswer)?;
    if ours.key == theirs.key {
        return Err(SdpError::OwnKey);
    }
    crypto.agreed = Some(line);
    Ok(Some(AgreedKeys { ours: ours.key, theirs: theirs.key.clone() }))
}

#[cfg(test)]
mod tests;
