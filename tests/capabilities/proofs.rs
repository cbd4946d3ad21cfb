//! Signed tree heads, proofs, checkpoints and tiles, as their readers check them.

use haldir::crypto::{Checkpoint, Note, PublicKey, Verifier, leaf_hash, verify_consistency};
use rusqlite::params;
use serde_json::Value;

use crate::support::{
    Client, House, InProcess, at_once, hash_of, includes, integer, json, path_of, size_of, text, unhex,
};

/// Whether the signature of a tree head is that of its own key over `sth:<size>:<root>:<time>`.
fn is_signed(head: &Value) -> bool {
    let message = format!("sth:{}:{}:{}", head["tree_size"], text(head, "root_hash"), head["signed_at"]);
    PublicKey::from_bytes(unhex(&text(head, "public_key")))
        .verifies(message.as_bytes(), &unhex(&text(head, "signature")))
}

fn is_consistent(proof: &Value) -> bool {
    verify_consistency(
        size_of(proof, "first_size"),
        &hash_of(proof, "first_root"),
        size_of(proof, "second_size"),
        &hash_of(proof, "second_root"),
        &path_of(proof, "consistency_path"),
    )
}

#[test]
fn a_tree_head_is_signed_by_the_published_key() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let head = operator.get("/v1/audit/tree-head").ok();
    assert_eq!(head["algorithm"], "Ed25519-over-canonical-sth");
    assert!(is_signed(&head) && head["signed_at"].is_i64(), "{head}");
    let keys = server.anonymous().get("/.well-known/jwks.json").ok();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], &key["kid"]), (&json!("OKP"), &json!("Ed25519"), &head["key_id"]));
    let listed = operator.get("/v1/audit/keys").ok();
    assert_eq!((&listed["keys"][0]["public_key"], &listed["count"]), (&head["public_key"], &json!(1)));
    for (field, value) in [("tree_size", json!(9)), ("signed_at", json!(1)), ("root_hash", json!("00".repeat(32)))] {
        let mut altered = head.clone();
        altered[field] = value;
        assert!(!is_signed(&altered), "{field} is not covered");
    }
}

#[test]
fn every_entry_has_a_proof_and_every_two_sizes_are_consistent_across_the_borders_of_tiles() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({}));
    let mut ids = Vec::new();
    let mut roots = vec![(1, hash_of(&haldir.ok("getTreeHead", &json!({})), "root_hash"))];
    for number in 0..600 {
        ids.push(text(&haldir.log(&session, &format!("a{number}")), "entry_id"));
        let head = haldir.ok("getTreeHead", &json!({}));
        roots.push((integer(&head, "tree_size"), hash_of(&head, "root_hash")));
    }
    for (number, id) in (1..).zip(&ids) {
        let proof = haldir.ok("getInclusionProof", &json!({"entry_id": id}));
        assert!(includes(&proof) && is_signed(&proof["sth"]), "{proof}");
        assert_eq!((integer(&proof, "leaf_index"), integer(&proof, "tree_size")), (number, 601));
        assert_eq!((&proof["sth"]["root_hash"], &proof["algorithm"]), (&proof["root_hash"], &json!("RFC6962-SHA256")));
    }
    for first in [1, 2, 7, 16, 17, 255, 256, 257, 300, 511, 512, 513, 600, 601] {
        for second in [first, 256, 257, 400, 512, 513, 601].into_iter().filter(|second| *second >= first) {
            let proof = haldir.ok("getConsistencyProof", &json!({"first": first, "second": second}));
            assert!(is_consistent(&proof), "{proof}");
            let root_at = |size: i64| roots.iter().find(|(known, _)| *known == size).unwrap().1;
            assert_eq!(hash_of(&proof, "first_root"), root_at(first));
            assert_eq!(hash_of(&proof, "second_root"), root_at(second));
        }
    }
    for (input, field) in [
        (json!({"first": 0}), "first"),
        (json!({"first": -1}), "first"),
        (json!({"first": 5, "second": 4}), "first"),
        (json!({"first": 5, "second": 602}), "second"),
    ] {
        let error = haldir.refused("getConsistencyProof", &input);
        assert_eq!((error.code.name(), error.field.as_deref()), ("invalid_range", Some(field)));
    }
}

