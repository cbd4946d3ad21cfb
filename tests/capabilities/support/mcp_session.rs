//! An MCP session over streamable HTTP, as clients that initialise have it.

use serde_json::{Value, json};

use super::{Answer, Client};

/// An initialised session.
pub struct McpSession<'a> {
    pub client: &'a Client,
    pub id: String,
}

impl<'a> McpSession<'a> {
    pub fn begin(client: &'a Client) -> Self {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
        let accept = [("Accept", "application/json, text/event-stream")];
        let answer = client.send("POST", "/mcp", &accept, &hello.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text);
        let this = Self { client, id: answer.header("mcp-session-id").unwrap().to_owned() };
        assert_eq!(this.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).status, 202);
        this
    }

    /// The same session, claimed by another client.
    pub fn claimed_by<'b>(&self, client: &'b Client) -> McpSession<'b> {
        McpSession { client, id: self.id.clone() }
    }

    pub fn send(&self, message: &Value) -> Answer {
        let headers = [
            ("Accept", "application/json, text/event-stream"),
            ("Mcp-Session-Id", &self.id),
            ("Mcp-Protocol-Version", "2025-06-18"),
        ];
        self.client.send("POST", "/mcp", &headers, &message.to_string())
    }

    /// All that comes back on a `tools/call`, as text.
    pub fn tool(&self, name: &str, arguments: &Value) -> String {
        let params = json!({"name": name, "arguments": arguments});
        self.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})).text
    }
}
