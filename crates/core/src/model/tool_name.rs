//! Comparison of tool names. Rules that forbid compare folded names, so that another case, a look-alike letter or another
//! separator does not evade them; rules that allow compare the names themselves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// Every tool.
const ANY: &str = "*";
/// Suffixes that match every tool of an upstream.
const WHOLE: [&str; 2] = [".*", "__*"];
/// Separates the names of upstream and tool in listed names.
const SEPARATOR: &str = "__";

type Folds = Arc<[String; 2]>;

/// Cached folds, and the longest name in the cache, in bytes. Rules have thousands of names, and each call is compared with all.
const MAX_KEPT: usize = 4_096;
const MAX_KEPT_BYTES: usize = 256;

/// The two folds of a name: lower-cased before and after look-alikes are unified, since `I` looks like `l`.
fn folds(name: &str) -> Folds {
    static KEPT: Mutex<Option<HashMap<String, Folds>>> = Mutex::new(None);
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept().as_ref().and_then(|kept| kept.get(name)) {
        return Arc::clone(known);
    }
    let compatible: String = name.nfkc().collect();
    let lower = compatible.to_lowercase();
    let both =
        [plain(skeleton(&lower).collect::<String>()), plain(skeleton(&compatible).collect::<String>().to_lowercase())];
    let folds = Arc::new(both);
    if name.len() <= MAX_KEPT_BYTES {
        let mut kept = kept();
        let kept = kept.get_or_insert_default();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(name.to_owned(), Arc::clone(&folds));
    }
    folds
}

/// Removes separators and invisible characters.
fn plain(name: String) -> String {
    let kept: String = name.nfkc().filter(|c| c.is_alphanumeric() || *c == '.').collect();
    if kept.is_empty() { name } else { kept }
}

/// A name with its folds, for repeated comparison.
#[derive(Clone, Debug)]
pub struct Folded {
    name: String,
    folds: Folds,
}

impl Folded {
    /// Folds a name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), folds: folds(name) }
    }

    /// The name as it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folds: names with one equal fold could be mistaken for each other.
    pub fn folds(&self) -> &[String; 2] {
        &self.folds
    }

    /// Whether the two could be mistaken for each other.
    pub fn is_alike(&self, other: &Self) -> bool {
        self.name == other.name || self.folds.iter().zip(other.folds.iter()).any(|(a, b)| a == b)
    }
}

/// Whether two names could be mistaken for each other.
pub fn alike(a: &str, b: &str) -> bool {
    a == b || folds(a).iter().zip(folds(b).iter()).any(|(a, b)| a == b)
}

/// Whether a rule that forbids names this tool: as `tool`, `upstream.tool`, `upstream.*` or `*`, or with `__` for the dot, as in
/// listed names.
pub fn forbids(rule: &str, upstream: &str, tool: &str) -> bool {
    let whole = WHOLE.iter().any(|end| rule.strip_suffix(end).is_some_and(|named| alike(named, upstream)));
    rule == ANY
        || whole
        || alike(rule, tool)
        || alike(rule, &format!("{upstream}.{tool}"))
        || (rule.contains(SEPARATOR) && alike(rule, &format!("{upstream}{SEPARATOR}{tool}")))
}

/// Whether a rule that allows names this tool, exactly. A bare name does only where no other upstream has such a tool.
pub fn allows(rule: &str, upstream: &str, tool: &str, bare_is_clear: bool) -> bool {
    let whole = WHOLE.iter().any(|end| rule.strip_suffix(end).is_some_and(|named| named == upstream));
    let rest = rule.strip_prefix(upstream);
    let own = rest.and_then(|rest| rest.strip_prefix('.').or_else(|| rest.strip_prefix(SEPARATOR)));
    let exact = own.is_some_and(|own| own == tool);
    rule == ANY || whole || exact || (bare_is_clear && rule == tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_forbidden_together() {
        for other in [
            "delete", "Delete", "DELETE", "d\u{435}lete", "\u{ff44}elete", "dele\u{200b}te", "de1ete", "deIete",
            "de-lete", "de_lete", "delet\u{435}", "\u{1d41d}elete",
        ] {
            assert!(forbids("up.delete", "up", other) && forbids("delete", "up", other), "{other:?}");
        }
        assert!(forbids("delete_file", "up", "deleteFile") && forbids("up.*", "Up", "x") && forbids("*", "a", "b"));
        for other in ["deleted", "undelete", "del", ""] {
            assert!(!forbids("delete", "up", other), "{other:?}");
        }
        assert!(!forbids("up.delete", "down", "delete"));
        for rule in ["up__delete", "up__*", "UP__Delete"] {
            assert!(forbids(rule, "up", "delete") && !forbids(rule, "down", "delete"), "{rule}");
        }
    }

    #[test]
    fn what_is_allowed_is_exactly_that() {
        assert!(
            allows("up.read", "up", "read", false) && allows("up.*", "up", "x", false) && allows("*", "u", "x", false)
        );
        assert!(allows("read", "up", "read", true) && !allows("read", "up", "read", false));
        for other in ["Read", "r\u{435}ad", "re_ad"] {
            assert!(!allows("up.read", "up", other, true) && !allows("read", "up", other, true), "{other:?}");
        }
        assert!(!allows("up.read", "Up", "read", true));
        assert!(allows("up__read", "up", "read", false) && allows("up__*", "up", "x", false));
        assert!(!allows("up__read", "up", "rea", true) && !allows("up__read", "u", "read", true));
    }
}
