//! An MCP client over a process's standard input and output.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio as Pipe},
    sync::Mutex,
};

use serde_json::{Value, json};

use super::{Process, lock, refusal_in, text};

/// A running stdio server, initialised. Calls follow one another.
pub struct Stdio {
    pub process: Process,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Stdio {
    pub fn start(mut command: Command) -> Self {
        command.stdin(Pipe::piped());
        let mut process = Process::spawn(command);
        let input = process.child().stdin.take().unwrap();
        let output = BufReader::new(process.child().stdout.take().unwrap());
        let this = Self { process, pipes: Mutex::new((input, output)) };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
        let welcome = this.exchange(&hello.to_string());
        assert_eq!(welcome["result"]["serverInfo"]["name"], "haldir", "{welcome}");
        this.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        this
    }

    /// Writes a line that is not answered.
    pub fn send(&self, line: &str) {
        let mut pipes = lock(&self.pipes);
        writeln!(pipes.0, "{line}").and_then(|()| pipes.0.flush()).unwrap();
    }

    /// Writes a line and reads the next one, which must be JSON-RPC: nothing else goes to standard output.
    #[track_caller]
    pub fn exchange(&self, line: &str) -> Value {
        self.exchange_bytes(line.as_bytes())
    }

    #[track_caller]
    pub fn exchange_bytes(&self, line: &[u8]) -> Value {
        let mut pipes = lock(&self.pipes);
        pipes.0.write_all(line).and_then(|()| pipes.0.write_all(b"\n")).and_then(|()| pipes.0.flush()).unwrap();
        let mut answer = String::new();
        pipes.1.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no JSON: {answer:?}"));
        assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
        answer
    }

    /// The answer to a `tools/call` with its arguments as they are written.
    #[track_caller]
    pub fn tool_text(&self, name: &str, arguments: &str) -> Value {
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, json!(name));
        self.exchange(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#))
    }

    /// The result of a `tools/call`.
    #[track_caller]
    pub fn tool(&self, name: &str, arguments: &Value) -> Value {
        self.tool_text(name, &arguments.to_string())["result"].clone()
    }

    /// The structured answer of a `tools/call` that must succeed.
    #[track_caller]
    pub fn ok(&self, name: &str, arguments: &Value) -> Value {
        let result = self.tool(name, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    }

    /// The refusal of a `tools/call`, as the model reads it.
    #[track_caller]
    pub fn refused(&self, name: &str, arguments: &Value, code: &str) -> Value {
        let result = self.tool(name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        let body = refusal_in(&result);
        assert_eq!(body["code"], code, "{body}");
        body
    }

    #[track_caller]
    pub fn session(&self, fields: &Value) -> String {
        let mut arguments = json!({"agent_id": "tester"});
        arguments.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        text(&self.ok("createSession", &arguments), "session_id")
    }
}

impl Stdio {
    /// Closes standard input; answers whether the server ended well, and its standard error.
    pub fn leave(self) -> (bool, String) {
        drop(self.pipes);
        self.process.finish()
    }
}
