//! What each action reads from the fields of its message, and which combinations make sense.

use super::fields::{self, Field, Fields};
use super::order::read_order;
use super::{
    Action, AmendOrder, Auth, CancelOnDisconnect, CancelOrder, Credentials, GRACE_MS_MAX, INTERVAL_MS,
    RECV_WINDOW_MS_DEFAULT, RECV_WINDOW_MS_MAX, Request, Streams, Subscribe, TIMEOUT_MS_MAX,
};
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::name::{CancelScope, Name, SignatureAlgorithm, Stream, TopLevels};

/// The request that the fields of a message make.
pub(super) fn read_request<'a>(fields: &Fields<'a, '_>) -> Result<Request<'a>, Refusal> {
    fields.refuse_repeated()?;
    let id = fields.id()?;
    let action = match fields.text(Field::Action)? {
        Some(action) => read_action(action, fields)?,
        None if fields.looks_like_order() => Action::SubmitOrder(read_order(fields)?),
        None => return Err(fields::missing(Field::Action)),
    };
    Ok(Request { id, action })
}

fn read_action<'a>(action: &str, fields: &Fields<'a, '_>) -> Result<Action<'a>, Refusal> {
    Ok(match action {
        "submit_order" => Action::SubmitOrder(read_order(fields)?),
        "cancel_order" => Action::CancelOrder(CancelOrder {
            symbol: fields.required(Field::Symbol, Fields::label)?,
            order_id: fields.required(Field::OrderId, Fields::name)?,
        }),
        "amend_order" => Action::AmendOrder(read_amend(fields)?),
        "cancel_all" => Action::CancelAll { symbol: fields.label(Field::Symbol)? },
        "subscribe" => Action::Subscribe(read_subscribe(fields)?),
        "unsubscribe" => Action::Unsubscribe { channel: fields.required(Field::Channel, Fields::label)? },
        "list_subscriptions" => Action::ListSubscriptions,
        "resync" => Action::Resync { channel: fields.required(Field::Channel, Fields::label)? },
        "ping" => Action::Ping,
        "auth" => Action::Auth(read_auth(fields)?),
        "cancel_all_after" => Action::CancelAllAfter {
            timeout_ms: fields
                .required(Field::TimeoutMs, |fields, key| fields.integer(key, 0..=TIMEOUT_MS_MAX))?,
        },
        _ => {
            let message = "action is not one of those in the protocol, such as subscribe or submit_order";
            return Err(Refusal::of_field(ErrorCode::UnknownAction, Field::Action.text(), message));
        }
    })
}

fn read_amend<'a>(fields: &Fields<'a, '_>) -> Result<AmendOrder<'a>, Refusal> {
    let amend = AmendOrder {
        symbol: fields.required(Field::Symbol, Fields::label)?,
        order_id: fields.required(Field::OrderId, Fields::name)?,
        price: fields.decimal(Field::Price)?,
        quantity: fields.decimal(Field::Quantity)?,
    };
    if amend.price.is_none() && amend.quantity.is_none() {
        let message = "quantity is missing: amend_order needs quantity, price or both";
        return Err(Refusal::of_field(ErrorCode::MissingField, Field::Quantity.text(), message));
    }
    Ok(amend)
}

fn read_subscribe<'a>(fields: &Fields<'a, '_>) -> Result<Subscribe<'a>, Refusal> {
    Ok(Subscribe {
        channel: fields.required(Field::Channel, Fields::label)?,
        streams: read_streams(fields)?,
        depth: fields.number_of(Field::Depth, TopLevels::ALL, |levels| levels.count() as u64)?,
        interval_ms: fields.number_of(Field::IntervalMs, &[INTERVAL_MS], u64::from)?,
        on_slow: fields.word(Field::OnSlow)?,
        checksum: fields.boolean(Field::Checksum)?,
    })
}

fn read_streams(fields: &Fields<'_, '_>) -> Result<Option<Streams>, Refusal> {
    let Some(names) = fields.texts(Field::Streams)? else { return Ok(None) };
    let mut streams = Streams::NONE;
    for name in names {
        streams = streams.with(read_stream(name?)?);
    }
    if streams == Streams::NONE {
        return Err(fields::bad_value(
            Field::Streams,
            "streams must name at least one stream, or be left out",
        ));
    }
    Ok(Some(streams))
}

fn read_stream(name: &str) -> Result<Stream, Refusal> {
    Stream::from_text(name).ok_or_else(|| {
        fields::bad_value(Field::Streams, format!("streams must be some of: {}", Stream::list()))
    })
}

fn read_auth<'a>(fields: &Fields<'a, '_>) -> Result<Auth<'a>, Refusal> {
    Ok(Auth {
        credentials: read_credentials(fields)?,
        cancel_on_disconnect: read_cancel_on_disconnect(fields)?,
        resume_from: fields.integer(Field::ResumeFrom, 0..=u64::MAX)?,
    })
}

fn read_credentials<'a>(fields: &Fields<'a, '_>) -> Result<Credentials<'a>, Refusal> {
    match (fields.name(Field::Account)?, fields.has(Field::Key)) {
        (Some(_), true) => Err(fields::bad_value(Field::Account, "account and key must not come together")),
        (Some(account), false) => Ok(Credentials::Open { account }),
        (None, true) => Ok(Credentials::Signed {
            key: fields.required(Field::Key, Fields::secret)?,
            ts: fields.required(Field::Ts, |fields, key| fields.integer(key, 0..=u64::MAX))?,
            recv_window_ms: fields
                .integer(Field::RecvWindowMs, 1..=RECV_WINDOW_MS_MAX)?
                .unwrap_or(RECV_WINDOW_MS_DEFAULT),
            algorithm: fields.word(Field::Alg)?.unwrap_or(SignatureAlgorithm::Ed25519),
            signature: fields.required(Field::Sig, Fields::secret)?,
        }),
        (None, false) => Err(Refusal::of_field(
            ErrorCode::MissingField,
            Field::Key.text(),
            "key is missing: auth needs key, ts and sig, or in open mode account",
        )),
    }
}

fn read_cancel_on_disconnect(fields: &Fields<'_, '_>) -> Result<Option<CancelOnDisconnect>, Refusal> {
    let Some(inner) = fields.object(Field::CancelOnDisconnect)? else { return Ok(None) };
    inner.refuse_repeated()?;
    Ok(Some(CancelOnDisconnect {
        scope: inner.word(Field::Scope)?.unwrap_or(CancelScope::Connection),
        grace_ms: inner.integer(Field::GraceMs, 0..=GRACE_MS_MAX)?.unwrap_or(0) as u32,
    }))
}
