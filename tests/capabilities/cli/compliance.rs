//! `haldir compliance`.

use std::fs;

use serde_json::{Value, json};

use super::Terminal;

/// A store in which something happened, and a pack of it in a file.
fn packed() -> (Terminal, String, Value) {
    let (terminal, _) = Terminal::with_store();
    terminal.session();
    let file = terminal.folder.path().join("pack.json").display().to_string();
    let written = terminal.done(&["compliance", "evidence", "--out", &file]);
    assert!(written.stdout.is_empty() && written.stderr.contains("wrote "), "{written:?}");
    let pack = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    (terminal, file, pack)
}

#[test]
fn a_pack_is_written_and_holds_against_the_stores_key_or_a_given_one() {
    let (terminal, file, pack) = packed();
    assert_eq!(pack["access_control"]["sessions_created"], 1, "{pack}");
    let held = terminal.done(&["compliance", "verify", &file]).stdout;
    assert!(held.contains("holds: local from") && held.contains("was not over yet"), "{held}");
    let key = pack["signatures"]["public_key"].as_str().unwrap();
    // Without any store: the public key is enough.
    let elsewhere = Terminal::new();
    let verified = elsewhere.done(&["compliance", "verify", &file, "--public-key", key, "--json"]).json();
    assert_eq!((&verified["verified"], &verified["digest"]), (&json!(true), &pack["signatures"]["digest"]));
    let unnamed = elsewhere.without_store(&["compliance", "verify", &file]);
    assert!(unnamed.code == 2 && unnamed.stderr.contains("--public-key"), "{unnamed:?}");
    // A key set as it is published.
    let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap()).collect();
    let x = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
    let keys = elsewhere.folder.path().join("keys.json");
    fs::write(&keys, json!({"keys": [{"kty": "RSA"}, {"kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string()).unwrap();
    elsewhere.done(&["compliance", "verify", &file, "--jwks", keys.to_str().unwrap()]);
}

#[test]
fn an_altered_pack_and_a_foreign_key_are_refused() {
    let (terminal, file, pack) = packed();
    let foreign = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let refused = terminal.refused(&["compliance", "verify", &file, "--public-key", foreign], 1);
    assert!(refused.stdout.contains("not among those trusted"), "{refused:?}");
    let mut altered = pack.clone();
    altered["access_control"]["sessions_created"] = json!(0);
    fs::write(&file, altered.to_string()).unwrap();
    let refused = terminal.refused(&["compliance", "verify", &file, "--json"], 1).json();
    assert!(refused["problem"].as_str().unwrap().contains("it was altered"), "{refused}");
    // One that the holder of another key has signed anew has that key, which nobody trusts.
    let (_other, others_file, _) = packed();
    terminal.refused(&["compliance", "verify", &others_file], 1);
    terminal.refused(&["compliance", "verify", "nowhere.json"], 2);
    let markdown = terminal.folder.path().join("pack.md").display().to_string();
    terminal.done(&["compliance", "evidence", "--out", &markdown]);
    let refused = terminal.refused(&["compliance", "verify", &markdown], 1);
    assert!(refused.stdout.contains("the signature covers the JSON form"), "{refused:?}");
    terminal.refused(&["compliance", "verify", &file, "--public-key", "AB"], 2);
}

#[test]
fn formats_go_by_name_and_wrong_arguments_are_told() {
    let (terminal, _, _) = packed();
    let page = terminal.folder.path().join("pack.html").display().to_string();
    let written = terminal.done(&["compliance", "evidence", "--out", &page, "--json"]).json();
    assert_eq!(written["format"], "html");
    assert!(fs::read_to_string(&page).unwrap().starts_with("<!DOCTYPE html>"));
    assert!(terminal.done(&["compliance", "evidence", "--format", "md"]).stdout.starts_with("# "));
    terminal.refused(&["compliance", "evidence", "--since", "someday"], 2);
    terminal.refused(&["compliance", "evidence", "--format", "pdf"], 2);
    terminal.refused(&["compliance", "evidence", "--since", "2026-02-01", "--until", "2026-01-01"], 2);
    for command in ["evidence", "score", "verify"] {
        assert!(terminal.done(&["compliance", command, "--help"]).stdout.contains("Example"), "{command}");
    }
}

#[test]
fn the_score_and_schedules_are_shown() {
    let (terminal, _, _) = packed();
    let score = terminal.done(&["compliance", "score"]).stdout;
    assert!(score.starts_with("score ") && score.contains("CC8.1 approvals: no rule"), "{score}");
    assert_eq!(terminal.done(&["compliance", "score", "--json"]).json()["total"], 7);
    let schedules = ["compliance", "schedules"];
    assert!(
        terminal.done(&[schedules, ["list", "--json"]].concat()).json()["schedules"].as_array().unwrap().is_empty()
    );
    let create = ["create", "--name", "board", "--cadence", "monthly", "--delivery"];
    let email = terminal.refused(&[&schedules[..], &create[..], &["email:a@example.com"]].concat(), 2);
    assert!(email.stderr.contains("sends no e-mail"), "{email:?}");
    terminal.refused(&[&schedules[..], &create[..], &["webhook:1"]].concat(), 1);
    terminal.refused(&[&schedules[..], &["delete", "sched_x"]].concat(), 1);
}
