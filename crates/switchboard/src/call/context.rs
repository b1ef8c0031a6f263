//! What a state of a call may look at outside of the call, and what running calls take up.

use std::collections::HashMap;
use std::time::Instant;

use super::facts::Facts;
use crate::config::SwitchboardConfig;
use crate::directory::Directory;
use crate::health::Health;
use crate::ids::Ids;
use crate::registrar::Registrar;
use crate::tolls::Tolls;

/// What a call takes up while it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Occupation {
    /// One of an agent's concurrent calls.
    Agent(String),
    /// One of a trunk's channels.
    Trunk(String),
    /// One of the calls outside of one that pays.
    Outside(String),
}

/// How often everything is taken up by running calls.
#[derive(Debug, Default)]
pub(crate) struct Usage(HashMap<Occupation, u32>);

impl Usage {
    pub(crate) fn of(&self, occupation: &Occupation) -> u32 {
        self.0.get(occupation).copied().unwrap_or(0)
    }

    /// Replaces what one call takes up.
    pub(crate) fn exchange(&mut self, before: &[Occupation], after: &[Occupation]) {
        for occupation in after {
            *self.0.entry(occupation.clone()).or_default() += 1;
        }
        for occupation in before {
            if let Some(count) = self.0.get_mut(occupation) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.0.remove(occupation);
                }
            }
        }
    }
}

/// What a state may look at, and the one source of new ids.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a SwitchboardConfig,
    pub(crate) directory: &'a Directory,
    pub(crate) registrar: &'a Registrar,
    pub(crate) health: &'a Health,
    pub(crate) usage: &'a Usage,
    /// What of it is this call's, as it was before the event.
    pub(crate) occupied: &'a [Occupation],
    pub(crate) tolls: &'a mut Tolls,
    pub(crate) ids: &'a mut Ids,
}

impl Context<'_> {
    /// How often something is taken up now: by other calls, and by this one as it is at the moment, whose legs may just have been let go.
    pub(crate) fn taken(&self, occupation: &Occupation, facts: &Facts) -> u32 {
        let count = |all: &[Occupation]| u32::try_from(all.iter().filter(|it| *it == occupation).count()).unwrap_or(0);
        self.usage.of(occupation).saturating_sub(count(self.occupied)) + count(&facts.occupies())
    }
}
