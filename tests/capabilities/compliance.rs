//! Evidence packs: exact figures of one period, the same whenever they are made, signed, and honest in every form.

use std::collections::BTreeSet;

use haldir::{
    crypto::TrustedKey,
    model::{Credential, TenantId},
    verify::pack as evidence,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{House, InProcess, at_once, integer, json, long, start_of_time, text};

const DAY: i64 = 86_400;

/// The second that the clock of a fresh [`InProcess`] shows.
fn first_second() -> i64 {
    start_of_time().0 / 1_000_000
}

fn pack_text(haldir: &InProcess, since: i64, until: i64, format: &str) -> String {
    haldir.streamed("getEvidence", &json!({"since": since, "until": until, "format": format})).unwrap()
}

fn pack(haldir: &InProcess, since: i64, until: i64) -> Value {
    serde_json::from_str(&pack_text(haldir, since, until, "json")).unwrap()
}

fn trusted(haldir: &InProcess) -> Vec<TrustedKey> {
    haldir.haldir.published_keys().unwrap().into_iter().map(|published| TrustedKey::Plain(published.key)).collect()
}

/// A bit of everything, one hour long.
fn an_hour_of_work(haldir: &InProcess) -> Value {
    let tenant = json!({"bootstrap_token": "the operator's word", "name": "first"});
    haldir.call_as(&Credential::Anonymous, "createApiKey", &tenant).unwrap();
    let key = haldir.ok("createApiKey", &json!({"name": "bot", "role": "agent", "scopes": ["sessions:write"]}));
    let session = haldir.session(&json!({"scopes": ["read", "spend"], "spend_limit": 10, "ttl": 29 * DAY}));
    haldir.ok("storeSecret", &json!({"name": "k", "value": "v"}));
    haldir.ok("getSecret", &json!({"name": "k", "session_id": session}));
    haldir.clock.advance_seconds(1_800);
    for number in 0..5 {
        let logged = json!({"session_id": session, "action": "work", "tool": "t", "cost_usd": 0.1, "details": number});
        haldir.ok("logAction", &logged);
    }
    let paid = |amount: f64| json!({"session_id": session, "amount": amount, "currency": "USD"});
    let captured = text(&haldir.ok("authorizePayment", &paid(2.5)), "authorization_id");
    let voided = text(&haldir.ok("authorizePayment", &paid(1.25)), "authorization_id");
    let open = text(&haldir.ok("authorizePayment", &paid(1.0)), "authorization_id");
    haldir.refused("authorizePayment", &paid(500.0));
    haldir.ok("capturePayment", &json!({"authorization_id": captured, "amount": 2}));
    haldir.ok("voidPayment", &json!({"authorization_id": voided}));
    haldir.ok("addApprovalRule", &json!({"type": "spend_over", "threshold": 100}));
    let asked = haldir.ok("requestApproval", &json!({"session_id": session, "tool": "x", "action": "y"}));
    haldir.ok("approveRequest", &json!({"request_id": asked["request_id"]}));
    haldir.clock.advance_seconds(1_800);
    json!({"session": session, "open": open, "key": key["prefix"]})
}

/// Everything that could change a past period if its figures were not its own.
fn everything_afterwards(haldir: &InProcess, made: &Value) {
    let session = text(made, "session");
    haldir.ok("logAction", &json!({"session_id": session, "action": "later", "cost_usd": 3, "details": "later"}));
    haldir.ok("capturePayment", &json!({"authorization_id": made["open"]}));
    haldir.ok("rotateApiKey", &json!({"prefix": made["key"], "grace_seconds": 60}));
    haldir.ok("revokeApiKey", &json!({"prefix": made["key"]}));
    haldir.ok("createApiKey", &json!({"name": "another"}));
    haldir.ok("storeSecret", &json!({"name": "k", "value": "new"}));
    haldir.ok("deleteSecret", &json!({"name": "k"}));
    haldir.ok("revokeSession", &json!({"session_id": session}));
    let rules = haldir.ok("listApprovalRules", &json!({}));
    haldir.ok("deleteApprovalRule", &json!({"rule_id": rules["rules"][0]["rule_id"]}));
    haldir.clock.advance_seconds(3 * DAY);
    haldir.ok("setAuditRetention", &json!({"retain_days": 1}));
    let pruned = haldir.ok("pruneAuditDetails", &json!({"confirm": true}));
    assert!(integer(&pruned, "entries_deleted") > 5, "{pruned}");
    for number in 0..20 {
        let session = haldir.session(&json!({"agent_id": format!("agent {number}")}));
        haldir.log(&session, "more");
    }
}

#[test]
fn a_tenant_with_many_keys_has_a_pack_that_is_signed_and_checked() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let scopes = ["audit:read", "vault:read", "sessions:write", "payments:write", "approvals:read"];
    for number in 0..120 {
        haldir
            .ok("createApiKey", &json!({"name": format!("{number:>04}{}", "\u{1f511}".repeat(120)), "scopes": scopes}));
    }
    haldir.clock.advance_seconds(60);
    let until = first_second() + 60;
    let text = pack_text(&haldir, first_second(), until, "json");
    assert!(text.len() > 65_536, "no more than details may have: {}", text.len());
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["access_control"]["key_count"], 120);
    evidence::verify(&text, &trusted(&haldir)).unwrap();
    assert!(evidence::verify(text.replacen("0119", "0118", 1), &trusted(&haldir)).is_err());
    assert!(pack_text(&haldir, first_second(), until, "html").contains("0119"));
}

