//! The log as a file: JSONL and CSV, whole or by filters, with a manifest.

use std::collections::BTreeSet;

use haldir::crypto::Sha256;
use serde_json::Value;

use crate::support::{Client, House, Server, at_once, integer, json, long, text, until};

fn log() -> (House, Server, Client, String) {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "=cmd|' /C calc'!A0"}));
    for (tool, details) in [("shop", json!({"a": [1, "x,\"y\"\nz"]})), ("search", json!("text")), ("+1", Value::Null)] {
        let body = json!({"session_id": session, "action": "do, \"it\"\nnow", "tool": tool, "details": details});
        operator.post("/v1/audit", &body).ok();
    }
    operator
        .post_text("/v1/audit", &format!(r#"{{"session_id":"{session}","action":"dear","cost_usd":100.000000001}}"#))
        .ok();
    (house, server, operator, session)
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn digest<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut digest = Sha256::default();
    ids.for_each(|id| digest.update(format!("{id}\n").as_bytes()));
    haldir::watch::canonical::hex(&digest.finish())
}

#[test]
fn lines_of_json_are_called_text_to_clients_that_accept_nothing_else() {
    let (_house, _server, operator, _session) = log();
    for path in ["/v1/audit/export", "/v1/audit/bundle"] {
        let kind = |accept: &[(&str, &str)]| {
            let answer = operator.send("GET", path, accept, "");
            assert!(!lines(&answer.text).is_empty());
            answer.header("content-type").unwrap().to_owned()
        };
        assert_eq!(kind(&[("Accept", "text/plain")]), "text/plain; charset=utf-8", "{path}");
        assert_eq!(kind(&[("Accept", "TEXT/*;q=0.5")]), "text/plain; charset=utf-8", "{path}");
        for accept in ["*/*", "application/x-ndjson, text/plain", "text/html", "text/plain, */*;q=0.1"] {
            assert_eq!(kind(&[("Accept", accept)]), "application/x-ndjson; charset=utf-8", "{path} {accept}");
        }
        assert_eq!(kind(&[]), "application/x-ndjson; charset=utf-8", "{path}");
    }
}

#[test]
fn jsonl_has_every_entry_oldest_first_and_then_the_manifest() {
    let (_house, _server, operator, _session) = log();
    let answer = operator.get("/v1/audit/export");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("x-haldir-export-manifest"), Some("embedded-final-line"));
    assert_eq!(answer.header("x-haldir-export-format-version"), Some("1"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    let name = answer.header("content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"haldir-audit-local-20") && name.ends_with("Z.jsonl\""), "{name}");
    let mut lines = lines(&answer.text);
    let manifest = lines.pop().unwrap();
    let mut trail = operator.get("/v1/audit").ok()["entries"].as_array().unwrap().clone();
    trail.reverse();
    assert_eq!(lines.len(), trail.len());
    for (line, entry) in lines.iter().zip(&trail) {
        assert_eq!(line["tenant_id"], "local");
        for (field, value) in line.as_object().unwrap().iter().filter(|(field, _)| *field != "tenant_id") {
            assert_eq!(value, &entry[field], "{field}");
        }
    }
    assert!(answer.text.contains(r#""cost_usd":100.000000001,"#));
    assert_eq!((&manifest["type"], integer(&manifest, "format_version")), (&json!("manifest"), 1));
    assert_eq!(manifest["count"], lines.len());
    assert_eq!(manifest["sha256"], digest(lines.iter().map(|line| line["entry_id"].as_str().unwrap())));
    assert_eq!(manifest["last_chain_hash"], lines.last().unwrap()["entry_hash"]);
    assert_eq!(manifest["first_timestamp"], lines[0]["timestamp"]);
    assert_eq!((&manifest["filters"], &manifest["tenant_id"]), (&json!({}), &json!("local")));
    let mut alone = operator.get("/v1/audit/export/manifest").ok();
    assert!(text(&alone, "generated_at").ends_with('Z'));
    alone["generated_at"] = manifest["generated_at"].clone();
    assert_eq!(alone, manifest);
}

#[test]
fn filters_hold_for_the_export_and_stand_in_its_manifest() {
    let (_house, _server, operator, session) = log();
    let all = integer(&operator.get("/v1/audit").ok(), "count");
    let count = |query: &str| {
        let lines = lines(&operator.get(&format!("/v1/audit/export?{query}")).text);
        let manifest = lines.last().unwrap().clone();
        assert_eq!(integer(&manifest, "count") + 1, i64::try_from(lines.len()).unwrap());
        (integer(&manifest, "count"), manifest["filters"].clone())
    };
    assert_eq!(count("tool=shop"), (1, json!({"tool": "shop"})));
    assert_eq!(count("flagged=true"), (1, json!({"flagged_only": true})));
    assert_eq!(count("flagged=false").0, all - 1);
    assert_eq!(count("flagged=false&tool=shop").0, 1);
    assert_eq!(count(&format!("session_id={session}")).0, 5);
    assert_eq!(count("agent_id=nobody").0, 0);
    assert_eq!(count("since=4000000000").0, 0);
    assert_eq!(count("until=1").0, 0);
    let none = operator.get("/v1/audit/export/manifest?agent_id=nobody").ok();
    assert_eq!((&none["first_timestamp"], &none["last_chain_hash"]), (&json!(null), &json!("")));
    assert_eq!(none["sha256"], digest(std::iter::empty()));
    let body = operator.get("/v1/audit/export?format=xml").refused(400, "invalid_format");
    assert_eq!(body["got"], "xml");
}

#[test]
fn jsonl_without_its_manifest_is_entries_alone() {
    let (_house, _server, operator, _session) = log();
    let whole = operator.get("/v1/audit/export");
    let plain = operator.get("/v1/audit/export?manifest=false");
    assert_eq!(plain.header("x-haldir-export-manifest"), Some("out-of-band"));
    let (whole, plain) = (lines(&whole.text), lines(&plain.text));
    assert_eq!((plain.len() + 1, &plain[..]), (whole.len(), &whole[..whole.len() - 1]));
    assert!(plain.iter().all(|line| line["entry_id"].is_string() && line.get("type").is_none()));
    operator.get("/v1/audit/export?manifest=maybe").refused_field(400, "invalid_argument", "manifest");
}

#[test]
fn csv_reads_back_as_it_was_and_runs_nothing_in_a_spreadsheet() {
    let (_house, _server, operator, _session) = log();
    let answer = operator.get("/v1/audit/export?format=csv");
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(answer.header("x-haldir-export-manifest"), Some("out-of-band"));
    assert!(!answer.text.contains('\r'));
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let header = reader.headers().unwrap().iter().collect::<Vec<_>>().join(",");
    assert_eq!(
        header,
        "entry_id,timestamp,timestamp_iso,tenant_id,session_id,agent_id,tool,action,cost_usd,flagged,flag_reason,\
         details_json,prev_hash,entry_hash,seq,kind,actor,details_digest"
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let exported = lines(&operator.get("/v1/audit/export").text);
    assert_eq!(rows.len() + 1, exported.len());
    for (row, line) in rows.iter().zip(&exported) {
        for (place, field) in
            [(0, "entry_id"), (4, "session_id"), (7, "action"), (10, "flag_reason"), (13, "entry_hash"), (15, "kind")]
        {
            assert_eq!(row[place], text(line, field));
        }
        assert_eq!(row[14], line["seq"].to_string());
        assert_eq!(
            (&row[16], &row[17]),
            (line["actor"].as_str().unwrap(), line["details_digest"].as_str().unwrap_or(""))
        );
        assert_eq!(row[1].split_once('.').unwrap().1.len(), 6);
        assert!(row[2].ends_with('Z'));
        assert_eq!(row[9], line["flagged"].to_string());
        let details: Value = if row[11].is_empty() { Value::Null } else { serde_json::from_str(&row[11]).unwrap() };
        assert_eq!(details, line["details"]);
        assert!(!row.iter().any(|cell| cell.starts_with(['=', '+', '@'])), "{row:?}");
        if text(line, "agent_id") != "system" {
            assert_eq!(&row[5], "'=cmd|' /C calc'!A0");
        }
    }
    assert_eq!(&rows[rows.len() - 2][6], "'+1");
    assert_eq!(&rows[rows.len() - 1][8], "100.000000001");
}

#[test]
fn an_export_of_many_pages_is_whole_while_others_write() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    at_once(14, |_| {
        let client = operator.again();
        (0..50).for_each(|_| drop(client.log(&session, "x").ok()));
    });
    std::thread::scope(|scope| {
        let other = server.with_key(operator.key());
        let session = &session;
        scope.spawn(move || (0..200).for_each(|_| drop(other.log(session, "y").ok())));
        for _ in 0..5 {
            let lines = lines(&operator.get("/v1/audit/export").text);
            let (manifest, entries) = lines.split_last().unwrap();
            assert_eq!(manifest["count"], entries.len());
            let mut last = None::<&Value>;
            for entry in entries {
                assert!(last.is_none_or(|last| last["entry_hash"] == entry["prev_hash"]), "a gap before {entry}");
                last = Some(entry);
            }
            assert!(entries.len() > 700);
        }
    });
}

#[test]
fn a_slow_client_does_not_take_the_streams_of_others() {
    use std::io::{Read, Write};
    const READERS: usize = 16;
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = operator.session(&json!({}));
    // More than the server and the network hold for a client that does not read.
    let entry = json!({"session_id": session, "action": "x", "details": "y".repeat(60_000)});
    at_once(6, |_| {
        let client = operator.again();
        (0..50).for_each(|_| drop(client.post("/v1/audit", &entry).ok()));
    });
    let mut readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(server.address).unwrap();
            let head = format!(
                "GET /v1/audit/export HTTP/1.1\r\nHost: {}\r\nX-API-Key: {}\r\n\r\n",
                server.address,
                agent.key()
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            (String::from_utf8(status.to_vec()).unwrap(), stream)
        })
        .collect();
    let begun = readers.iter().filter(|(status, _)| status.ends_with("200")).count();
    assert!((1..READERS).contains(&begun), "{begun} streams of one key");
    assert!(readers.iter().all(|(status, _)| status.ends_with("200") || status.ends_with("503")));
    agent.get("/v1/audit/checkpoint").refused(503, "unavailable");
    assert_eq!(operator.get("/v1/audit/checkpoint").status, 200);
    readers.clear();
    until("what was given up is given back", || agent.get("/v1/audit/checkpoint").status == 200);
}

#[test]
fn a_page_of_large_details_ends_early_and_the_next_goes_on_behind_it() {
    const MANY: usize = 90;
    const MOST_BYTES: usize = 6_000_000;
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let details = "y".repeat(65_000);
    for number in 0..MANY {
        let action = format!("work {number}");
        operator.post("/v1/audit", &json!({"session_id": session, "action": action, "details": details})).ok();
        let asked = json!({"session_id": session, "tool": "t", "action": action, "details": details});
        operator.post("/v1/approvals/request", &asked).ok();
    }
    let of_session = format!("session_id={session}&");
    for (path, list, filter) in [("/v1/audit", "entries", &*of_session), ("/v1/approvals/pending", "requests", "")] {
        let (mut seen, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
        loop {
            let answer = operator.get(&format!("{path}?{filter}limit=1000{cursor}"));
            assert!(answer.text.len() < MOST_BYTES, "{path}: a page of {} bytes", answer.text.len());
            let page = answer.ok();
            let items = page[list].as_array().unwrap();
            let large = items.iter().filter(|item| item["details"] == *details);
            seen.extend(large.map(|item| item["action"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), MANY, "{path}");
        assert!((2..MANY).contains(&pages), "{path}: {pages} pages");
    }
}

/// Memory of a process, from /proc: `VmRSS` now, `VmHWM` at most, in kilobytes.
#[cfg(target_os = "linux")]
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Reads an answer to its end without keeping it; answers its length and its last bytes.
#[cfg(target_os = "linux")]
fn read_away(server: &Server, key: &str, path: &str) -> (usize, Vec<u8>) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n", server.address);
    stream.write_all(head.as_bytes()).unwrap();
    let (mut length, mut end, mut buffer) = (0, Vec::new(), vec![0; 65_536]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        length += read;
        end.extend_from_slice(&buffer[..read]);
        end.drain(..end.len().saturating_sub(1_000));
    }
    (length, end)
}

#[cfg(target_os = "linux")]
#[test]
fn an_export_of_a_hundred_megabytes_takes_no_more_memory_than_its_pages() {
    const DETAILS: usize = 60_000;
    /// Pages of 256 entries with the largest details are 16 MB: one as rows, one as text, and what SQLite caches.
    const MOST_KILOBYTES: u64 = 60_000;
    // More than that in all.
    let entries = long(1_100, 2_000);
    let house = House::new();
    let (mut server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let entry = json!({"session_id": session, "action": "x", "details": "y".repeat(DETAILS)});
    at_once(4, |_| {
        let client = server.with_key(operator.key());
        (0..entries / 4).for_each(|_| drop(client.post("/v1/audit", &entry).ok()));
    });
    let process = server.process.child().id();
    for format in ["jsonl", "csv"] {
        // From here on the highest mark counts anew (proc(5), clear_refs).
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
        let before = memory(process, "VmRSS");
        let (length, end) = read_away(&server, operator.key(), &format!("/v1/audit/export?format={format}"));
        let most = memory(process, "VmHWM");
        assert!(length > entries * DETAILS, "{format}: {length} bytes");
        assert!(end.ends_with(b"0\r\n\r\n"), "{format} broke off");
        assert!(most < before + MOST_KILOBYTES, "{format}: {before} kB before, {most} kB at most, {length} bytes sent");
    }
}

#[test]
fn a_page_shows_an_entry_that_cannot_be_read_as_one_and_an_export_breaks_off() {
    let (house, _server, operator, _session) = log();
    let entries = operator.get("/v1/audit").ok()["entries"].as_array().unwrap().clone();
    let sql = house.sql();
    for change in ["kind = 'x'", "entry_hash = zeroblob(1)", "flagged = 7", "details = '{'", "id = ''"] {
        sql.keep(&["audit_entries"]);
        sql.batch(&format!("UPDATE audit_entries SET {change} WHERE place = 3"));
        let page = operator.get("/v1/audit").ok();
        let shown = page["entries"].as_array().unwrap();
        assert_eq!(shown.len(), entries.len(), "{change}");
        for (now, before) in shown.iter().zip(&entries) {
            if before["seq"] == 3 {
                assert!(text(now, "unreadable").starts_with("the entry was altered"), "{now}");
                assert_eq!(now["seq"], 3);
            } else {
                assert_eq!(now, before);
            }
        }
        let id = entries.iter().find(|entry| entry["seq"] == 3).unwrap()["entry_id"].as_str().unwrap();
        let one = operator.get(&format!("/v1/audit/entries/{id}")).ok();
        assert!(one["unreadable"].is_string(), "{one}");
        let export = operator.try_send("GET", "/v1/audit/export", &[], "");
        assert!(export.is_err(), "{change}: a part was taken for the whole");
        sql.put_back(&["audit_entries"]);
    }
    operator.verified();
}
