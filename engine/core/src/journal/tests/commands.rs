//! Commands of every kind, drawn from a seed.

use crate::instrument::{AssetListing, Listing, Step};
use crate::log::Entry;
use crate::message::*;
use crate::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Kinds of commands.
pub const KINDS: u32 = 19;

/// Kinds of terms.
pub const TERMS: u32 = 6;

/// An input of that kind, drawn from a seed. Numbers of every size come, not only those that make sense.
pub fn input(kind: u32, seed: u64) -> Input {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
    let origin =
        Origin { port: draw.number() as u16, session: draw.number() as u32, request: draw.number() as u32 };
    let (at, ticket) = (Timestamp(draw.number()), draw.number());
    Input { origin, at, ticket, command: draw.command(kind) }
}

/// A log entry: mostly inputs, some merged messages.
pub fn entry(random: &mut ChaCha8Rng) -> Entry<Input> {
    if random.random_bool(0.3) {
        return Entry::Received { from: random.random_range(0..3), count: random.random_range(1..300) };
    }
    Entry::Input(input(random.random_range(0..KINDS), random.random()))
}

/// An order with all that it can have, and every number as large as it can be.
pub fn longest() -> Input {
    let most = Price(u64::MAX);
    let submit = Submit {
        kind: OrderKind::Market,
        time_in_force: TimeInForce::PostOnly,
        self_trade: SelfTrade::Decrement,
        terms: Terms::Oco { trigger: most, then: most, kind: OrderKind::Market },
        expires: Timestamp(u64::MAX),
        group: u32::MAX,
        ..Submit::limit(
            AccountId(u32::MAX),
            SymbolId(u32::MAX),
            ClientOrderId::new(&"a".repeat(ClientOrderId::LENGTH_MAX)).unwrap(),
            Side::Sell,
            most,
            Quantity(u64::MAX),
        )
    };
    let origin = Origin { port: u16::MAX, session: u32::MAX, request: u32::MAX };
    Input { origin, at: Timestamp(u64::MAX), ticket: u64::MAX, command: Command::Submit(submit) }
}

struct Draw(ChaCha8Rng);

impl Draw {
    /// Of any length.
    fn number(&mut self) -> u64 {
        let bits = self.0.random_range(0..=64u32);
        self.0.random::<u64>().checked_shr(64 - bits).unwrap_or(0)
    }

    fn amount(&mut self) -> Amount {
        Amount(u128::from(self.number()) << 64 | u128::from(self.number()))
    }

    fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.0.random_range(0..these.len())]
    }

    fn account(&mut self) -> AccountId {
        AccountId(self.number() as u32)
    }

    fn symbol(&mut self) -> SymbolId {
        SymbolId(self.number() as u32)
    }

    fn asset(&mut self) -> AssetId {
        AssetId(self.number() as u16)
    }

    fn order_id(&mut self) -> ClientOrderId {
        let length = self.0.random_range(1..=ClientOrderId::LENGTH_MAX);
        let text: String = (0..length).map(|_| self.one_of(&['a', 'Z', '0', '.', '_', ':', '-'])).collect();
        ClientOrderId::new(&text).unwrap()
    }

    fn terms(&mut self, kind: u32) -> Terms {
        let (trigger, distance) = (Price(self.number()), Price(self.number()));
        match kind {
            0 => Terms::Plain,
            1 => Terms::Iceberg { display: Quantity(self.number()) },
            2 => Terms::Budget { quote: self.amount() },
            3 => Terms::Stop { trigger },
            4 => Terms::TrailingStop { trigger, distance },
            TERMS.. => unreachable!(),
            _ => Terms::Oco {
                trigger,
                then: distance,
                kind: self.one_of(&[OrderKind::Limit, OrderKind::Market]),
            },
        }
    }

    fn submit(&mut self) -> Submit {
        let kind = self.0.random_range(0..TERMS);
        Submit {
            account: self.account(),
            symbol: self.symbol(),
            order_id: self.order_id(),
            side: self.one_of(&[Side::Buy, Side::Sell]),
            kind: self.one_of(&[OrderKind::Limit, OrderKind::Market]),
            time_in_force: self.one_of(&[
                TimeInForce::Gtc,
                TimeInForce::Ioc,
                TimeInForce::Fok,
                TimeInForce::PostOnly,
            ]),
            self_trade: self.one_of(&[
                SelfTrade::Allow,
                SelfTrade::CancelNewest,
                SelfTrade::CancelOldest,
                SelfTrade::CancelBoth,
                SelfTrade::Decrement,
            ]),
            price: Price(self.number()),
            quantity: Quantity(self.number()),
            terms: self.terms(kind),
            expires: Timestamp(self.number()),
            group: self.number() as u32,
        }
    }

    fn fees(&mut self) -> Fees {
        Fees { maker: self.number() as i16, taker: self.number() as i16 }
    }

    fn step(&mut self) -> Step {
        Step { decimals: self.number() as u8, size: self.number() }
    }

    fn listing(&mut self) -> Listing {
        Listing {
            id: self.symbol(),
            base: self.asset(),
            quote: self.asset(),
            tick: self.step(),
            lot: self.step(),
            min_notional: self.amount(),
            quantity_max: Quantity(self.number()),
            band: self.number() as u16,
            fees: std::array::from_fn(|_| self.fees()),
        }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.random::<bool>().then(|| make(self))
    }

    fn command(&mut self, kind: u32) -> Command {
        let (account, asset, amount, id) = (self.account(), self.asset(), self.amount(), self.number());
        match kind {
            0 => Command::Open { account, name: self.maybe(Self::order_id) },
            1 => Command::Deposit { account, asset, amount },
            2 => Command::Withdraw { account, id, asset, amount },
            3 => Command::EndWithdrawal { account, id, paid: self.0.random() },
            4 => Command::Transfer { account, id, to: self.account(), asset, amount },
            5 => Command::Submit(self.submit()),
            6 => Command::Cancel { account, symbol: self.symbol(), order_id: self.order_id() },
            7 => Command::CancelAll {
                account,
                symbol: self.maybe(Self::symbol),
                group: self.maybe(|draw| draw.number() as u32),
                by: self.one_of(&[Canceller::Owner, Canceller::Exchange]),
            },
            8 => Command::Amend(Amend {
                account,
                symbol: self.symbol(),
                order_id: self.order_id(),
                price: self.maybe(|draw| Price(draw.number())),
                quantity: self.maybe(|draw| Quantity(draw.number())),
            }),
            9 => Command::CancelAllAfter { account, timeout_us: id },
            10 => Command::TimeOut { account },
            11 => Command::SetAccount {
                account,
                state: self.one_of(&[AccountState::Active, AccountState::Suspended]),
                tier: id as u8,
            },
            12 => Command::SetSymbol {
                symbol: self.symbol(),
                state: self.one_of(&[
                    SymbolState::Trading,
                    SymbolState::CancelOnly,
                    SymbolState::Halted,
                    SymbolState::Auction,
                    SymbolState::Delisted,
                ]),
            },
            13 => Command::Tick,
            14 => {
                let name = self.one_of(&["B", "USDT", "ABCDEFGHIJKL", ""]);
                Command::ListAsset(AssetListing::new(asset, name, id as u8).unwrap())
            }
            15 => Command::List(self.listing()),
            16 => Command::SetFees { symbol: self.symbol(), tier: id as u8, fees: self.fees() },
            17 => Command::Guard {
                account,
                guard: Guard {
                    group: self.number() as u32,
                    scope: self.one_of(&[GuardScope::Group, GuardScope::Account]),
                    grace_us: id,
                },
            },
            KINDS.. => unreachable!(),
            _ => Command::EndGuard { account, group: self.number() as u32, cancels: self.0.random() },
        }
    }
}

/// A new kind of command or of terms does not compile here until it is drawn above, too.
pub fn kind_of(command: &Command) -> u32 {
    match command {
        Command::Open { .. } => 0,
        Command::Deposit { .. } => 1,
        Command::Withdraw { .. } => 2,
        Command::EndWithdrawal { .. } => 3,
        Command::Transfer { .. } => 4,
        Command::Submit(submit) => match submit.terms {
            Terms::Plain | Terms::Iceberg { .. } | Terms::Budget { .. } => 5,
            Terms::Stop { .. } | Terms::TrailingStop { .. } | Terms::Oco { .. } => 5,
        },
        Command::Cancel { .. } => 6,
        Command::CancelAll { .. } => 7,
        Command::Amend(_) => 8,
        Command::CancelAllAfter { .. } => 9,
        Command::TimeOut { .. } => 10,
        Command::SetAccount { .. } => 11,
        Command::SetSymbol { .. } => 12,
        Command::Tick => 13,
        Command::ListAsset(_) => 14,
        Command::List(_) => 15,
        Command::SetFees { .. } => 16,
        Command::Guard { .. } => 17,
        Command::EndGuard { .. } => 18,
    }
}
