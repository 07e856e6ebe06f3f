//! What happened to each symbol, in the order in which its matcher took it, judged in three ways once all is quiet.
//!
//! - The [`model`](super::model) says what the matcher must have answered, and about which order.
//! - The auditor looks at the trades alone. It knows neither icebergs nor budgets, self-trade prevention, price bands
//!   and auctions, so it sees the symbols that had none.
//! - Each symbol's orders go through an engine of one sequencer and one matcher, in one thread and without mishaps: it
//!   must end with the same number lines and the same event hash.

use super::model::{Heard, Model, Told};
use crate::auditor::{self, audit};
use engine_core::executor::AtRest;
use engine_core::executor::inline::Inline;
use engine_core::instrument::Market;
use engine_core::matcher::Counters;
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub struct History {
    /// What matchers took, in the order of the simulated world.
    taken: Vec<Taken>,
    /// The submit behind each order that was sent to a matcher.
    submits: BTreeMap<OrderKey, Submit>,
}

struct Taken {
    matcher: usize,
    message: ToMatcher,
    told: Vec<Told>,
}

impl History {
    /// A sequencer sends what a submit became.
    pub fn sent(&mut self, submit: &Submit, message: &ToMatcher) {
        if let MatcherOrder::Place(place) = message.order {
            let before = self.submits.insert(place.key, *submit);
            assert!(before.is_none(), "order key {} is used twice", place.key);
        }
    }

    /// A matcher takes a message and answers.
    pub fn took<'a>(
        &mut self,
        matcher: usize,
        message: &ToMatcher,
        answers: impl Iterator<Item = &'a FromMatcher>,
    ) {
        self.taken.push(Taken { matcher, message: *message, told: answers.filter_map(Told::of).collect() });
    }

    pub fn submit(&self, key: OrderKey) -> &Submit {
        &self.submits[&key]
    }

    pub fn submits(&self) -> impl Iterator<Item = (&OrderKey, &Submit)> {
        self.submits.iter()
    }

    /// Everything that was told of orders.
    pub fn told(&self) -> impl Iterator<Item = &Heard> {
        self.taken.iter().flat_map(|taken| &taken.told).map(|told| &told.outcome)
    }

    /// Judges everything that happened. `first` is the market at the beginning, `last` at the end. Returns how many
    /// trades the auditor and how many symbols the engine of one sequencer and one matcher could judge.
    pub fn judge(&self, first: &Market, last: &Market, shards: &AtRest) -> [u64; 2] {
        let [mut audited, mut alike] = [0, 0];
        self.judge_by_the_model(first, shards.matchers.len());
        for symbol in last.instruments.iter().map(|instrument| instrument.id) {
            audited += self.judge_by_the_auditor(symbol, last) as u64;
            if let Some(alone) = self.counters_alone(symbol, last, shards) {
                let counters = counters(shards, symbol);
                assert_eq!(counters, alone, "symbol {symbol} on one sequencer and one matcher");
                alike += 1;
            }
        }
        [audited, alike]
    }

    /// What concerned a symbol. A tick concerns all symbols of its matcher.
    fn of(&self, symbol: SymbolId, matchers: usize) -> impl Iterator<Item = &Taken> {
        self.taken.iter().filter(move |taken| match taken.message.order {
            MatcherOrder::Tick => taken.matcher == symbol.0 as usize % matchers,
            MatcherOrder::Relay(_) => false,
            _ => taken.message.symbol == symbol,
        })
    }

    // ---- the model ----------------------------------------------------------------------------------------------

    fn judge_by_the_model(&self, first: &Market, matchers: usize) {
        let listed = first.instruments.iter().map(|instrument| (instrument.id, Model::new(instrument.band)));
        let mut symbols: BTreeMap<SymbolId, Model> = listed.collect();
        for Taken { matcher, message, told } in &self.taken {
            let mut expected = Vec::new();
            match (message.order, symbols.get_mut(&message.symbol)) {
                (MatcherOrder::Relay(_), _) => {}
                (MatcherOrder::Tick, _) => {
                    let own = symbols.iter_mut().filter(|(id, _)| id.0 as usize % matchers == *matcher);
                    own.for_each(|(_, symbol)| expected.extend(symbol.apply(message)));
                }
                (MatcherOrder::List { band }, _) => drop(symbols.insert(message.symbol, Model::new(band))),
                (_, Some(symbol)) => expected = symbol.apply(message),
                // Sent after the symbol was listed, and here before the listing.
                (order, None) => expected.extend(refused_before_listing(&order)),
            }
            assert_eq!(*told, expected, "symbol {}: {:?}", message.symbol, message.order);
        }
    }

    // ---- the auditor --------------------------------------------------------------------------------------------

    /// Returns how many trades it looked at.
    fn judge_by_the_auditor(&self, symbol: SymbolId, market: &Market) -> usize {
        if market.instruments[symbol.0 as usize].band > 0 {
            return 0;
        }
        let mut list = AuditList::default();
        // Of ticks only what they ended matters, and that may be of another symbol.
        for taken in self.taken.iter().filter(|taken| is_of(taken, symbol, self)) {
            if !list.add(taken, symbol, self) {
                return 0;
            }
        }
        match audit(&list.commands, &list.trades) {
            Ok(summary) => summary.trades,
            Err(finding) => panic!("symbol {symbol}: {finding:?}\n{:?}\n{:?}", list.commands, list.trades),
        }
    }

    // ---- one sequencer and one matcher --------------------------------------------------------------------------

    /// Where the symbol ends up when the same orders come in the same order to an engine without distances. `None`
    /// if the exchange itself cancelled while the symbol was halted, which no input says of one order.
    fn counters_alone(&self, symbol: SymbolId, market: &Market, shards: &AtRest) -> Option<Counters> {
        let mut alone = Alone::new(market, self);
        // A symbol that was listed in the run knows nothing of the time before, not even of ticks.
        let listing = |taken: &Taken| matches!(taken.message.order, MatcherOrder::List { .. });
        let was_listed = self.of(symbol, shards.matchers.len()).any(listing);
        let before = |taken: &&Taken| was_listed && !listing(taken);
        for taken in self.of(symbol, shards.matchers.len()).skip_while(before) {
            alone.apply(taken, self)?;
        }
        Some(counters(alone.engine.at_rest(), symbol))
    }
}

