//! The pattern language of the dialplan. Every piece but the last takes exactly one character, so matching is one walk and
//! captures are ranges:
//!
//! | piece | takes |
//! |---|---|
//! | `X` | a digit 0-9 |
//! | `Z` | a digit 1-9 |
//! | `N` | a digit 2-9 |
//! | `[1-35*]` | one of these |
//! | `.` (last) | everything that follows, at least one character |
//! | `!` (last) | everything that follows, maybe nothing |
//! | `( )` | nothing: marks a capture, `$1` to `$9` in targets |
//! | another character | itself |

use std::ops::Range;

/// The most captures, so that `$` and one digit name them.
pub(super) const MAX_CAPTURES: usize = 9;

/// What a rule demands of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
    rest: Option<Rest>,
    /// Ranges of piece indices; the index after the last piece stands for the rest.
    captures: Vec<Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    /// Bit n: the ASCII character n is taken.
    Set(u128),
}

/// How a pattern ends when its length is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    OneOrMore,
    ZeroOrMore,
}

impl Pattern {
    /// Takes this number and no other.
    pub(super) fn exact(number: &str) -> Self {
        Self { pieces: number.bytes().map(Piece::Literal).collect(), rest: None, captures: Vec::new() }
    }

    /// Takes whatever starts with this; `$1` is what follows.
    pub(super) fn prefix(prefix: &str) -> Self {
        let pieces: Vec<Piece> = prefix.bytes().map(Piece::Literal).collect();
        let after = pieces.len();
        Self { pieces, rest: Some(Rest::ZeroOrMore), captures: std::iter::once(after..after + 1).collect() }
    }

    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest, mut captures) = (Vec::new(), None, Vec::new());
        let mut open: Option<usize> = None;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if rest.is_some() && c != ')' {
                return Err("`.` and `!` take everything that follows and must come last".to_owned());
            }
            match c {
                'X' => pieces.push(Piece::Set(digits(0))),
                'Z' => pieces.push(Piece::Set(digits(1))),
                'N' => pieces.push(Piece::Set(digits(2))),
                '[' => pieces.push(Piece::Set(set(&mut chars)?)),
                '.' => rest = Some(Rest::OneOrMore),
                '!' => rest = Some(Rest::ZeroOrMore),
                '(' if open.is_some() => return Err("captures cannot be nested".to_owned()),
                '(' => open = Some(pieces.len()),
                ')' => {
                    let start = open.take().ok_or("`)` without `(`")?;
                    captures.push(start..pieces.len() + usize::from(rest.is_some()));
                }
                other if other.is_ascii_graphic() && other != ']' => {
                    pieces.push(Piece::Literal(u8::try_from(other).unwrap_or_default()));
                }
                other => return Err(format!("`{other}` cannot stand in a pattern")),
            }
        }
        if open.is_some() {
            return Err("`(` without `)`".to_owned());
        }
        if captures.len() > MAX_CAPTURES {
            return Err(format!("more than {MAX_CAPTURES} captures"));
        }
        if pieces.is_empty() && rest.is_none() {
            return Err("an empty pattern matches no number".to_owned());
        }
        Ok(Self { pieces, rest, captures })
    }

    /// The captures when the whole number is taken.
    pub(super) fn captures<'a>(&self, number: &'a str) -> Option<Vec<&'a str>> {
        let bytes = number.as_bytes();
        let length_fits = match self.rest {
            None => bytes.len() == self.pieces.len(),
            Some(Rest::OneOrMore) => bytes.len() > self.pieces.len(),
            Some(Rest::ZeroOrMore) => bytes.len() >= self.pieces.len(),
        };
        if !length_fits || !self.pieces.iter().zip(bytes).all(|(piece, byte)| piece.takes(*byte)) {
            return None;
        }
        let ends = |at: usize| if at > self.pieces.len() { bytes.len() } else { at };
        self.captures.iter().map(|range| number.get(range.start..ends(range.end))).collect()
    }

    /// How many captures it has.
    pub(super) fn capture_count(&self) -> usize {
        self.captures.len()
    }

    /// The characters every number it takes starts with.
    pub(super) fn literal_prefix(&self) -> String {
        self.pieces
            .iter()
            .map_while(|piece| match piece {
                Piece::Literal(byte) => Some(char::from(*byte)),
                Piece::Set(_) => None,
            })
            .collect()
    }

    /// Whether it is for numbers in E.164 form.
    pub(super) fn is_international(&self) -> bool {
        self.pieces.first() == Some(&Piece::Literal(b'+'))
    }

    /// Whether it takes every number there can be.
    pub(super) fn takes_everything(&self) -> bool {
        self.pieces.is_empty() && self.rest.is_some()
    }
}

impl Piece {
    fn takes(self, byte: u8) -> bool {
        match self {
            Self::Literal(literal) => literal == byte,
            Self::Set(set) => byte < 128 && set >> byte & 1 == 1,
        }
    }
}

fn digits(from: u8) -> u128 {
    (b'0' + from..=b'9').fold(0, |set, digit| set | 1 << digit)
}

/// Reads a set up to its `]`.
fn set(chars: &mut std::str::Chars<'_>) -> Result<u128, String> {
    let (content, after) = chars.as_str().split_once(']').ok_or("`[` without `]`")?;
    *chars = after.chars();
    let mut members = content.bytes().peekable();
    let mut set = 0_u128;
    while let Some(first) = members.next() {
        let last = if members.peek() == Some(&b'-') {
            members.next();
            members.next().ok_or("a range in `[ ]` has no end")?
        } else {
            first
        };
        if !first.is_ascii_graphic() || !last.is_ascii_graphic() || last < first {
            return Err(format!("`[{content}]` is no set of characters"));
        }
        set = (first..=last).fold(set, |set, byte| set | 1 << byte);
    }
    if set == 0 {
        return Err("`[ ]` is empty".to_owned());
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures<'a>(pattern: &str, number: &'a str) -> Option<Vec<&'a str>> {
        Pattern::parse(pattern).unwrap().captures(number)
    }

    #[test]
    fn each_piece_takes_one_character_and_the_last_the_rest() {
        assert!(captures("X", "0").is_some() && captures("Z", "0").is_none() && captures("N", "1").is_none());
        assert!(captures("1[2-46]", "16").is_some() && captures("1[2-46]", "15").is_none());
        assert!(captures("1XX", "12").is_none() && captures("1XX", "1234").is_none());
        assert!(captures("0.", "0").is_none() && captures("0.", "01").is_some() && captures("0!", "0").is_some());
        assert!(captures("*97", "*97").is_some() && captures("X", "\u{663}").is_none());
    }

    #[test]
    fn captures_are_what_stands_between_parentheses() {
        assert_eq!(captures("9(0XX)(.)", "9030123"), Some(vec!["030", "123"]));
        assert_eq!(captures("(9)(!)", "9"), Some(vec!["9", ""]));
        assert_eq!(Pattern::prefix("00").captures("0049"), Some(vec!["49"]));
        assert_eq!(Pattern::exact("X").captures("1"), None);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", ".1", "(1", "1)", "((1))", "[", "[]", "[3-1]", "[1-", "a b", "]", "ü"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
