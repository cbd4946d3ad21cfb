//! The names that tools are listed under. Model APIs and hosted clients refuse a tool list in which one name does not match
//! `^[a-zA-Z0-9_-]{1,64}$`, so a tool is listed as `upstream__tool`. A name that does not fit is shortened and gets a digest that
//! keeps names apart. `upstream.tool`, by which the log and policies know a tool, is always accepted.

use crate::crypto;

/// The longest name that every model API accepts.
const MAX_CHARS: usize = 64;
/// Separates the names of the upstream and the tool.
pub const SEPARATOR: &str = "__";
/// Characters of the digest behind a shortened name.
const DIGEST_CHARS: usize = 8;

/// `upstream__tool`, or its shortened form with a digest.
pub fn plain(upstream: &str, tool: &str) -> String {
    let name = format!("{upstream}{SEPARATOR}{tool}");
    if is_clear(upstream) && name.len() <= MAX_CHARS && name.chars().all(is_allowed) {
        return name;
    }
    let [a, b, c, d, ..] = crypto::digest(&[upstream.as_bytes(), b".", tool.as_bytes()]);
    let mut name: String = name.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    // Every character is ASCII by now.
    name.truncate(MAX_CHARS - DIGEST_CHARS - 1);
    format!("{name}_{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// Whether a name that was shortened can be one of this upstream's: it begins with as much of the upstream's name as fits.
pub fn may_be_of(listed: &str, upstream: &str) -> bool {
    listed.starts_with(&upstream[..upstream.len().min(MAX_CHARS - DIGEST_CHARS - 1)])
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether the first separator in `upstream__tool` is the one between the two names.
pub fn is_clear(upstream: &str) -> bool {
    !upstream.contains(SEPARATOR) && !upstream.ends_with('_')
}

/// Whether the name can end in a digest.
pub fn is_shortened(name: &str) -> bool {
    let Some((_, digest)) = name.rsplit_once('_') else { return false };
    name.len() <= MAX_CHARS
        && digest.len() == DIGEST_CHARS
        && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_one_that_model_apis_take_and_no_two_are_the_same() {
        let long = "t".repeat(128);
        let tools = [
            ("up", "echo"),
            ("up", "get.page"),
            ("up", "get_page"),
            ("up", "get/page"),
            ("up", &long),
            ("up", "é"),
            ("a", "b__c"),
            ("a__b", "c"),
            ("a_", "b"),
            ("a", "_b"),
            ("u-1", "x y"),
        ];
        let names: Vec<_> = tools.iter().map(|(upstream, tool)| plain(upstream, tool)).collect();
        for name in &names {
            assert!((1..=MAX_CHARS).contains(&name.len()) && name.chars().all(is_allowed), "{name}");
        }
        let once: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "{names:?}");
        assert_eq!((names[0].as_str(), names[2].as_str(), names[6].as_str()), ("up__echo", "up__get_page", "a__b__c"));
        assert!(names[1].starts_with("up__get_page_") && is_shortened(&names[1]) && is_shortened(&names[4]));
    }
}
