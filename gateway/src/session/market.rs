//! What a client is subscribed to.

use super::{Host, Session, SessionLimits};
use crate::rooms::pattern::Pattern;
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
    target: Target,
}

// Ten million clients have one each.
const _: () = assert!(size_of::<Subscription>() == 24);

/// What a channel leads to.
#[derive(Clone, Copy)]
enum Target {
    User,
    Symbol(SymbolId, Views, OnSlow),
    /// These views of every symbol that matches; the pattern is in the channel's name.
    Pattern(Views, OnSlow),
}

/// The symbols of a channel.
#[derive(Clone, Copy)]
enum Scope<'a> {
    One(SymbolId),
    All(Pattern<'a>),
}

impl Scope<'_> {
    fn symbols(self, venue: &Venue) -> Vec<SymbolId> {
        match self {
            Scope::One(symbol) => vec![symbol],
            Scope::All(pattern) => venue.matching(pattern),
        }
    }

    /// Whether some symbol is or could be in both.
    fn overlaps(self, other: Scope<'_>, venue: &Venue) -> bool {
        match (self, other) {
            (Scope::One(one), Scope::One(other)) => one == other,
            (Scope::One(symbol), Scope::All(pattern)) | (Scope::All(pattern), Scope::One(symbol)) => {
                pattern.matches(&venue.of(symbol).symbol)
            }
            (Scope::All(one), Scope::All(other)) => one.overlaps(other),
        }
    }
}

impl Subscription {
    /// What of the market it is of.
    fn market(&self) -> Option<(Scope<'_>, Views)> {
        match self.target {
            Target::User => None,
            Target::Symbol(symbol, views, _) => Some((Scope::One(symbol), views)),
            Target::Pattern(views, _) => {
                let name = Channel::symbol_of(&self.channel);
                Some((Scope::All(Pattern::parse(name).expect("it was one when it was subscribed")), views))
            }
        }
    }

