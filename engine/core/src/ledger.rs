//! The balances of one sequencer's accounts.
//!
//! Money is in one of two places: available, or held by a live order. A hold takes from available; it ends by
//! settling (it pays, and what the trade cost less goes back) or by release. Every amount is a whole number of atoms
//! and nothing is ever rounded, so per asset the sum over all accounts equals what was deposited.
//!
//! A negative balance cannot be written down, and a subtraction that would need one stops the engine: that is our
//! bug, and a wrong balance is worse than a restart.

use crate::message::Balance;
use crate::units::{Amount, AssetId};

/// What one account has. Accounts hold few assets, so this is a short list sorted by asset.
#[derive(Clone, Debug, Default)]
pub struct Balances(Vec<Balance>);

/// The account has less available than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insufficient;

impl Balances {
    /// Adds money from outside the account.
    ///
    /// # Panics
    /// If the sum does not fit 128 bits: the caller bounds deposits ([`Deposits`]).
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

    /// Moves `amount` from held back to available.
    pub fn release(&mut self, asset: AssetId, amount: Amount) -> Balance {
        self.settle(asset, amount, Amount(0))
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
                self.0.insert(at, Balance { asset, available: Amount(0), held: Amount(0) });
                at
            }
        };
        &mut self.0[at]
    }
}

/// Deposits of one sequencer, per asset: the other side of the conservation sum, and the bound that keeps every
/// balance and every sum of balances within 128 bits.
#[derive(Clone, Debug)]
pub struct Deposits(Vec<Amount>);

/// With at most 64 sequencers no sum over all shards can pass 2^127.
const DEPOSITS_MAX: u128 = 1 << 121;
const _: () = assert!(DEPOSITS_MAX.checked_mul(crate::limits::SHARDS_MAX as u128).is_some());

impl Deposits {
    /// None yet, of so many assets.
    pub fn new(assets: usize) -> Self {
        Self(vec![Amount(0); assets])
    }

    /// Counts a deposit; `None` if the asset is unknown or the total would pass the bound.
    pub fn add(&mut self, asset: AssetId, amount: Amount) -> Option<()> {
        let total = self.0.get_mut(asset.0 as usize)?;
        let sum = total.0.checked_add(amount.0).filter(|sum| *sum <= DEPOSITS_MAX)?;
        total.0 = sum;
        Some(())
    }

    /// By asset.
    pub fn totals(&self) -> &[Amount] {
        &self.0
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
        assert_eq!(balances.release(USDT, Amount(30)), of(72, 0));
    }

    #[test]
    #[should_panic(expected = "a hold ends once")]
    fn releasing_twice_stops_the_engine() {
        let mut balances = funded(100);
        balances.hold(USDT, Amount(60)).unwrap();
        balances.release(USDT, Amount(60));
        balances.release(USDT, Amount(60));
    }

    #[test]
    fn deposits_are_bounded() {
        let mut deposits = Deposits::new(2);
        assert_eq!(deposits.add(USDT, Amount(DEPOSITS_MAX)), Some(()));
        assert_eq!(deposits.add(USDT, Amount(1)), None);
        assert_eq!(deposits.add(AssetId(2), Amount(1)), None);
        assert_eq!(deposits.totals(), [Amount(0), Amount(DEPOSITS_MAX)]);
    }
}
