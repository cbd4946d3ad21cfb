//! The tools of upstream servers beside haldir's own, as `upstream.tool`.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Tool},
    service::RequestContext,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    ask::{self, Ask, Asked},
    exact,
    line::{self, Ear, Heard},
    logging::Level,
    server,
    suspended::{Asker, Running, Suspended},
    tools::Outcome,
};
use crate::{
    error::{Code, Error, Result},
    faces::{
        backend::Backend,
        relay::{
            bound_session::BoundSession,
            message::{self, SESSION_META},
        },
    },
    model::{Credential, SessionId},
    operations::{
        self, CallOptions, Haldir, Operation,
        proxied::{self, Hearing, refusal_text},
    },
};

/// The header that names the session of a call.
const SESSION_HEADER: &str = "x-session-id";

/// The tools of upstreams that may be called, as far as this caller may see them. The first answer waits for children of
/// this process that have just been started, since a client that has asked does not ask again.
pub async fn tools(backend: &Backend, credential: &Credential) -> Vec<Tool> {
    let listed = pinned(backend, credential).await;
    if let Backend::Local(haldir) = backend {
        let names: Vec<&str> = listed.iter().map(|tool| tool.name.as_ref()).collect();
        if haldir.children_listed(&names).await {
            return pinned(backend, credential).await;
        }
    }
    listed
}

async fn pinned(backend: &Backend, credential: &Credential) -> Vec<Tool> {
    #[derive(Deserialize)]
    struct Listed {
        tools: Vec<Value>,
    }
    let listed = match operations::named("listProxyTools") {
        Some(operation) => backend.call(operation, credential, "{\"state\":\"pinned\"}", CallOptions::default()).await,
        None => return Vec::new(),
    };
    // A key that may not see them sees haldir's own tools all the same.
    let Ok(reply) = listed else { return Vec::new() };
    let Ok(Listed { tools }) = serde_json::from_str(&reply.body) else { return Vec::new() };
    tools.into_iter().filter_map(tool).collect()
}

/// A tool as its upstream defines it, under its whole name. How it may be called over a connection of its own does not
/// hold here.
fn tool(mut listed: Value) -> Option<Tool> {
    let name = listed["name"].take();
    let Value::Object(mut definition) = listed["definition"].take() else { return None };
    definition.insert("name".to_owned(), name);
    definition.remove("execution");
    serde_json::from_value(Value::Object(definition)).ok()
}

/// The session that calls of a connection are made in, where they name none.
#[derive(Default)]
pub struct Session {
    // A std mutex: held to look or to write, never across a wait.
    made: Mutex<Option<String>>,
    bound: Option<Arc<BoundSession>>,
}

impl Session {
    /// Falls back to this one for a local agent.
    pub fn bind(&mut self, session: Arc<BoundSession>) {
        self.bound = Some(session);
    }

    /// A session that was made over this connection is the one that its next calls are made in.
    pub fn note(&self, operation: &Operation, outcome: &Outcome) {
        #[derive(Deserialize)]
        struct Made {
            session_id: String,
        }
        if operation.name == "createSession"
            && !outcome.is_error
            && let Ok(Made { session_id }) = serde_json::from_str(&outcome.json)
        {
            *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(session_id);
        }
    }

    async fn of(&self, credential: &Credential, context: &RequestContext<RoleServer>) -> Result<String> {
        let named = context.meta.get(SESSION_META).and_then(Value::as_str).map(str::to_owned);
        let parts = context.extensions.get::<http::request::Parts>();
        let header = || parts?.headers.get(SESSION_HEADER)?.to_str().ok().map(str::to_owned);
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(session) = named.or_else(header).or_else(made) {
            return Ok(session);
        }
        match (&self.bound, credential) {
            (Some(bound), Credential::LocalAgent) => bound.id().await.map(|id| id.to_string()),
            _ => Err(Error::new(
                Code::SessionInvalid,
                "the call names no session: make one with createSession first, or send its id as X-Session-ID",
            )),
        }
    }
}

fn session_id(text: &str) -> Result<SessionId> {
    SessionId::parse(text).map_err(|problem| Error::invalid("session_id", format!("the session {problem}")))
}

/// A call of a tool that is not haldir's own.
pub struct Call<'a> {
    /// `upstream.tool`, or `tool`.
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
    pub suspended: &'a Suspended,
}

