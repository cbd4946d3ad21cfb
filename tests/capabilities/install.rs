//! `haldir install`: haldir is added to a client's file, and taken out of it, and all else in the file stays as it is.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{Pty, program::Lines};

const SERVER: &str = env!("CARGO_BIN_EXE_haldir-mcp");

/// What is in a client's file before, and a part of what is in it with haldir.
const FILES: [(&str, &str, &str, &str); 12] = [
    (
        "claude",
        ".config/Claude/claude_desktop_config.json",
        "{\n  \"mcpServers\": {\n    \"files\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"files\"]\n    }\n  },\n  \"scale\": 1.10\n}\n",
        "    },\n    \"haldir\": {\n      \"command\": \"PROGRAM\",\n      \"args\": []\n    }\n  },\n",
    ),
    (
        "claude-code",
        ".claude.json",
        "{\n  \"numStartups\": 4,\n  \"projects\": {\"/p\": {\"mcpServers\": {}}}\n}",
        "\n  \"mcpServers\": {\n    \"haldir\": {\n      \"type\": \"stdio\",\n      \"command\": \"PROGRAM\",",
    ),
    (
        "vscode",
        ".config/Code/User/mcp.json",
        "// mine\n{\n\t\"servers\": {\n\t\t\"a\": {\"command\": \"x\",}, // the first\n\t},\n\t\"inputs\": [],\n}\n",
        ", // the first\n\t\t\"haldir\": {\n\t\t\t\"type\": \"stdio\",\n\t\t\t\"command\": \"PROGRAM\",\n\t\t\t\"args\": []\n\t\t},\n\t},\n",
    ),
    (
        "zed",
        ".config/zed/settings.json",
        "// Zed settings\n{\n  \"theme\": \"One Dark\", // at night\n  \"vim_mode\": true\n}\n",
        "\"vim_mode\": true,\n  \"context_servers\": {\n    \"haldir\": {\n      \"command\": \"PROGRAM\",\n      \"args\": []\n    }\n  }\n}\n",
    ),
    (
        "codex",
        ".codex/config.toml",
        "model = \"m\" # mine\n\n[mcp_servers.a]\ncommand = 'x'\n",
        "command = 'x'\n\n[mcp_servers.haldir]\ncommand = \"PROGRAM\"\nargs = []\n",
    ),
    (
        "gemini",
        ".gemini/settings.json",
        "{\"theme\": \"x\"}",
        "\"mcpServers\": { \"haldir\": { \"command\": \"PROGRAM\"",
    ),
    (
        "goose",
        ".config/goose/config.yaml",
        "GOOSE_MODEL: m # mine\nextensions:\n  developer:\n    enabled: true\n    type: builtin\n",
        "    type: builtin\n  haldir:\n    enabled: true\n    type: \"stdio\"\n    name: \"haldir\"\n",
    ),
    (
        "continue",
        ".continue/config.yaml",
        "name: mine\nversion: 1.0.0\nschema: v1\nmcpServers:\n  - name: a\n    command: x # first\n",
        "command: x # first\n  - name: \"haldir\"\n    command: \"PROGRAM\"\n",
    ),
    (
        "opencode",
        ".config/opencode/opencode.json",
        "{\n  // mine\n  \"mcp\": {\n    \"a\": {\"type\": \"local\", \"command\": [\"x\"]}\n  }\n}\n",
        "    \"haldir\": {\n      \"type\": \"local\",\n      \"command\": [\"PROGRAM\"],\n      \"enabled\": true\n    }\n",
    ),
    (
        "cline",
        ".cline/data/settings/cline_mcp_settings.json",
        "{\n  \"mcpServers\": {\n    \"a\": {}\n  }\n}",
        "\"haldir\": {\n      \"transport\": {\n        \"type\": \"stdio\",\n        \"command\": \"PROGRAM\",",
    ),
    (
        "copilot",
        ".copilot/mcp-config.json",
        "{\n  \"mcpServers\": {\n    \"a\": {}\n  }\n}",
        "\"type\": \"local\",\n      \"command\": \"PROGRAM\",\n      \"args\": [],\n      \"tools\": [\"*\"]",
    ),
    // What some clients make: an empty list is not taken out with the entry.
    ("cursor", ".cursor/mcp.json", "{\"mcpServers\": {}}\n", "\"haldir\": {\n    \"command\": \"PROGRAM\""),
];

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(name: &str, text: &str) -> (Self, PathBuf) {
        let home = Self::new();
        let path = home.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        (home, path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("HOME", self.0.path()).arg("install").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        finished(self.command(env!("CARGO_BIN_EXE_haldir"), arguments))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let (code, output, errors) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {output}{errors}");
        output
    }
}

