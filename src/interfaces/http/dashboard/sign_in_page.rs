//! Signing in with an API key or a one-time link, and signing out.

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use zeroize::Zeroizing;

use super::{
    Frame, PATH, act, query_field, rendered, see_other,
    view::{Field, Form, Input, Page, Part, Section, code, text},
    viewer::{COOKIE, ENDED, REVOKED, Viewer, outside_error},
    within,
};
use crate::{
    error::{Code, Result},
    interfaces::http::{App, body_budget::Payer},
    model::Credential,
};

/// The form.
pub async fn page(uri: Uri) -> Response {
    let field = |name: &str| query_field(&uri, name).ok().flatten();
    let next = field("next").unwrap_or_else(|| PATH.to_owned());
    let problem = match field("out").as_deref() {
        Some(REVOKED) => Some("You were signed out: the key that you signed in with was revoked or has expired."),
        Some(ENDED) => {
            Some("You were signed out: this browser was idle or signed in for too long, or haldir was started again.")
        }
        _ => None,
    };
    form(StatusCode::OK, within(&next), problem)
}

fn form(status: StatusCode, next: &str, problem: Option<&str>) -> Response {
    let about = "An operator's key sees everything of its tenant; the key of an agent sees what its scopes allow.";
    let beside = [
        text("On the machine of the store, "),
        code("haldir dashboard"),
        text(" signs you in without a key, and "),
        code("haldir keys create"),
        text(" makes one."),
    ];
    let key = Field::new("key", "API key", Input::Key, "It begins with hld_").required();
    let form =
        Form { action: format!("{PATH}/sign-in"), fields: vec![key], ..Form::button("signIn", "Sign in", &[], next) };
    let problem = problem.map(|problem| Part::Alert(problem.to_owned()));
    let parts = problem.into_iter().chain([Part::says(about), Part::Form(form), Part::Text(beside.concat())]);
    let section = Section::new("sign-in", "", parts.collect());
    rendered(status, &Frame::outside(), &Page::new("Sign in", vec![section]))
}

/// Takes the key.
pub async fn submit(State(app): State<App>, request: Request) -> Response {
    let secure = is_secure(&app, request.headers());
    let fields = match act::fields(request, Payer::Stranger(&app)).await {
        Ok(fields) => fields,
        Err(error) => return outside_error(&error),
    };
    let mut key = fields.text("key");
    let trimmed = key.trim().len();
    if trimmed != key.len() {
        key = Zeroizing::new(key.trim().to_owned());
    }
    let next = fields.text("_next");
    let haldir = &app.shared.haldir;
    match haldir.sign_in(&Credential::ApiKey(key)) {
        Ok((credential, _)) => signed_in(&app, credential, within(&next), secure),
        Err(error) if error.code == Code::Unauthorized => {
            let problem = "There is no such key: it is mistyped, revoked or expired.";
            form(StatusCode::UNAUTHORIZED, within(&next), Some(problem))
        }
        Err(error) => outside_error(&error),
    }
}

/// Opens a one-time link, as `haldir dashboard` makes it.
pub async fn open_link(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Response {
    let token = query_field(&uri, "token").ok().flatten().map(Zeroizing::new);
    let now = app.shared.haldir.now();
    if let Some(credential) = token.and_then(|token| app.shared.signed_in.open_link(&token, now)) {
        return signed_in(&app, credential, PATH, is_secure(&app, &headers));
    }
    let problem = "This link was used already, or is too old: run haldir dashboard again.";
    form(StatusCode::UNAUTHORIZED, PATH, Some(problem))
}

fn signed_in(app: &App, credential: Credential, next: &str, secure: bool) -> Response {
    let added = app.shared.signed_in.add(credential, app.shared.haldir.now());
    match added.and_then(|token| set_cookie(&token, app.shared.signed_in.longest(), secure)) {
        Ok(cookie) => {
            let mut response = see_other(next);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(error) => outside_error(&error),
    }
}

/// Ends the session of this browser.
pub async fn sign_out(viewer: Viewer, request: Request) -> Response {
    let secure = is_secure(&viewer.app, request.headers());
    if let Err(error) = act::checked_fields(&viewer, request).await {
        return viewer.failed("none", "Not signed out", &error);
    }
    viewer.sign_out();
    let mut response = see_other(&format!("{PATH}/sign-in"));
    if let Ok(cookie) = set_cookie("", 0, secure) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn set_cookie(value: &str, max_age: i64, secure: bool) -> Result<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path={PATH}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).map_err(crate::error::Error::internal)?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// Whether the browser reaches this server over TLS: the public URL says so, or the page that sends the form.
fn is_secure(app: &App, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    app.shared.public_url.starts_with("https://") || origin.starts_with("https://")
}
