//! Where MCP clients keep the list of their servers.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The file that a client, or the person at the terminal, means.
pub fn find(client: &str) -> Result<PathBuf> {
    let home =
        etcetera::home_dir().map_err(|_| Error::invalid("client", "there is no home directory: name the file"))?;
    let settings = settings_folder(&home);
    let path = match client {
        "claude" => settings.join("Claude").join("claude_desktop_config.json"),
        "claude-code" => home.join(".claude.json"),
        "cursor" => home.join(".cursor").join("mcp.json"),
        "vscode" => settings.join("Code").join("User").join("mcp.json"),
        "windsurf" => home.join(".codeium").join("windsurf").join("mcp_config.json"),
        path => PathBuf::from(path),
    };
    if path.is_file() {
        return Ok(path);
    }
    let message = format!(
        "{} is not there; name claude, claude-code, cursor, vscode or windsurf, or the path of the file that lists the \
         client's servers",
        path.display()
    );
    Err(Error::invalid("client", message))
}

/// Where programs with windows keep their settings.
fn settings_folder(home: &Path) -> PathBuf {
    if cfg!(target_os = "macos") {
        return home.join("Library").join("Application Support");
    }
    let variable = if cfg!(windows) { "APPDATA" } else { "XDG_CONFIG_HOME" };
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.unwrap_or_else(|| home.join(if cfg!(windows) { "AppData/Roaming" } else { ".config" }))
}
