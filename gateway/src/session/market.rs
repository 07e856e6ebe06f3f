//! What a client is subscribed to.

use super::{Host, Session, SessionLimits};
use crate::rooms::view::{Channel, NoChannel, View, Views};
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control;
use crate::wire::id::RequestId;
use crate::wire::name::{OnSlow, Stream};
use crate::wire::request::{Streams, Subscribe};
use engine_core::units::SymbolId;
use std::borrow::Cow;

pub(super) struct Subscription {
    pub channel: Box<str>,
    /// None for the private channel.
    market: Option<(SymbolId, Views)>,
}

impl Session {
    pub(super) fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        not_yet("checksum", subscribe.checksum == Some(true))?;
        not_yet("on_slow", subscribe.on_slow == Some(OnSlow::Disconnect))?;
        if self.subscriptions.len() >= limits.channels_max {
            let message = format!("a connection may have {} channels", limits.channels_max);
            return Err(Refusal::new(ErrorCode::TooManySubscriptions, message));
        }
        if self.subscriptions.iter().any(|subscription| &*subscription.channel == subscribe.channel) {
            return Err(already(format!("channel {} is subscribed", subscribe.channel)));
        }
        let market = self.market_of(subscribe, host.venue())?;
        // Everything that can fail comes before the ack; the ack comes before what it promises.
        match market {
            Some((symbol, views)) => {
                views.iter().try_for_each(|view| host.open(symbol, view))?;
                host.say(|out, _| control::subscription_ack(out, id, subscribe));
                views.iter().for_each(|view| host.join(symbol, view));
            }
            None => {
                let trader = self.trader();
                let account = trader.require_account(limits, host)?;
                trader.look(account, host)?;
                host.say(|out, _| control::subscription_ack(out, id, subscribe));
            }
        }
        if self.subscriptions.is_empty() {
            self.subscriptions.reserve_exact(1); // most have one
        }
        self.subscriptions.push(Subscription { channel: subscribe.channel.into(), market });
        Ok(())
    }

    /// What a channel name and the request's streams lead to. `None` is the private channel.
    fn market_of(
        &self,
        subscribe: &Subscribe<'_>,
        venue: &Venue,
    ) -> Result<Option<(SymbolId, Views)>, Refusal> {
        let unknown = || {
            let message = format!("channel {:?} is not one of ours", subscribe.channel);
            Refusal::of_field(ErrorCode::UnknownChannel, "channel", message)
        };
        let (symbol, of_name) = match Channel::parse(subscribe.channel) {
            Ok(Channel::User) => return Ok(None),
            Ok(Channel::Market { symbol, views }) => {
                (venue.instrument(symbol).ok_or_else(unknown)?.id, views)
            }
            Err(NoChannel::Unknown) => return Err(unknown()),
            Err(NoChannel::Number { rule }) => return Err(bad("channel", rule)),
        };
        let views = match of_name {
            Some(views) => said_by_name(subscribe).map(|()| views)?,
            None => views_of(subscribe)?,
        };
        let streams = views.streams();
        for subscription in &self.subscriptions {
            // Two subscriptions that carry the same stream would deliver its messages twice.
            if let Some((of, has)) = subscription.market
                && of == symbol
                && !has.streams().is_disjoint(streams)
            {
                return Err(already(format!(
                    "channel {} delivers this stream already",
                    subscription.channel
                )));
            }
        }
        Ok(Some((symbol, views)))
    }

    pub(super) fn unsubscribe(
        &mut self,
        channel: &str,
        id: Option<&RequestId>,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let at = self.find(channel)?;
        if let Some((symbol, views)) = self.subscriptions.swap_remove(at).market {
            views.iter().for_each(|view| host.leave(symbol, view));
        }
        host.say(|out, _| control::unsubscription_ack(out, id, channel));
        Ok(())
    }

    pub(super) fn resync(
        &mut self,
        channel: &str,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let at = self.find(channel)?;
        match self.subscriptions[at].market {
            Some((symbol, views)) => views.iter().try_for_each(|view| host.resync(symbol, view)),
            None => {
                // A login that was refused since has left the connection without one.
                let trader = self.trader();
                let account = trader.require_account(limits, host)?;
                trader.look(account, host)
            }
        }
    }

    fn find(&self, channel: &str) -> Result<usize, Refusal> {
        let at = self.subscriptions.iter().position(|subscription| &*subscription.channel == channel);
        at.ok_or_else(|| {
            let message = format!("channel {channel:?} is not subscribed");
            Refusal::of_field(ErrorCode::NotSubscribed, "channel", message)
        })
    }
}

/// The views that the keys of a request without a stream in its name ask for.
fn views_of(subscribe: &Subscribe<'_>) -> Result<Views, Refusal> {
    let Subscribe { streams, depth, interval_ms, .. } = *subscribe;
    let streams = streams.unwrap_or(Streams::DEFAULT);
    for (field, is_said) in [("depth", depth.is_some()), ("interval_ms", interval_ms.is_some())] {
        if is_said && !streams.has(Stream::Depth) {
            return Err(bad(field, format!("{field}: streams must have depth")));
        }
    }
    Ok(Views::covering(streams, View::of_depth(depth, interval_ms.is_some())))
}

/// Refuses keys that say again what the channel name says.
fn said_by_name(subscribe: &Subscribe<'_>) -> Result<(), Refusal> {
    let Subscribe { streams, depth, interval_ms, .. } = subscribe;
    let keys =
        [("streams", streams.is_some()), ("depth", depth.is_some()), ("interval_ms", interval_ms.is_some())];
    match keys.into_iter().find(|(_, is_said)| *is_said) {
        Some((field, _)) => Err(bad(field, format!("{field}: the channel name says already which stream"))),
        None => Ok(()),
    }
}

fn not_yet(field: &'static str, asked: bool) -> Result<(), Refusal> {
    if !asked {
        return Ok(());
    }
    Err(bad(field, format!("{field}: not available in this version")))
}

fn bad(field: &'static str, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::of_field(ErrorCode::BadValue, field, message)
}

fn already(message: String) -> Refusal {
    Refusal::of_field(ErrorCode::AlreadySubscribed, "channel", message)
}
