//! Forms: each calls one operation, with fields that are read by the operation's own schema.

use axum::{
    extract::{Path, Request},
    response::Response,
};
use http::StatusCode;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    see_other,
    view::{Page, Part, Section, json, text},
    viewer::Viewer,
    within,
};
use crate::{
    crypto,
    error::{Code, Error, Result},
    faces::{
        cli::field::{Field, Kind},
        http::{input, receiving::Payer},
    },
    operations::{self, Operation},
};

/// The largest form, in bytes: a policy or the arguments of a call stand in it.
const MAX_FORM_BYTES: usize = 256 * 1024;
/// Fields of a form.
const MAX_FIELDS: usize = 64;
/// The field with the token that only this browser's pages have.
const TOKEN: &str = "_token";
/// The field with the page to go to.
const NEXT: &str = "_next";
const FORM: &str = "application/x-www-form-urlencoded";

/// The operations that forms of the dashboard call.
const OPERATIONS: [&str; 27] = [
    "acceptTools",
    "addApprovalRule",
    "addProxyPolicy",
    "approveRequest",
    "capturePayment",
    "createApiKey",
    "createComplianceSchedule",
    "deleteApprovalRule",
    "deleteComplianceSchedule",
    "deleteProxyPolicy",
    "deleteSecret",
    "deleteUpstream",
    "deleteWebhook",
    "denyRequest",
    "markTool",
    "pingWebhook",
    "registerUpstream",
    "registerWebhook",
    "resendDeadLetters",
    "revokeApiKey",
    "revokeSession",
    "rotateApiKey",
    "rotateWebhookSecret",
    "setAuditRetention",
    "stopAgent",
    "storeSecret",
    "voidPayment",
];

/// The fields of a form.
pub struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// The text of a field, empty where there is none.
    pub fn text(&self, name: &str) -> Zeroizing<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// Reads a form. Who is not signed in sends a small one.
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

/// Reads a form of a person who is signed in. One without the token of their browser's pages was made by another page.
pub async fn checked_fields(viewer: &Viewer, request: Request) -> Result<Fields> {
    let fields = fields(request, Payer::Sender(&viewer.app, &viewer.browser.credential)).await?;
    if !crypto::same(fields.text(TOKEN).as_bytes(), viewer.browser.form_token.as_bytes()) {
        let message = "the form does not come from a page that is signed in now: open the page again and repeat";
        return Err(Error::new(Code::ForbiddenOrigin, message));
    }
    Ok(fields)
}

/// Calls the operation of a form.
pub async fn act(viewer: Viewer, Path(name): Path<String>, request: Request) -> Response {
    match carry_out(&viewer, &name, request).await {
        Ok(response) => response,
        Err(error) => viewer.failed("", "Not done", &error),
    }
}

async fn carry_out(viewer: &Viewer, name: &str, request: Request) -> Result<Response> {
    let fields = checked_fields(viewer, request).await?;
    let operation = OPERATIONS
        .contains(&name)
        .then(|| operations::named(name))
        .flatten()
        .ok_or_else(|| Error::not_found("a form of this name"))?;
    let next = fields.text(NEXT);
    let reply = viewer.call(operation, &input_of(operation, &fields)?).await?;
    if operation.answers_secret {
        return Ok(shown_once(viewer, operation, &reply.body, within(&next)));
    }
    viewer.leave_notice(format!("Done: {}.", operation.title.to_lowercase()));
    Ok(see_other(within(&next)))
}

/// The operation's input as JSON. Fields that were left empty are left out.
pub fn input_of(operation: &'static Operation, fields: &Fields) -> Result<Zeroizing<String>> {
    let known = Field::all(operation);
    let mut object = Zeroizing::new(String::from("{"));
    for (name, value) in fields.0.iter().filter(|(name, value)| !name.starts_with('_') && !value.is_empty()) {
        let field = known.iter().find(|field| field.name == *name);
        let field =
            field.ok_or_else(|| Error::invalid(name.as_str(), format!("{} has no such field", operation.name)))?;
        let literal = Zeroizing::new(field.json(value).map_err(|message| Error::invalid(name.as_str(), message))?);
        if !object.ends_with('{') {
            object.push(',');
        }
        object.push_str(&Value::from(name.as_str()).to_string());
        object.push(':');
        if matches!(field.kind, Kind::List(_)) {
            object.push('[');
            object.push_str(&literal);
            object.push(']');
        } else {
            object.push_str(&literal);
        }
    }
    object.push('}');
    Ok(object)
}

/// What an operation answers once and never again, such as a new key.
fn shown_once(viewer: &Viewer, operation: &Operation, body: &str, next: &str) -> Response {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let parts = vec![
        Part::Text(text("Copy what you need now: this is shown once. Nothing keeps it in clear.")),
        Part::Code(json(&answer)),
        Part::Text(vec![super::view::Inline::Link { href: next.to_owned(), text: "Back".to_owned() }]),
    ];
    let page = Page::new(operation.title, vec![Section::new("answer", operation.title, parts)]);
    let mut response = viewer.answer("", Ok(page));
    *response.status_mut() = StatusCode::OK;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_calls_an_operation_that_there_is() {
        for name in OPERATIONS {
            assert!(operations::named(name).is_some_and(|operation| operation.run.changes()), "{name}");
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