#[test]
fn a_pack_of_a_closed_period_is_byte_equal_but_for_its_date_whenever_it_is_made() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let made = an_hour_of_work(&haldir);
    let (since, until) = (first_second(), first_second() + 3_600);
    haldir.clock.advance_seconds(60);
    let formats = ["json", "markdown", "html"];
    let before = formats.map(|format| pack_text(&haldir, since, until, format));
    everything_afterwards(&haldir, &made);
    let after = formats.map(|format| pack_text(&haldir, since, until, format));
    for ((before, after), format) in before.iter().zip(&after).zip(formats) {
        assert_ne!(before, after, "the date of making is missing");
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (before, after) = (lines(before), lines(after));
        assert_eq!(before.len(), after.len());
        let differ: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        // When it was made, twice, and the signature over that.
        assert_eq!(differ.len(), 3, "{format}: {differ:#?}");
        for (line, _) in differ {
            let about = line.to_lowercase();
            assert!(
                ["generated_at", "signed_at", "signed at", "\"signature\"", "signature", "made"]
                    .iter()
                    .any(|name| about.contains(name)),
                "{line}"
            );
        }
    }
    let [first, second] = [&before[0], &after[0]].map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(first["signatures"]["digest"], second["signatures"]["digest"]);
    assert_eq!(first["signatures"]["period_closed"], true);
    let manifest = haldir.ok("getEvidenceManifest", &json!({"since": since, "until": until}));
    assert_eq!(manifest["signatures"], second["signatures"]);
}

