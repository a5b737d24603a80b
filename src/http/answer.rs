//! Answers and errors, all of them JSON.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use serde::Serialize;

/// An answer that is no success: its status, and why, for the reader of the body.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    why: String,
    /// For the header of a wrong method.
    allow: &'static str,
}

/// 200 with this as JSON, not to be kept by caches: what is shown is of the moment.
pub fn json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(value)
}

impl ApiError {
    fn new(status: StatusCode, why: impl Into<String>) -> ApiError {
        ApiError { status, why: why.into(), allow: "GET, HEAD" }
    }

    /// What the server's own reading of a request came to.
    pub fn of(error: &actix_web::Error) -> ApiError {
        ApiError::new(error.as_response_error().status_code(), error.to_string())
    }

    pub fn bad_request(why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, why)
    }

    pub fn unauthorized(why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, why)
    }

    pub fn not_found(why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, why)
    }

    pub fn wrong_method(why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, why)
    }

    pub fn wrong_method_for(why: impl Into<String>, allow: &'static str) -> ApiError {
        ApiError { allow, ..ApiError::wrong_method(why) }
    }

    /// Not now: the same question may be answered later.
    pub fn unavailable(why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        match self.status {
            StatusCode::UNAUTHORIZED => answer.insert_header((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => answer.insert_header((header::RETRY_AFTER, "1")),
            StatusCode::METHOD_NOT_ALLOWED => answer.insert_header((header::ALLOW, self.allow)),
            _ => &mut answer,
        };
        answer.json(ErrorBody { error: &self.why })
    }
}

/// For handlers that only ever refuse.
impl Responder for ApiError {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}
