//! Whatever a few poor accounts do on symbols that share assets: no atom appears or is lost, and every order adds up.
//!
//! After every single command the witness compares the whole engine with what it was told. A failing run shrinks to
//! a short one.

use crate::witness::{Tape, Witness};
use engine_core::executor::ReportSink;
use engine_core::executor::inline::Inline;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::limits::ORDER_ID_WINDOW_US;
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const ACCOUNTS: u32 = 4;

/// `MONEY_CASES=100000` for a long run.
fn cases() -> u32 {
    std::env::var("MONEY_CASES").map_or(300, |cases| cases.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_conserved_and_every_order_adds_up(
        sequencers in 1usize..=4,
        matchers in 1usize..=3,
        commands in prop::collection::vec(command(), 1..150),
    ) {
        let mut run = Run::new(sequencers, matchers);
        for account in (0..ACCOUNTS).map(AccountId) {
            run.apply(Command::Open { account, name: None }, 0);
        }
        for (command, passed) in commands {
            run.apply(command, passed);
        }
        run.close_everything();
    }
}

/// A command, and the log time that has passed since the one before.
fn command() -> impl Strategy<Value = (Command, u64)> {
    let orders = prop_oneof![
        24 => submit().prop_map(Command::Submit),
        6 => (account(), symbol(), order_id())
            .prop_map(|(account, symbol, order_id)| Command::Cancel { account, symbol, order_id }),
        1 => (account(), prop::option::of(symbol()), prop::option::of(0u32..2), canceller())
            .prop_map(|(account, symbol, group, by)| Command::CancelAll { account, symbol, group, by }),
        8 => amend().prop_map(Command::Amend),
        1 => (account(), 0u64..40)
            .prop_map(|(account, timeout_us)| Command::CancelAllAfter { account, timeout_us }),
        1 => Just(Command::Tick),
    ];
    let passed = prop_oneof![30 => 0u64..10, 1 => Just(ORDER_ID_WINDOW_US)];
    (prop_oneof![10 => orders, 3 => of_operator()], passed)
}

/// What the operator does: money in and out, states, fees.
fn of_operator() -> impl Strategy<Value = Command> {
    let asset = || (0u16..3).prop_map(AssetId);
    let amount = |most: u128| (0..most).prop_map(Amount);
    let fee = || prop_oneof![Just(0i16), Just(7), Just(-5), Just(2_000), Just(Fees::MAX), Just(-Fees::MAX)];
    let account_state = prop_oneof![8 => Just(AccountState::Active), 1 => Just(AccountState::Suspended)];
    let symbol_state = prop_oneof![
        8 => Just(SymbolState::Trading),
        3 => Just(SymbolState::Auction),
        1 => Just(SymbolState::CancelOnly),
        1 => Just(SymbolState::Halted),
    ];
    prop_oneof![
        4 => (account(), asset(), amount(400))
            .prop_map(|(account, asset, amount)| Command::Deposit { account, asset, amount }),
        2 => (account(), 0u64..3, asset(), amount(100))
            .prop_map(|(account, id, asset, amount)| Command::Withdraw { account, id, asset, amount }),
        2 => (account(), 0u64..3, any::<bool>())
            .prop_map(|(account, id, paid)| Command::EndWithdrawal { account, id, paid }),
        2 => (account(), 0u64..3, (0..=ACCOUNTS).prop_map(AccountId), asset(), amount(100))
            .prop_map(|(account, id, to, asset, amount)| Command::Transfer { account, id, to, asset, amount }),
        2 => (symbol(), symbol_state).prop_map(|(symbol, state)| Command::SetSymbol { symbol, state }),
        1 => (account(), account_state, 0u8..3)
            .prop_map(|(account, state, tier)| Command::SetAccount { account, state, tier }),
        2 => (symbol(), 0u8..3, fee(), fee()).prop_map(|(symbol, tier, maker, taker)| {
            Command::SetFees { symbol, tier, fees: Fees { maker, taker } }
        }),
    ]
}

fn submit() -> impl Strategy<Value = Submit> {
    let time_in_force = prop_oneof![
        6 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok),
        1 => Just(TimeInForce::PostOnly),
    ];
    let self_trade = prop_oneof![
        2 => Just(SelfTrade::Allow),
        1 => Just(SelfTrade::CancelNewest),
        1 => Just(SelfTrade::CancelOldest),
        1 => Just(SelfTrade::CancelBoth),
        1 => Just(SelfTrade::Decrement),
    ];
    let expires = prop_oneof![5 => Just(0u64), 1 => 1u64..200].prop_map(Timestamp);
    let kind = (time_in_force, self_trade, prop::bool::weighted(0.2), expires, 0u32..2);
    let size = (any::<bool>(), price(), 0u64..12, terms());
    (account(), symbol(), order_id(), kind, size).prop_map(
        |(account, symbol, order_id, (time_in_force, self_trade, market, expires, group), size)| {
            let (buys, price, quantity, terms) = size;
            let side = if buys { Side::Buy } else { Side::Sell };
            let is_budget = matches!(terms, Terms::Budget { .. });
            let market = market || is_budget;
            let quantity = if is_budget { Quantity::ZERO } else { Quantity(quantity) };
            Submit {
                kind: if market { OrderKind::Market } else { OrderKind::Limit },
                time_in_force: if market { TimeInForce::Ioc } else { time_in_force },
                self_trade,
                terms,
                expires,
                group,
                ..Submit::limit(account, symbol, order_id, side, price, quantity)
            }
        },
    )
}

