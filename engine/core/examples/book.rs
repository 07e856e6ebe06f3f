//! The book alone, inside your own program: `cargo run --example book`.

use engine_core::book::{Book, Fast, Fill, NewOrder, Sink};
use engine_core::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

/// Hears of everything that happens, while it happens.
struct Printer;

impl Sink for Printer {
    fn fill(&mut self, fill: Fill) {
        println!("  {} lots trade at {} with order {}", fill.quantity, fill.price, fill.maker);
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        println!("  {side:?} level {price} now has {total} lots");
    }
}

fn main() {
    let mut book = Fast::default();
    for (key, side, price, quantity) in
        [(1, Side::Sell, 102, 5), (2, Side::Sell, 101, 5), (3, Side::Buy, 99, 5), (4, Side::Buy, 102, 8)]
    {
        println!("order {key}: {side:?} {quantity} @ {price}");
        let order = NewOrder::new(
            OrderKey(key),
            AccountId(7),
            side,
            Price(price),
            Quantity(quantity),
            TimeInForce::Gtc,
        );
        println!("  {:?}", book.submit(order, &mut Printer));
    }
    println!("cancel 3: {:?}", book.cancel(OrderKey(3), &mut Printer));
    println!("best: {:?} / {:?}", book.best(Side::Buy), book.best(Side::Sell));
}
