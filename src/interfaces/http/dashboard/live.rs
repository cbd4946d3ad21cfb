//! The event stream that notifies an open page when the log grows. It reads the size of the log once a second, since another
//! process may write to the same store, and sends a comment now and then while nothing happens.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::viewer::{Viewer, outside_error};
use crate::{
    error::{Code, Error},
    operations::quota::QuotaGuard,
};

/// How often the size of the log is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Reads without a change until a comment keeps the connection open.
const QUIET_LOOKS: u32 = 20;
/// After so long a stream ends, and the page opens another one.
const LONGEST: Duration = Duration::from_secs(60 * 60);

struct LogWatch {
    viewer: Viewer,
    _place: QuotaGuard,
    size: Option<i64>,
    look: tokio::time::Interval,
    quiet: u32,
    until: Instant,
    stopping: CancellationToken,
}

/// An event `change` with the size of the log, at the beginning and whenever it grows (WHATWG HTML, section 9.2).
pub async fn stream(viewer: Viewer) -> Response {
    let shared = &viewer.app.shared;
    let Some(place) = shared.listeners.take(&viewer.app, &viewer.browser.credential) else {
        return outside_error(&Error::new(Code::Unavailable, "too many pages are open: close some"));
    };
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (stopping, until) = (shared.stopping.clone(), Instant::now() + LONGEST);
    let watched = LogWatch { viewer, _place: place, size: None, look, quiet: 0, until, stopping };
    let events = stream::unfold(watched, |mut watched| async {
        let event = watched.next().await?;
        Some((Ok::<_, Infallible>(event), watched))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Without it nginx buffers events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl LogWatch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return None,
                _ = self.look.tick() => {}
            }
            // Fails once the key is revoked, which ends the stream.
            let size = self.viewer.app.shared.haldir.log_size(&self.viewer.browser.credential).ok()?;
            if Instant::now() >= self.until {
                return None;
            }
            if self.size != Some(size) {
                (self.size, self.quiet) = (Some(size), 0);
                return Some(format!("event: change\ndata: {size}\n\n").into());
            }
            self.quiet += 1;
            if self.quiet >= QUIET_LOOKS {
                self.quiet = 0;
                return Some(Bytes::from_static(b":\n\n"));
            }
        }
    }
}
