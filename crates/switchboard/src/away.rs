//! Bindings whose connection closed, for a while: their phones are expected back, and calls wait for them (RFC 5626 §4.5). Nobody is
//! reached over them.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use sip::Contact;

use crate::binding::Binding;

/// Phones of one extension that are expected back; more than it has.
const MAX_AWAY: usize = 16;

/// Whoever is expected back.
#[derive(Default)]
pub(crate) struct Away {
    extensions: HashMap<String, Vec<(Instant, Binding)>>,
    expiry: BTreeSet<(Instant, String)>,
}

impl Away {
    /// A binding's connection closed; its phone is expected back until then. The first of too many is forgotten.
    pub(crate) fn add(&mut self, extension: &str, binding: Binding, until: Instant) {
        let away = self.extensions.entry(extension.to_owned()).or_default();
        if away.len() >= MAX_AWAY {
            // Its time in `expiry` comes and finds nothing.
            away.remove(0);
        }
        away.push((until, binding));
        self.expiry.insert((until, extension.to_owned()));
    }

    /// Whether a phone of the extension is expected back.
    pub(crate) fn expects(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension)
    }

    /// The binding of this contact.
    pub(crate) fn find(&self, extension: &str, contact: &Contact) -> Option<&Binding> {
        let away = self.extensions.get(extension)?;
        away.iter().map(|(_, binding)| binding).find(|binding| binding.is_of(contact))
    }

    /// Keeps of an extension what `stays`.
    pub(crate) fn retain_of(&mut self, extension: &str, stays: impl Fn(&Binding) -> bool) {
        let Some(away) = self.extensions.get_mut(extension) else { return };
        for (until, _) in away.iter() {
            self.expiry.remove(&(*until, extension.to_owned()));
        }
        away.retain(|(_, binding)| stays(binding));
        for (until, _) in away.iter() {
            self.expiry.insert((*until, extension.to_owned()));
        }
        if away.is_empty() {
            self.extensions.remove(extension);
        }
    }

    /// Keeps what `stays`. Gives the extensions concerned.
    pub(crate) fn retain(&mut self, stays: impl Fn(&Binding) -> bool) -> Vec<String> {
        let concerned = self.extensions.iter().filter(|(_, away)| !away.iter().all(|(_, binding)| stays(binding)));
        let concerned: Vec<String> = concerned.map(|(extension, _)| extension.clone()).collect();
        for extension in &concerned {
            self.retain_of(extension, &stays);
        }
        concerned
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.first().map(|(until, _)| *until)
    }

    /// Forgets who has not come back. Gives the extensions concerned.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<String> {
        let mut extensions = Vec::new();
        while let Some((until, extension)) = self.expiry.first().filter(|(until, _)| *until <= now).cloned() {
            self.expiry.remove(&(until, extension.clone()));
            if let Some(away) = self.extensions.get_mut(&extension) {
                away.retain(|(until, _)| *until > now);
                if away.is_empty() {
                    self.extensions.remove(&extension);
                }
            }
            extensions.push(extension);
        }
        extensions
    }
}
