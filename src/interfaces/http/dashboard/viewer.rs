//! The person whose browser sends a request, and what their credential may see.

use std::collections::HashMap;
use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Frame, PATH,
    forms::{self, Refill},
    once, rendered, see_other,
    sign_in::{Browser, Notice},
    view::{Page, Part, Section, query_of, shown},
};
use crate::{
    error::{Code, Error, Result},
    gate::list_api_keys::ApiKeyList,
    interfaces::http::App,
    model::{Caller, Role},
    operations::{self, CallOptions, Operation, Reply},
};

/// The name of the cookie.
pub const COOKIE: &str = "haldir_dashboard";
/// Where an open page hears that the log has grown.
const LIVE: &str = "/dashboard/live";
/// Sent by the script of a page that fetches itself again.
const BY_PAGE: &str = "x-haldir-live";

/// Why the page to sign in is shown: the session of the browser is over.
pub const ENDED: &str = "ended";
/// Why the page to sign in is shown: the key does not work any more.
pub const REVOKED: &str = "revoked";

/// The person at a browser that is signed in.
pub struct Viewer {
    /// The server.
    pub app: App,
    /// Their caller: tenant, role and scopes.
    pub caller: Caller,
    /// Their browser.
    pub browser: Browser,
    cookie: Zeroizing<String>,
    /// A form of the page that was sent, to show it again.
    sent: Option<Arc<Refill>>,
    by_person: bool,
    /// Entries of the log before anything of the page was read: the page follows the log from there.
    log_size: i64,
}

/// Names of keys by their first characters.
pub struct KeyNames(HashMap<String, String>);

impl KeyNames {
    /// What the log calls a caller, with the name of the key in front.
    pub fn of(&self, actor: &str) -> String {
        match self.0.get(actor).filter(|name| !name.is_empty()) {
            Some(name) => format!("{name} ({actor})"),
            None => actor.to_owned(),
        }
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> std::result::Result<Self, Response> {
        let by_person = !parts.headers.contains_key(BY_PAGE);
        let elsewhere = |out: &str| {
            // An event stream that is answered so is not asked for again (WHATWG HTML, section 9.2.3).
            if parts.uri.path() == LIVE {
                return StatusCode::NO_CONTENT.into_response();
            }
            let here = parts.uri.path_and_query().map_or(PATH, |path| path.as_str());
            // A form that comes too late cannot be sent again by a link.
            let next = if parts.method == http::Method::GET { here } else { "" };
            see_other(&format!("{PATH}/sign-in{}", query_of(&[("next", next), ("out", out)])))
        };
        let sent = parts.extensions.get::<Arc<Refill>>().cloned();
        let haldir = &app.shared.haldir;
        let Some(cookie) = cookie(&parts.headers) else { return Err(elsewhere("")) };
        let Some(browser) = app.shared.signed_in.find(&cookie, by_person, haldir.now()) else {
            return Err(elsewhere(ENDED));
        };
        let caller = haldir.caller_of(&browser.credential);
        match caller.and_then(|caller| Ok((caller, haldir.log_size(&browser.credential)?))) {
            Ok((caller, log_size)) => Ok(Self { app: app.clone(), caller, browser, cookie, sent, by_person, log_size }),
            Err(error) if error.code == Code::Unauthorized => {
                app.shared.signed_in.remove(&cookie);
                Err(elsewhere(REVOKED))
            }
            Err(error) => Err(outside_error(&error)),
        }
    }
}

/// The value of the dashboard's cookie (RFC 6265, section 5.4).
pub fn cookie(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned().into()).next()
}

impl Viewer {
    /// Whether the person may call an operation.
    pub fn may(&self, operation: &str) -> bool {
        operations::named(operation).is_some_and(|operation| operation.is_open_to(&self.caller))
    }

    /// Whether the person is an operator.
    pub fn is_operator(&self) -> bool {
        self.caller.role == Role::Operator
    }

    /// Calls an operation.
    pub async fn call(&self, operation: &'static Operation, input: &str) -> Result<Reply> {
        let haldir = &self.app.shared.haldir;
        haldir.call(operation, &self.browser.credential, input, CallOptions::default()).await
    }

    /// Calls an operation and reads its response.
    pub async fn read<T: DeserializeOwned>(&self, operation: &str, input: Value) -> Result<T> {
        let named = operations::named(operation).ok_or_else(|| Error::internal(format!("no operation {operation}")))?;
        let reply = self.call(named, &input.to_string()).await?;
        serde_json::from_str(&reply.body).map_err(Error::internal)
    }

