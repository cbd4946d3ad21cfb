//! `haldir audit` and `haldir demo`: checking the log alone, and from outside.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Instant,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use haldir::{
    call::Keyring,
    crypto::{Note, TrustedKey, Verifier},
    model::{TenantId, UnixMicros},
    store::sqlite::tampering,
    watch::chain,
};
use serde_json::{Value, json};

use super::{Outcome, Terminal};
use crate::support::{self, long, on_postgres, open_store};

/// An alteration of the lines of a bundle.
type Change = Box<dyn Fn(&mut Vec<String>)>;

/// A store whose log has this many entries and a few more.
fn logged(entries: usize) -> Terminal {
    let (terminal, _) = Terminal::with_store();
    append(&terminal, "a", entries);
    terminal
}

fn append(terminal: &Terminal, word: &str, entries: usize) {
    let mut server = terminal.server(&[]);
    server.current_dir(terminal.folder.path());
    let (session, server) = (terminal.session(), support::Stdio::start(server));
    for number in 0..entries {
        let action = format!("{word}{number}");
        server.ok("logAction", &json!({"session_id": session, "action": action, "details": {"n": number}}));
    }
    assert!(server.leave().0);
}

fn path(terminal: &Terminal, name: &str) -> String {
    terminal.folder.path().join(name).display().to_string()
}

fn verifier(terminal: &Terminal) -> String {
    let keys = terminal.done(&["call", "list-log-keys"]).json();
    keys["keys"][0]["verifier_key"].as_str().unwrap().to_owned()
}

/// Somebody who has stolen the master key writes a whole new log: every hash, the tree, the head and its signatures
/// are right.
fn rewrite_with_the_key(terminal: &Terminal, entries: usize) {
    terminal.database().batch(tampering::EMPTY_LOG);
    let key = on_postgres::master_key(&terminal.store());
    let store = open_store(&terminal.store()).unwrap();
    let keyring = Keyring::new(&key);
    let begin = store.write(&TenantId::local(), move |tx| {
        let keys = keyring.tenant(tx, &TenantId::local())?;
        chain::begin(tx, &keys, &TenantId::local(), UnixMicros(0))
    });
    tokio::runtime::Runtime::new().unwrap().block_on(begin).unwrap();
    store.close();
    append(terminal, "forged", entries);
}

