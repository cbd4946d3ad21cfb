//! The tools of upstream servers beside haldir's own, as `upstream__tool`.

use std::sync::Arc;

use rmcp::{
    ErrorData,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Tool},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    client_channel::{self, Attended, McpClient},
    elicit::{self, CallElicitor, Elicited},
    exact, harmless,
    logging::Level,
    paused::{CallKey, PausedCalls, RunningCall},
    server,
    session::{self, Session},
};
use crate::{
    error::{Code, Error, Result},
    interfaces::backend::Backend,
    model::{Credential, SessionId},
    operations::{
        self, CallOptions, Haldir,
        proxied::{self, CallClient, refusal_text},
    },
    protocol::message,
    relay::elsewhere::{self, Named, UNKNOWN_CALL},
};

/// A tool of an upstream, as it is listed.
struct Listed {
    tool: Tool,
    /// `upstream.tool`.
    full_name: String,
    upstream: String,
    /// Its own name, where that is enough.
    bare_name: Option<String>,
    takes_session_id: bool,
}

impl Listed {
    fn is_called(&self, name: &str) -> bool {
        self.tool.name == name || self.full_name == name || self.bare_name.as_deref() == Some(name)
    }
}

/// The tools of upstreams that may be called, as far as this caller may see them. The first answer waits for children of
/// this process that have just been started, since a client that has asked does not ask again.
pub async fn tools(backend: &Backend, credential: &Credential, session: Option<&str>) -> Vec<Tool> {
    listed(backend, credential, session).await.into_iter().map(|listed| listed.tool).collect()
}

/// The names of those that may be called now.
pub async fn names(backend: &Backend, credential: &Credential, session: Option<&str>) -> Vec<String> {
    let listed = pinned(backend, credential, session).await;
    listed.into_iter().map(|listed| listed.tool.name.into_owned()).collect()
}

async fn listed(backend: &Backend, credential: &Credential, session: Option<&str>) -> Vec<Listed> {
    let listed = pinned(backend, credential, session).await;
    if let Backend::Local(haldir) = backend {
        let upstreams: Vec<&str> = listed.iter().map(|listed| listed.upstream.as_str()).collect();
        if haldir.children_listed(&upstreams).await {
            return pinned(backend, credential, session).await;
        }
    }
    listed
}

async fn pinned(backend: &Backend, credential: &Credential, session: Option<&str>) -> Vec<Listed> {
    #[derive(Deserialize)]
    struct Answer {
        tools: Vec<Value>,
    }
    // Also an operator calls them as an agent does.
    let input = json!({"state": "pinned", "callable": true, "session_id": session}).to_string();
    let answer = match operations::named("listProxyTools") {
        Some(operation) => backend.call(operation, credential, &input, CallOptions::counted()).await,
        None => return Vec::new(),
    };
    // A key that may not see them sees haldir's own tools all the same.
    let Ok(reply) = answer else { return Vec::new() };
    let Ok(Answer { tools }) = serde_json::from_str(&reply.body) else { return Vec::new() };
    tools.into_iter().filter_map(tool).collect()
}

/// A tool as its upstream defines it, as far as every client can read that, under the name that it is listed under.
fn tool(mut listed: Value) -> Option<Listed> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (upstream, own) = (text(&listed["upstream"])?, text(&listed["tool"])?);
    let name = listed["name"].take();
    let Value::Object(mut definition) = listed["definition"].take() else { return None };
    harmless::mend(&mut definition);
    let takes_session_id = definition["inputSchema"]["properties"].get(session::ARGUMENT).is_some();
    definition.insert("name".to_owned(), name);
    let tool = match serde_json::from_value(Value::Object(definition)) {
        Ok(tool) => tool,
        Err(error) => {
            tracing::warn!(%upstream, tool = own, %error, "a tool is not listed over MCP: its definition cannot be read");
            return None;
        }
    };
    let full_name = format!("{upstream}.{own}");
    let bare_name = (listed["bare_name"] == true).then_some(own);
    Some(Listed { tool, full_name, upstream, bare_name, takes_session_id })
}

fn session_id(text: &str) -> Result<SessionId> {
    SessionId::parse(text).map_err(|problem| Error::invalid("session_id", format!("the session {problem}")))
}

