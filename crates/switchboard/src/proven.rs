//! Whom a WebSocket speaks for: the extensions whose credentials were verified on it, for as long as the directory holds them so.

use std::collections::HashMap;
use std::sync::Arc;

use sip::{ConnectionId, Flow, Ha1};

use crate::directory::{Credential, Directory, Extension};

/// Extensions one connection may speak for: a page phones as one, a device as a few.
const MAX_PROOFS: usize = 8;

/// A credential as it was when a request verified with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) username: String,
    pub(crate) extension: String,
    ha1: Ha1,
}

impl Proof {
    fn of(credential: &Credential) -> Self {
        Self {
            username: credential.username.clone(),
            extension: credential.extension.clone(),
            ha1: credential.ha1.clone(),
        }
    }

    /// Whether its credential is still what it was, and its extension may be used.
    pub(crate) fn holds(&self, directory: &Directory) -> bool {
        directory.credentials.get(&self.username).is_some_and(|now| self.is_of(now))
            && directory.may_use(&self.extension)
    }

    fn is_of(&self, credential: &Credential) -> bool {
        self.username == credential.username && self.extension == credential.extension && self.ha1 == credential.ha1
    }

    /// For tests in which credentials play no part.
    #[cfg(test)]
    pub(crate) fn some(extension: &str) -> Arc<Self> {
        let ha1 = Ha1 { md5: [0; 16], sha256: [0; 32] };
        Arc::new(Self { username: extension.to_owned(), extension: extension.to_owned(), ha1 })
    }
}

/// Who a request that verified is from.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    pub(crate) extension: Extension,
    pub(crate) proof: Arc<Proof>,
}

/// What was proven on every open WebSocket.
#[derive(Debug, Default)]
pub(crate) struct Proven(HashMap<ConnectionId, Vec<Arc<Proof>>>);

impl Proven {
    /// A request on this flow has verified with this credential. The oldest of too many proofs goes.
    pub(crate) fn add(&mut self, flow: Flow, credential: &Credential) -> Arc<Proof> {
        let Some(connection) = flow.connection.filter(|_| flow.transport.is_websocket()) else {
            return Arc::new(Proof::of(credential));
        };
        let proofs = self.0.entry(connection).or_default();
        let known = proofs.iter().position(|known| known.username == credential.username);
        let known = known.map(|at| proofs.remove(at)).filter(|known| known.is_of(credential));
        let proof = known.unwrap_or_else(|| Arc::new(Proof::of(credential)));
        if proofs.len() >= MAX_PROOFS {
            proofs.remove(0);
        }
        proofs.push(Arc::clone(&proof));
        proof
    }

    /// A connection closed. Gives what was proven on it.
    pub(crate) fn close(&mut self, connection: ConnectionId) -> Vec<Arc<Proof>> {
        self.0.remove(&connection).unwrap_or_default()
    }

    /// Whether anything was proven on a flow.
    pub(crate) fn knows(&self, flow: Flow) -> bool {
        flow.connection.is_some_and(|connection| self.0.contains_key(&connection))
    }

    /// Whether the flow speaks for an extension.
    pub(crate) fn speaks_for(&self, flow: Flow, extension: &str, directory: &Directory) -> bool {
        let proofs = flow.connection.and_then(|connection| self.0.get(&connection));
        proofs.into_iter().flatten().any(|proof| proof.extension == extension && proof.holds(directory))
    }
}
