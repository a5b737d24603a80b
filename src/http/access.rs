//! Who may see account data: whoever shows the token of `http.token_file`, or the local secret.

use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use sha2::{Digest, Sha256};

use super::Shown;
use super::answer::ApiError;

/// What opens the door.
pub struct Access {
    /// SHA-256 of the token and of the secret: equal lengths, so that a comparison tells nothing by its time.
    digests: Vec<[u8; 32]>,
    has_token: bool,
    open: bool,
}

/// A request that showed what it must. As an argument it keeps everybody else out of a handler.
pub struct Authorized;

/// Whether a request showed what it must; for handlers that show more to those who did.
pub struct MaybeAuthorized(pub bool);

impl Access {
    /// Empty tokens open nothing.
    pub fn new(token: Option<&str>, secret: &str, open: bool) -> Access {
        let shown = token.into_iter().chain([secret]).filter(|key| !key.is_empty());
        Access { digests: shown.map(digest).collect(), has_token: token.is_some(), open }
    }

    /// Whether this value of the `Authorization` header, as far as it is text, may pass.
    fn check(&self, authorization: Option<&str>) -> Result<(), ApiError> {
        if self.open {
            return Ok(());
        }
        let shown = authorization.and_then(|value| value.split_once(' '));
        match shown {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") && self.knows(key.trim()) => Ok(()),
            _ => Err(ApiError::unauthorized(self.refusal())),
        }
    }

    /// Looks at every byte of every key, whatever was found before.
    fn knows(&self, key: &str) -> bool {
        let shown = digest(key);
        let differences = |known: &[u8; 32]| known.iter().zip(&shown).fold(0u8, |sum, (a, b)| black_box(sum | (a ^ b)));
        self.digests.iter().fold(false, |found, known| found | (differences(known) == 0))
    }

    fn refusal(&self) -> &'static str {
        if self.has_token {
            "this needs the header \"Authorization: Bearer <token>\" with the token of http.token_file"
        } else {
            "this needs a bearer token and none is configured: set http.token_file to a file that holds one"
        }
    }
}

impl FromRequest for Authorized {
    type Error = ApiError;
    type Future = Ready<Result<Authorized, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(check(request).map(|()| Authorized))
    }
}

impl FromRequest for MaybeAuthorized {
    type Error = ApiError;
    type Future = Ready<Result<MaybeAuthorized, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(MaybeAuthorized(check(request).is_ok())))
    }
}

fn check(request: &HttpRequest) -> Result<(), ApiError> {
    let Some(served) = request.app_data::<Shown>() else {
        return Err(ApiError::unauthorized("this server has no keys"));
    };
    // A name of somebody else's that leads here would let his pages in. What proxies add is theirs to say, too.
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if served.access.open && !is_loopback(host) {
        return Err(ApiError::unauthorized("the demo answers by its loopback address only"));
    }
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    served.access.check(value)
}

/// Whether this server's own page sent the request, or no page at all: browsers name the origin of whatever sends.
pub fn is_of_this_page(request: &HttpRequest) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (origin, host) = (header(header::ORIGIN), header(header::HOST));
    origin.is_none_or(|origin| host.is_some_and(|host| origin.strip_prefix("http://") == Some(host)))
}

/// `localhost:8787`, `127.0.0.1`, `[::1]:80`.
fn is_loopback(host: &str) -> bool {
    let port_begins = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let name = &host[..port_begins.unwrap_or(host.len())];
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(access: &Access, header: Option<&str>, admitted: bool) {
        assert_eq!(access.check(header).is_ok(), admitted, "{header:?}");
    }

    #[test]
    fn the_token_and_the_secret_open_and_nothing_else_does() {
        let access = Access::new(Some("token"), "secret", false);
        for header in ["Bearer token", "bearer secret", "BEARER  token "] {
            check(&access, Some(header), true);
        }
        for header in ["token", "Bearer", "Bearer ", "Bearer toke", "Bearer tokens", "Basic token", ""] {
            check(&access, Some(header), false);
        }
        check(&access, None, false);
    }

    #[test]
    fn empty_keys_open_nothing_and_the_demo_everything() {
        check(&Access::new(Some(""), "", false), Some("Bearer "), false);
        check(&Access::new(None, "", false), None, false);
        check(&Access::new(None, "secret", true), None, true);
    }

    #[test]
    fn only_loopback_names_are_loopback() {
        for host in ["localhost", "localhost:8787", "127.0.0.1:1", "127.0.0.1", "[::1]:80", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org:8787", "10.0.0.1", "localhost.example.org", "[::2]:1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_refusal_says_what_to_do() {
        let why = |token| Access::new(token, "s", false).check(None).map_err(|error| error.to_string());
        assert!(why(None).is_err_and(|why| why.contains("set http.token_file")));
        assert!(why(Some("t")).is_err_and(|why| why.contains("Authorization: Bearer")));
    }
}
