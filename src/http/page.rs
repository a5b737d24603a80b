//! `/`: what there is.

use actix_web::HttpResponse;
use actix_web::http::header;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>pay-by-tweet</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 44em; margin: 2em auto; padding: 0 1em }</style>
<h1>pay-by-tweet</h1>
<p>Buying by tweet: tweets in, payments and orders out, exactly once.</p>
<ul>
<li><a href="/livez">/livez</a>: whether every worker steps</li>
<li><a href="/readyz">/readyz</a>: whether every worker is ready</li>
<li><a href="/metrics">/metrics</a>: Prometheus' text format</li>
<li><a href="/v1/offers">/v1/offers</a>: offers, their stock and funnels</li>
<li>/v1/accounts/<i>network:id</i>: what is remembered of an account (bearer token)</li>
<li>/v1/tap/<i>topic</i>?partition=&amp;from=&amp;max=&amp;follow=: a topic's records, one JSON line each (bearer token)</li>
</ul>
</html>
"#;

pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(PAGE)
}
