//! The bytes of an entry that are hashed: its fields as RFC 8785 (JCS) JSON, with the hash of the entry before.
//!
//! `entry_hash` is their BLAKE3 digest, and the same bytes are the leaf of the tenant's RFC 6962 tree. `details`
//! enter by a salted digest, so that they can be erased and every proof still holds. Every stored field is in
//! here or is compared with what is: nothing in a row can be altered unnoticed.

pub use crate::hex::hex;
use crate::{
    crypto,
    model::{Entry, EntryView, TenantId},
};

/// `prev_hash` of the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// The bytes of `entry`, in `tenant`'s log. Its `entry_hash` is not looked at.
pub fn bytes(tenant: &TenantId, entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    write(tenant, &entry.view(), &mut bytes);
    bytes
}

/// Puts the bytes of `entry` in place of what `out` holds.
pub fn write(tenant: &TenantId, entry: &EntryView<'_>, out: &mut Vec<u8>) {
    out.clear();
    put(tenant, entry, out, |out, text| out.extend_from_slice(text.as_bytes()));
    // Nearly every text needs no escapes, and looking at all of them at once is quickest: then no more has to be escaped
    // in JSON than the quotes around them.
    let quotes = if entry.details_digest.is_some() { QUOTES + 2 } else { QUOTES };
    if escapes(out) != quotes {
        out.clear();
        put(tenant, entry, out, push_text);
    }
}

/// Quotes in an entry without details: around 16 names and 11 texts.
const QUOTES: usize = 2 * (16 + 11);

/// RFC 8785 sorts members by their UTF-16 code units: here in the order in which they are written. Numbers are
/// integers below 2^53; amounts are text, since a double cannot hold them. `v` is the version of this form, so that an
/// auditor knows how to rebuild old entries should it ever change.
#[inline]
fn put(tenant: &TenantId, entry: &EntryView<'_>, out: &mut Vec<u8>, push: impl Fn(&mut Vec<u8>, &str)) {
    out.extend_from_slice(b"{\"action\":\"");
    push(out, entry.action);
    out.extend_from_slice(b"\",\"actor\":\"");
    push(out, entry.actor);
    out.extend_from_slice(b"\",\"agent_id\":\"");
    push(out, entry.agent_id);
    out.extend_from_slice(b"\",\"at\":");
    push_integer(out, entry.at.0);
    out.extend_from_slice(b",\"cost\":\"");
    entry.cost.with_text(|text| out.extend_from_slice(text.as_bytes()));
    out.extend_from_slice(b"\",\"details\":");
    match entry.details_digest {
        Some(digest) => {
            out.push(b'"');
            out.extend_from_slice(&hash_hex(digest));
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"entry_id\":\"");
    push(out, entry.id);
    out.extend_from_slice(b"\",\"flag_reason\":\"");
    push(out, entry.flag_reason);
    out.extend_from_slice(b"\",\"flagged\":");
    out.extend_from_slice(if entry.flagged { "true" } else { "false" }.as_bytes());
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(entry.kind.word().as_bytes());
    out.extend_from_slice(b"\",\"prev_hash\":\"");
    out.extend_from_slice(&hash_hex(entry.prev_hash));
    out.extend_from_slice(b"\",\"seq\":");
    push_integer(out, entry.seq);
    out.extend_from_slice(b",\"session_id\":\"");
    push(out, entry.session_id);
    out.extend_from_slice(b"\",\"tenant\":\"");
    push(out, tenant.as_str());
    out.extend_from_slice(b"\",\"tool\":\"");
    push(out, entry.tool);
    out.extend_from_slice(b"\",\"v\":1}");
}

/// Whether JSON does not allow this byte inside a string.
fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes JSON does not allow inside a string.
fn escapes(bytes: &[u8]) -> usize {
    // Counted in bytes, many at a time; so many at most that a byte holds their number.
    let count = |some: &[u8]| some.iter().fold(0_u8, |count, byte| count.wrapping_add(u8::from(is_escaped(*byte))));
    bytes.chunks(128).map(|some| usize::from(count(some))).sum()
}

/// Both digits of every number below 100.
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut all = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        all[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    all
};

fn hex_pair(byte: u8) -> [u8; 2] {
    let digit = |number: u8| number.wrapping_add(if number > 9 { b'a' - 10 } else { b'0' });
    [digit(byte >> 4), digit(byte & 15)]
}

fn hash_hex(hash: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(hash) {
        *pair = hex_pair(*byte);
    }
    text
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let begin = out.len();
    out.resize(begin + bytes.len() * 2, 0);
    let (pairs, _) = out[begin..].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = hex_pair(*byte);
    }
}

