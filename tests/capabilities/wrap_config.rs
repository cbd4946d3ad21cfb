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

#[test]
fn undo_never_takes_away_what_somebody_has_changed_since() {
    let (home, path) = Home::with(".codeium/windsurf/mcp_config.json");
    assert_eq!(home.run(&["windsurf", "--undo"]).0, 1, "nothing was written yet");
    assert_eq!(home.run(&["windsurf", "--write"]).0, 0);
    let changed = fs::read_to_string(&path).unwrap().replace("dark", "light");
    fs::write(&path, &changed).unwrap();
    let (code, _, errors) = home.run(&["windsurf", "--undo"]);
    assert!(code == 1 && errors.contains("nothing was changed"), "{code} {errors}");
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
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
