//! `patchcord import-freeswitch`: FreeSWITCH's users and gateways become agents, extensions, credentials and trunks. Everything is read
//! and checked before anything is made; what exists already is left as it is, so that a second run goes on where a first one
//! failed, and otherwise changes nothing. Dialplans are not carried over.

mod gateways;
#[cfg(test)]
mod tests;
mod users;
mod xml;

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use crate::api::{Problem, validate};
use crate::identifier::new_secret;
use crate::store::{Agent, Credential, Extension, Page, Store, StoreError, Trunk};
use gateways::Gateway;
use users::User;
pub use xml::FolderError;
use xml::Reader;

/// Rows read in one step.
const PAGE: i64 = 200;

/// What was found out or done, one thing at a time. A secret is known nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something was made, or would be.
    Made {
        /// What kind of thing: `agent`, `extension`, `credential` or `trunk`.
        kind: &'static str,
        /// Its name or number.
        name: String,
        /// How it signs in, when that is new.
        secret: Option<String>,
    },
    /// It is there already and was left as it is.
    There {
        /// What kind of thing.
        kind: &'static str,
        /// Its name or number.
        name: String,
    },
    /// Part of something could not be carried over.
    Dropped {
        /// Where it stands: file and line.
        place: String,
        /// What it is, and why.
        what: String,
    },
    /// Something could not be carried over at all.
    Refused {
        /// Where it stands: file and line.
        place: String,
        /// What it is, and why.
        what: String,
    },
}

/// Why an import ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The folder cannot be read; nothing was made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database failed; what was told as made is there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import would like to make, checked by the API's own rules.
struct Plan {
    people: Vec<Person>,
    trunks: Vec<(Gateway, Trunk)>,
}

struct Person {
    user: User,
    agent: Agent,
    extension: Extension,
}

/// Imports a folder. With `dry_run` nothing is made, and told what would be. `domain` is what the users' domain is called, whatever the
/// files say. Each thing is told to `show` as soon as it is made.
///
/// # Errors
/// When the folder cannot be read, or the database fails.
pub async fn import(
    store: &Store,
    folder: &Path,
    domain: Option<&str>,
    dry_run: bool,
    mut show: impl FnMut(News),
) -> Result<(), ImportError> {
    let (elements, reader) = Reader::read(folder)?;
    let plan = plan(store, users::users(&elements, domain), gateways::gateways(&elements), &mut show);
    for note in reader.notes {
        show(News::Dropped { place: "X-PRE-PROCESS".to_owned(), what: note });
    }
    if folder.join("dialplan").is_dir() {
        let what = "routing rules are written anew, in the dialplan's TOML files".to_owned();
        show(News::Dropped { place: "dialplan/".to_owned(), what });
    }
    let mut making = Making { store, dry_run, show };
    making.people(plan.people).await?;
    making.trunks(plan.trunks).await
}

fn plan(store: &Store, users: Vec<User>, gateways: Vec<Gateway>, show: &mut impl FnMut(News)) -> Plan {
    let mut plan = Plan { people: Vec::new(), trunks: Vec::new() };
    for user in users {
        for rest in &user.rest {
            show(News::Dropped { place: user.place.clone(), what: format!("user {}: {rest}", user.id) });
        }
        let number = user.caller_id_number.as_deref().and_then(e164);
        if let (None, Some(given)) = (&number, &user.caller_id_number) {
            let what = format!("user {}: caller ID {given}: is no E.164 number", user.id);
            show(News::Dropped { place: user.place.clone(), what });
        }
        let name = user.display_name.clone().unwrap_or_else(|| format!("Extension {}", user.id));
        let agent = json!({"external_id": external_id(&user), "display_name": name, "caller_id_number": number});
        match (validate::agent(agent), validate::extension(json!({"number": user.id}))) {
            (Ok(agent), Ok(extension)) => plan.people.push(Person { user, agent, extension }),
            (Err(problem), _) | (_, Err(problem)) => {
                show(News::Refused { what: format!("user {}: {}", user.id, faults(&problem)), place: user.place });
            }
        }
    }
    for gateway in gateways {
        for rest in &gateway.rest {
            show(News::Dropped { place: gateway.place.clone(), what: format!("gateway {}: {rest}", gateway.name) });
        }
        let checked = validate::trunk(gateway.trunk.clone());
        match checked.and_then(|trunk| validate::keep_secrets(store, None, trunk)) {
            Ok(trunk) => plan.trunks.push((gateway, trunk)),
            Err(problem) => {
                let what = format!("gateway {}: {}", gateway.name, faults(&problem));
                show(News::Refused { place: gateway.place, what });
            }
        }
    }
    plan
}

/// How a user is known again.
fn external_id(user: &User) -> String {
    format!("freeswitch:{}@{}", user.id, user.domain)
}

fn faults(problem: &Problem) -> String {
    let faults: Vec<_> = problem.errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect();
    faults.join("; ")
}

/// A number as people write it, in E.164 form, when it says its country.
fn e164(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !" -./()".contains(*c)).collect();
    let digits = number.strip_prefix('+').or_else(|| number.strip_prefix("00"))?;
    let fits =
        (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    fits.then(|| format!("+{digits}"))
}

