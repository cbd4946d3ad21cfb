//! Every SQL statement has a name and stands in a list, so that one test can ask the database for the plan of each: without an
//! index that the planner really uses, a look-up at the end of a log sorts the whole log.

/// Declares named statements, and `ALL`, the list of them.
macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        $(pub(crate) const $name: &str = $sql;)*
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $sql),)*];
    };
}

pub(crate) use statements;

/// Tables of which rows stay in memory from one batch to the next: in the row cache, in the policy cache, as rows of the write
/// buffer that were committed, or as the tails of logs. A statement that changes one of these tables clears all of that.
pub(crate) const CACHED_TABLES: [&str; 17] = [
    "agents", "api_keys", "approval_rules", "approvals", "audit_entries", "audit_heads", "calls", "former_secrets",
    "log_folds", "logs", "policies", "secrets", "sessions", "tenants", "tool_tallies", "upstream_tools", "upstreams",
];

/// Whether a statement changes a table of which rows are cached.
pub(crate) fn changes_cached_table(sql: &str) -> bool {
    changed_table(sql).is_none_or(|table| CACHED_TABLES.contains(&table))
}

/// The table that a statement changes.
pub(crate) fn changed_table(sql: &str) -> Option<&str> {
    const BEFORE_TABLE: [&str; 8] = ["INSERT", "UPDATE", "DELETE", "OR", "IGNORE", "REPLACE", "INTO", "FROM"];
    let mut words = sql.split_ascii_whitespace();
    let is_change = ["INSERT", "UPDATE", "DELETE"].contains(&words.clone().next()?);
    words.find(|word| is_change && !BEFORE_TABLE.contains(word))
}

/// Entries of a log stand at their numbers behind its base, up to here.
pub(crate) const LOG_PLACES: i64 = 1 << 39;

/// Where an entry of this number lies in `audit_entries`, in the log of the tenant `?1`: each log has the 2^39 places on either
/// side of its base for itself. No number leads out of them, and where there is no log, there is no place: nor where its base is
/// none that a log can have, or entries would be found by other numbers than theirs.
macro_rules! place {
    ($seq:literal) => {
        concat!(
            "(SELECT base FROM logs WHERE tenant = ?1 AND base % 1099511627776 = 0) + max(-549755813888, min(",
            $seq,
            ", 549755813888))"
        )
    };
}

pub(crate) use place;

/// The number of the entry that lies at a place; none at what is no place.
macro_rules! seq {
    () => {
        "iif(typeof(place) = 'integer', (place + 549755813888 & 1099511627775) - 549755813888, NULL)"
    };
}

pub(crate) use seq;
