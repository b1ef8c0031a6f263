//! Who phones: a file with one agent a line, `username,secret[,number]`.

use std::path::Path;

use sip::{ClientCredentials, Ha1};

/// An agent's account at the gateway.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The user part of its address, and its digest username.
    pub(crate) name: String,
    /// How it answers challenges.
    pub(crate) credentials: ClientCredentials,
    /// What the carrier dials to reach it.
    pub(crate) number: Option<String>,
}

/// Reads the file. Lines that begin with `#` and empty ones are left out.
pub(crate) fn read(path: &Path, realm: &str) -> anyhow::Result<Vec<User>> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let users: Vec<_> = lines
        .map(|(at, line)| {
            user(line, realm)
                .ok_or_else(|| anyhow::anyhow!("{}:{at}: expected username,secret[,number]", path.display()))
        })
        .collect::<Result<_, _>>()?;
    anyhow::ensure!(!users.is_empty(), "{}: names nobody", path.display());
    Ok(users)
}

fn user(line: &str, realm: &str) -> Option<User> {
    let mut fields = line.split(',').map(str::trim);
    let (name, secret) = (fields.next()?, fields.next()?);
    let number = fields.next().filter(|number| !number.is_empty()).map(str::to_owned);
    if name.is_empty() || secret.is_empty() || fields.next().is_some() {
        return None;
    }
    let ha1 = Ha1::new(name, realm, secret);
    let credentials = ClientCredentials { username: name.to_owned(), realm: realm.to_owned(), ha1 };
    Some(User { name: name.to_owned(), credentials, number })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_users_is_read_and_a_line_that_is_none_is_named() {
        let folder = std::env::temp_dir().join(format!("patchcord-load-{}", std::process::id()));
        std::fs::write(&folder, "# agents\n100, secret one\n\n101,other,+4930111101\n").unwrap();
        let users = read(&folder, "phone.test").unwrap();
        assert_eq!((users[0].name.as_str(), users[0].number.as_deref()), ("100", None));
        assert_eq!(users[0].credentials.ha1, Ha1::new("100", "phone.test", "secret one"));
        assert_eq!(users[1].number.as_deref(), Some("+4930111101"));
        std::fs::write(&folder, "100,secret\n101\n").unwrap();
        assert!(read(&folder, "phone.test").unwrap_err().to_string().contains(":2: expected username"));
        std::fs::remove_file(&folder).unwrap();
    }
}
