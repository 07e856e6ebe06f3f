//! What happened to each symbol, in the order in which its matcher took it, judged in three ways once all is quiet.
//!
//! - A few lines around the plain book say what the matcher must have answered, and to whom.
//! - The auditor looks at the trades alone.
//! - The accepted orders go through an engine of one sequencer and one matcher, in one thread and without mishaps:
//!   its symbols must have the same number lines and the same event hashes.

use crate::auditor::{self, audit};
use engine_core::book::{Book, Fill, NewOrder, Outcome, Plain, Refusal, Sink};
use engine_core::executor::AtRest;
use engine_core::instrument::Market;
use engine_core::limits::ORDER_ID_WINDOW_US;
use engine_core::matcher::Counters;
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub struct History {
    /// What matchers took, in the order of the simulated world, and what each answered.
    taken: Vec<(ToMatcher, Vec<Told>)>,
    /// The submit behind each order that was sent to a matcher.
    submits: BTreeMap<OrderKey, Submit>,
}

/// An answer of a matcher, as far as it must be what the plain book says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    key: OrderKey,
    outcome: Heard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Placed(u64),
    Refused(Refusal),
    Filled(TradeId, Price, Quantity, Liquidity),
    Closed(Quantity, CloseReason),
    Missed,
}

impl From<&FromMatcher> for Told {
    fn from(message: &FromMatcher) -> Told {
        let outcome = match message.outcome {
            MatcherOutcome::Placed { exchange_order_id } => Heard::Placed(exchange_order_id),
            MatcherOutcome::Refused(refusal) => Heard::Refused(refusal),
            MatcherOutcome::Filled { trade, price, quantity, liquidity } => {
                Heard::Filled(trade, price, quantity, liquidity)
            }
            MatcherOutcome::Closed { left, reason, .. } => Heard::Closed(left, reason),
            MatcherOutcome::CancelMissed { .. } => Heard::Missed,
        };
        Told { key: message.key, outcome }
    }
}

impl History {
    /// A sequencer sends what a submit became.
    pub fn sent(&mut self, submit: &Submit, message: &ToMatcher) {
        if let MatcherOrder::Place { key, .. } = message.order {
            let before = self.submits.insert(key, *submit);
            assert!(before.is_none(), "order key {key} is used twice");
        }
    }

    /// A matcher takes a message and answers.
    pub fn took<'a>(&mut self, message: &ToMatcher, answers: impl Iterator<Item = &'a FromMatcher>) {
        self.taken.push((*message, answers.map(Told::from).collect()));
    }

    pub fn submit(&self, key: OrderKey) -> &Submit {
        &self.submits[&key]
    }

    pub fn submits(&self) -> impl Iterator<Item = (&OrderKey, &Submit)> {
        self.submits.iter()
    }

    pub fn trades(&self) -> usize {
        let answers = self.taken.iter().flat_map(|(_, answers)| answers);
        answers.filter(|told| matches!(told.outcome, Heard::Filled(.., Liquidity::Taker))).count()
    }

    /// Judges everything that happened.
    pub fn judge(&self, market: &Arc<Market>, shards: &AtRest) {
        for instrument in &market.instruments {
            self.judge_by_the_plain_book(instrument.id);
            self.judge_by_the_auditor(instrument.id);
        }
        assert_eq!(counters(shards), self.counters_alone(market), "on one sequencer and one matcher");
    }

    fn of(&self, symbol: SymbolId) -> impl Iterator<Item = (&ToMatcher, &Vec<Told>)> {
        self.taken.iter().filter(move |(message, _)| message.symbol == symbol).map(|(m, told)| (m, told))
    }

    fn judge_by_the_plain_book(&self, symbol: SymbolId) {
        let mut model = Model::default();
        for (message, told) in self.of(symbol) {
            assert_eq!(*told, model.apply(&message.order), "symbol {symbol}: {:?}", message.order);
        }
    }

    fn judge_by_the_auditor(&self, symbol: SymbolId) {
        let (mut commands, mut trades) = (Vec::new(), Vec::new());
        for (message, told) in self.of(symbol) {
            commands.extend(command_of(&message.order, told));
            trades.extend(told.windows(2).filter_map(trade_of));
        }
        if let Err(finding) = audit(&commands, &trades) {
            panic!("symbol {symbol}: {finding:?}");
        }
    }

    /// Where the symbols end up when the same orders come in the same order to an engine without distances.
    fn counters_alone(&self, market: &Arc<Market>) -> Vec<(SymbolId, Counters)> {
        let shape = Shape { sequencers: 1, matchers: 1, log_entries_max: 0 };
        let mut engine = pipeline::run_inline(pipeline::build(shape, market));
        let mut apply = |command| {
            let input =
                Input { origin: Origin::default(), at: Timestamp(ORDER_ID_WINDOW_US), ticket: 0, command };
            engine.apply(&input, &mut |_: &Report| {}, &mut ());
        };
        let mut accounts: Vec<_> = self.submits.values().map(|submit| submit.account).collect();
        accounts.sort();
        accounts.dedup();
        for account in accounts {
            apply(Command::Open { account });
            for asset in &market.assets {
                apply(Command::Deposit { account, asset: asset.id, amount: PLENTY });
            }
        }
        for (message, _) in &self.taken {
            match message.order {
                MatcherOrder::Place { key, .. } => {
                    apply(Command::Submit(Submit { order_id: name_of(key), ..*self.submit(key) }));
                }
                MatcherOrder::Cancel { key, .. } => {
                    let Submit { account, symbol, .. } = *self.submit(key);
                    apply(Command::Cancel { account, symbol, order_id: name_of(key) });
                }
                MatcherOrder::Skip => {}
            }
        }
        counters(engine.at_rest())
    }
}

