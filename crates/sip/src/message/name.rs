//! Names of headers: the known ones by their long form, whatever was written (RFC 3261 §7.3.1, §7.3.3).

use smol_str::SmolStr;

/// Long names of the headers this crate or its users ask for, with their compact forms (RFC 3261 §7.3.3 and the IANA registry).
static NAMES: &[(&str, Option<u8>)] = &[
    ("Via", Some(b'v')),
    ("From", Some(b'f')),
    ("To", Some(b't')),
    ("Call-ID", Some(b'i')),
    ("CSeq", None),
    ("Contact", Some(b'm')),
    ("Content-Length", Some(b'l')),
    ("Content-Type", Some(b'c')),
    ("Content-Encoding", Some(b'e')),
    ("Max-Forwards", None),
    ("Route", None),
    ("Record-Route", None),
    ("Path", None),
    ("Supported", Some(b'k')),
    ("Allow", None),
    ("Require", None),
    ("Proxy-Require", None),
    ("Unsupported", None),
    ("Expires", None),
    ("Min-Expires", None),
    ("Authorization", None),
    ("Proxy-Authorization", None),
    ("WWW-Authenticate", None),
    ("Proxy-Authenticate", None),
    ("User-Agent", None),
    ("Server", None),
    ("Accept", None),
    ("Reason", None),
    ("Subject", Some(b's')),
    ("Event", Some(b'o')),
    ("Allow-Events", Some(b'u')),
    ("Refer-To", Some(b'r')),
    ("Referred-By", Some(b'b')),
    ("Session-Expires", Some(b'x')),
    ("Identity", Some(b'y')),
    ("Accept-Contact", Some(b'a')),
    ("Reject-Contact", Some(b'j')),
    ("Request-Disposition", Some(b'd')),
    ("P-Asserted-Identity", None),
    ("RSeq", None),
    ("RAck", None),
    ("Retry-After", None),
    ("Date", None),
    ("Warning", None),
];

/// The most known names of one length, and the longest.
const SAME_LENGTH: usize = 6;
const LONGEST_NAME: usize = 19;

/// Where in [`NAMES`] those of each length are; past its end where there are no more. Every step of a message asks for headers by name.
#[allow(clippy::indexing_slicing, reason = "the compiler works it out, and refuses what has no place")]
static BY_LENGTH: [[u8; SAME_LENGTH]; LONGEST_NAME + 1] = {
    let mut places = [[u8::MAX; SAME_LENGTH]; LONGEST_NAME + 1];
    let (mut name, mut counts) = (0, [0; LONGEST_NAME + 1]);
    while name < NAMES.len() {
        let length = NAMES[name].0.len();
        places[length][counts[length]] = name as u8;
        counts[length] += 1;
        name += 1;
    }
    places
};

/// A header's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Known(&'static str),
    Other(SmolStr),
}

impl Name {
    /// Folds compact forms and the letter case of known names.
    pub(super) fn new(name: &str) -> Self {
        let known = match name.as_bytes() {
            [letter] => NAMES.iter().find(|(_, compact)| *compact == Some(letter.to_ascii_lowercase())),
            _ => {
                let places = BY_LENGTH.get(name.len()).map(<[u8; SAME_LENGTH]>::as_slice).unwrap_or_default();
                let named = places.iter().map_while(|place| NAMES.get(usize::from(*place)));
                named.into_iter().find(|(long, _)| long.eq_ignore_ascii_case(name))
            }
        };
        known.map_or_else(|| Self::Other(name.into()), |(long, _)| Self::Known(long))
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }

    /// Whether both name the same header: letter case does not count, nor does a compact form.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            // Both are of the table.
            (Self::Known(a), Self::Known(b)) => std::ptr::eq(*a, *b),
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            (Self::Known(_), Self::Other(_)) | (Self::Other(_), Self::Known(_)) => false,
        }
    }
}
