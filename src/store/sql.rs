//! One statement for two databases: the macros here expand it once for each driver, so that types are checked for both.
//! SQLite understands PostgreSQL's `$1`.

/// The connections.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

/// Reads rows: `rows!(store, Type, fetch_all, "SELECT …", bind, …)`.
macro_rules! rows {
    ($store:expr, $row:ty, $fetch:ident, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &$store.pool {
            $crate::store::sql::Pool::Sqlite(db) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.$fetch(db).await,
            $crate::store::sql::Pool::Postgres(db) => sqlx::query_as::<_, $row>($sql)$(.bind($bind))*.$fetch(db).await,
        }
    };
}

/// Runs one statement that leaves the directory as it is; gives the number of rows.
macro_rules! execute {
    ($store:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &$store.pool {
            $crate::store::sql::Pool::Sqlite(db) => {
                sqlx::query($sql)$(.bind($bind))*.execute(db).await.map(|done| done.rows_affected())
            }
            $crate::store::sql::Pool::Postgres(db) => {
                sqlx::query($sql)$(.bind($bind))*.execute(db).await.map(|done| done.rows_affected())
            }
        }
    };
}

/// Runs one statement and raises the directory's revision in the same transaction; gives the number of rows.
macro_rules! commit {
    (@on $db:expr, $sql:expr $(, $bind:expr)*) => {{
        async {
            let mut transaction = $db.begin().await?;
            let done = sqlx::query($sql)$(.bind($bind))*.execute(&mut *transaction).await?;
            sqlx::query("UPDATE directory_revision SET revision = revision + 1 WHERE id = 1")
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok::<u64, sqlx::Error>(done.rows_affected())
        }
        .await
    }};
    ($store:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &$store.pool {
            $crate::store::sql::Pool::Sqlite(db) => commit!(@on db, $sql $(, $bind)*),
            $crate::store::sql::Pool::Postgres(db) => commit!(@on db, $sql $(, $bind)*),
        }
    };
}

pub(super) use {commit, execute, rows};
