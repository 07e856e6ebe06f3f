//! What a matcher must answer about one symbol: the plain book, and the rules around it written down one after the
//! other. Every search is a walk over all live orders.

use engine_core::book::{Book, Cross, Fill, NewOrder, Outcome, Plain, Prevented, Refusal, Sink};
use engine_core::message::*;
use engine_core::units::*;
use std::collections::BTreeMap;

/// An answer of a matcher, as far as it must be what the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub key: OrderKey,
    pub outcome: Heard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Placed(u64),
    Refused(Reject),
    Triggered,
    Filled(TradeId, Price, Quantity, Liquidity),
    Decremented(Quantity),
    Amended(Quantity),
    AmendRefused(Reject),
    Closed(Quantity, CloseReason, Option<CancelCause>),
    CancelRefused(Reject, CancelCause),
    /// Of a symbol; its key means nothing.
    State(Result<(), Reject>),
}

impl Told {
    /// `None` for what is not about a symbol.
    pub fn of(message: &FromMatcher) -> Option<Told> {
        let news = match message {
            FromMatcher::Order(news) => news,
            FromMatcher::State { result, .. } => return Some(Told::state(*result)),
            FromMatcher::Relayed(_) => return None,
        };
        let outcome = match news.outcome {
            MatcherOutcome::Placed { exchange_order_id, .. } => Heard::Placed(exchange_order_id),
            MatcherOutcome::Refused { reason, .. } => Heard::Refused(reason),
            MatcherOutcome::Triggered => Heard::Triggered,
            MatcherOutcome::Filled { trade, price, quantity, liquidity } => {
                Heard::Filled(trade, price, quantity, liquidity)
            }
            MatcherOutcome::Decremented { quantity } => Heard::Decremented(quantity),
            MatcherOutcome::Amended { left, .. } => Heard::Amended(left),
            MatcherOutcome::AmendRefused { reason, .. } => Heard::AmendRefused(reason),
            MatcherOutcome::Closed { left, reason, cause } => Heard::Closed(left, reason, cause),
            MatcherOutcome::CancelRefused { reason, cause } => Heard::CancelRefused(reason, cause),
        };
        Some(Told { key: news.key, outcome })
    }

    fn state(result: Result<(), Reject>) -> Told {
        Told { key: OrderKey(0), outcome: Heard::State(result) }
    }
}

/// A symbol.
pub struct Model {
    book: Plain,
    state: SymbolState,
    now: Timestamp,
    last: Option<Price>,
    band: u16,
    orders: u64,
    trades: u64,
    live: BTreeMap<OrderKey, Live>,
    /// Stops that were reached come out in waves.
    wave: u64,
    told: Vec<Told>,
}

/// An order that rests or waits.
#[derive(Clone, Copy)]
struct Live {
    place: Place,
    number: u64,
    /// Not in the book: a stop.
    waits: bool,
    stop: Option<Stop>,
}

#[derive(Clone, Copy)]
struct Stop {
    trigger: Price,
    /// 0 for one that does not trail.
    distance: Price,
    reached_in: Option<u64>,
}

impl Model {
    pub fn new(band: u16) -> Model {
        Model {
            book: Plain::default(),
            state: SymbolState::Trading,
            now: Timestamp(0),
            last: None,
            band,
            orders: 0,
            trades: 0,
            live: BTreeMap::new(),
            wave: 0,
            told: Vec::new(),
        }
    }

    /// Everything the matcher must say because of this message.
    pub fn apply(&mut self, message: &ToMatcher) -> Vec<Told> {
        self.now = self.now.max(message.at);
        self.expire();
        match message.order {
            MatcherOrder::Place(place) => self.place(place),
            MatcherOrder::Cancel { key, cause } => self.cancel(key, cause),
            MatcherOrder::Amend(amend) => self.amend(&amend),
            MatcherOrder::SetState { state, .. } => self.set_state(state),
            MatcherOrder::Skip | MatcherOrder::Tick | MatcherOrder::List { .. } | MatcherOrder::Relay(_) => {}
        }
        while self.state == SymbolState::Trading
            && let Some(key) = self.next_reached()
        {
            self.enter_reached(key);
        }
        std::mem::take(&mut self.told)
    }

    fn tell(&mut self, key: OrderKey, outcome: Heard) {
        self.told.push(Told { key, outcome });
    }

    fn expire(&mut self) {
        let ended = |live: &&Live| (1..=self.now.0).contains(&live.place.expires.0);
        let mut ended: Vec<_> = self
            .live
            .values()
            .filter(ended)
            .map(|live| (live.place.expires, live.number, live.place.key))
            .collect();
        ended.sort();
        for (.., key) in ended {
            self.take_out(key, CloseReason::TimedOut, None);
        }
    }

    // ---- orders -------------------------------------------------------------------------------------------------