#[test]
fn a_bundle_is_verified_without_a_store_and_names_the_entry_that_was_altered() {
    let terminal = logged(9);
    let bundle = path(&terminal, "log.bundle");
    // A bundle is always whole.
    let narrowed = terminal.refused(&["audit", "export", "--bundle", &bundle, "--since", "1h"], 2).stderr;
    assert!(narrowed.contains("whole log") && narrowed.contains("--since"), "{narrowed}");
    let exported = terminal.done(&["audit", "export", "--bundle", &bundle]).stdout;
    let key = verifier(&terminal);
    assert!(exported.contains(&format!("haldir audit verify {bundle} --key '{key}'")), "{exported}");
    assert_eq!(terminal.done(&["audit", "keys"]).stdout, format!("{key}\n"));
    let verified = terminal.done(&["audit", "verify"]).stdout;
    assert_eq!(verified.matches("verified").count(), 1, "{verified}");
    terminal.lose_store();
    let report = terminal.done(&["audit", "verify", &bundle, "--json", "--key", &key]).json();
    assert_eq!(
        (&report["verified"], &report["entries_checked"], &report["key_is_trusted"]),
        (&json!(true), &json!(11), &json!(true))
    );
    assert_eq!((&report["details_erased"], &report["heads_checked"]), (&json!(0), &json!(0)));
    // The bundle's own key proves nothing about whose log it is.
    let alone = terminal.refused(&["audit", "verify", &bundle], 3);
    assert!(alone.stdout.starts_with("consistent with itself, not verified: all 11 entries"), "{alone:?}");
    assert!(alone.stdout.contains("came with the bundle") && alone.stdout.contains("haldir audit keys"), "{alone:?}");
    let TrustedKey::Named(named) = TrustedKey::parse(&key).unwrap() else { panic!("{key} has a name") };
    let bytes = named.key().as_bytes().to_owned();
    let (hex, base64) =
        (bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")), URL_SAFE_NO_PAD.encode(bytes));
    for form in [hex.as_str(), &hex.to_uppercase(), &base64, &STANDARD.encode(bytes)] {
        let done = terminal.done(&["audit", "verify", &bundle, "--key", form]);
        assert!(done.stdout.starts_with("verified: "), "{form}: {done:?}");
    }
    terminal.refused(&["audit", "verify", &bundle, "--key", &hex[..62]], 2);
    let text = fs::read_to_string(&bundle).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 11 + 1);
    let altered = |change: &dyn Fn(&mut Vec<String>)| -> Outcome {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut lines);
        let file = path(&terminal, "altered.bundle");
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        terminal.run(&["audit", "verify", &file, "--json", "--key", &key])
    };
    assert_eq!(altered(&|_| {}).code, 0);
    let replaced = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |lines: &mut Vec<String>| {
            assert!(lines[5].contains(&from), "{from} is not in {}", lines[5]);
            lines[5] = lines[5].replacen(&from, &to, 1);
        }
    };
    let tampering: Vec<(&str, u64, Change)> = vec![
        ("an action", 5, Box::new(replaced("\"action\":\"a2\"", "\"action\":\"b2\""))),
        ("a time below a second", 5, Box::new(replaced("\"at\":1", "\"at\":2"))),
        (
            "a separator between two fields",
            5,
            Box::new(replaced("\"action\":\"a2\",\"actor\":\"", "\"action\":\"a2,\",\"actor\":\"")),
        ),
        ("details", 5, Box::new(replaced("{\\\"n\\\":2}", "{\\\"n\\\":3}"))),
        ("a salt", 5, Box::new(replaced("\"salt\":\"", "\"salt\":\"0"))),
        ("a hash", 5, Box::new(replaced("\"hash\":\"", "\"hash\":\"0"))),
        (
            "a member that nothing vouches for",
            5,
            Box::new(replaced("{\"entry\"", "{\"approved_by\":\"ann\",\"entry\"")),
        ),
        ("the tenant", 5, Box::new(replaced("\"tenant\":\"local\"", "\"tenant\":\"other\""))),
        ("a removed entry", 5, Box::new(|lines| drop(lines.remove(5)))),
        ("two entries the other way round", 5, Box::new(|lines| lines.swap(5, 6))),
        ("an entry twice", 6, Box::new(|lines| lines.insert(5, lines[5].clone()))),
        (
            "the tail cut off",
            11,
            Box::new(|lines| {
                lines.remove(11);
                lines[11] = "{\"end\":10}".to_owned();
            }),
        ),
    ];
    for (what, seq, change) in tampering {
        let outcome = altered(&*change);
        let report = outcome.json();
        assert_eq!((outcome.code, &report["verified"]), (1, &json!(false)), "{what}: {report}");
        assert_eq!(report["first_bad"]["seq"], json!(seq), "{what}: {report}");
        assert!(report["message"].as_str().unwrap().starts_with(&format!("entry {seq}: ")), "{what}: {report}");
    }
    // A bundle that agrees with itself but has another key is not taken for this log's.
    let other = logged(9);
    let foreign = path(&other, "foreign.bundle");
    other.done(&["audit", "export", "--bundle", &foreign]);
    let refused = terminal.refused(&["audit", "verify", &foreign, "--key", &key], 1);
    assert!(
        refused.stdout.starts_with("NOT VERIFIED: ") && refused.stdout.contains("not signed by a key that was given")
    );
    let report = terminal.refused(&["audit", "verify", &foreign, "--key", &key, "--json"], 1).json();
    assert_eq!(
        (&report["verified"], &report["key_is_trusted"], &report["first_bad"]["line"]),
        (&json!(false), &json!(false), &json!(1))
    );
}

