//! What the headers that every message has were read as. A message is asked for them at every step it takes, and is read once.

use std::sync::{Arc, OnceLock};

use super::fields::CSeq;
use super::headers::HeaderError;
use super::name_addr::{Contacts, NameAddr};
use super::via::Via;

/// The values read so far; nothing of a header that cannot be read.
#[derive(Clone, Default)]
pub(super) struct Readings {
    pub(super) from: OnceLock<Arc<NameAddr>>,
    pub(super) to: OnceLock<Arc<NameAddr>>,
    pub(super) cseq: OnceLock<CSeq>,
    /// The topmost.
    pub(super) via: OnceLock<Arc<Via>>,
    pub(super) contacts: OnceLock<Arc<Contacts>>,
}

impl Readings {
    /// A header has changed.
    pub(super) fn forget(&mut self, name: &str) {
        match name {
            "From" => drop(self.from.take()),
            "To" => drop(self.to.take()),
            "CSeq" => drop(self.cseq.take()),
            "Via" => drop(self.via.take()),
            "Contact" => drop(self.contacts.take()),
            _ => {}
        }
    }

    /// The topmost Via is this.
    pub(super) fn found_via(&mut self, via: Via) {
        self.via = OnceLock::from(Arc::new(via));
    }
}

/// What was read before, or is now.
pub(super) fn once<T: Clone>(
    known: &OnceLock<T>,
    read: impl FnOnce() -> Result<Option<T>, HeaderError>,
) -> Result<Option<T>, HeaderError> {
    if let Some(known) = known.get() {
        return Ok(Some(known.clone()));
    }
    let read = read()?;
    if let Some(value) = &read {
        // Who else reads at the same time reads the same.
        let _ = known.set(value.clone());
    }
    Ok(read)
}
