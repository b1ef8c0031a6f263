//! A binding: one registered contact of an extension, over its flow (RFC 3261 §10, RFC 5626).

use std::time::Instant;

use sip::{Contact, Flow, Uri};

use crate::proven::Proof;

/// One registered contact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    /// `reg_…`
    pub(crate) id: String,
    /// The element as sent; answered unchanged but for `expires` (clients look for their own).
    pub(crate) address: Contact,
    pub(crate) contact: Uri,
    pub(crate) user_agent: Option<String>,
    pub(crate) flow: Flow,
    /// The credential it was registered with: it goes when that does.
    pub(crate) proof: Proof,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) registered: Instant,
    pub(crate) expires: Instant,
}

impl Binding {
    /// `+sip.instance`, when sent.
    pub(crate) fn instance(&self) -> Option<String> {
        self.address.instance()
    }

    /// The Contact element of a 200, with what is left of its time.
    pub(crate) fn answered(&self, now: Instant) -> String {
        let left = self.expires.saturating_duration_since(now).as_secs().to_string();
        self.address.address.clone().with_param("expires", Some(&left)).to_string()
    }

    /// RFC 5626 §6: instance and reg-id name the binding; without them the URI does (RFC 3261 §10.3).
    pub(crate) fn is_of(&self, contact: &Contact) -> bool {
        match (self.address.instance(), contact.instance()) {
            (Some(known), Some(new)) => known == new && self.address.reg_id() == contact.reg_id(),
            (None, None) => self.contact.is_equivalent(contact.uri()),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}