    fn place(&mut self, place: Place) {
        if let Some(reason) = self.reason_against(&place) {
            return self.tell(place.key, Heard::Refused(reason));
        }
        self.orders += 1;
        self.tell(place.key, Heard::Placed(self.orders));
        let live = Live { place, number: self.orders, waits: place.terms.is_stop(), stop: None };
        match place.terms {
            Terms::Stop { trigger } => self.watch(live, trigger, Price(0)),
            Terms::TrailingStop { trigger, distance } => self.watch(live, trigger, distance),
            _ => self.enter(live),
        }
    }

    fn reason_against(&self, place: &Place) -> Option<Reject> {
        let is_oco = matches!(place.terms, Terms::Oco { .. });
        let plain_limit =
            place.kind == OrderKind::Limit && place.time_in_force == TimeInForce::Gtc && !is_oco;
        let waits = place.terms.is_stop();
        match self.state {
            SymbolState::Trading => {}
            SymbolState::Auction if waits || plain_limit => {}
            SymbolState::CancelOnly => return Some(Reject::CancelOnly),
            SymbolState::Auction | SymbolState::Halted | SymbolState::Delisted => {
                return Some(Reject::MarketClosed);
            }
        }
        if place.expires.0 > 0 && place.expires <= self.now {
            return Some(Reject::Terms);
        }
        if waits {
            return None;
        }
        if place.kind == OrderKind::Limit && !self.in_band(place.price) {
            return Some(Reject::PriceBand);
        }
        let takes = place.time_in_force == TimeInForce::PostOnly && self.would_take(place.side, place.price);
        takes.then_some(Reject::PostOnlyWouldTake)
    }

    /// A stop begins to look at trades, the last one included.
    fn watch(&mut self, live: Live, trigger: Price, distance: Price) {
        let stop = Some(Stop { trigger, distance, reached_in: None });
        self.live.insert(live.place.key, Live { stop, ..live });
        if let Some(last) = self.last {
            self.observe(last);
        }
    }

    /// An order meets the book; what is left of it rests or is closed.
    fn enter(&mut self, live: Live) {
        let place = live.place;
        let mut order = NewOrder::new(
            place.key,
            place.account,
            place.side,
            if place.kind == OrderKind::Market { self.protect(place.side, place.price) } else { place.price },
            place.quantity,
            place.time_in_force,
        );
        order.self_trade = place.self_trade;
        match place.terms {
            Terms::Iceberg { display } => order.display = display,
            Terms::Budget { quote } => order.budget = quote.0,
            _ => {}
        }
        if self.state == SymbolState::Auction {
            self.book.rest(order, &mut Events::default());
            return self.rests(live, false);
        }
        let mut events = Events::default();
        let outcome = self.book.submit(order, &mut events);
        let traded = events.0.iter().any(|event| matches!(event, Event::Fill(_)));
        for event in events.0 {
            self.happened(event, &place);
        }
        let (left, reason) = match outcome {
            Ok(Outcome::Filled) => return,
            Ok(Outcome::Resting(_)) => return self.rests(live, traded),
            Ok(Outcome::Cancelled(left)) => (left, CloseReason::Expired),
            Ok(Outcome::Prevented(left)) => (left, CloseReason::SelfTrade),
            Err(Refusal::WouldNotFill) => (place.quantity, CloseReason::Expired),
            Err(Refusal::WouldTake) => panic!("a post-only order that takes is refused before"),
        };
        self.tell(place.key, Heard::Closed(left, reason, None));
    }

    fn rests(&mut self, live: Live, traded: bool) {
        match live.place.terms {
            Terms::Oco { trigger, .. } if !traded => self.watch(live, trigger, Price(0)),
            Terms::Oco { .. } => drop(self.live.insert(live.place.key, live.without_stop())),
            _ => drop(self.live.insert(live.place.key, live)),
        }
    }

    fn happened(&mut self, event: Event, taker: &Place) {
        match event {
            Event::Fill(Fill { maker, price, quantity, maker_left, .. }) => {
                let trade = self.trade(price);
                self.tell(maker, Heard::Filled(trade, price, quantity, Liquidity::Maker));
                self.tell(taker.key, Heard::Filled(trade, price, quantity, Liquidity::Taker));
                self.maker_traded(maker, maker_left);
            }
            Event::Prevented(Prevented { maker, quantity, maker_left, .. }) => {
                if taker.self_trade == SelfTrade::Decrement {
                    self.tell(maker, Heard::Decremented(quantity));
                    self.tell(taker.key, Heard::Decremented(quantity));
                    if maker_left.is_zero() {
                        self.live.remove(&maker);
                    }
                } else {
                    self.live.remove(&maker);
                    self.tell(maker, Heard::Closed(quantity, CloseReason::SelfTrade, None));
                }
            }
            Event::Cross(cross) => {
                let Cross { buy, buy_left, sell, sell_left, price, quantity, .. } = cross;
                let trade = self.trade(price);
                for (key, left) in [(buy, buy_left), (sell, sell_left)] {
                    self.tell(key, Heard::Filled(trade, price, quantity, Liquidity::Auction));
                    self.maker_traded(key, left);
                }
            }
        }
    }

