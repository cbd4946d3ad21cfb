//! How a client's file names haldir, so that the client still starts it next year.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The package's name on npm and on `PyPI`, and the program's.
const NAME: &str = "haldir-mcp";

/// The words that start this haldir. A program in a cache of npx, uvx or the like is gone once that is cleared, so the
/// command that fetches it is written instead. A link in `PATH` is preferred to the file that it leads to, which has a version in
/// its path under Homebrew and Nix. Otherwise it is the full path of the server beside this program, since clients with windows
/// often have a `PATH` of their own.
pub fn words() -> Vec<String> {
    let file = format!("{NAME}{}", env::consts::EXE_SUFFIX);
    let beside = env::current_exe().ok().map(|own| own.with_file_name(&file)).filter(|path| path.exists());
    let Some(beside) = beside else { return vec![file] };
    if let Some(words) = fetching(&beside, cfg!(windows)) {
        return words.iter().map(|word| (*word).to_owned()).collect();
    }
    let path = in_path(&beside, &file).unwrap_or(beside);
    vec![path.to_str().map_or(file, str::to_owned)]
}

/// The link in `PATH` that leads to this file.
fn in_path(program: &Path, file: &str) -> Option<PathBuf> {
    let own = program.canonicalize().ok()?;
    let variable = env::var_os("PATH")?;
    env::split_paths(&variable)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(file))
        .find(|path| path.canonicalize().is_ok_and(|path| path == own))
}

/// The command that fetches the package anew, if the program lies where one of these unpacks what it runs once.
fn fetching(program: &Path, windows: bool) -> Option<&'static [&'static str]> {
    let names: Vec<_> = program.iter().filter_map(|name| name.to_str()).collect();
    let has = |name: &str| names.contains(&name);
    let begins = |start: &str| names.iter().any(|name| name.starts_with(start));
    // On Windows these are scripts, which a client can start through the command interpreter only.
    if has("_npx") {
        Some(if windows { &["cmd", "/c", "npx", "-y", NAME] } else { &["npx", "-y", NAME] })
    } else if begins("bunx-") {
        Some(&["bunx", NAME])
    } else if has("pnpm") && has("dlx") {
        Some(if windows { &["cmd", "/c", "pnpm", "dlx", NAME] } else { &["pnpm", "dlx", NAME] })
    } else if begins("archive-v") || begins("environments-v") {
        Some(&["uvx", NAME])
    } else if has("pipx") && !has("venvs") && (has(".cache") || has("Caches") || has("Cache")) {
        Some(&["pipx", "run", NAME])
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_known_and_what_is_installed_is_no_cache() {
        for (path, words) in [
            ("/home/a/.npm/_npx/0a1b/node_modules/@haldir/linux-x64/bin/haldir-mcp", "npx -y haldir-mcp"),
            ("/home/a/.cache/uv/archive-v0/xyz/bin/haldir-mcp", "uvx haldir-mcp"),
            ("/var/cache/builds/archive-v0/xyz/bin/haldir-mcp", "uvx haldir-mcp"),
            ("/home/a/.cache/uv/environments-v2/xyz/bin/haldir-mcp", "uvx haldir-mcp"),
            ("/home/a/.cache/pipx/0a1b/bin/haldir-mcp", "pipx run haldir-mcp"),
            ("/home/a/.local/share/pipx/.cache/0a1b/bin/haldir-mcp", "pipx run haldir-mcp"),
            ("/tmp/bunx-1000-haldir-mcp@latest/node_modules/haldir-mcp/bin/haldir-mcp", "bunx haldir-mcp"),
            ("/home/a/.cache/pnpm/dlx/0a1b/node_modules/haldir-mcp/bin/haldir-mcp", "pnpm dlx haldir-mcp"),
        ] {
            assert_eq!(fetching(Path::new(path), false).map(|words| words.join(" ")).as_deref(), Some(words), "{path}");
        }
        for path in [
            "/home/a/.cargo/bin/haldir-mcp",
            "/home/uv/bin/haldir-mcp",
            "/home/a/.local/share/uv/tools/haldir-mcp/bin/haldir-mcp",
            "/home/a/.local/share/pipx/venvs/haldir-mcp/bin/haldir-mcp",
            "/usr/lib/node_modules/haldir-mcp/node_modules/@haldir/linux-x64/bin/haldir-mcp",
        ] {
            assert_eq!(fetching(Path::new(path), false), None, "{path}");
        }
        let words = fetching(Path::new("/a/_npx/b/haldir-mcp"), true).unwrap();
        assert_eq!(words, ["cmd", "/c", "npx", "-y", "haldir-mcp"]);
    }
}
