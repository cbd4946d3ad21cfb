//! The dashboard at `/dashboard`: pages that this server renders from the responses of operations. They load nothing from
//! other origins and have no inline script, so that the content security policy can forbid both.
//!
//! A person signs in with an API key (`sign_in.rs`). Each page calls operations with the credential of the browser's cookie, and
//! so shows what that key may see. Forms call operations (`act.rs`) and carry a token against cross-site request forgery. An
//! open page is notified when the log grows, and reloads its live sections (`live.rs`).

mod act;
mod agents;
mod approvals;
mod assets;
mod evidence;
mod forms;
mod keys;
mod live;
mod notices;
mod now;
mod once;
mod policies;
mod servers;
mod settings;
mod sign_in;
mod sign_in_page;
mod spend;
mod text;
mod trail;
mod view;
mod viewer;
mod webhooks;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Request},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};

pub use sign_in::{Lifetimes, SignedIn};
pub use viewer::COOKIE;

use super::{App, input};
use crate::error::{Code, Error, Result};

/// Where it is.
pub const PATH: &str = "/dashboard";

/// Scripts, styles, fonts, images and requests from this origin only; no frame around a page; forms to this origin only.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Pages of the menu: path behind [`PATH`], name.
const MENU: [(&str, &str); 11] = [
    ("", "Now"),
    ("/approvals", "Approvals"),
    ("/agents", "Agents"),
    ("/trail", "Trail"),
    ("/spend", "Spend"),
    ("/servers", "Servers"),
    ("/policies", "Policies"),
    ("/webhooks", "Webhooks"),
    ("/keys", "Keys and secrets"),
    ("/evidence", "Evidence"),
    ("/settings", "Settings"),
];

/// What is the same on all pages: menu, account, notice.
pub struct Frame {
    /// Pages of the menu, and whether each is the current one.
    menu: Vec<(String, &'static str, bool)>,
    /// The key or operator that is signed in, and its role.
    signed_in_as: String,
    tenant: String,
    /// What forms have to bring along.
    form_token: String,
    /// What the last form came to.
    notice: Option<sign_in::Notice>,
    is_signed_in: bool,
    /// Entries of the log when the page was made.
    log_size: i64,
}

impl Frame {
    /// The frame of a page that needs no sign-in.
    fn outside() -> Self {
        let (signed_in_as, tenant, form_token) = <(String, String, String)>::default();
        Self { menu: Vec::new(), signed_in_as, tenant, form_token, notice: None, is_signed_in: false, log_size: 0 }
    }

    fn menu(current: &str) -> Vec<(String, &'static str, bool)> {
        MENU.iter().map(|(path, name)| (format!("{PATH}{path}"), *name, *path == current)).collect()
    }
}

/// The handler of a page, which marks this entry of the menu.
macro_rules! page {
    ($menu:literal, $page:path $(, $argument:ident: $type:ty)?) => {
        get(|viewer: viewer::Viewer $(, $argument: $type)?| async move {
            let page = $page(&viewer $(, &$argument)?).await;
            viewer.answer($menu, page)
        })
    };
}

/// The routes, and the headers of all their responses.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/dashboard", page!("", now::page))
        .route("/dashboard/sign-in", get(sign_in_page::page).post(sign_in_page::submit))
        .route("/dashboard/open", get(sign_in_page::open_link))
        .route("/dashboard/sign-out", post(sign_in_page::sign_out))
        .route("/dashboard/live", get(live::stream))
        .route("/dashboard/assets/{name}", get(assets::serve))
        .route("/dashboard/do/testProxyPolicy", post(policies::trial))
        .route("/dashboard/do/{operation}", post(act::act))
        .route("/dashboard/approvals", page!("/approvals", approvals::list))
        .route("/dashboard/approvals/{request}", page!("/approvals", approvals::request, id: Path<String>))
        .route("/dashboard/agents", page!("/agents", agents::list, uri: Uri))
        .route("/dashboard/agents/{agent}", page!("/agents", agents::agent, name: Path<String>))
        .route("/dashboard/sessions/{session}", page!("/agents", agents::session, id: Path<String>))
        .route("/dashboard/trail", page!("/trail", trail::list, uri: Uri))
        .route("/dashboard/trail/{entry}", page!("/trail", trail::entry, id: Path<String>))
        .route("/dashboard/spend", page!("/spend", spend::page, uri: Uri))
        .route("/dashboard/spend.csv", get(spend::csv))
        .route("/dashboard/servers", page!("/servers", servers::list))
        .route("/dashboard/servers/{upstream}/{tool}", page!("/servers", servers::tool, names: Path<(String, String)>))
        .route("/dashboard/policies", page!("/policies", policies::page))
        .route("/dashboard/webhooks", page!("/webhooks", webhooks::page))
        .route("/dashboard/keys", page!("/keys", keys::page))
        .route("/dashboard/evidence", page!("/evidence", evidence::page))
        .route("/dashboard/download/{name}", get(evidence::download))
        .route("/dashboard/settings", page!("/settings", settings::page))
        .route("/dashboard/{*path}", get(nothing_here))
        .layer(middleware::from_fn(protect))
}

/// The first page of the server leads to the dashboard.
pub async fn root() -> Response {
    see_other(PATH)
}

/// The page for an address that is none of the dashboard's.
async fn nothing_here(viewer: viewer::Viewer) -> Response {
    viewer.failed("none", "Not found", &Error::new(Code::NotFound, "the dashboard has no page at this address"))
}

/// Sets the headers that protect a page on every response.
async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    // With no referrer at all, browsers send forms with the origin `null`.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a path is one of the dashboard's.
pub fn has(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A field of an address's query.
fn query_field(uri: &Uri, name: &str) -> Result<Option<String>> {
    let fields = input::query(uri.query().unwrap_or_default())?;
    Ok(fields.into_iter().find(|(known, _)| known == name).map(|(_, value)| value))
}

/// A page as a response.
fn rendered(status: StatusCode, frame: &Frame, page: &view::Page) -> Response {
    let (style, script, icon) = (assets::STYLE.path(), assets::SCRIPT.path(), assets::ICON.path());
    let html = view::Rendered { frame, page, style, script, icon }.render();
    let (status, html) = match html {
        Ok(html) => (status, html),
        Err(error) => {
            tracing::error!(%error, "a page of the dashboard could not be made");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made".to_owned())
        }
    };
    let mut response = Response::new(html.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A redirect to another page.
fn see_other(path: &str) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// A path of the dashboard, or its first page instead of any other address: this prevents open redirects.
fn within(path: &str) -> &str {
    let rest = path.strip_prefix(PATH);
    let is_inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if is_inside && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') { path } else { PATH }
}
