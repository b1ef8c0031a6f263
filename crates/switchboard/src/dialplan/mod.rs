//! The dialplan: ordered rules that turn a dialled number into targets. Decides; calls nobody.

use std::time::Duration;

/// Every rule, by context.
#[derive(Debug, Clone, Default)]
pub struct Dialplan {}

/// Why a file is no dialplan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct DialplanError {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// `agents` or `trunks`.
    pub context: &'a str,
    /// The dialled number.
    pub dialled: &'a str,
    /// Who calls.
    pub caller: &'a str,
    /// The name of the trunk the call came over.
    pub trunk: Option<&'a str>,
}

/// The rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its name.
    pub rule: String,
    /// Tried in order.
    pub steps: Vec<Step>,
}

/// One target with its patience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who.
    pub target: Target,
    /// How long it may ring.
    pub timeout: Option<Duration>,
}

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All phones of an extension.
    Extension(String),
    /// All phones of several extensions.
    RingGroup(Vec<String>),
    /// Trunks in order of trial.
    Trunks {
        /// Trunk names; `*` for all enabled ones by name.
        names: Vec<String>,
        /// What to dial there.
        number: String,
    },
    /// The extension the dialled number of ours is given to.
    NumberAssignment,
    /// The echo test.
    Echo,
    /// No call.
    Reject {
        /// 400 to 699.
        status: u16,
        /// In words.
        reason: String,
    },
}

impl Dialplan {
    /// Reads `(file name, text)` pairs in order.
    ///
    /// # Errors
    /// Everything that is wrong, with file and line.
    pub fn parse(_files: &[(String, String)]) -> Result<Self, Vec<DialplanError>> {
        Ok(Self {})
    }

    /// The first rule that matches.
    #[must_use]
    pub fn route(&self, _lookup: &Lookup<'_>) -> Option<Decision> {
        None
    }
}
