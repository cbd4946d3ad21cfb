//! Dialogs of haldir's own at a client that answers requests (before 2026-07-28): the person there decides about a call.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, interval_at, sleep},
};

use super::{
    elicitation::{self, ApprovalReply, ElicitedDecision},
    govern::HeldCall,
};
use crate::{
    crypto,
    protocol::message::{self, Message, quoted},
};

/// Dialogs that the person at a client has before them at a time: with more, none of them would be read.
pub const MAX_DIALOGS: usize = 4;
/// What the ids of dialogs begin with.
const OWN_ID: &str = "haldir-";

/// The open dialogs of a client, by the id of haldir's request.
#[derive(Clone, Default)]
pub struct Dialogs(Arc<Mutex<HashMap<String, oneshot::Sender<ApprovalReply>>>>);

/// One dialog. Once it is dropped, its reply is ignored.
pub struct Dialog {
    id: String,
    reply: oneshot::Receiver<ApprovalReply>,
    dialogs: Dialogs,
}

impl Dialogs {
    /// Whether one more may be opened.
    pub fn have_room(&self) -> bool {
        self.0.lock().len() < MAX_DIALOGS
    }

    /// Opens a dialog, unless there are too many. Its id is random, and only the client sees it: no upstream can have a
    /// request of its own answered as haldir's.
    pub fn open(&self) -> Option<Dialog> {
        let id = crypto::token::<16>(OWN_ID).ok()?;
        let (sender, reply) = oneshot::channel();
        let mut replies = self.0.lock();
        if replies.len() >= MAX_DIALOGS {
            return None;
        }
        replies.insert(id.clone(), sender);
        Some(Dialog { id, reply, dialogs: self.clone() })
    }

    /// Takes a message that answers a request of haldir's, even too late. It is not for the upstream.
    pub fn take(&self, message: &Message<'_>) -> bool {
        let id = message.answers().and_then(|id| serde_json::from_str::<String>(id).ok());
        let Some(id) = id.filter(|id| id.starts_with(OWN_ID)) else { return false };
        let sender = self.0.lock().remove(&id);
        if let Some(sender) = sender {
            // Fails if the call does not wait for it any more.
            let _ = sender.send(ApprovalReply::read(message.result.filter(|_| message.error.is_none())));
        }
        true
    }
}

impl Dialog {
    /// Asks the person, and returns their decision; `None` if they make none in time, or once `taken_back` is done. Meanwhile
    /// a client that gave a progress token is told that the call waits: many give up a call that is silent. `client` takes
    /// messages for the client, in a form of its own.
    pub async fn decision<M>(
        mut self,
        HeldCall { question, asking, .. }: &HeldCall,
        (name, token): (&str, Option<&str>),
        client: &mpsc::Sender<M>,
        form: fn(String) -> M,
        taken_back: impl Future<Output = ()>,
    ) -> Option<ElicitedDecision> {
        // Fails if the client has left, here as below.
        let _ = client.send(form(elicitation::dialog(&quoted(&self.id), &question.message))).await;
        let mut tick = interval_at(Instant::now() + asking.tell_every, asking.tell_every);
        let (mut late, mut taken_back) = (std::pin::pin!(sleep(asking.within)), std::pin::pin!(taken_back));
        let mut times = 0;
        let why = loop {
            tokio::select! {
                reply = &mut self.reply => return reply.ok()?.decided(question.request_id.clone(), name),
                () = &mut late => break "the time to decide is over",
                () = &mut taken_back => break "the call was cancelled",
                _ = tick.tick() => if let Some(token) = token {
                    times += 1;
                    let _ = client.send(form(elicitation::waits(token, times))).await;
                }
            }
        };
        let _ = client.send(form(message::cancelled(&quoted(&self.id), Some(why)))).await;
        None
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        self.dialogs.0.lock().remove(&self.id);
    }
}
