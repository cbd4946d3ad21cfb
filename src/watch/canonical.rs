//! The bytes of an entry that are hashed: its fields as RFC 8785 (JCS) JSON, with the hash of the entry before.
//!
//! `entry_hash` is their BLAKE3 digest, and the same bytes are the leaf of the tenant's RFC 6962 tree. `details`
//! enter by a salted digest, so that they can be erased and every proof still holds. Every stored field is in
//! here or is compared with what is: nothing in a row can be altered unnoticed.

use serde::{Serialize, Serializer};

use crate::{
    crypto,
    model::{Entry, EntryKind, Money, TenantId},
};

/// `prev_hash` of the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// Version of this form, so that an auditor knows how to rebuild old entries should it ever change.
const VERSION: u8 = 1;

/// RFC 8785 sorts members by their UTF-16 code units: here by the order of these fields, which are ASCII. Numbers
/// are integers below 2^53; amounts are text, since a double cannot hold them.
#[derive(Serialize)]
struct Canonical<'a> {
    action: &'a str,
    actor: &'a str,
    agent_id: &'a str,
    at: i64,
    #[serde(serialize_with = "as_text")]
    cost: Money,
    details: Option<Hex<'a>>,
    entry_id: &'a str,
    flag_reason: &'a str,
    flagged: bool,
    kind: EntryKind,
    prev_hash: Hex<'a>,
    seq: i64,
    session_id: &'a str,
    tenant: &'a str,
    tool: &'a str,
    v: u8,
}

struct Hex<'a>(&'a [u8; 32]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(self.0))
    }
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn as_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of `entry`, in `tenant`'s log. Its `entry_hash` is not looked at.
pub fn bytes(tenant: &TenantId, entry: &Entry) -> Vec<u8> {
    let canonical = Canonical {
        action: &entry.action,
        actor: &entry.actor,
        agent_id: &entry.agent_id,
        at: entry.at.0,
        cost: entry.cost,
        details: entry.details_digest.as_ref().map(Hex),
        entry_id: entry.id.as_str(),
        flag_reason: &entry.flag_reason,
        flagged: entry.flagged,
        kind: entry.kind,
        prev_hash: Hex(&entry.prev_hash),
        seq: entry.seq,
        session_id: &entry.session_id,
        tenant: tenant.as_str(),
        tool: &entry.tool,
        v: VERSION,
    };
    // Strings, integers and booleans always serialise.
    serde_json::to_vec(&canonical).unwrap_or_default()
}

/// The hash that the next entry will name.
pub fn entry_hash(canonical: &[u8]) -> [u8; 32] {
    crypto::digest(&[canonical])
}

/// What stands for `details` in the entry: the salt has a fixed length, so the two cannot be shifted.
pub fn details_digest(salt: &[u8; 16], details: &str) -> [u8; 32] {
    crypto::digest(&[salt, details.as_bytes()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{EntryId, UnixMicros};

    prop_compose! {
        fn entries()(
            texts in proptest::collection::vec(any::<String>(), 6), seq in 1_i64..1 << 53, at in 0_i64..1 << 53,
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
        fn two_different_entries_have_different_bytes(a in entries(), b in entries()) {
            prop_assume!(a != b);
            prop_assert_ne!(bytes(&TenantId::local(), &a), bytes(&TenantId::local(), &b));
        }
    }

    fn serde_json_canonical(value: &serde_json::Value) -> Vec<u8> {
        serde_jcs::to_vec(value).unwrap()
    }
}
