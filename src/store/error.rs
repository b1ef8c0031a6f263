//! What can go wrong with the database, in the words of whoever asked.

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It was changed by somebody else since it was read.
    #[error("it has been changed since it was read")]
    Changed,
    /// A value that must be unique is taken.
    #[error("{field} is already taken")]
    Taken {
        /// The field.
        field: &'static str,
    },
    /// A field names something that does not exist.
    #[error("{field} names nothing that exists")]
    Dangling {
        /// The field.
        field: &'static str,
    },
    /// Others still refer to it.
    #[error("{0}")]
    InUse(&'static str),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl StoreError {
    /// Reads a failed write: a broken unique column of `unique`, or a reference that leads nowhere.
    pub(super) fn of_write(error: sqlx::Error, unique: &[&'static str], reference: &'static str) -> Self {
        let Some(database) = error.as_database_error() else { return Self::Database(error) };
        if database.is_foreign_key_violation() {
            return Self::Dangling { field: reference };
        }
        if !database.is_unique_violation() {
            return Self::Database(error);
        }
        // PostgreSQL names the constraint (`extensions_number_key`), SQLite the column (`extensions.number`).
        let told = database.constraint().unwrap_or_else(|| database.message()).to_owned();
        match unique.iter().find(|field| told.contains(*field)) {
            Some(field) => Self::Taken { field },
            None => Self::Database(error),
        }
    }

    /// Reads a failed deletion: `reason` says who still refers to the row.
    pub(super) fn of_delete(error: sqlx::Error, reason: &'static str) -> Self {
        let referred = error.as_database_error().is_some_and(|database| database.is_foreign_key_violation());
        if referred { Self::InUse(reason) } else { Self::Database(error) }
    }
}
