//! Where MCP clients keep the list of their servers, and what an entry of each looks like.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// An operating system, as far as clients' folders differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Linux,
    Mac,
    Windows,
}

impl System {
    /// The one of this program.
    pub const fn own() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Mac
        } else {
            Self::Linux
        }
    }
}

/// The folder that a client's file is in.
enum Base {
    /// The user's home.
    Home,
    /// Where programs with windows keep their settings.
    Settings,
    /// `~/.config`, or what `XDG_CONFIG_HOME` names, on every system.
    Config,
    /// As [`Self::Config`], but where programs with windows have it on Windows.
    ConfigOrRoaming,
    /// The folder that a variable of the client's own names, or else this one below the home.
    Variable(&'static str, &'static str),
}

/// What the client wants in an entry besides program and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Plain,
    /// The transport's name.
    Stdio,
    /// GitHub Copilot: which of the tools are offered.
    Copilot,
    /// `OpenCode`, Kilo: program and arguments in one list.
    Together,
    /// Cline: an object for the transport.
    Cline,
    /// Goose: whether it is switched on, its name once more, and seconds.
    Goose,
    /// Continue: an item of a list, with its name in it.
    Named,
}

/// A client.
pub struct Client {
    /// What commands call it.
    pub name: &'static str,
    /// What it calls itself.
    pub title: &'static str,
    base: Base,
    /// The first that exists is taken, and the first of all is made.
    files: &'static [&'static str],
    /// On Windows, where the names differ.
    files_on_windows: Option<&'static [&'static str]>,
    /// The names that lead to the list of servers.
    pub list: &'static [&'static str],
    /// What its entries look like.
    pub shape: Shape,
    /// What stands at the beginning of a file that is made anew.
    pub preamble: &'static str,
    /// A file of an earlier version of the client, which it would no longer read once there is one of these.
    earlier: Option<&'static str>,
}

const fn client(
    (name, title): (&'static str, &'static str),
    base: Base,
    files: &'static [&'static str],
    list: &'static [&'static str],
    shape: Shape,
) -> Client {
    Client { name, title, base, files, files_on_windows: None, list, shape, preamble: "", earlier: None }
}

const MCP_SERVERS: &[&str] = &["mcpServers"];

/// All that are known; each from its own documentation or source.
pub const CLIENTS: [Client; 21] = [
    client(("amp", "Amp"), Base::Config, &["amp/settings.json"], &["amp.mcpServers"], Shape::Plain),
    client(("antigravity", "Antigravity"), Base::Home, &[".gemini/config/mcp_config.json"], MCP_SERVERS, Shape::Plain),
    client(("auggie", "Auggie"), Base::Home, &[".augment/settings.json"], MCP_SERVERS, Shape::Plain),
    client(
        ("claude", "Claude Desktop"),
        Base::Settings,
        &["Claude/claude_desktop_config.json"],
        MCP_SERVERS,
        Shape::Plain,
    ),
    client(
        ("claude-code", "Claude Code"),
        Base::Variable("CLAUDE_CONFIG_DIR", ""),
        &[".claude.json"],
        MCP_SERVERS,
        Shape::Stdio,
    ),
    client(
        ("cline", "Cline"),
        Base::Variable("CLINE_DIR", ".cline"),
        &["data/settings/cline_mcp_settings.json"],
        MCP_SERVERS,
        Shape::Cline,
    ),
    client(
        ("codex", "Codex"),
        Base::Variable("CODEX_HOME", ".codex"),
        &["config.toml"],
        &["mcp_servers"],
        Shape::Plain,
    ),
    Client {
        preamble: "name: Local Config\nversion: 1.0.0\nschema: v1\n",
        earlier: Some(".continue/config.json"),
        ..client(("continue", "Continue"), Base::Home, &[".continue/config.yaml"], MCP_SERVERS, Shape::Named)
    },
    client(
        ("copilot", "GitHub Copilot CLI"),
        Base::Variable("COPILOT_HOME", ".copilot"),
        &["mcp-config.json"],
        MCP_SERVERS,
        Shape::Copilot,
    ),
    client(("cursor", "Cursor"), Base::Home, &[".cursor/mcp.json"], MCP_SERVERS, Shape::Plain),
    client(("gemini", "Gemini CLI"), Base::Home, &[".gemini/settings.json"], MCP_SERVERS, Shape::Plain),
    Client {
        files_on_windows: Some(&["Block/goose/config/config.yaml"]),
        ..client(("goose", "goose"), Base::ConfigOrRoaming, &["goose/config.yaml"], &["extensions"], Shape::Goose)
    },
    client(("grok", "Grok"), Base::Home, &[".grok/config.toml"], &["mcp_servers"], Shape::Plain),
    client(("kilo", "Kilo Code"), Base::Config, &["kilo/kilo.jsonc", "kilo/kilo.json"], &["mcp"], Shape::Together),
    client(("kiro", "Kiro"), Base::Home, &[".kiro/settings/mcp.json"], MCP_SERVERS, Shape::Plain),
    client(("lm-studio", "LM Studio"), Base::Home, &[".lmstudio/mcp.json"], MCP_SERVERS, Shape::Plain),
    client(
        ("opencode", "OpenCode"),
        Base::Config,
        &["opencode/opencode.jsonc", "opencode/opencode.json"],
        &["mcp"],
        Shape::Together,
    ),
    client(("qwen", "Qwen Code"), Base::Home, &[".qwen/settings.json"], MCP_SERVERS, Shape::Plain),
    client(("vscode", "VS Code"), Base::Settings, &["Code/User/mcp.json"], &["servers"], Shape::Stdio),
    client(("windsurf", "Windsurf"), Base::Home, &[".codeium/windsurf/mcp_config.json"], MCP_SERVERS, Shape::Plain),
    Client {
        files_on_windows: Some(&["Zed/settings.json"]),
        ..client(("zed", "Zed"), Base::ConfigOrRoaming, &["zed/settings.json"], &["context_servers"], Shape::Plain)
    },
];

