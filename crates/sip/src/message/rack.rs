//! What a PRACK acknowledges: RAck and the RSeq it names (RFC 3262 §7).

use std::fmt;

use super::fields::CSeq;
use super::scan;

/// A provisional response by its RSeq, and the request it is a response to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RAck {
    /// RSeq of the response, at least 1.
    pub response: u32,
    /// CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads `response-number cseq-number method`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = scan::trim(text);
        let (number, rest) = text.split_at(text.find([' ', '\t'])?);
        Some(Self { response: response_number(number)?, cseq: CSeq::parse(rest)? })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.response, self.cseq)
    }
}

/// 1 to 2^32 - 1.
pub(super) fn response_number(text: &str) -> Option<u32> {
    u32::try_from(scan::number(scan::trim(text))?).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rack_is_read_and_written_and_not_when_broken() {
        assert_eq!(RAck::parse(" 776656\t1  INVITE").unwrap().to_string(), "776656 1 INVITE");
        for broken in ["", "1", "1 INVITE", "0 1 INVITE", "4294967296 1 INVITE", "-1 1 INVITE", "1 1 IN VITE"] {
            assert_eq!(RAck::parse(broken), None, "{broken}");
        }
    }
}
