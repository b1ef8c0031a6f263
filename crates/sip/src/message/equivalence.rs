//! When two URIs name the same resource (RFC 3261 §19.1.4, RFC 3966 §4).

use smol_str::SmolStr;

use super::escape::unescape;
use super::params::Params;
use super::uri::{SipUri, Uri};

impl Uri {
    /// Whether both name the same resource by RFC 3261 §19.1.4 (and RFC 3966 §4 for tel). Not transitive, hence not `==`.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.is_equivalent(b),
            (Self::Tel(a), Self::Tel(b)) => {
                a.digits().eq_ignore_ascii_case(&b.digits()) && same_params_all(&a.params, &b.params)
            }
            (Self::Other { .. }, Self::Other { .. }) => self == other,
            (Self::Sip(_) | Self::Tel(_) | Self::Other { .. }, _) => false,
        }
    }
}

impl SipUri {
    fn is_equivalent(&self, other: &Self) -> bool {
        let same_text = |a: &Option<SmolStr>, b: &Option<SmolStr>| match (a, b) {
            (Some(a), Some(b)) => unescape(a) == unescape(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same_headers = self.headers.len() == other.headers.len()
            && self.headers.iter().all(|(name, value)| {
                other.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && unescape(v) == unescape(value))
            });
        self.secure == other.secure
            && same_text(&self.raw_user, &other.raw_user)
            && same_text(&self.raw_password, &other.raw_password)
            && self.host.is_same(&other.host)
            && self.port == other.port
            && same_params(&self.params, &other.params)
            && same_headers
    }
}

/// Parameters present in both must match; these four must be in both or in neither (RFC 3261 §19.1.4).
fn same_params(a: &Params, b: &Params) -> bool {
    ["user", "ttl", "method", "maddr", "transport"].iter().all(|name| a.contains(name) == b.contains(name))
        && a.iter().all(|(name, value)| match b.raw(name) {
            Some(other) => same_value(value, other),
            None => true,
        })
}

fn same_params_all(a: &Params, b: &Params) -> bool {
    let covers = |a: &Params, b: &Params| a.iter().all(|(n, v)| b.raw(n).is_some_and(|other| same_value(v, other)));
    covers(a, b) && covers(b, a)
}

fn same_value(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => unescape(a).eq_ignore_ascii_case(&unescape(b)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    #[test]
    fn equivalence_follows_rfc_3261_19_1_4() {
        let same = |a: &str, b: &str| uri(a).is_equivalent(&uri(b));
        assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!same("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"));
    }
}
