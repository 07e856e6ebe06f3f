//! The language of the engine's cases; see [`crate::order_semantics`].

use crate::witness::{Tape, Witness};
use engine_core::executor::ReportSink;
use engine_core::executor::inline::Inline;
use engine_core::instrument::{AssetListing, InstrumentSpec, Listing, Market, Step};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::sync::Arc;

/// Plays a script on 1×1 and on 3×2 shards.
#[track_caller]
pub fn check(script: &str) {
    for (sequencers, matchers) in [(1, 1), (3, 2)] {
        Stage::new(sequencers, matchers).run(script);
    }
}

/// Whole numbers throughout: a tick, a lot and an atom are all 1.
pub fn market() -> Arc<Market> {
    let mut market = Market::default();
    for asset in ["COIN", "GOLD", "USD"] {
        market.add_asset(asset, 0).unwrap();
    }
    for (base, quote, min_notional) in [("COIN", "USD", "0"), ("GOLD", "USD", "10"), ("COIN", "GOLD", "0")] {
        let symbol = &format!("{base}-{quote}");
        let spec = InstrumentSpec { symbol, base, quote, tick: "1", lot: "1", min_notional };
        market.add_instrument(&spec).unwrap();
    }
    Arc::new(market)
}

struct Stage {
    market: Market,
    engine: Inline,
    witness: Witness,
    tape: Tape,
    /// Account *n* is called `names[n]`.
    names: Vec<String>,
    now: u64,
    requests: u32,
}

impl Stage {
    fn new(sequencers: usize, matchers: usize) -> Self {
        let market = market();
        let shape = Shape { sequencers, matchers, log_entries_max: 0 };
        Self {
            engine: pipeline::run_inline(pipeline::build(shape, &market)),
            witness: Witness::new(&market),
            tape: Tape::default(),
            names: Vec::new(),
            now: 0,
            requests: 0,
            market: Market::clone(&market),
        }
    }

