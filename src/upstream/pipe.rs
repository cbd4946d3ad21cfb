//! Messages as lines on pipes.

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use zeroize::Zeroizing;

use super::transport::Incoming;
use crate::protocol::{
    bounded::Room,
    lines::{Line, LineReader},
};

/// Reads messages until the pipe ends or no task takes them any more.
pub async fn read_lines(mut lines: LineReader<impl AsyncRead + Unpin>, incoming: mpsc::Sender<Incoming>) {
    let bytes = Room::default();
    loop {
        let message = match lines.next().await {
            Ok(Line::Complete(line)) if line.trim_ascii().is_empty() => continue,
            // The parser of messages rejects what is not UTF-8.
            Ok(Line::Complete(line)) => {
                let text = String::from_utf8_lossy(line).into_owned();
                let room = bytes.enter(&text).await;
                Incoming::Message { text, answering: None, room }
            }
            Ok(Line::TooLong(id)) => Incoming::TooLong(id),
            Ok(Line::End) | Err(_) => return,
        };
        if incoming.send(message).await.is_err() {
            return;
        }
    }
}

pub(super) async fn write_lines(mut messages: mpsc::Receiver<Zeroizing<String>>, mut output: impl AsyncWrite + Unpin) {
    while let Some(text) = messages.recv().await {
        if !write_line(&text, &mut output).await {
            return;
        }
    }
}

/// Writes one message; whether the other side still reads.
pub async fn write_line(text: &str, output: &mut (impl AsyncWrite + Unpin)) -> bool {
    let write = async {
        output.write_all(text.as_bytes()).await?;
        output.write_all(b"\n").await?;
        output.flush().await
    };
    let written = write.await;
    if let Err(error) = &written {
        tracing::info!(%error, "the reader of the pipe has left");
    }
    written.is_ok()
}