#[test]
fn what_is_not_in_the_log_has_no_proof() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let id = text(&operator.log(&session, "x").ok(), "entry_id");
    // The number is right, the rest is another's.
    let forged = format!("{}AAAAAAAAAAAAAAAA", &id[..12]);
    for unknown in ["aud_x", &forged, "no"] {
        let answer = operator.get(&format!("/v1/audit/inclusion-proof/{unknown}"));
        assert!([400, 404].contains(&answer.status), "{unknown}: {}", answer.text);
    }
    let elsewhere = House::new();
    let other = InProcess::open(&elsewhere.db());
    let stranger = text(&other.log(&other.session(&json!({})), "x"), "entry_id");
    operator.get(&format!("/v1/audit/inclusion-proof/{stranger}")).refused(404, "not_found");
}

fn note_of(client: &Client) -> Note {
    let answer = client.get("/v1/audit/checkpoint");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    Note::parse(&answer.text).unwrap()
}

#[test]
fn a_mirror_can_be_built_from_the_checkpoint_and_the_tiles_alone() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    at_once(4, |_| {
        let client = operator.again();
        for number in 0..70 {
            client.log(&session, &format!("a{number}")).ok();
        }
    });
    let note = note_of(&operator);
    let keys = operator.get("/v1/audit/keys").ok();
    let verifier = Verifier::parse(&text(&keys["keys"][0], "verifier_key")).unwrap();
    assert_eq!(verifier.verify(&note), Some(0));
    let checkpoint = Checkpoint::parse(&note.text).unwrap();
    assert_eq!((checkpoint.size, checkpoint.origin.as_str()), (282, text(&keys, "origin").as_str()));
    let tile = |path: &str| operator.get(&format!("/v1/audit/tile/{path}")).bytes();
    let leaves = [tile("0/000"), tile("0/001.p/26")].concat();
    let bundles = [tile("entries/000"), tile("entries/001.p/26")].concat();
    let (mut rest, mut tree) = (&bundles[..], haldir::crypto::Frontier::default());
    for leaf in leaves.chunks_exact(32) {
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        assert_eq!(leaf_hash(&rest[2..2 + length]), leaf);
        assert!(serde_json::from_slice::<Value>(&rest[2..2 + length]).unwrap()["seq"].is_i64());
        rest = &rest[2 + length..];
        tree.push(leaf.try_into().unwrap());
    }
    assert!(rest.is_empty());
    assert_eq!((tree.size(), tree.root()), (282, checkpoint.root));
    let mut full = haldir::crypto::Frontier::default();
    leaves[..8192].chunks_exact(32).for_each(|leaf| full.push(leaf.try_into().unwrap()));
    assert_eq!(tile("1/000.p/1"), full.root());
    for missing in ["0/001", "0/001.p/27", "0/002", "1/000", "2/000.p/1", "0/1", "x", "0/000.p/0", "entries/001"] {
        operator.get(&format!("/v1/audit/tile/{missing}")).refused(404, "not_found");
    }
}

#[test]
fn a_tile_that_was_altered_gives_no_proof_and_verification_names_it() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({}));
    let ids: Vec<_> = (0..600).map(|number| text(&haldir.log(&session, &number.to_string()), "entry_id")).collect();
    let database = house.sql();
    let hashes: Vec<u8> = database.value("SELECT hashes FROM tree_tiles WHERE level = 0 AND part = 2", &[]);
    for bit in [0, 100, 511 * 8 + 7] {
        let mut altered = hashes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let put = |bytes: &[u8]| {
            let sql = "UPDATE tree_tiles SET hashes = ?1 WHERE level = 0 AND part = 2";
            assert_eq!(database.change(sql, params![bytes]), 1);
        };
        put(&altered);
        let leaf = 32 + bit / 256;
        let error = haldir.refused("getInclusionProof", &json!({"entry_id": ids[leaf - 1]}));
        assert_eq!(error.code.name(), "internal");
        let report = haldir.verify();
        assert_eq!(
            (&report["verified"], integer(&report["first_bad"], "seq")),
            (&json!(false), i64::try_from(leaf).unwrap() + 1)
        );
        put(&hashes);
        assert_eq!(haldir.verify()["verified"], true);
    }
    for sql in [
        "DELETE FROM tree_tiles WHERE level = 0 AND part = 3",
        "UPDATE tree_tiles SET hashes = substr(hashes, 1, 64) WHERE level = 0 AND part = 5",
        "UPDATE tree_tiles SET hashes = zeroblob(32) WHERE level = 1",
        "INSERT INTO tree_tiles VALUES ('local', 1, 1, zeroblob(32))",
    ] {
        database.batch(sql);
        assert_eq!(haldir.verify()["verified"], false, "{sql}");
    }
}

