//! The statements of [`crate::tables`], spelled for Postgres. They are written for SQLite, with numbered parameters (`?1`); most of
//! what differs follows a rule, and the few statements that do not have a spelling of their own here.

use crate::tables::{appending, keys};

/// Statements that follow no rule. A log's number stands in front of its entries' numbers here, not in one integer with them.
const OWN: [(&str, &str); 5] = [
    (appending::BASE, "SELECT log << 40 FROM logs WHERE tenant = $1"),
    (appending::NEW_LOG, "INSERT INTO logs (tenant) VALUES ($1) RETURNING log << 40"),
    (
        appending::INSERT_ENTRY,
        "INSERT INTO audit_entries (log, seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor,
            details, details_salt, details_digest, prev_hash, entry_hash) VALUES ($1 >> 40, $1 & 1099511627775, $2, $3, $4, $5, $6,
            $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    ),
    (keys::ANY_KEY, "SELECT 1 FROM api_keys LIMIT 1"),
    // That a disk has room is no matter of this program there.
    (
        keys::SET_BALLAST,
        "INSERT INTO meta (key, value) SELECT 'ballast', '' WHERE $1 >= 0 ON CONFLICT (key) DO NOTHING",
    ),
];

/// Where an entry lies: see [`crate::statements::place`].
const PLACE: (&str, &str) = (
    "(SELECT base FROM logs WHERE tenant = ?1 AND base % 1099511627776 = 0) + max(-549755813888, min(",
    ", 549755813888))",
);

/// What a phrase of SQLite's is called here.
const PHRASES: [(&str, &str); 7] = [
    (crate::statements::seq!(), "seq"),
    ("ORDER BY place", "ORDER BY seq"),
    ("json_each(upstreams)", "jsonb_array_elements_text(upstreams::jsonb) AS value"),
    ("length(CAST(body AS BLOB))", "octet_length(body)"),
    ("LIMIT -1", "LIMIT ALL"),
    (" AND place ", " AND seq "),
    // A row of an index has 2,704 bytes at most, and an action may have 4,096.
    ("AND tool = ?3 AND action = ?4 ", "AND tool = ?3 AND md5(action) = md5(?4) AND action = ?4 "),
];

/// The statement for Postgres.
pub(super) fn translate(sql: &str) -> String {
    if let Some((_, own)) = OWN.iter().find(|(name, _)| *name == sql) {
        return (*own).to_owned();
    }
    let mut text = places(sql);
    for (theirs, ours) in PHRASES {
        text = text.replace(theirs, ours);
    }
    upserts(&words(&text))
}

/// `place >= (the base of the tenant's log) + seq` becomes `log = (the tenant's log) AND seq >= seq`.
fn places(sql: &str) -> String {
    let mut text = sql.replace(PLACE.0, "\u{1}").replace(PLACE.1, "\u{2}");
    for operator in ["=", ">=", ">", "<"] {
        let log = format!("log = (SELECT log FROM logs WHERE tenant = ?1) AND seq {operator} ");
        // The first comparison names the log; a second one is about the same.
        text = text.replace(&format!("WHERE place {operator} \u{1}"), &format!("WHERE {log}"));
        text = text.replace(&format!("AND place {operator} \u{1}"), &format!("AND seq {operator} "));
    }
    text.replace('\u{2}', "")
}

/// Parameters and functions; hints for SQLite's planner are left out.
fn words(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    // For each parenthesis that is open, what comes behind it.
    let mut closers: Vec<&str> = Vec::new();
    let mut unnumbered = 0_u32;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            '?' => 1 + rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1),
            _ if first.is_ascii_alphabetic() || first == '_' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        match token {
            "?" => {
                unnumbered += 1;
                out.push('$');
                out.push_str(&unnumbered.to_string());
            }
            _ if first == '?' => {
                out.push('$');
                out.push_str(&token[1..]);
            }
            "INDEXED" => {
                // INDEXED BY and a name.
                let name = behind.trim_start().trim_start_matches("BY").trim_start();
                rest = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or("", |end| &name[end..]);
                out.truncate(out.trim_end().len());
            }
            "ifnull" => out.push_str("coalesce"),
            "instr" => out.push_str("strpos"),
            "min" | "max" if has_two_arguments(behind) => {
                out.push_str(if token == "min" { "least" } else { "greatest" });
            }
            "sum" => {
                // The sum of integers is of another type than they are.
                out.push_str("sum(");
                closers.push(")::bigint");
                rest = &behind[1..];
            }
            "(" => {
                closers.push(")");
                out.push('(');
            }
            ")" => out.push_str(closers.pop().unwrap_or(")")),
            _ => out.push_str(token),
        }
    }
    out
}

/// Whether there is a comma in the parenthesis that begins here, not counting those inside others.
fn has_two_arguments(text: &str) -> bool {
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return false,
            ')' => depth -= 1,
            ',' if depth == 1 => return true,
            _ => {}
        }
    }
    false
}

/// What happens when a row is there already: Postgres wants to know by which constraint.
fn upserts(sql: &str) -> String {
    let (prefix, is_replacing) = if sql.starts_with("INSERT OR REPLACE INTO ") {
        ("INSERT OR REPLACE INTO ", true)
    } else {
        ("INSERT INTO ", false)
    };
    let Some(behind) = sql.strip_prefix(prefix) else { return sql.to_owned() };
    let table = behind.split([' ', '(']).next().unwrap_or_default();
    let on_conflict = format!("ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE");
    if !is_replacing {
        return sql.replace("ON CONFLICT DO UPDATE", &on_conflict);
    }
    let columns = behind.split(['(', ')']).nth(1).unwrap_or_default();
    let set: Vec<String> = columns.split(',').map(|column| format!("{0} = excluded.{0}", column.trim())).collect();
    format!("INSERT INTO {behind} {on_conflict} SET {}", set.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_spelled_for_postgres() {
        let cases = [
            ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT INTO t (a, b) VALUES ($1, $2)"),
            (
                "INSERT OR REPLACE INTO t (a, b) VALUES (?1, 'why?')",
                "INSERT INTO t (a, b) VALUES ($1, 'why?') ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET a = excluded.a, b = excluded.b",
            ),
            (
                "SELECT max(a), min(a, ?2), sum(length(b)) FROM t INDEXED BY t_by_a WHERE ifnull(a, 1) > ?1",
                "SELECT max(a), least(a, $2), sum(length(b))::bigint FROM t WHERE coalesce(a, 1) > $1",
            ),
            (
                concat!(
                    "SELECT ",
                    crate::statements::seq!(),
                    " FROM audit_entries WHERE place >= ",
                    crate::statements::place!("?2"),
                    " AND place < ",
                    crate::statements::place!("?3"),
                    " ORDER BY place"
                ),
                "SELECT seq FROM audit_entries WHERE log = (SELECT log FROM logs WHERE tenant = $1) AND seq >= $2 AND seq < $3 ORDER BY seq",
            ),
        ];
        for (ours, theirs) in cases {
            assert_eq!(translate(ours), theirs);
        }
    }
}
