//! The balances of one sequencer's accounts.
//!
//! Money is in one of two places: available, or held by a live order, a withdrawal or a transfer. A hold takes from available; it ends by
//! settling: it pays, and what it did not cost goes back. Every amount is a whole number of atoms, so per asset the sum
//! over all accounts and fees equals what came in less what went out ([`Flows`]).
//!
//! A negative balance cannot be written down, and a subtraction that would need one stops the engine: that is our
//! bug, and a wrong balance is worse than a restart.

use crate::message::Balance;
use crate::units::{Amount, AssetId};
use serde::{Deserialize, Serialize};

/// What one account has. Accounts hold few assets, so this is a short list sorted by asset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Balances(Vec<Balance>);

/// The account has less available than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insufficient;

impl Balances {
    /// Adds money from outside the account.
    ///
    /// # Panics
    /// If the sum does not fit 128 bits: the caller bounds deposits ([`Flows`]).
    pub fn credit(&mut self, asset: AssetId, amount: Amount) -> Balance {
        let entry = self.entry(asset);
        entry.available.0 = entry.available.0.checked_add(amount.0).expect("deposits are bounded");
        *entry
    }

    /// Moves `amount` from available to held.
    pub fn hold(&mut self, asset: AssetId, amount: Amount) -> Result<Balance, Insufficient> {
        let entry = self.find(asset).ok_or(Insufficient)?;
        let available = entry.available.0.checked_sub(amount.0).ok_or(Insufficient)?;
        *entry = Balance { asset, available: Amount(available), held: Amount(entry.held.0 + amount.0) };
        Ok(*entry)
    }

    /// Ends `held` of a hold: `paid` leaves the account, the rest goes back to available.
    pub fn settle(&mut self, asset: AssetId, held: Amount, paid: Amount) -> Balance {
        let entry = self.find(asset).expect("a hold is of an asset the account has");
        entry.held.0 = entry.held.0.checked_sub(held.0).expect("a hold ends once, for what it holds");
        entry.available.0 += held.0.checked_sub(paid.0).expect("a trade costs at most its hold");
        *entry
    }

    /// What there is of an asset.
    pub fn of(&self, asset: AssetId) -> Balance {
        let found = self.0.iter().find(|entry| entry.asset == asset);
        found.copied().unwrap_or(Balance { asset, available: Amount(0), held: Amount(0) })
    }

    /// All of them, by asset.
    pub fn iter(&self) -> impl Iterator<Item = Balance> + '_ {
        self.0.iter().copied()
    }

    fn find(&mut self, asset: AssetId) -> Option<&mut Balance> {
        self.0.iter_mut().find(|entry| entry.asset == asset)
    }

    fn entry(&mut self, asset: AssetId) -> &mut Balance {
        let at = match self.0.binary_search_by_key(&asset, |entry| entry.asset) {
            Ok(at) => at,
            Err(at) => {
                // A million accounts of two assets each should not have room for four.
                self.0.reserve_exact(1);
                self.0.insert(at, Balance { asset, available: Amount(0), held: Amount(0) });
                at
            }
        };
        &mut self.0[at]
    }
}

/// Money that came to and left one sequencer's accounts other than by trades, by asset: the other side of the
/// conservation sum, and the bound that keeps every balance and every sum of balances within 128 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows(Vec<Flow>);

/// The flows of one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// From outside, ever.
    pub deposited: u128,
    /// To the outside, ever.
    pub withdrawn: u128,
    /// From accounts of all sequencers, ever, as far as it has arrived.
    pub transferred_in: u128,
    /// To accounts of all sequencers, ever, as far as it is known to have arrived.
    pub transferred_out: u128,
    /// What trades were charged less what they were rebated.
    pub fees: i128,
}

/// With at most 64 sequencers no sum over all shards can pass 2^127, and a transfer can only move what was deposited.
const DEPOSITS_MAX: u128 = 1 << 120;
const _: () = assert!(DEPOSITS_MAX.checked_mul(2 * crate::limits::SHARDS_MAX as u128).is_some());

