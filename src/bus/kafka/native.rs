//! What rust-rdkafka does not offer: whole batches from a queue, queues of chosen partitions, and a bell that rings
//! when a queue stops being empty. The only unsafe code of the program.
//!
//! Messages are lent inside [`Queue::take`] and given back before it returns, so nothing borrowed outlives a poll.

use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafka;

use crate::bus::RecordRef;
use crate::bus::headers::{EncodedHeaders, Headers};
use crate::domain::Time;

/// Rings when any of the queues that hold it stops being empty.
#[derive(Debug, Default)]
pub struct Doorbell {
    rung: Mutex<bool>,
    heard: Condvar,
}

/// A queue of a client. The client must live longer: declare queues above it, so that they are dropped first.
pub struct Queue {
    ptr: NonNull<sys::rd_kafka_queue_t>,
    /// Lent to librdkafka as a raw pointer until the callback is taken away in `drop`.
    bell: Option<Arc<Doorbell>>,
    batch: Vec<*mut sys::rd_kafka_message_t>,
}

/// Fetches one partition outside every group, by librdkafka's simple consumer: unlike an assignment, starting and
/// stopping take effect before they answer, so that nothing of an earlier start is ever given. The client must live
/// longer.
pub struct Fetcher {
    queue: Queue,
    topic: NonNull<sys::rd_kafka_topic_t>,
    partition: i32,
    started: bool,
}

/// What a queue gives.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<'a> {
    Message(Message<'a>),
    /// The partition was read to this offset, past every gap before it, and nothing more was there.
    End(u64),
    Error(RDKafkaErrorCode),
}

/// A message as librdkafka lends it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub offset: u64,
    timestamp: Time,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    native: &'a sys::rd_kafka_message_t,
}

/// Where a message or an end belongs; cheap to compare. The topic is a handle that stays the same while a partition of
/// it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    topic: usize,
    pub partition: i32,
}

/// Messages taken in one call at most.
const BATCH_MAX: usize = 256;

// SAFETY: librdkafka's queues may be used from any thread, and `batch` is empty between calls.
unsafe impl Send for Queue {}

impl Doorbell {
    /// Waits until it was rung since the last wait, or for so long.
    pub fn wait(&self, longest: Duration) {
        let rung = self.lock();
        let waited = self.heard.wait_timeout_while(rung, longest, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }

    pub fn ring(&self) {
        *self.lock() = true;
        self.heard.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called on a thread of librdkafka.
unsafe extern "C" fn ring(_: *mut RDKafka, bell: *mut c_void) {
    // SAFETY: the pointer is that of an `Arc<Doorbell>` which its queue holds until it has taken this callback away.
    unsafe { &*bell.cast_const().cast::<Doorbell>() }.ring();
}

impl Queue {
    /// A queue of its own.
    pub fn new(client: *mut RDKafka) -> Queue {
        // SAFETY: `client` is a live client, as its owner's type says.
        Queue::of(unsafe { sys::rd_kafka_queue_new(client) }).expect("a new queue is never null")
    }

    /// The queue of a consumer's messages and group events.
    pub fn of_consumer(client: *mut RDKafka) -> Option<Queue> {
        // SAFETY: as in `new`.
        Queue::of(unsafe { sys::rd_kafka_queue_get_consumer(client) })
    }

    /// The queue of a client's events: delivery reports, errors, logs.
    pub fn of_events(client: *mut RDKafka) -> Option<Queue> {
        // SAFETY: as in `new`.
        Queue::of(unsafe { sys::rd_kafka_queue_get_main(client) })
    }

    fn of(ptr: *mut sys::rd_kafka_queue_t) -> Option<Queue> {
        Some(Queue { ptr: NonNull::new(ptr)?, bell: None, batch: Vec::new() })
    }

    /// Has the bell rung whenever the queue stops being empty.
    pub fn with_bell(mut self, bell: &Arc<Doorbell>) -> Queue {
        let opaque = Arc::as_ptr(bell).cast_mut().cast();
        // SAFETY: `self.bell` keeps the pointer valid until `drop` takes the callback away.
        unsafe { sys::rd_kafka_queue_cb_event_enable(self.ptr.as_ptr(), Some(ring), opaque) };
        self.bell = Some(bell.clone());
        self
    }

    /// From now on this queue gets what is fetched of a partition, over all assignments. False if the topic's name is
    /// none.
    pub fn adopt(&self, client: *mut RDKafka, topic: &str, partition: i32) -> bool {
        let Ok(topic) = CString::new(topic) else { return false };
        // SAFETY: the partition's queue is a reference of ours that is given back at once; forwarding keeps its own.
        unsafe {
            let partition = sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if partition.is_null() {
                return false;
            }
            sys::rd_kafka_queue_forward(partition, self.ptr.as_ptr());
            sys::rd_kafka_queue_destroy(partition);
        }
        true
    }

    /// Events and messages that wait.
    pub fn len(&self) -> usize {
        // SAFETY: `ptr` is a live queue.
        unsafe { sys::rd_kafka_queue_length(self.ptr.as_ptr()) }
    }

    /// Lends up to `max` of what waits, [`BATCH_MAX`] at most; waits for nothing. Answers how many there were, ends and
    /// errors among them.
    pub fn take(&mut self, max: usize, visit: &mut dyn FnMut(Origin, &CStr, Fetched<'_>)) -> usize {
        let max = max.clamp(1, BATCH_MAX);
        self.batch.clear();
        self.batch.reserve(max);
        // SAFETY: the batch has room for `max` pointers, of which librdkafka writes as many as it answers.
        let taken = unsafe {
            let taken = sys::rd_kafka_consume_batch_queue(self.ptr.as_ptr(), 0, self.batch.as_mut_ptr(), max);
            // -1 says that the queue is none any more; then there is nothing.
            let taken = usize::try_from(taken).unwrap_or(0);
            self.batch.set_len(taken);
            taken
        };
        for native in self.batch.drain(..) {
            // Given back when it was visited, and when the visitor panics.
            let message = Lent(native);
            // SAFETY: each pointer is a message of ours until it is destroyed.
            let native = unsafe { &*message.0 };
            let origin = Origin { topic: native.rkt as usize, partition: native.partition };
            // SAFETY: the topic's name lives as long as the topic, which the message holds. A message without topic
            // would be an error of the whole client, which comes as an event instead.
            let topic = match native.rkt.is_null() {
                true => c"",
                false => unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(native.rkt)) },
            };
            visit(origin, topic, fetched(native));
        }
        taken
    }
}

fn fetched(native: &sys::rd_kafka_message_t) -> Fetched<'_> {
    let offset = u64::try_from(native.offset).unwrap_or(0);
    match native.err {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            // SAFETY: a message without error that was not destroyed.
            let timestamp = unsafe { sys::rd_kafka_message_timestamp(native, &mut kind) };
            Fetched::Message(Message {
                offset,
                timestamp: Time(timestamp.max(0)),
                // SAFETY: librdkafka says that so many bytes are there as long as the message is.
                key: unsafe { bytes(native.key, native.key_len) },
                value: unsafe { bytes(native.payload, native.len) },
                native,
            })
        }
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Fetched::End(offset),
        other => Fetched::Error(other.into()),
    }
}

