//! `/` and what it loads: files that are part of the program, so that the page needs no network and no build of its
//! own. A strict policy keeps everything else out: no inline script or style, no other server.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest, Sha256};

use super::answer::ApiError;

/// Everything from this server, nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! files {
    ($($name:literal $kind:expr),* $(,)?) => {
        &[$(($name, $kind, include_bytes!(concat!("page/", $name)))),*]
    };
}

type File = (&'static str, &'static str, &'static [u8]);

const FILES: &[File] = files![
    "index.html" HTML,
    "icon.svg" SVG,
    "base.css" CSS,
    "play.css" CSS,
    "operate.css" CSS,
    "main.js" JS,
    "net.js" JS,
    "dom.js" JS,
    "words.js" JS,
    "play.js" JS,
    "shop.js" JS,
    "order.js" JS,
    "cheats.js" JS,
    "timeline.js" JS,
    "operate.js" JS,
    "graph.js" JS,
    "plots.js" JS,
    "tables.js" JS,
    "search.js" JS,
    "vendor/uPlot.iife.min.js" JS,
    "vendor/uPlot.min.css" CSS,
    "vendor/uPlot.LICENSE.txt" TEXT,
];

pub async fn page(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer(&request, "index.html")
}

pub async fn asset(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    answer(&request, &name)
}

fn answer(request: &HttpRequest, name: &str) -> Result<HttpResponse, ApiError> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, bytes) = found.ok_or_else(|| ApiError::not_found("the page has no such file"))?;
    let bytes = web::Bytes::from_static(bytes);
    let bytes = on_disk(name).unwrap_or(bytes);
    let tag = format!("\"{}\"", Sha256::digest(&bytes)[..8].iter().map(|b| format!("{b:02x}")).collect::<String>());
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|shown| shown.as_bytes() == tag.as_bytes());
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, tag))
        // Asked anew each time, sent anew only when another version of the program runs.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_TYPE, *kind))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Ok(if known { answer.finish() } else { answer.body(bytes) })
}

/// A build for developers reads the page from the folder that this variable names, so that it can be worked on, and
/// broken on purpose, without a build.
#[cfg(debug_assertions)]
fn on_disk(name: &str) -> Option<web::Bytes> {
    let folder = std::env::var_os("PAY_BY_TWEET_PAGE")?;
    std::fs::read(std::path::Path::new(&folder).join(name)).ok().map(web::Bytes::from)
}

#[cfg(not(debug_assertions))]
fn on_disk(_: &str) -> Option<web::Bytes> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of everything that the page loads.
    const PAGE_BYTES_MAX: usize = 200 << 10;
    const FILE_LINES_MAX: usize = 500;

    #[test]
    fn the_page_is_light_and_names_no_other_server() {
        let bytes: usize = FILES.iter().map(|(.., bytes)| bytes.len()).sum();
        assert!(bytes <= PAGE_BYTES_MAX, "{bytes} bytes");
        for (name, _, bytes) in FILES.iter().filter(|(name, ..)| !name.starts_with("vendor/")) {
            let text = std::str::from_utf8(bytes).expect("UTF-8");
            assert!(text.lines().count() <= FILE_LINES_MAX, "{name} has more than {FILE_LINES_MAX} lines");
            for outside in ["https://", "//cdn", "innerHTML", "insertAdjacentHTML", "eval(", " style=\"", "onclick="] {
                assert!(!text.contains(outside), "{name} holds {outside}");
            }
            let place = text.replace("http://www.w3.org/", "");
            assert!(!place.contains("http://"), "{name} names another server");
        }
    }

    #[test]
    fn every_file_that_is_named_is_served() {
        for (name, _, bytes) in FILES.iter().filter(|(name, ..)| !name.starts_with("vendor/")) {
            let text = String::from_utf8_lossy(bytes);
            let named = text.split(['"', '\'']).filter_map(|word| word.strip_prefix("/assets/"));
            let imported = text.split('"').filter_map(|word| word.strip_prefix("./"));
            for file in named.chain(imported.filter(|word| word.ends_with(".js"))) {
                assert!(FILES.iter().any(|(known, ..)| *known == file), "{name} loads {file}");
            }
        }
    }
}
