//! One symbol: its book, the orders of which more must be kept than a book does, and what a command does to them.

use super::stops::Stops;
use super::{Counters, MarketEvent, Outbox, Relief, TradePrint};
use crate::book::{Book, Cross, Fast, Fill, NewOrder, Outcome, Prevented, Refusal, Sink};
use crate::limits::{SPECIALS_PER_ACCOUNT_MAX, SPECIALS_PER_SYMBOL_MAX};
use crate::link::Numbers;
use crate::message::*;
use crate::sequencer::orders::shard_of;
use crate::units::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A symbol's book and all the rest.
#[derive(Clone)]
pub(super) struct Symbol {
    pub book: Fast,
    pub desk: Desk,
}

/// All the rest: what the book's events are told to, and so not part of it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Desk {
    pub id: SymbolId,
    pub counters: Counters,
    pub state: SymbolState,
    /// The greatest time of any command.
    now: Timestamp,
    /// The newest trade's price.
    pub last: Option<Price>,
    /// How far from it a price may be, in basis points; 0 for any distance.
    band: u16,
    /// Orders with terms or an end, by [`OrderKey::SPECIAL`] keys; waiting stops with the lots they have left.
    specials: BTreeMap<OrderKey, Place>,
    /// How many of them each account has.
    specials_of: BTreeMap<AccountId, u32>,
    pub stops: Stops,
    /// When orders end. Of those that end together the first to come is the first to go; keys would not do, because
    /// they say which sequencer an order came through.
    ends: BTreeSet<(Timestamp, u64, OrderKey)>,
    /// The public numbers of the orders in `ends`.
    ending: BTreeMap<OrderKey, u64>,
}

impl Symbol {
    pub fn new(id: SymbolId, band: u16) -> Self {
        Self {
            book: Fast::default(),
            desk: Desk {
                id,
                counters: Counters::default(),
                state: SymbolState::Trading,
                now: Timestamp(0),
                last: None,
                band,
                specials: BTreeMap::new(),
                specials_of: BTreeMap::new(),
                stops: Stops::default(),
                ends: BTreeSet::new(),
                ending: BTreeMap::new(),
            },
        }
    }

    /// What always holds between two commands.
    pub fn check(&self) {
        self.book.check_invariants();
        let Desk { specials, specials_of, stops, ends, ending, .. } = &self.desk;
        for (key, place) in specials {
            let waits = place.terms.is_stop() && stops.contains(*key);
            assert!(waits != self.book.remaining(*key).is_some(), "special {key} is in one place");
            let number = ending.get(key);
            let ends = number.is_some_and(|number| ends.contains(&(place.expires, *number, *key)));
            assert_eq!(place.expires.0 > 0, ends, "special {key} ends when it says");
        }
        assert!(ends.iter().all(|(.., key)| specials.contains_key(key)), "only live orders end");
        assert_eq!(ends.len(), ending.len(), "an order ends once");
        assert!(stops.keys().iter().all(|key| specials.contains_key(key)), "only live orders wait");
        let mut count_of = BTreeMap::new();
        specials.values().for_each(|place| *count_of.entry(place.account).or_default() += 1);
        assert_eq!(count_of, *specials_of, "specials are counted by account");
    }
}

impl Desk {
    /// Forgets an order that is gone.
    fn forget(&mut self, key: OrderKey) {
        if key.is_special()
            && let Some(place) = self.specials.remove(&key)
        {
            let of_account = self.specials_of.get_mut(&place.account).expect("it was counted");
            *of_account -= 1;
            if *of_account == 0 {
                self.specials_of.remove(&place.account);
            }
            if let Some(number) = self.ending.remove(&key) {
                self.ends.remove(&(place.expires, number, key));
            }
            self.stops.remove(key);
        }
    }

    /// Keeps an order until it is forgotten.
    fn keep(&mut self, place: Place) {
        if place.expires.0 > 0 {
            let number = *self.ending.entry(place.key).or_insert(self.counters.exchange_order_id);
            self.ends.insert((place.expires, number, place.key));
        }
        if self.specials.insert(place.key, place).is_none() {
            *self.specials_of.entry(place.account).or_default() += 1;
        }
    }

    /// A resting order traded: of two ways out, this one it took.
    fn traded(&mut self, key: OrderKey, left: Quantity) {
        if left.is_zero() {
            return self.forget(key);
        }
        if key.is_special()
            && let Some(place) = self.specials.get_mut(&key)
            && matches!(place.terms, Terms::Oco { .. })
        {
            place.terms = Terms::Plain;
            self.stops.remove(key);
        }
    }