impl Message<'_> {
    /// As the bus lends it.
    pub fn lend(&self) -> RecordRef<'_> {
        let headers = Headers::encoded(self);
        RecordRef { offset: self.offset, timestamp: self.timestamp, key: self.key, value: self.value, headers }
    }
}

impl EncodedHeaders for Message<'_> {
    fn decode(&self) -> Vec<(String, Vec<u8>)> {
        let mut headers = Vec::new();
        let mut native = ptr::null_mut();
        // SAFETY: a live message; its headers live as long as it does, and so do names and values.
        unsafe {
            let found = sys::rd_kafka_message_headers(self.native, &mut native);
            if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return headers;
            }
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            while sys::rd_kafka_header_get_all(native, headers.len(), &mut name, &mut value, &mut len)
                == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                headers.push((name, bytes(value, len).unwrap_or_default().to_vec()));
            }
        }
        headers
    }
}

/// # Safety
/// Where `start` is not null, `len` bytes lie there for as long as the result lives.
unsafe fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as above.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

/// A message that is ours until it is dropped.
struct Lent(*mut sys::rd_kafka_message_t);

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: messages of a batch are the caller's to destroy, each once.
        unsafe { sys::rd_kafka_message_destroy(self.0) };
    }
}

// SAFETY: topics of librdkafka may be used from any thread.
unsafe impl Send for Fetcher {}

impl Fetcher {
    /// Of a partition of this client; `None` if the topic's name is none.
    pub fn new(client: *mut RDKafka, topic: &str, partition: i32, bell: &Arc<Doorbell>) -> Option<Fetcher> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: a live client; no configuration of its own.
        let topic = unsafe { sys::rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut()) };
        let queue = Queue::new(client).with_bell(bell);
        Some(Fetcher { queue, topic: NonNull::new(topic)?, partition, started: false })
    }

    /// Fetches from this offset on, and gives nothing that was fetched before.
    pub fn start(&mut self, from: u64) -> Result<(), RDKafkaErrorCode> {
        self.stop();
        // What was fetched last is dropped with its queue's content.
        while self.queue.take(BATCH_MAX, &mut |_, _, _| {}) > 0 {}
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        // SAFETY: a live topic and a live queue.
        let outcome = unsafe {
            sys::rd_kafka_consume_start_queue(self.topic.as_ptr(), self.partition, from, self.queue.ptr.as_ptr())
        };
        if outcome != 0 {
            // SAFETY: reads the error of this thread's last call.
            return Err(unsafe { sys::rd_kafka_last_error() }.into());
        }
        self.started = true;
        Ok(())
    }

    /// As [`Queue::take`], of this partition alone.
    pub fn take(&mut self, max: usize, visit: &mut dyn FnMut(Fetched<'_>)) -> usize {
        self.queue.take(max, &mut |_, _, fetched| visit(fetched))
    }

    fn stop(&mut self) {
        if std::mem::take(&mut self.started) {
            // SAFETY: a live topic whose partition was started.
            unsafe { sys::rd_kafka_consume_stop(self.topic.as_ptr(), self.partition) };
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.stop();
        // SAFETY: the reference of `new`.
        unsafe { sys::rd_kafka_topic_destroy(self.topic.as_ptr()) };
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the callback goes first, under the queue's own lock, so that the bell may be dropped after it.
        unsafe {
            if self.bell.is_some() {
                sys::rd_kafka_queue_cb_event_enable(self.ptr.as_ptr(), None, ptr::null_mut());
            }
            sys::rd_kafka_queue_destroy(self.ptr.as_ptr());
        }
    }
}

/// The high watermark of a partition as of the last fetch answer, without a request. `None` before there was one.
pub fn high_watermark(client: *mut RDKafka, topic: &CStr, partition: i32) -> Option<u64> {
    let (mut low, mut high) = (0, 0);
    // SAFETY: a live client, and two places to write to.
    let found = unsafe { sys::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high) };
    match found {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => u64::try_from(high).ok(),
        _ => None,
    }
}
