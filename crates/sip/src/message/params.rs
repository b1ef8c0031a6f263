//! Header and URI parameters: an ordered list of `;name[=value]` (RFC 3261 §7.3.1, §19.1.1).

use std::borrow::Cow;
use std::fmt;

use smol_str::{SmolStr, ToSmolStr};

use super::scan;

/// Parameters in their order. Names compare case-insensitively; values are kept as they were written, quotes included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(SmolStr, Option<SmolStr>)>);

impl Params {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `;name=value;flag`. The text is empty or starts with `;`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = scan::trim(text);
        if text.is_empty() {
            return Some(Self::default());
        }
        let list = text.strip_prefix(';')?;
        // A Via and a Contact have two or three.
        let mut params = Vec::with_capacity(4);
        for param in scan::split(list, b';') {
            params.push(Self::parse_one(param)?);
        }
        Some(Self(params))
    }

    fn parse_one(param: &str) -> Option<(SmolStr, Option<SmolStr>)> {
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (scan::trim(name), Some(scan::trim(value))),
            None => (param, None),
        };
        // URI parameters allow a few characters more than tokens do (`paramchar`).
        let name_ok = !name.is_empty()
            && name
                .bytes()
                .all(|b| scan::is_token_byte(b) || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')'));
        if !name_ok || value.is_some_and(|v| !Self::is_value(v)) {
            return None;
        }
        Some((SmolStr::new(name), value.map(SmolStr::new)))
    }

    fn is_value(value: &str) -> bool {
        if value.starts_with('"') {
            return scan::quoted_string(value).is_some_and(|(_, rest)| rest.is_empty());
        }
        !value.is_empty() && !value.bytes().any(|b| b <= b' ' || matches!(b, b'"' | b'<' | b'>' | b',' | 0x7f))
    }

    /// The value of a parameter without quotes; `None` when it is absent or a bare flag.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.raw(name)?.map(scan::unquoted)
    }

    /// The value as written: `Some(None)` for a bare flag.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_deref())
    }

    /// Whether the parameter is there, with or without a value.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Sets or replaces a parameter; `None` makes it a bare flag. A value that is no token is written quoted.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value =
            value.map(|v| if Self::is_value(v) && !v.contains(';') { v.into() } else { Quoted(v).to_smolstr() });
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Takes a parameter out; tells whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        before != self.0.len()
    }

    /// Names and values as written, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_deref()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scan::write_quoted(f, self.0)
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            f.write_str(";")?;
            f.write_str(name)?;
            if let Some(value) = value {
                f.write_str("=")?;
                f.write_str(value)?;
            }
        }
        Ok(())
    }
}
