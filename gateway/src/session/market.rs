//! What a client is subscribed to.

use super::{Host, Session, SessionLimits};
use crate::rooms::view::{Channel, View};
use crate::venue::Venue;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control;
use crate::wire::id::RequestId;
use crate::wire::name::OnSlow;
use crate::wire::request::{Streams, Subscribe};
use engine_core::units::SymbolId;

pub(super) struct Subscription {
    pub channel: Box<str>,
    /// None for the private channel.
    market: Option<(SymbolId, Streams)>,
}

impl Session {
    pub(super) fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        id: Option<&RequestId>,
        limits: &SessionLimits,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        not_yet("depth", subscribe.depth.is_some())?;
        not_yet("interval_ms", subscribe.interval_ms.is_some())?;
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
            Some((symbol, streams)) => {
                View::covering(streams).try_for_each(|view| host.open(symbol, view))?;
                host.say(|out, _| control::subscription_ack(out, id, subscribe));
                View::covering(streams).for_each(|view| host.join(symbol, view));
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
    ) -> Result<Option<(SymbolId, Streams)>, Refusal> {
        let unknown = || {
            let message = format!("channel {:?} is not one of ours", subscribe.channel);
            Refusal::of_field(ErrorCode::UnknownChannel, "channel", message)
        };
        let (symbol, of_name) = match Channel::parse(subscribe.channel).ok_or_else(unknown)? {
            Channel::User => return Ok(None),
            Channel::Market { symbol, streams } => {
                (venue.instrument(symbol).ok_or_else(unknown)?.id, streams)
            }
        };
        if of_name.is_some() && subscribe.streams.is_some() {
            let message = "streams: the channel name says already which stream";
            return Err(Refusal::of_field(ErrorCode::BadValue, "streams", message));
        }
        let streams = of_name.or(subscribe.streams).unwrap_or(Streams::DEFAULT);
        for subscription in &self.subscriptions {
            // Two subscriptions that carry the same stream would deliver its messages twice.
            if let Some((of, has)) = subscription.market
                && of == symbol
                && has.iter().any(|stream| streams.has(stream))
            {
                return Err(already(format!(
                    "channel {} delivers this stream already",
                    subscription.channel
                )));
            }
        }
        Ok(Some((symbol, streams)))
    }

    pub(super) fn unsubscribe(
        &mut self,
        channel: &str,
        id: Option<&RequestId>,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let at = self.find(channel)?;
        if let Some((symbol, streams)) = self.subscriptions.swap_remove(at).market {
            View::covering(streams).for_each(|view| host.leave(symbol, view));
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
            Some((symbol, streams)) => View::covering(streams).try_for_each(|view| host.resync(symbol, view)),
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

fn not_yet(field: &'static str, asked: bool) -> Result<(), Refusal> {
    if !asked {
        return Ok(());
    }
    Err(Refusal::of_field(ErrorCode::BadValue, field, format!("{field}: not available in this version")))
}

fn already(message: String) -> Refusal {
    Refusal::of_field(ErrorCode::AlreadySubscribed, "channel", message)
}