fn terms() -> impl Strategy<Value = Terms> {
    let kind = any::<bool>().prop_map(|market| if market { OrderKind::Market } else { OrderKind::Limit });
    prop_oneof![
        10 => Just(Terms::Plain),
        2 => (1u64..4).prop_map(|display| Terms::Iceberg { display: Quantity(display) }),
        2 => (0u128..400).prop_map(|quote| Terms::Budget { quote: Amount(quote) }),
        3 => price().prop_map(|trigger| Terms::Stop { trigger }),
        2 => (price(), price()).prop_map(|(trigger, distance)| Terms::TrailingStop { trigger, distance }),
        3 => (price(), price(), kind).prop_map(|(trigger, then, kind)| Terms::Oco { trigger, then, kind }),
    ]
}

fn amend() -> impl Strategy<Value = Amend> {
    let quantity = prop::option::of((0u64..12).prop_map(Quantity));
    (account(), symbol(), order_id(), prop::option::of(price()), quantity).prop_map(
        |(account, symbol, order_id, price, quantity)| Amend { account, symbol, order_id, price, quantity },
    )
}

fn price() -> impl Strategy<Value = Price> {
    (0u64..8).prop_map(Price)
}

fn account() -> impl Strategy<Value = AccountId> {
    (0..ACCOUNTS).prop_map(AccountId)
}

fn canceller() -> impl Strategy<Value = Canceller> {
    prop_oneof![4 => Just(Canceller::Owner), 1 => Just(Canceller::Exchange)]
}

/// One more than there are.
fn symbol() -> impl Strategy<Value = SymbolId> {
    (0u32..5).prop_map(SymbolId)
}

/// Few, so that they come again.
fn order_id() -> impl Strategy<Value = ClientOrderId> {
    (0u32..30).prop_map(|id| ClientOrderId::new(&format!("o{id}")).unwrap())
}

/// Every asset is base here and quote there; a lot and a tick are several atoms.
fn market() -> Arc<Market> {
    let mut market = Market::default();
    for (asset, decimals) in [("COIN", 1), ("GOLD", 2), ("USD", 1)] {
        market.add_asset(asset, decimals).unwrap();
    }
    for (base, quote, tick, lot) in [
        ("COIN", "USD", "0.5", "1"),
        ("GOLD", "USD", "1", "0.1"),
        ("COIN", "GOLD", "0.3", "0.1"),
        ("USD", "COIN", "1", "0.2"),
    ] {
        let symbol = &format!("{base}-{quote}");
        market.add_instrument(&InstrumentSpec { symbol, base, quote, tick, lot, min_notional: "0" }).unwrap();
    }
    Arc::new(market)
}

struct Run {
    engine: Inline,
    witness: Witness,
    tape: Tape,
    now: u64,
    /// Deposits less withdrawals that were paid.
    came: BTreeMap<AssetId, i128>,
    /// Withdrawals that the engine has taken and not ended.
    withdrawing: BTreeMap<(AccountId, u64), (AssetId, Amount)>,
    /// By submit: lots asked for, and what became of them.
    tallies: Vec<Tally>,
    /// The submit behind each live order.
    live: BTreeMap<(AccountId, String), usize>,
}

#[derive(Debug)]
struct Tally {
    submit: Submit,
    /// By the submit or by the last change of it.
    asked: u64,
    traded: u64,
    /// Cancelled, expired, decremented, or refused.
    ended: u64,
    answers: u32,
}

impl Run {
    fn new(sequencers: usize, matchers: usize) -> Self {
        let market = market();
        let shape = Shape { sequencers, matchers, log_entries_max: 0 };
        Self {
            engine: pipeline::run_inline(pipeline::build(shape, &market)),
            witness: Witness::new(&market),
            tape: Tape::default(),
            now: 0,
            came: BTreeMap::new(),
            withdrawing: BTreeMap::new(),
            tallies: Vec::new(),
            live: BTreeMap::new(),
        }
    }

