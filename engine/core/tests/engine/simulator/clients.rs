//! What customers can know, kept by their own arithmetic: they believe the reports and check each against the rest.
//!
//! While things are on the way a customer cannot know what is held, because an order holds before it is answered. But
//! what an account has in all changes by deposits, withdrawals, transfers, trades and their fees alone, so every
//! balance told must have that sum.

use engine_core::executor::AtRest;
use engine_core::instrument::{Instrument, Market};
use engine_core::message::*;
use engine_core::units::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub struct Clients {
    /// By sequencer: what it has been told is listed, and the fees.
    markets: Vec<Arc<Market>>,
    /// By request.
    asked: BTreeMap<u32, Asked>,
    accounts: BTreeMap<AccountId, Customer>,
    /// By asset: charged less rebated.
    fees: BTreeMap<AssetId, i128>,
    /// By reason, for seeing that a long run meets all of them.
    pub rejects: [u64; Reject::ALL.len()],
}

struct Asked {
    command: Command,
    answers: u32,
    /// Of a submit, when it entered: whether it broke a rule, and the fees it would have.
    broken: Option<Reject>,
    fees: Fees,
}

#[derive(Default)]
struct Customer {
    state: AccountState,
    tier: u8,
    exec_sequence: u64,
    /// All there is of an asset: available and held.
    total: BTreeMap<AssetId, u128>,
    live: HashMap<ClientOrderId, Live>,
    /// Withdrawals and transfers that have not ended.
    parked: BTreeMap<u64, Parked>,
}

#[derive(Clone, Copy)]
struct Parked {
    asset: AssetId,
    amount: u128,
    is_transfer: bool,
}

/// An order, as its owner reckons.
struct Live {
    submit: Submit,
    fees: Fees,
    exchange_order_id: u64,
    waits: bool,
    left: u64,
    traded: u64,
    decremented: u64,
    traded_quote: u128,
    /// The exact sum of its fees, in parts of [`Fees::UNIT`].
    fee_parts: i128,
}

impl Clients {
    pub fn new(market: &Arc<Market>, sequencers: usize) -> Clients {
        Clients {
            markets: vec![market.clone(); sequencers],
            asked: BTreeMap::new(),
            accounts: BTreeMap::new(),
            fees: BTreeMap::new(),
            rejects: [0; Reject::ALL.len()],
        }
    }

    /// A command is made. Told again of one that goes to several sequencers it knows that.
    pub fn ask(&mut self, input: &Input) {
        let command = input.command;
        let asked = Asked { command, answers: 0, broken: None, fees: Fees::default() };
        self.asked.entry(input.origin.request).or_insert(asked);
    }

    /// Everything that is listed, as the sequencer knows it that knows most.
    pub fn market(&self) -> &Market {
        let known = |market: &&Arc<Market>| market.assets.len() + market.instruments.len();
        self.markets.iter().max_by_key(known).expect("there is a sequencer")
    }

    /// A command reaches sequencer `i`, which is when it counts.
    pub fn enter(&mut self, i: usize, input: &Input) {
        let market = &mut self.markets[i];
        let customer = input.command.account().and_then(|account| self.accounts.get_mut(&account));
        match (input.command, customer) {
            (Command::Open { account, .. }, None) => drop(self.accounts.insert(account, Customer::default())),
            (Command::Deposit { asset, amount, .. }, Some(customer))
                if amount.0 > 0 && (asset.0 as usize) < market.assets.len() =>
            {
                *customer.total.entry(asset).or_default() += amount.0;
            }
            (Command::EndWithdrawal { id, paid, .. }, Some(customer)) if customer.has_withdrawal(id) => {
                customer.unpark(id, paid);
            }
            (Command::SetAccount { state, tier, .. }, Some(customer)) if tier < 8 => {
                (customer.state, customer.tier) = (state, tier);
            }
            (Command::ListAsset(listing), _) => drop(Arc::make_mut(market).list_asset(&listing)),
            (Command::List(listing), _) => drop(Arc::make_mut(market).list(&listing)),
            (Command::SetFees { symbol, tier, fees }, _) if tier < 8 && fees.are_valid() => {
                if let Some(instrument) = Arc::make_mut(market).instruments.get_mut(symbol.0 as usize) {
                    instrument.fees[tier as usize] = fees;
                }
            }
            (Command::Submit(submit), customer) => {
                let asked = self.asked.get_mut(&input.origin.request).expect("it was asked");
                let instrument = market.instruments.get(submit.symbol.0 as usize);
                asked.broken = broken_rule(&submit, instrument, customer.as_deref());
                if let (Some(instrument), Some(customer)) = (instrument, customer) {
                    asked.fees = instrument.fees[customer.tier as usize];
                }
            }
            _ => {}
        }
    }

