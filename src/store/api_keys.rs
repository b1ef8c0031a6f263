//! API keys: `pk_<prefix>_<secret>`. Only the SHA-256 of the secret is stored: with 256 random bits nothing slower is needed.

use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::sql::{execute, rows};
use super::{Page, Store, StoreError, Timestamp};
use crate::identifier::new_id;

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ApiKey {
    /// `key_…`
    pub id: String,
    /// When it was made.
    #[schema(inline)]
    pub created_at: Timestamp,
    /// What it is for.
    pub name: String,
    /// The part of the token that may be shown: `pk_<prefix>_…`.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
}

/// An API key just made.
#[derive(Debug, Clone)]
pub struct MintedKey {
    /// The key.
    pub key: ApiKey,
    /// The whole token, shown this once.
    pub token: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    created_at: Timestamp,
    name: String,
    prefix: String,
    hash: String,
    scopes: String,
}

impl Row {
    fn key(self) -> ApiKey {
        let scopes = self.scopes.split(' ').map(str::to_owned).collect();
        ApiKey { id: self.id, created_at: self.created_at, name: self.name, prefix: self.prefix, scopes }
    }
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

impl Store {
    /// Makes an API key; the scopes are believed to be known ones.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_api_key(&self, name: &str, scopes: &[String]) -> Result<MintedKey, StoreError> {
        let (prefix, secret) = (hex::encode(rand::random::<[u8; 4]>()), hex::encode(rand::random::<[u8; 32]>()));
        let token = format!("pk_{prefix}_{secret}");
        let scopes = scopes.to_vec();
        let key = ApiKey { id: new_id("key"), created_at: Timestamp::now(), name: name.to_owned(), prefix, scopes };
        execute!(
            self,
            "INSERT INTO api_keys (id, created_at, name, prefix, hash, scopes) VALUES ($1, $2, $3, $4, $5, $6)",
            &key.id,
            key.created_at,
            &key.name,
            &key.prefix,
            hash(&secret),
            key.scopes.join(" ")
        )?;
        Ok(MintedKey { key, token })
    }

    /// The key a token belongs to; `None` when it is no token, unknown or wrong.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<ApiKey>, StoreError> {
        let Some((prefix, secret)) = token.strip_prefix("pk_").and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let row = rows!(self, Row, fetch_optional, "SELECT * FROM api_keys WHERE prefix = $1", prefix)?;
        let right = |row: &Row| bool::from(row.hash.as_bytes().ct_eq(hash(secret).as_bytes()));
        Ok(row.filter(right).map(Row::key))
    }

    /// One API key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn api_key(&self, id: &str) -> Result<ApiKey, StoreError> {
        let row = rows!(self, Row, fetch_optional, "SELECT * FROM api_keys WHERE id = $1", id)?;
        row.map(Row::key).ok_or(StoreError::NotFound("API key"))
    }

    /// The API keys of a page.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(&self, page: &Page) -> Result<Vec<ApiKey>, StoreError> {
        let sql = "SELECT * FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = rows!(self, Row, fetch_all, sql, &page.after, page.limit)?;
        Ok(rows.into_iter().map(Row::key).collect())
    }

    /// Makes an API key worthless at once.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn revoke_api_key(&self, id: &str) -> Result<(), StoreError> {
        match execute!(self, "DELETE FROM api_keys WHERE id = $1", id)? {
            0 => Err(StoreError::NotFound("API key")),
            _ => Ok(()),
        }
    }
}