#[test]
fn the_figures_are_those_of_the_period_and_add_up() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    an_hour_of_work(&haldir);
    haldir.clock.advance_seconds(100);
    let all = pack(&haldir, first_second(), first_second() + 3_600);
    let figures =
        |section: &str, names: &[&str]| names.iter().map(|name| all[section][name].clone()).collect::<Vec<_>>();
    let access =
        ["key_count", "has_scoped_keys", "least_privilege_used", "keys_created", "sessions_created", "refusals"];
    assert_eq!(json!(figures("access_control", &access)), json!([2, true, true, 2, 1, 1]), "{all}");
    assert_eq!(all["access_control"]["refusals_by_operation"], json!({"authorizePayment": 1}));
    let encryption = ["cipher", "secrets_stored", "secrets_read", "secrets_deleted"];
    assert_eq!(json!(figures("encryption", &encryption)), json!(["XChaCha20-Poly1305", 1, 1, 0]));
    let spend = [
        "payments_authorized", "authorized_usd", "payments_captured", "captured_usd", "payments_voided", "voided_usd",
        "payments_refused", "logged_cost_usd",
    ];
    assert_eq!(json!(figures("spend_governance", &spend)), json!([3, "4.75", 1, "2", 1, "1.25", 1, "0.5"]));
    assert_eq!(all["approvals"]["by_status"], json!({"approved": 1, "denied": 0, "expired": 0, "used": 0}));
    let trail = &all["audit_trail"];
    assert_eq!((&trail["actions_in_period"], &trail["figures_add_up"]), (&json!(5), &json!(true)), "{trail}");
    let head = haldir.ok("getTreeHead", &json!({}));
    assert_eq!(all["tamper_evidence"]["chain_hash"], head["chain_head"]);
    assert_eq!(all["tamper_evidence"]["tree_size"], head["tree_size"]);
    assert_eq!(all["tamper_evidence"]["root_hash"], head["root_hash"]);
    // The first half hour has none of what came after it, not even of the same second.
    let first = pack(&haldir, first_second(), first_second() + 1_800);
    assert_eq!(
        (integer(&first["audit_trail"], "actions_in_period"), &first["audit_trail"]["figures_add_up"]),
        (0, &json!(true))
    );
    assert_eq!(integer(&first["encryption"], "secrets_read"), 1);
    let second = pack(&haldir, first_second() + 1_800, first_second() + 3_600);
    assert_eq!(second["tamper_evidence"]["preceding_hash"], first["tamper_evidence"]["chain_hash"]);
    // The root is the one that a proof from the period's end to today begins with.
    let consistency = haldir.ok(
        "getConsistencyProof",
        &json!({"first": first["tamper_evidence"]["tree_size"], "second": head["tree_size"]}),
    );
    assert_eq!(first["tamper_evidence"]["root_hash"], consistency["first_root"]);
    let entries = |pack: &Value| integer(&pack["audit_trail"], "total_entries_in_period");
    assert_eq!(entries(&first) + entries(&second), entries(&all));
    // And what is before everything is empty, and no error.
    let none = pack(&haldir, 1_000, 2_000);
    assert_eq!((entries(&none), &none["audit_trail"]["figures_add_up"]), (0, &json!(true)), "{none}");
    for (name, control) in all["controls"].as_object().unwrap() {
        assert!(!text(control, "does_not_show").is_empty(), "{name}");
    }
    let criteria: BTreeSet<_> =
        all["controls"].as_object().unwrap().values().filter_map(|c| c["criterion"].as_str()).collect();
    assert_eq!(criteria.into_iter().collect::<Vec<_>>(), ["CC5.2", "CC6.1", "CC6.7", "CC7.2", "CC7.3", "CC8.1"]);
}

/// A log of 9,000 entries in ten seconds.
fn long_log() -> (House, InProcess) {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({"ttl": 29 * DAY}));
    let operation = haldir::operations::named("logAction").unwrap();
    for second in 0..10 {
        let input = json!({"session_id": session, "action": "a", "tool": "t", "cost_usd": 0.001}).to_string();
        let log =
            |_| haldir.haldir.call(operation, &haldir.operator, &input, haldir::operations::CallOptions::default());
        let answers = haldir.runtime.block_on(futures::future::join_all((0..900).map(log)));
        assert!(answers.iter().all(Result::is_ok), "second {second}");
        haldir.clock.advance_seconds(1);
    }
    (house, haldir)
}

