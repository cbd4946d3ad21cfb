//! Where requests for an upstream go, and the governor that decides on them.

use std::sync::Arc;

use crate::{
    interfaces::http::App,
    model::{Credential, UpstreamName},
    redact::Known,
    relay::{
        govern::{Govern, Redact},
        governor::{Governor, Tools},
    },
    upstream::{HttpPlace, Link, UpstreamLimits, over_http::HttpUpstream},
};

/// Where an upstream is, and the governor that decides on its calls.
pub struct Route {
    pub name: UpstreamName,
    /// Its address, and the headers of every request.
    pub place: Arc<HttpPlace>,
    /// Takes secrets out of what comes back.
    pub secrets: Redact,
    pub governor: Arc<dyn Govern>,
    pub limits: UpstreamLimits,
    /// haldir's own connection, which knows how the upstream is.
    pub link: Arc<Link>,
}

impl Route {
    pub fn new(
        app: &App,
        credential: &Credential,
        name: UpstreamName,
        place: Arc<HttpPlace>,
        (link, known): (Arc<Link>, Arc<Known>),
    ) -> Self {
        let haldir = &app.shared.haldir;
        let session = match credential {
            Credential::LocalAgent => Some(Arc::clone(&app.shared.local_session)),
            _ => None,
        };
        let terms = (app.shared.asking, app.shared.tool_changes.clone());
        let governor = Governor::new(haldir.clone(), credential.clone(), name.clone(), session, Tools::Asked, terms)
            .over(Arc::clone(&link));
        let limits = *link.limits();
        Self { name, place, secrets: Redact::new(known), governor: Arc::new(governor), limits, link }
    }

    /// The upstream as a connection of messages.
    pub fn connection(&self, app: &App) -> HttpUpstream {
        HttpUpstream {
            client: app.shared.upstreams.clone(),
            url: self.place.url.clone(),
            headers: self.place.headers.clone(),
            call_timeout: self.limits.call_timeout,
            answer_bytes: self.limits.answer_bytes,
            gate: Some(Arc::clone(self.link.gate())),
        }
    }
}