    /// Money is on its way to another account.
    pub fn sent(&mut self, transfer: &Transfer) {
        let Transfer { from, id, asset, amount, .. } = *transfer;
        let giver = self.accounts.get_mut(&from).expect("who gives has an account");
        let before = giver.parked.insert(id, Parked { asset, amount: amount.0, is_transfer: true });
        assert!(before.is_none(), "transfer {id} of {from} is twice on its way");
    }

    /// A sequencer hears of a transfer: the receiver's of the money, or the giver's of what became of it.
    pub fn relayed(&mut self, transfer: &Transfer) {
        let Transfer { from, id, to, asset, amount, stage, .. } = *transfer;
        let market = &self.markets[to.0 as usize % self.markets.len()];
        let is_known = (asset.0 as usize) < market.assets.len();
        match (stage, self.accounts.get_mut(&to)) {
            (TransferStage::Offered, Some(receiver))
                if is_known && receiver.state == AccountState::Active =>
            {
                *receiver.total.entry(asset).or_default() += amount.0;
            }
            (TransferStage::Offered, _) => {}
            (TransferStage::Accepted | TransferStage::Refused(_), _) => {
                let giver = self.accounts.get_mut(&from).expect("who gives has an account");
                assert!(
                    giver.parked.get(&id).is_some_and(|p| p.is_transfer),
                    "transfer {id} of {from} ends twice"
                );
                giver.unpark(id, stage == TransferStage::Accepted);
            }
        }
    }

    pub fn hear(&mut self, report: &Report) {
        if let Recipient::Asker(origin) = report.to {
            self.answer(origin.request, report);
        }
        match &report.body {
            ReportBody::Execution(execution) => {
                self.next_entry(report.account, execution.exec_sequence);
                self.execution(report.account, execution);
            }
            ReportBody::Balance(change) => {
                self.next_entry(report.account, change.exec_sequence);
                let customer = &self.accounts[&report.account];
                for balance in change.balances.into_iter().flatten() {
                    let told = balance.available.0 + balance.held.0;
                    let has = customer.total.get(&balance.asset).copied().unwrap_or(0);
                    assert_eq!(told, has, "{balance:?} of account {}", report.account);
                }
            }
            _ => {}
        }
    }

    fn next_entry(&mut self, account: AccountId, exec_sequence: u64) {
        let customer =
            self.accounts.get_mut(&account).expect("only accounts that were opened have a history");
        customer.exec_sequence += 1;
        assert_eq!(exec_sequence, customer.exec_sequence, "the history of account {account} has no gap");
    }

    // ---- answers ------------------------------------------------------------------------------------------------

    /// That this answers what was asked, and that it is the only answer.
    fn answer(&mut self, request: u32, report: &Report) {
        use ReportBody::*;
        self.count_reject(&report.body);
        let asked = self.asked.get_mut(&request).expect("only what was asked is answered");
        let command = asked.command;
        if let (Command::CancelAll { .. }, CancelReject { .. }) = (command, &report.body) {
            return; // each order that could not be cancelled is told besides the answer
        }
        asked.answers += 1;
        assert_eq!(asked.answers, 1, "{command:?} has a second answer: {report:?}");
        match (command, &report.body) {
            (Command::Submit(submit), OrderAck { order_id, symbol, duplicate, .. }) => {
                assert_eq!((submit.order_id, submit.symbol), (*order_id, *symbol));
                self.acknowledged(request, &submit, report, *duplicate);
            }
            (Command::Submit(submit), OrderReject { order_id, reason }) => {
                assert_eq!(submit.order_id, *order_id);
                self.refused(&submit, *reason);
            }
            (Command::Cancel { order_id, symbol, .. }, CancelAck { order_id: told, symbol: of, .. }) => {
                assert_eq!((order_id, symbol), (*told, *of));
            }
            (Command::Cancel { order_id, .. }, CancelReject { order_id: told, .. }) => {
                assert_eq!(order_id, *told)
            }
            (Command::CancelAll { symbol, .. }, CancelAllAck { symbol: told, .. }) => {
                assert_eq!(symbol, *told)
            }
            (Command::Amend(amend), AmendAck { order_id, symbol, left, .. }) => {
                assert_eq!((amend.order_id, amend.symbol), (*order_id, *symbol));
                self.amended(&amend, left.0);
            }
            (Command::Amend(amend), AmendReject { order_id, .. }) => assert_eq!(amend.order_id, *order_id),
            (Command::CancelAllAfter { timeout_us, .. }, TimerAck { until }) => {
                assert_eq!(until.is_some(), timeout_us > 0)
            }
            (Command::Withdraw { account, id, asset, amount }, Done) => {
                let customer = self.accounts.get_mut(&account).expect("its money is held");
                let parked = Parked { asset, amount: amount.0, is_transfer: false };
                assert!(customer.parked.insert(id, parked).is_none(), "withdrawal {id} twice");
            }
            (Command::Submit(_) | Command::Cancel { .. } | Command::CancelAll { .. }, _)
            | (Command::Amend(_) | Command::Tick, _) => panic!("{command:?} is answered by {report:?}"),
            (_, Done | Refused { .. }) => {}
            _ => panic!("{command:?} is answered by {report:?}"),
        }
        if let Some(account) = command.account().filter(|_| !matches!(report.body, Done | Refused { .. })) {
            assert_eq!(report.account, account, "an answer to somebody else");
        }
    }

