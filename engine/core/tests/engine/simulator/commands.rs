//! What customers and the operator ask for. A new command of the engine is a line in [`TABLE`] and an arm in
//! [`Script::command`].

use super::plan::{Customers, Plan, fees, listing, pick};
use engine_core::instrument::{AssetListing, Market};
use engine_core::limits::ORDER_ID_WINDOW_US;
use engine_core::message::*;
use engine_core::units::*;
use rand::{Rng, RngExt};

/// A kind of command.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Deposit,
    Withdraw,
    EndWithdrawal,
    Transfer,
    Limit,
    Market,
    /// A market order for so much money.
    Budget,
    Iceberg,
    Stop,
    TrailingStop,
    Oco,
    /// An order that breaks one rule of its instrument or names nobody.
    Odd,
    /// An earlier order again, the same or with another body.
    Repeat,
    /// Cancels one of the customer's last orders, live or not.
    Cancel,
    /// Cancels what may never have been.
    CancelAny,
    CancelAll,
    Amend,
    DeadMan,
    Guard,
    EndGuard,
    OpenAgain,
    SetAccount,
    SetSymbol,
    SetFees,
    Tick,
    List,
}

/// How often each kind comes compared with the others: a seed takes one of the choices. A choice of 0 leaves the
/// kind out, which makes room for rarer meetings of the rest.
const TABLE: [(Kind, [u32; 4]); 26] = [
    (Kind::Deposit, [0, 2, 4, 10]),
    (Kind::Withdraw, [0, 0, 2, 5]),
    (Kind::EndWithdrawal, [0, 1, 3, 5]),
    (Kind::Transfer, [0, 0, 3, 15]),
    (Kind::Limit, [40, 60, 80, 100]),
    (Kind::Market, [0, 5, 10, 30]),
    (Kind::Budget, [0, 0, 0, 10]),
    (Kind::Iceberg, [0, 0, 0, 20]),
    (Kind::Stop, [0, 0, 10, 25]),
    (Kind::TrailingStop, [0, 0, 5, 15]),
    (Kind::Oco, [0, 0, 10, 25]),
    (Kind::Odd, [0, 0, 1, 5]),
    (Kind::Repeat, [0, 1, 2, 15]),
    (Kind::Cancel, [0, 10, 20, 80]),
    (Kind::CancelAny, [0, 0, 2, 5]),
    (Kind::CancelAll, [0, 0, 1, 8]),
    (Kind::Amend, [0, 0, 15, 50]),
    (Kind::DeadMan, [0, 0, 0, 3]),
    (Kind::Guard, [0, 0, 1, 8]),
    (Kind::EndGuard, [0, 0, 1, 8]),
    (Kind::OpenAgain, [0, 0, 0, 1]),
    (Kind::SetAccount, [0, 0, 1, 3]),
    (Kind::SetSymbol, [0, 0, 0, 5]),
    (Kind::SetFees, [0, 0, 1, 3]),
    (Kind::Tick, [0, 0, 2, 10]),
    (Kind::List, [0, 0, 0, 3]),
];

/// How the limit orders of a seed are split by time in force.
const TIMES_IN_FORCE: [&[TimeInForce]; 4] = [
    &[TimeInForce::Gtc],
    &[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::PostOnly],
    &[TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly],
    &[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Fok],
];

/// What the orders of a seed do where they meet their own account.
const SELF_TRADES: [&[SelfTrade]; 4] = [
    &[SelfTrade::Allow],
    &[SelfTrade::Allow],
    &[SelfTrade::Allow],
    &[
        SelfTrade::Allow,
        SelfTrade::CancelNewest,
        SelfTrade::CancelOldest,
        SelfTrade::CancelBoth,
        SelfTrade::Decrement,
    ],
];

/// Where symbols go; trading comes again and again so that something happens.
const STATES: [SymbolState; 12] = [
    SymbolState::Trading,
    SymbolState::Trading,
    SymbolState::Trading,
    SymbolState::Trading,
    SymbolState::Trading,
    SymbolState::Trading,
    SymbolState::CancelOnly,
    SymbolState::Halted,
    SymbolState::Auction,
    SymbolState::Auction,
    SymbolState::Auction,
    SymbolState::Delisted,
];

/// The weights of a seed.
pub struct Mix {
    weights: [u32; TABLE.len()],
    times_in_force: &'static [TimeInForce],
    self_trades: &'static [SelfTrade],
    /// One in so many orders has an end; 0 for none.
    ends: u32,
    /// One in so many commands comes a day later; 0 for none.
    days_pass: u32,
}