    fn trade(&mut self, price: Price) -> TradeId {
        self.trades += 1;
        self.last = Some(price);
        self.observe(price);
        TradeId(self.trades)
    }

    fn maker_traded(&mut self, key: OrderKey, left: Quantity) {
        let live = self.live[&key];
        match live.place.terms {
            _ if left.is_zero() => drop(self.live.remove(&key)),
            Terms::Oco { .. } => drop(self.live.insert(key, live.without_stop())),
            _ => {}
        }
    }

    // ---- stops --------------------------------------------------------------------------------------------------

    fn observe(&mut self, price: Price) {
        let wave = self.wave + 1;
        for live in self.live.values_mut() {
            let side = live.place.side;
            let Some(stop) = live.stop.as_mut().filter(|stop| stop.reached_in.is_none()) else { continue };
            match side {
                Side::Buy if stop.distance.0 > 0 => {
                    stop.trigger.0 = stop.trigger.0.min(price.0 + stop.distance.0);
                }
                Side::Sell if stop.distance.0 > 0 => {
                    stop.trigger.0 = stop.trigger.0.max(price.0.saturating_sub(stop.distance.0));
                }
                _ => {}
            }
            let is_reached = match side {
                Side::Buy => price >= stop.trigger,
                Side::Sell => price <= stop.trigger,
            };
            stop.reached_in = is_reached.then_some(wave);
        }
    }

    fn next_reached(&mut self) -> Option<OrderKey> {
        let reached = self.live.values().filter_map(|live| {
            let wave = live.stop?.reached_in?;
            Some((wave, live.number, live.place.key))
        });
        let (wave, _, key) = reached.min()?;
        self.wave = wave;
        Some(key)
    }

    fn enter_reached(&mut self, key: OrderKey) {
        let live = self.live.remove(&key).expect("it was just seen");
        let mut place = live.place;
        if let Terms::Oco { then, kind, .. } = place.terms {
            place.quantity = self.book.cancel(key, &mut Events::default()).expect("an OCO rests");
            (place.price, place.kind) = (then, kind);
            place.time_in_force = if kind == OrderKind::Limit { TimeInForce::Gtc } else { TimeInForce::Ioc };
        }
        place.terms = Terms::Plain;
        self.tell(key, Heard::Triggered);
        let takes = place.time_in_force == TimeInForce::PostOnly && self.would_take(place.side, place.price);
        if place.kind == OrderKind::Limit && !self.in_band(place.price) {
            self.tell(key, Heard::Closed(place.quantity, CloseReason::PriceBand, None));
        } else if takes {
            self.tell(key, Heard::Closed(place.quantity, CloseReason::Expired, None));
        } else {
            self.enter(Live { place, waits: false, stop: None, ..live });
        }
    }

    // ---- cancels and amends -------------------------------------------------------------------------------------

    fn cancel(&mut self, key: OrderKey, cause: CancelCause) {
        if self.state == SymbolState::Halted && cause != CancelCause::System {
            return self.tell(key, Heard::CancelRefused(Reject::MarketClosed, cause));
        }
        if !self.take_out(key, CloseReason::Cancelled, Some(cause)) {
            self.tell(key, Heard::CancelRefused(Reject::TooLate, cause));
        }
    }

    fn take_out(&mut self, key: OrderKey, reason: CloseReason, cause: Option<CancelCause>) -> bool {
        let Some(left) = self.left(key) else { return false };
        self.live.remove(&key);
        self.book.cancel(key, &mut Events::default());
        self.tell(key, Heard::Closed(left, reason, cause));
        true
    }

    fn left(&self, key: OrderKey) -> Option<Quantity> {
        let live = self.live.get(&key)?;
        if live.waits { Some(live.place.quantity) } else { self.book.remaining(key) }
    }

