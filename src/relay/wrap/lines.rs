//! Messages as lines on pipes.

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use super::Said;
use crate::protocol::{
    bounded::{self, Room},
    lines::{Line, LineReader},
};

pub(super) async fn read_lines(mut lines: LineReader<impl AsyncRead + Unpin>, said: mpsc::Sender<Said>) {
    let room = Room::default();
    loop {
        let message = match lines.next().await {
            Ok(Line::Complete(line)) if line.trim_ascii().is_empty() => continue,
            // What is no UTF-8 is no JSON: the reader of messages says so.
            Ok(Line::Complete(line)) => {
                let text = String::from_utf8_lossy(line).into_owned();
                let place = room.enter(&text).await;
                Said::Held(text, place)
            }
            Ok(Line::TooLong(id)) => Said::TooLong(id),
            Ok(Line::End) | Err(_) => return,
        };
        if said.send(message).await.is_err() {
            return;
        }
    }
}

pub(super) async fn write_lines(mut messages: mpsc::Receiver<String>, mut output: impl AsyncWrite + Unpin) {
    while let Some(text) = messages.recv().await {
        if !write_line(text, &mut output).await {
            return;
        }
    }
}

pub(super) async fn write_to_client(mut messages: bounded::Receiver, mut output: impl AsyncWrite + Unpin) {
    while let Some(text) = messages.recv().await {
        if !write_line(text, &mut output).await {
            return;
        }
    }
}

/// Answers whether anybody reads.
async fn write_line(mut text: String, output: &mut (impl AsyncWrite + Unpin)) -> bool {
    text.push('\n');
    let mut written = output.write_all(text.as_bytes()).await;
    if written.is_ok() {
        written = output.flush().await;
    }
    if let Err(error) = &written {
        tracing::info!(%error, "the reader of the pipe has left");
    }
    written.is_ok()
}
