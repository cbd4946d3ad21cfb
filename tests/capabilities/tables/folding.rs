//! Tables derived from the log's entries are written for hundreds of entries at once, which no response shows.

use std::collections::{BTreeMap, BTreeSet};

use haldir::crypto::{verify_consistency, verify_inclusion};
use serde_json::{Value, json};

use crate::support::{
    Folder, Growing, InProcess, hash_of, integer, long, path_of, size_of, start_of_time, tables::refill_postings, text,
};

const DAY: i64 = 86_400;
/// Sizes of the log at which it is looked at: before the first fold, behind one, and behind several.
const SIZES: [usize; 3] = [120, 257, 1_700];
/// At length: also at a fold, and behind each of several.
const ALL_SIZES: [usize; 7] = [120, 255, 257, 500, 760, 1_100, 1_700];

fn sizes() -> impl Iterator<Item = usize> {
    long(&SIZES[..], &ALL_SIZES).iter().copied()
}

#[test]
fn a_filter_finds_the_same_entries_wherever_the_log_is_folded() {
    let house = Folder::new();
    let mut log = Growing::open(&house);
    let since = start_of_time().as_seconds();
    for size in sizes() {
        log.grow(size);
        let all = log.trail(&json!({}), 1_000);
        assert_eq!(all.len(), size);
        for filter in [
            json!({"agent_id": "two"}),
            json!({"tool": "tool 3"}),
            json!({"session_id": log.sessions[0]}),
            json!({"flagged": true}),
            json!({"flagged": false}),
            json!({"agent_id": "two", "tool": "tool 1", "flagged": false}),
            json!({"session_id": log.sessions[1], "flagged": true}),
            json!({"tool": "haldir"}),
            json!({"agent_id": "nobody"}),
        ] {
            let passes =
                |entry: &&Value| filter.as_object().unwrap().iter().all(|(field, value)| entry[field] == *value);
            let right: Vec<_> = all.iter().filter(passes).cloned().collect();
            assert!(!right.is_empty() || size < 300 || filter["agent_id"] == "nobody", "{filter} of {size}");
            for page in [7, 50, 1_000] {
                assert_eq!(log.trail(&filter, page), right, "{filter} of {size} by {page}");
            }
            let exported: Vec<_> = log.export(&filter).iter().map(|entry| text(entry, "entry_id")).collect();
            assert_eq!(exported, right.iter().rev().map(|entry| text(entry, "entry_id")).collect::<Vec<_>>());
            let mut spanned = filter.clone();
            spanned["since"] = (since + DAY).into();
            spanned["until"] = (since + 2 * DAY).into();
            let span =
                f64::from(u32::try_from(since + DAY).unwrap())..f64::from(u32::try_from(since + 2 * DAY).unwrap());
            let inside = |entry: &Value| span.contains(&entry["timestamp"].as_f64().unwrap());
            let right: Vec<_> = right.into_iter().filter(inside).collect();
            assert_eq!(log.trail(&spanned, 60), right, "{spanned} of {size}");
        }
    }
    assert_eq!(log.haldir.verify()["verified"], true);
}

#[test]
fn counts_of_days_and_of_evidence_are_those_of_the_entries_wherever_the_log_is_folded() {
    let house = Folder::new();
    let mut log = Growing::open(&house);
    let since = start_of_time().as_seconds();
    for size in sizes() {
        log.grow(size);
        let all = log.trail(&json!({}), 1_000);
        for filter in [json!({}), json!({"agent_id": "three"}), json!({"agent_id": "three", "since": since + DAY})] {
            let stats = log.haldir.ok("getAuditStats", &filter);
            let entries = log.trail(&filter, 1_000);
            assert_eq!(integer(&stats, "total_entries"), entries.len().cast_signed() as i64, "{filter} of {size}");
            for (map, field) in [("by_tool", "tool"), ("by_action", "action")] {
                let mut counted = BTreeMap::<_, i64>::new();
                for entry in &entries {
                    *counted.entry(text(entry, field)).or_default() += 1;
                }
                assert_eq!(stats[map], json!(counted), "{filter} of {size}");
            }
            let agents: BTreeSet<_> = entries.iter().map(|entry| text(entry, "agent_id")).collect();
            let agents = agents.len() - usize::from(agents.contains("system"));
            assert_eq!(integer(&stats, "agent_count"), agents.cast_signed() as i64, "{filter} of {size}");
        }
        for (filter, field, value) in [
            (json!({"session_id": log.sessions[1]}), "session_id", json!(log.sessions[1])),
            (json!({}), "kind", json!("action")),
        ] {
            let spend = log.haldir.ok("getSpend", &filter);
            // Quarters and halves of dollars add up exactly.
            let mut counted = BTreeMap::<_, f64>::new();
            for entry in all.iter().filter(|entry| entry["kind"] == "action" && entry[field] == value) {
                *counted.entry(text(entry, "tool")).or_default() += entry["cost_usd"].as_f64().unwrap();
            }
            let told = spend["by_tool"].as_object().unwrap().iter();
            let told: BTreeMap<_, _> = told.map(|(tool, usd)| (tool.clone(), usd.as_f64().unwrap())).collect();
            assert_eq!(told, counted, "{filter} of {size}: {spend}");
        }
        let metrics = log.haldir.ok("getMetrics", &json!({}));
        for entry in all.iter().filter(|entry| entry["kind"] == "action").take(20) {
            let times = all.iter().filter(|e| e["tool"] == entry["tool"] && e["kind"] == "action").count();
            assert_eq!(metrics["top_tools"][text(entry, "tool")], times, "{size}: {metrics}");
        }
        let stored = all.iter().filter(|entry| entry["action"] == "secret.store").count();
        let pack = log.haldir.streamed("getEvidence", &json!({"since": since, "until": since + 30 * DAY})).unwrap();
        let pack: Value = serde_json::from_str(&pack).unwrap();
        assert_eq!(pack["audit_trail"]["figures_add_up"], true, "{size}");
        assert!(pack.to_string().contains(&format!("\"secret.store\":{stored}")), "{stored} of {size}: {pack}");
    }
}