#[test]
fn a_long_log_is_told_by_marks_exactly() {
    let (house, haldir) = long_log();
    let marks: i64 = house.sql_value("SELECT count(*) FROM log_marks");
    assert_eq!(marks, 2);
    for (since, until) in [(0, 10), (0, 4), (3, 5), (5, 10), (9, 10)] {
        let told = pack(&haldir, first_second() + since, first_second() + until);
        let actions = 900 * (until - since);
        assert_eq!(integer(&told["audit_trail"], "actions_in_period"), actions, "{since} to {until}");
        let cost: f64 = text(&told["spend_governance"], "logged_cost_usd").parse().unwrap();
        assert!((cost - f64::from(i32::try_from(actions).unwrap()) / 1_000.0).abs() < 1e-9, "{cost}");
        assert_eq!(told["audit_trail"]["figures_add_up"], true);
    }
}

#[test]
fn a_store_from_before_there_were_marks_and_counts_tells_the_same() {
    let (house, haldir) = long_log();
    let before = pack(&haldir, first_second(), first_second() + 7);
    let migration = include_str!("../../crates/store/src/sqlite/migrations/0008_compliance.sql");
    let (_, fill) = migration.split_once("-- What there was before.").unwrap();
    let sql = house.file();
    let dump = |table: &str| -> Vec<String> {
        let columns = if table == "log_marks" { "seq, actions, cost, flagged" } else { "what, second, count, amount" };
        let select = format!("SELECT concat_ws(' ', tenant, {columns}) AS line FROM {table} ORDER BY line");
        sql.prepare(&select).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let kept = (dump("log_marks"), dump("evidence_counts"));
    crate::support::tables::as_they_lay(&sql);
    sql.execute_batch(&format!("DELETE FROM log_marks; DELETE FROM evidence_counts; {fill}")).unwrap();
    assert_eq!((dump("log_marks"), dump("evidence_counts")), kept);
    assert_eq!(
        before["signatures"]["digest"],
        pack(&haldir, first_second(), first_second() + 7)["signatures"]["digest"]
    );
}

#[test]
fn the_digest_and_the_signature_are_what_others_compute() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    an_hour_of_work(&haldir);
    let mut pack = pack(&haldir, first_second(), first_second() + 3_600);
    let signatures = pack["signatures"].take();
    let members = pack.as_object_mut().unwrap();
    let signed_at = members.remove("generated_at").unwrap();
    members.remove("signatures");
    let digest = Sha256::digest(serde_jcs::to_vec(&pack).unwrap());
    let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(hex, text(&signatures, "digest"));
    let bytes = |name: &str| -> Vec<u8> {
        let hex = text(&signatures, name);
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes("public_key").try_into().unwrap()).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&bytes("signature")).unwrap();
    let closed = signatures["period_closed"].as_bool().unwrap();
    assert!(!closed, "the period ended this second");
    let message = format!("haldir evidence pack v1\nlocal\n{hex}\n{}\n{closed}\n", signed_at.as_str().unwrap());
    key.verify_strict(message.as_bytes(), &signature).unwrap();
}

