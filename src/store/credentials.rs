//! Credentials: usernames with their digests (HA1, RFC 7616 §3.4.2). Secrets pass through, they are never stored.

use sip::Ha1;

use super::sql::{commit, execute, rows};
use super::{Credential, Page, Store, StoreError, Stored, Timestamp};

type Row = Stored<Credential>;

impl Store {
    /// Makes a credential for an extension. The secret is forgotten as soon as its digests are known.
    ///
    /// # Errors
    /// When the username is taken, the extension does not exist, or the database fails.
    pub async fn create_credential(&self, credential: Credential, secret: &str) -> Result<Row, StoreError> {
        let ha1 = Ha1::new(&credential.username, self.realm(), secret);
        self.insert_credential(credential, &ha1).await
    }

    /// Makes a credential whose secret is known by its MD5 digest alone, for this realm: good for clients that use MD5. A client that
    /// prefers SHA-256 is refused until the secret is rotated.
    ///
    /// # Errors
    /// As [`Store::create_credential`].
    pub async fn create_credential_of(&self, credential: Credential, md5: [u8; 16]) -> Result<Row, StoreError> {
        // In the place of the digest that cannot be known stands one that no secret has.
        self.insert_credential(credential, &Ha1 { md5, sha256: rand::random() }).await
    }

    async fn insert_credential(&self, credential: Credential, ha1: &Ha1) -> Result<Row, StoreError> {
        let row = Stored::new("crd", credential);
        let credential = &row.value;
        commit!(
            self,
            "INSERT INTO credentials (id, version, created_at, updated_at, extension_id, username, tag, realm, ha1_md5, \
             ha1_sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &row.id,
            row.version,
            row.created_at,
            row.updated_at,
            &credential.extension_id,
            &credential.username,
            &credential.tag,
            self.realm(),
            hex::encode(ha1.md5),
            hex::encode(ha1.sha256)
        )
        .map_err(|error| StoreError::of_write(error, &["username"], "extension_id"))?;
        self.publish_change().await;
        Ok(row)
    }

    /// One credential.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn credential(&self, id: &str) -> Result<Row, StoreError> {
        let sql =
            "SELECT id, version, created_at, updated_at, extension_id, username, tag FROM credentials WHERE id = $1";
        rows!(self, Row, fetch_optional, sql, id)?.ok_or(StoreError::NotFound("credential"))
    }

    /// The credentials of an extension, a page of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn credentials(&self, extension_id: &str, page: &Page) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT id, version, created_at, updated_at, extension_id, username, tag FROM credentials \
                   WHERE extension_id = $1 AND id > $2 ORDER BY id LIMIT $3";
        Ok(rows!(self, Row, fetch_all, sql, extension_id, &page.after, page.limit)?)
    }

    /// Gives a credential that still has this version another secret; the old one is worthless at once.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Changed`], or when the database fails.
    pub async fn rotate_credential(&self, id: &str, version: i64, secret: &str) -> Result<Row, StoreError> {
        let credential = self.credential(id).await?;
        let ha1 = Ha1::new(&credential.value.username, self.realm(), secret);
        let done = commit!(
            self,
            "UPDATE credentials SET version = version + 1, updated_at = $3, realm = $4, ha1_md5 = $5, ha1_sha256 = $6 \
             WHERE id = $1 AND version = $2",
            id,
            version,
            Timestamp::now(),
            self.realm(),
            hex::encode(ha1.md5),
            hex::encode(ha1.sha256)
        )?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        self.credential(id).await
    }

    /// Says what a credential that still has this version is for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Changed`], or when the database fails.
    pub async fn tag_credential(&self, id: &str, version: i64, tag: Option<&str>) -> Result<Row, StoreError> {
        let done = execute!(
            self,
            "UPDATE credentials SET version = version + 1, updated_at = $3, tag = $4 WHERE id = $1 AND version = $2",
            id,
            version,
            Timestamp::now(),
            tag
        )?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.credential(id).await
    }

    /// Deletes a credential that still has this version.
    ///
    /// # Errors
    /// [`StoreError::Changed`], or when the database fails.
    pub async fn delete_credential(&self, id: &str, version: i64) -> Result<(), StoreError> {
        if commit!(self, "DELETE FROM credentials WHERE id = $1 AND version = $2", id, version)? == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        Ok(())
    }
}
