//! Trunks.

use super::sql::{commit, rows};
use super::{Page, Store, StoreError, Stored, Trunk};

type Row = Stored<Trunk>;

const UNIQUE: &[&str] = &["inbound_username", "name"];

fn refused(error: sqlx::Error) -> StoreError {
    let error = StoreError::of_write(error, UNIQUE, "");
    if let StoreError::Taken { field: "inbound_username" } = error {
        return StoreError::Taken { field: "inbound/auth/username" };
    }
    error
}

impl Store {
    /// Makes a trunk.
    ///
    /// # Errors
    /// When the name is taken, or the database fails.
    pub async fn create_trunk(&self, trunk: Trunk) -> Result<Row, StoreError> {
        let row = Stored::new("trk", trunk);
        let trunk = &row.value;
        commit!(
            self,
            "INSERT INTO trunks (id, version, created_at, updated_at, name, enabled, gateways, inbound, media_cidrs, codecs, caller_id, max_channels, dtmf, settings, secrets, inbound_username) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            &row.id,
            row.version,
            row.created_at,
            row.updated_at,
            &trunk.name,
            trunk.enabled,
            trunk.gateways.text(),
            trunk.inbound.text(),
            trunk.media_cidrs.text(),
            trunk.codecs.text(),
            trunk.caller_id.text(),
            trunk.max_channels,
            trunk.dtmf.text(),
            trunk.settings.text(),
            trunk.secrets.text(),
            trunk.inbound_username()
        )
        .map_err(refused)?;
        self.publish_change().await;
        warn_of_open_keys(&row);
        Ok(row)
    }

    /// One trunk.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn trunk(&self, id: &str) -> Result<Row, StoreError> {
        rows!(self, Row, fetch_optional, "SELECT * FROM trunks WHERE id = $1", id)?.ok_or(StoreError::NotFound("trunk"))
    }

    /// The trunks of a page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trunks(&self, page: &Page) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT * FROM trunks WHERE id > $1 ORDER BY id LIMIT $2";
        Ok(rows!(self, Row, fetch_all, sql, &page.after, page.limit)?)
    }

    /// Replaces a trunk that still has this version.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it has another, or was deleted; else as [`Store::create_trunk`].
    pub async fn update_trunk(&self, id: &str, version: i64, trunk: Trunk) -> Result<Row, StoreError> {
        let done = commit!(
            self,
            "UPDATE trunks SET version = version + 1, updated_at = $3, name = $4, enabled = $5, gateways = $6, inbound = $7, media_cidrs = $8, codecs = $9, caller_id = $10, max_channels = $11, dtmf = $12, settings = $13, secrets = $14, inbound_username = $15 \
             WHERE id = $1 AND version = $2",
            id,
            version,
            super::Timestamp::now(),
            &trunk.name,
            trunk.enabled,
            trunk.gateways.text(),
            trunk.inbound.text(),
            trunk.media_cidrs.text(),
            trunk.codecs.text(),
            trunk.caller_id.text(),
            trunk.max_channels,
            trunk.dtmf.text(),
            trunk.settings.text(),
            trunk.secrets.text(),
            trunk.inbound_username()
        )
        .map_err(refused)?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        let row = self.trunk(id).await?;
        warn_of_open_keys(&row);
        Ok(row)
    }

    /// Deletes a trunk that still has this version.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while it has numbers; [`StoreError::Changed`]; or when the database fails.
    pub async fn delete_trunk(&self, id: &str, version: i64) -> Result<(), StoreError> {
        let done = commit!(self, "DELETE FROM trunks WHERE id = $1 AND version = $2", id, version)
            .map_err(|error| StoreError::of_delete(error, "the trunk still has numbers"))?;
        if done == 0 {
            return Err(StoreError::Changed);
        }
        self.publish_change().await;
        Ok(())
    }
}

fn warn_of_open_keys(row: &Row) {
    if row.value.exposes_keys() {
        let (id, name) = (&row.id, &row.value.name);
        tracing::warn!(%id, %name, "the trunk's media is encrypted with keys that its signalling may show: not every gateway is reached by TLS");
    }
}
