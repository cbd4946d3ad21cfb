//! `haldir wrap-config`: a client's file changes where servers are started and nowhere else, and is given back exactly.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const CONFIG: &str = r#"{
  // what I use
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "files", "/home/me"], "env": {"TOKEN": "t"}, },
    "bare": { "command": "/usr/bin/bare" },
    "far": { "url": "https://example.com/mcp" }
  },
  "theme": "dark"  /* stays */
}
"#;

struct Home(tempfile::TempDir);

impl Home {
    fn with(name: &str) -> (Self, PathBuf) {
        let home = Self(tempfile::tempdir().unwrap());
        let path = home.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, CONFIG).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        (home, path)
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        command.env_clear().env("HOME", self.0.path()).arg("wrap-config").args(arguments);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_changes_are_shown_and_nothing_is_written_without_being_asked() {
    let (home, path) = Home::with(".cursor/mcp.json");
    let (code, shown, _) = home.run(&["cursor"]);
    assert_eq!(code, 0, "{shown}");
    for part in
        ["-    \"files\": { \"command\": \"npx\"", "+    \"files\": { \"command\": ", "far: left as it is", "--write"]
    {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), CONFIG);
    assert_eq!(names(path.parent().unwrap()), ["mcp.json"]);
}

#[test]
fn what_is_written_wraps_every_program_and_undo_gives_back_the_very_file() {
    let (home, path) = Home::with(".config/Claude/claude_desktop_config.json");
    let (code, shown, errors) = home.run(&["claude", "--write", "--wrap-option=--agent=claude"]);
    assert_eq!(code, 0, "{shown}{errors}");
    let server = env!("CARGO_BIN_EXE_haldir-mcp");
    let expected = CONFIG
        .replace("\"npx\"", &format!("\"{server}\""))
        .replace("[\"-y\"", "[\"wrap\", \"--name\", \"files\", \"--agent=claude\", \"--\", \"npx\", \"-y\"")
        .replace(
            "\"/usr/bin/bare\"",
            &format!(
                "\"{server}\", \"args\": [\"wrap\", \"--name\", \"bare\", \"--agent=claude\", \"--\", \"/usr/bin/bare\"]"
            ),
        );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(home.run(&["claude", "--write"]).1.contains("nothing to wrap"));
    assert_eq!(names(path.parent().unwrap()).len(), 2);
    let (code, _, errors) = home.run(&["claude", "--undo"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(fs::read_to_string(&path).unwrap(), CONFIG);
    assert_eq!(names(path.parent().unwrap()), ["claude_desktop_config.json"]);
}

/// Clients rewrite their files: what they have changed stays, and each server is unwrapped by its own entry.
#[test]
fn undo_never_takes_away_what_was_changed_since() {
    let (home, path) = Home::with(".codeium/windsurf/mcp_config.json");
    assert_eq!(home.run(&["windsurf", "--undo"]).0, 1, "nothing was written yet");
    assert_eq!(home.run(&["windsurf", "--write"]).0, 0);
    let changed = fs::read_to_string(&path).unwrap().replace("dark", "light");
    fs::write(&path, &changed).unwrap();
    let (code, said, errors) = home.run(&["windsurf", "--undo", "--only", "bare"]);
    assert!(code == 0 && said.contains("no longer wraps bare"), "{code} {said} {errors}");
    let (code, said, errors) = home.run(&["windsurf", "--undo"]);
    assert!(code == 0 && said.contains("no longer wraps files"), "{code} {said} {errors}");
    let bare = "{ \"command\": \"/usr/bin/bare\" }";
    let expected = CONFIG.replace("dark", "light").replace(bare, "{ \"command\": \"/usr/bin/bare\", \"args\": [] }");
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let (code, _, errors) = home.run(&["windsurf", "--undo"]);
    assert!(code == 1 && errors.contains("nothing was changed"), "{code} {errors}");
}

/// The wrapped servers work on the store that the operator named, in every client's own place and format.
#[test]
fn clients_with_other_files_are_wrapped_on_the_store_that_was_named() {
    let toml = "[mcp_servers.files]\ncommand = \"npx\"\nargs = [\"-y\", \"files\"] # mine\n";
    let yaml = "mcpServers:\n  - name: files\n    command: npx # mine\n    args:\n      - -y\n      - files\n";
    let json =
        "{\n  // mine\n  \"mcp\": {\"files\": {\"type\": \"local\", \"command\": [\"npx\", \"-y\", \"files\"]}}\n}\n";
    for (client, file, text) in [
        ("codex", ".codex/config.toml", toml),
        ("continue", ".continue/config.yaml", yaml),
        ("opencode", ".config/opencode/opencode.jsonc", json),
    ] {
        let (home, path) = Home::with(file);
        fs::write(&path, text).unwrap();
        let (code, said, errors) = home.run(&[client, "--write", "--db", "/var/lib/haldir.db"]);
        assert_eq!(code, 0, "{client}: {said}{errors}");
        let wrapped = fs::read_to_string(&path).unwrap();
        let plain: String = wrapped.chars().filter(|c| !matches!(c, '\n' | ' ' | '-' | ',')).collect();
        assert!(
            plain.contains("\"wrap\"\"name\"\"files\"\"db\"\"/var/lib/haldir.db\"\"\"\"npx\""),
            "{client}: {wrapped}"
        );
        assert!(wrapped.contains("mine"), "{client}: {wrapped}");
        assert_eq!(home.run(&[client, "--undo"]).0, 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{client}");
    }
    let (home, _) = Home::with("elsewhere/.claude.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
    command.env_clear().env("HOME", home.0.path()).env("CLAUDE_CONFIG_DIR", home.0.path().join("elsewhere"));
    let shown = command.args(["wrap-config", "claude-code"]).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains("files"), "the folder that the variable names is used");
}

#[test]
fn a_file_that_is_no_list_of_servers_stays_as_it_is() {
    let (home, path) = Home::with("list.json");
    for text in ["{ \"mcpServers\": ", "[1,", ""] {
        fs::write(&path, text).unwrap();
        let (code, _, errors) = home.run(&[path.to_str().unwrap(), "--write"]);
        assert!(code != 0 && errors.contains("expected"), "{text}: {errors}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let (code, _, errors) = home.run(&["vscode"]);
    assert!(code == 2 && errors.contains("is not there"), "{errors}");
}
