//! Fields of answers.

use haldir::crypto::{Hash, verify_inclusion};
use serde_json::Value;

/// A field of an answer that must be text.
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {value}")).to_owned()
}

/// A field of an answer that must be an integer.
pub fn integer(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or_else(|| panic!("{field} is no integer in {value}"))
}

/// Bytes that are written in hexadecimal.
pub fn unhex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), N * 2, "{text}");
    std::array::from_fn(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap())
}

/// A field that must be a hash in hexadecimal.
pub fn hash_of(answer: &Value, field: &str) -> Hash {
    unhex(&text(answer, field))
}

/// A field that must be a list of hashes.
pub fn path_of(answer: &Value, field: &str) -> Vec<Hash> {
    answer[field].as_array().unwrap().iter().map(|hash| unhex(hash.as_str().unwrap())).collect()
}

/// A field that must be a number of entries.
pub fn size_of(answer: &Value, field: &str) -> u64 {
    integer(answer, field).cast_unsigned()
}

/// Whether an inclusion proof leads to its root.
pub fn includes(proof: &Value) -> bool {
    verify_inclusion(
        &hash_of(proof, "leaf_hash"),
        size_of(proof, "leaf_index"),
        size_of(proof, "tree_size"),
        &path_of(proof, "audit_path"),
        &hash_of(proof, "root_hash"),
    )
}
