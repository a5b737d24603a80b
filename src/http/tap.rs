//! `/v1/tap/{topic}?partition=&from=&max=&follow=`: a topic's committed records as lines of JSON, for the commands that
//! read while another program holds the log.
//!
//! Reading the log blocks, so each tap has a thread, which a bounded channel ties to the speed of its client. Without
//! `follow` it ends where the partitions ended when it began; with it, never.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::Shown;
use super::access::Authorized;
use super::answer::ApiError;
use super::tap_line::tap_line;
use crate::bus::{Budget, Bus, BusError, Reader, TopicPartition};

/// Taps at once, at most.
const TAPS_MAX: usize = 16;

/// Chunks that a tap reads ahead of its client.
const CHUNKS_AHEAD_MAX: usize = 2;

/// What one chunk holds at most: this many records, and this many bytes or one record.
const CHUNK: Budget = Budget { records_max: 1_000, bytes_max: 256 << 10 };

/// The pause before a tap looks again where nothing came.
const PAUSE_MS: u64 = 50;

/// Looks without a record or a gap after which a tap that does not follow ends: an open transaction holds the rest
/// back.
const EMPTY_LOOKS_MAX: u32 = 40;

/// The taps under way.
#[derive(Clone, Default)]
pub struct Taps(Arc<AtomicUsize>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// All without it, one after the other.
    partition: Option<u32>,
    /// First offset; what is no longer kept is passed over.
    #[serde(default)]
    from: u64,
    /// Records at most, over all partitions.
    max: Option<u64>,
    #[serde(default)]
    follow: bool,
}

pub async fn tap(
    _: Authorized,
    served: Shown,
    topic: web::Path<String>,
    query: web::Query<Query>,
) -> Result<HttpResponse, ApiError> {
    served.knows(&topic)?;
    let permit = served.taps.take().ok_or_else(|| ApiError::unavailable("too many taps at once"))?;
    let (bus, topic, query) = (served.state.bus.clone(), topic.into_inner(), query.into_inner());
    let opened = web::block(move || open(&*bus, &topic, &query)).await;
    let opened = opened.map_err(|error| ApiError::unavailable(error.to_string()))??;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD_MAX);
    let mut pump = Pump { opened, chunk: Vec::new(), sender, stopping: served.stopping.clone() };
    let thread = std::thread::Builder::new().name("tap".to_owned()).spawn(move || {
        let _permit = permit;
        pump.run();
    });
    thread.map_err(|error| ApiError::unavailable(format!("no thread for the tap: {error}")))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/x-ndjson"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(TapBody(receiver)))
}

/// What a tap reads.
struct Opened {
    reader: Box<dyn Reader>,
    parts: Vec<Part>,
    left: u64,
    follow: bool,
}

struct Part {
    at: TopicPartition,
    next: u64,
    /// Where the partition ended when the tap began.
    end: u64,
}

fn open(bus: &dyn Bus, topic: &str, query: &Query) -> Result<Opened, ApiError> {
    let away = |error: BusError| ApiError::unavailable(error.to_string());
    let count = bus.partitions(topic).map_err(away)?;
    let chosen = match query.partition {
        Some(one) if one >= count => {
            return Err(ApiError::not_found(format!("there is no partition {one}; there are {count}")));
        }
        Some(one) => one..one + 1,
        None => 0..count,
    };
    let mut reader = bus.reader().map_err(away)?;
    let mut parts = Vec::new();
    for partition in chosen {
        let at = TopicPartition::new(topic, partition);
        let next = reader.beginning(&at).map_err(away)?.max(query.from);
        let end = reader.end(&at).map_err(away)?;
        parts.push(Part { at, next, end });
    }
    Ok(Opened { reader, parts, left: query.max.unwrap_or(u64::MAX), follow: query.follow })
}

struct Pump {
    opened: Opened,
    chunk: Vec<u8>,
    sender: mpsc::Sender<io::Result<web::Bytes>>,
    stopping: Arc<AtomicBool>,
}

impl Pump {
    fn run(&mut self) {
        let mut empty_looks = 0;
        while !self.is_over() {
            match self.turn() {
                Ok(true) => empty_looks = 0,
                Ok(false) if self.opened.follow || empty_looks < EMPTY_LOOKS_MAX => {
                    empty_looks += 1;
                    std::thread::park_timeout(Duration::from_millis(PAUSE_MS));
                }
                Ok(false) => return,
                Err(error) => {
                    self.break_off(&error.to_string());
                    return;
                }
            }
        }
        // Who follows was promised no end.
        if !self.opened.follow && !self.is_told() {
            self.break_off("the program stops");
        }
    }

    /// The client sees that the answer is not whole; if it went away, nobody needs to know.
    fn break_off(&self, why: &str) {
        let _ = self.sender.blocking_send(Err(io::Error::other(why.to_owned())));
    }

    fn is_over(&self) -> bool {
        self.is_told() || self.sender.is_closed() || self.stopping.load(Ordering::Acquire)
    }

    /// Whether all was told that was asked for.
    fn is_told(&self) -> bool {
        let Opened { parts, left, follow, .. } = &self.opened;
        *left == 0 || (!follow && parts.iter().all(|part| part.next >= part.end))
    }

    /// One chunk: of the first partition that is not read to its end, or, when following, of each. Answers whether any
    /// position moved.
    fn turn(&mut self) -> Result<bool, BusError> {
        let Opened { parts, follow, .. } = &self.opened;
        let chosen = match parts.iter().position(|part| part.next < part.end) {
            Some(unread) if !follow => unread..unread + 1,
            _ => 0..parts.len(),
        };
        let mut moved = false;
        for index in chosen {
            moved |= self.read(index)?;
        }
        Ok(moved)
    }

    fn read(&mut self, index: usize) -> Result<bool, BusError> {
        let Opened { reader, parts, left, follow } = &mut self.opened;
        let Some(part) = parts.get_mut(index) else { return Ok(false) };
        let (partition, end, follow) = (part.at.partition, part.end, *follow);
        let records_max = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK.records_max);
        let chunk = &mut self.chunk;
        let next = reader.read(&part.at, part.next, Budget { records_max, ..CHUNK }, &mut |record| {
            if *left > 0 && (follow || record.offset < end) {
                *left -= 1;
                let line = tap_line(partition, record.offset, record.key, record.value, &record.headers.read());
                chunk.extend_from_slice(line.as_bytes());
                chunk.push(b'\n');
            }
        })?;
        let moved = next > part.next;
        part.next = next;
        if !self.chunk.is_empty() {
            let chunk = web::Bytes::from(std::mem::take(&mut self.chunk));
            // A client that went away is noticed before the next turn.
            let _ = self.sender.blocking_send(Ok(chunk));
        }
        Ok(moved)
    }
}

/// The chunks as a body of unknown length.
struct TapBody(mpsc::Receiver<io::Result<web::Bytes>>);

impl MessageBody for TapBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<web::Bytes>>> {
        self.0.poll_recv(cx)
    }
}

/// One of [`TAPS_MAX`]; given back on drop.
pub struct Permit(Arc<AtomicUsize>);

impl Taps {
    pub fn take(&self) -> Option<Permit> {
        let permit = Permit(self.0.clone());
        // Dropping the permit on refusal gives the count back.
        (self.0.fetch_add(1, Ordering::AcqRel) < TAPS_MAX).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