#[test]
fn every_altered_bit_of_a_pack_is_noticed() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    an_hour_of_work(&haldir);
    let whole = pack_text(&haldir, first_second(), first_second() + 3_600, "json");
    let keys = trusted(&haldir);
    let verified = evidence::verify(&whole, &keys).unwrap();
    assert_eq!(verified.tenant_id, "local");
    // Packed together, since white space says nothing.
    let packed = serde_json::from_str::<Value>(&whole).unwrap().to_string();
    evidence::verify(&packed, &keys).unwrap();
    let mut bytes = packed.clone().into_bytes();
    let signatures = packed.find("\"signatures\"").unwrap();
    let mut tried = 0;
    for at in 0..bytes.len() {
        // Every bit where the digest, the date and the signature stand, and of the rest one of each byte, in turn. Usually
        // one of each byte there, and one of every sixteenth elsewhere.
        let near = at.abs_diff(signatures) < 900;
        for bit in 0..8 {
            let is_tried =
                if near { long(bit == at % 8, true) } else { long(at % 16 == 0 && bit == at / 16 % 8, bit == at % 8) };
            if !is_tried {
                continue;
            }
            bytes[at] ^= 1 << bit;
            if let Ok(altered) = std::str::from_utf8(&bytes) {
                assert!(
                    evidence::verify(altered, &keys).is_err(),
                    "bit {bit} of byte {at}: {}",
                    &altered[at.saturating_sub(30)..]
                );
                tried += 1;
            }
            bytes[at] ^= 1 << bit;
        }
    }
    assert!(tried > long(1_000, 5_000), "{tried}");
    // A member that a reader may see and a verifier not.
    let doubled = packed.replacen('{', "{\"tenant_id\":\"acme\",", 1);
    assert!(evidence::verify(&doubled, &keys).unwrap_err().contains("twice"));
    let added = packed.replacen('{', "{\"note\":\"all is well\",", 1);
    assert!(evidence::verify(&added, &keys).unwrap_err().contains("altered"));
    assert!(evidence::verify(&whole, &[]).unwrap_err().contains("trusted"));
    for no_pack in ["", "[]", "{}", "null", "{\"signatures\":{}}"] {
        evidence::verify(no_pack, &keys).unwrap_err();
    }
}

#[test]
fn nothing_in_a_name_becomes_markup() {
    const HOSTILE: &str =
        "<script>alert(1)</script><img src=x onerror=alert(1)>|`[x](https://e.example)\" onload='y' &lt;";
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    operator.post("/v1/keys", &json!({"name": HOSTILE, "role": "agent"})).ok();
    operator.session(&json!({"agent_id": "<script>alert(2)</script>"}));
    let page = operator.get("/v1/compliance/evidence?format=html");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let html = &page.text;
    assert!(html.contains("alert(1)"), "the key is missing");
    for never in ["<script", "<img", "onload='", "<a ", "<link", "<iframe", " src=", " href=", "url(", "@import"] {
        // Escaped text may hold the words; a tag or an attribute needs its bracket or quote.
        let found = html.contains(never) && !(never == " src=" && html.matches(" src=").count() == 1);
        assert!(!found, "{never} stands in the page");
    }
    let tags: BTreeSet<_> = html.split('<').skip(1).map(|tag| tag.split([' ', '>', '\n']).next().unwrap()).collect();
    for tag in &tags {
        let name = tag.trim_start_matches('/');
        let known = [
            "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "table", "thead",
            "tbody", "tr", "th", "td", "section", "span", "strong",
        ];
        assert!(known.contains(&name), "<{tag}> stands in the page");
    }
    let markdown = operator.get("/v1/compliance/evidence?format=md").text;
    assert!(markdown.starts_with("# ") && markdown.contains("alert(1)"), "{markdown}");
    // What a backslash stands before is text.
    let mut live = String::new();
    let mut characters = markdown.chars();
    while let Some(c) = characters.next() {
        if c == '\\' {
            characters.next();
        } else {
            live.push(c);
        }
    }
    for never in ["<script", "<img", "](", "://", "`", "[x"] {
        assert!(!live.contains(never), "{never} stands in the document");
    }
    // No name adds a cell to a row.
    let row = markdown.lines().find(|line| line.contains("alert(1)")).unwrap();
    assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
}

