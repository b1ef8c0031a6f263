//! E.164 forms of dialled numbers (ITU-T E.164, E.123): how people at this place write and dial them.

/// The shortest and longest number of a subscriber, digits without `+`. E.164 §6 sets 15; below 7 nothing is internationally
/// dialable.
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// What is dialled before what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbering {
    /// Digits without `+`, e.g. `49`.
    pub(super) country_code: Option<String>,
    /// Before a country code, e.g. `00` or `011`.
    pub(super) international_prefix: Option<String>,
    /// Before an area code, e.g. `0` or `1`. May be empty where there is none.
    pub(super) national_prefix: Option<String>,
}

impl Numbering {
    /// The E.164 form (`+` and digits), when the settings give the number one.
    pub(super) fn e164(&self, dialled: &str) -> Option<String> {
        let digits = self.international_digits(dialled)?;
        let valid = E164_DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        valid.then(|| format!("+{digits}"))
    }

    fn international_digits(&self, dialled: &str) -> Option<String> {
        if let Some(digits) = dialled.strip_prefix('+') {
            return Some(digits.to_owned());
        }
        let after = |prefix: &Option<String>| prefix.as_deref().and_then(|prefix| dialled.strip_prefix(prefix));
        if let Some(digits) = after(&self.international_prefix) {
            return Some(digits.to_owned());
        }
        let (country, national) = (self.country_code.as_deref()?, after(&self.national_prefix)?);
        Some(format!("{country}{national}"))
    }
}

/// The number without the signs people write between digits (E.123 §7): spaces, `-`, `.`, `/`, parentheses. Only where nothing but
/// such signs and digits follow a possible `+`: a name keeps its dots.
pub(super) fn without_separators(dialled: &str) -> String {
    let separator = |c: char| matches!(c, ' ' | '-' | '.' | '/' | '(' | ')');
    if dialled.chars().all(|c| c.is_ascii_digit() || c == '+' || separator(c)) {
        dialled.chars().filter(|c| !separator(*c)).collect()
    } else {
        dialled.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn german_ways_of_dialling_have_one_e164_form() {
        let german = Numbering {
            country_code: Some("49".into()),
            international_prefix: Some("00".into()),
            national_prefix: Some("0".into()),
        };
        for dialled in ["+49 30 123456", "004930123456", "030/123456", "(030) 123-456"] {
            assert_eq!(german.e164(&without_separators(dialled)).as_deref(), Some("+4930123456"), "{dialled}");
        }
        for dialled in ["110", "100", "alice", "+49x", "+1234567890123456", "0"] {
            assert_eq!(german.e164(&without_separators(dialled)), None, "{dialled}");
        }
        assert_eq!(without_separators("anna.b"), "anna.b");
    }

    #[test]
    fn without_settings_only_plus_makes_e164() {
        assert_eq!(Numbering::default().e164("+4930123456").as_deref(), Some("+4930123456"));
        assert_eq!(Numbering::default().e164("004930123456"), None);
    }
}
