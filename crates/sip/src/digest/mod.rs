//! Digest authentication of requests (RFC 3261 §22, RFC 7616, RFC 8760): challenges and checks, and the answers
//! to challenges of others. Stores no secrets and decides nothing about who may do what.

mod algorithm;
mod authenticator;
mod challenge;
mod client;
mod ha1;
mod nonce;

pub use authenticator::{Authenticator, Verdict};
pub use client::ClientCredentials;
pub(crate) use client::{Attempts, Authorizer, Challenger, copy_credentials};
pub use ha1::Ha1;
