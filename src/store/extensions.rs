//! Extensions.

use super::sql::{commit, rows};
use super::{Extension, Page, Store, StoreError, Stored};

type Row = Stored<Extension>;

const UNIQUE: &[&str] = &["number"];

impl Store {
    /// Makes an extension.
    ///
    /// # Errors
    /// When the number is taken, or the agent does not exist, or the database fails.
    pub async fn create_extension(&self, extension: Extension) -> Result<Row, StoreError> {
        let row = Stored::new("ext", extension);
        let extension = &row.value;
        commit!(
            self,
            "INSERT INTO extensions (id, version, created_at, updated_at, number, agent_id, ring_timeout_s, max_contacts, on_limit, codecs) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &row.id,
            row.version,
            row.created_at,
            row.updated_at,
            &extension.number,
            &extension.agent_id,
            extension.ring_timeout_s,
            extension.max_contacts,
            extension.on_limit.text(),
            extension.codecs.text()
        )
        .map_err(|error| StoreError::of_write(error, UNIQUE, "agent_id"))?;
        self.publish_change().await;
        Ok(row)
    }

    /// One extension.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn extension(&self, id: &str) -> Result<Row, StoreError> {
        rows!(self, Row, fetch_optional, "SELECT * FROM extensions WHERE id = $1", id)?
            .ok_or(StoreError::NotFound("extension"))
    }

    /// The extensions of a page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extensions(&self, page: &Page) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT * FROM extensions WHERE id > $1 ORDER BY id LIMIT $2";
        Ok(rows!(self, Row, fetch_all, sql, &page.after, page.limit)?)
    }

    /// Replaces an extension that still has this version.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it has another, or was deleted; else as [`Store::create_extension`].
    pub async fn update_extension(&self, id: &str, version: i64, extension: Extension) -> Result<Row, StoreError> {
        let done = commit!(
            self,
            "UPDATE extensions SET version = version + 1, updated_at = $3, number = $4, agent_id = $5, ring_timeout_s = $6, max_contacts = $7, on_limit = $8, codecs = $9 \
             WHERE id = $1 AND version = $2",
            id,
            version,
            super::Timestamp::now(),
            &extension.number,
            &extension.agent_id,
            extension.ring_timeout_s,
            extension.max_contacts,
            extension.on_limit.text(),
            extension.codecs.text()
        )
        .map_err(|error| StoreError::of_write(error, UNIQUE, "agent_id"))?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        self.extension(id).await
    }

    /// Deletes an extension that still has this version.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while a number rings it; [`StoreError::Changed`]; or when the database fails.
    pub async fn delete_extension(&self, id: &str, version: i64) -> Result<(), StoreError> {
        let done = commit!(self, "DELETE FROM extensions WHERE id = $1 AND version = $2", id, version)
            .map_err(|error| StoreError::of_delete(error, "a number still rings this extension"))?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        Ok(())
    }
}