impl Call<'_> {
    /// Makes the call, if haldir lets it.
    pub async fn answer(
        &self,
        backend: &Backend,
        credential: &Credential,
        session: &Session,
        context: &RequestContext<RoleServer>,
        ask: Option<Ask<'_>>,
    ) -> Result<CallToolResponse, ErrorData> {
        let state = self.params.request_state.as_deref().filter(|state| Suspended::is_state(state));
        let (outcome, has_session) = match session.of(credential, context).await {
            Ok(session) => match (state, backend) {
                (Some(state), Backend::Local(haldir)) => {
                    let Some(outcome) = self.gone_on(haldir, credential, &session, context, state).await else {
                        let problem = "requestState: this call does not wait here, or was for something else";
                        return Err(ErrorData::invalid_params(problem, None));
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
        // Without a session nobody has looked for the tool. Who may not even ask which there are is told that there is none.
        let is_unknown = match error.code {
            Code::UnknownTool => true,
            Code::SessionInvalid => !self.is_shown(backend, credential).await,
            _ => !has_session && !self.is_shown(backend, credential).await,
        };
        if is_unknown {
            return Err(server::unknown_tool(self.tool));
        }
        Ok(CallToolResult::error(vec![ContentBlock::text(refusal_text(&error))]).into())
    }

    async fn is_shown(&self, backend: &Backend, credential: &Credential) -> bool {
        tools(backend, credential).await.iter().any(|tool| tool.name == self.tool)
    }

    /// Makes the call, and asks the person at the client if that is what it waits for.
    async fn decided_and_made(
        &self,
        backend: &Backend,
        credential: &Credential,
        session: &str,
        context: &RequestContext<RoleServer>,
        ask: Option<Ask<'_>>,
    ) -> Result<CallToolResponse> {
        let made = |result: String| exact::carried(&result).into();
        let params = self.params;
        let attempt = |hearing: Hearing| self.make(backend, credential, session, context, hearing);
        let Some(ask) = ask else {
            return attempt(Hearing::default()).await.map(made);
        };
        let brought = ask.brought(params).await?;
        let slot = ask::slot();
        let hearing = Hearing { held: Some(Arc::clone(&slot)), ..brought.clone().unwrap_or_default() };
        let result = attempt(hearing).await?;
        let Some(held) = slot.get() else { return Ok(made(result)) };
        match ask.ask(held, brought.as_ref(), params).await? {
            Asked::Decided(hearing) => attempt(hearing).await.map(made),
            Asked::Told(text) => Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into()),
            Asked::InputRequired(response) => Ok(*response),
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
        context: &RequestContext<RoleServer>,
        hearing: Hearing,
    ) -> Result<String> {
        if let Backend::Local(haldir) = backend {
            return self.make_here(haldir, credential, session, context, hearing).await;
        }
        // Progress, log messages and questions do not travel by REST; that nobody waits any more does.
        let hearing = Hearing { taken_back: Some(context.ct.clone()), ..hearing };
        let operation = operations::named("proxyCall").ok_or_else(|| Error::internal("there is no proxyCall"))?;
        let arguments = self.arguments();
        // As text, so that every number of the arguments stays as it was written.
        let input = format!(
            "{{\"tool\":{},\"session_id\":{},\"arguments\":{arguments}}}",
            message::quoted(self.tool),
            json!(session)
        );
        let reply =
            backend.call(operation, credential, &input, CallOptions { hearing, ..CallOptions::default() }).await?;
        Ok(reply.body.to_string())
    }

    async fn make_here(
        &self,
        haldir: &Haldir,
        credential: &Credential,
        session: &str,
        context: &RequestContext<RoleServer>,
        hearing: Hearing,
    ) -> Result<String> {
        let mut cx = haldir.enter_proxy(credential).await?;
        let id = session_id(session)?;
        let arguments = self.arguments();
        let (tool, arguments) = (self.tool.to_owned(), arguments.to_owned());
        let Some((line, ear, said)) = line::open(context, self.params, self.whose, self.level) else {
            cx.hearing = Hearing { taken_back: Some(context.ct.clone()), ..hearing };
            // A task of its own: what has left is settled, also if nobody waits for it any more.
            let call = tokio::spawn(proxied::as_written(cx, tool, id, arguments));
            return Ok(call.await.map_err(Error::internal)??.get().to_owned());
        };
        // Of its own, since the call may outlive this request.
        let taken_back = CancellationToken::new();
        cx.hearing = Hearing { taken_back: Some(taken_back.clone()), line: Some(line), ..hearing };
        let call = self.suspended.run(proxied::as_written(cx, tool, id, arguments), taken_back, said);
        self.attended(&ear, call, self.asker(credential, session)).await
    }

    fn asker(&self, credential: &Credential, session: &str) -> Asker {
        Asker::new(credential, session, self.tool, self.arguments)
    }

    /// What a call comes to, or what its client is asked first by a result.
    async fn attended(&self, ear: &Ear<'_>, mut call: Running, asker: Asker) -> Result<String> {
        loop {
            match ear.attend(&mut call).await {
                Heard::Over(result) => return Ok(result?.get().to_owned()),
                Heard::Asks(questions) => match self.suspended.leave(call, questions, asker) {
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
        context: &RequestContext<RoleServer>,
        state: &str,
    ) -> Option<Result<String>> {
        let asker = self.asker(credential, session);
        let back = self.suspended.find(state, asker)?;
        let may = || proxied::may_go_on(&haldir.watch_proxy(credential)?, &session_id(session)?);
        if let Err(error) = may() {
            back.end();
            return Some(Err(error));
        }
        let call = back.go_on(self.params.input_responses.as_ref()).await?;
        let ear = Ear { context, level: self.level };
        Some(self.attended(&ear, call, asker).await)
    }
}
