//! `haldir audit witness`, and asking one for a cosignature.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use clap::Args;
use http::{StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::pin::consistency;
use crate::{
    config::address::parse_listen,
    crypto::{Checkpoint, MAX_NOTE_BYTES, Note, Verifier},
    error::{Code, Error, Result},
    interfaces::{
        cli::{CommandError, GlobalOptions, local, output::line, target::Target},
        http::{descriptors, listener, workers::Workers},
    },
    model::{Clock, time::SystemClock},
    verify::witness::{self, Witness},
};

/// How long a witness may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request to a witness may take to arrive and be answered: every program that reaches it may ask.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct WitnessOptions {
    /// The address to listen on. It takes requests from every program that reaches it, and signs only what its logs have signed.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8765", value_parser = parse_listen)]
    listen: String,
    /// The witness' name, such as the host name that it is reached by.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Where its key and what it has seen are kept. Never set it back to an older copy: the witness would cosign a second history
    /// of what came since. After a loss begin with an empty folder, and so with a new key.
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// A verifier key of a log to witness. May be repeated.
    #[arg(long = "log", value_name = "KEY", required = true, value_parser = Verifier::parse)]
    logs: Vec<Verifier>,
}

fn parse_name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.len() <= 200 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
    if is_name { Ok(text.to_owned()) } else { Err("a name is printable ASCII without spaces and +".to_owned()) }
}

pub fn run(options: &WitnessOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let witness = Arc::new(Witness::open(&options.folder, &options.name, options.logs.clone())?);
    let verifier = witness.verifier().to_string();
    let runtime = local::runtime()?;
    runtime.block_on(async {
        let listener = listener::bind(&options.listen).await?;
        let address = listener::local_address(&listener)?;
        if global.json {
            line(&json!({"listening": format!("http://{address}"), "verifier_key": verifier}).to_string())?;
        } else {
            line(&format!("witness listening on http://{address}"))?;
            line(&format!("verifier key: {verifier}"))?;
        }
        let router = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(2 * MAX_NOTE_BYTES))
            .layer(middleware::from_fn(in_time))
            .with_state(witness);
        let connections = descriptors::connections();
        let shutdown = CancellationToken::new();
        let child = shutdown.clone();
        tokio::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            child.cancel();
        });
        listener::serve(listener, router, &Workers::default(), connections, shutdown).await;
        Ok(())
    })
}

async fn in_time(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    answered.unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time\n").into_response())
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: String) -> Response {
    let now = SystemClock.now().as_seconds().cast_unsigned();
    let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, now)).await;
    match answer {
        Ok(Ok(answer)) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response()
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot answer; its log says why\n").into_response(),
    }
}

/// Asks the witness at `url` for its cosignature under `checkpoint`; returns the signature lines.
pub fn submit(url: &str, target: &Target, checkpoint: &str) -> Result<String> {
    let note = Note::parse(checkpoint).map_err(Error::internal)?;
    let next = Checkpoint::parse(&note.text).map_err(Error::internal)?;
    let elsewhere = |what: String| Error::new(Code::Unavailable, format!("the witness {url} {what}"));
    let address = format!("{}/add-checkpoint", url.trim_end_matches('/'));
    // Fails only if another provider was installed before, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(Error::internal)?;
    let runtime = local::runtime()?;
    let send = |body: String| -> Result<(u16, String)> {
        runtime.block_on(async {
            let sent = client.post(&address).body(body).send().await;
            let mut response = sent.map_err(|error| elsewhere(format!("cannot be reached: {error}")))?;
            let status = response.status().as_u16();
            let mut bytes = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| elsewhere(error.to_string()))? {
                bytes.extend_from_slice(&piece);
                if bytes.len() > MAX_NOTE_BYTES {
                    return Err(elsewhere("answered more than a witness has to say".to_owned()));
                }
            }
            Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
        })
    };
    // The first request assumes that the witness has seen nothing; a witness that has responds with the size it saw.
    let mut old = 0;
    for _ in 0..3 {
        let proof = if old == 0 || old == next.size { Vec::new() } else { consistency(target, old, next.size)? };
        let (status, body) = send(witness::request(old, &proof, checkpoint))?;
        match status {
            200 => return Ok(body),
            409 => {
                let seen: u64 = body.trim().parse().map_err(|_| elsewhere("gave no size".to_owned()))?;
                if seen == old || seen > next.size {
                    let message =
                        format!("the witness {url} saw another log of {seen} entries: this one was rewritten");
                    return Err(Error::new(Code::Conflict, message));
                }
                old = seen;
            }
            422 => {
                let message = format!("the witness {url} saw another history of this log: it was rewritten");
                return Err(Error::new(Code::Conflict, message));
            }
            status => return Err(elsewhere(format!("answered {status}: {}", body.trim()))),
        }
    }
    Err(elsewhere("sees the log grow faster than it can be asked".to_owned()))
}
