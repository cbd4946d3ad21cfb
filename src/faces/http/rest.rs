//! `/v1`: a route for every operation, from the list.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{RawPathParams, Request, State},
    response::Response,
    routing::{MethodRouter, on},
};
use http::HeaderMap;

use super::{App, guard::RequestId, input, respond};
use crate::{
    error::{Error, Result},
    operations::{self, CallOptions, Method, Operation},
};

/// Every operation at its path.
pub fn routes() -> Router<App> {
    operations::all().iter().fold(Router::new(), |router, operation| router.route(operation.path, route(operation)))
}

fn route(operation: &'static Operation) -> MethodRouter<App> {
    let filter = match operation.method {
        Method::Get => axum::routing::MethodFilter::GET,
        Method::Post => axum::routing::MethodFilter::POST,
        Method::Delete => axum::routing::MethodFilter::DELETE,
    };
    let fields = Arc::new(input::Fields::of(operation));
    let handler = move |State(app): State<App>, Extension(id): Extension<RequestId>, path, request| async move {
        match handle(&app, operation, &fields, path, request).await {
            Ok(response) => response,
            Err(error) => respond::error(&error, &id),
        }
    };
    on(filter, handler)
}

async fn handle(
    app: &App,
    operation: &'static Operation,
    fields: &input::Fields,
    path: RawPathParams,
    request: Request,
) -> Result<Response> {
    let credential = input::credential(request.headers());
    let idempotency_key = header_text(request.headers(), "idempotency-key")?;
    let mut object = String::from("{");
    for (name, value) in &path {
        fields.write(&mut object, name, value);
    }
    let input = if operation.method == Method::Post {
        input::check_content_type(request.headers())?;
        let authenticate =
            || if operation.open_to_anonymous { Ok(()) } else { app.shared.haldir.authenticate_only(&credential) };
        // Who may not call at all is told so before a large body is read, and before what is wrong with it.
        if !input::has_small_body(&request) {
            authenticate()?;
        }
        match input::body(request).await.and_then(|body| input::merge(object, &body)) {
            Ok(input) => input,
            Err(error) if operation.open_to_anonymous => return Err(error),
            Err(error) => return Err(app.shared.haldir.authenticate_unread(&credential).err().unwrap_or(error)),
        }
    } else {
        if fields.contains("session_id")
            && operation.path_fields().all(|field| field != "session_id")
            && let Some(session) = header_text(request.headers(), "x-session-id")?
        {
            fields.write(&mut object, "session_id", &session);
        }
        for (name, value) in input::query(request.uri().query().unwrap_or_default())? {
            fields.write(&mut object, &name, &value);
        }
        object + "}"
    };
    let reply = app.shared.haldir.call(operation, &credential, &input, CallOptions { idempotency_key }).await?;
    Ok(respond::reply(reply))
}

fn header_text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>> {
    let value = headers.get(name).map(|value| value.to_str().map(str::to_owned));
    value.transpose().map_err(|_| Error::invalid(name, format!("the header {name} must be plain ASCII text")))
}