/// A call of a tool that is not haldir's own.
pub struct Call<'a> {
    /// As it is listed; `upstream.tool`; or `tool`.
    pub tool: &'a str,
    /// JSON text, as it was written.
    pub arguments: &'a str,
    /// The whole of what is asked for.
    pub params: &'a CallToolRequestParams,
    /// The client that makes it.
    pub whose: u64,
    /// The log messages that it wants.
    pub level: &'a Level,
    /// Where it waits for answers that come with another request.
    pub paused: &'a PausedCalls,
}

impl Call<'_> {
    /// Makes the call, if haldir lets it.
    pub async fn answer(
        &self,
        backend: &Backend,
        credential: &Credential,
        session: &Session,
        context: &Context,
        ask: Option<CallElicitor<'_>>,
    ) -> Result<CallToolResponse, ErrorData> {
        let taken = self.taken_session(backend, credential).await;
        let Some((in_arguments, arguments)) = taken else {
            return self.answer_in(Session::named(context), backend, credential, session, context, ask).await;
        };
        let call = Call { arguments: &arguments, ..*self };
        let named = Session::named(context).unwrap_or(in_arguments);
        call.answer_in(Some(named), backend, credential, session, context, ask).await
    }

    /// The session that stands among the arguments, and those without it: it is not for the upstream, which could act in it.
    /// A tool with an argument of that name has it for itself.
    async fn taken_session(&self, backend: &Backend, credential: &Credential) -> Option<(String, String)> {
        let taken = session::taken_from(self.arguments)?;
        let has_it = match backend {
            Backend::Local(haldir) => haldir.tool_takes(credential, self.tool, session::ARGUMENT).unwrap_or(true),
            Backend::Remote(_) => {
                let listed = pinned(backend, credential, None).await;
                listed.iter().any(|listed| listed.is_called(self.tool) && listed.takes_session_id)
            }
        };
        (!has_it).then_some(taken)
    }

    async fn answer_in(
        &self,
        named: Option<String>,
        backend: &Backend,
        credential: &Credential,
        session: &Session,
        context: &Context,
        ask: Option<CallElicitor<'_>>,
    ) -> Result<CallToolResponse, ErrorData> {
        let state = self.params.request_state.as_deref().filter(|state| PausedCalls::is_state(state));
        let found = match named {
            Some(named) => Ok(named),
            None => session.of(credential).await,
        };
        let (outcome, has_session) = match found {
            Ok(session) => match (state, backend) {
                (Some(state), Backend::Local(haldir)) => {
                    let Some(outcome) = self.gone_on(haldir, credential, &session, context, state).await else {
                        elsewhere::note(Named::PausedCall);
                        return Err(ErrorData::invalid_params(UNKNOWN_CALL, None));
                    };
                    (outcome.map(|result| exact::carried(&result).into()), true)
                }
                _ => (self.decided_and_made(backend, credential, &session, context, ask).await, true),
            },
            Err(error) => (Err(error), false),
        };
        let error = match outcome {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        // Without a session the tool was not looked up. To a caller that may not list tools it does not exist.
        if error.code == Code::UnknownTool || error.code == Code::SessionInvalid || !has_session {
            let all = listed(backend, credential, None).await;
            if error.code == Code::UnknownTool || !all.iter().any(|one| one.is_called(self.tool)) {
                let known: Vec<_> = all.iter().map(|one| one.tool.name.as_ref()).collect();
                return Err(server::unknown_tool(self.tool, &known));
            }
        }
        Ok(CallToolResult::error(vec![ContentBlock::text(refusal_text(&error))]).into())
    }

    /// Makes the call, and asks the person at the client if that is what it waits for.
    async fn decided_and_made(
        &self,
        backend: &Backend,
        credential: &Credential,
        session: &str,
        context: &Context,
        ask: Option<CallElicitor<'_>>,
    ) -> Result<CallToolResponse> {
        let made = |result: String| exact::carried(&result).into();
        let params = self.params;
        let attempt = |client: CallClient| self.make(backend, credential, session, context, client);
        let Some(ask) = ask else {
            return attempt(CallClient::default()).await.map(made);
        };
        let brought = ask.brought(params).await?;
        let slot = elicit::slot();
        let client = CallClient { pending: Some(Arc::clone(&slot)), ..brought.clone().unwrap_or_default() };
        let result = attempt(client).await?;
        let Some(held) = slot.get() else { return Ok(made(result)) };
        match ask.ask(held, brought.as_ref(), params).await? {
            Elicited::Decided(client) => attempt(client).await.map(made),
            Elicited::Told(text) => Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into()),
            Elicited::InputRequired(response) => Ok(*response),
        }
    }

    /// As they were written; none are an empty object.
    fn arguments(&self) -> &str {
        if self.arguments == "null" { "{}" } else { self.arguments }
    }

    async fn make(
        &self,
        backend: &Backend,
        credential: &Credential,
        session: &str,
        context: &Context,
        client: CallClient,
    ) -> Result<String> {
        if let Backend::Local(haldir) = backend {
            return self.make_here(haldir, credential, session, context, client).await;
        }
        // Progress, log messages and mid-call requests do not travel by REST; cancellation does.
        let client = CallClient { cancelled: Some(context.ct.clone()), ..client };
        let operation = operations::named("proxyCall").ok_or_else(|| Error::internal("there is no proxyCall"))?;
        let arguments = self.arguments();
        // As text, so that every number of the arguments stays as it was written.
        let input = format!(
            "{{\"tool\":{},\"session_id\":{},\"arguments\":{arguments}}}",
            message::quoted(self.tool),
            json!(session)
        );
        let reply =
            backend.call(operation, credential, &input, CallOptions { client, ..CallOptions::counted() }).await?;
        Ok(proxied::answered_elsewhere(reply.body.to_string()))
    }

    async fn make_here(
        &self,
        haldir: &Haldir,
        credential: &Credential,
        session: &str,
        context: &Context,
        client: CallClient,
    ) -> Result<String> {
        // Made again once the person at the client has decided, it is the same call.
        let goes_on = client.consent.is_some() && self.params.request_state.is_none();
        let mut cx =
            if goes_on { haldir.watch_proxy(credential)? } else { haldir.enter_proxy(credential, true).await? };
        let id = session_id(session)?;
        let arguments = self.arguments();
        let (tool, arguments) = (self.tool.to_owned(), arguments.to_owned());
        let Some((channel, mcp, said)) = client_channel::open(context, self.params, self.whose, self.level) else {
            cx.client = CallClient { cancelled: Some(context.ct.clone()), ..client };
            // A task of its own: a call that has left is settled, even if the client disconnects.
            let call = tokio::spawn(proxied::as_written(cx, tool, id, arguments));
            return Ok(call.await.map_err(Error::internal)??.get().to_owned());
        };
        // Of its own, since the call may outlive this request.
        let cancelled = CancellationToken::new();
        cx.client = CallClient { cancelled: Some(cancelled.clone()), channel: Some(channel), ..client };
        let call = self.paused.run(proxied::as_written(cx, tool, id, arguments), cancelled, said);
        self.attended(&mcp, call, self.key(credential, session)).await
    }

    fn key(&self, credential: &Credential, session: &str) -> CallKey {
        CallKey::new(credential, session, self.tool, self.arguments)
    }

    /// What a call comes to, or what its client is asked first by a result.
    async fn attended(&self, mcp: &McpClient<'_>, mut call: RunningCall, key: CallKey) -> Result<String> {
        loop {
            match mcp.attend(&mut call).await {
                Attended::Over(result) => return Ok(result?.get().to_owned()),
                Attended::Asks(questions) => match self.paused.leave(call, questions, key) {
                    Ok(result) => return Ok(result),
                    Err(back) => call = back,
                },
            }
        }
    }

    /// Goes on with a call that waits for its client's answers, which this one brings; `None` if there is none.
    async fn gone_on(
        &self,
        haldir: &Haldir,
        credential: &Credential,
        session: &str,
        context: &Context,
        state: &str,
    ) -> Option<Result<String>> {
        let key = self.key(credential, session);
        let back = self.paused.find(state, key)?;
        let may = || proxied::may_go_on(&haldir.watch_proxy(credential)?, &session_id(session)?);
        if let Err(error) = may() {
            back.end();
            return Some(Err(error));
        }
        let call = back.go_on(self.params.input_responses.as_ref()).await?;
        let mcp = McpClient { context, level: self.level };
        Some(self.attended(&mcp, call, key).await)
    }
}
