//! A look at a message's bytes for people who read along: what it is, which call it belongs to, and its text without secrets. Takes the
//! bytes as they are on the wire; believes nothing, so that also what is no proper message can be shown.

use std::borrow::Cow;

use crate::message::scan;

/// What stands where a secret was.
const REMOVED: &str = "(removed)";

/// Headers with digest parameters, and whether a scheme comes first.
const CREDENTIALS: [(&str, bool); 6] = [
    ("authorization", true),
    ("proxy-authorization", true),
    ("www-authenticate", true),
    ("proxy-authenticate", true),
    ("authentication-info", false),
    ("proxy-authentication-info", false),
];

/// Digest parameters that tell no secret; the value of any other is removed.
const HARMLESS: [&str; 9] = ["username", "realm", "uri", "algorithm", "qop", "nc", "stale", "userhash", "charset"];

/// What a message is at first sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance<'a> {
    /// Method and Request-URI, or status and phrase.
    pub summary: Cow<'a, str>,
    /// The Call-ID as written.
    pub call_id: Cow<'a, str>,
    /// The method named by CSeq.
    pub method: Cow<'a, str>,
}

impl<'a> Glance<'a> {
    /// Looks at a message; `None` for what has no start line of SIP, no Call-ID or no CSeq.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Option<Self> {
        let mut lines = Lines { rest: message };
        let summary = lines.summary()?;
        let (mut call_id, mut method) = (None, None);
        while let Some(line) = lines.next_header() {
            let Some((name, value)) = header(line) else { break };
            if call_id.is_none() && (name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i")) {
                call_id = Some(unfolded(value));
            } else if method.is_none() && name.eq_ignore_ascii_case("cseq") {
                method = part(unfolded(value), |value| value.split_ascii_whitespace().nth(1));
            }
            if call_id.is_some() && method.is_some() {
                break;
            }
        }
        Some(Self { summary, call_id: call_id?, method: method? })
    }

    /// The summary alone, also of a message whose end is missing.
    #[must_use]
    pub fn summary_of(message: &'a [u8]) -> Option<Cow<'a, str>> {
        Lines { rest: message }.summary()
    }
}

/// The message without what would let its reader in or listen: digest responses and nonces, passwords in URIs, SDES and ICE secrets, and
/// digits a caller pressed. All else stays as it was written, byte for byte.
#[must_use]
pub fn without_secrets(message: &[u8]) -> Cow<'_, [u8]> {
    let mut clean = Clean { message, copied: 0, out: Vec::new() };
    let mut lines = Lines { rest: message };
    let (mut started, mut digits_only) = (false, false);
    while let Some(line) = lines.next_header() {
        if trim(line).is_empty() {
            if started {
                break;
            }
            continue;
        }
        started = true;
        if let Some(replacement) = harmless_header(line) {
            clean.replace(line, lines.rest, &replacement);
        }
        digits_only |= header(line).is_some_and(|(name, value)| {
            let is_type = name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("c");
            is_type && unfolded(value).to_ascii_lowercase().starts_with("application/dtmf")
        });
    }
    while let Some(line) = lines.next_of_body() {
        let text = String::from_utf8_lossy(trim(line));
        if let Some(replacement) = harmless_line(&text, digits_only) {
            clean.replace(line, lines.rest, &replacement);
        }
    }
    clean.finish()
}

/// Header lines, or lines of a body.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The start line without the version, when it is one of SIP.
    fn summary(&mut self) -> Option<Cow<'a, str>> {
        let first = loop {
            let line = trim(self.next_header()?);
            if !line.is_empty() {
                break line;
            }
        };
        part(String::from_utf8_lossy(first), |line| {
            line.strip_prefix("SIP/2.0 ").or_else(|| line.strip_suffix(" SIP/2.0"))
        })
    }

    /// The next header with its continuation lines and line end; an empty one ends the headers.
    fn next_header(&mut self) -> Option<&'a [u8]> {
        let mut length = line_length(self.rest, |byte| byte == b'\n')?;
        let is_empty = trim(self.rest.get(..length)?).is_empty();
        while !is_empty && matches!(self.rest.get(length), Some(b' ' | b'\t')) {
            length += line_length(self.rest.get(length..)?, |byte| byte == b'\n')?;
        }
        self.take(length)
    }

    /// The next line of a body: some end lines with CR alone.
    fn next_of_body(&mut self) -> Option<&'a [u8]> {
        let length = line_length(self.rest, |byte| byte == b'\n' || byte == b'\r')?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (line, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(line)
    }
}

/// How long a line is with its end; `None` when nothing is left.
fn line_length(rest: &[u8], ends: impl Fn(u8) -> bool) -> Option<usize> {
    if rest.is_empty() {
        return None;
    }
    Some(rest.iter().position(|byte| ends(*byte)).map_or(rest.len(), |at| at + 1))
}

fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let at = memchr::memchr(b':', line)?;
    let name = std::str::from_utf8(line.get(..at)?).ok()?.trim();
    Some((name, line.get(at + 1..)?))
}

/// A value on one line.
fn unfolded(value: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) if !text.trim().contains(['\r', '\n']) => Cow::Borrowed(text.trim()),
        text @ (Cow::Borrowed(_) | Cow::Owned(_)) => {
            let lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
            Cow::Owned(lines.collect::<Vec<_>>().join(" "))
        }
    }
}

/// Part of a text, borrowed from where the text is.
fn part<'a>(text: Cow<'a, str>, choose: impl FnOnce(&str) -> Option<&str>) -> Option<Cow<'a, str>> {
    Some(match text {
        Cow::Borrowed(text) => Cow::Borrowed(choose(text)?),
        Cow::Owned(text) => Cow::Owned(choose(&text)?.to_owned()),
    })
}

