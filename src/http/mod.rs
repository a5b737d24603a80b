//! What the program shows over HTTP: health, metrics, accounts, offers, and topics as `tap` prints them.
//!
//! | path | who may | what |
//! |---|---|---|
//! | `/`, `/assets/…` | everybody | the page |
//! | `/livez`, `/readyz` | everybody | 200, or 503 with the workers that stand still or are not ready |
//! | `/metrics` | everybody | Prometheus' text format |
//! | `/v1/offers` | everybody | every offer with its stock and funnel |
//! | `/v1/events` | everybody | samples and events as they come, server-sent; account data only with the token |
//! | `/v1/accounts/{network:id}` | bearer token | what is remembered of an account |
//! | `/v1/accounts/{network:id}/events` | bearer token | what became of its purchases, and why |
//! | `/v1/ends/{topic}` | bearer token | where its partitions begin and end, and how far a group has come |
//! | `/v1/tap/{topic}` | bearer token | a topic's committed records, one JSON line each |
//! | `/v1/demo`, `/v1/demo/{act}` | bearer token; without a demo everybody is told that (204) | the simulated network |
//!
//! Where the demo is bound to loopback no token is needed. The server has threads of its own and only asks: shards by
//! messages through the directory, the log by a reader, the demo by its own thread. Errors are JSON `{"error": "…"}`.
//! Card tokens are never shown except where `tap` reads topics that carry them (I11).

mod access;
mod accounts;
mod answer;
mod endpoint;
mod ends;
mod events;
mod glance;
mod lag;
mod offers;
mod page;
mod play;
mod sample;
mod scrape;
mod status;
mod story;
mod tap;
mod tap_line;
mod watch;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::error::QueryPayloadError;
use actix_web::{App, HttpRequest, HttpServer, Resource, Route, guard, web};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::accounts::AccountsShard;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::engine::directory::Directory;
use crate::engine::health::Health;
use crate::engine::pressure::Pressure;
use crate::offers::OffersShard;

use access::Access;
use answer::ApiError;
use tap::Taps;
use watch::{Watch, Watching};

pub use accounts::account_json;
pub use endpoint::{
    ClientError, Endpoint, EndpointFile, client_get, forget_endpoint, new_secret, read_endpoint, write_endpoint,
};
pub use ends::{Ends, PartitionEnds};
pub use events::Events;
pub use offers::offers_json;
pub use play::{Act, Play};
pub use tap_line::tap_line;

/// Everything that the server asks.
pub struct HttpState {
    pub bus: Arc<dyn Bus>,
    pub accounts: Directory<AccountsShard>,
    pub offers: Directory<OffersShard>,
    pub health: Health,
    /// The clock of the workers.
    pub clock: Arc<dyn Clock>,
    /// Partitions of `accounts.inbox`.
    pub accounts_partitions: u32,
    /// Of `http.token_file`.
    pub token: Option<String>,
    /// What commands on this machine show instead of the token; see [`write_endpoint`].
    pub secret: String,
    /// The demo: everybody may see everything, as long as the address is a loopback one.
    pub open: bool,
    pub metrics: PrometheusHandle,
    /// Every topic.
    pub topics: Vec<String>,
    /// The topics of posts.
    pub sources: Vec<String>,
    pub pressure: Pressure,
    /// What is published here goes to `/v1/events`.
    pub events: Events,
    /// The demo's network, if this is a demo.
    pub play: Option<Arc<dyn Play>>,
}

/// A running server. Dropping it stops it.
pub struct Server {
    addr: SocketAddr,
    handle: ServerHandle,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
    watching: Option<Watching>,
    events: Events,
}

/// Open connections at most; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 256;

/// How long a stop waits for answers that are under way.
const STOP_PATIENCE_SECS: u64 = 2;