impl Mix {
    pub fn draw(random: &mut impl Rng) -> Mix {
        Mix {
            weights: TABLE.map(|(_, choices)| pick(&choices, random)),
            times_in_force: pick(&TIMES_IN_FORCE, random),
            self_trades: pick(&SELF_TRADES, random),
            ends: pick(&[0, 0, 3, 20], random),
            days_pass: pick(&[0, 0, 30], random),
        }
    }

    fn kind(&self, random: &mut impl Rng) -> Kind {
        let mut ticket = random.random_range(0..self.weights.iter().sum());
        for ((kind, _), weight) in TABLE.iter().zip(self.weights) {
            match ticket.checked_sub(weight) {
                Some(rest) => ticket = rest,
                None => return *kind,
            }
        }
        unreachable!("the ticket is below the sum of the weights")
    }
}

/// The inputs of a run, one after the other.
pub struct Script {
    /// Everything that is listed, from when it is asked for.
    market: Market,
    /// What is still to come before customers act for themselves: accounts and their first money.
    opening: Vec<Command>,
    /// Everything that was submitted, for cancels and repeats.
    submits: Vec<Submit>,
    commands_left: usize,
    now: u64,
    requests: u32,
}

impl Script {
    pub fn new(plan: &Plan, random: &mut impl Rng) -> Script {
        let mut opening = Vec::new();
        for account in (0..plan.customers.accounts).map(AccountId) {
            opening.push(Command::Open { account, name: None });
            for asset in &plan.market.assets {
                let amount = plan.customers.draw_money(&plan.market, asset.id, random);
                opening.push(Command::Deposit { account, asset: asset.id, amount });
            }
        }
        opening.reverse(); // taken from the end
        Script {
            market: Market::clone(&plan.market),
            opening,
            submits: Vec::new(),
            commands_left: plan.commands,
            now: ORDER_ID_WINDOW_US,
            requests: 0,
        }
    }

    pub fn is_over(&self) -> bool {
        self.commands_left == 0
    }

    /// Nobody asks for anything any more.
    pub fn end(&mut self) {
        self.commands_left = 0;
    }

    /// The next input. Its request is its place, from 0.
    pub fn next(&mut self, plan: &Plan, random: &mut impl Rng) -> Input {
        let command = match self.opening.pop() {
            Some(command) => command,
            None => {
                self.commands_left -= 1;
                self.command(plan.mix.kind(random), plan, random)
            }
        };
        match command {
            Command::Submit(submit) => self.submits.push(submit),
            Command::ListAsset(listing) => drop(self.market.list_asset(&listing)),
            Command::List(listing) => drop(self.market.list(&listing)),
            _ => {}
        }
        self.input(command, &plan.mix, random)
    }

    /// Once the script is over: lets every symbol trade, so that orders can leave.
    pub fn reopening(&mut self, plan: &Plan, random: &mut impl Rng) -> Vec<Input> {
        let symbols = (0..self.market.instruments.len() as u32).map(SymbolId);
        let commands = symbols.map(|symbol| Command::SetSymbol { symbol, state: SymbolState::Trading });
        commands
            .collect::<Vec<_>>()
            .into_iter()
            .map(|command| self.input(command, &plan.mix, random))
            .collect()
    }

    /// And after that: takes every order out.
    pub fn clearing(&mut self, plan: &Plan, random: &mut impl Rng) -> Vec<Input> {
        let accounts = (0..plan.customers.accounts).map(AccountId);
        let commands = accounts.map(|account| Command::CancelAll {
            account,
            symbol: None,
            group: None,
            by: Canceller::Owner,
        });
        commands.map(|command| self.input(command, &plan.mix, random)).collect()
    }

    fn input(&mut self, command: Command, mix: &Mix, random: &mut impl Rng) -> Input {
        self.now += match mix.days_pass {
            0 => random.random_range(0..100),
            days => match random.random_range(0..days) {
                0 => ORDER_ID_WINDOW_US,
                _ => random.random_range(0..100),
            },
        };
        // Clocks of different machines differ, and some are set back.
        let at = Timestamp(self.now - random.random_range(0..50));
        let origin = Origin { port: 0, session: 0, request: self.requests };
        self.requests += 1;
        Input { origin, at, ticket: 0, command }
    }

