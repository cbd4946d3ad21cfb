//! An upstream, and the caller of its address.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    interfaces::http::{App, held_open, keep_alive},
    model::{Credential, UpstreamName},
    operations::Haldir,
    redact::Known,
    relay::{
        govern::Redact,
        governor::{Governor, Tools},
    },
    upstream::{Link, Target},
};

/// What every request of a caller to one upstream needs.
pub struct Route {
    pub app: App,
    pub credential: Credential,
    pub name: UpstreamName,
    /// The registration.
    pub target: Target,
    /// The secrets that the upstream can have received.
    pub known: Arc<Known>,
    /// haldir's own connection, which knows how the upstream is.
    pub link: Arc<Link>,
}

impl Route {
    /// Decides on the caller's calls.
    pub fn governor(&self, tools: Tools) -> Governor {
        let shared = &self.app.shared;
        let session = match self.credential {
            Credential::LocalAgent => Some(Arc::clone(&shared.local_session)),
            _ => None,
        };
        let terms = (shared.asking, shared.tool_changes.clone());
        Governor::new(shared.haldir.clone(), self.credential.clone(), self.name.clone(), session, tools, terms)
    }

    /// An event stream. One that the client listens to (`listens`) is held open while its key may use the proxy.
    pub fn streamed(&self, events: BoxStream<'static, Result<Bytes, Infallible>>, listens: bool) -> Response {
        let mut response = Response::new(if listens {
            held_open::while_permitted(events, &self.app, &self.credential, Haldir::may_use_proxy)
        } else {
            Body::from_stream(keep_alive::with_comments(events))
        });
        keep_alive::set_headers(response.headers_mut());
        response
    }

    /// Takes secrets out of what comes back.
    pub fn secrets(&self) -> Redact {
        Redact::new(Arc::clone(&self.known))
    }
}
