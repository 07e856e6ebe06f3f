//! Money for the accounts of a replay. Recordings do not say who had how much, so everyone has plenty: what the
//! sequencers accept then does not depend on which settlement they saw first, and every shape has one result.

use engine_core::instrument::Market;
use engine_core::message::{Command, Input, Origin};
use engine_core::units::{AccountId, Amount, Timestamp};

/// So many units of an asset for every account.
pub struct Fund {
    asset: &'static str,
    units: u128,
}

impl Fund {
    pub fn new(asset: &'static str, units: u128) -> Self {
        Self { asset, units }
    }
}

/// Opens accounts 0 to `accounts` and gives each what `funds` say.
pub fn fund(accounts: u32, at: Timestamp, market: &Market, funds: &[Fund]) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut push = |command| inputs.push(Input { origin: Origin::default(), at, ticket: 0, command });
    for account in (0..accounts).map(AccountId) {
        push(Command::Open { account, name: None });
        for Fund { asset, units } in funds {
            let asset = market.asset(asset).expect("the replay's own market");
            let amount = Amount(units * 10u128.pow(asset.decimals as u32));
            push(Command::Deposit { account, asset: asset.id, amount });
        }
    }
    inputs
}
