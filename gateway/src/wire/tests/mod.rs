//! What the wire promises.
//!
//! [`messages`] and [`requests`] compare with the protocol page, [`refusals`] lists what is refused and how,
//! [`numbers`] is the exactness of decimals, and [`seeds`] runs the fuzzer's promise on its seeds and on random
//! bytes.

mod messages;
mod numbers;
mod refusals;
mod requests;
mod seeds;

#[path = "../../../fuzz/promises/request.rs"]
mod promises;

use super::NumberFormat;
use super::encode::SymbolFormat;
use super::request::{Buffers, Request, RequestError, decode};
use crate::wire;

/// Prices to the cent, quantities to 10^-8, values to 10^-6.
const BTC_USDT: SymbolFormat<'static> = SymbolFormat {
    symbol: "BTC-USDT",
    price: NumberFormat::new(2, 1),
    quantity: NumberFormat::new(8, 1),
    quote_decimals: 6,
};

/// Decodes, and hands what came out to `check`: both borrow the text.
fn decoded<T>(text: &str, check: impl FnOnce(Result<Request<'_>, Box<RequestError<'_>>>) -> T) -> T {
    check(decode(&mut text.as_bytes().to_vec(), &mut Buffers::default()))
}
