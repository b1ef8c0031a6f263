//! Who a trunk says is calling: From, P-Asserted-Identity (RFC 3325) and Privacy (RFC 3323). Trunks are trusted peers, agents are not.

use sip::{NameAddr, Request, Uri};

/// Shown in place of a caller who has no number or hides it (RFC 3323 §4.1.1.3).
const ANONYMOUS: &str = "anonymous";

/// A caller as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// In E.164 where it has such a form, else as it was presented.
    pub(crate) number: String,
    pub(crate) display: String,
}

impl Identity {
    /// The caller of a trunk's INVITE: the number it presents, else the one the trunk asserts, unless it asks for privacy. `e164`
    /// brings a number to its one form.
    pub(crate) fn of(request: &Request, e164: impl Fn(&str) -> Option<String>) -> Self {
        let from = request.headers.from().ok().flatten();
        let asserted = request.headers.name_addrs("P-Asserted-Identity").unwrap_or_default();
        if !is_private(request)
            && let Some((number, address)) = from.iter().chain(&asserted).find_map(|a| Some((number(&a.uri)?, a)))
        {
            let number = e164(&number).unwrap_or(number);
            let display = address.display.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| number.clone());
            return Self { number, display };
        }
        Self { number: ANONYMOUS.to_owned(), display: "Anonymous".to_owned() }
    }
}

/// Our word for a number towards a trunk; only for what is a number.
pub(crate) fn asserted(from: &NameAddr) -> Option<NameAddr> {
    let user = from.uri.user()?;
    crate::number::is_number(&user).then(|| NameAddr::new(from.uri.clone()))
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

/// `session` concerns addresses in SDP only, which a back-to-back user agent hides anyway.
fn is_private(request: &Request) -> bool {
    let hides = |wish: &str| ["id", "user", "header", "full"].iter().any(|word| wish.trim().eq_ignore_ascii_case(word));
    request.headers.get_all("Privacy").any(|value| value.split([';', ',']).any(hides))
}