    /// Its rooms.
    fn rooms(&self, venue: &Venue) -> Option<Vec<(SymbolId, View)>> {
        let (scope, views) = self.market()?;
        let symbols = scope.symbols(venue).into_iter();
        Some(symbols.flat_map(|symbol| views.iter().map(move |view| (symbol, view))).collect())
    }
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
        if self.subscriptions.len() >= limits.channels_max {
            let message = format!("a connection may have {} channels", limits.channels_max);
            return Err(Refusal::new(ErrorCode::TooManySubscriptions, message));
        }
        if self.subscriptions.iter().any(|subscription| &*subscription.channel == subscribe.channel) {
            return Err(already(format!("channel {} is subscribed", subscribe.channel)));
        }
        let target = self.target_of(subscribe, host.venue())?;
        let subscription = Subscription { channel: subscribe.channel.into(), target };
        // Everything that can fail comes before the ack; the ack comes before what it promises.
        match subscription.rooms(host.venue()) {
            Some(rooms) => {
                if host.rooms() + rooms.len() > limits.rooms_max {
                    let message = format!(
                        "a connection may be in {} rooms; with this it would be in {}",
                        limits.rooms_max,
                        host.rooms() + rooms.len()
                    );
                    return Err(Refusal::new(ErrorCode::TooManySubscriptions, message));
                }
                rooms.iter().try_for_each(|(symbol, view)| host.open(*symbol, *view))?;
                host.say(|out, _| control::subscription_ack(out, id, subscribe));
                rooms.iter().for_each(|(symbol, view)| host.join(*symbol, *view));
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
        self.subscriptions.push(subscription);
        Ok(())
    }

    /// What a channel name and the request's streams lead to.
    fn target_of(&self, subscribe: &Subscribe<'_>, venue: &Venue) -> Result<Target, Refusal> {
        let unknown = || {
            let message = format!("channel {:?} is not one of ours", subscribe.channel);
            Refusal::of_field(ErrorCode::UnknownChannel, "channel", message)
        };
        let (symbol, of_name) = match Channel::parse(subscribe.channel) {
            Ok(Channel::User) => return of_no_market(subscribe).map(|()| Target::User),
            Ok(Channel::Market { symbol, views }) => (symbol, views),
            Err(NoChannel::Unknown) => return Err(unknown()),
            Err(NoChannel::Wrong { rule }) => return Err(bad("channel", rule)),
        };
        let scope = match Pattern::parse(symbol) {
            Some(pattern) => Scope::All(pattern),
            None if symbol.contains('*') => return Err(bad("channel", "channel: a pattern has one *")),
            None => Scope::One(venue.instrument(symbol).ok_or_else(unknown)?.id),
        };
        let views = match of_name {
            Some(views) => said_by_name(subscribe).map(|()| views)?,
            None => views_of(subscribe)?,
        };
        self.refuse_repeated(scope, views, venue)?;
        let on_slow = subscribe.on_slow.unwrap_or(OnSlow::Conflate);
        Ok(match scope {
            Scope::One(symbol) => Target::Symbol(symbol, views, on_slow),
            Scope::All(_) => Target::Pattern(views, on_slow),
        })
    }

    /// Two subscriptions that carry the same stream would deliver its messages twice.
    fn refuse_repeated(&self, scope: Scope<'_>, views: Views, venue: &Venue) -> Result<(), Refusal> {
        let streams = views.streams();
        for subscription in &self.subscriptions {
            if let Some((of, has)) = subscription.market()
                && !has.streams().is_disjoint(streams)
                && scope.overlaps(of, venue)
            {
                let channel = &subscription.channel;
                return Err(already(format!("channel {channel} delivers this stream already")));
            }
        }
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        channel: &str,
        id: Option<&RequestId>,
        host: &mut impl Host,
    ) -> Result<(), Refusal> {
        let at = self.find(channel)?;
        let rooms = self.subscriptions.swap_remove(at).rooms(host.venue());
        // The last first: places in rooms are kept in the order in which rooms are made, mostly this one.
        rooms.into_iter().flatten().rev().for_each(|(symbol, view)| host.leave(symbol, view));
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
        match self.subscriptions[at].rooms(host.venue()) {
            Some(rooms) => rooms.into_iter().try_for_each(|(symbol, view)| host.resync(symbol, view)),
            None => {
                // A login that was refused since has left the connection without one.
                let trader = self.trader();
                let account = trader.require_account(limits, host)?;
                trader.look(account, host)
            }
        }
    }

    /// Whether the client would rather be disconnected than miss something in this room.
    pub fn leaves_if_lapped(&self, room: (SymbolId, View), venue: &Venue) -> bool {
        let (symbol, view) = room;
        self.subscriptions.iter().any(|subscription| {
            let on_slow = match subscription.target {
                Target::User => return false,
                Target::Symbol(_, _, on_slow) | Target::Pattern(_, on_slow) => on_slow,
            };
            let is_of_it = |(scope, views): (Scope<'_>, Views)| {
                scope.overlaps(Scope::One(symbol), venue) && views.iter().any(|has| has == view)
            };
            on_slow == OnSlow::Disconnect && subscription.market().is_some_and(is_of_it)
        })
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
    match key_of_views(subscribe) {
        Some(field) => Err(bad(field, format!("{field}: the channel name says already which stream"))),
        None => Ok(()),
    }
}

/// Refuses keys that say something about market data.
fn of_no_market(subscribe: &Subscribe<'_>) -> Result<(), Refusal> {
    match key_of_views(subscribe).or(subscribe.on_slow.map(|_| "on_slow")) {
        Some(field) => Err(bad(field, format!("{field}: it is of market data, and channel user is not"))),
        None => Ok(()),
    }
}

/// The first key that says which views are wanted.
fn key_of_views(subscribe: &Subscribe<'_>) -> Option<&'static str> {
    let Subscribe { streams, depth, interval_ms, .. } = subscribe;
    let keys =
        [("streams", streams.is_some()), ("depth", depth.is_some()), ("interval_ms", interval_ms.is_some())];
    keys.into_iter().find(|(_, is_said)| *is_said).map(|(field, _)| field)
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
