//! Telephone numbers as carriers write them. What a number without a prefix means is the dialplan's to say; nothing is guessed.

/// E.164 has at most 15 digits; below 7 it is an extension or a service.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// `+49…` for `+49…` and `0049…`, visual separators dropped; `None` for everything else: bare digits may be a national number.
pub(crate) fn e164(text: &str) -> Option<String> {
    let text = without_separators(text);
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00"))?;
    // No country code starts with 0.
    (is_digits(digits) && !digits.starts_with('0')).then(|| format!("+{digits}"))
}

/// `+49…` for `49…`: what bare digits are when they are an international number written without its plus. Also short ones, for a number
/// that is known to be one.
pub(crate) fn with_plus(text: &str) -> Option<String> {
    let digits = without_separators(text);
    let fits = digits.len() <= *DIGITS.end() && digits.bytes().all(|b| b.is_ascii_digit());
    (fits && !digits.is_empty()).then(|| format!("+{digits}"))
}

/// Whether a text is a telephone number, in whatever form.
pub(crate) fn is_number(text: &str) -> bool {
    is_digits(text.strip_prefix('+').unwrap_or(text))
}

fn is_digits(text: &str) -> bool {
    DIGITS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn without_separators(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn international_spellings_of_a_number_are_the_same_number() {
        for text in ["+4930123456", "004930123456", "+49 (30) 123-456"] {
            assert_eq!(e164(text).as_deref(), Some("+4930123456"), "{text}");
        }
        assert_eq!(with_plus("4930-123456").as_deref(), Some("+4930123456"));
    }

    #[test]
    fn bare_digits_and_what_is_no_number_have_no_international_form() {
        for text in
            ["2025550100", "4930123456", "anonymous", "100", "", "+49301234567890123", "0301234567", "+0301234567"]
        {
            assert_eq!(e164(text), None, "{text}");
        }
        for text in ["+4930123456", "", "anonymous"] {
            assert_eq!(with_plus(text), None, "{text}");
        }
        assert!(is_number("+4930123456") && is_number("4930123456") && !is_number("100") && !is_number("anonymous"));
    }
}