#[test]
fn several_processes_append_to_one_tree() {
    let house = House::new();
    let (first, operator) = house.serve_operator();
    let servers = house.serve_several::<3>();
    let session = operator.session(&json!({}));
    at_once(8, |number| {
        let server = servers.get(number % 4).unwrap_or(&first);
        let client = server.with_key(operator.key());
        for number in 0..60 {
            client.log(&session, &number.to_string()).ok();
        }
    });
    assert_eq!(operator.verified(), 482);
    assert!(is_consistent(&operator.get("/v1/audit/consistency-proof?first=100&second=482").ok()));
}

#[test]
fn a_call_that_is_taken_back_leaves_no_hash() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({"scopes": ["read", "spend"], "spend_limit": 1}));
    for _ in 0..20 {
        haldir.refused("authorizePayment", &json!({"session_id": session, "amount": 2}));
        haldir.log(&session, "x");
    }
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn tree_heads_are_recorded_while_the_log_grows_and_checked_against_it() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({}));
    for round in 0..5 {
        for number in 0..40 {
            haldir.log(&session, &format!("{round}.{number}"));
        }
        haldir.clock.advance_seconds(300);
        haldir.runtime.block_on(haldir.haldir.record_tree_heads()).unwrap();
        haldir.runtime.block_on(haldir.haldir.record_tree_heads()).unwrap();
    }
    let listed = haldir.ok("listTreeHeads", &json!({"limit": 3}));
    let sizes: Vec<_> = listed["entries"].as_array().unwrap().iter().map(|head| integer(head, "tree_size")).collect();
    assert_eq!((sizes, &listed["next_before"]), (vec![201, 161, 121], &json!(121)));
    assert!(listed["entries"].as_array().unwrap().iter().all(is_signed));
    let rest = haldir.ok("listTreeHeads", &json!({"before": 121}));
    assert_eq!((&rest["count"], &rest["next_before"]), (&json!(2), &Value::Null));
    let report = haldir.ok("verifyTreeHeads", &json!({}));
    assert_eq!((&report["verified"], &report["heads_checked"]), (&json!(true), &json!(5)));
    for (column, value) in [
        ("root_hash", "zeroblob(32)"),
        ("signed_at", "signed_at + 1"),
        ("signature", "zeroblob(64)"),
        ("public_key", "zeroblob(32)"),
        ("signature", "zeroblob(0)"),
    ] {
        let database = house.sql();
        database.keep(&["audit_tree_heads"]);
        database.batch(&format!("UPDATE audit_tree_heads SET {column} = {value} WHERE tree_size = 121"));
        let report = haldir.ok("verifyTreeHeads", &json!({}));
        assert_eq!(
            (&report["verified"], integer(&report["first_break"], "tree_size")),
            (&json!(false), 121),
            "{column}"
        );
        database.put_back(&["audit_tree_heads"]);
    }
    assert_eq!(haldir.ok("verifyTreeHeads", &json!({}))["verified"], true);
}

