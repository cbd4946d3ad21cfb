//! `/v1`: a route for every operation of the list.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{RawPathParams, Request, State},
    response::Response,
    routing::{MethodRouter, on},
};
use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{App, MAX_BODY_BYTES, body_budget::Payer, guard::RequestId, input, respond};
use crate::{
    error::{Code, Error, Result},
    model::Credential,
    operations::{self, AdmittedCall, CallOptions, Method, Operation, Run, proxied::as_tool_result},
};

/// Decides what happens to a tool call whose client disconnects. By default it runs to its end.
pub const ON_HANG_UP: &str = "x-on-hang-up";
/// The call is cancelled.
pub const CANCEL: &str = "cancel";

/// Every operation at its path.
pub fn routes() -> Router<App> {
    operations::all().iter().fold(Router::new(), |router, operation| router.route(operation.path, route(operation)))
}

fn route(operation: &'static Operation) -> MethodRouter<App> {
    let filter = match operation.method {
        Method::Get => axum::routing::MethodFilter::GET,
        Method::Post => axum::routing::MethodFilter::POST,
        Method::Put => axum::routing::MethodFilter::PUT,
        Method::Delete => axum::routing::MethodFilter::DELETE,
    };
    let fields = Arc::new(input::Fields::of(operation));
    let handler = move |State(app): State<App>, Extension(id): Extension<RequestId>, path, request| async move {
        answer(&app, operation, &fields, path, request, &id).await
    };
    on(filter, handler)
}

async fn answer(
    app: &App,
    operation: &'static Operation,
    fields: &input::Fields,
    path: RawPathParams,
    request: Request,
    id: &RequestId,
) -> Response {
    let haldir = &app.shared.haldir;
    let credential = input::credential(request.headers());
    // With rate limits on, every request of a known key counts, malformed ones too, and its response has the rest.
    let entered = if haldir.counts_calls() {
        match haldir.admit_call(operation, &credential).await {
            Ok(entered) => Some(entered),
            Err(error) => return respond::error(&error, id),
        }
    } else {
        None
    };
    let remaining = entered.as_ref().and_then(|entered| entered.remaining);
    let outcome = carry_out(app, operation, fields, path, request, (&credential, entered)).await;
    let mut response = outcome.unwrap_or_else(|error| respond::error(&as_answered(operation, error), id));
    respond::limits(&mut response, remaining);
    response
}

/// Callers of authorizePayment read `authorized`, so a refusal by any rule has it.
fn as_answered(operation: &Operation, error: Error) -> Error {
    let is_bare_refusal = error.code.status() == 403 && error.extra("isError").is_none();
    if operation.name == "proxyCall" && is_bare_refusal {
        return as_tool_result(error);
    }
    let lacks_decision =
        operation.name == "authorizePayment" && error.code.status() == 403 && error.extra("authorized").is_none();
    if lacks_decision { error.with("authorized", false) } else { error }
}

async fn carry_out(
    app: &App,
    operation: &'static Operation,
    fields: &input::Fields,
    path: RawPathParams,
    request: Request,
    (credential, entered): (&Credential, Option<AdmittedCall>),
) -> Result<Response> {
    let haldir = &app.shared.haldir;
    let idempotency_key = header_text(request.headers(), "idempotency-key")?;
    let on_hang_up = header_text(request.headers(), ON_HANG_UP)?;
    let for_loopback = app.shared.guard.is_for_loopback(request.headers());
    let as_text = respond::accepts_text_alone(request.headers());
    let mut given: Vec<(String, String)> =
        path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if !operation.method.has_body()
        && fields.contains("session_id")
        && operation.path_fields().all(|field| field != "session_id")
        && let Some(session) = header_text(request.headers(), "x-session-id")?
    {
        given.push(("session_id".to_owned(), session));
    }
    given.extend(input::query(request.uri().query().unwrap_or_default())?);
    let given = fields.object(given)?;
    let input = if operation.method.has_body() {
        input::check_content_type(request.headers())?;
        let is_stranger = operation.open_to_anonymous && matches!(credential, Credential::Anonymous);
        let authenticate = || {
            let is_known = is_stranger || entered.is_some();
            if is_known { Ok(()) } else { haldir.authenticate_only(credential) }
        };
        // A caller without permission is refused before a large body is read, and before its errors are reported.
        if !input::has_small_body(&request) {
            authenticate()?;
        }
        // A tool call has the same size limit as over MCP.
        let is_call = operation.name == "proxyCall";
        let most = if is_call { app.shared.message_bytes } else { MAX_BODY_BYTES };
        let read = if is_stranger {
            input::small_body(request, Payer::Stranger(app)).await
        } else {
            input::body_within(request, most, Payer::Sender(app, credential)).await
        };
        let read = read.map(|body| if is_call { input::whole(body) } else { body });
        match read.and_then(|body| input::merge(given, &body)) {
            Ok(input) => input,
            Err(error) if is_stranger => return Err(error),
            Err(error) => return Err(app.shared.haldir.authenticate_unread(credential).err().unwrap_or(error)),
        }
    } else {
        given.into_text()
    };
    if operation.open_to_anonymous && matches!(credential, Credential::Anonymous) && !for_loopback && !has_token(&input)
    {
        // A client behind a reverse proxy is remote, although the connection comes from this machine.
        let message = "making a key needs an operator's API key, or the bootstrap token as bootstrap_token; the first \
                       one of a store also `haldir keys create` beside it";
        return Err(Error::new(Code::Unauthorized, message));
    }
    let mut options = CallOptions { idempotency_key, may_lag: true, ..CallOptions::default() };
    if matches!(operation.run, Run::Stream(_)) {
        let entered = match entered {
            Some(entered) => entered,
            None => haldir.admit_call(operation, credential).await?,
        };
        let streamed = haldir.stream(operation, entered, &input, &options).await?;
        return respond::streamed(operation.status, streamed, as_text);
    }
    // Dropped with this future if the client disconnects.
    let cancelled = CancellationToken::new();
    let _guard = cancelled.clone().drop_guard();
    if on_hang_up.as_deref() == Some(CANCEL) && options.idempotency_key.is_none() {
        options.client.cancelled = Some(cancelled);
    }
    let reply = match entered {
        Some(entered) => haldir.execute(operation, credential, entered, &input, options).await?,
        None => haldir.call(operation, credential, &input, options).await?,
    };
    Ok(respond::reply(reply))
}

/// Whether the input has a bootstrap token.
fn has_token(input: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Input {
        bootstrap_token: Option<Zeroizing<String>>,
    }
    serde_json::from_str::<Input>(input).is_ok_and(|input| input.bootstrap_token.is_some())
}

fn header_text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>> {
    let value = headers.get(name).map(|value| value.to_str().map(str::to_owned));
    value.transpose().map_err(|_| Error::invalid(name, format!("the header {name} must be plain ASCII text")))
}
