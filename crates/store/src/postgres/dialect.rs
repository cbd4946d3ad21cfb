//! The statements of [`crate::tables`], spelled for Postgres. They are written for SQLite, with numbered parameters (`?1`); most of
//! what differs follows a rule, and the few statements that do not have a spelling of their own here.

use crate::tables::{appending, approvals, keys, payments, secrets, sessions};

/// Statements that follow no rule. A log's number stands in front of its entries' numbers here, not in one integer with them.
const OWN: [(&str, &str); 8] = [
    (appending::BASE, "SELECT log << 40 FROM logs WHERE tenant = $1"),
    // Unlike a shift, a product that has no place in an integer is an error: from 8,388,608 logs on.
    (appending::NEW_LOG, "INSERT INTO logs (tenant) VALUES ($1) RETURNING log * 1099511627776"),
    (
        appending::INSERT_ENTRY,
        "INSERT INTO audit_entries (log, seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor,
            details, details_salt, details_digest, prev_hash, entry_hash) VALUES ($1 >> 40, $1 & 1099511627775, $2, $3, $4, $5, $6,
            $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    ),
    (keys::ANY_KEY, "SELECT 1 FROM api_keys LIMIT 1"),
    // With IN the planner may read the whole tenant and look each row up among those that were found.
    (
        approvals::FORGET_APPROVALS,
        "DELETE FROM approvals WHERE ctid = ANY (ARRAY(SELECT ctid FROM approvals
            WHERE tenant = $1 AND settled_at IS NOT NULL AND settled_at < $2 ORDER BY settled_at LIMIT $3))",
    ),
    (
        payments::FORGET_DAYS,
        "DELETE FROM daily_spend WHERE ctid = ANY (ARRAY(SELECT ctid FROM daily_spend
            WHERE tenant = $1 AND day < $2 ORDER BY day LIMIT $3))",
    ),
    (
        secrets::FORGET_OF_NAME,
        "DELETE FROM former_secrets WHERE ctid = ANY (ARRAY(SELECT ctid FROM former_secrets
            WHERE tenant = $1 AND stored_by = $2 AND name = $3 ORDER BY id DESC OFFSET $4))",
    ),
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
const PHRASES: [(&str, &str); 12] = [
    // Statements that copy whole tables.
    ("SELECT place, id, at, kind", "SELECT (log << 40) + seq AS place, id, at, kind"),
    (
        "FROM audit_entries WHERE place > ?1 ORDER BY place LIMIT",
        "FROM audit_entries WHERE (log, seq) > (?1 >> 40, ?1 & 1099511627775) ORDER BY log, seq LIMIT",
    ),
    ("SELECT base, tenant FROM logs", "SELECT log << 40 AS base, tenant FROM logs"),
    ("WHERE base > ?1 ORDER BY base LIMIT", "WHERE log > ?1 >> 40 ORDER BY log LIMIT"),
    ("INSERT INTO logs (base, tenant) VALUES (?1, ?2)", "INSERT INTO logs (log, tenant) VALUES (?1 >> 40, ?2)"),
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
        return in_schema(own);
    }
    let mut text = places(sql);
    for (theirs, ours) in PHRASES {
        text = text.replace(theirs, ours);
    }
    in_schema(&upserts(&words(&text)))
}

/// Tables by their names with the schema, so that a look-up needs no transaction that sets the search path.
fn in_schema(sql: &str) -> String {
    const BEFORE_TABLE: [&str; 4] = ["FROM ", "JOIN ", "INTO ", "UPDATE "];
    let mut text = sql.to_owned();
    // What rows are fetched from is a cursor.
    if sql.starts_with("FETCH ") {
        return text;
    }
    for word in BEFORE_TABLE {
        let mut pieces = text.split(word);
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let name = piece.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(piece.len());
            let is_table = name > 0 && !piece[name..].starts_with(['(', '.']) && !piece.starts_with("pg_");
            out.extend([word, if is_table { "haldir." } else { "" }, piece]);
        }
        text = out;
    }
    text
}

