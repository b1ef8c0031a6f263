//! Whoever a request is from, once that is proven. Travels in the request's extensions.

use super::digest::Agent;
use crate::store::ApiKey;

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Principal {
    /// The holder of an API key that has the scope.
    Key(ApiKey),
    /// An agent, on a path that agents may use.
    Agent(Agent),
}

impl Principal {
    /// `key_…` or `crd_…`
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Key(key) => &key.id,
            Self::Agent(agent) => &agent.credential,
        }
    }
}