    fn count_reject(&mut self, body: &ReportBody) {
        if let ReportBody::OrderReject { reason, .. }
        | ReportBody::CancelReject { reason, .. }
        | ReportBody::AmendReject { reason, .. }
        | ReportBody::Refused { reason } = body
        {
            self.rejects[*reason as usize] += 1;
        }
    }

    fn acknowledged(&mut self, request: u32, submit: &Submit, report: &Report, duplicate: bool) {
        let ReportBody::OrderAck { exchange_order_id, .. } = report.body else { unreachable!() };
        let customer = self.accounts.get_mut(&submit.account).expect("it has an order");
        if duplicate {
            // The first may be gone by now.
            if let Some(live) = customer.live.get(&submit.order_id) {
                assert_eq!(live.exchange_order_id, exchange_order_id);
            }
            return;
        }
        let Asked { broken, fees, .. } = self.asked[&request];
        assert_eq!(broken, None, "accepted against the rules: {submit:?}");
        let live = Live {
            submit: *submit,
            fees,
            exchange_order_id,
            waits: submit.terms.is_stop(),
            left: submit.quantity.0,
            traded: 0,
            decremented: 0,
            traded_quote: 0,
            fee_parts: 0,
        };
        let before = customer.live.insert(submit.order_id, live);
        assert!(before.is_none(), "{submit:?} is new while it lives");
    }

    /// Of the reasons that follow from the order alone, whether they do.
    fn refused(&self, submit: &Submit, reason: Reject) {
        let instrument =
            self.markets.iter().find_map(|market| market.instruments.get(submit.symbol.0 as usize));
        let by_the_book = match reason {
            Reject::PriceRange | Reject::QuantityRange | Reject::MinNotional => {
                let broken = broken_rule(submit, instrument, Some(&Customer::default()));
                broken == Some(reason) || matches!(submit.terms, Terms::Budget { .. })
            }
            Reject::PostOnlyWouldTake => submit.time_in_force == TimeInForce::PostOnly,
            _ => true,
        };
        assert!(by_the_book, "{reason:?} for {submit:?}");
    }

    fn amended(&mut self, amend: &Amend, told: u64) {
        let customer = self.accounts.get_mut(&amend.account).expect("it has an order");
        let live = customer.live.get_mut(&amend.order_id).expect("only live orders are changed");
        let left = match amend.quantity {
            Some(quantity) => quantity.0.saturating_sub(live.traded + live.decremented),
            None => live.left,
        };
        assert_eq!(told, left, "left after {amend:?}");
        if left > 0 {
            live.left = left;
            live.submit.price = amend.price.unwrap_or(live.submit.price);
        }
    }

    // ---- executions ---------------------------------------------------------------------------------------------