    #[track_caller]
    fn run(&mut self, script: &str) {
        for (number, line) in script.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            let (command, expected) = line.split_once("=>").unwrap_or((line, ""));
            let expected: Vec<&str> = expected.split_whitespace().collect();
            let told = self.step(&command.split_whitespace().collect::<Vec<_>>());
            assert_eq!(told, expected.join(" "), "\n  in `{line}`\n");
            // A look costs a pass over all orders: a script of thousands of them gets fewer.
            if number < 1000 || number % 1000 == 0 {
                self.engine.at_rest().check();
            }
        }
        self.engine.at_rest().check();
        self.witness.agrees_with(self.engine.at_rest());
        self.tape.agrees_with(self.engine.at_rest());
    }

    fn step(&mut self, words: &[&str]) -> String {
        let command = match *words {
            ["wait", time] => {
                self.now = self.now.strict_add_signed(time.parse().expect("microseconds"));
                return String::new();
            }
            ["money", name] => return self.money(name),
            ["fees", "taken"] => return self.fees_taken(),
            ["book"] => return self.book(),
            ["sequence"] => return self.tape.sequence(SymbolId(0)).to_string(),
            ["fund", name, ref amounts @ ..] => {
                let account = self.account(name);
                let opened = self.apply(Command::Open { account, name: None });
                return without_done(opened + &self.deposit(account, amounts));
            }
            ["deposit", name, ref amounts @ ..] => {
                let account = self.account(name);
                return without_done(self.deposit(account, amounts));
            }
            ["tick"] => Command::Tick,
            ["fees", symbol, maker, taker] => self.fees(symbol, "0", maker, taker),
            ["fees", symbol, "tier", tier, maker, taker] => self.fees(symbol, tier, maker, taker),
            ["list", asset] => {
                let id = AssetId(self.market.assets.len() as u16);
                let listing = AssetListing::new(id, asset, 0).expect("a short name");
                let _ = self.market.list_asset(&listing);
                Command::ListAsset(listing)
            }
            ["list", base, quote, "band", band] => self.listing(base, quote, band),
            [state @ ("halt" | "cancel-only" | "auction" | "trade" | "delist"), ref rest @ ..] => {
                let symbol = rest.first().map_or(SymbolId(0), |symbol| self.symbol(symbol));
                let state = match state {
                    "halt" => SymbolState::Halted,
                    "cancel-only" => SymbolState::CancelOnly,
                    "auction" => SymbolState::Auction,
                    "trade" => SymbolState::Trading,
                    _ => SymbolState::Delisted,
                };
                Command::SetSymbol { symbol, state }
            }
            [name, ref of_account @ ..] => {
                let account = self.account(name);
                self.command_of(account, of_account)
            }
            [] => panic!("an empty command"),
        };
        self.apply(command)
    }

    fn command_of(&mut self, account: AccountId, words: &[&str]) -> Command {
        let order_id = |id: &str| ClientOrderId::new(id).expect("an order id");
        let amount = |text: &str| Amount(text.parse().expect("an amount"));
        match *words {
            ["suspend"] => Command::SetAccount { account, state: AccountState::Suspended, tier: 0 },
            ["tier", tier] => {
                let tier = tier.parse().expect("a tier");
                Command::SetAccount { account, state: AccountState::Active, tier }
            }
            ["withdraw", quantity, asset, "as", id] => {
                let (asset, amount) = (self.asset(asset), amount(quantity));
                Command::Withdraw { account, id: number(id), asset, amount }
            }
            ["paid", id] => Command::EndWithdrawal { account, id: number(id), paid: true },
            ["keeps", id] => Command::EndWithdrawal { account, id: number(id), paid: false },
            ["gives", to, quantity, asset, "as", id] => {
                let (to, asset, amount) = (self.account(to), self.asset(asset), amount(quantity));
                Command::Transfer { account, id: number(id), to, asset, amount }
            }
            ["timer", timeout] => Command::CancelAllAfter { account, timeout_us: number(timeout) },
            ["leaves"] => Command::CancelAll { account, symbol: None, group: None, by: Canceller::Exchange },
            ["guards", group, ref rest @ ..] => {
                let scope = if rest == ["all"] { GuardScope::Account } else { GuardScope::Group };
                let guard = Guard { group: number(group) as u32, scope, grace_us: 0 };
                Command::Guard { account, guard }
            }
            ["guard", group, how @ ("leaves" | "ends")] => {
                Command::EndGuard { account, group: number(group) as u32, cancels: how == "leaves" }
            }
            ["cancel", "all"] => {
                Command::CancelAll { account, symbol: None, group: None, by: Canceller::Owner }
            }
            ["cancel", "all", "on", symbol] => Command::CancelAll {
                account,
                symbol: Some(self.symbol(symbol)),
                group: None,
                by: Canceller::Owner,
            },
            ["cancel", "group", group] => Command::CancelAll {
                account,
                symbol: None,
                group: Some(number(group) as u32),
                by: Canceller::Owner,
            },
            ["cancel", id, ref rest @ ..] => {
                Command::Cancel { account, symbol: self.symbol_or_first(rest), order_id: order_id(id) }
            }
            ["amend", id, ref rest @ ..] => Command::Amend(Amend {
                account,
                symbol: self.symbol_or_first(rest),
                order_id: order_id(id),
                price: after(rest, "at").map(Price),
                quantity: after(rest, "to").map(Quantity),
            }),
            [side, id, quantity, "@", price, ref rest @ ..] => {
                let symbol = self.symbol_or_first(rest);
                let side = if side == "buy" { Side::Buy } else { Side::Sell };
                let (price, quantity) = (Price(number(price)), Quantity(number(quantity)));
                let plain = Submit::limit(account, symbol, order_id(id), side, price, quantity);
                Command::Submit(with_terms(plain, rest))
            }
            _ => panic!("cannot read {words:?}"),
        }
    }

    fn fees(&self, symbol: &str, tier: &str, maker: &str, taker: &str) -> Command {
        let rate = |text: &str| text.parse().expect("tenths of a basis point");
        let fees = Fees { maker: rate(maker), taker: rate(taker) };
        Command::SetFees { symbol: self.symbol(symbol), tier: tier.parse().expect("a tier"), fees }
    }

    fn listing(&mut self, base: &str, quote: &str, band: &str) -> Command {
        let one = Step { decimals: 0, size: 1 };
        let listing = Listing {
            id: SymbolId(self.market.instruments.len() as u32),
            base: self.asset(base),
            quote: self.asset(quote),
            tick: one,
            lot: one,
            min_notional: Amount(0),
            quantity_max: Quantity(1000),
            band: band.parse().expect("basis points"),
            fees: Default::default(),
        };
        let _ = self.market.list(&listing);
        Command::List(listing)
    }

    fn deposit(&mut self, account: AccountId, amounts: &[&str]) -> String {
        let mut told = Vec::new();
        for pair in amounts.chunks_exact(2) {
            let amount = Amount(pair[0].parse().expect("an amount"));
            told.push(self.apply(Command::Deposit { account, asset: self.asset(pair[1]), amount }));
        }
        told.join(" | ")
    }

    fn apply(&mut self, command: Command) -> String {
        self.requests += 1;
        let origin = asking(self.requests);
        let input = Input { origin, at: Timestamp(self.now), ticket: 0, command };
        self.witness.sees(&command);
        let mut reports = Vec::new();
        self.engine.apply(&input, &mut |report: &Report| reports.push(report.clone()), &mut self.tape);
        let mut told = Vec::new();
        for report in &reports {
            self.witness.report(report);
            if let Recipient::Asker(asker) = report.to {
                assert_eq!(asker, origin, "an answer finds its asker");
            }
            told.extend(tell(&self.names, report));
        }
        told.join(" | ")
    }

    fn money(&mut self, name: &str) -> String {
        let AccountId(account) = self.account(name);
        let shards = &self.engine.at_rest().sequencers;
        let machine = &shards[account as usize % shards.len()].machine;
        let balances = machine.balances(AccountId(account)).map(|Balance { asset, available, held }| {
            let asset = &self.market.assets[asset.0 as usize].name;
            let held = if held.0 == 0 { String::new() } else { format!(" held {held}") };
            format!("{asset} {available}{held}")
        });
        balances.collect::<Vec<_>>().join(", ")
    }

    fn fees_taken(&self) -> String {
        let money = self.engine.at_rest().money();
        let taken = money.iter().zip(&self.market.assets).filter(|(money, _)| money.fees != 0);
        taken.map(|(money, asset)| format!("{} {}", asset.name, money.fees)).collect::<Vec<_>>().join(", ")
    }

    /// The first symbol's levels, best first.
    fn book(&self) -> String {
        let book = self.engine.at_rest().matchers[0].machine.book(SymbolId(0));
        let side = |side| {
            let mut shown = Vec::new();
            engine_core::book::Book::levels(book, side, |price, total| {
                shown.push(format!("{total} @ {price}"));
                true
            });
            if shown.is_empty() { "-".into() } else { shown.join(", ") }
        };
        format!("{} / {}", side(Side::Buy), side(Side::Sell))
    }

    fn account(&mut self, name: &str) -> AccountId {
        let known = self.names.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        AccountId(at as u32)
    }

    fn symbol_or_first(&self, words: &[&str]) -> SymbolId {
        match words {
            [.., "on", symbol] => self.symbol(symbol),
            _ => SymbolId(0),
        }
    }

    fn symbol(&self, symbol: &str) -> SymbolId {
        self.market.instrument(symbol).map_or(SymbolId(99), |instrument| instrument.id)
    }

    fn asset(&self, name: &str) -> AssetId {
        self.market.asset(name).map_or(AssetId(99), |asset| asset.id)
    }
}