    /// Whether there is room for one more order with terms or an end.
    fn admits_special(&self, account: AccountId) -> Result<(), Reject> {
        let of_account = self.specials_of.get(&account).copied().unwrap_or(0);
        if of_account >= SPECIALS_PER_ACCOUNT_MAX {
            return Err(Reject::TooManyOrders);
        }
        match self.specials.len() < SPECIALS_PER_SYMBOL_MAX {
            true => Ok(()),
            false => Err(Reject::Overloaded),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The lowest and the highest price that the band allows now.
    fn band(&self) -> Option<(Price, Price)> {
        let last = self.last.filter(|_| self.band > 0)?;
        let reach = (last.0 as u128 * self.band as u128 / 10_000) as u64;
        Some((Price(last.0.saturating_sub(reach).max(1)), Price(last.0.saturating_add(reach))))
    }

    fn allows(&self, price: Price) -> bool {
        self.band().is_none_or(|(low, high)| (low..=high).contains(&price))
    }

    /// A market order's protection price, no further away than the band.
    fn protected(&self, side: Side, price: Price) -> Price {
        match (side, self.band()) {
            (_, None) => price,
            (Side::Buy, Some((_, high))) => price.min(high),
            (Side::Sell, Some((low, _))) => price.max(low),
        }
    }
}

/// One command on its way through a symbol.
pub(super) struct Applying<'a> {
    pub book: &'a mut Fast,
    pub told: Telling<'a>,
}

/// What hears of everything that happens, and passes it on.
pub(super) struct Telling<'a> {
    pub desk: &'a mut Desk,
    sequencers: usize,
    outlet: Outlet<'a>,
    /// Whether what was begun has changed the book.
    changed: bool,
}

/// Where what is told goes.
pub(super) struct Outlet<'a> {
    pub numbers: &'a mut Numbers,
    pub out: &'a mut Outbox,
    pub relief: &'a mut dyn Relief,
}

/// Where the messages of something that may change the book begin in the outbox.
pub(super) struct Begun {
    messages: usize,
}

impl<'a> Applying<'a> {
    pub fn new(symbol: &'a mut Symbol, at: Timestamp, sequencers: usize, outlet: Outlet<'a>) -> Self {
        let Symbol { book, desk } = symbol;
        desk.now = desk.now.max(at);
        Self { book, told: Telling { desk, sequencers, outlet, changed: false } }
    }

    /// Applies a command, after what its time ends and before what its trades set off.
    pub fn apply(&mut self, order: MatcherOrder) {
        self.expire();
        match order {
            MatcherOrder::Place(place) => self.place(place),
            MatcherOrder::Cancel { key, cause } => self.cancel(key, cause),
            MatcherOrder::Amend(amend) => self.amend(amend),
            MatcherOrder::SetState { state, asker } => self.set_state(state, asker),
            MatcherOrder::Skip | MatcherOrder::Tick | MatcherOrder::List { .. } | MatcherOrder::Relay(_) => {
                unreachable!("not of one symbol")
            }
        }
        self.trigger();
    }

    // ---- new orders ---------------------------------------------------------------------------------------------

    fn place(&mut self, place: Place) {
        let (key, asker) = (place.key, place.asker);
        if let Err(reason) = self.admits(&place) {
            return self.told.tell(key, MatcherOutcome::Refused { reason, asker });
        }
        self.told.desk.counters.exchange_order_id += 1;
        let exchange_order_id = self.told.desk.counters.exchange_order_id;
        let placed = MatcherOutcome::Placed { exchange_order_id, asker };
        let Place { account, side, price, quantity, .. } = place;
        self.told.hash([1, exchange_order_id, account.0 as u64, side as u64, price.0, quantity.0]);
        match place.terms {
            Terms::Stop { trigger } => self.wait(place, placed, trigger, Price(0)),
            Terms::TrailingStop { trigger, distance } => self.wait(place, placed, trigger, distance),
            _ => self.enter(&place, placed),
        }
    }