/// Updates of several rows, by the update of one: what stands in front of the rows, and behind them.
const MANY: [(&str, &str, &str); 2] = [
    (
        sessions::SET_SPENT,
        "UPDATE sessions SET spent = row.spent FROM (VALUES ",
        ") AS row (tenant, id, spent) WHERE sessions.tenant = row.tenant AND sessions.id = row.id",
    ),
    (
        sessions::ADD_LOGGED,
        "UPDATE sessions SET logged_cost = least(logged_cost, 9223372036854775807 - row.cost) + row.cost,
            action_count = action_count + row.actions FROM (VALUES ",
        ") AS row (tenant, id, cost, actions) WHERE sessions.tenant = row.tenant AND sessions.id = row.id",
    ),
];

/// A statement that does to `count` rows, which have `width` parameters each, what `sql` does to one; `None` if there is none.
pub(super) fn translate_many(sql: &str, count: usize, width: usize) -> Option<String> {
    if let Some((_, before, behind)) = MANY.iter().find(|(name, ..)| *name == sql) {
        let row: Vec<String> = (1..=width).map(|number| format!("${number}")).collect();
        return Some(in_schema(&format!("{before}{}{behind}", rows(&row.join(", "), count, width))));
    }
    let one = translate(sql);
    let (before, rest) = one.split_once(" VALUES (")?;
    let (row, behind) = rest.split_once(')')?;
    let columns: Vec<&str> = before.split_once('(')?.1.trim_end_matches(')').split(',').map(str::trim).collect();
    // Behind the rows a parameter is that of the row which was to be inserted.
    let mut behind = behind.to_owned();
    for (index, column) in columns.iter().enumerate().rev() {
        behind = behind.replace(&format!("${}", index + 1), &format!("excluded.{column}"));
    }
    let is_plain = row.split(", ").enumerate().all(|(index, value)| value == format!("${}", index + 1));
    let is_understood = !row.contains('(') && (is_plain || behind.is_empty());
    is_understood.then(|| format!("{before} VALUES {}{behind}", rows(row, count, width)))
}

/// So many rows like this one, each with parameters of its own.
fn rows(row: &str, count: usize, width: usize) -> String {
    let renumbered = |from: usize| {
        let mut pieces = row.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            let number = piece[..digits].parse().map_or(0, |number: usize| number + from);
            text.extend(["$", &number.to_string(), &piece[digits..]]);
        }
        format!("({text})")
    };
    (0..count).map(|index| renumbered(index * width)).collect::<Vec<_>>().join(", ")
}

/// `place >= (the base of the tenant's log) + seq` becomes `log = (the number of the tenant's log) AND seq >= seq`.
fn places(sql: &str) -> String {
    let mut text = sql.replace(PLACE.0, "\u{1}").replace(PLACE.1, "\u{2}");
    for operator in ["=", ">=", ">", "<"] {
        let log = format!("log = haldir.log_of(?1) AND seq {operator} ");
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
    fn several_rows_are_one_statement() {
        let put = "INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET b = min(t.b, ?2)";
        assert_eq!(
            translate_many(put, 2, 2).unwrap(),
            "INSERT INTO haldir.t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET b = least(t.b, excluded.b)"
        );
        assert_eq!(translate_many("INSERT INTO t (a) VALUES (?1, (SELECT 1))", 2, 1), None);
        assert_eq!(translate_many("DELETE FROM t WHERE a = ?1", 2, 1), None);
        let entries = translate_many(appending::INSERT_ENTRY, 3, 17).unwrap();
        assert!(
            entries.contains("$17), ($18 >> 40, $18 & 1099511627775, $19") && entries.ends_with("$50, $51)"),
            "{entries}"
        );
        let spent = translate_many(sessions::SET_SPENT, 2, 3).unwrap();
        assert!(spent.contains("(VALUES ($1, $2, $3), ($4, $5, $6)) AS row"), "{spent}");
    }

    #[test]
    fn what_differs_is_spelled_for_postgres() {
        let cases = [
            ("FETCH 1000 FROM large", "FETCH 1000 FROM large"),
            ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT INTO haldir.t (a, b) VALUES ($1, $2)"),
            (
                "INSERT OR REPLACE INTO t (a, b) VALUES (?1, 'why?')",
                "INSERT INTO haldir.t (a, b) VALUES ($1, 'why?') ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET a = excluded.a, b = excluded.b",
            ),
            (
                "SELECT max(a), min(a, ?2), sum(length(b)) FROM t INDEXED BY t_by_a WHERE ifnull(a, 1) > ?1",
                "SELECT max(a), least(a, $2), sum(length(b))::bigint FROM haldir.t WHERE coalesce(a, 1) > $1",
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
                "SELECT seq FROM haldir.audit_entries WHERE log = haldir.log_of($1) AND seq >= $2 AND seq < $3 ORDER BY seq",
            ),
        ];
        for (ours, theirs) in cases {
            assert_eq!(translate(ours), theirs);
        }
    }
}
