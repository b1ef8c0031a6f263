//! Texts in targets with places to fill in: `$0` the dialled number, `$1` to `$9` captures, `$e164` the number in E.164 form (the
//! dialled one when it has none), `$$` a dollar sign.

/// A text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Dialled,
    E164,
    /// From 0.
    Capture(usize),
}

/// What the places are filled with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) dialled: &'a str,
    pub(super) e164: Option<&'a str>,
    pub(super) captures: &'a [&'a str],
}

impl Template {
    /// The E.164 form.
    pub(super) fn e164() -> Self {
        Self(vec![Part::E164])
    }

    /// Reads a template for a pattern with so many captures.
    pub(super) fn parse(text: &str, captures: usize) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            rest = if let Some(after) = after.strip_prefix("e164") {
                parts.push(Part::E164);
                after
            } else if let Some(after) = after.strip_prefix('$') {
                push_text(&mut parts, "$");
                after
            } else {
                let digit = after.chars().next().and_then(|c| c.to_digit(10)).and_then(|d| usize::try_from(d).ok());
                parts.push(match digit {
                    Some(0) => Part::Dialled,
                    Some(n) if n <= captures => Part::Capture(n - 1),
                    Some(n) => return Err(format!("`${n}` is used, but the pattern has {captures} captures")),
                    None => return Err("after `$` comes a digit, `e164` or another `$`".to_owned()),
                });
                after.get(1..).unwrap_or_default()
            };
        }
        push_text(&mut parts, rest);
        if parts.is_empty() { Err("is empty".to_owned()) } else { Ok(Self(parts)) }
    }

    /// The text with its places filled in.
    pub(super) fn fill(&self, filling: Filling<'_>) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Dialled => filling.dialled,
                Part::E164 => filling.e164.unwrap_or(filling.dialled),
                Part::Capture(n) => filling.captures.get(*n).copied().unwrap_or_default(),
            })
            .collect()
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in() {
        let fill = |text: &str| {
            let filling = Filling { dialled: "0301", e164: Some("+49301"), captures: &["30", "1"] };
            Template::parse(text, 2).unwrap().fill(filling)
        };
        assert_eq!(fill("$0/$e164/$2$1/$$5"), "0301/+49301/130/$5");
        assert_eq!(fill("100"), "100");
    }

    #[test]
    fn places_without_a_capture_are_refused() {
        assert!(Template::parse("$3", 2).is_err());
        assert!(Template::parse("$x", 2).is_err());
        assert!(Template::parse("$", 2).is_err());
        assert!(Template::parse("", 2).is_err());
    }
}