/// Making what is not there yet.
struct Making<'a, F> {
    store: &'a Store,
    dry_run: bool,
    show: F,
}

impl<F: FnMut(News)> Making<'_, F> {
    async fn people(&mut self, people: Vec<Person>) -> Result<(), StoreError> {
        let agents = self.all(Store::agents).await?;
        let mut agents: HashMap<_, _> =
            agents.into_iter().filter_map(|row| Some((row.value.external_id?, row.id))).collect();
        let extensions = self.all(Store::extensions).await?;
        let mut extensions: HashMap<_, _> =
            extensions.into_iter().map(|row| (row.value.number.clone(), (row.id, row.value.agent_id))).collect();
        for Person { user, agent, mut extension } in people {
            let external_id = external_id(&user);
            let known = agents.get(&external_id).cloned();
            if let Some((_, owner)) = extensions.get(&user.id)
                && (owner.is_none() || *owner != known)
            {
                let what = format!("user {}: somebody else has this extension already", user.id);
                (self.show)(News::Refused { place: user.place, what });
                continue;
            }
            let agent_id = match known {
                Some(id) => {
                    self.there("agent", &external_id);
                    id
                }
                None => {
                    let id = if self.dry_run { String::new() } else { self.store.create_agent(agent).await?.id };
                    self.made("agent", &external_id, None);
                    agents.insert(external_id, id.clone());
                    id
                }
            };
            let extension_id = match extensions.get(&user.id) {
                Some((id, _)) => {
                    self.there("extension", &user.id);
                    id.clone()
                }
                None => {
                    extension.agent_id = Some(agent_id.clone());
                    let id =
                        if self.dry_run { String::new() } else { self.store.create_extension(extension).await?.id };
                    self.made("extension", &user.id, None);
                    extensions.insert(user.id.clone(), (id.clone(), Some(agent_id)));
                    id
                }
            };
            self.credential(&user, extension_id).await?;
        }
        Ok(())
    }

    async fn credential(&mut self, user: &User, extension_id: String) -> Result<(), StoreError> {
        let one = Page { after: String::new(), limit: 1 };
        if !self.store.credentials(&extension_id, &one).await?.is_empty() {
            self.there("credential", &user.id);
            return Ok(());
        }
        let credential = Credential { extension_id, username: user.id.clone(), tag: Some("FreeSWITCH".to_owned()) };
        let hash = user.a1_hash.as_deref().and_then(|hash| hex::decode(hash).ok()?.try_into().ok());
        let is_ours = user.domain == self.store.realm();
        match hash.filter(|_| is_ours) {
            Some(md5) => {
                if !self.dry_run {
                    self.store.create_credential_of(credential, md5).await?;
                }
                self.made("credential", &user.id, None);
                let what = format!(
                    "user {}: keeps its secret by a1-hash, for clients that use MD5 (SIP.js, JsSIP) only",
                    user.id
                );
                (self.show)(News::Dropped { place: user.place.clone(), what });
            }
            None => {
                if user.a1_hash.is_some() {
                    let why = if is_ours {
                        "is no MD5 digest".to_owned()
                    } else {
                        format!("is for the domain {}, not {}", user.domain, self.store.realm())
                    };
                    let what = format!("user {}: a1-hash {why}: has a new secret", user.id);
                    (self.show)(News::Dropped { place: user.place.clone(), what });
                }
                let secret = new_secret();
                if !self.dry_run {
                    self.store.create_credential(credential, &secret).await?;
                }
                self.made("credential", &user.id, Some(secret).filter(|_| !self.dry_run));
            }
        }
        Ok(())
    }

    async fn trunks(&mut self, trunks: Vec<(Gateway, Trunk)>) -> Result<(), ImportError> {
        let mut names: Vec<_> = self.all(Store::trunks).await?.into_iter().map(|row| row.value.name).collect();
        for (_, trunk) in trunks {
            let name = trunk.name.clone();
            if names.contains(&name) {
                self.there("trunk", &name);
                continue;
            }
            if !self.dry_run {
                self.store.create_trunk(trunk).await?;
            }
            self.made("trunk", &name, None);
            names.push(name);
        }
        Ok(())
    }

    /// All rows of a table, page by page.
    async fn all<T>(
        &self,
        page: impl AsyncFn(&Store, &Page) -> Result<Vec<crate::store::Stored<T>>, StoreError>,
    ) -> Result<Vec<crate::store::Stored<T>>, StoreError> {
        let mut rows: Vec<crate::store::Stored<T>> = Vec::new();
        loop {
            let after = rows.last().map(|row| row.id.clone()).unwrap_or_default();
            let more = page(self.store, &Page { after, limit: PAGE }).await?;
            if more.is_empty() {
                return Ok(rows);
            }
            rows.extend(more);
        }
    }

    fn made(&mut self, kind: &'static str, name: &str, secret: Option<String>) {
        (self.show)(News::Made { kind, name: name.to_owned(), secret });
    }

    fn there(&mut self, kind: &'static str, name: &str) {
        (self.show)(News::There { kind, name: name.to_owned() });
    }
}