    fn admits(&self, place: &Place) -> Result<(), Reject> {
        let desk = &*self.told.desk;
        let waits = place.terms.is_stop();
        let is_plain_limit = place.kind == OrderKind::Limit
            && place.time_in_force == TimeInForce::Gtc
            && !matches!(place.terms, Terms::Oco { .. });
        match desk.state {
            SymbolState::Trading => {}
            SymbolState::Auction if waits || is_plain_limit => {}
            SymbolState::CancelOnly => return Err(Reject::CancelOnly),
            _ => return Err(Reject::MarketClosed),
        }
        if place.expires.0 > 0 && place.expires <= desk.now {
            return Err(Reject::Terms); // its end came while it was on its way
        }
        if place.key.is_special() {
            desk.admits_special(place.account)?;
        }
        if waits {
            return Ok(()); // its price is looked at when it enters
        }
        if place.kind == OrderKind::Limit && !desk.allows(place.price) {
            return Err(Reject::PriceBand);
        }
        if place.time_in_force == TimeInForce::PostOnly && self.would_take(place.side, place.price) {
            return Err(Reject::PostOnlyWouldTake);
        }
        Ok(())
    }

    fn would_take(&self, side: Side, price: Price) -> bool {
        self.book.best(side.opposite()).is_some_and(|(best, _)| match side {
            Side::Buy => best <= price,
            Side::Sell => best >= price,
        })
    }

    /// Puts a stop aside until its trigger is reached.
    fn wait(&mut self, place: Place, placed: MatcherOutcome, trigger: Price, distance: Price) {
        self.told.tell(place.key, placed);
        self.told.desk.keep(place);
        self.told.set_stop(place.key, place.side, trigger, distance);
    }

    /// Matches an order, rests or cancels what is left of it. `first` is told before anything that it causes.
    fn enter(&mut self, place: &Place, first: MatcherOutcome) {
        let begun = self.told.begin();
        self.told.tell(place.key, first);
        let left = self.submit(place, place.quantity);
        if let Some(left) = left {
            self.told.close(place.key, left.quantity(), left.reason(), None);
        }
        self.told.finish(begun);
    }

    /// Gives the book an order, and keeps what the book does not. Returns what did not trade and may not rest.
    fn submit(&mut self, place: &Place, quantity: Quantity) -> Option<Left> {
        let order = self.book_order(place, quantity);
        let mut taking = Taking { told: &mut self.told, taker: order, traded: false };
        if taking.told.desk.state == SymbolState::Auction {
            self.book.rest(order, &mut taking);
            self.told.keep_resting(place, false);
            return None;
        }
        let outcome = self.book.submit(order, &mut taking);
        let traded = taking.traded;
        match outcome {
            Ok(Outcome::Filled) => {
                self.told.desk.forget(place.key);
                None
            }
            Ok(Outcome::Resting(_)) => {
                self.told.keep_resting(place, traded);
                None
            }
            Ok(Outcome::Prevented(left)) => Some(Left::Prevented(left)),
            Ok(Outcome::Cancelled(left)) => Some(Left::Cancelled(left)),
            Err(Refusal::WouldNotFill) => Some(Left::Cancelled(quantity)),
            Err(Refusal::WouldTake) => unreachable!("asked before it was accepted"),
        }
    }

    fn book_order(&self, place: &Place, quantity: Quantity) -> NewOrder {
        let price = match place.kind {
            OrderKind::Limit => place.price,
            OrderKind::Market => self.told.desk.protected(place.side, place.price),
        };
        let plain = NewOrder::new(place.key, place.account, place.side, price, quantity, place.time_in_force);
        let (display, budget) = match place.terms {
            Terms::Iceberg { display } => (display, NewOrder::UNLIMITED),
            Terms::Budget { quote } => (quantity, quote.0),
            _ => (quantity, NewOrder::UNLIMITED),
        };
        NewOrder { self_trade: place.self_trade, display, budget, ..plain }
    }

    // ---- stops --------------------------------------------------------------------------------------------------

    /// Lets reached stops enter, one by one, until none is left that the trades of the others have reached.
    fn trigger(&mut self) {
        while self.told.desk.state == SymbolState::Trading
            && let Some(key) = self.told.desk.stops.next_reached()
        {
            self.release(key);
        }
    }

