//! What an exchange with a million accounts and a million resting orders needs: counted by the allocator, so it is the
//! same on every machine.

use engine_core::executor::inline::Inline;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MILLION: u32 = 1_000_000;
const GIB: usize = 1 << 30;

#[test]
fn a_million_accounts_with_an_order_each_fit_a_gigabyte() {
    let market = market();
    let before = held();
    let shape = Shape { sequencers: 2, matchers: 2, log_entries_max: 0 };
    let mut engine = pipeline::run_inline(pipeline::build(shape, &market));
    for account in (0..MILLION).map(AccountId) {
        apply(&mut engine, Command::Open { account, name: None });
        for asset in [0, 1] {
            apply(
                &mut engine,
                Command::Deposit { account, asset: AssetId(asset), amount: Amount(10u128.pow(24)) },
            );
        }
    }
    let with_accounts = held() - before;
    for number in 0..MILLION {
        apply(&mut engine, Command::Submit(order(number)));
    }
    let with_orders = held() - before;
    let (per_account, per_order) = (
        with_accounts as f64 / f64::from(MILLION),
        (with_orders - with_accounts) as f64 / f64::from(MILLION),
    );
    println!(
        "{per_account:.1} bytes for each account, {per_order:.1} for each resting order, {with_orders} in all"
    );
    let resting: usize = engine.at_rest().matchers.iter().map(|shard| resting(&shard.machine)).sum();
    assert_eq!(resting, MILLION as usize, "all of them rest");
    assert!(with_orders < GIB);
    assert!(per_order <= 200.0);
}

fn resting(matcher: &engine_core::matcher::Matcher) -> usize {
    use engine_core::book::Book;
    matcher.counters().map(|(symbol, _)| matcher.book(symbol).len()).sum()
}

fn apply(engine: &mut Inline, command: Command) {
    let input = Input { origin: Origin::default(), at: Timestamp(1), ticket: 0, command };
    engine.apply(&input, &mut |_: &Report| {}, &mut ());
}

/// A thousand prices a side; ids as long as a UUID.
fn order(number: u32) -> Submit {
    let side = if number.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let away = 1 + u64::from(number / 2 % 1000);
    let price = if side == Side::Buy { 3_000_000 - away } else { 3_000_000 + away };
    let id = format!("{number:08x}-0000-4000-8000-000000000000");
    let id = ClientOrderId::new(&id).expect("a legal id");
    Submit::limit(AccountId(number), SymbolId(0), id, side, Price(price), Quantity(5))
}

fn market() -> Arc<Market> {
    let mut market = Market::default();
    market.add_asset("BTC", 8).unwrap();
    market.add_asset("USDT", 6).unwrap();
    let spec = InstrumentSpec {
        symbol: "BTC-USDT",
        base: "BTC",
        quote: "USDT",
        tick: "0.01",
        lot: "0.0001",
        min_notional: "0",
    };
    market.add_instrument(&spec).unwrap();
    Arc::new(market)
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size, Ordering::Relaxed);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
