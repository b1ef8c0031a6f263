//! Telephone numbers as carriers write them, brought to E.164 (`+` and digits).

/// `+49…` for `+49…`, `0049…` and `49…`, visual separators dropped; `None` when it is no international number.
pub(crate) fn e164(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(&text);
    // E.164 has at most 15 digits; below 7 it is an extension or a service, and no country code starts with 0.
    let plausible = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    (plausible && digits.bytes().all(|b| b.is_ascii_digit())).then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_of_a_number_is_the_same_number() {
        for text in ["+4930123456", "004930123456", "4930123456", "+49 (30) 123-456"] {
            assert_eq!(e164(text).as_deref(), Some("+4930123456"), "{text}");
        }
        for text in ["anonymous", "100", "", "+49301234567890123", "0301234567"] {
            assert_eq!(e164(text), None, "{text}");
        }
    }
}
