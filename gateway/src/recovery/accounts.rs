//! What the last run has left half done for accounts.

use super::carry_out;
use engine_core::executor::inline::Inline;
use engine_core::message::{Command, Guard};
use engine_core::sequencer::Sequencer;
use engine_core::units::{AccountId, AccountName, Amount, AssetId};

/// A guard whose connection is gone.
#[derive(Debug)]
pub struct Bereft {
    pub account: AccountId,
    pub name: Option<AccountName>,
    pub guard: Guard,
}

/// Gives new paper accounts the money that they have not got yet: an account is opened by one command and funded by others,
/// and a crash may have come between.
pub fn fund(engine: &mut Inline, funds: &[(AssetId, Amount)]) {
    let deposits: Vec<_> = machines(engine)
        .flat_map(|machine| machine.accounts().map(move |account| (machine, account)))
        .filter(|(machine, account)| machine.name(*account).is_some())
        .flat_map(|(machine, account)| {
            missing(machine, account, funds).iter().map(move |fund| (account, *fund))
        })
        .collect();
    for (account, (asset, amount)) in deposits {
        match carry_out(engine, Command::Deposit { account, asset, amount }) {
            Ok(()) => tracing::info!(%account, %asset, "a new account got the rest of its money"),
            Err(error) => {
                tracing::warn!(%account, %asset, "a new account stays without some money: {error:#}")
            }
        }
    }
}

/// What an account that has done nothing yet has not got. Deposits are the first entries of its history, so their number
/// is that of the funds which have come.
fn missing<'a>(
    machine: &Sequencer,
    account: AccountId,
    funds: &'a [(AssetId, Amount)],
) -> &'a [(AssetId, Amount)] {
    let Some(view) = machine.view(account) else { return &[] };
    let Some((came, missing)) = funds.split_at_checked(view.exec_sequence as usize) else { return &[] };
    // Else they were funded by another configuration, or their history is not one of deposits.
    let mut has: Vec<_> = view.balances.iter().map(|of| (of.asset, of.available)).collect();
    has.retain(|(_, amount)| amount.0 > 0);
    if has == came { missing } else { &[] }
}

/// Ends the guards that have no grace, which cancels what they guard before anybody can trade with it. Returns the others.
pub fn end_guards(engine: &mut Inline) -> Vec<Bereft> {
    let standing: Vec<Bereft> = machines(engine)
        .flat_map(|machine| {
            let bereft = |(account, guard)| Bereft { account, name: machine.name(account), guard };
            machine.guards().map(bereft)
        })
        .collect();
    let (later, now): (Vec<_>, Vec<_>) = standing.into_iter().partition(|bereft| bereft.guard.grace_us > 0);
    for Bereft { account, guard, .. } in &now {
        let command = Command::EndGuard { account: *account, group: guard.group, cancels: true };
        carry_out(engine, command).expect("the end of a guard is not answered");
    }
    if now.len() + later.len() > 0 {
        tracing::info!(
            ended = now.len(),
            in_grace = later.len(),
            "the guarded connections of the last run are gone"
        );
    }
    later
}

fn machines(engine: &Inline) -> impl Iterator<Item = &Sequencer> {
    engine.at_rest().sequencers.iter().map(|shard| &shard.machine)
}