    fn amend(&mut self, amend: &PlaceAmended) {
        let key = amend.key;
        let refuse = match self.left(key) {
            None => Some(Reject::TooLate),
            Some(_) => self.reason_against_amend(amend),
        };
        if let Some(reason) = refuse {
            return self.tell(key, Heard::AmendRefused(reason));
        }
        let left = self.left(key).expect("it is live");
        let new_left = Quantity(left.0.saturating_add_signed(amend.more));
        self.tell(key, Heard::Amended(new_left));
        let mut live = self.live[&key];
        if new_left.is_zero() {
            self.take_out(key, CloseReason::Cancelled, None);
        } else if live.waits {
            (live.place.price, live.place.quantity) = (amend.price, new_left);
            self.live.insert(key, live);
        } else if amend.keeps_price && new_left <= left {
            self.book.reduce(key, new_left, &mut Events::default());
        } else {
            self.live.remove(&key);
            self.book.cancel(key, &mut Events::default());
            (live.place.price, live.place.quantity) = (amend.price, new_left);
            (live.place.kind, live.place.time_in_force) = (OrderKind::Limit, amend.time_in_force);
            self.enter(live);
        }
    }

    fn reason_against_amend(&self, amend: &PlaceAmended) -> Option<Reject> {
        let shrinks = amend.keeps_price && amend.more <= 0;
        match self.state {
            SymbolState::Trading | SymbolState::Auction => {}
            SymbolState::CancelOnly if shrinks => {}
            SymbolState::CancelOnly => return Some(Reject::CancelOnly),
            SymbolState::Halted | SymbolState::Delisted => return Some(Reject::MarketClosed),
        }
        if shrinks || self.live[&amend.key].waits {
            return None;
        }
        if !self.in_band(amend.price) {
            return Some(Reject::PriceBand);
        }
        let takes = amend.time_in_force == TimeInForce::PostOnly && self.would_take(amend.side, amend.price);
        (takes && self.state != SymbolState::Auction).then_some(Reject::PostOnlyWouldTake)
    }

    // ---- states and prices --------------------------------------------------------------------------------------

    fn set_state(&mut self, to: SymbolState) {
        use SymbolState::*;
        let allowed = match self.state {
            Delisted => false,
            Auction => [Auction, Trading, Delisted].contains(&to),
            Trading | CancelOnly | Halted => true,
        };
        if !allowed {
            return self.told.push(Told::state(Err(Reject::SymbolState)));
        }
        if self.state == Auction && to == Trading {
            self.uncross();
        }
        if to == Delisted {
            self.take_out_all();
        }
        self.state = to;
        self.told.push(Told::state(Ok(())));
    }

    fn uncross(&mut self) {
        let Some((price, _)) = self.book.auction(self.last) else { return };
        let mut events = Events::default();
        self.book.uncross(price, &mut events);
        for event in events.0 {
            let Event::Cross(cross) = event else { panic!("nobody takes in an auction") };
            let place = self.live[&cross.buy].place;
            self.happened(event, &place);
        }
    }

    /// Those in the book as they would trade, then those that wait as they came.
    fn take_out_all(&mut self) {
        let mut keys = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            self.book.orders(side, |order| {
                keys.push(order.key);
                true
            });
        }
        let mut waiting: Vec<_> = self.live.values().filter(|live| live.waits).collect();
        waiting.sort_by_key(|live| live.number);
        keys.extend(waiting.into_iter().map(|live| live.place.key));
        for key in keys {
            self.take_out(key, CloseReason::Delisted, None);
        }
    }

    fn would_take(&self, side: Side, price: Price) -> bool {
        self.book.best(side.opposite()).is_some_and(|(best, _)| match side {
            Side::Buy => best <= price,
            Side::Sell => best >= price,
        })
    }

    /// How far from the last trade a price may be.
    fn reach(&self) -> Option<(Price, u64)> {
        let last = self.last.filter(|_| self.band > 0)?;
        Some((last, (u128::from(last.0) * u128::from(self.band) / 10_000) as u64))
    }

    fn in_band(&self, price: Price) -> bool {
        self.reach().is_none_or(|(last, reach)| price.0.abs_diff(last.0) <= reach)
    }

    fn protect(&self, side: Side, price: Price) -> Price {
        match (side, self.reach()) {
            (_, None) => price,
            (Side::Buy, Some((last, reach))) => price.min(Price(last.0 + reach)),
            (Side::Sell, Some((last, reach))) => price.max(Price(last.0.saturating_sub(reach).max(1))),
        }
    }
}

impl Live {
    fn without_stop(mut self) -> Live {
        self.place.terms = Terms::Plain;
        Live { stop: None, ..self }
    }
}

/// What the plain book did, in its order; levels are the tape's business.
#[derive(Default)]
struct Events(Vec<Event>);

#[derive(Clone, Copy)]
enum Event {
    Fill(Fill),
    Prevented(Prevented),
    Cross(Cross),
}

impl Sink for Events {
    fn fill(&mut self, fill: Fill) {
        self.0.push(Event::Fill(fill));
    }

    fn level(&mut self, _: Side, _: Price, _: Quantity) {}

    fn prevented(&mut self, prevented: Prevented) {
        self.0.push(Event::Prevented(prevented));
    }

    fn cross(&mut self, cross: Cross) {
        self.0.push(Event::Cross(cross));
    }
}