pub fn asking(request: u32) -> Origin {
    Origin { request, ..Origin::default() }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

/// The number behind a word.
fn after(words: &[&str], word: &str) -> Option<u64> {
    words.iter().position(|other| *other == word).map(|at| number(words[at + 1]))
}

/// What stands behind an order's price.
fn with_terms(plain: Submit, words: &[&str]) -> Submit {
    let has = |word| words.contains(&word);
    let is_market = has("market");
    let terms = if let Some(display) = after(words, "shows") {
        Terms::Iceberg { display: Quantity(display) }
    } else if let Some(quote) = after(words, "spend") {
        Terms::Budget { quote: Amount(quote as u128) }
    } else if let Some(trigger) = after(words, "oco") {
        let then = Price(after(words, "then").expect("a price"));
        let kind = if has("stopmarket") { OrderKind::Market } else { OrderKind::Limit };
        Terms::Oco { trigger: Price(trigger), then, kind }
    } else if let Some(distance) = after(words, "trail") {
        let trigger = Price(after(words, "stop").expect("a trigger"));
        Terms::TrailingStop { trigger, distance: Price(distance) }
    } else if let Some(trigger) = after(words, "stop") {
        Terms::Stop { trigger: Price(trigger) }
    } else {
        Terms::Plain
    };
    let time_in_force = match () {
        _ if has("fok") => TimeInForce::Fok,
        _ if has("ioc") || is_market => TimeInForce::Ioc,
        _ if has("post") => TimeInForce::PostOnly,
        _ => TimeInForce::Gtc,
    };
    let self_trade = match words.iter().position(|word| *word == "stp").map(|at| words[at + 1]) {
        None => SelfTrade::Allow,
        Some("newest") => SelfTrade::CancelNewest,
        Some("oldest") => SelfTrade::CancelOldest,
        Some("both") => SelfTrade::CancelBoth,
        Some("decrement") => SelfTrade::Decrement,
        Some(other) => panic!("no such prevention: {other}"),
    };
    Submit {
        kind: if is_market { OrderKind::Market } else { OrderKind::Limit },
        time_in_force,
        self_trade,
        terms,
        expires: Timestamp(after(words, "until").unwrap_or(0)),
        group: after(words, "group").unwrap_or(0) as u32,
        ..plain
    }
}

fn without_done(told: String) -> String {
    told.split(" | ").flat_map(|told| told.split("done")).filter(|told| !told.is_empty()).collect()
}

/// A report as the scripts write it; balances and the news that repeats an ack are left to the witness.
pub fn tell(names: &[String], report: &Report) -> Option<String> {
    let text = match &report.body {
        ReportBody::Done => return Some("done".into()),
        ReportBody::Refused { reason } => return Some(format!("refused {reason:?}")),
        ReportBody::OrderAck { order_id, exchange_order_id, duplicate, .. } => {
            let again = if *duplicate { " again" } else { "" };
            format!("ack {} #{exchange_order_id}{again}", order_id.as_str())
        }
        ReportBody::OrderReject { order_id, reason } => format!("reject {} {reason:?}", order_id.as_str()),
        ReportBody::CancelAck { order_id, .. } => format!("cancel ack {}", order_id.as_str()),
        ReportBody::CancelReject { order_id, reason } => {
            format!("cancel reject {} {reason:?}", order_id.as_str())
        }
        ReportBody::CancelAllAck { count, .. } => format!("cancelling {count}"),
        ReportBody::AmendAck { order_id, left, .. } => format!("amend ack {} {left}", order_id.as_str()),
        ReportBody::AmendReject { order_id, reason } => {
            format!("amend reject {} {reason:?}", order_id.as_str())
        }
        ReportBody::TimerAck { until: Some(until) } => format!("timer until {until}"),
        ReportBody::TimerAck { until: None } => "timer off".into(),
        ReportBody::Execution(execution) => tell_execution(execution)?,
        ReportBody::Balance(_) => return None,
        ReportBody::Account(_) => unreachable!("nobody looked"),
    };
    Some(format!("{} {text}", names[report.account.0 as usize]))
}

fn tell_execution(execution: &Execution) -> Option<String> {
    let Execution { kind, order, .. } = execution;
    let (id, left) = (order.order_id.as_str(), order.quantity.0 - order.traded.0);
    Some(match kind {
        ExecutionKind::New | ExecutionKind::Replaced => return None,
        ExecutionKind::Triggered => format!("triggered {id}"),
        ExecutionKind::Trade { trade, price, quantity, liquidity, fee } => {
            let liquidity = format!("{liquidity:?}").to_lowercase();
            let fee = if *fee == 0 { String::new() } else { format!(" fee {fee}") };
            format!("trade {id} {quantity} @ {price} t{trade} {liquidity}{fee}")
        }
        ExecutionKind::Decremented { quantity } => format!("decremented {id} {quantity}"),
        ExecutionKind::Closed(reason) => {
            let what = match reason {
                CloseReason::Cancelled => "cancelled",
                CloseReason::Expired => "expired",
                CloseReason::TimedOut => "timed out",
                CloseReason::SelfTrade => "prevented",
                CloseReason::PriceBand => "outside the band",
                CloseReason::Delisted => "delisted",
            };
            format!("{what} {id} {left}")
        }
    })
}