#[test]
fn every_proof_and_every_tile_is_there_wherever_the_log_is_folded() {
    let house = Folder::new();
    let mut log = Growing::open(&house);
    let mut kept: Option<Value> = None;
    for size in sizes() {
        log.grow(size);
        let head = log.haldir.ok("getTreeHead", &json!({}));
        assert_eq!(size_of(&head, "tree_size"), size as u64);
        for entry in log.trail(&json!({}), 1_000).iter().step_by(37) {
            let proof = log.haldir.ok("getInclusionProof", &json!({"entry_id": entry["entry_id"]}));
            let (leaf, index) = (hash_of(&proof, "leaf_hash"), size_of(&proof, "leaf_index"));
            let (path, root) = (path_of(&proof, "audit_path"), hash_of(&head, "root_hash"));
            assert!(verify_inclusion(&leaf, index, size as u64, &path, &root), "{index} of {size}");
        }
        for first in (1..=size).step_by(101) {
            let proof = log.haldir.ok("getConsistencyProof", &json!({"first": first}));
            let (old, new) = (hash_of(&proof, "first_root"), hash_of(&proof, "second_root"));
            let path = path_of(&proof, "consistency_path");
            assert!(verify_consistency(first as u64, &old, size as u64, &new, &path), "{first} of {size}");
            assert_eq!(new, hash_of(&head, "root_hash"));
        }
        if let Some(kept) = kept {
            let sizes = json!({"first": kept["tree_size"], "second": size});
            let proof = log.haldir.ok("getConsistencyProof", &sizes);
            assert_eq!(proof["first_root"], kept["root_hash"]);
        }
        kept = Some(head);
        assert_eq!(log.haldir.verify()["verified"], true, "{size}");
    }
    // 1,700 leaves: six whole tiles of them and a part of one, and above them a part with their roots.
    let tile = |path: &str| log.haldir.streamed_bytes("getTile", &json!({"tile": path}));
    for (path, exists) in [("0/005", true), ("0/006.p/164", true), ("1/000.p/6", true), ("1/000.p/7", false)] {
        assert_eq!(tile(path).is_ok(), exists, "{path}");
    }
}

#[test]
fn what_moves_a_fold_is_found() {
    let house = Folder::new();
    let mut log = Growing::open(&house);
    log.grow(700);
    assert_eq!(log.haldir.verify()["verified"], true);
    let sql = house.sql();
    let folded: i64 = house.sql_value("SELECT up_to FROM log_folds");
    assert!((256..700).contains(&folded), "{folded}");
    for (tampering, first_bad) in [
        (format!("UPDATE log_folds SET up_to = {}", folded + 1), folded + 1),
        (format!("UPDATE log_folds SET up_to = {}", folded - 1), folded),
        ("DELETE FROM log_folds".to_owned(), 1),
        ("UPDATE log_folds SET up_to = 9223372036854775807".to_owned(), folded + 1),
        (format!("INSERT INTO tree_tiles VALUES ('local', 0, {}, zeroblob(512))", folded / 16), folded + 1),
    ] {
        sql.keep(&["log_folds"]);
        sql.batch(&tampering);
        // An insider may bring what leads filters to entries up to the end that they have moved.
        for is_whole in [false, true] {
            if is_whole {
                refill_postings(&sql);
            }
            let report = log.haldir.verify();
            log.haldir.ok("getAuditStats", &json!({}));
            assert_eq!(report["verified"], false, "{tampering} goes unnoticed");
            assert_eq!(integer(&report["first_bad"], "seq"), first_bad, "{tampering}: {report}");
        }
        sql.put_back(&["log_folds"]);
        sql.batch("DELETE FROM tree_tiles WHERE hashes = zeroblob(512)");
        refill_postings(&sql);
        assert_eq!(log.haldir.verify()["verified"], true, "{tampering} was not put back");
    }
}

#[test]
fn names_beyond_the_bound_of_a_day_count_as_others_before_a_fold_as_behind_it() {
    let house = Folder::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({"ttl": 0}));
    let log = |tool: &str| haldir.ok("logAction", &json!({"session_id": session, "tool": tool, "action": "x"}));
    // The row of the day is full, and knows one of the tools that come now.
    (0..300).for_each(|number| drop(log(&format!("known {}", number % 31))));
    let folded = || house.sql_value::<i64>("SELECT up_to FROM log_folds");
    let before = folded();
    (0..40).for_each(|number| drop(log(&format!("another {number}"))));
    (0..20).for_each(|_| drop(log("known 7")));
    let told = haldir.ok("getAuditStats", &json!({}))["by_tool"].clone();
    assert_eq!(folded(), before, "it is folded too early for this test");
    let mut counted = told["known 7"].as_i64().unwrap();
    while folded() == before {
        log("known 7");
        counted += 1;
    }
    let after = haldir.ok("getAuditStats", &json!({}))["by_tool"].clone();
    assert_eq!(after["known 7"], counted, "{after}");
    assert_eq!(after["(other)"], told["(other)"], "{after}");
}
