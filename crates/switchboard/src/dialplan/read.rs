//! From TOML text to rules. Walks the parsed tables by hand, so that every mistake in a file is reported at once, each with its
//! line.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::numbering::Numbering;
use super::pattern::{MAX_CAPTURES, Pattern};
use super::template::Template;
use super::{Aim, DialplanError, NumberMatch, Origin, Rule};

/// The longest a target may ring: beyond it every carrier has given up.
const MAX_TIMEOUT_S: i64 = 600;

/// A rule with where it stands.
#[derive(Debug)]
pub(super) struct PlacedRule {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) origin: Origin,
    pub(super) rule: Rule,
}

/// What all files hold, and all that is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) numbering: Option<Numbering>,
    pub(super) rules: Vec<PlacedRule>,
    pub(super) errors: Vec<DialplanError>,
}

pub(super) fn files(files: &[(String, String)]) -> Reading {
    let mut reading = Reading::default();
    for (name, text) in files {
        let (table, mistakes) = DeTable::parse_recoverable(text);
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut file = File { name, text, line_starts, errors: &mut reading.errors };
        for mistake in &mistakes {
            file.error(&mistake.span().unwrap_or(0..0), mistake.message());
        }
        if mistakes.is_empty() {
            document(&mut file, table.get_ref(), &mut reading.numbering, &mut reading.rules);
        }
    }
    reading
}

/// One file: turns positions into lines.
struct File<'a> {
    name: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    errors: &'a mut Vec<DialplanError>,
}

impl File<'_> {
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= at);
        let line_start = line.checked_sub(1).and_then(|n| self.line_starts.get(n)).copied().unwrap_or_default();
        (line, self.text.get(line_start..at).unwrap_or_default().chars().count() + 1)
    }

    fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let (line, column) = self.position(span.start);
        self.errors.push(DialplanError {
            file: self.name.to_owned(),
            line,
            column: Some(column),
            message: message.into(),
        });
    }
}

/// A table whose keys are taken one by one; what is left is unknown.
struct Fields<'a> {
    span: Range<usize>,
    left: Vec<(&'a str, Range<usize>, &'a Spanned<DeValue<'a>>)>,
}

impl<'a> Fields<'a> {
    fn new(span: Range<usize>, table: &'a DeTable<'a>) -> Self {
        let left = table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect();
        Self { span, left }
    }

    fn take(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let at = self.left.iter().position(|(name, ..)| *name == key)?;
        Some(self.left.swap_remove(at).2)
    }

    fn has(&self, key: &str) -> bool {
        self.left.iter().any(|(name, ..)| *name == key)
    }

    fn string(&mut self, file: &mut File<'_>, key: &str) -> Option<(&'a str, Range<usize>)> {
        let value = self.take(key)?;
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            file.error(&value.span(), format!("`{key}` must be a text that is not empty"));
        }
        text.map(|text| (text, value.span()))
    }

    fn strings(&mut self, file: &mut File<'_>, key: &str) -> Option<Vec<(&'a str, Range<usize>)>> {
        let value = self.take(key)?;
        let texts: Option<Vec<_>> = value.get_ref().as_array().and_then(|array| {
            array.iter().map(|v| Some((v.get_ref().as_str().filter(|t| !t.is_empty())?, v.span()))).collect()
        });
        match texts {
            Some(texts) if !texts.is_empty() => {
                for (at, (text, span)) in texts.iter().enumerate() {
                    if texts.iter().take(at).any(|(other, _)| other == text) {
                        file.error(span, format!("`{text}` is listed twice in `{key}`"));
                    }
                }
                Some(texts)
            }
            Some(_) | None => {
                file.error(&value.span(), format!("`{key}` must be a list of texts with at least one in it"));
                None
            }
        }
    }

    /// A key whose only meaningful value is `true`.
    fn flag(&mut self, file: &mut File<'_>, key: &str) -> bool {
        let Some(value) = self.take(key) else { return false };
        if value.get_ref().as_bool() != Some(true) {
            file.error(&value.span(), format!("`{key}` can only be true; leave it out otherwise"));
        }
        true
    }

    fn integer(&mut self, file: &mut File<'_>, key: &str, allowed: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(key)?;
        let number = value.get_ref().as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        let number = number.filter(|n| allowed.contains(n));
        if number.is_none() {
            let (least, most) = allowed.into_inner();
            file.error(&value.span(), format!("`{key}` must be a whole number from {least} to {most}"));
        }
        number
    }

    fn finish(self, file: &mut File<'_>, known: &str) {
        for (name, span, _) in &self.left {
            file.error(span, format!("unknown key `{name}`; known here: {known}"));
        }
    }
}

