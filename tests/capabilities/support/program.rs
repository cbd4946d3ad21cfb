//! The MCP server of `tests/upstream`, as a program of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio as Pipe},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{Process, refusal_in};

/// Where the program is. `cargo test` builds it with all examples; a run of this test program alone does not, and builds it
/// here if it is missing or older than what it is made of.
pub fn upstream_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_haldir-mcp")).parent().unwrap();
        let program = folder.join("examples").join("upstream");
        if !is_current(&program) {
            let profile = folder.file_name().unwrap().to_str().unwrap();
            let profile = if profile == "debug" { "dev" } else { profile };
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--example", "upstream", "--profile", profile, "--target-dir"]);
            build.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
            // What `cargo test` sets for this program would make build scripts run anew that look at it, and all that depends on
            // them be compiled twice: here, and by the next command.
            for (name, _) in std::env::vars_os() {
                let of_a_package = |name: &str| {
                    name == "OUT_DIR" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
                };
                if name.to_str().is_some_and(of_a_package) {
                    build.env_remove(&name);
                }
            }
            eprintln!("building the upstream of the tests, which is older than its sources");
            assert!(build.status().unwrap().success(), "the upstream cannot be built");
            // It may have been current in all but its time. If that cannot be set, the next run asks cargo again.
            let _ = fs::File::open(&program).and_then(|file| file.set_modified(SystemTime::now()));
        }
        program
    })
}

/// Whether the program is newer than its sources and the versions of its dependencies.
fn is_current(program: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = fs::read_dir(package.join("tests/upstream")).unwrap().map(|entry| entry.unwrap().path());
    let made_of = sources.chain([package.join("Cargo.lock")]);
    changed(program).is_some_and(|built| made_of.filter_map(|path| changed(&path)).all(|source| source <= built))
}

/// A server on standard input and output that says what it says line by line.
pub struct Lines {
    pub process: Process,
    input: Option<ChildStdin>,
    said: mpsc::Receiver<String>,
    next_id: u64,
}

impl Lines {
    pub fn start(mut command: Command) -> Self {
        command.stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::piped());
        let mut process = Process::spawn(command);
        let input = process.child().stdin.take();
        let output = BufReader::new(process.child().stdout.take().unwrap());
        let (sender, said) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, input, said, next_id: 0 }
    }

    /// Started and initialised, as a client that can do everything.
    pub fn begun(command: Command) -> Self {
        let mut this = Self::start(command);
        this.begin();
        this
    }

    pub fn begin(&mut self) -> Vec<String> {
        let capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {}});
        let lines = self.ask(
            "initialize",
            &json!({"protocolVersion": "2025-06-18", "capabilities": capabilities,
            "clientInfo": {"name": "tests", "version": "1"}}),
        );
        self.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        lines
    }

    pub fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").and_then(|()| input.flush()).unwrap();
    }

    /// The next line.
    #[track_caller]
    pub fn line(&self) -> String {
        self.said
            .recv_timeout(Duration::from_secs(120))
            .unwrap_or_else(|_| panic!("the server says nothing more; its errors are\n{}", self.process.errors()))
    }

    /// All that the server says up to the answer; what it asks is answered as a client would.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: &Value) -> Vec<String> {
        self.next_id += 1;
        let id = self.next_id;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
            if message["method"].is_string() && !message["id"].is_null() {
                let result = answer(message["method"].as_str().unwrap());
                self.write(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string());
            }
            let is_answer = message["method"].is_null() && message["id"] == json!(id);
            lines.push(line);
            if is_answer {
                return lines;
            }
        }
    }

    /// The answer to a `tools/call`.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let lines = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        serde_json::from_str(lines.last().unwrap()).unwrap()
    }

    /// What a refused `tools/call` tells the model.
    #[track_caller]
    pub fn refused(&mut self, tool: &str, arguments: &Value, code: &str) {
        let answer = self.call(tool, arguments);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let told = refusal_in(&answer["result"]);
        assert_eq!((&told["code"], &told["blocked_by"]), (&json!(code), &json!("haldir")), "{told}");
    }

    /// Leaves; answers whether the server ended well, and its standard error.
    pub fn leave(mut self) -> (bool, String) {
        self.input = None;
        self.process.finish()
    }
}

fn answer(method: &str) -> Value {
    match method {
        "sampling/createMessage" => {
            json!({"role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "m"})
        }
        "elicitation/create" => json!({"action": "accept", "content": {"username": "u", "email": "e@example.com"}}),
        "roots/list" => json!({"roots": []}),
        _ => json!({}),
    }
}
