//! `/livez`, `/readyz`, `/metrics`.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use super::Shown;
use super::answer::{ApiError, json};
use crate::domain::Span;
use crate::engine::health::WorkerHealth;
use crate::telemetry;

/// A worker steps at least every 50 ms while all is well. While the cluster can't be reached a step may take a call
/// that is given up after 20 s (an identity), or a few of 5 s (a look at the offers): one that has not stepped for this
/// long hangs.
const STEP_PATIENCE: Span = Span::of_secs(45);

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct ReadyBody {
    ready: bool,
}

/// 200 while every worker steps; else 503 with those that stand still.
pub async fn livez(served: Shown) -> Result<HttpResponse, ApiError> {
    let (health, now) = (&served.state.health, served.state.clock.now());
    if health.is_live(now, STEP_PATIENCE) {
        return Ok(json(&Live { live: true }));
    }
    let hung = names(health.workers(), |worker| now.since(worker.last_step) > STEP_PATIENCE.0);
    Err(ApiError::unavailable(format!("no step for {} s: {hung}", STEP_PATIENCE.0 / 1000)))
}

/// 200 once every worker is ready; else 503 with those that are not.
pub async fn readyz(served: Shown) -> Result<HttpResponse, ApiError> {
    let workers = served.state.health.workers();
    if workers.is_empty() {
        return Err(ApiError::unavailable("not ready: no worker was started"));
    }
    if workers.iter().all(|worker| worker.ready) {
        return Ok(json(&ReadyBody { ready: true }));
    }
    let waiting = names(workers, |worker| !worker.ready);
    Err(ApiError::unavailable(format!("not ready: {waiting}")))
}

/// Prometheus' text format, 0.0.4.
pub async fn metrics(served: Shown) -> HttpResponse {
    served.watch.scraped();
    telemetry::workers(&served.state.health.workers());
    let text = served.state.metrics.render();
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")).body(text)
}

/// `screen-0, accounts-1`.
fn names(workers: Vec<WorkerHealth>, of: impl Fn(&WorkerHealth) -> bool) -> String {
    let chosen = workers.iter().filter(|worker| of(worker));
    chosen.map(|worker| format!("{}-{}", worker.stage, worker.slot)).collect::<Vec<_>>().join(", ")
}
