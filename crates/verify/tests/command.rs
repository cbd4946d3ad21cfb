//! The command `haldir-verify` on files that this test writes.

use std::{fs, path::Path, process::Command};

use haldir_core::{
    crypto::{Checkpoint, Frontier, SigningKey, Verifier, leaf_hash},
    model::{Entry, EntryId, EntryKind, Money, TenantId, UnixMicros},
};
use haldir_verify::{canonical, hex::hex, pack, tree_head};
use serde_json::{Value, json};

const ORIGIN: &str = "haldir/local/test";

fn run(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_haldir-verify")).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn entry(seq: i64, prev_hash: [u8; 32]) -> Entry {
    let mut entry = Entry {
        seq,
        id: EntryId::parse(format!("aud_{seq}")).unwrap(),
        at: UnixMicros(seq),
        kind: EntryKind::Action,
        session_id: "ses_1".to_owned(),
        agent_id: "agent".to_owned(),
        tool: "shop".to_owned(),
        action: "buy".to_owned(),
        cost: Money::from_nanos(seq),
        flagged: false,
        flag_reason: String::new(),
        actor: "agent".to_owned(),
        details: None,
        details_salt: None,
        details_digest: None,
        prev_hash,
        entry_hash: [0; 32],
    };
    entry.entry_hash = canonical::entry_hash(&canonical::bytes(&TenantId::local(), &entry));
    entry
}

/// The lines of a bundle of three entries.
fn bundle(key: &SigningKey) -> Vec<Value> {
    let (mut tree, mut last, mut lines) = (Frontier::default(), canonical::GENESIS, Vec::new());
    for seq in 1..=3 {
        let entry = entry(seq, last);
        let bytes = canonical::bytes(&TenantId::local(), &entry);
        tree.push(leaf_hash(&bytes));
        last = entry.entry_hash;
        let canonical: Value = serde_json::from_slice(&bytes).unwrap();
        lines.push(json!({"entry": canonical, "hash": hex(&last), "details": null, "salt": null}));
    }
    let mut note = Checkpoint { origin: ORIGIN.to_owned(), size: tree.size(), root: tree.root() }.to_note();
    note.sign(ORIGIN, key);
    let checkpoint = note.to_string();
    lines.insert(
        0,
        json!({"haldir_bundle": 1, "tenant_id": "local", "origin": ORIGIN, "checkpoint": checkpoint,
            "keys": [Verifier::of_log(ORIGIN, key.public()).to_string()]}),
    );
    lines.push(json!({"end": 3}));
    lines
}

fn write(path: &Path, lines: &[Value]) {
    fs::write(path, lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n")).unwrap();
}

#[test]
fn a_bundle_is_verified_with_the_key_of_its_log_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.bundle");
    let file = path.to_str().unwrap();
    let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let mut lines = bundle(&key);
    write(&path, &lines);
    let (own_key, other_key) = (hex(key.public().as_bytes()), hex(other.public().as_bytes()));
    let (code, text) = run(&["bundle", file, "--key", &own_key]);
    assert!(code == 0 && text.starts_with("verified: "), "{code} {text}");
    let (code, text) = run(&["bundle", file]);
    assert!(code == 3 && text.starts_with("consistent with itself, not verified: "), "{code} {text}");
    assert!(text.contains("not where it comes from") && text.contains("--key"), "{text}");
    let (code, text) = run(&["bundle", file, "--key", &other_key]);
    assert!(
        code == 1 && text.contains("NOT VERIFIED") && text.contains("not signed by a key that was given"),
        "{code} {text}"
    );
    lines[2]["entry"]["action"] = "sell".into();
    write(&path, &lines);
    let (code, text) = run(&["bundle", file, "--key", &own_key]);
    assert!(code == 1 && text.contains("entry 2"), "{code} {text}");
    // A forged entry beside a true line of another kind.
    let good = bundle(&key);
    let (seq, leaf) = (2, leaf_hash(good[2]["entry"].to_string().as_bytes()));
    let erased = json!({"seq": seq, "entry_id": "aud_2", "at": 2, "prev_hash": good[1]["hash"], "hash": good[2]["hash"],
        "leaf": hex(&leaf)});
    let mut withheld = bundle(&key);
    withheld[2] = json!({"erased": erased});
    write(&path, &withheld);
    let (code, text) = run(&["bundle", file, "--key", &own_key]);
    assert!(code == 1 && text.contains("version 1"), "{code} {text}");
    withheld[0]["haldir_bundle"] = 2.into();
    write(&path, &withheld);
    let (code, text) = run(&["bundle", file, "--key", &own_key]);
    assert!(code == 0 && text.contains("the texts of 1 of them are not in it"), "{code} {text}");
    assert!(text.contains("their ids and times are not proven"), "{text}");
    // Of the time of an erased entry only the bounds are known.
    for at in [0, 4] {
        withheld[2]["erased"]["at"] = at.into();
        write(&path, &withheld);
        let (code, text) = run(&["bundle", file, "--key", &own_key]);
        assert!(code == 1 && text.contains("older than the one before it"), "{at}: {code} {text}");
    }
    for (line, name, value) in
        [(2, "erased", erased), (4, "entry", good[1]["entry"].clone()), (4, "details", "x".into())]
    {
        let mut lines = bundle(&key);
        lines[line][name] = value;
        write(&path, &lines);
        let (code, text) = run(&["bundle", file, "--key", &own_key]);
        assert!(code == 1 && text.contains("must be one of"), "{name}: {code} {text}");
    }
    fs::write(&path, "no bundle\n").unwrap();
    assert_eq!(run(&["bundle", file]).0, 1);
    assert_eq!(run(&["bundle", folder.path().join("none").to_str().unwrap()]).0, 2);
    assert_eq!(run(&["bundle", file, "--key", "x"]).0, 2);
}