    fn execution(&mut self, account: AccountId, execution: &Execution) {
        let Execution { kind, order, .. } = execution;
        let market = &self.markets[account.0 as usize % self.markets.len()];
        let instrument = &market.instruments[order.symbol.0 as usize];
        let customer = self.accounts.get_mut(&account).expect("it has a history");
        let live = customer.live.get_mut(&order.order_id).expect("what happens happens to a live order");
        match *kind {
            ExecutionKind::New if live.has_budget() => live.left = order.left.0,
            ExecutionKind::New | ExecutionKind::Replaced => {}
            ExecutionKind::Triggered => live.triggered(),
            ExecutionKind::Trade { price, quantity, liquidity, fee, .. } => {
                let traded = live.trade(instrument, price, quantity, liquidity, fee);
                *self.fees.entry(instrument.quote).or_default() += fee;
                for (asset, change) in traded {
                    let total = customer.total.entry(asset).or_default();
                    *total = total.checked_add_signed(change).expect("nobody pays what it does not have");
                }
            }
            ExecutionKind::Decremented { quantity } => {
                live.left = live.left.checked_sub(quantity.0).expect("it loses no more than it has");
                live.decremented += quantity.0;
            }
            ExecutionKind::Closed(reason) => {
                assert!(!order.is_live() && live.left > 0);
                let rests = matches!(live.submit.time_in_force, TimeInForce::Gtc | TimeInForce::PostOnly);
                // A post-only stop that would have taken is closed as expired, too.
                let may_expire = !rests || live.submit.time_in_force == TimeInForce::PostOnly;
                assert!(reason != CloseReason::Expired || may_expire, "{:?} expired", live.submit);
            }
        }
        live.agrees_with(order);
        if !order.is_live() {
            customer.live.remove(&order.order_id);
        }
    }

    // ---- at rest ------------------------------------------------------------------------------------------------

    /// Nothing is on the way: every request was answered and the engine has what it told, and nothing else.
    pub fn agree_with(&self, shards: &AtRest) {
        for Asked { command, answers, .. } in self.asked.values() {
            assert_eq!(*answers, command.is_answered() as u32, "answers to {command:?}");
        }
        let market = &self.markets[0];
        for (account, customer) in &self.accounts {
            let shard = &shards.sequencers[account.0 as usize % shards.sequencers.len()];
            let view = shard.machine.view(*account).expect("it is open");
            let told = (customer.state, customer.tier, customer.exec_sequence);
            assert_eq!((view.state, view.tier, view.exec_sequence), told, "account {account}");
            assert_eq!(view.orders.len(), customer.live.len(), "live orders of account {account}");
            for order in &view.orders {
                customer.live[&order.view.order_id].agrees_with(&order.view);
            }
            let has = view.balances.iter().map(|balance| {
                assert_eq!(balance.held.0, customer.held(balance.asset, market), "held by {account}");
                (balance.asset, balance.available.0 + balance.held.0)
            });
            let has: BTreeMap<AssetId, u128> = has.collect();
            assert_eq!(has, customer.total, "what account {account} has");
        }
        for (asset, money) in shards.money().into_iter().enumerate() {
            let fees = self.fees.get(&AssetId(asset as u16)).copied().unwrap_or(0);
            assert_eq!(money.fees, fees, "fees of asset {asset}");
        }
    }

    /// What a live order has in the book by the reports.
    pub fn left(&self, submit: &Submit) -> Option<u64> {
        let live = self.accounts.get(&submit.account)?.live.get(&submit.order_id)?;
        (!live.waits).then_some(live.left)
    }

    /// Live orders, those that wait for their trigger apart.
    pub fn live_orders(&self) -> (usize, usize) {
        let live = || self.accounts.values().flat_map(|customer| customer.live.values());
        (live().filter(|live| !live.waits).count(), live().filter(|live| live.waits).count())
    }
}

impl Customer {
    fn has_withdrawal(&self, id: u64) -> bool {
        self.parked.get(&id).is_some_and(|parked| !parked.is_transfer)
    }

    fn unpark(&mut self, id: u64, is_gone: bool) {
        if let Some(Parked { asset, amount, .. }) = self.parked.remove(&id)
            && is_gone
        {
            let total = self.total.get_mut(&asset).expect("it was held");
            *total = total.checked_sub(amount).expect("it was held");
        }
    }

    fn held(&self, asset: AssetId, market: &Market) -> u128 {
        let orders = self.live.values().map(|live| {
            let instrument = &market.instruments[live.submit.symbol.0 as usize];
            live.hold(instrument)
        });
        let parked = self.parked.values().map(|parked| (parked.asset, parked.amount));
        orders.chain(parked).filter(|(held, _)| *held == asset).map(|(_, amount)| amount).sum()
    }
}

impl Live {
    fn has_budget(&self) -> bool {
        matches!(self.submit.terms, Terms::Budget { .. })
    }

    fn triggered(&mut self) {
        if let Terms::Oco { then, kind, .. } = self.submit.terms {
            (self.submit.price, self.submit.kind) = (then, kind);
            self.submit.time_in_force =
                if kind == OrderKind::Limit { TimeInForce::Gtc } else { TimeInForce::Ioc };
        }
        self.submit.terms = Terms::Plain;
        self.waits = false;
    }

