//! Writes the seeds that need a signature: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`. Always the same bytes.

use std::{fs, io, path::PathBuf};

use haldir_core::{
    crypto::{Checkpoint, Frontier, SigningKey, Verifier, leaf_hash},
    model::{Entry, EntryId, EntryKind, Money, TenantId, UnixMicros},
};
use haldir_verify::{bundle::ErasedLine, canonical, hex::hex, pack, tree_head};
use serde_json::{Value, json};

const ORIGIN: &str = "haldir/local/0123456789abcdef";
const DETAILS: &str = r#"{"n":2}"#;
const SALT: [u8; 16] = [9; 16];

fn main() -> io::Result<()> {
    let (key, witness) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[3; 32]));
    let verifier = Verifier::of_log(ORIGIN, key.public());
    let (mut tree, mut last, mut whole, mut erased) = (Frontier::default(), canonical::GENESIS, Vec::new(), Vec::new());
    for seq in 1..=3 {
        let entry = entry(seq, last);
        let bytes = canonical::bytes(&TenantId::local(), &entry);
        let (leaf, bytes) = (leaf_hash(&bytes), String::from_utf8_lossy(&bytes).into_owned());
        tree.push(leaf);
        last = entry.entry_hash;
        let (details, salt) = if seq == 2 { (json!(DETAILS), json!(hex(&SALT))) } else { (Value::Null, Value::Null) };
        whole.push(format!("{{\"entry\":{bytes},\"hash\":\"{}\",\"details\":{details},\"salt\":{salt}}}", hex(&last)));
        erased.push(match seq {
            2 => json!({"erased": ErasedLine::of(&entry, &leaf)}).to_string(),
            _ => whole[whole.len() - 1].clone(),
        });
        if seq == 2 {
            let signature = hex(&key.sign(&tree_head::signed_bytes(tree.size(), &tree.root(), 1_800_000_000)));
            let head = json!({"head": {"tree_size": tree.size(), "root_hash": hex(&tree.root()), "signed_at": 1_800_000_000,
                "public_key": hex(key.public().as_bytes()), "signature": signature}});
            for lines in [&mut whole, &mut erased] {
                lines.push(head.to_string());
            }
        }
    }
    let mut note = Checkpoint { origin: ORIGIN.to_owned(), size: tree.size(), root: tree.root() }.to_note();
    note.sign(ORIGIN, &key);
    for (name, version, lines) in [("whole", 1, whole), ("erased", 2, erased)] {
        let first = json!({"haldir_bundle": version, "tenant_id": "local", "origin": ORIGIN, "checkpoint": note.to_string(),
            "keys": [verifier.to_string()]});
        write("bundle", name, &format!("{first}\n{}\n{{\"end\":3}}\n", lines.join("\n")))?;
    }
    note.cosign("witness.example.org", &witness, 1_800_000_000);
    write("note", "cosigned", &note.to_string())?;
    write("note", "verifier", &verifier.to_string())?;
    write("note", "witness", &Verifier::of_witness("witness.example.org", witness.public()).to_string())?;
    write("note", "hexadecimal", &hex(key.public().as_bytes()))?;
    write(
        "note",
        "jwks",
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}"#,
    )?;
    let at = "2026-02-01T00:00:01Z";
    let mut signed = json!({"format_version": 1, "tenant_id": "local", "period_start": "2026-01-01T00:00:00Z",
        "period_end": "2026-02-01T00:00:00Z", "generated_at": at, "identity": {"first_seq": 1, "last_seq": null},
        "spend_governance": {"captured_usd": "29.99"}});
    let signatures = pack::sign(&signed.to_string(), "local", at, true, &key).map_err(io::Error::other)?;
    signed["signatures"] = serde_json::to_value(signatures)?;
    write("pack", "signed", &signed.to_string())
}

fn entry(seq: i64, prev_hash: [u8; 32]) -> Entry {
    let mut entry = Entry {
        seq,
        id: EntryId::parse(format!("aud_{seq}")).expect("an id"),
        at: UnixMicros(1_800_000_000_000_000 + seq),
        kind: EntryKind::Action,
        session_id: "ses_1".to_owned(),
        agent_id: "research-bot".to_owned(),
        tool: "shop".to_owned(),
        action: "buy".to_owned(),
        cost: Money::from_nanos(seq),
        flagged: false,
        flag_reason: String::new(),
        actor: "hld_0123".to_owned(),
        details: None,
        details_salt: None,
        details_digest: (seq == 2).then(|| canonical::details_digest(&SALT, DETAILS.as_bytes())),
        prev_hash,
        entry_hash: [0; 32],
    };
    entry.entry_hash = canonical::entry_hash(&canonical::bytes(&TenantId::local(), &entry));
    entry
}

fn write(target: &str, name: &str, text: &str) -> io::Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), text)
}
