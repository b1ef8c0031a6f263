//! Tickets by which a browser's next connection resumes the session of an earlier one (RFC 8446 §2.2, RFC 5077): half of a handshake's
//! cost, and nothing to remember for it. Their keys roll every six hours and are kept nowhere; a certificate that is read anew begins with
//! new ones, so that no session outlives the certificate it was agreed under.

use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

/// For how long a ticket is good, in seconds: as long as rustls keeps a key.
const LIFETIME: u32 = 12 * 60 * 60;

/// Makes tickets; its keys are made for the first connection, since a start need not wait for their entropy.
#[derive(Debug, Default)]
pub(crate) struct Tickets(OnceLock<Option<Arc<dyn ProducesTickets>>>);

impl Tickets {
    fn made(&self) -> Option<&Arc<dyn ProducesTickets>> {
        let made = self.0.get_or_init(|| match Ticketer::new() {
            Ok(tickets) => Some(tickets),
            Err(error) => {
                tracing::error!(%error, "there are no keys for TLS tickets: every connection shakes hands in full");
                None
            }
        });
        made.as_ref()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.made().is_some()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.made()?.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.made()?.decrypt(cipher)
    }
}
