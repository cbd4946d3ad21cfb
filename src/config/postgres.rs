//! How a store on Postgres is opened, and how its address is shown.

#[cfg(feature = "postgres")]
use std::time::Duration;

use super::{StoreOptions, bad_setting};
#[cfg(feature = "postgres")]
use crate::store::postgres::{DEFAULT_MAX_AGE, PostgresSettings, ReplicaSettings};
use crate::{error::Result, store::Store};

#[cfg(feature = "postgres")]
impl StoreOptions {
    pub(super) fn open_postgres(&self, url: &str) -> Result<Store> {
        let mut settings = self.postgres_settings(url).map_err(|error| bad_setting("HALDIR_DB", &error.message))?;
        if settings.pool_min > settings.pool_max {
            let (least, most) = (settings.pool_min, settings.pool_max);
            let problem = format!("is {least}, and must be at most HALDIR_PG_POOL_MAX, which is {most}");
            return Err(bad_setting("HALDIR_PG_POOL_MIN", &problem));
        }
        settings.replica = self.replica(settings.pool_max)?.map(Box::new);
        Store::open_postgres(settings)
    }

    /// How the database at this address is reached, without a replica.
    pub fn postgres_settings(&self, url: &str) -> Result<PostgresSettings> {
        let mut settings = PostgresSettings::parse(url)?;
        settings.pool_max = self.pg_pool_max.map_or(settings.pool_max, usize::from);
        settings.pool_min = self.pg_pool_min.map_or(settings.pool_min, usize::from);
        settings.named_statements = self.pg_prepare;
        Ok(settings)
    }

    fn replica(&self, pool_max: usize) -> Result<Option<ReplicaSettings>> {
        let Some(url) = &self.pg_replica else { return Ok(None) };
        let mut at = PostgresSettings::parse(url).map_err(|error| bad_setting("HALDIR_PG_REPLICA", &error.message))?;
        (at.pool_max, at.named_statements) = (pool_max, self.pg_prepare);
        let max_age = self.pg_replica_max_age.map_or(DEFAULT_MAX_AGE, Duration::from_secs);
        Ok(Some(ReplicaSettings { at, max_age }))
    }
}

/// Why an address of Postgres is refused.
#[cfg(not(feature = "postgres"))]
pub const NO_POSTGRES: &str =
    "this build has no Postgres: published programs have, and so has one built with --features postgres";

#[cfg(not(feature = "postgres"))]
impl StoreOptions {
    #[allow(clippy::unused_self)]
    pub(super) fn open_postgres(&self, _url: &str) -> Result<Store> {
        Err(bad_setting("HALDIR_DB", NO_POSTGRES))
    }
}

/// The address of a database on Postgres without its password, and without its parameters, one of which may be a password.
pub fn postgres_without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    // A password may have any character that stands in an address, so the last one of these ends it.
    let (user, rest) =
        rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user.split(':').next().unwrap_or_default(), rest));
    let at = if user.is_empty() { "" } else { "@" };
    format!("{scheme}://{user}{at}{}", rest.split('?').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_database_is_shown() {
        for (url, shown) in [
            ("postgres://db.example.com/haldir", "postgres://db.example.com/haldir"),
            ("postgresql://me:secret@a:5432,b:5433/haldir", "postgresql://me@a:5432,b:5433/haldir"),
            ("postgres://me:s@e,c/r?t@a/haldir?sslmode=require", "postgres://me@a/haldir"),
            ("postgres://a/haldir?user=me&password=secret", "postgres://a/haldir"),
        ] {
            assert_eq!(postgres_without_password(url), shown);
        }
    }
}
