//! Idempotency keys: the first answer to a POST, kept for 24 hours, so that a repeated one does nothing twice. Secrets are
//! taken out of an answer before it comes here.

use super::sql::{execute, rows};
use super::{Store, StoreError, Timestamp};

/// How long an answer is kept, in milliseconds.
const KEPT_MS: i64 = 24 * 3600 * 1000;

/// After this long, in milliseconds, a request that never finished (its process died) may be tried again.
const ABANDONED_MS: i64 = 60 * 1000;

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is new: carry the request out, then [`Store::keep_answer`] or [`Store::release`].
    New,
    /// The same request was carried out before; this was its answer.
    Answered(Replay),
    /// The same request is being carried out.
    Running,
    /// Another request used the key.
    Mismatch,
}

/// An answer given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The HTTP status.
    pub status: u16,
    /// Header names and values worth repeating, as JSON.
    pub headers: String,
    /// The body, without secrets.
    pub body: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    fingerprint: String,
    status: Option<i64>,
    headers: Option<String>,
    body: Option<String>,
}

impl Store {
    /// Claims a key for a request. `id` names key and owner, `fingerprint` the request.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, id: &str, fingerprint: &str) -> Result<Claim, StoreError> {
        let now = Timestamp::now().0;
        execute!(
            self,
            "DELETE FROM idempotency_keys WHERE created_at < $1 OR (status IS NULL AND created_at < $2)",
            now - KEPT_MS,
            now - ABANDONED_MS
        )?;
        let claimed = execute!(
            self,
            "INSERT INTO idempotency_keys (id, fingerprint, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
            id,
            fingerprint,
            now
        )?;
        if claimed == 1 {
            return Ok(Claim::New);
        }
        let sql = "SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE id = $1";
        let Some(row) = rows!(self, Row, fetch_optional, sql, id)? else { return Ok(Claim::Running) };
        if row.fingerprint != fingerprint {
            return Ok(Claim::Mismatch);
        }
        match (row.status.and_then(|status| u16::try_from(status).ok()), row.headers, row.body) {
            (Some(status), Some(headers), Some(body)) => Ok(Claim::Answered(Replay { status, headers, body })),
            (None | Some(_), _, _) => Ok(Claim::Running),
        }
    }

    /// Keeps the answer of a claimed key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_answer(&self, id: &str, answer: &Replay) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE idempotency_keys SET status = $2, headers = $3, body = $4 WHERE id = $1",
            id,
            i64::from(answer.status),
            &answer.headers,
            &answer.body
        )?;
        Ok(())
    }

    /// Gives a claimed key back: the request failed in a way that may be repeated.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&self, id: &str) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM idempotency_keys WHERE id = $1", id)?;
        Ok(())
    }
}
