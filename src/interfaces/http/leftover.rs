//! What a client still sends while it is answered already. Were the connection closed then, the client would see a broken
//! pipe instead of the answer, such as that its body is too large: so a bounded part of the rest is read and thrown away
//! first, as web servers do.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use super::input;

/// The most of a body that is thrown away, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The rest of a body, once its reader has let go of it.
#[derive(Clone, Default)]
pub struct Leftover(Arc<Mutex<Option<Body>>>);

/// A body that leaves its rest behind.
struct Lent {
    body: Option<Body>,
    rest: Leftover,
}

impl Leftover {
    /// Lends the body of a request to its handler; `None` where there cannot be a rest worth the trouble.
    pub fn of(request: &mut Request) -> Option<Self> {
        let has_body = !http_body::Body::is_end_stream(request.body());
        if !has_body || input::has_small_body(request) || waits_for_word(request.headers()) {
            return None;
        }
        let rest = Self::default();
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Lent { body: Some(body), rest: rest.clone() });
        Some(rest)
    }

    /// Reads what is left, within bounds.
    pub async fn read(self) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
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
        // Whoever sends for ever, or not at all, is left.
        let _ = tokio::time::timeout(WITHIN, read).await;
    }
}

/// Whether the client sends its body only once it is told to go on: it reads the answer instead.
fn waits_for_word(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl http_body::Body for Lent {
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

impl Drop for Lent {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !http_body::Body::is_end_stream(body));
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }
}