fn counters(shards: &AtRest, symbol: SymbolId) -> Counters {
    let matcher = &shards.matchers[symbol.0 as usize % shards.matchers.len()].machine;
    matcher.counters().find(|(id, _)| *id == symbol).expect("it is listed").1
}

fn refused_before_listing(order: &MatcherOrder) -> Option<Told> {
    let reason = Reject::UnknownSymbol;
    match *order {
        MatcherOrder::Place(Place { key, .. }) => Some(Told { key, outcome: Heard::Refused(reason) }),
        MatcherOrder::Cancel { key, cause } => {
            Some(Told { key, outcome: Heard::CancelRefused(Reject::TooLate, cause) })
        }
        MatcherOrder::Amend(PlaceAmended { key, .. }) => {
            Some(Told { key, outcome: Heard::AmendRefused(Reject::TooLate) })
        }
        _ => None,
    }
}

/// Whether something concerned the symbol; of a tick, by the orders it ended.
fn is_of(taken: &Taken, symbol: SymbolId, history: &History) -> bool {
    match taken.message.order {
        MatcherOrder::Relay(_) => false,
        MatcherOrder::Tick => taken.told.iter().any(|told| history.submit(told.key).symbol == symbol),
        _ => taken.message.symbol == symbol,
    }
}

/// The auditor's view of a symbol: every entry into the book under a name of its own.
#[derive(Default)]
struct AuditList {
    commands: Vec<auditor::Command>,
    trades: Vec<auditor::Trade>,
    /// By key: the order as it is now, with the lots it has left, under its current name.
    orders: BTreeMap<OrderKey, (auditor::Order, Terms)>,
    names: u64,
}

/// Names are above all keys, so that an order that waits outside the book has none of them.
const FIRST_NAME: u64 = 1 << 60;

