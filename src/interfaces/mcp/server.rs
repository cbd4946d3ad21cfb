//! haldir as an rmcp server.
#![expect(deprecated, reason = "SEP-2577 deprecates logging; clients of every earlier revision have it")]

mod changes;

use std::sync::{Arc, atomic::AtomicBool};

use parking_lot::Mutex;
use rmcp::{
    ErrorData, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CustomRequest, CustomResult,
        ErrorCode, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestParams,
        SubscriptionFilter, Tool,
    },
    service::SubscriptionContext,
};

use super::{
    Context, RawArguments, client_channel, completion,
    elicit::Elicitor,
    logging::{self, Level},
    paused::PausedCalls,
    prompts, resources,
    session::{self, Session, Standing},
    tools, upstreams,
};
use crate::{
    error::{Code, Error},
    interfaces::backend::Backend,
    jobs::tool_changes::ToolChanges,
    model::Credential,
    operations::{self, proxied::WantedLogs},
    protocol::header::SESSION_ID,
    relay::{bound_session::BoundSession, elicitation::AskSettings},
};

/// What clients tell their model about haldir.
const INSTRUCTIONS: &str = "haldir governs what you may do. Begin with createSession, asking for the fewest scopes \
    and the smallest budget that the task needs, and give its session_id in every further call. Ask checkPermission \
    before a sensitive action and authorizePayment before every payment; if either says no, do not go on. Read \
    secrets with getSecret only when they are about to be used, and never repeat them. Record what you did with \
    logAction, and end with revokeSession.";

/// haldir, serving one connection.
pub struct HaldirMcp {
    backend: Backend,
    /// The caller; over HTTP every request has its own.
    credential: Credential,
    log_level: Level,
    /// What upstreams are told of it, for as long as this connection lasts.
    wanted_logs: Mutex<Option<WantedLogs>>,
    session: Session,
    asks: Elicitor,
    paused: PausedCalls,
    /// Tells this connection from others.
    whose: u64,
    /// Where changes of upstreams' tools are heard of, and whether this connection hears of them already.
    changes: Option<ToolChanges>,
    follows: AtomicBool,
}

impl HaldirMcp {
    /// Serves `backend` to the holder of `credential`.
    pub fn new(backend: Backend, credential: Credential) -> Self {
        let changes = match &backend {
            Backend::Local(haldir) => Some(ToolChanges::new(haldir.clone())),
            Backend::Remote(_) => None,
        };
        Self {
            backend,
            credential,
            log_level: Level::default(),
            wanted_logs: Mutex::default(),
            session: Session::default(),
            asks: Elicitor::default(),
            paused: PausedCalls::default(),
            whose: client_channel::next_client(),
            changes,
            follows: AtomicBool::new(false),
        }
    }

    /// Looks for changes of tools together with others.
    #[must_use]
    pub fn following(mut self, changes: ToolChanges) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Calls the tools of upstreams in this session, where a local agent names none.
    #[must_use]
    pub fn bound_to(mut self, session: Arc<BoundSession>) -> Self {
        self.session.bind(session);
        self
    }

    /// Remembers sessions by their caller, for callers without a lasting connection.
    #[must_use]
    pub fn standing_on(mut self, standing: Standing) -> Self {
        self.session.stand_on(standing);
        self
    }

    /// Asks the person at the client so about calls that need an approval.
    #[must_use]
    pub fn asking(mut self, asking: AskSettings) -> Self {
        self.asks = Elicitor::new(asking);
        self
    }

    /// Leaves calls that wait for answers where other requests find them.
    #[must_use]
    pub fn pausing_in(mut self, paused: PausedCalls) -> Self {
        self.paused = paused;
        self
    }

    fn credential(&self, context: &Context) -> Credential {
        let parts = context.extensions.get::<http::request::Parts>();
        parts.and_then(|parts| parts.extensions.get::<Credential>()).unwrap_or(&self.credential).clone()
    }
}

/// The arguments as they were written; only a transport that is not ours leaves them to be written again.
fn arguments(context: &Context, params: &CallToolRequestParams) -> String {
    let parts = context.extensions.get::<http::request::Parts>();
    let raw = context.extensions.get::<RawArguments>().or_else(|| parts?.extensions.get::<RawArguments>());
    match (raw, &params.arguments) {
        (Some(raw), _) => raw.0.to_string(),
        (None, Some(arguments)) => serde_json::Value::Object(arguments.clone()).to_string(),
        (None, None) => "{}".to_owned(),
    }
}

/// An error as JSON-RPC has it: what the caller can mend is -32602, the rest is -32603.
pub fn to_rpc(error: &Error) -> ErrorData {
    let code = match error.code {
        Code::NotFound => ErrorCode::RESOURCE_NOT_FOUND,
        Code::Internal | Code::Unavailable => ErrorCode::INTERNAL_ERROR,
        _ => ErrorCode::INVALID_PARAMS,
    };
    ErrorData::new(code, error.message.clone(), serde_json::from_str(&error.body(None)).ok())
}