fn finished(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_beside(path: &Path) -> usize {
    fs::read_dir(path.parent().unwrap()).unwrap().count()
}

#[test]
fn each_client_gets_its_entry_and_the_very_file_is_given_back() {
    for (client, file, before, part) in FILES {
        let (home, path) = Home::with(file, before);
        let shown = home.done(&[client, "--yes"]);
        assert!(shown.contains('+') && shown.contains(&format!("wrote {}", path.display())), "{client}: {shown}");
        let with = read(&path);
        assert!(with.contains(&part.replace("PROGRAM", SERVER)), "{client}: {with}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640, "{client}");
        let again = home.done(&[client, "--yes"]);
        assert!(again.contains("already") && read(&path) == with, "{client}: {again}");
        home.done(&[client, "--remove", "--yes"]);
        assert_eq!(read(&path), before, "{client}");
        assert_eq!(files_beside(&path), 1, "{client}: nothing is left beside the file");
        assert!(home.done(&[client, "--remove", "--yes"]).contains("nothing was changed"), "{client}");
    }
}

#[test]
fn a_file_is_made_where_there_is_none_and_taken_away_again() {
    for client in ["cursor", "codex", "continue", "goose", "opencode"] {
        let home = Home::new();
        home.done(&[client, "--yes"]);
        let list: Value = serde_json::from_str(&home.done(&["--json"])).unwrap();
        let row = list["clients"].as_array().unwrap().iter().find(|row| row["client"] == client).unwrap().clone();
        assert!(row["installed"] == true && row["exists"] == true, "{row}");
        let path = PathBuf::from(row["file"].as_str().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{client}");
        home.done(&[client, "--remove", "--yes"]);
        assert!(!path.exists(), "{client}");
    }
    // It would hide the older file from the client.
    let (home, _) = Home::with(".continue/config.json", "{}");
    let (code, _, errors) = home.run(&["continue", "--yes"]);
    assert!(code == 1 && errors.contains("config.json would no longer be read"), "{code} {errors}");
}

#[test]
fn nothing_is_written_unless_it_is_confirmed() {
    let (client, file, before, _) = FILES[3];
    let (home, path) = Home::with(file, before);
    let shown = home.done(&[client, "--dry-run"]);
    assert!(shown.contains("+    \"haldir\": {") && shown.contains("nothing was written"), "{shown}");
    let (code, _, errors) = home.run(&[client]);
    assert!(code == 2 && errors.contains("--yes") && errors.contains("--dry-run"), "{code} {errors}");
    for (answer, code) in [("no\r", 1), ("yes\r", 0)] {
        assert_eq!(read(&path), before);
        let mut terminal = Pty::start(home.command(env!("CARGO_BIN_EXE_haldir"), &[client]), 200);
        terminal.wait_for_screen("(yes or no)");
        terminal.press(answer);
        assert_eq!(terminal.child().wait().unwrap().code(), Some(code), "{answer}");
    }
    assert!(read(&path).contains("context_servers"));
}

#[test]
fn what_the_client_changed_since_stays() {
    let (client, file, before, _) = FILES[11];
    let (home, path) = Home::with(file, before);
    home.done(&[client, "--yes"]);
    fs::write(&path, read(&path).replace("{\"mcpServers\"", "{\"theme\": 1, \"mcpServers\"")).unwrap();
    home.done(&[client, "--remove", "--yes"]);
    assert_eq!(read(&path), "{\"theme\": 1}\n");
}

#[test]
fn haldir_goes_in_front_of_the_other_servers_and_away_again() {
    let text = "{\n  \"mcpServers\": {\n    \"files\": {\"command\": \"npx\", \"args\": [\"-y\", \"files\"]}, // mine\n    \"bare\": {\"command\": \"/usr/bin/bare\"},\n    \"far\": {\"url\": \"https://example.com/mcp\"}\n  }\n}\n";
    let (home, path) = Home::with(".cursor/mcp.json", text);
    let shown = home.done(&["cursor", "--yes", "--wrap"]);
    assert!(shown.contains("far: left as it is"), "{shown}");
    let with: String = read(&path).replace(" // mine", "");
    let with: Value = serde_json::from_str(&with).unwrap();
    let servers = &with["mcpServers"];
    assert_eq!(servers["files"]["args"], json!(["wrap", "--name", "files", "--", "npx", "-y", "files"]));
    assert_eq!(servers["bare"]["args"], json!(["wrap", "--name", "bare", "--", "/usr/bin/bare"]));
    assert_eq!(servers["haldir"], json!({"command": SERVER, "args": []}));
    let list: Value = serde_json::from_str(&home.done(&["--json"])).unwrap();
    let row = list["clients"].as_array().unwrap().iter().find(|row| row["client"] == "cursor").unwrap();
    assert_eq!(row["wrapped"], json!(["files", "bare"]));
    assert!(home.done(&["cursor", "--yes", "--wrap"]).contains("already"));
    let (code, _, errors) = home.run(&["cursor", "--yes", "--remove"]);
    assert!(code == 0 && errors.contains("still stands in front of files, bare"), "{code} {errors}");
    assert!(read(&path).contains("\"wrap\"") && !read(&path).contains("\"haldir\": {"));
    home.done(&["cursor", "--yes", "--wrap"]);
    home.done(&["cursor", "--yes", "--remove", "--wrap"]);
    let back: Value = serde_json::from_str(&read(&path).replace(" // mine", "")).unwrap();
    assert_eq!(back["mcpServers"]["files"], json!({"command": "npx", "args": ["-y", "files"]}));
    // Unless something else happens in between, it is the very file.
    let (home, path) = Home::with(".cursor/mcp.json", text);
    home.done(&["cursor", "--yes", "--wrap"]);
    home.done(&["cursor", "--yes", "--remove", "--wrap"]);
    assert_eq!((read(&path).as_str(), files_beside(&path)), (text, 1));
}

#[test]
fn a_server_of_that_name_that_is_not_haldir_stays() {
    let text = "{\"mcpServers\": {\"haldir\": {\"command\": \"other\", \"args\": [\"x\"]}}}";
    let (home, path) = Home::with(".cursor/mcp.json", text);
    for arguments in [["cursor", "--yes"].as_slice(), &["cursor", "--yes", "--remove"]] {
        let (code, _, errors) = home.run(arguments);
        assert!(code == 1 && errors.contains("other x") && errors.contains("--name"), "{code} {errors}");
    }
    home.done(&["cursor", "--yes", "--name", "governance"]);
    assert!(read(&path).contains("\"governance\": {"));
    home.done(&["cursor", "--yes", "--remove", "--name", "governance"]);
    assert_eq!(read(&path), text);
    let (code, _, errors) = home.run(&["cursor", "--yes", "--name", "a.b"]);
    assert!(code == 2 && errors.contains("letters"), "{code} {errors}");
    // Another haldir is named with the way out.
    home.done(&["windsurf", "--yes", "--program", "/opt/haldir-mcp"]);
    let (code, _, errors) = home.run(&["windsurf", "--yes"]);
    assert!(code == 1 && errors.contains("haldir install windsurf --remove"), "{code} {errors}");
}

/// Links to the programs below a folder, on the file system that the programs are on.
fn programs(folder: &str) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir_in(Path::new(SERVER).parent().unwrap()).unwrap();
    let bin = place.path().join(folder);
    fs::create_dir_all(&bin).unwrap();
    for program in [SERVER, env!("CARGO_BIN_EXE_haldir")] {
        fs::hard_link(program, bin.join(Path::new(program).file_name().unwrap())).unwrap();
    }
    (place, bin)
}

/// The command of the entry that a program at such a place writes.
fn command_of(folder: &str, path: Option<&str>) -> (Value, PathBuf) {
    let (place, bin) = programs(folder);
    let home = Home::new();
    let mut command = home.command(bin.join("haldir"), &["cursor", "--yes"]);
    if let Some(links) = path {
        let links = place.path().join(links);
        fs::create_dir_all(&links).unwrap();
        symlink(bin.join("haldir-mcp"), links.join("haldir-mcp")).unwrap();
        command.env("PATH", &links);
    }
    let (code, output, errors) = finished(command);
    assert_eq!(code, 0, "{output}{errors}");
    let config: Value = serde_json::from_str(&read(&home.path(".cursor/mcp.json"))).unwrap();
    // Under this name it is haldir, whatever starts it.
    assert!(home.done(&["cursor", "--remove", "--yes"]).contains("removed"));
    (config["mcpServers"]["haldir"].clone(), place.path().to_owned())
}

#[test]
fn what_is_written_is_there_after_caches_are_cleared() {
    for (folder, command, arguments) in [
        (".npm/_npx/0a1b/node_modules/@haldir/linux-x64/bin", "npx", json!(["-y", "haldir-mcp"])),
        (".cache/uv/archive-v0/Xy/bin", "uvx", json!(["haldir-mcp"])),
        (".cache/pipx/0a1b/bin", "pipx", json!(["run", "haldir-mcp"])),
    ] {
        assert_eq!(command_of(folder, None).0, json!({"command": command, "args": arguments}), "{folder}");
    }
    // A folder of a version is gone with the next one; the link to it stays.
    let (entry, place) = command_of("Cellar/haldir/0.1.0/bin", Some("bin"));
    assert_eq!(entry["command"], place.join("bin/haldir-mcp").to_str().unwrap());
    let (entry, place) = command_of("share/uv/tools/haldir-mcp/bin", None);
    assert_eq!(entry["command"], place.join("share/uv/tools/haldir-mcp/bin/haldir-mcp").to_str().unwrap());
}

#[test]
fn the_entry_starts_haldir_on_the_store_that_was_named() {
    let home = Home::new();
    let store = home.path("other.db");
    home.done(&["windsurf", "--yes", "--db", store.to_str().unwrap()]);
    let config: Value = serde_json::from_str(&read(&home.path(".codeium/windsurf/mcp_config.json"))).unwrap();
    let entry = &config["mcpServers"]["haldir"];
    let mut command = Command::new(entry["command"].as_str().unwrap());
    let arguments = entry["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    command.env_clear().env("HOME", home.0.path()).args(arguments);
    let mut client = Lines::begun(command);
    let listed: Value = serde_json::from_str(client.ask("tools/list", &json!({})).last().unwrap()).unwrap();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 10, "{listed}");
    assert!(store.exists());
}

#[test]
fn the_list_says_where_haldir_is_and_which_files_are_broken() {
    let (home, _) = Home::with(".cursor/mcp.json", "{\"mcpServers\": ");
    home.done(&["zed", "--yes"]);
    let shown = home.done(&[]);
    let line = |client: &str| shown.lines().find(|line| line.starts_with(client)).unwrap().to_owned();
    assert!(line("cursor").contains("cannot be read") && line("cursor").ends_with(".cursor/mcp.json"), "{shown}");
    assert!(line("zed").contains("yes") && line("vscode").contains("no file"), "{shown}");
    assert_eq!(shown.lines().count(), 23, "{shown}");
    let (code, _, errors) = home.run(&["cursor", "--yes"]);
    assert!(code == 2 && errors.contains("expected"), "{code} {errors}");
    let (code, _, errors) = home.run(&["emacs"]);
    assert!(code == 2 && errors.contains("claude-code, cline"), "{code} {errors}");
}

#[test]
fn a_link_stays_a_link() {
    let (home, path) = Home::with("dotfiles/mcp.json", "{\n  \"mcpServers\": {}\n}\n");
    fs::create_dir_all(home.path(".cursor")).unwrap();
    symlink(&path, home.path(".cursor/mcp.json")).unwrap();
    home.done(&["cursor", "--yes"]);
    assert!(fs::symlink_metadata(home.path(".cursor/mcp.json")).unwrap().is_symlink());
    assert!(read(&path).contains("haldir"));
    // One that leads nowhere is no file that is not there.
    symlink("/nowhere/mcp.json", home.path("mcp_config.json")).unwrap();
    fs::create_dir_all(home.path(".codeium/windsurf")).unwrap();
    symlink("/nowhere/mcp.json", home.path(".codeium/windsurf/mcp_config.json")).unwrap();
    let (code, _, errors) = home.run(&["windsurf", "--yes"]);
    assert!(code == 1 && errors.contains("cannot be read"), "{code} {errors}");
}
