//! Queries and refusals of HTTP, in the protocol's words.

use crate::wire::code::{ErrorCode, Refusal};
use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::borrow::Cow;

/// The keys of a query. Each is there at most once: of two values one would be ignored, and which one is a guess.
pub struct Keys(Vec<(String, String)>);

impl Keys {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == key).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Keys {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) =
            pairs.map_err(|_| Refused::new(ErrorCode::BadValue, None, "the query is not key=value&..."))?;
        for (at, (key, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(before, _)| before == key) {
                let message = format!("{key} must not appear twice");
                return Err(Refused::new(ErrorCode::BadValue, Some(Cow::Owned(key.clone())), message));
            }
        }
        Ok(Keys(pairs))
    }
}

/// A refusal in the protocol's words.
#[derive(Debug)]
pub struct Refused {
    code: ErrorCode,
    field: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
}

impl Refused {
    pub fn new(
        code: ErrorCode,
        field: Option<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { code, field, message: message.into() }
    }

    /// Because of one field, which the message should name.
    pub fn of_field(code: ErrorCode, field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code, Some(field.into()), message)
    }
}

/// A value that cannot be.
pub fn bad(field: &'static str, message: impl Into<Cow<'static, str>>) -> Refused {
    Refused::of_field(ErrorCode::BadValue, field, message)
}

impl From<Refusal> for Refused {
    fn from(Refusal { code, field, message }: Refusal) -> Self {
        Self { code, field: field.map(Cow::Borrowed), message }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.code {
            ErrorCode::UnknownSymbol => StatusCode::NOT_FOUND,
            ErrorCode::Overloaded | ErrorCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Permission => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut body = json!({
            "type": "error",
            "code": self.code.text(),
            "num": self.code.num(),
            "message": self.message,
        });
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        (status, Json(body)).into_response()
    }
}
