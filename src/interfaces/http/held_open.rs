//! Event streams that a client holds open. They can last for a day, so the server checks the key again before each event, and
//! every few seconds without one.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{App, upstream::LISTEN};
use crate::{
    error::Result as Checked,
    model::Credential,
    operations::{Haldir, quota::QuotaGuard},
};

/// How often the key is checked.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Checks without an event until a comment is sent: otherwise the server would not notice that the client is gone.
const QUIET_CHECKS: u32 = 3;

/// Whether a key may read the events.
type May = fn(&Haldir, &Credential) -> Checked<()>;

struct HeldOpen<S> {
    events: S,
    /// Given back when the stream ends.
    _place: QuotaGuard,
    app: App,
    credential: Credential,
    may: May,
    check: Interval,
    quiet: u32,
    until: Instant,
}

/// The events, while the key may read them, for a day at most; none if too many streams are open.
pub fn while_permitted<S>(events: S, app: &App, credential: &Credential, may: May) -> Body
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + Unpin + 'static,
{
    let Some(place) = app.shared.listeners.take(app, credential) else { return Body::empty() };
    let mut check = interval(CHECK_EVERY);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (app, credential, until) = (app.clone(), credential.clone(), Instant::now() + LISTEN);
    let stream = HeldOpen { events, _place: place, app, credential, may, check, quiet: 0, until };
    Body::from_stream(stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((event, stream))
    }))
}

impl<S: Stream<Item = Result<Bytes, Infallible>> + Unpin> HeldOpen<S> {
    async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        loop {
            let event = tokio::select! {
                event = self.events.next() => Some(event?),
                _ = self.check.tick() => None,
            };
            if (self.may)(&self.app.shared.haldir, &self.credential).is_err() || Instant::now() >= self.until {
                return None;
            }
            self.quiet = if event.is_some() { 0 } else { self.quiet + 1 };
            if event.is_some() {
                return event;
            }
            if self.quiet >= QUIET_CHECKS {
                self.quiet = 0;
                return Some(Ok(Bytes::from_static(b":\n\n")));
            }
        }
    }
}
