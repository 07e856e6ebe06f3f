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
    let mut market = Market::new(10_000, 500);
    market.be_as_large_as_it_gets();
    let before = allocations();
    market.run(2_000_000);
    assert_eq!(allocations() - before, 0, "allocations in two million commands");
    market.book.check_invariants();
}

#[test]
fn book_made_for_its_size_never_allocates() {
    let mut market = Market::new(10_000, 500);
    market.book = Fast::with_capacity(10_000, 500);
    let before = allocations();
    market.run(200_000);
    assert_eq!(allocations() - before, 0, "allocations in the first commands");
}

#[test]
fn long_life_does_not_cost_memory() {
    let bytes = |commands| {
        let before = bytes_held();
        let mut market = Market::new(1_000, 100);
        market.be_as_large_as_it_gets();
        market.run(commands);
        bytes_held() - before
    };
    assert_eq!(bytes(3_000_000), bytes(100_000), "bytes held after thirty times as many commands");
}

#[test]
fn resting_order_costs_at_most_200_bytes() {
    // Just past the sizes at which vectors grow the waste is largest, so look at all sizes, and at both shapes.
    for prices in [1_000, u64::MAX / 2] {
        let before = bytes_held();
        let mut book = Fast::default();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut worst = 0.0f64;
        for key in 0..300_000 {
            let price = random.random_range(1..=prices);
            book.submit(order(key, Side::Buy, price, 10), &mut Ignore).expect("a limit order is accepted");
            if key > 1_000 {
                worst = worst.max((bytes_held() - before) as f64 / book.len() as f64);
            }
        }
        println!("{} levels: at most {worst:.0} bytes per order", levels(&book));
        assert!(worst <= 200.0, "{worst} bytes per order with {} levels", levels(&book));
    }
}

/// A book around which at most `live` orders rest, on at most `levels` prices a side.
struct Market {
    book: Fast,
    random: ChaCha8Rng,
    live: u64,
    levels: u64,
    key_next: u64,
}

impl Market {
    fn new(live: u64, levels: u64) -> Market {
        Market { book: Fast::default(), random: ChaCha8Rng::seed_from_u64(1), live, levels, key_next: 0 }
    }

    /// One side after the other holds all orders, on all prices.
    fn be_as_large_as_it_gets(&mut self) {
        for side in [Side::Buy, Side::Sell] {
            for key in 0..self.live {
                let order = order(key, side, 1 + key % self.levels, 1);
                self.book.submit(order, &mut Ignore).expect("a limit order is accepted");
            }
            for key in 0..self.live {
                self.book.cancel(OrderKey(key), &mut Ignore).expect("it rests");
            }
        }
        self.key_next = self.live;
    }

    /// Keys are never used again. Each command first cancels the order placed `live` orders ago, if it still rests.
    fn run(&mut self, commands: u64) {
        for _ in 0..commands {
            let key = self.key_next;
            self.key_next += 1;
            self.book.cancel(OrderKey(key.wrapping_sub(self.live)), &mut Ignore);
            let side = if self.random.random_bool(0.5) { Side::Buy } else { Side::Sell };
            let price = self.random.random_range(1..=self.levels);
            let quantity = self.random.random_range(1..=20);
            self.book
                .submit(order(key, side, price, quantity), &mut Ignore)
                .expect("a limit order is accepted");
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
