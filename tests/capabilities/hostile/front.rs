//! All ways in that lead to one upstream, with one call that goes through each.

use std::{fs, process::Command, sync::Mutex};

use serde_json::Value;

use crate::{
    proxy::register,
    support::{
        Client, House, Process, Server, json, lock,
        program::{Lines, upstream_program},
        until,
        upstream::Upstream,
    },
};

pub const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");
const VERSION: (&str, &str) = ("Mcp-Protocol-Version", "2025-06-18");

/// A way to a tool of the upstream `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `POST /v1/proxy/call`
    Rest,
    /// `up.tool` on `/mcp`
    Mcp,
    /// `up.tool` on standard input and output
    Stdio,
    /// `/mcp/up`
    Own,
    /// `haldir-mcp wrap`
    Wrap,
}

/// A store, an upstream `up`, and every way to it.
pub struct Front {
    pub house: House,
    pub server: Server,
    pub operator: Client,
    /// The agent's session, whichever way it takes.
    pub session: String,
    mcp: String,
    own: Option<String>,
    stdio: Mutex<Lines>,
    wrapped: Option<Mutex<Lines>>,
}

/// What haldir is given: limits, so that a test need not wait for the real ones.
fn bounded(mut command: Command) -> Command {
    // A call that haldir makes: a second and a half, 64 KiB. One that it passes on: two seconds.
    command.env("HALDIR_TEST_UPSTREAM_LIMITS", "1500,65536").env("HALDIR_CALL_TIMEOUT", "2");
    command
}

impl Front {
    /// To a server over HTTP.
    pub fn to(upstream: &Upstream) -> Self {
        Self::to_url(|operator| drop(register(operator, "up", upstream)))
    }

    /// To whatever is registered so.
    pub fn to_url(register: impl Fn(&Client)) -> Self {
        Self::with(House::new(), &[], register, false)
    }

    /// To a child of haldir, which offers these tools besides its own.
    pub fn to_child(tools: &Value) -> Self {
        let house = House::new();
        let config = house.folder().join("haldir.toml");
        let (program, tools) = (json!(upstream_program()).to_string(), tools.to_string());
        let variables = format!("env = {{ UPSTREAM_TOOLS = {} }}", json!(tools));
        fs::write(&config, format!("[upstreams.up]\ncommand = {program}\nargs = [\"--stdio\"]\n{variables}\n"))
            .unwrap();
        let (config, tools) = (config.display().to_string(), tools.clone());
        let this = Self::with(house, &[("HALDIR_CONFIG", &config), ("UPSTREAM_TOOLS", &tools)], |_| {}, true);
        for way in [Way::Rest, Way::Stdio] {
            until("the child answers", || this.call(way, "test_simple_text", &json!({})).contains("simple text"));
        }
        this
    }

    fn with(house: House, environment: &[(&str, &str)], register: impl Fn(&Client), child: bool) -> Self {
        let with = |mut command: Command| {
            command.envs(environment.iter().copied());
            bounded(command)
        };
        let server = Server::start(with(house.serving()));
        let operator = server.first_key();
        register(&operator);
        let session = operator.session(&json!({"scopes": ["execute"], "spend_limit": 1000}));
        let mut stdio = house.program();
        stdio.args(["--allow-private", "127.0.0.1", "--approve-by", "operator"]);
        let stdio = Mutex::new(Lines::begun(with(stdio)));
        let wrapped = child.then(|| {
            let mut command = house.program();
            command.args(["--approve-by", "operator", "wrap", "--name", "up", "--session", &session, "--"]);
            command.arg(upstream_program()).arg("--stdio");
            Mutex::new(Lines::begun(with(command)))
        });
        let mut this = Self { house, server, operator, session, mcp: String::new(), own: None, stdio, wrapped };
        this.mcp = this.begin("/mcp").unwrap();
        this.own = this.begin("/mcp/up");
        this
    }

    /// All ways that there are.
    pub fn ways(&self) -> impl Iterator<Item = Way> + use<> {
        let wrapped = self.wrapped.is_some();
        [Way::Rest, Way::Mcp, Way::Stdio, Way::Own, Way::Wrap]
            .into_iter()
            .filter(move |way| *way != Way::Wrap || wrapped)
    }

    /// Ends the session on `/mcp/up`, and begins another.
    pub fn begin_again(&mut self) {
        if let Some(id) = &self.own {
            self.operator.send("DELETE", "/mcp/up", &[("Mcp-Session-Id", id)], "");
        }
        self.own = self.begin("/mcp/up");
    }

    fn begin(&self, path: &str) -> Option<String> {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
        let answer = self.operator.send("POST", path, &[BOTH], &hello.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text);
        let id = answer.header("mcp-session-id").map(str::to_owned);
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
        let mut headers = vec![BOTH, VERSION];
        headers.extend(id.as_deref().map(|id| ("Mcp-Session-Id", id)));
        assert_eq!(self.operator.send("POST", path, &headers, &initialized).status, 202);
        id
    }

    /// All that comes back on a call of this tool, by this way, as text.
    #[track_caller]
    pub fn call(&self, way: Way, tool: &str, arguments: &Value) -> String {
        self.call_in(way, &self.session, tool, arguments)
    }

    /// The same in another session; a wrapped server knows its own alone.
    #[track_caller]
    pub fn call_in(&self, way: Way, session: &str, tool: &str, arguments: &Value) -> String {
        let qualified = format!("up.{tool}");
        let params =
            |name: &str| json!({"name": name, "arguments": arguments, "_meta": {"io.haldir/session_id": session}});
        let over_http = |path: &str, id: Option<&str>, name: &str| {
            let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params(name)});
            let mut headers = vec![BOTH, VERSION];
            headers.extend(id.map(|id| ("Mcp-Session-Id", id)));
            let answer = self.operator.try_send("POST", path, &headers, &message.to_string());
            answer.map_or_else(|error| format!("no answer: {error}"), |answer| answer.text)
        };
        match way {
            Way::Rest => {
                let body = json!({"session_id": session, "tool": qualified, "arguments": arguments});
                self.operator.post("/v1/proxy/call", &body).text
            }
            Way::Mcp => over_http("/mcp", Some(&self.mcp), &qualified),
            Way::Own => over_http("/mcp/up", self.own.as_deref(), tool),
            Way::Stdio => lock(&self.stdio).ask("tools/call", &params(&qualified)).join("\n"),
            Way::Wrap => {
                let params = json!({"name": tool, "arguments": arguments});
                lock(self.wrapped.as_ref().unwrap()).ask("tools/call", &params).join("\n")
            }
        }
    }

    /// The most memory that the haldir on this way has had so far, in MiB.
    pub fn peak(&mut self, way: Way) -> u64 {
        match way {
            Way::Stdio => peak_of(&mut lock(&self.stdio).process),
            Way::Wrap => peak_of(&mut lock(self.wrapped.as_ref().unwrap()).process),
            _ => peak_of(&mut self.server.process),
        }
    }

    /// The protocol session on `/mcp/up`.
    pub fn own_session(&self) -> &str {
        self.own.as_deref().unwrap()
    }
}

/// The most memory that a process has had so far, in MiB.
pub fn peak_of(process: &mut Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.child().id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
