//! What names a server transaction (RFC 3261 §17.2.3, §8.2.2.2). Digests of fixed length, because a peer chooses the text, and the key
//! outlives the request.

use sha2::{Digest, Sha256};

use crate::flow::Flow;
use crate::message::{Method, Request, Via};

/// A server transaction is named by the branch and sent-by of its topmost Via, and whether it is the INVITE's; on a WebSocket also by the
/// connection, so that nobody touches the transactions of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ServerKey([u8; 16]);

impl ServerKey {
    /// The key of a request, as seen by the transaction it belongs to: ACK belongs to the INVITE's.
    pub(super) fn of(flow: Flow, request: &Request, via: &Via, method: &Method) -> Self {
        let branch = via.branch().filter(|_| via.has_rfc3261_branch());
        let branch = branch.map_or_else(|| legacy_branch(request), std::borrow::Cow::into_owned);
        let sent_by = format!("{}:{}", via.host, via.port.unwrap_or(5060)).to_ascii_lowercase();
        let method = if *method == Method::Ack { &Method::Invite } else { method };
        Self(digest(flow, &[&branch, &sent_by, method.as_str()]))
    }
}

/// What names a transaction of an RFC 2543 element, which has no unique branch (§17.2.3). The To tag is left out, because the ACK has it
/// and the INVITE has not.
fn legacy_branch(request: &Request) -> String {
    let header = |name| request.headers.get(name).unwrap_or_default();
    let number = request.headers.cseq().ok().flatten().map_or(0, |cseq| cseq.number);
    let from = request.headers.from().ok().flatten();
    let from_tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
    format!("2543 {} {from_tag} {number} {}", header("Call-ID"), request.uri)
}

/// The same request come by two ways (§8.2.2.2): From tag, Call-ID, CSeq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MergeKey([u8; 16]);

impl MergeKey {
    pub(super) fn of(flow: Flow, request: &Request) -> Option<Self> {
        let from = request.headers.from().ok()??;
        let (from_tag, call_id) = (from.tag()?, request.headers.call_id()?);
        let cseq = request.headers.cseq().ok()??.to_string();
        Some(Self(digest(flow, &[&from_tag, call_id, &cseq])))
    }
}

/// 128 bits: nobody finds two texts that share them.
fn digest(flow: Flow, parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(flow.websocket().map_or(0, |connection| connection.0).to_be_bytes());
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default())
}
