//! Where requests for an upstream go, and who decides on them.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use zeroize::Zeroizing;

use crate::{
    error::{Error, Result},
    faces::{
        http::App,
        relay::{
            govern::{Govern, Redact},
            governor::{self, Governor, Tools},
            wire::Wire,
        },
    },
    model::{Credential, UpstreamName},
    operations::proxied::Sent,
    upstream::{Link, UpstreamLimits},
};

type Written = BTreeMap<String, Zeroizing<String>>;

/// Where an upstream is, and who decides on its calls.
pub struct Route {
    pub name: UpstreamName,
    pub url: Url,
    /// Of every request, secrets included.
    pub headers: HeaderMap,
    /// Takes the secrets in the headers out of what comes back.
    pub redact: Option<Redact>,
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
        (url, written): (&str, &Written),
        (link, sent): (Arc<Link>, Vec<Sent>),
    ) -> Result<Self> {
        let haldir = &app.shared.haldir;
        let url = haldir.outbound().parse(url)?;
        let mut headers = HeaderMap::new();
        for (header, value) in written {
            let header: HeaderName = header.parse().map_err(Error::internal)?;
            let mut value: HeaderValue = value.parse().map_err(Error::internal)?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let session = match credential {
            Credential::LocalAgent => Some(Arc::clone(&app.shared.local_session)),
            _ => None,
        };
        let governor =
            Governor::new(haldir.clone(), credential.clone(), name.clone(), session, Tools::Asked, app.shared.asking);
        let limits = haldir.upstream_limits();
        Ok(Self { name, url, headers, redact: governor::redaction(sent), governor: Arc::new(governor), limits, link })
    }

    /// The upstream as a connection of messages.
    pub fn wire(&self, app: &App) -> Wire {
        Wire {
            client: app.shared.upstreams.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            call_timeout: app.shared.call_timeout,
            answer_bytes: self.limits.answer_bytes,
            link: Arc::clone(&self.link),
        }
    }
}
