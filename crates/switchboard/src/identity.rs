//! Who calls: what a trunk says of its caller by From, P-Asserted-Identity (RFC 3325), Remote-Party-ID and Privacy (RFC 3323), what
//! an agent wants to be shown as, and what of it goes on to others. How a call is presented to a trunk: `call/presenting.rs`.

use sip::{NameAddr, Request, Uri};

/// Shown in place of a caller who has no number or hides it (RFC 3323 §4.1.1.3).
pub(crate) const ANONYMOUS: &str = "anonymous";

/// A name longer than this is no name but a message.
const LONGEST_NAME: usize = 64;

/// Identity headers that are passed on at most: each diversion on the way may have added one (RFC 8946).
const MOST_SIGNATURES: usize = 8;

/// A caller as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// In E.164 where it has such a form, else as it was presented.
    pub(crate) number: String,
    pub(crate) display: String,
}

impl Identity {
    /// The caller of a trunk's INVITE: the number a trusted trunk asserts, else the one that is presented, unless privacy is asked for.
    /// `e164` brings a number to its one form.
    pub(crate) fn of(request: &Request, is_trusted: bool, e164: impl Fn(&str) -> Option<String>) -> Self {
        let from = request.headers.from().ok().flatten();
        let told = |name| request.headers.name_addrs(name).unwrap_or_default();
        let (asserted, party) =
            if is_trusted { (told("P-Asserted-Identity"), told("Remote-Party-ID")) } else { (Vec::new(), Vec::new()) };
        let hides = is_private(request) || party.first().is_some_and(hides_party);
        if !hides
            && let Some((number, address)) =
                asserted.iter().chain(&party).chain(from.as_deref()).find_map(|a| Some((number(&a.uri)?, a)))
        {
            let number = e164(&number).unwrap_or(number);
            let display = address.display.as_deref().and_then(shown_name).unwrap_or_else(|| number.clone());
            return Self { number, display };
        }
        Self { number: ANONYMOUS.to_owned(), display: "Anonymous".to_owned() }
    }
}

/// What a caller's INVITE says of it beside its number, as far as it goes on to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The number an agent wants to show outside, one of its own.
    pub(crate) chosen: Option<String>,
    /// Nobody outside shall be told who calls.
    pub(crate) is_anonymous: bool,
    /// Told to trunks word for word: Identity, and the Date that was signed with it (RFC 8224 §4).
    pub(crate) signed: Vec<(String, String)>,
    /// Told to phones word for word.
    pub(crate) passed: Vec<(String, String)>,
}

impl Introduction {
    /// What an agent asks for; `own` tells whether a number is one it may show, in its one form.
    ///
    /// # Errors
    /// The number that is not.
    pub(crate) fn of_agent(
        request: &Request,
        extension: &str,
        own: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let is_anonymous =
            is_private(request) || request.headers.from().ok().flatten().is_some_and(|from| hides_from(&from));
        let preferred = request.headers.name_addrs("P-Preferred-Identity").unwrap_or_default();
        // Who names itself by its extension, as some phones always do, asks for nothing special.
        let wanted = preferred.iter().filter_map(|address| user_of(&address.uri)).find(|user| user != extension);
        let chosen = wanted.map(|number| own(&number).ok_or(number)).transpose()?;
        Ok(Self { chosen, is_anonymous, ..Self::default() })
    }

    /// What a trunk's INVITE says.
    pub(crate) fn of_trunk(request: &Request, passed: Vec<(String, String)>) -> Self {
        let lines = |name: &'static str, most: usize| {
            let headers = request.headers.iter().filter(move |header| header.name() == name);
            // What is no text was never signed, and could not be said again byte for byte.
            let texts = headers.filter_map(|header| std::str::from_utf8(header.value().as_bytes()).ok());
            texts.take(most).map(move |value| (name.to_owned(), value.to_owned()))
        };
        let mut signed: Vec<_> = lines("Identity", MOST_SIGNATURES).collect();
        if !signed.is_empty() {
            signed.extend(lines("Date", 1));
        }
        Self { is_anonymous: is_private(request), signed, passed, ..Self::default() }
    }
}

/// A name fit to be shown: one line, without what is invisible or turns the writing around, and no longer than a name.
fn shown_name(name: &str) -> Option<String> {
    let is_shown = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let name: String = name.chars().filter(is_shown).take(LONGEST_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The user part of a Request-URI or an address, without the parameters some carriers hang onto it.
pub(crate) fn user_of(uri: &Uri) -> Option<String> {
    let text = match uri {
        Uri::Tel(tel) => tel.digits().into_owned(),
        Uri::Sip(_) | Uri::Other { .. } => uri.user()?.split(';').next()?.to_owned(),
    };
    (!text.is_empty()).then_some(text)
}

fn number(uri: &Uri) -> Option<String> {
    let hidden = ["anonymous", "unknown", "unavailable", "restricted"];
    user_of(uri).filter(|user| !hidden.iter().any(|word| user.eq_ignore_ascii_case(word)))
}

/// Whether a From hides its number.
fn hides_from(from: &NameAddr) -> bool {
    let is_nobody = from.uri.host().is_some_and(|host| host.to_string().eq_ignore_ascii_case("anonymous.invalid"));
    is_nobody || from.uri.user().is_some_and(|user| user.eq_ignore_ascii_case(ANONYMOUS))
}

/// Whether Remote-Party-ID asks for privacy.
fn hides_party(party: &NameAddr) -> bool {
    party.params.get("privacy").is_some_and(|wish| !wish.eq_ignore_ascii_case("off"))
}

/// `session` concerns addresses in SDP only, which a back-to-back user agent hides anyway.
fn is_private(request: &Request) -> bool {
    let hides = |wish: &str| ["id", "user", "header", "full"].iter().any(|word| wish.trim().eq_ignore_ascii_case(word));
    request.headers.get_all("Privacy").any(|value| value.split([';', ',']).any(hides))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_what_could_deceive() {
        assert_eq!(shown_name(" Jane\u{202e} Doe\u{7}\u{200b} ").as_deref(), Some("Jane Doe"));
        assert_eq!(shown_name("\u{202e}\t"), None);
        assert_eq!(shown_name(&"x".repeat(500)).map(|name| name.len()), Some(LONGEST_NAME));
    }
}
