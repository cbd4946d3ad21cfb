//! What an upstream says and requests during a call, and the client that gets it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::protocol::request::ServerRequest;

/// What an upstream sends during a call.
#[derive(Debug)]
pub enum CallEvent {
    /// The parameters of `notifications/progress`.
    Progress(Box<RawValue>),
    /// The parameters of `notifications/message`.
    Log(Box<RawValue>),
    /// A request to the client.
    Request(MidCallRequest),
}

/// The response to a mid-call request: a result, or the code and the message of an error.
pub type Reply = Result<Box<RawValue>, (i32, String)>;

/// A place among the open requests of a connection, held until its last clone is dropped.
pub(super) type Slot = Arc<OwnedSemaphorePermit>;

/// A request of an upstream to the client during a call. If it is dropped, it is answered with an error.
#[derive(Debug)]
pub struct MidCallRequest {
    /// What it requests.
    pub kind: ServerRequest,
    /// Its parameters, as they were written.
    pub params: Option<Box<RawValue>>,
    reply: Option<oneshot::Sender<Reply>>,
    pace: Arc<CallClock>,
    begun: bool,
    slot: Option<Slot>,
}

impl MidCallRequest {
    /// A request without a place among those of a connection, such as one that stood in a result.
    pub fn new(
        kind: ServerRequest,
        params: Option<Box<RawValue>>,
        pace: &Arc<CallClock>,
    ) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, replied) = oneshot::channel();
        (Self { kind, params, reply: Some(reply), pace: Arc::clone(pace), begun: false, slot: None }, replied)
    }

    /// With a place among the requests of its connection.
    pub(super) fn in_slot(mut self, slot: &Slot) -> Self {
        self.slot = Some(Arc::clone(slot));
        self
    }

    /// The client is asked: from here on, until this is dropped, the time does not count as the upstream's.
    pub fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.pace.begin();
        }
    }

    /// Answers it.
    pub fn answer(mut self, reply: Reply) {
        if let Some(sender) = self.reply.take() {
            // Fails if the upstream has taken it back.
            let _ = sender.send(reply);
        }
    }

    /// Waits until no task waits for the answer any more.
    pub async fn withdrawn(&mut self) {
        match &mut self.reply {
            Some(reply) => reply.closed().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for MidCallRequest {
    fn drop(&mut self) {
        if self.begun {
            self.pace.end();
        }
    }
}

/// The clock of a call: the time that its client takes to answer does not count as the upstream's.
#[derive(Debug, Default)]
pub struct CallClock {
    asking: AtomicUsize,
    answered: Mutex<Option<Instant>>,
}

impl CallClock {
    fn begin(&self) {
        self.asking.fetch_add(1, Ordering::AcqRel);
    }

    fn end(&self) {
        *self.answered.lock() = Some(Instant::now());
        self.asking.fetch_sub(1, Ordering::AcqRel);
    }

    /// The upstream has said how far it is: from here on it has all its time again.
    pub(super) fn moved(&self) {
        *self.answered.lock() = Some(Instant::now());
    }

    /// Whether a client is being asked.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Acquire) > 0
    }

    /// Since when the upstream has had all it asked for, and has said nothing; `None` while it waits for an answer.
    pub(super) fn since(&self, begin: Instant) -> Option<Instant> {
        let answered = *self.answered.lock();
        (!self.is_asking()).then(|| answered.unwrap_or(begin))
    }
}

/// Where a client gets the events of its call.
#[derive(Clone, Debug)]
pub struct CallListener {
    /// The client: the same for calls of one and the same client only.
    pub whose: u64,
    /// Takes what is said. What finds no room is dropped.
    pub sender: mpsc::Sender<CallEvent>,
    /// See [`CallClock`].
    pub pace: Arc<CallClock>,
}
