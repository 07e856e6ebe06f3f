//! A request that could not be read, with all that is needed to answer it.

use super::CHANNEL_BYTES_MAX;
use super::fields::{Field, Fields};
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::id::RequestId;

/// A refused message: why, and to whom and in which form the answer goes. `encode::request_error` writes it.
///
/// What could be read is here even if it stands after the fault; what is itself at fault is not.
#[derive(Debug, PartialEq)]
pub struct RequestError<'a> {
    /// Code, field and sentence.
    pub refusal: Refusal,
    /// Which kind of message answers.
    pub reply: Reply,
    /// The action, known or not.
    pub action: Option<&'a str>,
    /// The id to repeat.
    pub id: Option<RequestId>,
    /// The channel that was named.
    pub channel: Option<&'a str>,
    /// The order that was named.
    pub order_id: Option<&'a str>,
}

/// The kind of message that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `error`: whatever is not about one order.
    Error,
    /// `order_reject`: the request is an order, by either spelling.
    OrderReject,
    /// `cancel_reject`: the request cancels one order.
    CancelReject,
    /// `amend_reject`: the request changes one order.
    AmendReject,
}

impl<'a> RequestError<'a> {
    #[cold]
    pub(super) fn new(refusal: Refusal, fields: &Fields<'a, '_>) -> Box<RequestError<'a>> {
        let readable = |value: Result<Option<&'a str>, Refusal>, key: Field| {
            value.ok().flatten().filter(|_| refusal.field != Some(key.text()))
        };
        let action = match refusal.code {
            ErrorCode::UnknownAction => fields.text(Field::Action).ok().flatten(), // the one fault to be repeated
            _ => readable(fields.text(Field::Action), Field::Action),
        };
        let reply = match action {
            Some("submit_order") => Reply::OrderReject,
            Some("cancel_order") => Reply::CancelReject,
            Some("amend_order") => Reply::AmendReject,
            None if !fields.has(Field::Action) && fields.looks_like_order() => Reply::OrderReject,
            _ => Reply::Error,
        };
        Box::new(RequestError {
            reply,
            action: action.filter(|action| action.len() <= CHANNEL_BYTES_MAX),
            id: fields.id().ok().flatten().filter(|_| refusal.field != Some(Field::Id.text())),
            channel: readable(fields.label(Field::Channel), Field::Channel),
            order_id: readable(fields.name(Field::OrderId), Field::OrderId),
            refusal,
        })
    }

    #[cold]
    pub(super) fn not_json(error: &simd_json::Error) -> Box<RequestError<'a>> {
        let what = match error.error() {
            simd_json::ErrorType::DepthLimitExceeded => "is nested too deeply",
            _ => "is not valid JSON",
        };
        let place = match error.index() {
            0 => String::new(), // the first pass does not say where
            index => format!(", at byte {index}"),
        };
        RequestError::unreadable(format!("the message {what}{place}"))
    }

    #[cold]
    pub(super) fn not_an_object() -> Box<RequestError<'a>> {
        RequestError::unreadable("a message is one JSON object".to_owned())
    }

    fn unreadable(message: String) -> Box<RequestError<'a>> {
        Box::new(RequestError {
            refusal: Refusal::new(ErrorCode::InvalidJson, message),
            reply: Reply::Error,
            action: None,
            id: None,
            channel: None,
            order_id: None,
        })
    }
}