fn document(file: &mut File<'_>, table: &DeTable<'_>, numbering: &mut Option<Numbering>, rules: &mut Vec<PlacedRule>) {
    let mut fields = Fields::new(0..0, table);
    if let Some(value) = fields.take("numbers") {
        match value.get_ref().as_table() {
            Some(_) if numbering.is_some() => file.error(&value.span(), "[numbers] stands in an earlier file already"),
            Some(table) => *numbering = Some(read_numbering(file, Fields::new(value.span(), table))),
            None => file.error(&value.span(), "`numbers` must be a table: [numbers]"),
        }
    }
    if let Some(value) = fields.take("rule") {
        let tables: Option<Vec<_>> = value
            .get_ref()
            .as_array()
            .and_then(|a| a.iter().map(|v| Some((v.span(), v.get_ref().as_table()?))).collect());
        match tables {
            Some(tables) => {
                for (span, table) in tables {
                    read_rule(file, Fields::new(span, table), rules);
                }
            }
            None => file.error(&value.span(), "rules are tables: [[rule]]"),
        }
    }
    fields.finish(file, "[numbers], [[rule]]");
}

fn read_numbering(file: &mut File<'_>, mut fields: Fields<'_>) -> Numbering {
    let mut digits = |key: &str, may_be_empty: bool| -> Option<String> {
        let value = fields.take(key)?;
        let text = value.get_ref().as_str().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        let text = text.filter(|t| may_be_empty || !t.is_empty());
        if text.is_none() {
            file.error(&value.span(), format!("`{key}` must be a text of digits only, e.g. \"49\" or \"00\""));
        }
        text.map(str::to_owned)
    };
    let numbering = Numbering {
        country_code: digits("country_code", false),
        international_prefix: digits("international_prefix", false),
        national_prefix: digits("national_prefix", true),
    };
    if numbering.national_prefix.is_some() && numbering.country_code.is_none() {
        let span = fields.span.clone();
        file.error(&span, "`national_prefix` needs `country_code`");
    }
    fields.finish(file, "country_code, international_prefix, national_prefix");
    numbering
}

fn read_rule(file: &mut File<'_>, mut fields: Fields<'_>, rules: &mut Vec<PlacedRule>) {
    let errors_before = file.errors.len();
    let span = fields.span.clone();
    let context = fields.string(file, "context");
    let origin = context.as_ref().and_then(|(text, span)| read_origin(file, text, span));
    let name = fields.string(file, "name");
    let (number, captures) = read_number(file, &mut fields);
    let caller = fields.string(file, "caller").and_then(|(text, span)| {
        Pattern::parse(text).map_err(|problem| file.error(&span, format!("`caller`: {problem}"))).ok()
    });
    let trunks = fields.strings(file, "trunk").map(|names| names.into_iter().map(|(n, _)| n.to_owned()).collect());
    let extension_exists = fields.flag(file, "extension_exists");
    let steps = read_targets(file, &mut fields, captures);
    for (key, missing) in [("context", context.is_none()), ("name", name.is_none())] {
        if missing && file.errors.len() == errors_before {
            file.error(&span, format!("the rule has no `{key}`"));
        }
    }
    fields.finish(file, "context, name, number, prefix, pattern, caller, trunk, extension_exists, targets");
    let (Some(origin), Some((name, _))) = (origin, name) else { return };
    let rule = Rule { name: name.to_owned(), number, caller, trunks, extension_exists, steps };
    let (line, _) = file.position(span.start);
    rules.push(PlacedRule { file: file.name.to_owned(), line, origin, rule });
}

fn read_origin(file: &mut File<'_>, text: &str, span: &Range<usize>) -> Option<Origin> {
    let origin = Origin::ALL.into_iter().find(|origin| origin.name() == text);
    if origin.is_none() {
        let known = Origin::ALL.map(|origin| format!("`{}`", origin.name())).join(" and ");
        file.error(span, format!("there is no context `{text}`; there are {known}"));
    }
    origin
}

/// One way to write what a number must be like.
type ReadPattern = fn(&str) -> Result<Pattern, String>;

