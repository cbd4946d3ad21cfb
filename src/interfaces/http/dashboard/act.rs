//! Forms: each calls one operation, with fields that are read by the operation's own schema.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request},
    response::Response,
};
use http::{StatusCode, header};
use serde_json::Value;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use super::{forms::Refill, notices, see_other, viewer::Viewer, within};
use crate::{
    crypto,
    error::{Code, Error, Result},
    interfaces::{
        cli::field::{Field, push_member},
        http::{body_budget::Payer, input},
    },
    operations::{self, Operation},
};

/// The largest form, in bytes: a policy or the arguments of a call stand in it.
const MAX_FORM_BYTES: usize = 256 * 1024;
/// Fields of a form.
const MAX_FIELDS: usize = 64;
/// The field with the token that only this browser's pages have.
const TOKEN: &str = "_token";
/// The field with the page to open afterwards.
pub const NEXT: &str = "_next";
const FORM: &str = "application/x-www-form-urlencoded";

/// The operations that forms of the dashboard call.
pub const OPERATIONS: [&str; 28] = [
    "acceptTools", "addApprovalRule", "addProxyPolicy", "approveRequest", "capturePayment", "createApiKey",
    "createComplianceSchedule", "deleteApprovalRule", "deleteComplianceSchedule", "deleteProxyPolicy", "deleteSecret",
    "deleteUpstream", "deleteWebhook", "denyRequest", "markTool", "pingWebhook", "registerUpstream", "registerWebhook",
    "resendDeadLetters", "revokeApiKey", "revokeSession", "rotateApiKey", "rotateWebhookSecret", "setAuditRetention",
    "stopAgent", "storeSecret", "verifyAuditTrail", "voidPayment",
];

/// The fields of a form.
#[derive(Default)]
pub struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// These fields.
    #[cfg(test)]
    pub fn of(fields: Vec<(String, Zeroizing<String>)>) -> Self {
        Self(fields)
    }

    /// The names of fields that an operation reads.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with('_'))
    }

    /// The text of a field, empty where there is none.
    pub fn text(&self, name: &str) -> Zeroizing<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// Reads a form. That of a browser that is not signed in is small.
pub async fn fields(request: Request, payer: Payer<'_>) -> Result<Fields> {
    let kind = request.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.and_then(|kind| kind.split(';').next()).is_none_or(|kind| !kind.trim().eq_ignore_ascii_case(FORM)) {
        return Err(Error::new(Code::UnsupportedMediaType, format!("send the form as {FORM}")));
    }
    let body = match payer {
        Payer::Stranger(_) => input::small_body(request, payer).await?,
        Payer::Sender(..) => input::body_within(request, MAX_FORM_BYTES, payer).await?,
    };
    let pairs = form_urlencoded::parse(&body).take(MAX_FIELDS);
    Ok(Fields(pairs.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect()))
}

/// Reads a form of a browser that is signed in. A form without the token of the browser's pages was made by another page
/// (cross-site request forgery).
pub async fn checked_fields(viewer: &Viewer, request: Request) -> Result<Fields> {
    let fields = fields(request, Payer::Sender(&viewer.app, &viewer.browser.credential)).await?;
    if !crypto::same(fields.text(TOKEN).as_bytes(), viewer.browser.form_token.as_bytes()) {
        let message = "the form does not come from a page that is signed in now: open the page again and repeat";
        return Err(Error::new(Code::ForbiddenOrigin, message));
    }
    Ok(fields)
}

/// Calls the operation of a form, and redirects to the form's page. If the call fails, the page shows the form again.
pub async fn act(viewer: Viewer, Path(name): Path<String>, request: Request) -> Response {
    let fields = match checked_fields(&viewer, request).await {
        Ok(fields) => fields,
        Err(error) => return viewer.failed("none", "Not done", &error),
    };
    let Some(operation) = OPERATIONS.contains(&name.as_str()).then(|| operations::named(&name)).flatten() else {
        return viewer.failed("none", "Not done", &Error::not_found("a form of this name"));
    };
    match carry_out(&viewer, operation, &fields).await {
        Ok(response) => response,
        Err(error) => {
            let next = fields.text(NEXT);
            again(&viewer, within(&next), Refill { operation: operation.name, fields, error: Some(error) }).await
        }
    }
}

async fn carry_out(viewer: &Viewer, operation: &'static Operation, fields: &Fields) -> Result<Response> {
    let reply = viewer.call(operation, &input_of(operation, fields)?).await?;
    if operation.answers_secret {
        // Redirects, since a reload of a response would send the form again and make another key.
        viewer.leave_once(operation, reply.body);
    } else {
        let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        viewer.leave_notice(notices::of(viewer, operation, fields, &answer).await);
    }
    Ok(see_other(within(&fields.text(NEXT))))
}

/// The page of a form again, with the form as it was sent and the error. The router makes it, as it would for the browser.
pub async fn again(viewer: &Viewer, path: &str, sent: Refill) -> Response {
    let status = sent.error.as_ref().map(|error| StatusCode::from_u16(error.code.status()));
    let sent = Arc::new(sent);
    let page = Request::get(path).header(header::COOKIE, viewer.cookie_header().as_str()).extension(sent.clone());
    let page = match page.body(Body::empty()) {
        Ok(request) => {
            super::routes().with_state(viewer.app.clone()).oneshot(request).await.unwrap_or_else(|never| match never {})
        }
        Err(error) => return viewer.failed("none", "Not done", &Error::internal(error)),
    };
    match (&sent.error, status) {
        // The page is gone, or is closed to this key: only the error of the form is shown.
        (Some(error), _) if page.status() != StatusCode::OK => viewer.failed("none", "Not done", error),
        (_, Some(Ok(status))) => {
            let mut page = page;
            *page.status_mut() = status;
            page
        }
        _ => page,
    }
}

/// The operation's input as JSON. Fields that were left empty are left out.
pub fn input_of(operation: &'static Operation, fields: &Fields) -> Result<Zeroizing<String>> {
    let known = Field::all(operation);
    let mut object = Zeroizing::new(String::from("{"));
    for (name, value) in fields.0.iter().filter(|(name, value)| !name.starts_with('_') && !value.is_empty()) {
        let field = known.iter().find(|field| field.name == *name);
        let field =
            field.ok_or_else(|| Error::invalid(name.as_str(), format!("{} has no such field", operation.name)))?;
        let expected = |expected| Error::invalid(name.as_str(), format!("expected {expected}"));
        push_member(&mut object, name, &Zeroizing::new(field.json(value).map_err(expected)?));
    }
    object.push('}');
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_calls_an_operation_that_there_is() {
        for name in OPERATIONS {
            assert!(
                operations::named(name).is_some_and(|operation| operation.run.changes() || name == "verifyAuditTrail"),
                "{name}"
            );
        }
    }

    #[test]
    fn fields_are_read_by_the_operation_s_schema_and_empty_ones_are_left_out() {
        let operation = operations::named("addProxyPolicy").unwrap();
        let given =
            [("type", "deny_list"), ("tools", "a.x, b.y"), ("max", ""), ("_next", "/dashboard"), ("dry_run", "true")];
        let given = given.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        let input = input_of(operation, &Fields(given.into())).unwrap();
        assert_eq!(*input, r#"{"type":"deny_list","tools":["a.x","b.y"],"dry_run":true}"#);
        let wrong = Fields(vec![("max".to_owned(), Zeroizing::new("ten".to_owned()))]);
        assert_eq!(input_of(operation, &wrong).unwrap_err().field.as_deref(), Some("max"));
    }
}
