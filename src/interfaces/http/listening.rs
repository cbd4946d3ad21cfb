//! Streams that a client holds open to hear what happens. They may last for a day, so the key that opened one is looked at
//! again: before each message, and now and then while there is none.

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

/// How often the key is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks without a message until the stream shows that it is open: nobody learns otherwise that the client is gone.
const QUIET_LOOKS: u32 = 3;

/// Whether a key may hear something.
type May = fn(&Haldir, &Credential) -> Checked<()>;

struct Listening<S> {
    events: S,
    /// Given back when the stream ends.
    _place: QuotaGuard,
    app: App,
    credential: Credential,
    may: May,
    look: Interval,
    quiet: u32,
    until: Instant,
}

/// The events, for as long as the key may hear them, and a day at most; none where too many streams are held open.
pub fn looked_after<S>(events: S, app: &App, credential: &Credential, may: May) -> Body
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + Unpin + 'static,
{
    let Some(place) = app.shared.listeners.take(app, credential) else { return Body::empty() };
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (app, credential, until) = (app.clone(), credential.clone(), Instant::now() + LISTEN);
    let listening = Listening { events, _place: place, app, credential, may, look, quiet: 0, until };
    Body::from_stream(stream::unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        Some((event, listening))
    }))
}

impl<S: Stream<Item = Result<Bytes, Infallible>> + Unpin> Listening<S> {
    async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        loop {
            let event = tokio::select! {
                event = self.events.next() => Some(event?),
                _ = self.look.tick() => None,
            };
            if (self.may)(&self.app.shared.haldir, &self.credential).is_err() || Instant::now() >= self.until {
                return None;
            }
            self.quiet = if event.is_some() { 0 } else { self.quiet + 1 };
            if event.is_some() {
                return event;
            }
            if self.quiet >= QUIET_LOOKS {
                self.quiet = 0;
                return Some(Ok(Bytes::from_static(b":\n\n")));
            }
        }
    }
}