#[test]
fn every_single_bit_of_a_bundle_counts() {
    let terminal = logged(1);
    let bundle = path(&terminal, "log.bundle");
    terminal.done(&["audit", "export", "--bundle", &bundle]);
    let bytes = fs::read(&bundle).unwrap();
    let key = TrustedKey::parse(&verifier(&terminal)).unwrap();
    let verify = |bytes: &[u8]| {
        let report = haldir::operations::bundle::verify(bytes, std::slice::from_ref(&key), 1, &mut |_, _| {});
        report.is_ok_and(|report| report.verified)
    };
    assert!(verify(&bytes));
    let first_line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let keys_at = String::from_utf8_lossy(&bytes[..first_line]).find("\"keys\"").unwrap();
    for bit in 0..bytes.len() * 8 {
        // Usually one bit of each byte, in turn.
        if bit % 8 != long(bit / 8 % 8, bit % 8) {
            continue;
        }
        // The keys that come with it are not what it is checked with; the last line feed says nothing.
        if (keys_at..first_line).contains(&(bit / 8)) || bit / 8 == bytes.len() - 1 {
            continue;
        }
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        // White space that JSON allows, and letters of its escapes in another case, mean the same.
        let means_the_same = |line: &[u8]| serde_json::from_slice::<Value>(line).ok();
        let lines =
            |bytes: &[u8]| -> Vec<Option<Value>> { bytes.split(|byte| *byte == b'\n').map(means_the_same).collect() };
        if verify(&altered) {
            assert_eq!(lines(&altered), lines(&bytes), "bit {bit} of the bundle may be altered");
        }
    }
}

#[test]
fn erased_details_still_verify_in_a_bundle() {
    let terminal = logged(4);
    terminal.done(&["call", "set-audit-retention", "--retain-days", "1"]);
    // As retention leaves them.
    terminal.database().batch("UPDATE audit_entries SET details = NULL, details_salt = NULL WHERE place <= 3");
    let bundle = path(&terminal, "log.bundle");
    terminal.done(&["audit", "export", "--bundle", &bundle]);
    let key = verifier(&terminal);
    let report = terminal.done(&["audit", "verify", &bundle, "--json", "--key", &key]).json();
    assert_eq!((&report["verified"], &report["details_erased"]), (&json!(true), &json!(3)));
}

#[test]
fn the_log_of_the_store_is_verified_on_all_cores_with_the_same_findings_as_on_one() {
    let terminal = logged(20);
    let both = || {
        let alone = terminal.done(&["call", "verify-audit-trail"]).json();
        let threads = terminal.run(&["audit", "verify", "--json", "--threads", "3"]);
        assert_eq!(threads.json(), alone);
        assert_eq!(threads.code == 0, alone["verified"] == true);
        alone
    };
    assert_eq!(both()["verified"], true);
    for sql in [
        "UPDATE audit_entries SET cost = cost + 1 WHERE place = 7",
        "UPDATE audit_entries SET details = '{}' WHERE place = 9",
        "DELETE FROM audit_entries WHERE place = 8",
        "DELETE FROM audit_entries WHERE place > 12",
        "UPDATE audit_entries SET place = -1 WHERE place = 4",
        "UPDATE audit_entries SET place = 400 WHERE place = 22",
        "UPDATE audit_entries SET id = 'no id' WHERE place = 5",
        "UPDATE audit_heads SET flagged = flagged + 1",
        "INSERT INTO log_folds VALUES ('local', 5)",
        "INSERT INTO tree_tiles VALUES ('local', 0, 0, zeroblob(512))",
    ] {
        let (database, tables) = (terminal.database(), ["audit_entries", "audit_heads", "log_folds", "tree_tiles"]);
        database.keep(&tables);
        database.batch(sql);
        assert_eq!(both()["verified"], false, "{sql}");
        database.put_back(&tables);
    }
    assert_eq!(both()["verified"], true);
    terminal.database().batch("DELETE FROM audit_heads");
    let report = terminal.refused(&["audit", "verify", "--json"], 1).json();
    assert!(report["message"].as_str().unwrap().contains("the head of the log is missing"), "{report}");
    let terminal = logged(1);
    terminal.refused(&["audit", "verify", "--key", &verifier(&terminal)], 2);
}

