//! Digest authentication of requests (RFC 3261 §22, RFC 7616, RFC 8760).

mod ha1;

pub use ha1::Ha1;
