//! How a client's file names the program of a server. Clients differ in the member's name, and in whether program and
//! arguments stand together.

use super::document::Node;

/// Where an entry names its program and arguments.
pub enum LaunchCommand<'a> {
    /// Apart: `"command": "npx", "args": ["-y", "x"]`.
    Apart {
        /// The program.
        program: &'a Node,
        /// Its arguments, if any are given.
        arguments: Option<&'a Node>,
        /// The object in which both stand.
        object: &'a Node,
    },
    /// Together: `"command": ["npx", "-y", "x"]` (`OpenCode`, Kilo).
    Together {
        /// The list.
        words: &'a Node,
    },
}

const NO_PROGRAM: &str = "it is no program: register its address with haldir, and use /mcp/NAME of haldir instead";

impl<'a> LaunchCommand<'a> {
    /// Reads an entry; the error says why it cannot be wrapped.
    pub fn of(entry: &'a Node) -> Result<Self, &'static str> {
        // Cline: {"transport": {"type": "stdio", "command", "args"}}
        let object = entry.get("transport").filter(|inner| !inner.members().is_empty()).unwrap_or(entry);
        // Goose has `cmd`.
        let command = object.get("command").or_else(|| object.get("cmd")).ok_or(NO_PROGRAM)?;
        if let Some(items) = command.items() {
            let is_text = !items.is_empty() && items.iter().all(|item| item.text().is_some());
            return if is_text {
                Ok(Self::Together { words: command })
            } else {
                Err("its command is no list of texts")
            };
        }
        // Zed once had {"command": {"path", "args"}}.
        let (program, object) = match command.get("path") {
            Some(path) => (path, command),
            None => (command, object),
        };
        if program.text().is_none() {
            return Err("its command is no text");
        }
        let arguments = object.get("args");
        let is_text = |node: &Node| node.items().is_some_and(|items| items.iter().all(|item| item.text().is_some()));
        match arguments {
            Some(arguments) if !is_text(arguments) => Err("its args are no list of texts"),
            _ => Ok(Self::Apart { program, arguments, object }),
        }
    }

    /// The program and its arguments.
    pub fn words(&self) -> Vec<&'a str> {
        match self {
            Self::Apart { program, arguments, .. } => {
                let arguments = arguments.and_then(Node::items).unwrap_or_default();
                program.text().into_iter().chain(arguments.iter().filter_map(Node::text)).collect()
            }
            Self::Together { words } => words.items().unwrap_or_default().iter().filter_map(Node::text).collect(),
        }
    }
}

/// The arguments of `haldir-mcp wrap` in an entry.
pub struct Wrapped<'a> {
    /// The name of the upstream.
    pub name: Option<&'a str>,
    /// The place of the wrapped program among the entry's words.
    pub program: usize,
}

/// Programs and options that start a package without installing it, as they stand in front of haldir's name.
const RUNNERS: [&str; 15] =
    ["-y", "--yes", "/c", "bunx", "cmd", "dlx", "npx", "npx.cmd", "pipx", "pnpm", "run", "tool", "uv", "uvx", "yarn"];
/// Words among which haldir's name is looked for: `cmd /c npx -y haldir-mcp` is the longest form.
const MAX_RUNNER_WORDS: usize = 6;

/// Whether a word names haldir's program or its package, of whatever version.
fn is_ours(word: &str) -> bool {
    let file = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let name = file.split_once("==").or_else(|| file.split_once('@')).map_or(file, |(name, _)| name);
    name.strip_suffix(".exe").unwrap_or(name) == "haldir-mcp"
}

/// How many words start haldir, if these do: the program by its path, or a runner with the package's name.
pub fn haldir(words: &[&str]) -> Option<usize> {
    let at = words.iter().take(MAX_RUNNER_WORDS).position(|word| is_ours(word))?;
    words[..at].iter().all(|word| RUNNERS.contains(word)).then_some(at + 1)
}

/// Reads the words of an entry that haldir has wrapped.
pub fn wrapped<'a>(words: &[&'a str]) -> Option<Wrapped<'a>> {
    let ours = haldir(words)?;
    let program = words.iter().position(|word| *word == "--")? + 1;
    let is_wrap = words.get(ours) == Some(&"wrap") && program < words.len();
    let name = words.iter().position(|word| *word == "--name").and_then(|at| words.get(at + 1)).copied();
    is_wrap.then_some(Wrapped { name, program })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haldir_is_known_by_its_path_and_behind_what_fetches_it() {
        for (line, words) in [
            ("/opt/haldir-mcp --db x", 1),
            ("C:\\h\\haldir-mcp.exe", 1),
            ("npx -y haldir-mcp wrap", 3),
            ("npx -y haldir-mcp@0.2.0", 3),
            ("cmd /c npx -y haldir-mcp", 5),
            ("uvx haldir-mcp==0.2.0", 2),
            ("pipx run haldir-mcp", 3),
            ("pnpm dlx haldir-mcp", 3),
        ] {
            assert_eq!(haldir(&line.split(' ').collect::<Vec<_>>()), Some(words), "{line}");
        }
        for line in ["npx -y other haldir-mcp", "haldir", "sh -c haldir-mcp", "notes --from haldir-mcp"] {
            assert_eq!(haldir(&line.split(' ').collect::<Vec<_>>()), None, "{line}");
        }
        let words = ["npx", "-y", "haldir-mcp", "wrap", "--name", "files", "--", "files", "x"];
        let wrapped = wrapped(&words).unwrap();
        assert_eq!((wrapped.name, wrapped.program), (Some("files"), 7));
    }
}
