//! A binding: one registered contact of an extension, over its flow (RFC 3261 §10, RFC 5626).

use std::sync::Arc;
use std::time::Instant;

use sip::{Contact, Flow, Uri};

use crate::proven::Proof;

/// One registered contact. Refreshes, which are most of what happens, share what they say again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    /// `reg_…`
    pub(crate) id: Arc<str>,
    /// The element as sent; answered unchanged but for `expires` (clients look for their own).
    pub(crate) address: Arc<Contact>,
    pub(crate) user_agent: Option<Arc<str>>,
    pub(crate) flow: Flow,
    /// The credential it was registered with: it goes when that does.
    pub(crate) proof: Arc<Proof>,
    pub(crate) call_id: Arc<str>,
    pub(crate) cseq: u32,
    pub(crate) registered: Instant,
    pub(crate) expires: Instant,
}

impl Binding {
    /// Where it is called.
    pub(crate) fn contact(&self) -> &Uri {
        self.address.uri()
    }

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
        if *self.address == *contact {
            return true;
        }
        match (self.address.instance(), contact.instance()) {
            (Some(known), Some(new)) => known == new && self.address.reg_id() == contact.reg_id(),
            (None, None) => self.contact().is_equivalent(contact.uri()),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}
