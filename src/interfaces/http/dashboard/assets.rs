//! The style sheet, the script and the icon. Their paths hold a digest of their contents, so that browsers keep them for good.

use std::{fmt::Write, sync::OnceLock};

use axum::{extract::Path, response::Response};
use http::{HeaderValue, StatusCode, header};

use super::PATH;
use crate::crypto;

/// The style sheet of all pages.
pub static STYLE: Asset =
    Asset::new("css", "text/css; charset=utf-8", include_str!("../../../../assets/dashboard.css"));
/// The script of all pages.
pub static SCRIPT: Asset =
    Asset::new("js", "text/javascript; charset=utf-8", include_str!("../../../../assets/dashboard.js"));
/// The icon of the browser's tab.
pub static ICON: Asset = Asset::new("svg", "image/svg+xml", include_str!("../../../../assets/icon.svg"));

/// Bytes of the digest in a path.
const DIGEST_BYTES: usize = 8;
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A file within the program.
pub struct Asset {
    extension: &'static str,
    content_type: &'static str,
    contents: &'static str,
    path: OnceLock<String>,
}

impl Asset {
    const fn new(extension: &'static str, content_type: &'static str, contents: &'static str) -> Self {
        Self { extension, content_type, contents, path: OnceLock::new() }
    }

    /// Where it is served.
    pub fn path(&self) -> &str {
        self.path.get_or_init(|| {
            let mut path = format!("{PATH}/assets/");
            for byte in &crypto::digest(&[self.contents.as_bytes()])[..DIGEST_BYTES] {
                // Writing to a String does not fail.
                let _ = write!(path, "{byte:02x}");
            }
            path + "." + self.extension
        })
    }
}

/// Serves one of them.
pub async fn serve(Path(name): Path<String>) -> Response {
    let is_it = |asset: &&&Asset| asset.path().rsplit('/').next() == Some(&name);
    let mut response = Response::default();
    match [&STYLE, &SCRIPT, &ICON].iter().find(is_it) {
        Some(asset) => {
            *response.body_mut() = asset.contents.into();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
            headers.insert(header::CACHE_CONTROL, FOR_GOOD);
        }
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}
