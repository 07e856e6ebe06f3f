//! Where the stream of commands is applied: what is traded, and the accounts with their money.

use crate::mix::{Mix, OPENING_EACH, draw, numbered};
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::message::{Command, Input};
use engine_core::units::{AccountId, Amount, AssetId};
use std::sync::Arc;

/// The assets of every account.
const ASSETS: [(&str, u8); 3] = [("BTC", 8), ("ETH", 8), ("USDT", 6)];
const _: () = assert!(OPENING_EACH as usize == 1 + ASSETS.len());

/// What is traded.
pub fn market() -> Arc<Market> {
    let mut market = Market::default();
    for (asset, decimals) in ASSETS {
        market.add_asset(asset, decimals).expect("a fresh asset");
    }
    for base in ["BTC", "ETH"] {
        let symbol = &format!("{base}-USDT");
        let spec =
            InstrumentSpec { symbol, base, quote: "USDT", tick: "0.01", lot: "0.0001", min_notional: "1" };
        market.add_instrument(&spec).expect("a fresh symbol");
    }
    Arc::new(market)
}

/// What is applied.
pub struct Stream {
    /// Opens and funds the accounts.
    pub opening: Vec<Input>,
    pub timed: Vec<Input>,
}

/// The commands, and what makes the accounts ready for them.
pub fn stream(mix: Mix) -> Stream {
    Stream { opening: opening(mix.accounts), timed: draw(mix) }
}

/// Numbered before the stream.
fn opening(accounts: u32) -> Vec<Input> {
    let of_account = |account| {
        // Plenty, so that nothing depends on which settlement a sequencer saw first.
        let deposit = move |asset| Command::Deposit { account, asset, amount: Amount(10u128.pow(30)) };
        [Command::Open { account, name: None }]
            .into_iter()
            .chain((0..ASSETS.len() as u16).map(AssetId).map(deposit))
    };
    let commands = (0..accounts).map(AccountId).flat_map(of_account);
    (1..).zip(commands).map(|(number, command)| numbered(number, command)).collect()
}