impl ServerHandler for HaldirMcp {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_completions()
            .enable_logging()
            .build();
        if let Some(tools) = capabilities.tools.as_mut().filter(|_| self.changes.is_some()) {
            tools.list_changed = Some(true);
        }
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("haldir", env!("CARGO_PKG_VERSION")).with_title("haldir"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        // Before they are listed, so that no change is missed in between.
        self.follow(&context).await;
        let mut all = tools::all().to_vec();
        let credential = self.credential(&context);
        let session = Session::named(&context).or_else(|| self.session.made_by(&credential));
        all.extend(upstreams::tools(&self.backend, &credential, session.as_deref()).await);
        Ok(ListToolsResult::with_all_items(all))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.changes.as_ref()?;
        // All that changes here.
        let tools = SubscriptionFilter::builder().tools_list_changed().build();
        Some(requested.intersection(&tools))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let Some(changes) = &self.changes else { return Ok(()) };
        let credential = self.credential(subscription.request_context());
        let mut changes = changes.follow(&credential).await.map_err(|error| to_rpc(&error))?;
        loop {
            let change = tokio::select! {
                change = changes.changed() => change,
                () = subscription.cancelled() => return Ok(()),
            };
            if change.is_err() {
                return Ok(());
            }
            if let Err(error) = subscription.sink().notify_tool_list_changed().await {
                tracing::debug!(%error, "a change of the tools was not told");
            }
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(&self, params: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        logging::check(&context)?;
        let credential = self.credential(&context);
        let arguments = arguments(&context, &params);
        let Some(operation) = operations::tool(&params.name) else {
            let ask = self.asks.about(&self.backend, &credential, &context);
            let call = upstreams::Call {
                tool: &params.name,
                arguments: &arguments,
                params: &params,
                whose: self.whose,
                level: &self.log_level,
                paused: &self.paused,
            };
            return call.answer(&self.backend, &credential, &self.session, &context, ask).await;
        };
        let session = if session::uses_session(operation) && !session::may_name_one(&arguments) {
            match Session::named(&context) {
                Some(named) => Some(named),
                // An agent ends what it made, never by default what its operator bound this process to.
                None if operation.name == "revokeSession" => self.session.made_by(&credential),
                // Without any, the tool says that it needs one.
                None => self.session.of(&credential).await.ok(),
            }
        } else {
            None
        };
        let arguments = session::filled(operation, &arguments, session.as_deref());
        let before = self.session.made_by(&credential);
        let outcome = tools::call(&self.backend, &credential, operation, &arguments, true).await;
        let outcome = outcome.unwrap_or_else(|error| tools::refusal(&error));
        self.session.note(&credential, operation, &outcome);
        self.tell_of_session(before, &credential, &context).await;
        self.log_level.tell(&context, operation.name, &outcome).await;
        Ok(outcome.into_result().into())
    }

    async fn set_level(&self, params: SetLevelRequestParams, context: Context) -> Result<(), ErrorData> {
        self.log_level.set(params.level, &context)?;
        if let Backend::Local(haldir) = &self.backend
            && lasts(&context)
        {
            // A caller that may call no upstream gets no log messages of any.
            let wanted = haldir.want_logs(&self.credential(&context), logging::known(params.level)).ok();
            *self.wanted_logs.lock() = wanted;
        }
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::all()))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt = prompts::get(&self.backend, &self.credential(&context), &params).await;
        prompt.map(Into::into).map_err(|error| prompts::to_rpc(&error))
    }

    async fn complete(&self, params: CompleteRequestParams, context: Context) -> Result<CompleteResult, ErrorData> {
        completion::complete(&self.backend, &self.credential(&context), &params).await.map_err(|error| to_rpc(&error))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::all()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = resources::read(&self.backend, &self.credential(&context), &params.uri).await;
        contents.map(Into::into).map_err(|error| to_rpc(&error))
    }

    /// rmcp hands over as custom whatever it could not read: a method that it knows then had bad parameters.
    async fn on_custom_request(&self, request: CustomRequest, context: Context) -> Result<CustomResult, ErrorData> {
        let ended = is_modern(&context) && ENDED_METHODS.contains(&request.method.as_str());
        if !ended && KNOWN_METHODS.contains(&request.method.as_str()) {
            let message = format!("the parameters of {} are missing or of the wrong type", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("the method {} is unknown", request.method), None))
    }
}

/// Whether the request is of the revision without handshake and sessions, or of a later one.
pub(super) fn is_modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Whether the connection of this request is for more than this one.
fn lasts(context: &Context) -> bool {
    let parts = context.extensions.get::<http::request::Parts>();
    !is_modern(context) && parts.is_none_or(|parts| parts.headers.contains_key(SESSION_ID))
}

/// Tools of upstreams that are named to a client that has called one that there is not.
const MAX_NAMED: usize = 100;

/// The methods that 2026-07-28 no longer has, of those that this server answers before it.
const ENDED_METHODS: [&str; 3] = ["initialize", "ping", "logging/setLevel"];

/// The methods that this server answers.
const KNOWN_METHODS: [&str; 12] = [
    "initialize", "ping", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
    "resources/templates/list", "resources/read", "completion/complete", "logging/setLevel", "server/discover",
];

/// A tool that does not exist is a fault of the request, not of a tool (MCP, Tools, Error handling).
pub fn unknown_tool(name: &str, of_upstreams: &[&str]) -> ErrorData {
    let own = tools::all().iter().map(|tool| tool.name.as_ref());
    let mut names: Vec<_> = own.chain(of_upstreams.iter().copied().take(MAX_NAMED)).collect();
    if of_upstreams.len() > MAX_NAMED {
        names.push("and more, which tools/list has");
    }
    let name: String = name.chars().take(100).collect();
    ErrorData::invalid_params(format!("the tool {name} is unknown; there are: {}", names.join(", ")), None)
}
