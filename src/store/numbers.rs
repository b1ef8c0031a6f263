//! Numbers of ours at the trunks.

use super::sql::{commit, rows};
use super::{Number, Page, Store, StoreError, Stored};

type Row = Stored<Number>;

const UNIQUE: &[&str] = &["e164"];

impl Store {
    /// Makes a number.
    ///
    /// # Errors
    /// When the number is taken, or its trunk or target does not exist, or the database fails.
    pub async fn create_number(&self, number: Number) -> Result<Row, StoreError> {
        let row = Stored::new("num", number);
        let number = &row.value;
        let done = commit!(
            self,
            "INSERT INTO numbers (id, version, created_at, updated_at, e164, trunk_id, extension_id, label) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &row.id,
            row.version,
            row.created_at,
            row.updated_at,
            &number.e164,
            &number.trunk_id,
            &number.target,
            &number.label
        )
        .map_err(|error| StoreError::of_write(error, UNIQUE, "trunk_id"));
        if let Err(error) = done {
            return Err(self.dangling_reference(error, &number.trunk_id).await);
        }
        self.publish_change().await;
        Ok(row)
    }

    /// One number.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn number(&self, id: &str) -> Result<Row, StoreError> {
        rows!(self, Row, fetch_optional, "SELECT * FROM numbers WHERE id = $1", id)?
            .ok_or(StoreError::NotFound("number"))
    }

    /// The numbers of a page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn numbers(&self, page: &Page) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT * FROM numbers WHERE id > $1 ORDER BY id LIMIT $2";
        Ok(rows!(self, Row, fetch_all, sql, &page.after, page.limit)?)
    }

    /// Replaces a number that still has this version.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it has another, or was deleted; else as [`Store::create_number`].
    pub async fn update_number(&self, id: &str, version: i64, number: Number) -> Result<Row, StoreError> {
        let done = commit!(
            self,
            "UPDATE numbers SET version = version + 1, updated_at = $3, e164 = $4, trunk_id = $5, extension_id = $6, label = $7 \
             WHERE id = $1 AND version = $2",
            id,
            version,
            super::Timestamp::now(),
            &number.e164,
            &number.trunk_id,
            &number.target,
            &number.label
        )
        .map_err(|error| StoreError::of_write(error, UNIQUE, "trunk_id"));
        let done = match done {
            Ok(done) => done,
            Err(error) => return Err(self.dangling_reference(error, &number.trunk_id).await),
        };
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        self.number(id).await
    }

    /// Deletes a number that still has this version.
    ///
    /// # Errors
    /// [`StoreError::Changed`]; or when the database fails.
    pub async fn delete_number(&self, id: &str, version: i64) -> Result<(), StoreError> {
        let done = commit!(self, "DELETE FROM numbers WHERE id = $1 AND version = $2", id, version)
            .map_err(|error| StoreError::of_delete(error, "the number is in use"))?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        Ok(())
    }

    /// SQLite does not say which reference leads nowhere; whether the trunk exists does.
    async fn dangling_reference(&self, error: StoreError, trunk_id: &str) -> StoreError {
        if matches!(error, StoreError::Dangling { .. }) && self.trunk(trunk_id).await.is_ok() {
            return StoreError::Dangling { field: "target/id" };
        }
        error
    }
}
