//! An exchange that runs for months must not grow, and must not stop now and then to ask for memory.
//!
//! So this binary counts what it allocates. It has an allocator of its own, which is why it is one of its own. The
//! counters belong to the thread: the tests beside this one do not disturb it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use engine_core::book::{Book, Fast, Fill, NewOrder, Sink};
use engine_core::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn busy_book_allocates_nothing_once_warm() {
    let mut market = Market::new(10_000, 500, Display::Mixed);
    market.be_as_large_as_it_gets();
    let before = allocations();
    market.run(2_000_000);
    assert_eq!(allocations() - before, 0, "allocations in two million commands");
    market.book.check_invariants();
}

#[test]
fn auction_allocates_nothing_once_warm() {
    let mut market = Market::new(10_000, 500, Display::Mixed);
    market.be_as_large_as_it_gets();
    let before = allocations();
    for _ in 0..200 {
        market.auction(1_000);
    }
    assert_eq!(allocations() - before, 0, "allocations in two hundred auctions");
    market.book.check_invariants();
}

#[test]
fn book_made_for_its_size_never_allocates() {
    let mut market = Market::new(10_000, 500, Display::Whole);
    market.book = Fast::with_capacity(10_000, 500);
    let before = allocations();
    market.run(200_000);
    assert_eq!(allocations() - before, 0, "allocations in the first commands");
}

#[test]
fn long_life_does_not_cost_memory() {
    let bytes = |commands| {
        let before = bytes_held();
        let mut market = Market::new(1_000, 100, Display::Mixed);
        market.be_as_large_as_it_gets();
        market.run(commands);
        bytes_held() - before
    };
    assert_eq!(bytes(3_000_000), bytes(100_000), "bytes held after thirty times as many commands");
}

#[test]
fn resting_order_costs_at_most_200_bytes() {
    // Just past the sizes at which vectors grow the waste is largest, so look at all sizes, and at all shapes.
    // What an iceberg hides is in a record of 24 bytes more, and half as much again waits for use.
    let shapes = [(1_000, 10, 200.0), (u64::MAX / 2, 10, 200.0), (1_000, 1, 236.0), (u64::MAX / 2, 1, 236.0)];
    for (prices, display, bytes_max) in shapes {
        let before = bytes_held();
        let mut book = Fast::default();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut worst = 0.0f64;
        for key in 0..300_000 {
            let price = random.random_range(1..=prices);
            let order = NewOrder { display: Quantity(display), ..order(key, Side::Buy, price, 10) };
            book.submit(order, &mut Ignore).expect("a limit order is accepted");
            if key > 1_000 {
                worst = worst.max((bytes_held() - before) as f64 / book.len() as f64);
            }
        }
        println!("{} levels, showing {display} of 10: at most {worst:.0} bytes per order", levels(&book));
        assert!(worst <= bytes_max, "{worst} bytes per order with {} levels", levels(&book));
    }
}

/// A book around which at most `live` orders rest, on at most `levels` prices a side.
struct Market {
    book: Fast,
    random: ChaCha8Rng,
    live: u64,
    levels: u64,
    display: Display,
    key_next: u64,
}

enum Display {
    /// All orders show themselves whole.
    Whole,
    /// Half of the orders are icebergs.
    Mixed,
}

impl Market {
    fn new(live: u64, levels: u64, display: Display) -> Market {
        let random = ChaCha8Rng::seed_from_u64(1);
        Market { book: Fast::default(), random, live, levels, display, key_next: 0 }
    }

    /// All orders rest at once and hide something, and both sides hold all prices, as they may in an auction.
    fn be_as_large_as_it_gets(&mut self) {
        for key in 0..self.live {
            let side = if key % 2 == 0 { Side::Buy } else { Side::Sell };
            let order = NewOrder { display: Quantity(1), ..order(key, side, 1 + key / 2 % self.levels, 2) };
            self.book.rest(order, &mut Ignore);
        }
        for key in 0..self.live {
            self.book.cancel(OrderKey(key), &mut Ignore).expect("it rests");
        }
        self.key_next = self.live;
    }

    /// Keys are never used again. Each command first cancels the order placed `live` orders ago, if it still rests.
    fn run(&mut self, commands: u64) {
        for _ in 0..commands {
            let order = self.next();
            self.book.submit(order, &mut Ignore).expect("a limit order is accepted");
        }
    }

    /// Some orders gather, some of them become smaller, and then they trade.
    fn auction(&mut self, commands: u64) {
        for _ in 0..commands {
            let order = self.next();
            self.book.rest(order, &mut Ignore);
            let other = OrderKey(self.random.random_range(self.key_next - self.live..self.key_next));
            if let Some(left) = self.book.remaining(other) {
                self.book.reduce(other, Quantity(left.0.div_ceil(2)), &mut Ignore);
            }
        }
        let (price, _) = self.book.auction(Some(Price(self.levels / 2))).expect("the book is crossed");
        self.book.uncross(price, &mut Ignore);
    }

    fn next(&mut self) -> NewOrder {
        let key = self.key_next;
        self.key_next += 1;
        self.book.cancel(OrderKey(key.wrapping_sub(self.live)), &mut Ignore);
        let side = if self.random.random_bool(0.5) { Side::Buy } else { Side::Sell };
        let price = self.random.random_range(1..=self.levels);
        let quantity = self.random.random_range(1..=20);
        let order = order(key, side, price, quantity);
        match self.display {
            Display::Mixed if self.random.random_bool(0.5) => NewOrder { display: Quantity(3), ..order },
            _ => order,
        }
    }
}

fn order(key: u64, side: Side, price: u64, quantity: u64) -> NewOrder {
    NewOrder::new(OrderKey(key), AccountId(1), side, Price(price), Quantity(quantity), TimeInForce::Gtc)
}

fn levels(book: &Fast) -> usize {
    let mut levels = 0;
    book.levels(Side::Buy, |_, _| {
        levels += 1;
        true
    });
    levels
}

struct Ignore;

impl Sink for Ignore {
    fn fill(&mut self, _: Fill) {}
    fn level(&mut self, _: Side, _: Price, _: Quantity) {}
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES_HELD: Cell<i64> = const { Cell::new(0) };
}

fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn bytes_held() -> i64 {
    BYTES_HELD.get()
}

// SAFETY: every call is handed to the system's allocator as it came; the counters are plain cells without
// destructor, so touching them neither allocates nor fails while a thread ends.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES_HELD.set(BYTES_HELD.get() + layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES_HELD.set(BYTES_HELD.get() - layout.size() as i64);
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