#[test]
fn a_pin_follows_the_log_and_catches_an_insider_who_has_the_key() {
    let terminal = logged(5);
    let pin = path(&terminal, "log.pin");
    assert!(terminal.done(&["audit", "pin", "--file", &pin]).stdout.contains("pinned at 7 entries"));
    append(&terminal, "b", 3);
    let again = terminal.done(&["audit", "pin", "--file", &pin, "--json"]).json();
    assert_eq!((&again["tree_size"], &again["kept_size"]), (&json!(11), &json!(7)));
    // A rotated key is taken up from a checkpoint that the old one signed as well.
    terminal.done(&["audit", "rotate-key", "--overlap-days", "7"]);
    terminal.done(&["audit", "pin", "--file", &pin]);
    terminal.done(&["audit", "rotate-key", "--overlap-days", "0"]);
    terminal.done(&["audit", "pin", "--file", &pin]);
    let kept = fs::read_to_string(&pin).unwrap();
    rewrite_with_the_key(&terminal, 20);
    assert_eq!(terminal.done(&["audit", "verify", "--json"]).json()["verified"], true, "the forgery is perfect inside");
    let refused = terminal.refused(&["audit", "pin", "--file", &pin], 1);
    assert!(refused.stderr.contains("it was rewritten"), "{refused:?}");
    assert_eq!(fs::read_to_string(&pin).unwrap(), kept, "the pin stays");
    rewrite_with_the_key(&terminal, 1);
    let refused = terminal.refused(&["audit", "pin", "--file", &pin], 1);
    assert!(refused.stderr.contains("was cut off"), "{refused:?}");
    fs::write(&pin, "{}").unwrap();
    terminal.refused(&["audit", "pin", "--file", &pin], 2);
}

#[test]
fn a_key_that_was_replaced_without_overlap_is_not_trusted() {
    let terminal = logged(1);
    let pin = path(&terminal, "log.pin");
    terminal.done(&["audit", "pin", "--file", &pin]);
    terminal.done(&["audit", "rotate-key", "--overlap-days", "0"]);
    let refused = terminal.refused(&["audit", "pin", "--file", &pin], 1);
    assert!(refused.stderr.contains("not signed by a key that is trusted"), "{refused:?}");
}

/// A witness, stopped when dropped.
struct Witness {
    child: Child,
    url: String,
    verifier: String,
}

