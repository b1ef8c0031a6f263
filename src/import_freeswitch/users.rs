//! FreeSWITCH's users as agents, extensions and credentials.

use std::collections::BTreeMap;

use super::xml::Element;

/// A user, as far as the gateway has use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// Its id: number of the extension, and username.
    pub(super) id: String,
    /// The domain it is in, which is the realm of its `a1-hash`.
    pub(super) domain: String,
    pub(super) display_name: Option<String>,
    pub(super) caller_id_number: Option<String>,
    /// MD5 of `id:domain:password`, in lower-case hexadecimal digits.
    pub(super) a1_hash: Option<String>,
    /// The settings it has beside those, which mean nothing here.
    pub(super) rest: Vec<String>,
    pub(super) place: String,
}

/// Every user of every domain; `domain` in the place of what the files call it.
pub(super) fn users(elements: &[Element], domain: Option<&str>) -> Vec<User> {
    let mut found = Vec::new();
    for element in elements {
        search(element, domain, "", &mut found);
    }
    found
}

fn search(element: &Element, forced: Option<&str>, domain: &str, found: &mut Vec<User>) {
    let domain = match element.name.as_str() {
        "domain" => forced.or(element.attribute("name")).unwrap_or(domain),
        "user" => {
            // A pointer names a user that stands elsewhere.
            if element.attribute("type") != Some("pointer") {
                found.extend(user(element, forced.unwrap_or(domain)));
            }
            domain
        }
        _ => domain,
    };
    element.children.iter().for_each(|child| search(child, forced, domain, found));
}

fn user(element: &Element, domain: &str) -> Option<User> {
    let id = element.attribute("id")?.to_owned();
    let mut params = element.settings("params", "param");
    let mut variables = element.settings("variables", "variable");
    // The secret in clear is not carried over: it stood in a file, often the same for everybody.
    params.remove("password");
    let a1_hash = params.remove("a1-hash").map(|hash| hash.to_ascii_lowercase());
    let display_name = variables.remove("effective_caller_id_name");
    let internal = variables.remove("effective_caller_id_number").filter(|number| *number != id);
    let caller_id_number = variables.remove("outbound_caller_id_number").or(internal);
    // What an agent's name towards the public network would be: carriers show their own.
    variables.remove("outbound_caller_id_name");
    let mut rest = named("parameter", params);
    rest.extend(named("variable", variables));
    for attribute in ["cidr", "number-alias"] {
        rest.extend(element.attribute(attribute).map(|value| format!("attribute {attribute}={value}")));
    }
    Some(User {
        id,
        domain: domain.to_owned(),
        display_name,
        caller_id_number,
        a1_hash,
        rest,
        place: element.place.clone(),
    })
}

fn named(kind: &str, settings: BTreeMap<String, String>) -> Vec<String> {
    // A voicemail PIN is a secret, and stays in its file.
    settings.into_keys().map(|name| format!("{kind} {name}")).collect()
}
