//! The server under test, and the requests that are measured.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{Result, bare_http, load::Exchange, process::Server, wire::Caller};

/// The program under test, from the same build as this benchmark.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_haldir-mcp");

/// Only a `checkPermission` that allows says this; in the text form of the
/// same answer the quotation marks are escaped.
const ALLOWED: &str = r#""allowed":true"#;

/// The requests that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Session,
    Audit,
    CreateSession,
    Payment,
    Permission,
    /// A tool of another server, called directly or through haldir.
    Proxied,
}

/// The other server's name in haldir.
const UPSTREAM: &str = "bare";

/// What the requests name, and how large the answers are.
pub struct Subject {
    pub key: String,
    pub session: String,
    pub session_answer: usize,
    pub audit_answer: usize,
}

impl Subject {
    /// For a run without the real server: everything as large as there.
    pub fn placeholder() -> Self {
        Self {
            key: "0123456789abcdef".repeat(4),
            session: "0123456789abcdef".repeat(2),
            session_answer: 330,
            audit_answer: 400,
        }
    }

    /// Method, path and body.
    fn words(&self, ask: Ask) -> (&'static str, String, String) {
        match ask {
            Ask::Session => ("GET", format!("/v1/sessions/{}", self.session), String::new()),
            Ask::Audit => {
                let body = json!({
                    "session_id": self.session, "tool": "bench",
                    "action": "append", "cost_usd": 0.001,
                });
                ("POST", "/v1/audit".to_owned(), body.to_string())
            }
            Ask::CreateSession => {
                let body = json!({ "agent_id": "bench", "scopes": ["read"], "spend_limit": 5 });
                ("POST", "/v1/sessions".to_owned(), body.to_string())
            }
            Ask::Payment => {
                let body = json!({ "session_id": self.session, "amount": 0.01 });
                ("POST", "/v1/payments/authorize".to_owned(), body.to_string())
            }
            Ask::Permission => {
                let body = json!({
                    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {
                        "name": "checkPermission",
                        "arguments": { "session_id": self.session, "scope": "read" },
                    },
                });
                ("POST", "/mcp".to_owned(), body.to_string())
            }
            Ask::Proxied => {
                let body = json!({
                    "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {
                        "_meta": { "io.haldir/session_id": self.session },
                        "name": "checkPermission",
                        "arguments": { "session_id": self.session, "scope": "read" },
                    },
                });
                ("POST", format!("/mcp/{UPSTREAM}"), body.to_string())
            }
        }
    }

    /// What is asked of the real server.
    pub fn exchange(&self, address: SocketAddr, ask: Ask) -> Exchange {
        let proof = match ask {
            Ask::Session => self.session.as_str(),
            Ask::Audit => r#""entry_id""#,
            Ask::CreateSession => r#""session_id""#,
            Ask::Payment => r#""authorized":true"#,
            Ask::Permission | Ask::Proxied => ALLOWED,
        };
        self.exchange_with(address, ask, proof)
    }

    /// The same bytes for a bare server, whose proof is its own.
    pub fn bare_exchange(&self, address: SocketAddr, ask: Ask) -> Exchange {
        let proof = match ask {
            Ask::Session | Ask::Audit | Ask::CreateSession | Ask::Payment => bare_http::PROOF,
            Ask::Permission | Ask::Proxied => ALLOWED,
        };
        self.exchange_with(address, ask, proof)
    }

    fn exchange_with(&self, address: SocketAddr, ask: Ask, proof: &str) -> Exchange {
        let (method, path, body) = self.words(ask);
        let caller = Caller { address, key: Some(&self.key), session: None };
        Exchange {
            requests: vec![caller.request(method, &path, &body)],
            status: match ask {
                Ask::Audit | Ask::CreateSession => 201,
                Ask::Session | Ask::Payment | Ask::Permission | Ask::Proxied => 200,
            },
            proof: proof.as_bytes().to_vec(),
            closes: false,
        }
    }
}

/// The running server.
pub struct Haldir {
    pub server: Server,
    /// Its store, which outlives it for the start measurements.
    pub store: PathBuf,
}

impl Haldir {
    /// Starts `program` on an empty store in `directory`, makes a key and a session,
    /// and sends each measured request once, so that a server that does not
    /// answer as it should fails here and not in the middle of a run.
    pub fn start(program: &Path, directory: &Path) -> Result<(Self, Subject)> {
        let store = directory.join("haldir.db");
        let server = Self::serve(program, directory, &store, &[])?;
        let subject = set_up(server.address)?;
        Ok((Self { server, store }, subject))
    }