impl Flows {
    /// None yet, of so many assets.
    pub fn new(assets: usize) -> Self {
        Self(vec![Flow::default(); assets])
    }

    /// One more asset.
    pub fn add_asset(&mut self) {
        self.0.push(Flow::default());
    }

    /// Whether the asset is known.
    pub fn knows(&self, asset: AssetId) -> bool {
        (asset.0 as usize) < self.0.len()
    }

    /// Counts a deposit; `None` if the total would pass the bound.
    ///
    /// # Panics
    /// If the asset is not known, here and below.
    pub fn deposit(&mut self, asset: AssetId, amount: Amount) -> Option<()> {
        let flow = self.flow(asset);
        flow.deposited = flow.deposited.checked_add(amount.0).filter(|sum| *sum <= DEPOSITS_MAX)?;
        Some(())
    }

    /// Counts a withdrawal that was paid.
    pub fn withdraw(&mut self, asset: AssetId, amount: Amount) {
        self.flow(asset).withdrawn += amount.0;
    }

    /// Counts what arrived from another account; `None` if the total would pass the bound.
    pub fn transfer_in(&mut self, asset: AssetId, amount: Amount) -> Option<()> {
        let flow = self.flow(asset);
        flow.transferred_in = flow.transferred_in.checked_add(amount.0).filter(|sum| *sum <= DEPOSITS_MAX)?;
        Some(())
    }

    /// Counts what arrived at another account.
    pub fn transfer_out(&mut self, asset: AssetId, amount: Amount) {
        self.flow(asset).transferred_out += amount.0;
    }

    /// Counts a fee, or with a negative one a rebate.
    pub fn charge(&mut self, asset: AssetId, fee: i128) {
        self.flow(asset).fees += fee;
    }

    /// By asset.
    pub fn totals(&self) -> &[Flow] {
        &self.0
    }

    fn flow(&mut self, asset: AssetId) -> &mut Flow {
        &mut self.0[asset.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USDT: AssetId = AssetId(1);

    fn funded(amount: u128) -> Balances {
        let mut balances = Balances::default();
        balances.credit(USDT, Amount(amount));
        balances
    }

    fn of(available: u128, held: u128) -> Balance {
        Balance { asset: USDT, available: Amount(available), held: Amount(held) }
    }

    #[test]
    fn a_hold_is_refused_whole_or_taken_whole() {
        let mut balances = funded(100);
        assert_eq!(balances.hold(USDT, Amount(101)), Err(Insufficient));
        assert_eq!(balances.hold(AssetId(7), Amount(1)), Err(Insufficient));
        assert_eq!(balances.hold(USDT, Amount(100)), Ok(of(0, 100)));
        assert_eq!(balances.hold(USDT, Amount(1)), Err(Insufficient));
    }

    #[test]
    fn price_improvement_goes_back_to_its_owner() {
        let mut balances = funded(100);
        balances.hold(USDT, Amount(60)).unwrap();
        assert_eq!(balances.settle(USDT, Amount(30), Amount(28)), of(42, 30));
        assert_eq!(balances.settle(USDT, Amount(30), Amount(0)), of(72, 0));
    }

    #[test]
    #[should_panic(expected = "a hold ends once")]
    fn releasing_twice_stops_the_engine() {
        let mut balances = funded(100);
        balances.hold(USDT, Amount(60)).unwrap();
        balances.settle(USDT, Amount(60), Amount(0));
        balances.settle(USDT, Amount(60), Amount(0));
    }

    #[test]
    fn deposits_are_bounded() {
        let mut flows = Flows::new(2);
        assert_eq!(flows.deposit(USDT, Amount(DEPOSITS_MAX)), Some(()));
        assert_eq!(flows.deposit(USDT, Amount(1)), None);
        assert_eq!(flows.transfer_in(USDT, Amount(DEPOSITS_MAX + 1)), None);
        assert_eq!(flows.totals()[1].deposited, DEPOSITS_MAX);
        assert!(!flows.knows(AssetId(2)));
    }
}