    /// A stop becomes the order it stands for. An OCO's limit order leaves the book first.
    fn release(&mut self, key: OrderKey) {
        let begun = self.told.begin();
        let mut place = self.told.desk.specials[&key];
        if matches!(place.terms, Terms::Oco { .. }) {
            place.quantity = self.book.cancel(key, &mut self.told).expect("its limit order rests");
        }
        let terms = std::mem::take(&mut place.terms);
        (place.price, place.kind, place.time_in_force) =
            terms.triggered(place.price, place.kind, place.time_in_force);
        self.told.hash([6, place.price.0, place.quantity.0, 0, 0, 0]);
        self.told.desk.specials.insert(key, place);
        self.told.tell(key, MatcherOutcome::Triggered);
        let left = if place.kind == OrderKind::Limit && !self.told.desk.allows(place.price) {
            Some((place.quantity, CloseReason::PriceBand))
        } else if place.time_in_force == TimeInForce::PostOnly && self.would_take(place.side, place.price) {
            Some((place.quantity, CloseReason::Expired))
        } else {
            self.submit(&place, place.quantity).map(|left| (left.quantity(), left.reason()))
        };
        if let Some((left, reason)) = left {
            self.told.close(key, left, reason, None);
        }
        self.told.finish(begun);
    }

    // ---- the end of orders --------------------------------------------------------------------------------------

    /// Takes out the orders whose time is over.
    pub fn expire(&mut self) {
        while let Some(&(end, _, key)) = self.told.desk.ends.first()
            && end <= self.told.desk.now
        {
            self.take_out(key, CloseReason::TimedOut, None);
        }
    }

    fn cancel(&mut self, key: OrderKey, cause: CancelCause) {
        let halted = self.told.desk.state == SymbolState::Halted && cause != CancelCause::System;
        let reason = if halted { Reject::MarketClosed } else { Reject::TooLate };
        if halted || !self.take_out(key, CloseReason::Cancelled, Some(cause)) {
            self.told.tell(key, MatcherOutcome::CancelRefused { reason, cause });
        }
    }

    /// Ends a live order, wherever it is. Returns whether there was one.
    pub fn take_out(&mut self, key: OrderKey, reason: CloseReason, cause: Option<CancelCause>) -> bool {
        let begun = self.told.begin();
        let left = match self.book.cancel(key, &mut self.told) {
            Some(left) => Some(left),
            None => self.told.waiting(key).map(|place| place.quantity),
        };
        if let Some(left) = left {
            self.told.close(key, left, reason, cause);
        }
        self.told.finish(begun);
        left.is_some()
    }

    // ---- amends -------------------------------------------------------------------------------------------------

    fn amend(&mut self, amend: PlaceAmended) {
        let PlaceAmended { key, asker, .. } = amend;
        let waiting = self.told.waiting(key).copied();
        let left = match (self.book.remaining(key), &waiting) {
            (Some(left), _) => Ok(left),
            (None, Some(place)) => Ok(place.quantity),
            (None, None) => Err(Reject::TooLate),
        };
        let left = left.and_then(|left| self.admits_amend(&amend, waiting.is_some()).map(|()| left));
        let left = match left {
            Ok(left) => left,
            Err(reason) => return self.told.tell(key, MatcherOutcome::AmendRefused { reason, asker }),
        };
        let begun = self.told.begin();
        let new_left = Quantity(left.0.saturating_add_signed(amend.more));
        self.told.hash([7, amend.price.0, new_left.0, 0, 0, 0]);
        self.told.tell(key, MatcherOutcome::Amended { left: new_left, asker });
        if new_left.is_zero() {
            // As much has traded as is wanted now: the rest is cancelled.
            self.book.cancel(key, &mut self.told);
            self.told.close(key, left, CloseReason::Cancelled, None);
        } else if let Some(place) = waiting {
            let changed = Place { price: amend.price, quantity: new_left, ..place };
            self.told.desk.specials.insert(key, changed);
        } else if amend.keeps_price && amend.more <= 0 {
            if amend.more < 0 {
                self.book.reduce(key, new_left, &mut self.told);
            }
        } else {
            self.move_in_book(&amend, new_left);
        }
        self.told.finish(begun);
    }

    fn admits_amend(&self, amend: &PlaceAmended, waits: bool) -> Result<(), Reject> {
        let shrinks = amend.keeps_price && amend.more <= 0;
        match self.told.desk.state {
            SymbolState::Trading | SymbolState::Auction => {}
            SymbolState::CancelOnly if shrinks => {}
            SymbolState::CancelOnly => return Err(Reject::CancelOnly),
            SymbolState::Halted | SymbolState::Delisted => return Err(Reject::MarketClosed),
        }
        if shrinks || waits {
            return Ok(());
        }
        if !self.told.desk.allows(amend.price) {
            return Err(Reject::PriceBand);
        }
        let auction = self.told.desk.state == SymbolState::Auction;
        if !auction
            && amend.time_in_force == TimeInForce::PostOnly
            && self.would_take(amend.side, amend.price)
        {
            return Err(Reject::PostOnlyWouldTake);
        }
        Ok(())
    }

