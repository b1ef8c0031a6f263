//! Agents.

use super::sql::{commit, rows};
use super::{Agent, Page, Store, StoreError, Stored};

type Row = Stored<Agent>;

const UNIQUE: &[&str] = &["external_id"];

impl Store {
    /// Makes an agent.
    ///
    /// # Errors
    /// When the external id is taken, or the database fails.
    pub async fn create_agent(&self, agent: Agent) -> Result<Row, StoreError> {
        let row = Stored::new("agt", agent);
        let agent = &row.value;
        commit!(
            self,
            "INSERT INTO agents (id, version, created_at, updated_at, external_id, display_name, email, enabled, \
             caller_id_number, allowed_caller_ids, max_concurrent_calls, metadata, dial_policy, max_cps) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            &row.id,
            row.version,
            row.created_at,
            row.updated_at,
            &agent.external_id,
            &agent.display_name,
            &agent.email,
            agent.enabled,
            &agent.caller_id_number,
            agent.allowed_caller_ids.text(),
            agent.max_concurrent_calls,
            agent.metadata.text(),
            agent.dial_policy.text(),
            agent.max_cps
        )
        .map_err(|error| StoreError::of_write(error, UNIQUE, ""))?;
        self.publish_change().await;
        Ok(row)
    }

    /// One agent.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn agent(&self, id: &str) -> Result<Row, StoreError> {
        rows!(self, Row, fetch_optional, "SELECT * FROM agents WHERE id = $1", id)?.ok_or(StoreError::NotFound("agent"))
    }

    /// The agents of a page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents(&self, page: &Page) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT * FROM agents WHERE id > $1 ORDER BY id LIMIT $2";
        Ok(rows!(self, Row, fetch_all, sql, &page.after, page.limit)?)
    }

    /// Replaces an agent that still has this version.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it has another, or was deleted; else as [`Store::create_agent`].
    pub async fn update_agent(&self, id: &str, version: i64, agent: Agent) -> Result<Row, StoreError> {
        let done = commit!(
            self,
            "UPDATE agents SET version = version + 1, updated_at = $3, external_id = $4, display_name = $5, email = $6, \
             enabled = $7, caller_id_number = $8, allowed_caller_ids = $9, max_concurrent_calls = $10, metadata = $11, \
             dial_policy = $12, max_cps = $13 WHERE id = $1 AND version = $2",
            id,
            version,
            super::Timestamp::now(),
            &agent.external_id,
            &agent.display_name,
            &agent.email,
            agent.enabled,
            &agent.caller_id_number,
            agent.allowed_caller_ids.text(),
            agent.max_concurrent_calls,
            agent.metadata.text(),
            agent.dial_policy.text(),
            agent.max_cps
        )
        .map_err(|error| StoreError::of_write(error, UNIQUE, ""))?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        self.agent(id).await
    }

    /// Deletes an agent that still has this version.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while it has extensions; [`StoreError::Changed`]; or when the database fails.
    pub async fn delete_agent(&self, id: &str, version: i64) -> Result<(), StoreError> {
        let done = commit!(self, "DELETE FROM agents WHERE id = $1 AND version = $2", id, version)
            .map_err(|error| StoreError::of_delete(error, "the agent still has extensions"))?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        Ok(())
    }
}
