//! What all capabilities share: a store in a folder of its own, servers on it, and callers.

mod at_once;
mod client;
mod database;
mod events;
mod eventually;
mod fields;
mod folder;
mod growing;
mod held_port;
mod in_process;
mod mcp_session;
pub mod odd_upstream;
pub mod on_postgres;
pub mod program;
#[cfg(unix)]
pub mod pty;
mod read_by_server;
mod receiver;
mod refusal;
mod stdio;
pub mod tables;
pub mod upstream;

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    ops::Deref,
    process::{Child, Command, Stdio as Pipe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

pub use at_once::at_once;
pub use client::{Answer, Client, raw_exchange, read_answer};
pub use database::Database;
pub use events::Events;
pub use eventually::{eventually, long, until};
pub use fields::{hash_of, includes, integer, path_of, size_of, text, unhex};
pub use folder::{Folder, stored_bytes};
pub use growing::Growing;
pub use held_port::HeldPort;
pub use in_process::{InProcess, open, open_store, start_of_time};
pub use mcp_session::McpSession;
#[cfg(unix)]
pub use pty::Pty;
pub use read_by_server::read_by_server;
pub use receiver::{Delivery, Receiver, Reply};
pub use refusal::refusal_in;
pub use serde_json::json;
pub use stdio::Stdio;

/// Holds a lock whose holder may have failed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder with a store, and the programs that serve it.
pub struct House {
    folder: Folder,
}

impl Deref for House {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

/// Set to a level, such as `debug`: servers of tests log at it, and their logs are printed when they have ended.
const LOG: &str = "HALDIR_TEST_LOG";

impl House {
    pub fn new() -> Self {
        Self { folder: Folder::new() }
    }

    /// The server's program on this store, with nothing inherited from the environment.
    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
        let (address, others) = on_postgres::address(&self.db());
        command.env_clear().current_dir(self.folder()).arg("--db").arg(address).envs(others);
        command.stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::piped());
        if let Some(level) = std::env::var_os(LOG) {
            command.env("HALDIR_LOG", level);
        }
        command
    }

    /// The terminal client on this store: its exit code, standard output and standard error.
    pub fn terminal(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        command.args(arguments).env_clear().stdin(Pipe::null());
        let output = on_postgres::set_store(&mut command, &self.db()).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// `serve`, on a port of the machine's choice, without hourly limits.
    pub fn serving(&self) -> Command {
        let mut command = self.program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "off"]);
        // Where receivers of tests are; the name leads nowhere (RFC 6761).
        command.args(["--allow-private", "127.0.0.1", "--allow-private", "receiver.invalid"]);
        command
    }

    /// Starts a server.
    pub fn serve(&self) -> Server {
        Server::start(self.serving())
    }

    /// Starts so many servers at once.
    pub fn serve_several<const COUNT: usize>(&self) -> [Server; COUNT] {
        at_once(COUNT, |_| self.serve()).try_into().unwrap_or_else(|_| unreachable!("each has started"))
    }

    /// Starts a server and makes its first key.
    pub fn serve_operator(&self) -> (Server, Client) {
        let server = self.serve();
        let operator = server.first_key();
        (server, operator)
    }

    /// Starts an MCP server over standard input and output, initialised.
    pub fn stdio(&self) -> Stdio {
        Stdio::start(self.program())
    }
}

/// A child process that never outlives the test, and whose standard error is kept.
pub struct Process {
    child: Child,
    errors: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let errors = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&errors);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                lock(&sink).extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, errors, reader: Some(reader) }
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What stands on standard error so far.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&lock(&self.errors)).into_owned()
    }

    /// Ends the process as a power cut would, and waits for its end.
    pub fn kill(&mut self) {
        // Fails only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Asks the process to stop.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the process ends by itself; answers whether it said that all went well, and its standard error.
    pub fn finish(mut self) -> (bool, String) {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        (status.success(), self.errors())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let errors = self.errors();
        if thread::panicking() || std::env::var_os(LOG).is_some() {
            eprintln!("--- standard error of the process {}:\n{errors}---", self.child.id());
        }
        if !thread::panicking() {
            assert!(!errors.contains("panicked"), "the server panicked:\n{errors}");
        }
    }
}

/// A running HTTP server.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub fn start(command: Command) -> Self {
        let mut process = Process::spawn(command);
        let mut line = String::new();
        let mut output = BufReader::new(process.child().stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("haldir listening on http://") else {
            process.kill();
            panic!("the server did not start; it said {line:?} and\n{}", process.errors());
        };
        let mut address: SocketAddr = address.parse().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        Self { process, address }
    }

    /// A client without a key.
    pub fn anonymous(&self) -> Client {
        Client::new(self.address, None)
    }

    /// A client with this key.
    pub fn with_key(&self, key: &str) -> Client {
        Client::new(self.address, Some(key.to_owned()))
    }

    /// Makes the first key of the store, an operator's.
    pub fn first_key(&self) -> Client {
        let made = self.anonymous().post("/v1/keys", &json!({"name": "first", "tier": "enterprise"})).ok();
        self.with_key(made["key"].as_str().unwrap())
    }
}

/// The program refuses to start; answers what it says.
pub fn refuses_to_start(command: Command) -> String {
    let (well, errors) = Process::spawn(command).finish();
    assert!(!well, "the program should have refused to start");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// Runs `haldir-mcp health`: its exit code, and what it says.
pub fn health(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
    command.arg("health").args(arguments).env_clear().envs(variables.iter().copied()).stdin(Pipe::null());
    let ran = command.output().unwrap();
    assert!(ran.stdout.is_empty(), "{ran:?}");
    (ran.status.code().unwrap(), String::from_utf8(ran.stderr).unwrap())
}

/// A small generator of numbers that a seed reproduces (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// Seeded from the operating system; the seed is printed, so that a failure can be repeated.
    pub fn new(what: &str) -> Self {
        let mut bytes = [0; 8];
        haldir::crypto::fill(&mut bytes).unwrap();
        let seed = u64::from_le_bytes(bytes);
        println!("seed of {what}: {seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