    /// The order leaves its place and comes again with its new terms; it may trade.
    fn move_in_book(&mut self, amend: &PlaceAmended, left: Quantity) {
        let key = amend.key;
        self.book.cancel(key, &mut self.told);
        let kept = self.told.desk.specials.get(&key).copied();
        let place = Place {
            key,
            account: amend.account,
            asker: amend.asker,
            side: amend.side,
            kind: OrderKind::Limit,
            time_in_force: amend.time_in_force,
            self_trade: amend.self_trade,
            price: amend.price,
            quantity: left,
            terms: kept.map_or(Terms::Plain, |place| place.terms),
            expires: kept.map_or(Timestamp(0), |place| place.expires),
        };
        if let Some(left) = self.submit(&place, left) {
            self.told.close(key, left.quantity(), left.reason(), None);
        }
    }
}

/// What a command left of an order that may not rest.
enum Left {
    Cancelled(Quantity),
    Prevented(Quantity),
}

impl Left {
    fn quantity(&self) -> Quantity {
        match self {
            Left::Cancelled(left) | Left::Prevented(left) => *left,
        }
    }

    fn reason(&self) -> CloseReason {
        match self {
            Left::Cancelled(_) => CloseReason::Expired,
            Left::Prevented(_) => CloseReason::SelfTrade,
        }
    }
}

impl Telling<'_> {
    /// Begins what may change the book. The sequence it will have then is told from the start.
    pub fn begin(&mut self) -> Begun {
        self.relieve();
        self.desk.counters.sequence.0 += 1;
        self.changed = false;
        Begun { messages: self.outlet.out.to_sequencers.len() }
    }

    /// Ends it; if the book is as it was, so is the sequence.
    pub fn finish(&mut self, begun: Begun) {
        if self.changed {
            let Desk { id, counters, now, .. } = *self.desk;
            self.show(MarketEvent::Applied(id, counters.sequence, now));
            return;
        }
        self.desk.counters.sequence.0 -= 1;
        for (_, message) in &mut self.outlet.out.to_sequencers[begun.messages..] {
            if let FromMatcher::Order(news) = &mut message.message {
                news.sequence = self.desk.counters.sequence;
            }
        }
    }

    pub fn tell(&mut self, key: OrderKey, outcome: MatcherOutcome) {
        let Desk { counters, now, .. } = &*self.desk;
        let news = OrderNews { key, sequence: counters.sequence, at: *now, outcome };
        self.send(shard_of(key), FromMatcher::Order(news));
    }

    fn send(&mut self, to: usize, message: FromMatcher) {
        let Outlet { numbers, out, .. } = &mut self.outlet;
        out.to_sequencers.push((to, numbers.next(to, message)));
    }

    /// Tells the market.
    pub fn show(&mut self, event: MarketEvent) {
        self.outlet.out.market.push(event);
    }

    /// Tells the market that the book has changed. From then on what was told stands, and may go.
    fn show_change(&mut self, event: MarketEvent) {
        self.changed = true;
        self.relieve();
        self.show(event);
    }

    fn relieve(&mut self) {
        let Outlet { out, relief, .. } = &mut self.outlet;
        if out.is_full() {
            relief.relieve(out);
        }
    }

    /// Answers the operator through the symbol's own sequencer.
    pub fn answer(&mut self, asker: Origin, result: Result<(), Reject>) {
        self.send(home_of(self.desk.id, self.sequencers), FromMatcher::State { asker, result });
    }

    /// An order is out.
    pub fn close(&mut self, key: OrderKey, left: Quantity, reason: CloseReason, cause: Option<CancelCause>) {
        self.desk.forget(key);
        self.hash([2, left.0, reason as u64, 0, 0, 0]);
        self.tell(key, MatcherOutcome::Closed { left, reason, cause });
    }

    /// The stop of that key, if it waits outside the book.
    fn waiting(&self, key: OrderKey) -> Option<&Place> {
        let place = self.desk.specials.get(&key).filter(|_| key.is_special())?;
        (place.terms.is_stop()).then_some(place)
    }

    fn set_stop(&mut self, key: OrderKey, side: Side, trigger: Price, distance: Price) {
        let number = self.desk.counters.exchange_order_id;
        let last = self.desk.last;
        self.desk.stops.insert(key, side, number, trigger, distance, last);
    }

    /// An order rests: keeps what the book does not know of it, and the stop of an OCO that has not traded.
    fn keep_resting(&mut self, place: &Place, traded: bool) {
        if !place.key.is_special() {
            return;
        }
        let mut place = *place;
        let stop = match place.terms {
            Terms::Oco { trigger, .. } if !traded => Some(trigger),
            Terms::Oco { .. } => {
                place.terms = Terms::Plain;
                None
            }
            _ => None,
        };
        self.desk.keep(place);
        if let Some(trigger) = stop {
            self.set_stop(place.key, place.side, trigger, Price(0));
        }
    }

    /// Counts and tells a trade. Returns its number.
    fn trade(&mut self, price: Price, quantity: Quantity, taker_side: Side) -> TradeId {
        self.desk.counters.trade.0 += 1;
        self.desk.last = Some(price);
        if !self.desk.stops.is_empty() {
            self.desk.stops.observe(price);
        }
        let Desk { id, counters, now, .. } = *self.desk;
        let (trade, sequence) = (counters.trade, counters.sequence);
        let print = TradePrint { trade, sequence, at: now, price, quantity, taker_side };
        self.show_change(MarketEvent::Trade(id, print));
        trade
    }

    pub fn hash(&mut self, event: [u64; 6]) {
        let counters = &mut self.desk.counters;
        let mut bytes = [0; 56];
        for (to, word) in bytes.chunks_exact_mut(8).zip(event.iter().chain([&counters.sequence.0])) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        counters.event_hash = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, counters.event_hash);
    }
}

