//! Messages that wait for their reader: so many of them, and so many bytes. A number alone would not bound the memory, since
//! one message may have many bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that wait in one place.
const MAX_BYTES: u32 = 32 * 1024 * 1024;

/// Room for messages. A message holds its bytes until it is read.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BYTES as usize)))
    }
}

impl Room {
    /// What a message takes: one that is larger than the room fills it alone.
    fn places(text: &str) -> u32 {
        u32::try_from(text.len()).unwrap_or(MAX_BYTES).clamp(1, MAX_BYTES)
    }

    /// Waits until there is room for this.
    pub async fn enter(&self, text: &str) -> Option<OwnedSemaphorePermit> {
        // Fails if the semaphore is closed, which never happens.
        Arc::clone(&self.0).acquire_many_owned(Self::places(text)).await.ok()
    }

    fn try_enter(&self, text: &str) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_many_owned(Self::places(text)).ok()
    }
}

type Queued = (String, Option<OwnedSemaphorePermit>);

/// Where messages are put in.
#[derive(Clone)]
pub struct Sender {
    messages: mpsc::Sender<Queued>,
    room: Room,
}

/// Where they are read.
pub struct Receiver(mpsc::Receiver<Queued>);

/// Why a message was not taken; it is given back.
#[derive(Debug)]
pub struct NotTaken(pub String);

/// Room for so many messages.
pub fn channel(messages: usize) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(messages);
    (Sender { messages: sender, room: Room::default() }, Receiver(receiver))
}

impl Sender {
    /// Waits for room; fails if the receiver is gone.
    pub async fn send(&self, text: String) -> Result<(), NotTaken> {
        let place = tokio::select! {
            place = self.room.enter(&text) => place,
            () = self.messages.closed() => return Err(NotTaken(text)),
        };
        self.messages.send((text, place)).await.map_err(|error| NotTaken(error.0.0))
    }

    /// Fails if there is no room, or the receiver is gone.
    pub fn try_send(&self, text: String) -> Result<(), NotTaken> {
        let Some(place) = self.room.try_enter(&text) else { return Err(NotTaken(text)) };
        self.messages.try_send((text, Some(place))).map_err(|error| NotTaken(error.into_inner().0))
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }
}

impl Receiver {
    /// The next message; `None` if all senders are gone.
    pub async fn recv(&mut self) -> Option<String> {
        self.0.recv().await.map(|(text, _)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_messages_take_the_room_of_many_and_one_always_fits() {
        let (sender, mut receiver) = channel(256);
        let large = "x".repeat(MAX_BYTES as usize + 1);
        sender.try_send(large.clone()).unwrap();
        let NotTaken(back) = sender.try_send("y".to_owned()).unwrap_err();
        assert_eq!(back, "y");
        assert_eq!(receiver.recv().await.unwrap().len(), large.len());
        sender.try_send("y".to_owned()).unwrap();
        let waits = sender.clone();
        let waiting = tokio::spawn(async move { waits.send(large).await.is_ok() });
        assert_eq!(receiver.recv().await.as_deref(), Some("y"));
        assert!(receiver.recv().await.is_some() && waiting.await.unwrap());
        // A sender that waits for room sees that the receiver is gone.
        sender.send("z".repeat(MAX_BYTES as usize)).await.unwrap();
        let waits = sender.clone();
        let waiting = tokio::spawn(async move { waits.send("y".to_owned()).await.is_ok() });
        tokio::task::yield_now().await;
        drop(receiver);
        assert!(!waiting.await.unwrap() && sender.is_closed());
    }
}