    /// Starts `program` on a store, which may be the address of a database.
    pub fn serve(program: &Path, directory: &Path, store: &Path, variables: &[(&str, &str)]) -> Result<Server> {
        let args: [&OsStr; 9] = [
            "serve".as_ref(),
            "--listen".as_ref(),
            "127.0.0.1:0".as_ref(),
            "--db".as_ref(),
            store.as_ref(),
            "--rate-limits".as_ref(),
            "off".as_ref(),
            "--allow-private".as_ref(),
            "127.0.0.1".as_ref(),
        ];
        Server::kept(program, &args, variables, &directory.join("haldir.log"))
    }

    /// Puts this server in front of another one, whose tool it then calls once.
    pub fn put_before(&self, upstream: SocketAddr, subject: &Subject) -> Result<()> {
        let caller = Caller { address: self.server.address, key: Some(&subject.key), session: None };
        let registration = json!({ "name": UPSTREAM, "url": format!("http://{upstream}/mcp") }).to_string();
        let registered = caller.call("POST", "/v1/proxy/upstreams", &registration)?;
        if !matches!(registered.0, 200 | 201) {
            return Err(format!("the upstream was not registered: {}", registered.1).into());
        }
        let (method, path, body) = subject.words(Ask::Proxied);
        let (_, answer) = expect(200, &caller, (method, &path, &body))?;
        if answer.pointer("/result/structuredContent/allowed") != Some(&Value::Bool(true)) {
            return Err(format!("{method} {path}: not what the upstream says: {answer}").into());
        }
        Ok(())
    }
}

/// Makes a key, as the body says, and a session.
pub fn begin(address: SocketAddr, key: &Value) -> Result<Subject> {
    let anonymous = Caller { address, key: None, session: None };
    let (_, key) = expect(201, &anonymous, ("POST", "/v1/keys", &key.to_string()))?;
    let key = text(&key, "key")?;
    let caller = Caller { address, key: Some(&key), session: None };
    let session = json!({ "agent_id": "bench", "scopes": ["read", "spend", "execute"], "ttl": 0 });
    let (_, session) = expect(201, &caller, ("POST", "/v1/sessions", &session.to_string()))?;
    let session = text(&session, "session_id")?;
    Ok(Subject { session, key, session_answer: 0, audit_answer: 0 })
}

fn set_up(address: SocketAddr) -> Result<Subject> {
    let mut subject = begin(address, &json!({ "name": "bench", "tier": "enterprise" }))?;
    let key = subject.key.clone();
    let caller = Caller { address, key: Some(&key), session: None };

    let (method, path, body) = subject.words(Ask::Session);
    subject.session_answer = expect(200, &caller, (method, &path, &body))?.0;
    let (method, path, body) = subject.words(Ask::Audit);
    subject.audit_answer = expect(201, &caller, (method, &path, &body))?.0;
    let (method, path, body) = subject.words(Ask::CreateSession);
    expect(201, &caller, (method, &path, &body))?;
    let (method, path, body) = subject.words(Ask::Payment);
    let (_, payment) = expect(200, &caller, (method, &path, &body))?;
    if payment.get("authorized") != Some(&Value::Bool(true)) {
        return Err(format!("{method} {path}: not authorized: {payment}").into());
    }
    let (method, path, body) = subject.words(Ask::Permission);
    let (_, permission) = expect(200, &caller, (method, &path, &body))?;
    if permission.pointer("/result/structuredContent/allowed") != Some(&Value::Bool(true)) {
        return Err(format!("{method} {path}: not allowed: {permission}").into());
    }
    Ok(subject)
}

/// Sends method, path and body; insists on the status and on JSON. Returns the
/// length of the body beside it.
fn expect(wanted: u16, caller: &Caller<'_>, words: (&str, &str, &str)) -> Result<(usize, Value)> {
    let (method, path, body) = words;
    let (status, answer) = caller.call(method, path, body).map_err(|error| format!("{method} {path}: {error}"))?;
    if status != wanted {
        return Err(format!("{method} {path}: {status} instead of {wanted}: {answer}").into());
    }
    let value = serde_json::from_str(&answer).map_err(|error| format!("{method} {path}: {error}: {answer}"))?;
    Ok((answer.len(), value))
}

fn text(value: &Value, name: &str) -> Result<String> {
    let text = value.get(name).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| format!("no {name} in {value}").into())
}
