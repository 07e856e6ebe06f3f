//! What customers ask for. A new command of the engine is a line in [`TABLE`] and an arm in [`Script::command`].

use super::plan::{Customers, Plan, pick};
use engine_core::instrument::Market;
use engine_core::limits::ORDER_ID_WINDOW_US;
use engine_core::message::*;
use engine_core::units::*;
use rand::{Rng, RngExt};
use std::sync::Arc;

/// A kind of command.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Deposit,
    Limit,
    Market,
    /// An order that breaks one rule of its instrument or names nobody.
    Odd,
    /// An earlier order again, the same or with another body.
    Repeat,
    /// Cancels one of the customer's last orders, live or not.
    Cancel,
    /// Cancels what may never have been.
    CancelAny,
    CancelAll,
    OpenAgain,
}

/// How often each kind comes compared with the others: a seed takes one of the choices. A choice of 0 leaves the
/// kind out, which makes room for rarer meetings of the rest.
const TABLE: [(Kind, [u32; 3]); 9] = [
    (Kind::Deposit, [0, 2, 10]),
    (Kind::Limit, [40, 60, 100]),
    (Kind::Market, [0, 5, 30]),
    (Kind::Odd, [0, 1, 5]),
    (Kind::Repeat, [0, 2, 15]),
    (Kind::Cancel, [0, 15, 80]),
    (Kind::CancelAny, [0, 2, 5]),
    (Kind::CancelAll, [0, 1, 8]),
    (Kind::OpenAgain, [0, 0, 1]),
];

/// How the limit orders of a seed are split by time in force.
const TIMES_IN_FORCE: [&[TimeInForce]; 4] = [
    &[TimeInForce::Gtc],
    &[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::PostOnly],
    &[TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly],
    &[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Fok],
];

/// The weights of a seed.
pub struct Mix {
    weights: [u32; TABLE.len()],
    times_in_force: &'static [TimeInForce],
    /// One in so many commands comes a day later; 0 for none.
    days_pass: u32,
}

impl Mix {
    pub fn draw(random: &mut impl Rng) -> Mix {
        Mix {
            weights: TABLE.map(|(_, choices)| pick(&choices, random)),
            times_in_force: pick(&TIMES_IN_FORCE, random),
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
    market: Arc<Market>,
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
            opening.push(Command::Open { account });
            for asset in &plan.market.assets {
                let amount = plan.customers.draw_money(&plan.market, asset.id, random);
                opening.push(Command::Deposit { account, asset: asset.id, amount });
            }
        }
        opening.reverse(); // taken from the end
        Script {
            market: plan.market.clone(),
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

    /// The next input. Its request is its place, from 0.
    pub fn next(&mut self, plan: &Plan, random: &mut impl Rng) -> Input {
        let command = match self.opening.pop() {
            Some(command) => command,
            None => {
                self.commands_left -= 1;
                self.command(plan.mix.kind(random), plan, random)
            }
        };
        if let Command::Submit(submit) = command {
            self.submits.push(submit);
        }
        self.input(command, &plan.mix, random)
    }

    /// Takes every order out, once the script is over.
    pub fn clear(&mut self, account: AccountId, plan: &Plan, random: &mut impl Rng) -> Input {
        self.input(Command::CancelAll { account, symbol: None }, &plan.mix, random)
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
        match kind {
            Kind::Deposit => {
                let asset = AssetId(random.random_range(0..=self.market.assets.len() as u16)); // one is unknown
                let amount = customers.draw_money(&self.market, asset, random);
                Command::Deposit { account, asset, amount }
            }
            Kind::Limit => Command::Submit(self.limit(account, plan, random)),
            Kind::Market => Command::Submit(Submit {
                kind: OrderKind::Market,
                time_in_force: pick(&[TimeInForce::Ioc, TimeInForce::Ioc, TimeInForce::Fok], random),
                ..self.limit(account, plan, random)
            }),
            Kind::Odd => Command::Submit(self.odd(self.limit(account, plan, random), random)),
            Kind::Repeat => match self.recent(random) {
                Some(submit) => Command::Submit(Submit {
                    quantity: Quantity(submit.quantity.0 ^ pick(&[0, 0, 1], random)),
                    ..submit
                }),
                None => Command::Open { account },
            },
            Kind::Cancel => match self.recent(random) {
                Some(Submit { account, symbol, order_id, .. }) => {
                    Command::Cancel { account, symbol, order_id }
                }
                None => Command::Open { account },
            },
            Kind::CancelAny => {
                let order_id = id(random.random_range(0..=self.submits.len()));
                Command::Cancel { account, symbol: self.any_symbol(random), order_id }
            }
            Kind::CancelAll => {
                let symbol = random.random_bool(0.5).then(|| self.any_symbol(random));
                Command::CancelAll { account, symbol }
            }
            Kind::OpenAgain => Command::Open { account },
        }
    }

    fn limit(&self, account: AccountId, plan: &Plan, random: &mut impl Rng) -> Submit {
        let Customers { price_lowest, prices, quantity_largest, .. } = plan.customers;
        Submit {
            account,
            symbol: self.any_symbol(random),
            order_id: id(self.submits.len()),
            side: pick(&[Side::Buy, Side::Sell], random),
            kind: OrderKind::Limit,
            price: Price(price_lowest + random.random_range(0..prices)),
            quantity: Quantity(random.random_range(1..=quantity_largest)),
            time_in_force: pick(plan.mix.times_in_force, random),
        }
    }

    fn odd(&self, submit: Submit, random: &mut impl Rng) -> Submit {
        let instrument = &self.market.instruments[submit.symbol.0 as usize];
        let symbols = self.market.instruments.len() as u32;
        match random.random_range(0..6) {
            0 => Submit { symbol: SymbolId(symbols), ..submit },
            1 => Submit { account: AccountId(submit.account.0 + 1000), ..submit },
            2 => Submit { price: Price(0), ..submit },
            3 => Submit { price: Price(instrument.price_max.0 + 1), ..submit },
            4 => Submit { quantity: Quantity(0), ..submit },
            _ => Submit { quantity: Quantity(instrument.quantity_max.0 + 1), ..submit },
        }
    }

    fn any_symbol(&self, random: &mut impl Rng) -> SymbolId {
        SymbolId(random.random_range(0..self.market.instruments.len() as u32))
    }

    /// One of the last orders.
    fn recent(&self, random: &mut impl Rng) -> Option<Submit> {
        let among = self.submits.len().min(40);
        let back = random.random_range(1..=among.max(1));
        (among > 0).then(|| self.submits[self.submits.len() - back])
    }
}

impl Customers {
    fn draw_money(&self, market: &Market, asset: AssetId, random: &mut impl Rng) -> Amount {
        let most = self.largest_cost(market, asset) * self.funding_percent / 100;
        Amount(random.random_range(0..=most))
    }
}

fn id(number: usize) -> ClientOrderId {
    ClientOrderId::new(&format!("o{number}")).expect("it is short and plain")
}
