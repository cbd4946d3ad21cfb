//! Scopes: what a session may do.
//!
//! A scope is `name` or `name:part:…`. `admin` and `*` hold every scope, `read` holds `read:anything`, `read:*`
//! holds every `read:…`. Narrowing never widens: `admin:readonly` is not `admin`, and `read:a` is not `read`.

use std::fmt;

use schemars::json_schema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{Money, text};

/// The scope that `authorizePayment` needs.
pub const SPEND: &str = "spend";

/// Most scopes one session may hold.
pub const MAX_SCOPES: usize = 64;

const MAX_CHARS: usize = 128;
const PATTERN: &str = r"^(\*|[A-Za-z0-9_./-]+(:[A-Za-z0-9_./-]+)*(:\*)?)$";
const EXPECTED: &str = "expected a scope such as read, files:write, files:* or spend:50 \
    (letters, digits and _ . / - in parts between colons)";

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    /// Parses a scope; the error says what was expected.
    pub fn parse(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        if let Some(problem) = text::problem(&text, 1, MAX_CHARS, false) {
            return Err(problem);
        }
        let parts = text.strip_suffix(":*").unwrap_or(&text);
        let is_name =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b));
        if text == "*" || parts.split(':').all(is_name) { Ok(Self(text)) } else { Err(EXPECTED.to_owned()) }
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this scope holds every scope there is.
    pub fn is_all(&self) -> bool {
        self.0 == "*" || self.0 == "admin"
    }

    /// Whether the scope `self` grants `wanted`.
    pub fn holds(&self, wanted: &Self) -> bool {
        let (granted, wanted) = (self.0.as_str(), wanted.0.as_str());
        let prefix = granted.strip_suffix(":*").unwrap_or(granted);
        let below = wanted.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(':'));
        self.is_all() || granted == wanted || below
    }

    /// The amount in `spend:50`, which grants `spend` and sets a budget.
    pub fn budget(&self) -> Option<Result<Money, String>> {
        self.0.strip_prefix("spend:").filter(|rest| *rest != "*").map(str::parse)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

inline_schema!(Scope, "Scope", |_| json_schema!({
    "type": "string", "minLength": 1, "maxLength": MAX_CHARS, "pattern": PATTERN,
    "examples": ["read", "files:write", "spend:50"]
}));

/// A set of scopes, without repeats, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// The set of these scopes.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut unique = Vec::new();
        for scope in scopes {
            if !unique.contains(&scope) {
                unique.push(scope);
            }
        }
        Self(unique)
    }

    /// Parses scopes from text, as in `read,files:write`.
    pub fn parse_list(list: &str) -> Result<Self, String> {
        let scopes: Result<Vec<_>, _> =
            list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Scope::parse).collect();
        Ok(Self::new(scopes?))
    }

    /// Whether any of them grants `wanted`.
    pub fn hold(&self, wanted: &Scope) -> bool {
        self.0.iter().any(|scope| scope.holds(wanted))
    }

    /// Whether any of them grants the scope named `wanted`; false for a text that is no scope.
    pub fn hold_named(&self, wanted: &str) -> bool {
        Scope::parse(wanted).is_ok_and(|wanted| self.hold(&wanted))
    }

    /// The scopes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes = Vec::<Scope>::deserialize(deserializer)?;
        if scopes.len() > MAX_SCOPES {
            return Err(D::Error::custom(format!("has {} scopes, at most {MAX_SCOPES} are allowed", scopes.len())));
        }
        Ok(Self::new(scopes))
    }
}

inline_schema!(
    Scopes,
    "Scopes",
    |generator| json_schema!({"type": "array", "items": Scope::json_schema(generator), "maxItems": MAX_SCOPES})
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn narrowing_never_widens() {
        assert!(!scope("admin:readonly").holds(&scope("admin")));
        assert!(!scope("admin:readonly").holds(&scope("read")));
        assert!(!scope("read:files").holds(&scope("read")));
        assert!(!scope("read:*").holds(&scope("read")));
        assert!(!scope("read").holds(&scope("readers:all")));
        assert!(!scope("files:*").holds(&scope("files2:x")));
        assert!(!scope("read").holds(&scope("*")));
    }

    #[test]
    fn wider_holds_narrower() {
        for (granted, wanted) in [
            ("admin", "*"),
            ("*", "admin"),
            ("*", "x:y"),
            ("read", "read:a:b"),
            ("read", "read:*"),
            ("files:*", "files:a"),
            ("files:*", "files:a:*"),
            ("spend", "spend:50"),
        ] {
            assert!(scope(granted).holds(&scope(wanted)), "{granted} should hold {wanted}");
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for bad in ["", ":", "a:", ":a", "a::b", "*:a", "a*", "a b", "a\0", "ä", "re\u{430}d", "a:*:b", "READ me"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn holding_is_reflexive_and_transitive(
            a in "(a|b|admin|\\*)(:(a|b)){0,2}(:\\*)?", b in "(a|b)(:(a|b)){0,2}(:\\*)?", c in "(a|b)(:(a|b)){0,3}"
        ) {
            let (Ok(a), Ok(b), Ok(c)) = (Scope::parse(a), Scope::parse(b), Scope::parse(c)) else { return Ok(()) };
            prop_assert!(a.holds(&a) && b.holds(&b));
            if a.holds(&b) && b.holds(&c) {
                prop_assert!(a.holds(&c), "{} holds {} holds {}", a, b, c);
            }
        }

        #[test]
        fn a_longer_scope_never_holds_its_own_prefix(prefix in "[a-z]{1,5}", part in "[a-z]{1,5}") {
            prop_assume!(prefix != "admin");
            let longer = scope(&format!("{prefix}:{part}"));
            prop_assert!(!longer.holds(&scope(&prefix)));
        }
    }
}
