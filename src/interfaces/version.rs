//! What this build is, for scripts: `haldir --version --json`, `haldir-mcp --version --json`.

use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use crate::store::sqlite::Migrator;

/// The options that ask for it, of the program that has no `--json` otherwise.
const OPTIONS: [&str; 2] = ["--version", "--json"];

/// Whether these are the arguments that ask for it.
pub fn is_asked_for(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let mut arguments: Vec<_> = arguments.collect();
    arguments.sort_unstable_by(|one, other| other.cmp(one));
    arguments == OPTIONS
}

/// The build of the program of this name. A store is opened by programs that know its schema version, and by none that only
/// know earlier ones.
pub fn document(name: &str) -> Value {
    let features = [("cedar", cfg!(feature = "cedar")), ("postgres", cfg!(feature = "postgres"))];
    let features: Vec<_> = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let protocols: Vec<_> = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).collect();
    json!({
        "name": name,
        "version": env!("CARGO_PKG_VERSION"),
        "target": env!("HALDIR_TARGET"),
        "features": features,
        "schema_version": Migrator::LATEST,
        "protocol_versions": protocols,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_options_in_any_order_ask_for_it_and_nothing_else_does() {
        let asked = |line: &str| is_asked_for(line.split_whitespace().map(Into::into));
        assert!(asked("--version --json") && asked("--json --version"));
        assert!(!asked("--version") && !asked("--json") && !asked("serve --version --json") && !asked(""));
    }
}