    /// Books a trade; returns what it does to the account's money.
    fn trade(
        &mut self,
        instrument: &Instrument,
        price: Price,
        quantity: Quantity,
        liquidity: Liquidity,
        fee: i128,
    ) -> [(AssetId, i128); 2] {
        assert!(accepts(&self.submit, price), "a trade at {price} beyond {:?}", self.submit);
        assert!((1..=self.left).contains(&quantity.0), "{quantity} lots of {}", self.left);
        let (quote, base) = (instrument.notional(price, quantity).0, instrument.base_amount(quantity).0);
        self.left -= quantity.0;
        self.traded += quantity.0;
        self.traded_quote += quote;
        let rate = if liquidity == Liquidity::Taker { self.fees.taker } else { self.fees.maker };
        let before = whole_atoms(self.fee_parts);
        self.fee_parts += i128::from(rate) * quote as i128;
        assert_eq!(fee, whole_atoms(self.fee_parts) - before, "the fee of a trade of {:?}", self.submit);
        match self.submit.terms {
            Terms::Oco { .. } => self.submit.terms = Terms::Plain,
            Terms::Budget { quote } if self.submit.side == Side::Buy => {
                let spent = self.traded_quote as i128 + whole_atoms(self.fee_parts);
                assert!(spent <= quote.0 as i128, "{spent} spent of {quote}");
            }
            Terms::Budget { quote } => assert!(self.traded_quote <= quote.0),
            _ => {}
        }
        let (quote, base) = (quote as i128, base as i128);
        match self.submit.side {
            Side::Buy => [(instrument.quote, -quote - fee), (instrument.base, base)],
            Side::Sell => [(instrument.base, -base), (instrument.quote, quote - fee)],
        }
    }

    /// The customers' own idea of what an order holds while nothing of it is on the way.
    fn hold(&self, instrument: &Instrument) -> (AssetId, u128) {
        let lots = Quantity(self.left);
        if self.submit.side == Side::Sell {
            return (instrument.base, instrument.base_amount(lots).0);
        }
        let price = match self.submit.terms {
            Terms::Oco { then, .. } => self.submit.price.max(then),
            _ => self.submit.price,
        };
        let notional = instrument.notional(price, lots).0 as i128;
        let dearer = i128::from(self.fees.maker.max(self.fees.taker).max(0));
        let fee = whole_atoms(self.fee_parts + dearer * notional) - whole_atoms(self.fee_parts);
        (instrument.quote, (notional + fee) as u128)
    }

    fn agrees_with(&self, order: &OrderView) {
        let Submit { side, kind, price, symbol, time_in_force, .. } = self.submit;
        assert_eq!(
            (order.side, order.kind, order.price, order.symbol, order.time_in_force, order.exchange_order_id),
            (side, kind, price, symbol, time_in_force, self.exchange_order_id),
        );
        let left = if order.is_live() { self.left } else { 0 };
        let ordered = match self.has_budget() {
            true => self.traded,
            false => self.traded + self.decremented + self.left,
        };
        assert_eq!(
            (order.quantity.0, order.traded.0, order.traded_quote.0, order.left.0),
            (ordered, self.traded, self.traded_quote, left),
            "{order:?}"
        );
        assert_eq!(order.state == OrderState::Waiting, self.waits && order.is_live());
    }
}

/// The first rule that an order breaks whatever the account has and the book holds.
fn broken_rule(
    submit: &Submit,
    instrument: Option<&Instrument>,
    customer: Option<&Customer>,
) -> Option<Reject> {
    let Some(customer) = customer else { return Some(Reject::UnknownAccount) };
    if customer.state == AccountState::Suspended {
        return Some(Reject::AccountSuspended);
    }
    let Some(instrument) = instrument else { return Some(Reject::UnknownSymbol) };
    if !(Price(1)..=instrument.price_max).contains(&submit.price) {
        return Some(Reject::PriceRange);
    }
    if let Terms::Budget { .. } = submit.terms {
        return None;
    }
    if !(Quantity(1)..=instrument.quantity_max).contains(&submit.quantity) {
        return Some(Reject::QuantityRange);
    }
    let notional = instrument.notional(submit.price, submit.quantity);
    (notional < instrument.min_notional).then_some(Reject::MinNotional)
}

/// Fee parts as they are charged: rounded up, which for a rebate is towards nothing.
fn whole_atoms(parts: i128) -> i128 {
    -((-parts).div_euclid(Fees::UNIT))
}

fn accepts(submit: &Submit, price: Price) -> bool {
    match submit.side {
        Side::Buy => price <= submit.price,
        Side::Sell => price >= submit.price,
    }
}