/// What happens without a taker: cancels, reductions, auctions.
impl Sink for Telling<'_> {
    fn fill(&mut self, _: Fill) {
        unreachable!("nobody takes");
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        self.hash([4, side as u64, price.0, total.0, 0, 0]);
        self.show_change(MarketEvent::Level(self.desk.id, side, price, total));
    }

    fn cross(&mut self, cross: Cross) {
        let Cross { buy, buy_account, sell, sell_account, price, quantity, .. } = cross;
        let trade = self.trade(price, quantity, Side::Buy);
        self.hash([8, buy_account.0 as u64, sell_account.0 as u64, price.0, quantity.0, trade.0]);
        for (key, left) in [(buy, cross.buy_left), (sell, cross.sell_left)] {
            let liquidity = Liquidity::Auction;
            self.tell(key, MatcherOutcome::Filled { trade, price, quantity, liquidity });
            self.desk.traded(key, left);
        }
    }
}

/// The book tells a taker's command here what it did.
struct Taking<'a, 'b> {
    told: &'a mut Telling<'b>,
    taker: NewOrder,
    traded: bool,
}

impl Sink for Taking<'_, '_> {
    fn fill(&mut self, fill: Fill) {
        let Self { told, taker, traded } = self;
        *traded = true;
        let Fill { price, quantity, .. } = fill;
        let trade = told.trade(price, quantity, taker.side);
        told.hash([5, fill.maker_account.0 as u64, taker.account.0 as u64, price.0, quantity.0, trade.0]);
        let filled = |liquidity| MatcherOutcome::Filled { trade, price, quantity, liquidity };
        told.tell(fill.maker, filled(Liquidity::Maker));
        told.tell(taker.key, filled(Liquidity::Taker));
        told.desk.traded(fill.maker, fill.maker_left);
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        self.told.level(side, price, total);
    }

    fn prevented(&mut self, prevented: Prevented) {
        let Prevented { maker, quantity, maker_left, .. } = prevented;
        self.told.hash([9, quantity.0, maker_left.0, 0, 0, 0]);
        if self.taker.self_trade == SelfTrade::Decrement {
            self.told.tell(maker, MatcherOutcome::Decremented { quantity });
            self.told.tell(self.taker.key, MatcherOutcome::Decremented { quantity });
            if maker_left.is_zero() {
                self.told.desk.forget(maker);
            }
        } else {
            self.told.close(maker, quantity, CloseReason::SelfTrade, None);
        }
    }
}