    fn command(&self, kind: Kind, plan: &Plan, random: &mut impl Rng) -> Command {
        let customers = &plan.customers;
        let account = AccountId(random.random_range(0..customers.accounts));
        let asset = AssetId(random.random_range(0..=self.market.assets.len() as u16)); // one is unknown
        let amount = customers.draw_money(&self.market, asset, random);
        let id = random.random_range(0..5);
        match kind {
            Kind::Deposit => Command::Deposit { account, asset, amount },
            Kind::Withdraw => Command::Withdraw { account, id, asset, amount: Amount(amount.0 / 4) },
            Kind::EndWithdrawal => Command::EndWithdrawal { account, id, paid: random.random_bool(0.5) },
            Kind::Transfer => {
                let to = AccountId(random.random_range(0..=customers.accounts)); // one is unknown
                Command::Transfer { account, id, to, asset, amount: Amount(amount.0 / 4) }
            }
            Kind::Repeat => self.repeat(account, random),
            Kind::Cancel => match self.recent(random) {
                Some(Submit { account, symbol, order_id, .. }) => {
                    Command::Cancel { account, symbol, order_id }
                }
                None => Command::Open { account, name: None },
            },
            Kind::CancelAny => {
                let order_id = name(random.random_range(0..=self.submits.len()));
                Command::Cancel { account, symbol: self.any_symbol(random), order_id }
            }
            Kind::CancelAll => {
                let symbol = random.random_bool(0.5).then(|| self.any_symbol(random));
                let group = random.random_bool(0.3).then(|| random.random_range(0..3));
                let by = if random.random_bool(0.2) { Canceller::Exchange } else { Canceller::Owner };
                Command::CancelAll { account, symbol, group, by }
            }
            Kind::Amend => self.amend(account, plan, random),
            Kind::DeadMan => Command::CancelAllAfter { account, timeout_us: random.random_range(0..3_000) },
            Kind::Guard => {
                let scope = if random.random_bool(0.3) { GuardScope::Account } else { GuardScope::Group };
                let guard = Guard { group: random.random_range(0..3), scope, grace_us: 0 };
                Command::Guard { account, guard }
            }
            Kind::EndGuard => {
                let (group, cancels) = (random.random_range(0..3), random.random_bool(0.7));
                Command::EndGuard { account, group, cancels }
            }
            Kind::OpenAgain => Command::Open { account, name: None },
            Kind::SetAccount => {
                let is_suspended = random.random_bool(0.2);
                let state = if is_suspended { AccountState::Suspended } else { AccountState::Active };
                Command::SetAccount { account, state, tier: random.random_range(0..=8) } // 8 is too high
            }
            Kind::SetSymbol => {
                Command::SetSymbol { symbol: self.any_symbol(random), state: pick(&STATES, random) }
            }
            Kind::SetFees => Command::SetFees {
                symbol: self.any_symbol(random),
                tier: random.random_range(0..=8),
                fees: fees(random),
            },
            Kind::Tick => Command::Tick,
            Kind::List => self.list(random),
            Kind::Limit
            | Kind::Market
            | Kind::Budget
            | Kind::Iceberg
            | Kind::Stop
            | Kind::TrailingStop
            | Kind::Oco
            | Kind::Odd => Command::Submit(self.order(kind, account, plan, random)),
        }
    }

    // ---- orders -------------------------------------------------------------------------------------------------

    fn order(&self, kind: Kind, account: AccountId, plan: &Plan, random: &mut impl Rng) -> Submit {
        let limit = self.limit(account, plan, random);
        let price = |random: &mut _| plan.customers.draw_price(random);
        match kind {
            Kind::Market => market(limit, random),
            Kind::Budget => {
                let instrument = &self.market.instruments[limit.symbol.0 as usize];
                let most = instrument.notional(limit.price, limit.quantity).0;
                let terms = Terms::Budget { quote: Amount(random.random_range(0..=most)) };
                let time_in_force = TimeInForce::Ioc;
                Submit { quantity: Quantity(0), terms, time_in_force, ..market(limit, random) }
            }
            Kind::Iceberg => {
                // Each refill is a trade: a few of them show what a billion would.
                let display = Quantity(random.random_range(limit.quantity.0 / 8..=limit.quantity.0).max(1));
                Submit { terms: Terms::Iceberg { display }, time_in_force: TimeInForce::Gtc, ..limit }
            }
            Kind::Stop | Kind::TrailingStop => {
                let limit = if random.random_bool(0.5) { market(limit, random) } else { limit };
                let trigger = price(random);
                let distance = Price(random.random_range(1..=plan.customers.prices));
                let terms = match kind {
                    Kind::Stop => Terms::Stop { trigger },
                    _ => Terms::TrailingStop { trigger, distance },
                };
                Submit { terms, ..limit }
            }
            Kind::Oco => {
                let kind = pick(&[OrderKind::Limit, OrderKind::Market], random);
                // The stop is on the other side of the market, or as far there as so few prices allow.
                let (low, high) = (limit.price.min(price(random)), limit.price.max(price(random)));
                let (price, trigger) = if limit.side == Side::Buy { (low, high) } else { (high, low) };
                let then = plan.customers.draw_price(random);
                let terms = Terms::Oco { trigger, then, kind };
                Submit { price, terms, time_in_force: TimeInForce::Gtc, ..limit }
            }
            Kind::Odd => self.odd(limit, random),
            _ => limit,
        }
    }