/// Binds the address, so that an address in use is an error here and now, and serves on threads of its own.
pub fn serve(listen: SocketAddr, state: HttpState) -> io::Result<Server> {
    let listener = TcpListener::bind(listen).map_err(|error| cannot_listen(listen, &error))?;
    let addr = listener.local_addr()?;
    let stopping = Arc::new(AtomicBool::new(false));
    let events = state.events.clone();
    let state = Arc::new(state);
    let (watch, watching) = watch::start(state.clone(), stopping.clone())?;
    let served = web::Data::new(Served {
        access: Access::new(state.token.as_deref(), &state.secret, state.open && addr.ip().is_loopback()),
        taps: Taps::default(),
        stopping: stopping.clone(),
        watch,
        state,
    });
    let (tell, told) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = start(listener, served);
            // A caller that went away gave the start up; the handle goes with the message and the server is not run.
            let _ = tell.send(server.as_ref().map(|server| server.handle()).map_err(copy_of));
            server?.await
        })
    })?;
    let handle = told.recv().map_err(|_| io::Error::other("the HTTP server did not start"))?;
    let handle = handle.map_err(|error| cannot_listen(addr, &error))?;
    Ok(Server { addr, handle, stopping, thread: Some(thread), watching: Some(watching), events })
}

impl Server {
    /// The address that was bound: with port 0 asked for, the port that was given.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends taps, finishes answers that are under way within two seconds, and waits for the threads.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(watching) = self.watching.take() {
            watching.wait();
        }
        self.events.close();
        if let Some(thread) = self.thread.take() {
            futures_executor::block_on(self.handle.stop(true));
            // A server that failed has said so in the log, and nothing is left to stop.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// What every handler sees.
struct Served {
    state: Arc<HttpState>,
    watch: Watch,
    access: Access,
    taps: Taps,
    /// Set at the stop; taps that follow look at it.
    stopping: Arc<AtomicBool>,
}

impl Served {
    /// Refuses a topic that the program does not have.
    fn knows(&self, topic: &str) -> Result<(), ApiError> {
        let known = &self.state.topics;
        if known.iter().any(|one| one == topic) {
            return Ok(());
        }
        Err(ApiError::not_found(format!("there is no topic \"{topic}\"; there are {}", known.join(", "))))
    }
}

/// What handlers of this module are given.
type Shown = web::Data<Served>;

fn start(listener: TcpListener, served: Shown) -> io::Result<actix_web::dev::Server> {
    let server = HttpServer::new(move || App::new().app_data(served.clone()).configure(routes))
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .shutdown_timeout(STOP_PATIENCE_SECS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// For whoever asks for another one.
const PATHS: &str = "/, /livez, /readyz, /metrics, /v1/offers, /v1/events, /v1/accounts/{network:id}, \
                     /v1/accounts/{network:id}/events, /v1/ends/{topic}, /v1/tap/{topic}, /v1/demo, /v1/demo/{act}";

fn routes(config: &mut web::ServiceConfig) {
    let bad_query = |error: QueryPayloadError, _: &HttpRequest| -> actix_web::Error {
        ApiError::bad_request(format!("the query: {error}")).into()
    };
    config
        .app_data(web::QueryConfig::default().error_handler(bad_query))
        .service(resource("/", get().to(page::page)))
        .service(resource("/assets/{name:.+}", get().to(page::asset)))
        .service(resource("/livez", get().to(status::livez)))
        .service(resource("/readyz", get().to(status::readyz)))
        .service(resource("/metrics", get().to(status::metrics)))
        .service(resource("/v1/accounts/{account}", get().to(accounts::account)))
        .service(resource("/v1/accounts/{account}/events", get().to(story::events)))
        .service(resource("/v1/events", get().to(events::events)))
        .service(resource("/v1/demo", get().to(play::state)))
        .service(
            web::resource("/v1/demo/{act}")
                .app_data(web::PayloadConfig::new(play::ACT_BYTES_MAX))
                .route(web::post().to(play::act))
                .default_service(web::to(not_posted)),
        )
        .service(resource("/v1/offers", get().to(offers::offers)))
        .service(resource("/v1/ends/{topic}", get().to(ends::ends)))
        .service(resource("/v1/tap/{topic}", get().to(tap::tap)))
        .default_service(web::to(nowhere));
}

/// A path that answers 405 to other methods.
fn resource(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(wrong_method))
}

/// Load balancers ask by HEAD, too.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn nowhere() -> ApiError {
    ApiError::not_found(format!("there is nothing at this path; there are {PATHS}"))
}

async fn wrong_method() -> ApiError {
    ApiError::wrong_method("this path answers GET and HEAD only")
}

async fn not_posted() -> ApiError {
    ApiError::wrong_method_for("this path answers POST only", "POST")
}

fn cannot_listen(addr: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("http.listen = \"{addr}\": can't listen there: {error}"))
}

fn copy_of(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
