//! `/v1/demo`: the simulated network of the demo, for the page. Where no demo runs nothing is told (204) or done (404).
//!
//! `GET /v1/demo` tells how everything stands; `POST /v1/demo/{act}` does something as the person in front of the page,
//! with the act's fields as a JSON object. What comes of it is told by `demo` events.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shown;
use super::access::{Authorized, is_of_this_page};
use super::answer::{ApiError, json as answer};

/// What the person in front of the page does. Posts are named by their ids, decimal strings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Links a card with a made-up token.
    Link {
        #[serde(default = "home")]
        country: String,
    },
    Unlink {},
    /// The issuer suspends the card.
    Suspend {},
    /// Posts a text: by itself, as a reply, or as a quote.
    Tweet {
        text: String,
        reply_to: Option<String>,
        quote_of: Option<String>,
    },
    Retweet {
        post: String,
    },
    Edit {
        post: String,
        text: String,
    },
    Delete {
        post: String,
    },
    /// Lets virtual time pass.
    Forward {
        seconds: u32,
    },
    /// Begins anew as somebody else.
    Anew {},
}

/// The demo, as the server sees it. Calls may wait a moment for the demo's thread.
pub trait Play: Send + Sync {
    /// Everything that a page needs at its start.
    fn state(&self) -> Result<Value, String>;

    /// Answers what was done, or why it can't be.
    fn act(&self, act: Act) -> Result<Value, String>;
}

/// The longest body of an act.
pub const ACT_BYTES_MAX: usize = 16 << 10;

/// Nothing (204), to whoever asks, where no demo runs: the page asks every server, and a browser shows refusals.
pub async fn state(served: Shown, authorized: Result<Authorized, ApiError>) -> Result<HttpResponse, ApiError> {
    let Some(play) = served.state.play.clone() else { return Ok(HttpResponse::NoContent().finish()) };
    authorized?;
    let state = web::block(move || play.state()).await;
    let state = state.map_err(|error| ApiError::unavailable(error.to_string()))?;
    Ok(answer(&state.map_err(ApiError::unavailable)?))
}

pub async fn act(
    _: Authorized,
    served: Shown,
    request: HttpRequest,
    name: web::Path<String>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let body = body.map_err(|error| ApiError::of(&error))?;
    let play = served.state.play.clone();
    let play = play.ok_or_else(|| ApiError::not_found("no demo runs here; start one with `demo`"))?;
    // Another site's page can make a browser send forms and plain text to this address, but not JSON.
    let is_json = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !is_json.is_some_and(|kind| kind.starts_with("application/json")) || !is_of_this_page(&request) {
        return Err(ApiError::bad_request("an act is JSON (content-type application/json) sent by this server's page"));
    }
    let mut fields: Value = serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let object = fields.as_object_mut().ok_or_else(|| ApiError::bad_request("an act is a JSON object"))?;
    object.insert("act".to_owned(), json!(name.into_inner()));
    let act: Act = serde_json::from_value(fields).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let done = web::block(move || play.act(act)).await;
    let done = done.map_err(|error| ApiError::unavailable(error.to_string()))?;
    Ok(answer(&done.map_err(ApiError::bad_request)?))
}

fn home() -> String {
    "US".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_read_by_their_names() {
        let read = |value: Value| serde_json::from_value::<Act>(value).ok();
        assert_eq!(read(json!({"act": "link"})), Some(Act::Link { country: "US".to_owned() }));
        assert_eq!(read(json!({"act": "anew"})), Some(Act::Anew {}));
        let tweet = Act::Tweet { text: "hi".to_owned(), reply_to: None, quote_of: Some("7".to_owned()) };
        assert_eq!(read(json!({"act": "tweet", "text": "hi", "quote_of": "7"})), Some(tweet));
        for bad in [json!({"act": "rob"}), json!({"act": "tweet"}), json!({"act": "unlink", "card": 1})] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }
}