/// Other names of clients.
const ALIASES: [(&str, &str); 4] =
    [("claude-desktop", "claude"), ("lmstudio", "lm-studio"), ("gemini-cli", "gemini"), ("qwen-code", "qwen")];

impl Client {
    /// The client of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
        CLIENTS.iter().find(|client| client.name == name)
    }

    /// Its file: the first that is there, or else the one that it would make.
    pub fn file(&self) -> Result<PathBuf> {
        let mut paths = self.paths(System::own(), &home()?, &|name| std::env::var_os(name).map(PathBuf::from));
        let there = paths.iter().position(|path| path.is_file()).unwrap_or_default();
        Ok(paths.swap_remove(there))
    }

    /// A file that the client would no longer read once there is a newer one beside it.
    pub fn earlier_file(&self) -> Result<Option<PathBuf>> {
        let Some(earlier) = self.earlier else { return Ok(None) };
        Ok(Some(home()?.join(earlier)).filter(|path| path.is_file()))
    }

    fn paths(&self, system: System, home: &Path, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
        let folder = self.base.folder(system, home, variable);
        let files = self.files_on_windows.filter(|_| system == System::Windows).unwrap_or(self.files);
        files.iter().map(|file| folder.join(file)).collect()
    }
}

impl Base {
    fn folder(&self, system: System, home: &Path, variable: &dyn Fn(&str) -> Option<PathBuf>) -> PathBuf {
        let set = |name: &str| variable(name).filter(|path| path.is_absolute());
        let config = || set("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let roaming = || set("APPDATA").unwrap_or_else(|| home.join("AppData").join("Roaming"));
        match (self, system) {
            (Self::Home, _) => home.to_owned(),
            (Self::Variable(name, otherwise), _) => set(name).unwrap_or_else(|| home.join(otherwise)),
            (Self::Settings, System::Mac) => home.join("Library").join("Application Support"),
            (Self::Settings | Self::ConfigOrRoaming, System::Windows) => roaming(),
            (Self::Config | Self::ConfigOrRoaming | Self::Settings, _) => config(),
        }
    }
}

fn home() -> Result<PathBuf> {
    etcetera::home_dir().map_err(|_| Error::invalid("client", "there is no home directory: name the file"))
}

/// The names of all clients.
pub fn names() -> String {
    CLIENTS.iter().map(|client| client.name).collect::<Vec<_>>().join(", ")
}

/// The file that a client, or the operator, means.
pub fn find(client: &str) -> Result<PathBuf> {
    let path = Client::named(client).map_or_else(|| Ok(PathBuf::from(client)), Client::file)?;
    if path.is_file() {
        return Ok(path);
    }
    let message = format!(
        "{} is not there; name a client ({}), or the path of the file that lists the client's servers",
        path.display(),
        names()
    );
    Err(Error::invalid("client", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str, system: System, variables: &[(&str, &str)]) -> String {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value));
        let paths = Client::named(name).unwrap().paths(system, Path::new("/home"), &variable);
        paths[0].to_str().unwrap().replace('\\', "/")
    }

    #[test]
    fn each_system_has_its_own_folders() {
        for (name, linux, mac, windows) in [
            (
                "claude",
                "/home/.config/Claude/claude_desktop_config.json",
                "/home/Library/Application Support/Claude/claude_desktop_config.json",
                "/home/AppData/Roaming/Claude/claude_desktop_config.json",
            ),
            (
                "vscode",
                "/home/.config/Code/User/mcp.json",
                "/home/Library/Application Support/Code/User/mcp.json",
                "/home/AppData/Roaming/Code/User/mcp.json",
            ),
            (
                "zed",
                "/home/.config/zed/settings.json",
                "/home/.config/zed/settings.json",
                "/home/AppData/Roaming/Zed/settings.json",
            ),
            (
                "goose",
                "/home/.config/goose/config.yaml",
                "/home/.config/goose/config.yaml",
                "/home/AppData/Roaming/Block/goose/config/config.yaml",
            ),
            (
                "opencode",
                "/home/.config/opencode/opencode.jsonc",
                "/home/.config/opencode/opencode.jsonc",
                "/home/.config/opencode/opencode.jsonc",
            ),
            ("lmstudio", "/home/.lmstudio/mcp.json", "/home/.lmstudio/mcp.json", "/home/.lmstudio/mcp.json"),
        ] {
            assert_eq!(path(name, System::Linux, &[]), linux);
            assert_eq!(path(name, System::Mac, &[]), mac);
            assert_eq!(path(name, System::Windows, &[]), windows);
        }
    }

    #[cfg(unix)]
    #[test]
    fn variables_move_folders_unless_they_are_relative() {
        assert_eq!(path("codex", System::Linux, &[("CODEX_HOME", "/c")]), "/c/config.toml");
        assert_eq!(path("codex", System::Linux, &[("CODEX_HOME", "c")]), "/home/.codex/config.toml");
        assert_eq!(path("claude", System::Linux, &[("XDG_CONFIG_HOME", "/x")]), "/x/Claude/claude_desktop_config.json");
        assert_eq!(path("zed", System::Windows, &[("APPDATA", "/r")]), "/r/Zed/settings.json");
        assert!(CLIENTS.iter().map(|client| client.name).is_sorted());
    }
}
