//! The dashboard at `/dashboard`: pages for people, made by this server of what operations answer. Nothing on them comes
//! from elsewhere, and no script stands in a page, so that the content security policy can forbid both.
//!
//! A person signs in with an API key (`sign_in.rs`); each page asks operations with the credential behind the browser's
//! cookie, and so shows what that key may see. Forms call operations (`act.rs`) and carry a token against requests of other
//! pages. A page that is open hears when the log grows and fetches itself again (`live.rs`).

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
    extract::Request,
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

pub use sign_in::{Lifetimes, SignedIn};

use super::App;
use crate::error::{Code, Error};

/// Where it is.
pub const PATH: &str = "/dashboard";

/// No script, style, font, image or request but of this origin; no frame around a page; forms are sent here only.
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

/// What stands around a page.
pub struct Frame {
    /// Pages of the menu, and whether each is the current one.
    menu: Vec<(String, &'static str, bool)>,
    /// Who is signed in, for people.
    signed_in_as: String,
    tenant: String,
    /// What forms have to bring along.
    form_token: String,
    /// What the last form came to.
    notice: Option<sign_in::Notice>,
    is_signed_in: bool,
    /// Entries of the log that the page is of.
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

/// The routes, and the headers of all their answers.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/dashboard", get(now::page))
        .route("/dashboard/sign-in", get(sign_in_page::page).post(sign_in_page::submit))
        .route("/dashboard/open", get(sign_in_page::open_link))
        .route("/dashboard/sign-out", post(sign_in_page::sign_out))
        .route("/dashboard/live", get(live::stream))
        .route("/dashboard/assets/{name}", get(assets::serve))
        .route("/dashboard/do/testProxyPolicy", post(policies::trial))
        .route("/dashboard/do/{operation}", post(act::act))
        .route("/dashboard/approvals", get(approvals::list))
        .route("/dashboard/approvals/{request}", get(approvals::show))
        .route("/dashboard/agents", get(agents::list))
        .route("/dashboard/agents/{agent}", get(agents::show))
        .route("/dashboard/sessions/{session}", get(agents::session))
        .route("/dashboard/trail", get(trail::list))
        .route("/dashboard/trail/{entry}", get(trail::show))
        .route("/dashboard/spend", get(spend::page))
        .route("/dashboard/spend.csv", get(spend::csv))
        .route("/dashboard/servers", get(servers::list))
        .route("/dashboard/servers/{upstream}/{tool}", get(servers::tool))
        .route("/dashboard/policies", get(policies::page))
        .route("/dashboard/webhooks", get(webhooks::page))
        .route("/dashboard/keys", get(keys::page))
        .route("/dashboard/evidence", get(evidence::page))
        .route("/dashboard/download/{name}", get(evidence::download))
        .route("/dashboard/settings", get(settings::page))
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

/// Puts the headers that protect a page on every answer.
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

/// A page as an answer.
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

/// Leads to another page.
fn see_other(path: &str) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// A path of the dashboard, or its first page in place of anything else: no link leads away.
fn within(path: &str) -> &str {
    let rest = path.strip_prefix(PATH);
    let is_inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if is_inside && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') { path } else { PATH }
}
