//! The lexical pieces headers share: tokens, quoted strings, lists and parameters (RFC 3261 §25.1).

use std::borrow::Cow;
use std::fmt;

/// A bit for each byte that may stand in a `token`: every name and parameter of a message is asked about.
const TOKEN: u128 = {
    let (mut table, mut byte) = (0, 0_u8);
    while byte < 128 {
        let is_other = matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        if byte.is_ascii_alphanumeric() || is_other {
            table |= 1 << byte;
        }
        byte += 1;
    }
    table
};

/// Whether the byte may stand in a `token`.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte < 128 && TOKEN >> byte & 1 == 1
}

/// Whether the text is a non-empty `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Linear white space at either end, after unfolding.
pub(crate) fn trim(text: &str) -> &str {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = text.as_bytes();
    let Some(start) = bytes.iter().position(|byte| !blank(byte)) else { return "" };
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Digits only, leading zeros allowed; `None` when it is something else or does not fit.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Splits at `separator`, but not inside quoted strings nor inside `<` `>`. Elements are trimmed and may be empty.
pub(crate) fn split(text: &str, separator: u8) -> Split<'_> {
    Split { rest: Some(text), separator }
}

/// See [`split`].
#[derive(Debug, Clone)]
pub(crate) struct Split<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        match find_outside_quotes(rest, self.separator) {
            Some(at) => {
                self.rest = rest.get(at + 1..);
                rest.get(..at).map(trim)
            }
            None => {
                self.rest = None;
                Some(trim(rest))
            }
        }
    }
}

/// The first `wanted` byte (ASCII) outside quoted strings and angle brackets.
pub(crate) fn find_outside_quotes(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr3(wanted, b'"', b'<', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => at = after_quotes(bytes, at + 1)?,
            b'<' => at = after_brackets(bytes, at + 1)?,
            _ => return Some(at),
        }
    }
}

/// Where a quoted string is over whose content begins at `at`.
fn after_quotes(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)? + 1;
        if bytes.get(at - 1) == Some(&b'"') {
            return Some(at);
        }
        // What is escaped is content, whatever it is.
        at += 1;
    }
}

/// Where angle brackets are closed whose content begins at `at`.
fn after_brackets(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'>', b'"', bytes.get(at..)?)? + 1;
        if bytes.get(at - 1) == Some(&b'>') {
            return Some(at);
        }
        at = after_quotes(bytes, at)?;
    }
}

/// Reads a quoted string that starts at the first byte: its content without escapes, and what follows it.
pub(crate) fn quoted_string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let mut any_escape = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => (escaped, any_escape) = (true, true),
            b'"' => {
                let (content, rest) = (inner.get(..at)?, inner.get(at + 1..)?);
                return Some((if any_escape { Cow::Owned(unescape(content)) } else { Cow::Borrowed(content) }, rest));
            }
            _ => {}
        }
    }
    None
}

fn unescape(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

/// A parameter value or digest value without its quotes, when it has any.
pub(crate) fn unquoted(text: &str) -> Cow<'_, str> {
    match quoted_string(text) {
        Some((content, _)) => content,
        None => Cow::Borrowed(text),
    }
}

/// Writes text as a quoted string.
pub(crate) fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    use fmt::Write as _;
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            // A line break would end the header: never written.
            '\r' | '\n' | '\0' => f.write_char(' ')?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