    fn apply(&mut self, command: Command, passed: u64) {
        self.now += passed;
        if let Command::Submit(submit) = command {
            let asked = submit.quantity.0;
            self.tallies.push(Tally { submit, asked, traded: 0, ended: 0, answers: 0 });
        }
        self.witness.sees(&command);
        let input = Input { origin: Origin::default(), at: Timestamp(self.now), ticket: 0, command };
        let mut reports = Vec::new();
        self.engine.apply(&input, &mut |report: &Report| reports.push(report.clone()), &mut self.tape);
        for report in &reports {
            self.witness.report(report);
            self.tally(report);
        }
        if reports.iter().any(|report| matches!(report.body, ReportBody::Done)) {
            self.count_money(command);
        }
        self.check();
    }

    /// What an operator writes down when a command of his was carried out.
    fn count_money(&mut self, command: Command) {
        match command {
            Command::Deposit { asset, amount, .. } => {
                *self.came.entry(asset).or_default() += amount.0 as i128;
            }
            Command::Withdraw { account, id, asset, amount } => {
                let before = self.withdrawing.insert((account, id), (asset, amount));
                assert!(before.is_none(), "its number is free");
            }
            Command::EndWithdrawal { account, id, paid } => {
                let (asset, amount) = self.withdrawing.remove(&(account, id)).expect("it was taken");
                *self.came.entry(asset).or_default() -= if paid { amount.0 as i128 } else { 0 };
            }
            _ => {}
        }
    }

    fn tally(&mut self, report: &Report) {
        let last = self.tallies.len().wrapping_sub(1);
        match &report.body {
            ReportBody::OrderAck { duplicate: false, order_id, .. } => {
                self.live.insert((report.account, order_id.as_str().into()), last);
                self.tallies[last].answers += 1;
            }
            // The repeat asked for nothing; the order it names has its own tally.
            ReportBody::OrderAck { .. } | ReportBody::OrderReject { .. } => {
                let tally = &mut self.tallies[last];
                tally.answers += 1;
                tally.ended = tally.asked;
            }
            ReportBody::Execution(Execution { kind, order, .. }) => {
                let at = self.live[&(report.account, order.order_id.as_str().into())];
                let tally = &mut self.tallies[at];
                match kind {
                    ExecutionKind::New | ExecutionKind::Triggered => {}
                    ExecutionKind::Replaced if order.left.is_zero() => {}
                    ExecutionKind::Replaced => {
                        tally.asked = order.quantity.0;
                    }
                    ExecutionKind::Decremented { quantity } => tally.ended += quantity.0,
                    ExecutionKind::Trade { quantity, price, .. } => {
                        tally.traded += quantity.0;
                        match tally.submit.side {
                            Side::Buy => assert!(*price <= order.price),
                            Side::Sell => assert!(*price >= order.price),
                        }
                    }
                    ExecutionKind::Closed(_) => tally.ended = tally.asked.saturating_sub(tally.traded),
                }
                if !order.is_live() {
                    self.live.remove(&(report.account, order.order_id.as_str().into()));
                }
            }
            _ => {}
        }
    }

    fn check(&self) {
        let shards = self.engine.at_rest();
        self.witness.agrees_with(shards);
        self.tape.agrees_with(shards);
        for (asset, money) in shards.money().into_iter().enumerate() {
            let came = self.came.get(&AssetId(asset as u16)).copied().unwrap_or(0);
            assert_eq!(money.of_accounts as i128 + money.fees, came, "asset {asset}");
        }
        for (at, tally) in self.tallies.iter().enumerate() {
            assert_eq!(tally.answers, 1, "every submit is answered once: {tally:?}");
            let Tally { submit, asked, traded, ended, .. } = tally;
            if matches!(submit.terms, Terms::Budget { .. }) {
                continue; // it asks for money, not for lots
            }
            let resting = match self.resting(submit) {
                Some(left) if self.live.values().any(|live| *live == at) => left,
                _ => 0,
            };
            assert_eq!(*asked, traded + resting + ended, "{tally:?}");
        }
    }

    /// What the engine says an order of that name has left.
    fn resting(&self, submit: &Submit) -> Option<u64> {
        let shards = &self.engine.at_rest().sequencers;
        let view = shards[submit.account.0 as usize % shards.len()].machine.view(submit.account)?;
        let order = view.orders.iter().find(|order| order.view.order_id == submit.order_id)?;
        Some(order.view.left.0)
    }

    /// When every order is cancelled, nothing is held and every book is empty.
    fn close_everything(&mut self) {
        for symbol in (0..4).map(SymbolId) {
            self.apply(Command::SetSymbol { symbol, state: SymbolState::Trading }, 0);
        }
        for account in (0..ACCOUNTS).map(AccountId) {
            for id in 0..3 {
                self.apply(Command::EndWithdrawal { account, id, paid: false }, 0);
            }
            self.apply(Command::CancelAll { account, symbol: None, group: None, by: Canceller::Owner }, 0);
        }
        assert!(self.live.is_empty());
        let held = self.engine.at_rest().balances().iter().map(|(.., held)| held.0).sum::<u128>();
        assert_eq!(held, 0);
    }
}
