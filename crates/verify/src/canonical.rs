//! The bytes of an entry that are hashed: its fields as RFC 8785 (JCS) JSON, with the hash of the entry before.
//!
//! `entry_hash` is their BLAKE3 digest, and the same bytes are the leaf of the tenant's RFC 6962 tree. `details`
//! enter by a salted digest, so that they can be erased and every proof still holds. Every stored field is in
//! here or is compared with what is: nothing in a row can be altered unnoticed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

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
    let form = Form {
        action: entry.action.into(),
        actor: entry.actor.into(),
        agent_id: entry.agent_id.into(),
        at: entry.at.0,
        cost: entry.cost.to_string().into(),
        details: entry.details_digest.map(|digest| hex(digest).into()),
        entry_id: entry.id.into(),
        flag_reason: entry.flag_reason.into(),
        flagged: entry.flagged,
        kind: entry.kind.word().into(),
        prev_hash: hex(entry.prev_hash).into(),
        seq: entry.seq,
        session_id: entry.session_id.into(),
        tenant: tenant.as_str().into(),
        tool: entry.tool.into(),
        v: VERSION,
    };
    // Neither a Vec nor this type can fail; without its bytes an entry matches no hash.
    if serde_json::to_writer(&mut *out, &form).is_err() {
        out.clear();
    }
}

/// The version of the form, so that an auditor knows how to rebuild old entries should it ever change.
const VERSION: u8 = 1;

/// The members in the order of RFC 8785, which sorts them by their UTF-16 code units. Numbers are integers below 2^53; amounts are
/// text, since a double cannot hold them. `serde_json` escapes strings as section 3.2.2.2 asks.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow)]
    agent_id: Cow<'a, str>,
    pub at: i64,
    #[serde(borrow)]
    cost: Cow<'a, str>,
    pub details: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub entry_id: Cow<'a, str>,
    #[serde(borrow)]
    flag_reason: Cow<'a, str>,
    flagged: bool,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    pub prev_hash: Cow<'a, str>,
    pub seq: i64,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    pub tenant: Cow<'a, str>,
    #[serde(borrow)]
    tool: Cow<'a, str>,
    v: u8,
}

/// Reads canonical bytes. Only bytes as [`write`] makes them are accepted: another reader could take a repeated member for another
/// entry, although the hash is right.
pub(crate) fn read(text: &str) -> Result<Form<'_>, String> {
    let form: Form<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if form.v != VERSION {
        return Err(format!("the form of the entry has version {}, this haldir reads {VERSION}", form.v));
    }
    let mut again = Vec::with_capacity(text.len());
    let is_canonical = serde_json::to_writer(&mut again, &form).is_ok() && again == text.as_bytes();
    if is_canonical { Ok(form) } else { Err("the bytes of the entry are not in canonical form".to_owned()) }
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
