//! The bare MCP servers: rmcp with one tool that answers a constant, over
//! streamable HTTP and over stdio.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        stdio_pipes,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
        },
    },
};
use serde_json::json;

use crate::{Result, bare_http};

/// A server of the single tool `checkPermission`.
#[derive(Clone)]
struct Bare {
    allowed: CallToolResult,
}

impl Bare {
    fn new(session: &str) -> Self {
        let allowed = json!({ "allowed": true, "session_id": session, "scope": "read" });
        Self { allowed: CallToolResult::structured(allowed) }
    }
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        let schema = json!({
            "type": "object",
            "properties": { "session_id": { "type": "string" }, "scope": { "type": "string" } },
            "required": ["session_id", "scope"],
        });
        let schema = schema.as_object().cloned().unwrap_or_default();
        let tool = Tool::new("checkPermission", "Answers a constant", schema);
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        if request.name != "checkPermission" {
            return Err(ErrorData::invalid_params("no such tool", None));
        }
        Ok(self.allowed.clone().into())
    }
}

/// The hidden subcommand `bare-mcp SESSION`: streamable HTTP without sessions,
/// every answer one JSON document.
pub fn http(session: &str) -> Result<()> {
    let bare = Bare::new(session);
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service =
        StreamableHttpService::new(move || Ok(bare.clone()), Arc::new(NeverSessionManager::default()), config);
    bare_http::serve(move |request| {
        let service = service.clone();
        async move { Ok(service.handle(request).await) }
    })
}

/// The hidden subcommand `bare-stdio`: until its input ends.
pub fn stdio() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = Bare::new("bench").serve(stdio_pipes()).await?;
        running.waiting().await?;
        Ok(())
    })
}
