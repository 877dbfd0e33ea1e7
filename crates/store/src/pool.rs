//! Opening the database file and sharing its connections.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr, Transaction};

use crate::commits::Commits;
use crate::dialect::{BEGIN_WRITE, Connection, Engine};
use crate::error::StoreError;

const READERS: u32 = 3;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the busy timeout, so that who waits hears what the database said.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);

/// A migration: version, description, SQL.
pub(crate) type Step = (i64, &'static str, &'static str);

/// How far a database file is in its migrations, and how far this program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersions {
    /// The last migration of the file; 0 if it has none.
    pub found: i64,
    /// The last migration this program knows.
    pub known: i64,
}

/// One connection that writes and some that read.
///
/// SQLite has one writer at a time anyway; queueing for it here is fair, while its own busy
/// waiting is not.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    read: SqlitePool,
    write: SqlitePool,
    commits: Commits,
}

impl Pools {
    /// Opens the file at `path`, makes it if there is none, and brings it up to date.
    pub(crate) async fn open(path: &Path, steps: &[Step]) -> Result<Self, StoreError> {
        prepare_file(path).map_err(|error| StoreError::Unavailable(error.into()))?;
        let options = options().filename(path);
        let write = pool(1).connect_with(options.clone()).await?;
        migrate(&write, steps).await?;
        let read = pool(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        Ok(Self {
            read,
            write,
            commits: Commits::of(path),
        })
    }

    /// How far the file at `path` is, which stays as it is.
    pub(crate) async fn inspect(path: &Path, steps: &[Step]) -> Result<SchemaVersions, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        let found = version(&mut connection).await;
        connection.close().await?;
        Ok(SchemaVersions {
            found: found?,
            known: known(steps),
        })
    }

    /// Opens a database that lives as long as this value. One connection both reads and writes:
    /// each further one would be another database.
    pub(crate) async fn open_in_memory(steps: &[Step]) -> Result<Self, StoreError> {
        let options = options().in_memory(true);
        let write = pool(1).min_connections(1).connect_with(options).await?;
        migrate(&write, steps).await?;
        Ok(Self {
            read: write.clone(),
            write,
            commits: Commits::unknown(),
        })
    }

    pub(crate) const fn read(&self) -> &SqlitePool {
        &self.read
    }

    /// For single statements that write; several go through [`begin`](Self::begin).
    pub(crate) const fn write(&self) -> &SqlitePool {
        &self.write
    }

    /// Who committed anything.
    pub(crate) const fn commits(&self) -> &Commits {
        &self.commits
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Engine>, StoreError> {
        Ok(self.write.begin_with(BEGIN_WRITE).await?)
    }

    /// Checks that the database can be read and written.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        self.begin().await?.rollback().await?;
        Ok(())
    }

    /// How far the database in use is, without opening its file once more.
    pub(crate) async fn versions(&self, steps: &[Step]) -> Result<SchemaVersions, StoreError> {
        let mut connection = self.read.acquire().await?;
        Ok(SchemaVersions {
            found: version(&mut connection).await?,
            known: known(steps),
        })
    }

    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would lose acknowledged commits when the power fails.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .create_if_missing(true)
        .statement_cache_capacity(128)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not age, and a ping before each use costs a round trip.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

fn known(steps: &[Step]) -> i64 {
    steps.last().map_or(0, |(version, ..)| *version)
}

async fn version(connection: &mut Connection) -> Result<i64, StoreError> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    let tables: i64 = sqlx::query_scalar(tables)
        .fetch_one(&mut *connection)
        .await?;
    if tables == 0 {
        return Ok(0);
    }
    let version = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
    Ok(sqlx::query_scalar(version).fetch_one(connection).await?)
}

/// Each step is one transaction, so a kill half way leaves the last whole step.
async fn migrate(pool: &SqlitePool, steps: &[Step]) -> Result<(), StoreError> {
    let migrations = steps.iter().map(|(version, description, sql)| {
        Migration::new(
            *version,
            (*description).into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
        .run(pool)
        .await?;
    Ok(())
}

/// Makes sure that nobody else can read the file, nor what SQLite puts beside it: its journals
/// get the mode of the file.
#[cfg(unix)]
pub(crate) fn prepare_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let made = fs::OpenOptions::new()
        .create_new(true)
        .append(true)
        .mode(0o600)
        .open(path);
    // One that is there is not opened: closing it would drop the locks that SQLite has on it in
    // this process, if it is open here already.
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if fs::metadata(path)?.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => fs::set_permissions(path, fs::Permissions::from_mode(0o600)),
    }
}

#[cfg(not(unix))]
pub(crate) fn prepare_file(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}
