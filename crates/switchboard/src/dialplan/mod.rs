//! The dialplan: from a dialled number to what shall ring. Rules come from TOML files in order; in each context the first
//! that matches wins. Pure: reads no files, knows no registrations and no trunks' state.
//!
//! ```toml
//! [numbers]                       # at most once over all files; every key may be left out
//! country_code = "49"             # with these, 0049…, +49… and 030… are one E.164 number
//! international_prefix = "00"
//! national_prefix = "0"
//!
//! [[rule]]
//! context = "agents"              # calls by agents; "trunks": calls from trunks
//! name = "sales"                  # unique in its context
//! pattern = "+4930(XXX)."         # or number = "…" (exact), prefix = "…"; none of them: any number
//! caller = "1XX"                  # optional: a pattern for the calling number
//! trunk = ["main"]                # optional: only calls from these trunks
//! extension_exists = true         # optional: only when the dialled number is an extension
//! targets = [                     # tried in order
//!     { ring_group = ["100", "101"], timeout_s = 20 },
//!     { extension = "$1" },
//!     { trunks = ["main", "backup"], number = "$e164" },   # ["*"]: every enabled trunk
//!     { number_assignment = true },                        # the extension the number is assigned to
//!     { echo = true },
//!     { reject = 486, reason = "All lines busy" },
//! ]
//! ```
//!
//! A number or pattern that starts with `+` is compared with the E.164 form of what was dialled; every other with what was
//! dialled itself. See the `pattern` and `template` modules for the two small languages.

mod check;
mod index;
mod numbering;
mod pattern;
mod read;
mod template;

use std::collections::HashMap;
use std::time::Duration;

use index::Index;
use numbering::{Numbering, without_separators};
use pattern::Pattern;
use template::{Filling, Template};

/// All rules of all contexts.
#[derive(Debug, Clone, Default)]
pub struct Dialplan {
    numbering: Numbering,
    contexts: HashMap<Origin, Context>,
}

/// Whose calls a rule is for: what a `context` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `agents`: calls made by agents.
    Agents,
    /// `trunks`: calls that come in over trunks.
    Trunks,
}

impl Origin {
    const ALL: [Self; 2] = [Self::Agents, Self::Trunks];

    fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Trunks => "trunks",
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Context {
    rules: Vec<Rule>,
    index: Index,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    number: NumberMatch,
    caller: Option<Pattern>,
    trunks: Option<Vec<String>>,
    extension_exists: bool,
    steps: Vec<(Aim, Option<Duration>)>,
}

/// What a rule demands of the dialled number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NumberMatch {
    Any,
    Dialled(Pattern),
    E164(Pattern),
}

/// A target with places still to be filled in.
#[derive(Debug, Clone)]
enum Aim {
    Extension(Template),
    RingGroup(Vec<Template>),
    Trunks { names: Vec<String>, number: Template },
    NumberAssignment,
    Echo,
    Reject { status: u16, reason: String },
}

/// A mistake in a dialplan file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct DialplanError {
    /// The file's name as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters, where it is known.
    pub column: Option<usize>,
    /// What is wrong and what is expected.
    pub message: String,
}

/// A call that looks for its target.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// Whose call it is.
    pub origin: Origin,
    /// The user part of the Request-URI.
    pub dialled: &'a str,
    /// The calling extension or number.
    pub caller: &'a str,
    /// The name of the trunk the call came over.
    pub trunk: Option<&'a str>,
    /// Whether `dialled` is the number of an extension.
    pub is_extension: bool,
}

/// What a call shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The name of the rule that matched.
    pub rule: String,
    /// The dialled number in E.164 form, when it has one.
    pub e164: Option<String>,
    /// What to try, in order. Never empty.
    pub steps: Vec<Step>,
}

/// One target to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub target: Target,
    /// For how long; `None` leaves it to the target (an extension's own ring time).
    pub timeout: Option<Duration>,
}

/// What can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The extension with this number.
    Extension(String),
    /// These extensions at once.
    RingGroup(Vec<String>),
    /// These trunks one after the other.
    Trunks {
        /// Names in failover order; `*` alone means every enabled trunk.
        names: Vec<String>,
        /// The number to dial there.
        number: String,
    },
    /// The extension the Directory assigns the dialled number to.
    NumberAssignment,
    /// The echo test.
    Echo,
    /// A refusal.
    Reject {
        /// 400 to 699.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Extension(number) => write!(f, "extension {number}"),
            Self::RingGroup(numbers) => write!(f, "extensions {} at once", numbers.join(", ")),
            Self::Trunks { names, number } if names.iter().any(|name| name == "*") => {
                write!(f, "{number} over any trunk")
            }
            Self::Trunks { names, number } => write!(f, "{number} over trunk {}", names.join(", else ")),
            Self::NumberAssignment => f.write_str("the extension that the number is assigned to"),
            Self::Echo => f.write_str("the echo test"),
            Self::Reject { status, reason } => write!(f, "a refusal with {status} {reason}"),
        }
    }
}