/// For each of a few accounts, and all of them together stay below the bound on deposits.
const PLENTY: Amount = Amount(1 << 116);

fn name_of(key: OrderKey) -> ClientOrderId {
    ClientOrderId::new(&key.to_string()).expect("digits are fine")
}

fn counters(shards: &AtRest) -> Vec<(SymbolId, Counters)> {
    let mut counters: Vec<_> = shards.matchers.iter().flat_map(|shard| shard.machine.counters()).collect();
    counters.sort_by_key(|(symbol, _)| *symbol);
    counters
}

fn command_of(order: &MatcherOrder, told: &[Told]) -> Option<auditor::Command> {
    match *order {
        MatcherOrder::Place { key, side, time_in_force, price, quantity, .. } => {
            let order = auditor::Order { key, side, price, quantity, time_in_force };
            let refused = matches!(told[0].outcome, Heard::Refused(_));
            Some(if refused { auditor::Command::Refused(order) } else { auditor::Command::Accepted(order) })
        }
        MatcherOrder::Cancel { key, .. } => Some(auditor::Command::Cancel(key)),
        MatcherOrder::Skip => None,
    }
}

/// A trade is told twice, to the maker and then to the taker.
fn trade_of(pair: &[Told]) -> Option<auditor::Trade> {
    match *pair {
        [
            Told { key: maker, outcome: Heard::Filled(_, price, quantity, Liquidity::Maker) },
            Told { key: taker, outcome: Heard::Filled(.., Liquidity::Taker) },
        ] => Some(auditor::Trade { maker, taker, price, quantity }),
        _ => None,
    }
}

/// What a matcher says about one symbol, said with the plain book.
#[derive(Default)]
struct Model {
    book: Plain,
    exchange_order_id: u64,
    trade: u64,
}

impl Model {
    fn apply(&mut self, order: &MatcherOrder) -> Vec<Told> {
        match *order {
            MatcherOrder::Place { key, account, side, time_in_force, price, quantity } => {
                self.place(NewOrder::new(key, account, side, price, quantity, time_in_force))
            }
            MatcherOrder::Cancel { key, .. } => {
                let left = self.book.cancel(key, &mut Fills::default());
                let outcome = left.map_or(Heard::Missed, |left| Heard::Closed(left, CloseReason::Cancelled));
                vec![Told { key, outcome }]
            }
            MatcherOrder::Skip => vec![],
        }
    }

    fn place(&mut self, order: NewOrder) -> Vec<Told> {
        let key = order.key;
        let mut fills = Fills::default();
        let expired = match self.book.submit(order, &mut fills) {
            Ok(Outcome::Filled | Outcome::Resting(_)) => None,
            Ok(Outcome::Cancelled(left) | Outcome::Prevented(left)) => Some(left),
            Err(Refusal::WouldNotFill) => Some(order.quantity),
            Err(refusal) => return vec![Told { key, outcome: Heard::Refused(refusal) }],
        };
        self.exchange_order_id += 1;
        let mut told = vec![Told { key, outcome: Heard::Placed(self.exchange_order_id) }];
        for Fill { maker, price, quantity, .. } in fills.0 {
            self.trade += 1;
            let filled = |liquidity| Heard::Filled(TradeId(self.trade), price, quantity, liquidity);
            told.push(Told { key: maker, outcome: filled(Liquidity::Maker) });
            told.push(Told { key, outcome: filled(Liquidity::Taker) });
        }
        told.extend(expired.map(|left| Told { key, outcome: Heard::Closed(left, CloseReason::Expired) }));
        told
    }
}

#[derive(Default)]
struct Fills(Vec<Fill>);

impl Sink for Fills {
    fn fill(&mut self, fill: Fill) {
        self.0.push(fill);
    }

    fn level(&mut self, _: Side, _: Price, _: Quantity) {}
}
