//! Drains the rest of a request body after the response is ready. If the server closed the connection while the client still
//! sends, the client would see a broken pipe instead of the response, such as 413. So the server first reads and drops a
//! bounded part of the rest.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;

use super::input;

/// The most bytes to drop.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The time limit of draining.
const WITHIN: Duration = Duration::from_secs(5);

/// The rest of a body, once its handler has dropped it.
#[derive(Clone, Default)]
pub struct UnreadBody(Arc<Mutex<Option<Body>>>);

/// A body that stores its rest in an [`UnreadBody`] when dropped.
struct Tracked {
    body: Option<Body>,
    rest: UnreadBody,
}

impl UnreadBody {
    /// Tracks the body of a request; `None` where the rest cannot be large.
    pub fn of(request: &mut Request) -> Option<Self> {
        let has_body = !http_body::Body::is_end_stream(request.body());
        if !has_body || input::has_small_body(request) || expects_continue(request.headers()) {
            return None;
        }
        let rest = Self::default();
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Tracked { body: Some(body), rest: rest.clone() });
        Some(rest)
    }

    /// Reads and drops the rest, within bounds.
    pub async fn read(self) {
        let left = self.0.lock().take();
        let Some(mut body) = left else { return };
        let read = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > MAX_BYTES {
                    break;
                }
            }
        };
        // A client that sends without end, or not at all, is cut off.
        let _ = tokio::time::timeout(WITHIN, read).await;
    }
}

/// Whether the client waits for `100 Continue` before it sends its body: it reads the response instead.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !http_body::Body::is_end_stream(body));
        *self.rest.0.lock() = left;
    }
}