#[test]
fn evidence_speaks_over_http_as_clients_expect() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let answer = operator.get("/v1/compliance/evidence");
    let pack = answer.ok();
    assert_eq!(answer.header("x-haldir-evidence-digest"), pack["signatures"]["digest"].as_str());
    for section in [
        "controls", "identity", "access_control", "encryption", "audit_trail", "tamper_evidence", "spend_governance",
        "approvals", "webhooks", "signatures",
    ] {
        assert!(pack[section].is_object(), "{section}");
    }
    assert_eq!((&pack["format_version"], &pack["signatures"]["algorithm"]), (&json!(2), &json!("SHA-256")));
    let markdown = operator.get("/v1/compliance/evidence?format=markdown&since=2020-01-01&until=2020-04-01T00:00:00Z");
    assert_eq!(markdown.header("content-type"), Some("text/markdown; charset=utf-8"));
    assert!(markdown.text.contains(markdown.header("x-haldir-evidence-digest").unwrap()));
    let name = markdown.header("content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"haldir-evidence-local-2020") && name.ends_with(".md\""), "{name}");
    let manifest = operator.get("/v1/compliance/evidence/manifest?since=2020-01-01&until=2020-04-01").ok();
    assert_eq!(manifest["signatures"]["digest"].as_str(), markdown.header("x-haldir-evidence-digest"));
    assert_eq!((&manifest["period_start"], &manifest["tenant_id"]), (&json!("2020-01-01T00:00:00Z"), &json!("local")));
    let wrong = operator.get("/v1/compliance/evidence?format=pdf").refused(400, "invalid_format");
    assert_eq!(wrong["got"], "pdf");
    operator
        .get("/v1/compliance/evidence?since=2026-02-01&until=2026-01-01")
        .refused_field(400, "invalid_argument", "since");
    operator.get("/v1/compliance/evidence?until=1970-01-01").refused(400, "invalid_argument");
    operator.get("/v1/compliance/evidence/manifest?since=soon").refused(400, "invalid_argument");
}

#[test]
fn evidence_is_for_operators_and_each_tenants_own() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"name": "agent", "role": "agent"}));
    for path in ["evidence", "evidence/manifest", "score", "schedules"] {
        agent.get(&format!("/v1/compliance/{path}")).refused(403, "operator_required");
        server.anonymous().get(&format!("/v1/compliance/{path}")).refused(401, "unauthorized");
    }
    let schedule = json!({"name": "x", "cadence": "daily", "delivery": "webhook:1"});
    agent.post("/v1/compliance/schedules", &schedule).refused(403, "operator_required");
    agent.delete("/v1/compliance/schedules/sched_x").refused(403, "operator_required");
    // An auditor's key reads the log and its evidence, and changes nothing.
    let auditor = operator.mint(&json!({"name": "auditor", "role": "operator", "scopes": ["audit:read"]}));
    auditor.get("/v1/compliance/evidence").ok();
    auditor.get("/v1/compliance/score").ok();
    auditor.post("/v1/compliance/schedules", &schedule).refused(403, "insufficient_scope");

    let inner = House::new();
    let haldir = InProcess::open(&inner.db());
    an_hour_of_work(&haldir);
    let other: TenantId = haldir.another_tenant();
    let theirs = Credential::LocalOperator(other.clone());
    let period = json!({"since": first_second(), "until": first_second() + 7_200});
    let ours = haldir.ok("getEvidenceManifest", &period);
    let manifest = haldir.call_as(&theirs, "getEvidenceManifest", &period).unwrap();
    assert_eq!(text(&manifest, "tenant_id"), other.as_str());
    assert_ne!(ours["signatures"]["digest"], manifest["signatures"]["digest"]);
    haldir.session(&json!({}));
    let again = haldir.call_as(&theirs, "getEvidenceManifest", &period).unwrap();
    assert_eq!(manifest["signatures"]["digest"], again["signatures"]["digest"], "our entries count with them");
}