/// The message with lines replaced.
struct Clean<'a> {
    message: &'a [u8],
    /// How much of it is in `out`, or replaced there.
    copied: usize,
    out: Vec<u8>,
}

impl<'a> Clean<'a> {
    /// Puts other text in a line's place, its end kept. `rest` is what follows it in the message.
    fn replace(&mut self, line: &[u8], rest: &[u8], text: &str) {
        let end = self.message.len() - rest.len();
        let start = end - line.len();
        self.out.extend_from_slice(self.message.get(self.copied..start).unwrap_or_default());
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(line.get(trim(line).len()..).unwrap_or_default());
        self.copied = end;
    }

    fn finish(mut self) -> Cow<'a, [u8]> {
        if self.copied == 0 {
            return Cow::Borrowed(self.message);
        }
        self.out.extend_from_slice(self.message.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.out)
    }
}

/// A start line or header without its secrets; `None` when it has none.
fn harmless_header(line: &[u8]) -> Option<String> {
    if let Some((name, value)) = header(line)
        && let Some((_, has_scheme)) = CREDENTIALS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))
    {
        return Some(format!("{name}: {}", credentials(&unfolded(value), *has_scheme)));
    }
    // What names the call must stay what it is.
    if header(line).is_some_and(|(name, _)| name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i")) {
        return None;
    }
    let text = String::from_utf8_lossy(trim(line));
    let clean = without_header_credentials(&without_passwords(&text));
    (clean != text).then_some(clean)
}

fn credentials(value: &str, has_scheme: bool) -> String {
    let (scheme, params) = match value.split_once(' ') {
        Some((scheme, params)) if has_scheme && !scheme.contains('=') => (Some(scheme), params),
        Some(_) | None => (None, value),
    };
    if has_scheme && !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest")) {
        // Of a scheme that is not known everything may be secret.
        let scheme =
            scheme.filter(|scheme| scheme.len() <= 16 && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()));
        return scheme.map_or_else(|| REMOVED.to_owned(), |scheme| format!("{scheme} {REMOVED}"));
    }
    let params: Vec<String> = scan::split(params, b',').map(harmless_param).collect();
    let params = params.join(", ");
    scheme.map_or(params.clone(), |scheme| format!("{scheme} {params}"))
}

fn harmless_param(param: &str) -> String {
    let Some((name, value)) = param.split_once('=') else { return REMOVED.to_owned() };
    let (name, value) = (name.trim(), value.trim());
    // A value that does not end where it seems to may hide another parameter.
    let is_whole = scan::is_token(value) || scan::quoted_string(value).is_some_and(|(_, rest)| rest.is_empty());
    if is_whole && HARMLESS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return format!("{name}={}", without_header_credentials(&without_passwords(value)));
    }
    let name: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    format!("{name}=\"{REMOVED}\"")
}

/// Takes the passwords out of SIP URIs (`sip:user:password@host`).
fn without_passwords(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = lower.get(at..).and_then(|rest| rest.find("sip")) {
        at += found + "sip".len();
        let rest = lower.get(at..).unwrap_or_default();
        let Some(uri) = rest.strip_prefix(':').or_else(|| rest.strip_prefix("s:")) else { continue };
        let start = lower.len() - uri.len();
        let ends = |letter: char| letter.is_whitespace() || matches!(letter, '>' | '"' | '<');
        let uri = uri.get(..uri.find(ends).unwrap_or(uri.len())).unwrap_or_default();
        at = start + uri.len();
        let user = uri.find('@').and_then(|end| uri.get(..end)).unwrap_or_default();
        if let Some(colon) = user.find(':') {
            out.push_str(text.get(copied..=start + colon).unwrap_or_default());
            out.push_str(REMOVED);
            copied = start + user.len();
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// Takes out credentials that a URI wants put into a request (`?Authorization=…`).
fn without_header_credentials(text: &str) -> String {
    const NAME: &str = "authorization=";
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower.get(at..).and_then(|rest| rest.find(NAME)) {
        let value = at + found + NAME.len();
        out.push_str(text.get(at..value).unwrap_or_default());
        out.push_str(REMOVED);
        let ends = |letter: char| letter.is_whitespace() || matches!(letter, '>' | '&' | '"');
        at = text.get(value..).and_then(|rest| rest.find(ends)).map_or(text.len(), |length| value + length);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// A line of a body without its secrets (RFC 4568 §9.1, RFC 8839 §5.4, RFC 4566 §5.12, RFC 4567 §3); `None` when it has none.
fn harmless_line(line: &str, digits_only: bool) -> Option<String> {
    let (line, lower) = (line.trim_start(), line.trim_start().to_ascii_lowercase());
    if let Some(crypto) = lower.strip_prefix("a=crypto:") {
        let mut words = crypto.split_ascii_whitespace();
        let is_tag = |word: &&str| word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_suite =
            |word: &&str| word.len() <= 40 && ["aes_", "aead_", "f8_"].iter().any(|kind| word.starts_with(kind));
        let (tag, suite) = (words.next().filter(is_tag), words.next().filter(is_suite));
        let suite = suite.unwrap_or("?").to_ascii_uppercase();
        return Some(format!("a=crypto:{} {suite} inline:{REMOVED}", tag.unwrap_or("?")));
    }
    for name in ["a=ice-pwd:", "a=key-mgmt:", "k="] {
        if lower.starts_with(name) {
            return Some(format!("{name}{REMOVED}"));
        }
    }
    if digits_only && !line.is_empty() && !lower.starts_with("duration") {
        return Some(if lower.starts_with("signal") { format!("Signal={REMOVED}") } else { REMOVED.to_owned() });
    }
    None
}

#[cfg(test)]
mod tests;