impl AuditList {
    /// Returns false if this is nothing for the auditor.
    fn add(&mut self, taken: &Taken, symbol: SymbolId, history: &History) -> bool {
        if let MatcherOrder::SetState { state: SymbolState::Auction, .. } = taken.message.order {
            return false;
        }
        if let MatcherOrder::Place(place) = taken.message.order {
            let knows = !matches!(place.terms, Terms::Iceberg { .. } | Terms::Budget { .. });
            if place.self_trade != SelfTrade::Allow || !knows {
                return false;
            }
            let Place { key, side, price, quantity, time_in_force, terms, .. } = place;
            self.orders.insert(key, (auditor::Order { key, side, price, quantity, time_in_force }, terms));
        }
        for (at, told) in taken.told.iter().enumerate() {
            let is_state = matches!(told.outcome, Heard::State(_));
            if !is_state && history.submit(told.key).symbol == symbol {
                self.hear(told, &taken.message.order, taken.told.get(at + 1));
            }
        }
        true
    }

    fn hear(&mut self, told: &Told, message: &MatcherOrder, next: Option<&Told>) {
        let key = told.key;
        match told.outcome {
            Heard::Placed(_) if self.orders[&key].1.is_stop() => {}
            Heard::Placed(_) => self.enter(key),
            Heard::Refused(Reject::PostOnlyWouldTake) => self.refuse(key),
            Heard::Triggered => self.triggered(key, next.filter(|next| next.key == key)),
            Heard::Filled(_, price, quantity, liquidity) => {
                let (order, terms) = self.orders.get_mut(&key).expect("it was placed");
                order.quantity.0 -= quantity.0;
                if matches!(terms, Terms::Oco { .. }) {
                    *terms = Terms::Plain;
                }
                if liquidity == Liquidity::Maker {
                    let taker = self.orders[&next.expect("a trade has two sides").key].0.key;
                    let maker = self.orders[&key].0.key;
                    self.trades.push(auditor::Trade { maker, taker, price, quantity });
                }
            }
            Heard::Amended(left) => {
                let MatcherOrder::Amend(amend) = message else { panic!("an amend without one") };
                self.amended(key, left, amend);
            }
            Heard::Closed(_, CloseReason::Expired | CloseReason::PriceBand, _) => {}
            Heard::Closed(..) => self.commands.push(auditor::Command::Cancel(self.orders[&key].0.key)),
            _ => {}
        }
    }

    /// The order comes into the book, as it is now.
    fn enter(&mut self, key: OrderKey) {
        self.names += 1;
        let order = &mut self.orders.get_mut(&key).expect("it was placed").0;
        order.key = OrderKey(FIRST_NAME + self.names);
        self.commands.push(auditor::Command::Accepted(*order));
    }

    fn refuse(&mut self, key: OrderKey) {
        self.names += 1;
        let order = self.orders[&key].0;
        self.commands.push(auditor::Command::Refused(auditor::Order {
            key: OrderKey(FIRST_NAME + self.names),
            ..order
        }));
    }

    fn triggered(&mut self, key: OrderKey, next: Option<&Told>) {
        let (order, terms) = self.orders.get_mut(&key).expect("it was placed");
        if let Terms::Oco { then, kind, .. } = std::mem::take(terms) {
            self.commands.push(auditor::Command::Cancel(order.key));
            order.price = then;
            order.time_in_force = if kind == OrderKind::Limit { TimeInForce::Gtc } else { TimeInForce::Ioc };
        }
        let is_post_only = order.time_in_force == TimeInForce::PostOnly;
        match next.map(|next| next.outcome) {
            Some(Heard::Closed(_, CloseReason::Expired, None)) if is_post_only => self.refuse(key),
            _ => self.enter(key),
        }
    }

    fn amended(&mut self, key: OrderKey, left: Quantity, amend: &PlaceAmended) {
        if left.is_zero() {
            return; // closed by what is told next
        }
        let (order, terms) = self.orders.get_mut(&key).expect("it was placed");
        let (waits, name) = (terms.is_stop(), order.key);
        (order.price, order.quantity) = (amend.price, left);
        if waits {
            return;
        }
        if amend.keeps_price && amend.more <= 0 {
            self.commands.push(auditor::Command::Reduce(name, left));
        } else {
            self.commands.push(auditor::Command::Cancel(name));
            self.enter(key);
        }
    }
}