    /// The same if the person may call it. A refusal is an entry of the log, which a page must not cause.
    pub async fn read_if_open<T: DeserializeOwned>(&self, operation: &str, input: Value) -> Result<Option<T>> {
        if self.may(operation) { self.read(operation, input).await.map(Some) } else { Ok(None) }
    }

    /// The section that shows the response of an operation; the section says so where the person may not call it.
    pub async fn section<T: DeserializeOwned>(
        &self,
        id: &'static str,
        title: &str,
        operation: &str,
        input: Value,
        show: impl FnOnce(&T) -> Section,
    ) -> Result<Section> {
        let found = self.read_if_open(operation, input).await?;
        Ok(found.as_ref().map_or_else(|| self.closed(id, title, operation), show))
    }

    /// The names of the tenant's keys, as far as the person may see them.
    pub async fn key_names(&self) -> Result<KeyNames> {
        let found = self.read_if_open::<ApiKeyList>("listApiKeys", serde_json::json!({})).await?;
        Ok(KeyNames(found.into_iter().flat_map(|found| found.keys).map(|key| (key.prefix, key.name)).collect()))
    }

    /// A section in place of what the person may not see.
    pub fn closed(&self, id: &'static str, title: &str, operation: &str) -> Section {
        let needs = operations::named(operation).map(|operation| operation.needs.to_string()).unwrap_or_default();
        let message = format!("The key {} may not see this: it needs the scope {needs}", self.caller.principal);
        let role = if self.is_operator() { "." } else { ", and for some parts the role of an operator." };
        Section::new(id, title, vec![Part::Alert(message + role)])
    }

    /// Keeps a sentence for the next page.
    pub fn leave_notice(&self, notice: Notice) {
        self.app.shared.signed_in.leave_notice(&self.cookie, notice);
    }

    /// Keeps an answer with a secret for the next page.
    pub fn leave_once(&self, operation: &'static Operation, answer: Zeroizing<String>) {
        self.app.shared.signed_in.leave_once(&self.cookie, operation, answer, self.app.shared.haldir.now());
    }

    /// The cookie as a browser sends it.
    pub fn cookie_header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{COOKIE}={}", self.cookie.as_str()))
    }

    /// Shows a form of the next page as it was sent.
    pub fn refill(&mut self, sent: Refill) {
        self.sent = Some(Arc::new(sent));
    }

    /// Ends the browser's session.
    pub fn sign_out(&self) {
        self.app.shared.signed_in.remove(&self.cookie);
    }

    /// The page as an answer; an error becomes a page that says what was wrong.
    pub fn answer(&self, current: &str, page: Result<Page>) -> Response {
        match page {
            Ok(mut page) => {
                forms::offer(&mut page, |operation| self.may(operation));
                if let Some(sent) = &self.sent {
                    forms::refill(&mut page, sent);
                }
                if self.by_person {
                    let now = self.app.shared.haldir.now();
                    let new = self.app.shared.signed_in.take_once(&self.cookie, now);
                    page.sections.splice(0..0, new.as_ref().map(once::section));
                }
                rendered(StatusCode::OK, &self.frame(current), &page)
            }
            Err(error) => self.failed(current, title_of(&error), &error),
        }
    }

    /// A page that says what was wrong.
    pub fn failed(&self, current: &str, title: &str, error: &Error) -> Response {
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        rendered(status, &self.frame(current), &error_page(title, error))
    }

    fn frame(&self, current: &str) -> Frame {
        let role = if self.is_operator() { "operator" } else { "agent" };
        // A page that fetches itself again leaves the notice for the page that the person sees.
        let notice = if self.by_person { self.app.shared.signed_in.take_notice(&self.cookie) } else { None };
        Frame {
            menu: Frame::menu(current),
            signed_in_as: format!("{} ({role})", shown(&self.caller.principal)),
            tenant: self.caller.tenant.to_string(),
            form_token: self.browser.form_token.clone(),
            notice,
            is_signed_in: true,
            log_size: self.log_size,
        }
    }
}

fn title_of(error: &Error) -> &'static str {
    if error.code.status() == StatusCode::NOT_FOUND.as_u16() { "Not found" } else { "Not possible" }
}

fn error_page(title: &str, error: &Error) -> Page {
    Page::new(title, vec![Section::new("error", "", vec![Part::Alert(forms::sentence(error, None))])])
}

/// An error page for a browser that is not signed in.
pub fn outside_error(error: &Error) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    rendered(status, &Frame::outside(), &error_page("Not possible", error)).into_response()
}
