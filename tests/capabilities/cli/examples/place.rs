//! Where examples run: a folder that is copied for each of them, a server elsewhere, an upstream and a witness.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::super::{Outcome, Terminal, finished, set_mode};
use crate::support::{
    House, Server,
    program::upstream_program,
    upstream::{Upstream, tool},
};

/// The folder, with a store that has what examples name.
pub struct Place {
    pub terminal: Terminal,
    /// The key of the server elsewhere.
    pub key: String,
}

/// What stands in examples, and what is meant by it here.
pub struct Meanings(Vec<(&'static str, String)>);

/// What goes on for as long as examples run.
pub struct Around {
    _house: House,
    _server: Server,
    _witness: Running,
}

/// A program that is ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What ids and keys in examples begin with. They are replaced up to the end of the word.
const PREFIXES: [&str; 11] =
    ["ses_", "apr_", "rule_", "pol_", "auth_", "sched_", "ten_", "hld_", "aud_", "9f86d081", "haldir/local/"];

/// Folders that examples write to.
const FOLDERS: [&str; 12] = [
    "backups",
    "bin",
    "elsewhere",
    "home/.config/Claude",
    "home/.config/fish/completions",
    "home/.cursor",
    "home/.local/share/bash-completion/completions",
    "home/.local/share/man/man1",
    "home/notes",
    "mnt/archive",
    "srv/haldir",
    "var/lib/haldir",
];

/// All of it.
pub fn prepared() -> (Place, Meanings, Around) {
    let upstream = Upstream::new([tool("create_issue"), tool("delete_repo")]);
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let (terminal, _) = Terminal::with_store();
    let place = Place { terminal, key: operator.key().to_owned() };
    place.files();
    let here = |port: u16| format!("http://127.0.0.1:{port}");
    let (elsewhere, upstream) = (here(server.address.port()), here(upstream.address.port()) + "/mcp");
    let mut meanings = place.fill(&elsewhere, &upstream);
    let log_key = text(&place.json("haldir call list-log-keys")["keys"][0]["verifier_key"]);
    let (witness, url, witness_key) = place.witness(&log_key);
    place.done("haldir audit pin --file elsewhere/haldir.pin");
    place.done("haldir backup backups/haldir-2026-11-29");
    fs::copy(place.terminal.key_file(), place.folder().join("var/lib/haldir/haldir.db.key")).unwrap();
    meanings.extend([
        ("https://haldir.example.com", elsewhere.clone()),
        ("https://staging.example.com", elsewhere),
        ("https://mcp.example.com/mcp", upstream),
        ("https://witness.example.org", url),
        ("'witness.example.org+1a2b3c4d+BJx…'", format!("'{witness_key}'")),
        ("haldir/local/", log_key),
    ]);
    // Folders of the whole machine are here, and ports are those that are free.
    let replaced = [
        (" /backups", " ./backups"),
        (" /elsewhere", " ./elsewhere"),
        (" /mnt", " ./mnt"),
        (" /srv", " ./srv"),
        (" /var", " ./var"),
        ("127.0.0.1:8000", "127.0.0.1:0"),
        ("127.0.0.1:8765", "127.0.0.1:0"),
        ("0.0.0.0:8000", "127.0.0.1:0"),
        ("--port 8080", "--port 0"),
    ];
    meanings.extend(replaced.map(|(written, meant)| (written, meant.to_owned())));
    (place, Meanings(meanings), Around { _house: house, _server: server, _witness: witness })
}

impl Meanings {
    /// An example as it is run here.
    pub fn of(&self, example: &str) -> String {
        let mut line = example.to_owned();
        for (written, meant) in &self.0 {
            if !PREFIXES.contains(written) {
                line = line.replace(written, meant);
                continue;
            }
            let mut rest = std::mem::take(&mut line);
            while let Some(at) = rest.find(written) {
                let is_of_word = |c: char| c.is_ascii_alphanumeric() || "_-/+…".contains(c);
                let length = rest[at..].find(|c| !is_of_word(c)).unwrap_or(rest.len() - at);
                line += &rest[..at];
                line += meant;
                rest = rest.split_off(at + length);
            }
            line += &rest;
        }
        line
    }
}

impl Place {
    fn folder(&self) -> &Path {
        self.terminal.folder.path()
    }

    /// Files that examples read, and programs that they start and a machine need not have.
    fn files(&self) {
        let folder = self.folder();
        for below in FOLDERS {
            fs::create_dir_all(folder.join(below)).unwrap();
        }
        let clients = json!({"mcpServers": {"github": {"command": "npx", "args": ["-y", "server"]}}}).to_string();
        fs::write(folder.join("home/.config/Claude/claude_desktop_config.json"), &clients).unwrap();
        fs::write(folder.join("home/.cursor/mcp.json"), &clients).unwrap();
        fs::write(folder.join("staging.key"), &self.key).unwrap();
        fs::write(folder.join("token.txt"), "ghp_0123456789abcdef").unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        std::os::unix::fs::symlink(examples, folder.join("examples")).unwrap();
        let server = format!("#!/bin/sh\nexec {} --stdio\n", upstream_program().display());
        // Does what such a client does first: it starts the server that it is given.
        let client = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\" </dev/null\n";
        let mut programs = vec![
            ("bin/npx", server.as_str()),
            ("bin/claude", client),
            ("bin/pass", "#!/bin/sh\necho sk_live_4242\n"),
            ("bin/xdg-open", "#!/bin/sh\n"),
            ("deploy.sh", "#!/bin/sh\n"),
            ("bin/editor", "#!/bin/sh\nsed -i 's/{}/{\"title\": \"changed\"}/' \"$1\"\n"),
        ];
        for (name, stand_in) in [("jq", "bin/jq"), ("man", "bin/man")] {
            let looked_up = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
            if !looked_up.status.success() {
                programs.push((stand_in, "#!/bin/sh\nexec cat\n"));
            }
        }
        for (name, script) in programs {
            fs::write(folder.join(name), script).unwrap();
            set_mode(&folder.join(name), 0o755);
        }
    }

    /// Fills the store; answers what ids in examples mean.
    fn fill(&self, elsewhere: &str, upstream: &str) -> Vec<(&'static str, String)> {
        let agent = self.json("haldir --json keys create --name ci --role agent");
        let session = "haldir call create-session --agent-id research-bot --scopes read,spend:100,execute:github";
        let session = text(&self.json(session)["session_id"]);
        self.json(&format!("haldir call log-action --session-id {session} --tool search --action read --cost-usd 0.5"));
        let entries = self.json("haldir call get-audit-trail");
        let payment = self.json(&format!("haldir call authorize-payment --session-id {session} --amount 27.50"));
        let call =
            format!("haldir call proxy-call --tool github.create_issue --session-id {session} --arguments '{{}}'");
        for line in [
            "printf sk_live_4242 | haldir secrets set stripe_key",
            "printf ghp_0123456789 | haldir secrets set github",
            &format!("haldir upstreams add github {upstream} --allow-private 127.0.0.1"),
            &call,
            "haldir webhooks add https://hooks.example.com/haldir",
            &format!(
                "haldir --url {elsewhere} compliance evidence --since 2026-01-01 --until 2026-04-01 --out q1.json"
            ),
            "haldir audit export --bundle log.bundle",
            "haldir wrap-config cursor --write",
            &format!("haldir login {elsewhere} < staging.key"),
            &format!("haldir login {elsewhere} --profile staging < staging.key"),
            &format!("curl -s {elsewhere}/.well-known/jwks.json > keys.json"),
        ] {
            self.done(line);
        }
        let rule = self.json("haldir --json approvals rules add tool_blocked --tool github.create_issue");
        // It needs an approval now.
        self.done(&call);
        let asked = self.json("haldir approvals list --json");
        let policy = self.json("haldir --json policy add rate_limit --max-per-minute 30");
        let schedule = "haldir --json compliance schedules create --name q --cadence daily --delivery webhook:1";
        let schedule = self.json(schedule);
        let pack: Value = serde_json::from_slice(&fs::read(self.folder().join("q1.json")).unwrap()).unwrap();
        vec![
            ("ses_", session),
            ("apr_", text(&asked["requests"][0]["request_id"])),
            ("rule_", text(&rule["rule_id"])),
            ("pol_", text(&policy["policy_id"])),
            ("auth_", text(&payment["authorization_id"])),
            ("sched_", text(&schedule["schedule_id"])),
            ("ten_", "local".to_owned()),
            ("hld_", text(&agent["prefix"])),
            ("aud_", text(&entries["entries"][0]["entry_id"])),
            ("9f86d081", text(&pack["signatures"]["public_key"])),
        ]
    }

    /// Starts a witness of the log; answers its address and its key.
    fn witness(&self, log_key: &str) -> (Running, String, String) {
        let line = format!(
            "haldir --json audit witness --listen 127.0.0.1:0 --name witness.example.org --folder w --log '{log_key}'"
        );
        let mut child = self.shell(self.folder(), &line).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let witness = Running(child);
        let mut said = String::new();
        BufReader::new(output).read_line(&mut said).unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        (witness, text(&said["listening"]), text(&said["verifier_key"]))
    }

    /// The shell that runs a line in a folder.
    pub fn shell(&self, folder: &Path, line: &str) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_haldir")).parent().unwrap();
        let system = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        // As zsh has it: where its functions are.
        command.args(["-o", "pipefail", "-c", &format!("fpath=(. .)\n{line}")]).current_dir(folder).env_clear();
        command.env("PATH", format!("{}:{}:{system}", folder.join("bin").display(), programs.display()));
        command.env("HOME", folder.join("home")).env("HALDIR_DB", folder.join("data/haldir.db"));
        command.env("HALDIR_ALLOW_PRIVATE", "127.0.0.1,hooks.example.com").env("HALDIR_LISTEN", "127.0.0.1:0");
        command.env("EDITOR", "editor").env("MANPAGER", "cat").env("LC_ALL", "C.UTF-8");
        command.env("STRIPE_KEY", "sk_live_4242").stdin(Stdio::null());
        if line.starts_with("haldir --url") {
            command.env("HALDIR_API_KEY", &self.key);
        }
        command
    }

    pub fn run(&self, folder: &Path, line: &str) -> Outcome {
        finished(self.shell(folder, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn done(&self, line: &str) -> String {
        let outcome = self.run(self.folder(), line);
        assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
        outcome.stdout
    }

    fn json(&self, line: &str) -> Value {
        let written = self.done(line);
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{line}: {error} in {written}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