#[test]
fn no_pack_is_made_of_a_log_that_was_cut_and_one_that_was_thinned_does_not_add_up() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let made = an_hour_of_work(&haldir);
    // So many that they are in the counters.
    let session = text(&made, "session");
    at_once(20, |_| (0..30).for_each(|_| drop(haldir.log(&session, "more"))));
    let whole = pack(&haldir, first_second(), first_second() + 3_601);
    let sql = house.sql();
    let thinned = "DELETE FROM audit_entries WHERE place = 4; UPDATE evidence_counts SET count = count - 1 WHERE what = \
                   'entry:session.create'";
    for tampering in ["UPDATE evidence_counts SET count = count + 1 WHERE what = 'entry:secret.read'", thinned] {
        sql.batch(tampering);
        let told = pack(&haldir, first_second(), first_second() + 3_601);
        assert_eq!(told["audit_trail"]["figures_add_up"], false, "{tampering}");
        assert_ne!(told["signatures"]["digest"], whole["signatures"]["digest"]);
    }
    sql.batch("UPDATE audit_heads SET seq = seq - 1 WHERE tenant = 'local'");
    let refused = haldir.streamed("getEvidence", &json!({})).unwrap_err();
    assert_eq!(refused.code.status(), 500);
    let score = haldir.ok("getComplianceScore", &json!({}));
    let states: Vec<_> =
        score["criteria"].as_array().unwrap().iter().map(|c| (text(c, "key"), text(c, "state"))).collect();
    assert!(states.contains(&("tamper_evidence".into(), "fail".into())), "{states:?}");
    assert!(states.contains(&("audit_trail".into(), "fail".into())), "{states:?}");
}

#[test]
fn the_score_follows_what_is_done() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let state = |key: &str| {
        let score = haldir.ok("getComplianceScore", &json!({}));
        let criteria = score["criteria"].as_array().unwrap().clone();
        let counts = ["passing", "warning", "failing"].map(|name| integer(&score, name));
        assert_eq!((counts.iter().sum::<i64>(), integer(&score, "total")), (7, 7), "{score}");
        assert_eq!(integer(&score, "score"), (counts[0] * 200 + counts[1] * 100 + 7) / 14);
        for criterion in &criteria {
            assert_eq!(text(criterion, "remediation").is_empty(), criterion["state"] == "pass", "{criterion}");
            assert!(
                !text(criterion, "reason").is_empty() && text(criterion, "control").starts_with("CC"),
                "{criterion}"
            );
        }
        text(criteria.iter().find(|criterion| criterion["key"] == key).unwrap(), "state")
    };
    assert_eq!(
        (state("access_control"), state("audit_trail"), state("encryption")),
        ("warn".into(), "warn".into(), "pass".into())
    );
    assert_eq!(
        (state("alerting"), state("approvals"), state("spend_governance")),
        ("fail".into(), "warn".into(), "pass".into())
    );
    haldir.ok("createApiKey", &json!({"name": "o", "role": "operator"}));
    assert_eq!((state("access_control"), state("audit_trail")), ("fail".into(), "pass".into()));
    let wide = haldir.ok("createApiKey", &json!({"name": "a", "role": "agent"}));
    assert_eq!(state("access_control"), "warn");
    haldir.ok("createApiKey", &json!({"name": "b", "role": "agent", "scopes": ["audit:write"]}));
    haldir.ok("revokeApiKey", &json!({"prefix": wide["prefix"]}));
    assert_eq!(state("access_control"), "pass");
    haldir.session(&json!({"scopes": ["spend"]}));
    assert_eq!(state("spend_governance"), "fail");
    haldir.session(&json!({"scopes": ["spend"], "spend_limit": 1}));
    assert_eq!(state("spend_governance"), "warn");
    haldir.ok("addApprovalRule", &json!({"type": "all"}));
    assert_eq!(state("approvals"), "pass");
    haldir.ok("storeSecret", &json!({"name": "k", "value": "v"}));
    assert_eq!(state("encryption"), "pass");
    house.change("UPDATE secrets SET version = version + 1");
    assert_eq!(state("encryption"), "fail");
    haldir.clock.advance_seconds(2 * DAY);
    assert_eq!((state("audit_trail"), state("spend_governance")), ("warn".into(), "pass".into()));
    house.change("UPDATE audit_entries SET tool = 'x' WHERE place = 3");
    assert_eq!(state("audit_trail"), "fail");
}