#[test]
fn heads_under_keys_that_were_not_given_are_not_counted_as_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.bundle");
    let file = path.to_str().unwrap();
    let (key, own, unknown) =
        (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]), SigningKey::from_seed(&[3; 32]));
    let own_key = hex(key.public().as_bytes());
    let with_head = |signer: &SigningKey| {
        let mut lines = bundle(&key);
        lines[0]["keys"].as_array_mut().unwrap().push(Verifier::of_log(ORIGIN, own.public()).to_string().into());
        let mut tree = Frontier::default();
        tree.push(leaf_hash(lines[1]["entry"].to_string().as_bytes()));
        let signature = hex(&signer.sign(&tree_head::signed_bytes(1, &tree.root(), 7)));
        let head = json!({"tree_size": 1, "root_hash": hex(&tree.root()), "signed_at": 7,
            "public_key": hex(signer.public().as_bytes()), "signature": signature});
        lines.insert(2, json!({"head": head}));
        write(&path, &lines);
        run(&["bundle", file, "--key", &own_key])
    };
    let (code, text) = with_head(&key);
    assert!(code == 0 && !text.contains("recorded heads"), "{code} {text}");
    let (code, text) = with_head(&own);
    assert!(
        code == 0 && text.contains("1 of 1 recorded heads are signed with keys that were not given"),
        "{code} {text}"
    );
    let (code, text) = with_head(&unknown);
    assert!(code == 1 && text.contains("the head's signature does not verify"), "{code} {text}");
}

#[test]
fn a_pack_is_verified_with_the_key_that_signed_it_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pack.json");
    let file = path.to_str().unwrap();
    let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let mut pack = json!({"tenant_id": "local", "period_start": "2026-01-01T00:00:00Z",
        "period_end": "2026-02-01T00:00:00Z", "generated_at": "2026-02-01T00:00:01Z", "keys": 3});
    let signatures = pack::sign(&pack.to_string(), "local", "2026-02-01T00:00:01Z", true, &key).unwrap();
    pack["signatures"] = serde_json::to_value(signatures).unwrap();
    fs::write(&path, pack.to_string()).unwrap();
    let jwks = folder.path().join("jwks.json");
    let x = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, key.public().as_bytes());
    fs::write(&jwks, json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string()).unwrap();
    let (own_key, other_key) = (hex(key.public().as_bytes()), hex(other.public().as_bytes()));
    assert_eq!(run(&["pack", file, "--key", &own_key]).0, 0);
    assert_eq!(run(&["pack", file, "--jwks", jwks.to_str().unwrap()]).0, 0);
    let (code, text) = run(&["pack", file, "--key", &other_key]);
    assert!(code == 1 && text.contains("not among those trusted"), "{code} {text}");
    assert_eq!(run(&["pack", file]).0, 2, "without a key nothing is verified");
    // A key with the name of a log is trusted for packs of that log's tenant.
    for (log, code) in [(ORIGIN, 0), ("haldir/acme/test", 1), ("witness.example.org", 1)] {
        let named = Verifier::of_log(log, key.public()).to_string();
        let found = run(&["pack", file, "--key", &named]);
        assert!(found.0 == code && (code == 0 || found.1.contains("another log")), "{log}: {found:?}");
    }
    fs::write(&path, [pack.to_string().as_bytes(), b"\xff"].concat()).unwrap();
    assert_eq!(run(&["pack", file, "--key", &own_key]).0, 1, "not UTF-8");
    pack["keys"] = 4.into();
    fs::write(&path, pack.to_string()).unwrap();
    let (code, text) = run(&["pack", file, "--key", &own_key]);
    assert!(code == 1 && text.contains("altered"), "{code} {text}");
}

#[test]
fn what_a_file_says_cannot_change_how_the_terminal_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pack.json");
    let key = SigningKey::from_seed(&[1; 32]);
    let tenant = "a\u{202e}b\u{200b}c\u{3164}d\u{1b}e\u{2066}f\u{ad}é\"";
    let mut pack = json!({"tenant_id": tenant, "period_start": "x", "period_end": "y", "generated_at": "z"});
    pack["signatures"] = serde_json::to_value(pack::sign(&pack.to_string(), tenant, "z", true, &key).unwrap()).unwrap();
    fs::write(&path, pack.to_string()).unwrap();
    let (code, text) = run(&["pack", path.to_str().unwrap(), "--key", &hex(key.public().as_bytes())]);
    let expected = r#"verified: a\u{202e}b\u{200b}c\u{3164}d\u{1b}e\u{2066}f\u{ad}é" from x"#;
    assert!(code == 0 && text.starts_with(expected), "{code} {text:?}");
}