    fn limit(&self, account: AccountId, plan: &Plan, random: &mut impl Rng) -> Submit {
        let time_in_force = pick(plan.mix.times_in_force, random);
        let rests = matches!(time_in_force, TimeInForce::Gtc | TimeInForce::PostOnly);
        let has_end = rests && plan.mix.ends > 0 && random.random_range(0..plan.mix.ends) == 0;
        // Many orders end together, as at the end of a day.
        let end = (self.now + random.random_range(1..3_000)).next_multiple_of(pick(&[1, 500], random));
        Submit {
            time_in_force,
            self_trade: pick(plan.mix.self_trades, random),
            expires: Timestamp(if has_end { end } else { 0 }),
            group: random.random_range(0..3),
            ..Submit::limit(
                account,
                self.any_symbol(random),
                name(self.submits.len()),
                pick(&[Side::Buy, Side::Sell], random),
                plan.customers.draw_price(random),
                plan.customers.draw_quantity(random),
            )
        }
    }

    fn odd(&self, submit: Submit, random: &mut impl Rng) -> Submit {
        let instrument = &self.market.instruments[submit.symbol.0 as usize];
        let symbols = self.market.instruments.len() as u32;
        match random.random_range(0..8) {
            0 => Submit { symbol: SymbolId(symbols), ..submit },
            1 => Submit { account: AccountId(submit.account.0 + 1000), ..submit },
            2 => Submit { price: Price(0), ..submit },
            3 => Submit { price: Price(instrument.price_max.0 + 1), ..submit },
            4 => Submit { quantity: Quantity(0), ..submit },
            5 => Submit { quantity: Quantity(instrument.quantity_max.0 + 1), ..submit },
            6 => Submit { expires: Timestamp(1), ..submit },
            _ => Submit { terms: Terms::Budget { quote: Amount(100) }, ..submit },
        }
    }

    fn repeat(&self, account: AccountId, random: &mut impl Rng) -> Command {
        match self.recent(random) {
            Some(submit) => {
                let quantity = Quantity(submit.quantity.0 ^ pick(&[0, 0, 1], random));
                Command::Submit(Submit { quantity, ..submit })
            }
            None => Command::Open { account, name: None },
        }
    }

    fn amend(&self, account: AccountId, plan: &Plan, random: &mut impl Rng) -> Command {
        let Some(Submit { account, symbol, order_id, quantity, .. }) = self.recent(random) else {
            return Command::Open { account, name: None };
        };
        let smaller = Quantity(random.random_range(0..=quantity.0));
        let quantity = pick(&[None, Some(smaller), Some(plan.customers.draw_quantity(random))], random);
        let price = pick(&[None, None, Some(plan.customers.draw_price(random))], random);
        Command::Amend(Amend { account, symbol, order_id, price, quantity })
    }

    /// A new asset, or a symbol of two assets that may be listed already.
    fn list(&self, random: &mut impl Rng) -> Command {
        let assets = self.market.assets.len() as u16;
        if assets < 8 && random.random_bool(0.4) {
            let name = format!("ASSET{assets}");
            return Command::ListAsset(AssetListing::new(AssetId(assets), &name, 2).expect("it is short"));
        }
        let [base, quote] = [(); 2].map(|()| AssetId(random.random_range(0..assets)));
        Command::List(listing(&self.market, base, quote, random))
    }

    fn any_symbol(&self, random: &mut impl Rng) -> SymbolId {
        SymbolId(random.random_range(0..self.market.instruments.len() as u32))
    }

    /// One of the last orders.
    fn recent(&self, random: &mut impl Rng) -> Option<Submit> {
        let among = self.submits.len().min(pick(&[3, 10, 40], random));
        let back = random.random_range(1..=among.max(1));
        (among > 0).then(|| self.submits[self.submits.len() - back])
    }
}

impl Customers {
    fn draw_money(&self, market: &Market, asset: AssetId, random: &mut impl Rng) -> Amount {
        let most = self.largest_cost(market, asset) * self.funding_percent / 100;
        Amount(random.random_range(0..=most))
    }

    fn draw_price(&self, random: &mut impl Rng) -> Price {
        Price(self.price_lowest + random.random_range(0..self.prices))
    }

    fn draw_quantity(&self, random: &mut impl Rng) -> Quantity {
        Quantity(random.random_range(1..=self.quantity_largest))
    }
}

fn market(limit: Submit, random: &mut impl Rng) -> Submit {
    let time_in_force = pick(&[TimeInForce::Ioc, TimeInForce::Ioc, TimeInForce::Fok], random);
    Submit { kind: OrderKind::Market, time_in_force, expires: Timestamp(0), ..limit }
}

fn name(number: usize) -> ClientOrderId {
    ClientOrderId::new(&format!("o{number}")).expect("it is short and plain")
}
