//! What the compiler does not keep: which module imports which, where SQL stands, and that a constant of the protocol has one
//! definition. The layers are listed in ARCHITECTURE.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Modules of `src` from the ground up. A module imports from rows below its own, and from its own row only without a circle.
const LAYERS: [&[&str]; 9] = [
    &["files", "outbound", "redact", "traces"],
    &["upstream"],
    &["call"],
    &["approvals", "compliance", "gate", "outbox", "proxy", "reports", "vault", "watch", "webhooks"],
    &["operations"],
    &["jobs"],
    &["config"],
    &["relay"],
    &["interfaces"],
];

/// Crates that `src/lib.rs` names again: below every module.
const CRATES: [&str; 8] = ["core", "crypto", "error", "metrics", "model", "protocol", "store", "verify"];

/// Beginnings of SQL statements.
const SQL: [&str; 6] = ["SELECT ", "INSERT INTO ", "INSERT OR ", "DELETE FROM ", "CREATE TABLE ", "PRAGMA "];

/// Constants of MCP and JSON-RPC, as they stand behind `=` in a definition.
const PROTOCOL: [&str; 23] = [
    "-32020", "-32_020", "-32021", "-32_021", "-32022", "-32_022", "\"2025-11-25\"", "\"last-event-id\"",
    "\"mcp-method\"", "\"mcp-name\"", "-32700", "-32_700", "-32600", "-32_600", "-32601", "-32_601", "-32602",
    "-32_602", "-32603", "-32_603", "\"2026-07-28\"", "\"mcp-session-id\"", "\"mcp-protocol-version\"",
];

struct Source {
    path: PathBuf,
    /// Without comments and unit tests.
    code: String,
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.iter().any(|part| part == "tests")
}

/// The program's sources below these folders of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in folders {
        files_below(&root.join(folder), &mut files);
    }
    files.retain(|path| !is_test(path.strip_prefix(root).unwrap()));
    assert!(!files.is_empty());
    let code = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().to_owned();
    files.iter().map(|path| Source { path: relative(path), code: code(path) }).collect()
}

/// The module of `src` that a file is in; `None` for `lib.rs` and the programs.
fn module_of(path: &Path) -> Option<String> {
    let first = path.iter().nth(1)?.to_str()?.trim_end_matches(".rs").to_owned();
    (!matches!(&*first, "lib" | "bin")).then_some(first)
}

/// The first names behind every `crate::`, those of a group included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut begins) = (0, true);
            for (index, letter) in group.char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => begins = true,
                    _ if begins && letter.is_ascii_alphabetic() => {
                        names.insert(first_word(&group[index..]));
                        begins = false;
                    }
                    _ => {}
                }
            }
        } else {
            names.insert(first_word(rest));
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

fn layer_of(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("no layer has the module {module}"))
}

#[test]
fn no_module_imports_what_stands_above_it_or_what_imports_it() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut upward = Vec::new();
    for Source { path, code } in sources(&["src"]) {
        let Some(module) = module_of(&path) else { continue };
        for import in imports(&code).into_iter().filter(|import| *import != module) {
            if CRATES.contains(&&*import) || import.is_empty() || import == "Haldir" {
                continue;
            }
            if layer_of(&import) > layer_of(&module) {
                upward.push(format!("{} imports {import}", path.display()));
            }
            edges.entry(module.clone()).or_default().insert(import);
        }
    }
    assert!(upward.is_empty(), "upward imports:\n{}", upward.join("\n"));
    assert!(edges.len() > 8, "the imports were not read: {edges:?}");
    // Modules that import no other are taken away until none is left; a circle stays.
    while !edges.is_empty() {
        let done: Vec<String> = edges
            .iter()
            .filter(|(_, to)| !to.iter().any(|to| edges.contains_key(to)))
            .map(|(from, _)| from.clone())
            .collect();
        assert!(!done.is_empty(), "these import each other in a circle: {edges:?}");
        for module in done {
            edges.remove(&module);
        }
    }
}

#[test]
fn sql_stands_in_the_store_only() {
    let others = ["src", "crates/core", "crates/verify", "crates/mcp"];
    for Source { path, code } in sources(&others) {
        for (number, line) in code.lines().enumerate() {
            let has_sql = SQL.iter().any(|start| line.contains(&format!("\"{start}")));
            assert!(!has_sql, "SQL outside crates/store: {}, line {number} without comments: {line}", path.display());
        }
    }
    assert!(sources(&["crates/store"]).iter().any(|source| source.code.contains("\"SELECT ")));
}

#[test]
fn a_constant_of_the_protocol_is_defined_once() {
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Source { path, code } in sources(&["src", "crates"]) {
        for line in code.lines().filter(|line| line.contains("const ") && line.contains('=')) {
            let value = line.rsplit('=').next().unwrap_or_default().trim().trim_end_matches(';');
            let value = value.strip_prefix("HeaderName::from_static(").map_or(value, |rest| rest.trim_end_matches(')'));
            if PROTOCOL.contains(&value) {
                definitions.entry(value.replace('_', "")).or_default().push(path.display().to_string());
            }
        }
    }
    assert!(definitions.contains_key("-32603"), "the definitions were not read: {definitions:?}");
    for (value, places) in definitions {
        assert!(places.len() == 1 && places[0].starts_with("crates/mcp/"), "{value} is defined in {places:?}");
    }
}