/// An engine of one sequencer and one matcher that gets the orders of one symbol.
struct Alone {
    engine: Inline,
    market: Arc<Market>,
    state: SymbolState,
    /// Lots ordered, by order, with amends.
    quantities: BTreeMap<OrderKey, u64>,
}

/// For each of a few accounts, and all of them together stay below the bound on deposits.
const PLENTY: Amount = Amount(1 << 114);

impl Alone {
    fn new(market: &Market, history: &History) -> Alone {
        // The first engine has judged what may be ordered and what it costs. Here only the order of things counts.
        let mut market = market.clone();
        for instrument in &mut market.instruments {
            (instrument.min_notional, instrument.fees) = (Amount(0), Default::default());
        }
        let market = Arc::new(market);
        let shape = Shape { sequencers: 1, matchers: 1, log_entries_max: 0 };
        let engine = pipeline::run_inline(pipeline::build(shape, &market));
        let state = SymbolState::Trading;
        let mut alone = Alone { engine, market: market.clone(), state, quantities: BTreeMap::new() };
        let mut accounts: Vec<_> = history.submits.values().map(|submit| submit.account).collect();
        accounts.sort();
        accounts.dedup();
        for account in accounts {
            alone.input(Timestamp(0), Command::Open { account, name: None });
            for asset in &market.assets {
                alone.input(Timestamp(0), Command::Deposit { account, asset: asset.id, amount: PLENTY });
            }
        }
        alone
    }

    fn input(&mut self, at: Timestamp, command: Command) {
        let input = Input { origin: Origin::default(), at, ticket: 0, command };
        self.engine.apply(&input, &mut |_: &Report| {}, &mut ());
    }

    fn apply(&mut self, taken: &Taken, history: &History) -> Option<()> {
        let ToMatcher { symbol, at, order, .. } = taken.message;
        let command = match order {
            MatcherOrder::Place(place) => {
                self.quantities.insert(place.key, place.quantity.0);
                Command::Submit(self.submit(&place, history.submit(place.key)))
            }
            MatcherOrder::Cancel { cause: CancelCause::System, .. } if self.state == SymbolState::Halted => {
                return None;
            }
            MatcherOrder::Cancel { key, .. } => {
                let Submit { account, symbol, .. } = *history.submit(key);
                Command::Cancel { account, symbol, order_id: name_of(key) }
            }
            MatcherOrder::Amend(amend) => Command::Amend(self.amend(&amend, symbol, taken)?),
            MatcherOrder::SetState { state, .. } => {
                if taken.told.iter().any(|told| told.outcome == Heard::State(Ok(()))) {
                    self.state = state;
                }
                Command::SetSymbol { symbol, state }
            }
            MatcherOrder::Tick => Command::Tick,
            MatcherOrder::Skip | MatcherOrder::List { .. } | MatcherOrder::Relay(_) => return Some(()),
        };
        self.input(at, command);
        Some(())
    }

    /// The submit with a name that no other order has. A budget is as the matcher got it, without a fee.
    fn submit(&self, place: &Place, submit: &Submit) -> Submit {
        let atoms = self.market.instruments[submit.symbol.0 as usize].quote_atoms_per_tick_lot;
        let terms = match place.terms {
            Terms::Budget { quote } => Terms::Budget { quote: Amount(quote.0 * atoms) },
            terms => terms,
        };
        Submit { order_id: name_of(place.key), terms, ..*submit }
    }

    fn amend(&mut self, amend: &PlaceAmended, symbol: SymbolId, taken: &Taken) -> Option<Amend> {
        let quantity = self.quantities.entry(amend.key).or_default();
        let new = quantity.saturating_add_signed(amend.more);
        if taken.told.iter().any(|told| matches!(told.outcome, Heard::Amended(left) if !left.is_zero())) {
            *quantity = new;
        }
        let (price, quantity) = (Some(amend.price), Some(Quantity(new)));
        Some(Amend { account: amend.account, symbol, order_id: name_of(amend.key), price, quantity })
    }
}

fn name_of(key: OrderKey) -> ClientOrderId {
    ClientOrderId::new(&key.to_string()).expect("digits are fine")
}
