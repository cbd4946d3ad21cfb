//! Where MCP clients keep the list of their servers.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The folder that a client's file is in.
enum Base {
    /// The user's home.
    Home,
    /// Where programs with windows keep their settings.
    Settings,
    /// `~/.config`, or what `XDG_CONFIG_HOME` names.
    Config,
    /// The folder that a variable of the client's own names, or else this one below the home.
    Variable(&'static str, &'static str),
}

/// Each client with its files; the first that exists is taken.
const CLIENTS: [(&str, Base, &[&str]); 21] = [
    ("amp", Base::Config, &["amp/settings.json"]),
    ("antigravity", Base::Home, &[".gemini/config/mcp_config.json"]),
    ("auggie", Base::Home, &[".augment/settings.json"]),
    ("claude", Base::Settings, &["Claude/claude_desktop_config.json"]),
    ("claude-code", Base::Variable("CLAUDE_CONFIG_DIR", ""), &[".claude.json"]),
    ("cline", Base::Home, &[".cline/data/settings/cline_mcp_settings.json"]),
    ("codex", Base::Variable("CODEX_HOME", ".codex"), &["config.toml"]),
    ("continue", Base::Home, &[".continue/config.yaml"]),
    ("copilot", Base::Home, &[".copilot/mcp-config.json"]),
    ("cursor", Base::Home, &[".cursor/mcp.json"]),
    ("gemini", Base::Home, &[".gemini/settings.json"]),
    ("goose", Base::Config, &["goose/config.yaml"]),
    ("grok", Base::Home, &[".grok/config.toml"]),
    ("kilo", Base::Config, &["kilo/kilo.jsonc", "kilo/kilo.json"]),
    ("kiro", Base::Home, &[".kiro/settings/mcp.json"]),
    ("lm-studio", Base::Home, &[".lmstudio/mcp.json"]),
    ("opencode", Base::Config, &["opencode/opencode.jsonc", "opencode/opencode.json"]),
    ("qwen", Base::Home, &[".qwen/settings.json"]),
    ("vscode", Base::Settings, &["Code/User/mcp.json"]),
    ("windsurf", Base::Home, &[".codeium/windsurf/mcp_config.json"]),
    ("zed", Base::Config, &["zed/settings.json"]),
];

/// The file that a client, or the operator, means.
pub fn find(client: &str) -> Result<PathBuf> {
    let home =
        etcetera::home_dir().map_err(|_| Error::invalid("client", "there is no home directory: name the file"))?;
    let paths = match CLIENTS.iter().find(|(name, ..)| *name == client) {
        Some((_, base, files)) => files.iter().map(|file| folder(base, &home).join(file)).collect(),
        None => vec![PathBuf::from(client)],
    };
    if let Some(path) = paths.iter().find(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let names: Vec<_> = CLIENTS.iter().map(|(name, ..)| *name).collect();
    let message = format!(
        "{} is not there; name a client ({}), or the path of the file that lists the client's servers",
        paths.first().map(|path| path.display().to_string()).unwrap_or_default(),
        names.join(", ")
    );
    Err(Error::invalid("client", message))
}

fn folder(base: &Base, home: &Path) -> PathBuf {
    let set = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    match base {
        Base::Home => home.to_owned(),
        Base::Variable(variable, otherwise) => set(variable).unwrap_or_else(|| home.join(otherwise)),
        Base::Config => set("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
        Base::Settings if cfg!(target_os = "macos") => home.join("Library").join("Application Support"),
        Base::Settings if cfg!(windows) => set("APPDATA").unwrap_or_else(|| home.join("AppData/Roaming")),
        Base::Settings => folder(&Base::Config, home),
    }
}