#[test]
fn a_signing_key_is_rotated_with_overlap_and_its_private_half_is_erased_in_the_end() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    haldir.session(&json!({}));
    let rotate = |days| haldir.runtime.block_on(haldir.haldir.rotate_signing_key(days));
    let verifiers = || -> Vec<Verifier> {
        let keys = haldir.ok("listLogKeys", &json!({}));
        let all = keys["keys"].as_array().unwrap().iter();
        all.map(|key| Verifier::parse(&text(key, "verifier_key")).unwrap()).collect()
    };
    let note = || {
        let answer = haldir.streamed("getCheckpoint", &json!({})).unwrap();
        Note::parse(&answer).unwrap()
    };
    let first = haldir.ok("getTreeHead", &json!({}));
    let old = verifiers().remove(0);
    let new = rotate(7).unwrap();
    let head = haldir.ok("getTreeHead", &json!({}));
    assert_eq!((&head["key_id"], is_signed(&head)), (&json!(new.id()), true));
    assert_ne!(head["key_id"], first["key_id"]);
    let both = verifiers();
    assert_eq!((both.len(), both[1] == old), (2, true));
    assert!(both.iter().all(|verifier| verifier.verify(&note()).is_some()), "both keys sign while they overlap");
    haldir.clock.advance_seconds(7 * 86_400);
    assert!(old.verify(&note()).is_none() && both[0].verify(&note()).is_some());
    let private = || house.sql_value::<i64>("SELECT count(*) FROM signing_keys WHERE seed IS NOT NULL");
    assert_eq!(private(), 2);
    let upkeep = || haldir.runtime.block_on(haldir.haldir.erase_retired_signing_keys());
    upkeep().unwrap();
    assert_eq!((private(), verifiers().len()), (1, 2), "the old one's public half stays published");
    let erased = haldir.ok("getAuditTrail", &json!({"limit": 1}))["entries"][0].clone();
    assert_eq!((&erased["action"], &erased["details"]["key_id"]), (&json!("signing_key.erase"), &first["key_id"]));
    upkeep().unwrap();
    assert_eq!(haldir.ok("getAuditTrail", &json!({"limit": 1}))["entries"][0]["entry_id"], erased["entry_id"]);
    rotate(0).unwrap();
    assert_eq!(private(), 1);
    rotate(0).unwrap();
    assert_eq!(verifiers().len(), 4);
    let entry = haldir.ok("getAuditTrail", &json!({"limit": 1}))["entries"][0].clone();
    assert_eq!(entry["action"], "signing_key.rotate");
    assert!(rotate(-1).is_err() && rotate(366).is_err());
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn an_attacker_with_only_the_database_can_neither_add_nor_change_a_signing_key() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let mine = haldir::crypto::SigningKey::generate().unwrap();
    let public = mine.public();
    for sql in [
        "UPDATE signing_keys SET public_key = ?1",
        "INSERT INTO signing_keys SELECT number + 1, ?1, created_at, retires_at, seed, mac FROM signing_keys",
        "UPDATE signing_keys SET created_at = created_at + 1",
        "UPDATE signing_keys SET retires_at = 1",
        "UPDATE signing_keys SET seed = zeroblob(72)",
        "UPDATE signing_keys SET seed = NULL",
        "DELETE FROM signing_keys",
    ] {
        let database = house.sql();
        database.keep(&["signing_keys"]);
        let public = params![public.as_bytes()];
        assert_eq!(database.change(sql, if sql.contains("?1") { public } else { &[] }), 1);
        let error = haldir.refused("getTreeHead", &json!({}));
        assert_eq!(error.code.name(), "unavailable", "{sql}");
        database.put_back(&["signing_keys"]);
        haldir.ok("getTreeHead", &json!({}));
    }
    let stored: Vec<u8> = house.sql_value("SELECT seed FROM signing_keys");
    assert_eq!(stored.len(), 24 + 32 + 16, "sealed: nonce, seed, tag");
}

#[test]
fn tenants_have_logs_of_different_names() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let other = haldir::model::Credential::LocalOperator(haldir.another_tenant());
    let [ours, theirs] = [&haldir.operator, &other].map(|who| haldir.call_as(who, "listLogKeys", &json!({})).unwrap());
    assert_ne!(ours["origin"], theirs["origin"]);
    assert_eq!(ours["keys"][0]["public_key"], theirs["keys"][0]["public_key"]);
}