fn push_integer(out: &mut Vec<u8>, integer: i64) {
    let mut digits = [[b'0'; 2]; 10];
    let (mut begin, mut rest) = (digits.len(), integer.unsigned_abs());
    loop {
        begin -= 1;
        digits[begin] = TWO_DIGITS[(rest % 100) as usize];
        rest /= 100;
        if rest == 0 {
            break;
        }
    }
    if integer < 0 {
        out.push(b'-');
    }
    let digits = digits[begin..].as_flattened();
    out.extend_from_slice(digits.strip_prefix(b"0").filter(|rest| !rest.is_empty()).unwrap_or(digits));
}

/// The inside of a string, as RFC 8785 section 3.2.2.2 has it: only what JSON does not allow is escaped, the shortest way.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (place, byte) in bytes.iter().enumerate() {
        if !is_escaped(*byte) {
            continue;
        }
        out.extend_from_slice(&bytes[plain..place]);
        plain = place + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => {
                out.extend_from_slice(b"\\u00");
                push_hex(out, &[*control]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// The hash that the next entry will name.
pub fn entry_hash(canonical: &[u8]) -> [u8; 32] {
    crypto::digest(&[canonical])
}

/// What stands for `details` in the entry: the salt has a fixed length, so the two cannot be shifted.
pub fn details_digest(salt: &[u8; 16], details: &[u8]) -> [u8; 32] {
    crypto::digest(&[salt, details])
}

/// Whether an entry is what its own hash says, and its details are those of their digest. An entry that is put in its place
/// with a hash of its own is found by the entry behind it, or by the tree.
pub fn is_intact(tenant: &TenantId, entry: &Entry) -> bool {
    let details = match (&entry.details, &entry.details_salt, &entry.details_digest) {
        (Some(details), Some(salt), Some(digest)) => details_digest(salt, details.as_bytes()) == *digest,
        (Some(_), ..) => false,
        // Details that were erased leave their digest.
        (None, ..) => true,
    };
    details && entry_hash(&bytes(tenant, entry)) == entry.entry_hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{EntryId, EntryKind, Money, UnixMicros};

    prop_compose! {
        fn entries()(
            texts in proptest::collection::vec(prop_oneof![any::<String>(), "[\\x00-\\x7f]{0,20}"], 6), seq in 1_i64..1 << 53, at in 0_i64..1 << 53,
            cost: i64, flagged: bool, action: bool, digest: Option<[u8; 32]>, prev_hash: [u8; 32]
        ) -> Entry {
            let [session_id, agent_id, tool, action_text, flag_reason, actor] = texts.try_into().unwrap();
            Entry {
                seq, id: EntryId::parse("aud_x").unwrap(), at: UnixMicros(at), session_id, agent_id, tool, flag_reason,
                kind: if action { EntryKind::Action } else { EntryKind::Governance },
                action: action_text, cost: Money::from_nanos(cost), flagged, actor, details: None, details_salt: None,
                details_digest: digest, prev_hash, entry_hash: [0; 32],
            }
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_an_rfc_8785_implementation_that_is_not_ours(entry in entries()) {
            let ours = bytes(&TenantId::local(), &entry);
            let value: serde_json::Value = serde_json::from_slice(&ours).unwrap();
            prop_assert_eq!(&ours, &serde_json_canonical(&value));
        }

        #[test]
        fn the_bytes_are_those_of_a_generic_serialiser(entry in entries()) {
            let digest = entry.details_digest.map(|digest| hex(&digest));
            let value = serde_json::json!({
                "action": entry.action, "actor": entry.actor, "agent_id": entry.agent_id, "at": entry.at.0,
                "cost": entry.cost.to_string(), "details": digest, "entry_id": entry.id, "flag_reason": entry.flag_reason,
                "flagged": entry.flagged, "kind": entry.kind, "prev_hash": hex(&entry.prev_hash), "seq": entry.seq,
                "session_id": entry.session_id, "tenant": "local", "tool": entry.tool, "v": 1,
            });
            prop_assert_eq!(bytes(&TenantId::local(), &entry), serde_json_canonical(&value));
        }

        #[test]
        fn two_different_entries_have_different_bytes(a in entries(), b in entries()) {
            prop_assume!(a != b);
            prop_assert_ne!(bytes(&TenantId::local(), &a), bytes(&TenantId::local(), &b));
        }
    }

    fn serde_json_canonical(value: &serde_json::Value) -> Vec<u8> {
        serde_jcs::to_vec(value).unwrap()
    }
}
