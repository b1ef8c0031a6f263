//! Replaces (RFC 3891 §6.1): names a dialog by its Call-ID and both tags, as its recipient knows them.

use std::fmt;

use super::params::Params;
use super::scan;

/// A dialog that is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of whoever is asked to replace it.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only while it is not confirmed.
    pub early_only: bool,
}

impl Replaces {
    /// Reads `call-id;to-tag=…;from-tag=…[;early-only]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = scan::trim(text);
        let (call_id, params) = text.split_at(text.find(';')?);
        let params = Params::parse(params)?;
        let tag = |name: &str| params.get(name).map(std::borrow::Cow::into_owned).filter(|tag| !tag.is_empty());
        let call_id = scan::trim(call_id);
        let is_one = !call_id.is_empty() && !call_id.contains([' ', '\t', ',']);
        is_one.then_some(())?;
        Some(Self {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.contains("early-only"),
        })
    }

    /// The same dialog as the other side knows it.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { to_tag: self.from_tag, from_tag: self.to_tag, ..self }
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_call_id_and_both_tags() {
        let read = Replaces::parse("425928@bobster.example.org; to-tag=7743 ;from-tag=6472;early-only").unwrap();
        let expected = Replaces {
            call_id: "425928@bobster.example.org".to_owned(),
            to_tag: "7743".to_owned(),
            from_tag: "6472".to_owned(),
            early_only: true,
        };
        assert_eq!(read, expected);
        assert_eq!(Replaces::parse(&expected.to_string()), Some(expected));
        assert_eq!(
            Replaces::parse("a;from-tag=1;to-tag=2").map(|read| (read.to_tag, read.early_only)),
            Some(("2".into(), false))
        );
    }

    #[test]
    fn half_a_dialog_is_none() {
        for text in [
            "",
            "a",
            "a;to-tag=1",
            "a;from-tag=1",
            ";to-tag=1;from-tag=2",
            "a;to-tag=;from-tag=2",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(text), None, "{text}");
        }
    }
}
