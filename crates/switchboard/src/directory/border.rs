//! What holds where calls leave for a trunk or come from one: whether its word is believed, and which headers change on the way.

use std::borrow::Cow;

use sip::Request;

use super::CallerId;

/// Headers of a trunk's INVITE that phones get at most, and the longest value: a browser's message has to stay readable.
const MOST_PASSED: usize = 16;
const LONGEST_PASSED: usize = 512;

/// Headers that make, route, secure or time a message, or name what is inside: a rule that touched one could break any call.
const PROTECTED: &[&str] = &[
    "Allow",
    "Authentication-Info",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Contact",
    "Event",
    "Expires",
    "From",
    "MIME-Version",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Path",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Record-Route",
    "Refer-To",
    "Replaces",
    "Require",
    "Route",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Subscription-State",
    "Supported",
    "Target-Dialog",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "WWW-Authenticate",
];

/// What phones may be told of a trunk's INVITE, beside `X-…`: nothing that has them act or that names a caller who hides.
const PASSABLE: &[&str] = &["Diversion", "History-Info", "Priority", "Subject", "User-to-User"];

/// A trunk as a peer.
#[derive(Debug, Clone, Default)]
pub struct Border {
    /// How calls present themselves to it.
    pub caller_id: CallerId,
    /// Its P-Asserted-Identity and Remote-Party-ID are believed, and it is told who calls even when the caller hides (RFC 3325 §5).
    pub trusted: bool,
    /// Applied in their order to every INVITE that begins a call.
    pub header_rules: Vec<HeaderRule>,
    /// Headers of its INVITEs that phones get too.
    pub pass_headers: Vec<String>,
}

/// One change of an INVITE's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    /// Whose INVITEs.
    pub direction: RuleDirection,
    /// The header's long name.
    pub name: String,
    /// What becomes of it.
    pub action: RuleAction,
}

/// Which INVITEs a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleDirection {
    /// Those that come from the trunk, before anything else is read in them.
    Inbound,
    /// Those that leave for it, after everything else was written.
    Outbound,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleAction {
    /// One more with this value.
    Add(String),
    /// This value alone.
    Set(String),
    /// None.
    Remove,
    /// All of them under this name.
    Rename(String),
}

/// Whether header rules may touch a header. One letter may stand for any of the others (RFC 3261 §7.3.3).
#[must_use]
pub fn may_change_header(name: &str) -> bool {
    let is_content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
    name.len() > 1 && !is_content && !PROTECTED.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a header of a trunk's INVITE may be handed to phones.
#[must_use]
pub fn may_pass_header(name: &str) -> bool {
    let is_private = name.len() > 2 && name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"));
    is_private || PASSABLE.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl Border {
    fn rules(&self, direction: RuleDirection) -> impl Iterator<Item = &HeaderRule> {
        self.header_rules.iter().filter(move |rule| rule.direction == direction && may_change_header(&rule.name))
    }

    /// An INVITE of the trunk's as its rules would have it.
    pub(crate) fn arriving<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        let mut request = Cow::Borrowed(request);
        for rule in self.rules(RuleDirection::Inbound) {
            let headers = &mut request.to_mut().headers;
            match &rule.action {
                RuleAction::Add(value) => headers.push(&rule.name, value.as_str()),
                RuleAction::Set(value) => headers.set(&rule.name, value.as_str()),
                RuleAction::Remove => {
                    headers.remove(&rule.name);
                }
                RuleAction::Rename(to) => {
                    let values: Vec<String> = headers.get_all(&rule.name).map(str::to_owned).collect();
                    headers.remove(&rule.name);
                    values.into_iter().for_each(|value| headers.push(to, value));
                }
            }
        }
        request
    }

    /// What an INVITE for the trunk says beside what every INVITE says, as its rules would have it.
    pub(crate) fn leaving(&self, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
        for rule in self.rules(RuleDirection::Outbound) {
            let is_meant = |(name, _): &(String, String)| name.eq_ignore_ascii_case(&rule.name);
            match &rule.action {
                RuleAction::Add(value) => headers.push((rule.name.clone(), value.clone())),
                RuleAction::Set(value) => {
                    headers.retain(|header| !is_meant(header));
                    headers.push((rule.name.clone(), value.clone()));
                }
                RuleAction::Remove => headers.retain(|header| !is_meant(header)),
                RuleAction::Rename(to) => {
                    headers.iter_mut().filter(|header| is_meant(header)).for_each(|header| header.0.clone_from(to));
                }
            }
        }
        headers
    }

    /// What phones are told of an INVITE of the trunk's, word for word.
    pub(crate) fn passed(&self, request: &Request) -> Vec<(String, String)> {
        let named = self.pass_headers.iter().filter(|name| may_pass_header(name));
        let lines = named.flat_map(|name| request.headers.get_all(name).map(|value| (name.clone(), value.to_owned())));
        lines.filter(|(_, value)| value.len() <= LONGEST_PASSED).take(MOST_PASSED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_a_call_is_no_header_rules_to_touch() {
        for name in ["Via", "FROM", "call-id", "Content-Type", "content-anything", "Proxy-Authorization", "v", "y", ""]
        {
            assert!(!may_change_header(name), "{name}");
        }
        for name in ["X-Campaign", "P-Asserted-Identity", "Privacy", "Diversion", "Contented"] {
            assert!(may_change_header(name), "{name}");
        }
    }

    #[test]
    fn phones_are_told_nothing_that_has_them_act_or_names_who_hides() {
        for name in ["Call-Info", "Alert-Info", "P-Asserted-Identity", "Remote-Party-ID", "Identity", "X-", "é-a"] {
            assert!(!may_pass_header(name), "{name}");
        }
        assert!(may_pass_header("x-campaign") && may_pass_header("user-to-user"));
    }
}