impl Dialplan {
    /// Reads the files in the given order: pairs of file name and text.
    ///
    /// # Errors
    /// Every mistake in all files, in their order.
    pub fn parse(files: &[(String, String)]) -> Result<Self, Vec<DialplanError>> {
        let mut plan = read::files(files);
        let mut errors = plan.errors;
        check::contexts(&plan.rules, &mut errors);
        if !errors.is_empty() {
            let order = |error: &DialplanError| files.iter().position(|(name, _)| *name == error.file);
            errors.sort_by_key(|error| (order(error), error.line, error.column));
            return Err(errors);
        }
        let mut contexts: HashMap<Origin, Context> = HashMap::new();
        for placed in plan.rules.drain(..) {
            let context = contexts.entry(placed.origin).or_default();
            context.index.add(context.rules.len(), &placed.rule.number, placed.rule.caller.as_ref());
            context.rules.push(placed.rule);
        }
        Ok(Self { numbering: plan.numbering.unwrap_or_default(), contexts })
    }

    /// The E.164 form (`+` and digits) of a number as it is dialled or written here, when it has one.
    #[must_use]
    pub fn e164(&self, number: &str) -> Option<String> {
        self.numbering.e164(&without_separators(number))
    }

    /// The first rule that matches, with its places filled in; `None` when no rule does.
    #[must_use]
    pub fn route(&self, lookup: &Lookup<'_>) -> Option<Decision> {
        let context = self.contexts.get(&lookup.origin)?;
        let (dialled, caller) = (self.numbers(lookup.dialled), self.numbers(lookup.caller));
        let mut candidates = context.index.candidates(&dialled, &caller).filter_map(|at| context.rules.get(at));
        let (rule, captures) = candidates.find_map(|rule| Some((rule, rule.captures(lookup, &dialled, &caller)?)))?;
        let filling = Filling { dialled: &dialled.plain, e164: dialled.e164.as_deref(), captures: &captures };
        let steps = rule.steps.iter().map(|(aim, timeout)| Step { target: aim.fill(filling), timeout: *timeout });
        let (rule, steps) = (rule.name.clone(), steps.collect());
        Some(Decision { rule, steps, e164: dialled.e164 })
    }

    fn numbers(&self, number: &str) -> Numbers {
        let plain = without_separators(number);
        Numbers { e164: self.numbering.e164(&plain), plain }
    }
}

/// A number in the forms that rules look at.
#[derive(Debug)]
struct Numbers {
    /// As it was dialled, without what stands between digits.
    plain: String,
    e164: Option<String>,
}

impl Rule {
    /// What the rule's pattern captures of the dialled number, when the call is one for it.
    fn captures<'a>(&self, lookup: &Lookup<'_>, dialled: &'a Numbers, caller: &Numbers) -> Option<Vec<&'a str>> {
        let captures = self.number.captures(&dialled.plain, dialled.e164.as_deref())?;
        let caller_fits = self.caller.as_ref().is_none_or(|pattern| {
            let text = if pattern.is_international() { caller.e164.as_deref() } else { Some(&*caller.plain) };
            text.is_some_and(|text| pattern.captures(text).is_some())
        });
        let trunk_fits = self
            .trunks
            .as_ref()
            .is_none_or(|names| lookup.trunk.is_some_and(|trunk| names.iter().any(|name| name == trunk)));
        let fits = caller_fits && trunk_fits && (lookup.is_extension || !self.extension_exists);
        fits.then_some(captures)
    }
}

impl NumberMatch {
    fn captures<'a>(&self, dialled: &'a str, e164: Option<&'a str>) -> Option<Vec<&'a str>> {
        match self {
            Self::Any => Some(Vec::new()),
            Self::Dialled(pattern) => pattern.captures(dialled),
            Self::E164(pattern) => pattern.captures(e164?),
        }
    }
}

impl Aim {
    fn fill(&self, filling: Filling<'_>) -> Target {
        match self {
            Self::Extension(number) => Target::Extension(number.fill(filling)),
            Self::RingGroup(members) => Target::RingGroup(members.iter().map(|m| m.fill(filling)).collect()),
            Self::Trunks { names, number } => Target::Trunks { names: names.clone(), number: number.fill(filling) },
            Self::NumberAssignment => Target::NumberAssignment,
            Self::Echo => Target::Echo,
            Self::Reject { status, reason } => Target::Reject { status: *status, reason: reason.clone() },
        }
    }
}

#[cfg(test)]
mod tests;