impl Witness {
    fn start(terminal: &Terminal, log: &str) -> Self {
        let folder = path(terminal, "witness");
        let arguments = [
            "audit", "witness", "--listen", "127.0.0.1:0", "--name", "w.example", "--folder", &folder, "--log", log,
            "--json",
        ];
        let mut child = terminal.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let said: Value = serde_json::from_str(&first).unwrap_or_else(|error| panic!("{error}: {first}"));
        let text = |field: &str| said[field].as_str().unwrap().to_owned();
        Self { child, url: text("listening"), verifier: text("verifier_key") }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_witness_cosigns_what_grows_and_refuses_a_fork_also_after_a_restart() {
    let terminal = logged(4);
    let log = verifier(&terminal);
    let mut witness = Witness::start(&terminal, &log);
    let archive = path(&terminal, "archive.jsonl");
    let mirror = |witness: &Witness, archive: &str| {
        let arguments =
            ["audit", "mirror", "--to", archive, "--witness", &witness.url, "--witness-key", &witness.verifier];
        terminal.run(&arguments)
    };
    let first = mirror(&witness, &archive);
    assert_eq!(first.code, 0, "{first:?}");
    append(&terminal, "b", 3);
    // It remembers what it has seen, and its key.
    let verifier_before = witness.verifier.clone();
    drop(witness);
    witness = Witness::start(&terminal, &log);
    assert_eq!(witness.verifier, verifier_before);
    assert_eq!(mirror(&witness, &archive).code, 0);
    assert_eq!(mirror(&witness, &archive).code, 0, "nothing new is nothing wrong");
    let lines = fs::read_to_string(&archive).unwrap();
    let notes: Vec<Note> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| Note::parse(line["checkpoint"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(notes.len(), 2);
    let (log_key, witness_key) = (Verifier::parse(&log).unwrap(), Verifier::parse(&witness.verifier).unwrap());
    for note in &notes {
        assert_eq!(log_key.verify(note), Some(0));
        assert!(witness_key.verify(note).is_some_and(|time| time > 1_700_000_000));
    }
    // Two witnesses on one folder could sign two histories.
    let folder = path(&terminal, "witness");
    terminal.refused(
        &["audit", "witness", "--listen", "127.0.0.1:0", "--name", "w", "--folder", &folder, "--log", &log],
        1,
    );
    rewrite_with_the_key(&terminal, 20);
    let fresh = path(&terminal, "fresh.jsonl");
    let refused = mirror(&witness, &fresh);
    assert!(refused.code == 1 && refused.stderr.contains("rewritten"), "{refused:?}");
    let refused = mirror(&witness, &archive);
    assert!(refused.code == 1 && refused.stderr.contains("rewritten"), "{refused:?}");
    assert_eq!(fs::read_to_string(&archive).unwrap(), lines);
}

#[test]
fn the_demonstration_shows_that_each_of_five_tamperings_is_caught() {
    let terminal = Terminal::new();
    let began = Instant::now();
    let found = terminal.done(&["demo", "tamper", "--json"]).json();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 6);
    let caught = |tampering: &Value, by: &str| tampering[by].is_string();
    assert!(["verification", "pin", "witness"].iter().all(|by| !caught(&found[0], by)), "{}", found[0]);
    for tampering in &found[1..5] {
        assert!(caught(tampering, "verification"), "{tampering}");
    }
    let stolen = &found[5];
    assert!(!caught(stolen, "verification") && caught(stolen, "pin") && caught(stolen, "witness"), "{stolen}");
    assert!(terminal.done(&["demo", "tamper"]).stdout.contains("steal the master key"));
    assert_eq!(fs::read_dir(terminal.folder.path()).unwrap().count(), 0, "the demonstration leaves nothing");
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn a_witness_does_not_wait_for_ever_for_a_request_that_does_not_arrive() {
    use std::io::{Read, Write};
    let terminal = logged(1);
    let witness = Witness::start(&terminal, &verifier(&terminal));
    let mut stream = std::net::TcpStream::connect(witness.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(25))).unwrap();
    stream.write_all(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nold").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[test]
fn entries_are_exported_to_a_file_and_the_last_are_shown() {
    let (terminal, _) = Terminal::with_store();
    let session = terminal.session();
    for (tool, cost) in [("search", "1.10"), ("=mail", "0")] {
        let log = ["call", "log-action", "--session-id", &session, "--tool", tool, "--action", "x", "--cost-usd", cost];
        terminal.done(&log);
    }
    let path = |name: &str| terminal.folder.path().join(name).to_str().unwrap().to_owned();
    let (jsonl, csv) = (path("a.jsonl"), path("a.csv"));
    let written = terminal.done(&["audit", "export", "--format", "jsonl", "--out", &jsonl, "--json"]).json();
    let text = std::fs::read_to_string(&jsonl).unwrap();
    assert_eq!(written["entries"], text.lines().count() - 1, "{written}");
    assert!(text.contains(r#""cost_usd":1.1"#) && text.lines().last().unwrap().contains("manifest"), "{text}");
    // The form is that of the name; only what is asked for is there.
    let done = terminal.done(&["audit", "export", "--out", &csv, "--agent", "bot", "--tool", "=mail", "--since", "1h"]);
    assert!(done.stdout.starts_with(&format!("{csv}: 1 entries, ")), "{done:?}");
    let text = std::fs::read_to_string(&csv).unwrap();
    assert!(text.starts_with("entry_id,") && text.lines().count() == 2 && text.contains("'=mail"), "{text}");
    // A file that is there stays, unless it is to be written over; nothing is left beside it.
    assert!(terminal.refused(&["audit", "export", "--out", &csv], 1).stderr.contains("--force"));
    terminal.done(&["audit", "export", "--out", &csv, "--force"]);
    assert!(!std::path::Path::new(&format!("{csv}.part")).exists());
    let out = terminal.done(&["audit", "export", "--format", "csv"]).stdout;
    assert!(out.starts_with("entry_id,") && out.contains("search"), "{out}");
    terminal.refused(&["audit", "export", "--bundle", &path("b"), "--format", "csv"], 2);
    terminal.refused(&["audit", "export", "--json"], 2);
    let tail = terminal.done(&["audit", "tail", "--agent", "bot", "-n", "1"]).stdout;
    assert!(tail.lines().count() == 2 && tail.contains("=mail"), "{tail}");
}
