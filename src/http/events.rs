//! `/v1/events`: what happens, as server-sent events, for the page.
//!
//! Whoever publishes never waits: a subscriber that does not keep up misses events, it slows nobody down. So what is
//! published is either whole in itself (the newest sample replaces the one before) or a choice of many anyway.
//! Account data is only for those who may see it: each event has a form with and one without.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Shown;
use super::access::MaybeAuthorized;
use super::answer::ApiError;

/// Subscribers at once, at most.
const SUBSCRIBERS_MAX: usize = 32;

/// Events that wait for a slow subscriber; it misses what comes beyond.
const EVENTS_AHEAD_MAX: usize = 16;

/// Where events are published; clones share.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<Subscriber>>>);

struct Subscriber {
    sender: mpsc::Sender<web::Bytes>,
    /// May see account data.
    authorized: bool,
}

impl Events {
    /// Tells everybody the same.
    pub fn publish(&self, name: &str, data: &Value) {
        self.publish_forms(name, data, data);
    }

    /// Tells `whole` to those who may see account data and `bare` to the others.
    pub fn publish_forms(&self, name: &str, whole: &Value, bare: &Value) {
        let (whole, bare) = (event(name, whole), event(name, bare));
        let tell = |subscriber: &mut Subscriber| {
            let bytes = if subscriber.authorized { whole.clone() } else { bare.clone() };
            // Full: it misses this one. Closed: it went away.
            !matches!(subscriber.sender.try_send(bytes), Err(mpsc::error::TrySendError::Closed(_)))
        };
        self.all().retain_mut(tell);
    }

    /// Whether anybody listens.
    pub fn are_watched(&self) -> bool {
        let mut all = self.all();
        all.retain(|subscriber| !subscriber.sender.is_closed());
        !all.is_empty()
    }

    /// Ends every subscription.
    pub fn close(&self) {
        self.all().clear();
    }

    /// `first` are events for the new subscriber alone. `None`: there are too many.
    fn subscribe(&self, authorized: bool, first: Vec<(&str, Value)>) -> Option<mpsc::Receiver<web::Bytes>> {
        let (sender, receiver) = mpsc::channel(EVENTS_AHEAD_MAX);
        for (name, data) in first {
            // There is room for the first ones.
            let _ = sender.try_send(event(name, &data));
        }
        let mut all = self.all();
        all.retain(|subscriber| !subscriber.sender.is_closed());
        if all.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        all.push(Subscriber { sender, authorized });
        Some(receiver)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        // A list of senders: a panic between two of them leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub async fn events(access: MaybeAuthorized, served: Shown) -> Result<HttpResponse, ApiError> {
    let first = served.watch.first_events();
    let receiver = served.state.events.subscribe(access.0, first);
    let receiver = receiver.ok_or_else(|| ApiError::unavailable("too many listen to events already"))?;
    served.watch.wake();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(EventsBody(receiver)))
}

/// JSON has no line ends of its own, so an event's data is one line.
fn event(name: &str, data: &Value) -> web::Bytes {
    web::Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// Events as a body of unknown length.
struct EventsBody(mpsc::Receiver<web::Bytes>);

impl MessageBody for EventsBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(receiver: &mut mpsc::Receiver<web::Bytes>) -> Option<String> {
        receiver.try_recv().ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn each_sees_its_form_and_the_slow_miss_some() {
        let events = Events::default();
        assert!(!events.are_watched());
        let mut whole = events.subscribe(true, vec![("first", json!(1))]).expect("room");
        let mut bare = events.subscribe(false, Vec::new()).expect("room");
        events.publish_forms("seen", &json!({"account": "twitter:1"}), &json!({}));
        assert_eq!(text(&mut whole).as_deref(), Some("event: first\ndata: 1\n\n"));
        assert_eq!(text(&mut whole).as_deref(), Some("event: seen\ndata: {\"account\":\"twitter:1\"}\n\n"));
        assert_eq!(text(&mut bare).as_deref(), Some("event: seen\ndata: {}\n\n"));
        for _ in 0..2 * EVENTS_AHEAD_MAX {
            events.publish("n", &json!(0));
        }
        assert_eq!(std::iter::from_fn(|| text(&mut bare)).count(), EVENTS_AHEAD_MAX);
        drop(bare);
        assert!(events.are_watched());
        drop(whole);
        assert!(!events.are_watched());
    }

    #[test]
    fn subscribers_are_bounded_and_can_be_sent_away() {
        let events = Events::default();
        let mut all: Vec<_> = (0..SUBSCRIBERS_MAX).filter_map(|_| events.subscribe(false, Vec::new())).collect();
        assert!(all.len() == SUBSCRIBERS_MAX && events.subscribe(false, Vec::new()).is_none());
        all.pop();
        assert!(events.subscribe(false, Vec::new()).is_some());
        events.close();
        assert!(all.iter_mut().all(|receiver| receiver.blocking_recv().is_none()));
    }
}