fn read_number(file: &mut File<'_>, fields: &mut Fields<'_>) -> (NumberMatch, usize) {
    let mut found: Option<(Pattern, bool)> = None;
    let read: [(&str, ReadPattern); 3] = [
        ("number", |text| Ok(Pattern::exact(text))),
        ("prefix", |text| Ok(Pattern::prefix(text))),
        ("pattern", Pattern::parse),
    ];
    let mut given = 0;
    for (key, parse) in read {
        let Some((text, span)) = fields.string(file, key) else { continue };
        given += 1;
        if given > 1 {
            file.error(&span, "only one of `number`, `prefix` and `pattern` can be given");
        }
        match parse(text) {
            Ok(pattern) => found = Some((pattern, text.starts_with('+'))),
            Err(problem) => file.error(&span, format!("`{key}`: {problem}")),
        }
    }
    match found {
        None if given == 0 => (NumberMatch::Any, 0),
        // Broken and reported: stands for a pattern that takes nothing, so that no mistakes are found that are none.
        None => (NumberMatch::Dialled(Pattern::exact("")), MAX_CAPTURES),
        Some((pattern, international)) => {
            let captures = pattern.capture_count();
            (if international { NumberMatch::E164(pattern) } else { NumberMatch::Dialled(pattern) }, captures)
        }
    }
}

fn read_targets(file: &mut File<'_>, fields: &mut Fields<'_>, captures: usize) -> Vec<(Aim, Option<Duration>)> {
    let Some(value) = fields.take("targets") else {
        let span = fields.span.clone();
        file.error(&span, "the rule has no `targets`");
        return Vec::new();
    };
    let tables: Option<Vec<_>> =
        value.get_ref().as_array().and_then(|a| a.iter().map(|v| Some((v.span(), v.get_ref().as_table()?))).collect());
    match tables {
        Some(tables) if !tables.is_empty() => tables
            .into_iter()
            .filter_map(|(span, table)| read_target(file, Fields::new(span, table), captures))
            .collect(),
        Some(_) | None => {
            file.error(&value.span(), "`targets` must be a list of tables with at least one in it");
            Vec::new()
        }
    }
}

const TARGETS: [&str; 6] = ["extension", "ring_group", "trunks", "number_assignment", "echo", "reject"];

fn read_target(file: &mut File<'_>, mut fields: Fields<'_>, captures: usize) -> Option<(Aim, Option<Duration>)> {
    let span = fields.span.clone();
    let given: Vec<&str> = TARGETS.into_iter().filter(|key| fields.has(key)).collect();
    let &[kind] = given.as_slice() else {
        file.error(&span, format!("a target is exactly one of: {}", TARGETS.join(", ")));
        return None;
    };
    let template = |file: &mut File<'_>, key: &str, (text, span): (&str, Range<usize>)| {
        Template::parse(text, captures).map_err(|problem| file.error(&span, format!("`{key}`: {problem}"))).ok()
    };
    let (aim, extra) = match kind {
        "extension" => {
            let number = fields.string(file, kind).and_then(|text| template(file, kind, text));
            (number.map(Aim::Extension), "timeout_s")
        }
        "ring_group" => {
            let members = fields.strings(file, kind).unwrap_or_default();
            let members: Vec<Template> = members.into_iter().filter_map(|m| template(file, kind, m)).collect();
            (Some(Aim::RingGroup(members)), "timeout_s")
        }
        "trunks" => (read_trunks(file, &mut fields, template), "number, timeout_s"),
        "number_assignment" => {
            fields.flag(file, kind);
            (Some(Aim::NumberAssignment), "timeout_s")
        }
        "echo" => {
            fields.flag(file, kind);
            (Some(Aim::Echo), "nothing else")
        }
        _ => {
            let status = fields.integer(file, kind, 400..=699).and_then(|status| u16::try_from(status).ok());
            let usual = status.and_then(sip::StatusCode::new).map(|status| status.reason_phrase().to_owned());
            let reason = fields.string(file, "reason").map(|(text, _)| text.to_owned()).or(usual);
            (status.zip(reason).map(|(status, reason)| Aim::Reject { status, reason }), "reason")
        }
    };
    let rings = !matches!(kind, "echo" | "reject");
    let timeout = if rings { fields.integer(file, "timeout_s", 1..=MAX_TIMEOUT_S) } else { None };
    fields.finish(file, &format!("{kind}, {extra}"));
    let timeout = timeout.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    aim.map(|aim| (aim, timeout))
}

fn read_trunks<'a>(
    file: &mut File<'_>,
    fields: &mut Fields<'a>,
    template: impl Fn(&mut File<'_>, &str, (&'a str, Range<usize>)) -> Option<Template>,
) -> Option<Aim> {
    let names = fields.strings(file, "trunks");
    let number = match fields.string(file, "number") {
        Some(text) => template(file, "number", text)?,
        None => Template::e164(),
    };
    let names = names?;
    if names.len() > 1
        && let Some((_, span)) = names.iter().find(|(name, _)| *name == "*")
    {
        file.error(span, "`*` means every enabled trunk and must stand alone");
    }
    Some(Aim::Trunks { names: names.into_iter().map(|(name, _)| name.to_owned()).collect(), number })
}
