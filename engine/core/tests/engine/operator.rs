//! What the operator does: fees, money in and out, states of symbols and accounts, listings. The language is that of
//! [`crate::order_semantics`].

use crate::by_hand::ByHand;
use crate::shards_agree::market;
use crate::stage::check;
use engine_core::instrument::{AssetListing, Listing, Step};
use engine_core::message::*;
use engine_core::units::*;

// ---- fees -----------------------------------------------------------------------------------------------------------

#[test]
fn the_larger_fee_is_held_and_the_charged_one_is_taken() {
    check(
        "fees COIN-USD 1000 2000  => done
         fund ann 200 USD
         fund bob 100 COIN
         ann buy a 50 @ 2         => ann ack a #1
         money ann                => USD 98 held 102
         bob sell x 50 @ 2        => bob ack x #2 | ann trade a 50 @ 2 t1 maker fee 1 \
            | bob trade x 50 @ 2 t1 taker fee 2
         money ann                => COIN 50, USD 99
         money bob                => COIN 50, USD 98
         fees taken               => USD 3",
    );
}

#[test]
fn many_small_trades_pay_no_more_than_one() {
    check(
        "fees COIN-USD 100 0     => done
         fund ann 200 USD
         fund bob 100 COIN
         ann buy a 4 @ 1         => ann ack a #1
         money ann               => USD 195 held 5
         bob sell w 1 @ 1        => bob ack w #2 | ann trade a 1 @ 1 t1 maker fee 1 | bob trade w 1 @ 1 t1 taker
         bob sell x 1 @ 1        => bob ack x #3 | ann trade a 1 @ 1 t2 maker | bob trade x 1 @ 1 t2 taker
         bob sell y 2 @ 1        => bob ack y #4 | ann trade a 2 @ 1 t3 maker | bob trade y 2 @ 1 t3 taker
         money ann               => COIN 4, USD 195
         fees taken              => USD 1",
    );
}

#[test]
fn a_rebate_is_rounded_down_and_paid_by_the_house() {
    check(
        "fees COIN-USD -1000 3000 => done
         fund ann 300 USD
         fund bob 100 COIN
         ann buy a 99 @ 1         => ann ack a #1
         bob sell x 99 @ 1        => bob ack x #2 | ann trade a 99 @ 1 t1 maker | bob trade x 99 @ 1 t1 taker fee 3
         ann buy b 100 @ 1        => ann ack b #3
         fund cat 200 COIN
         cat sell y 100 @ 1       => cat ack y #4 | ann trade b 100 @ 1 t2 maker fee -1 \
            | cat trade y 100 @ 1 t2 taker fee 3
         money ann                => COIN 199, USD 102
         fees taken               => USD 5",
    );
}

#[test]
fn an_orders_fee_is_the_one_it_came_with() {
    check(
        "fees COIN-USD 1000 1000  => done
         fund ann 200 USD
         fund bob 200 COIN
         ann buy a 100 @ 1        => ann ack a #1
         fees COIN-USD 5000 0     => done
         bob sell x 100 @ 1       => bob ack x #2 | ann trade a 100 @ 1 t1 maker fee 1 | bob trade x 100 @ 1 t1 taker
         fees taken               => USD 1",
    );
}

#[test]
fn a_tier_has_its_own_fees() {
    check(
        "fees COIN-USD tier 2 0 2000 => done
         fund ann 200 USD
         fund bob 200 COIN
         bob sell x 100 @ 1       => bob ack x #1
         ann tier 2               => done
         ann buy a 50 @ 1         => ann ack a #2 | bob trade x 50 @ 1 t1 maker | ann trade a 50 @ 1 t1 taker fee 1
         ann tier 8               => refused Configuration
         fees COIN-USD tier 8 0 0 => refused Configuration
         fees COIN-USD 30001 0    => refused Configuration
         fees BTC-USD 0 0         => refused UnknownSymbol",
    );
}

#[test]
fn what_a_cancel_gives_back_includes_the_fee_that_was_held() {
    check(
        "fees COIN-USD 0 1000    => done
         fund ann 200 USD
         fund bob 200 COIN
         ann buy a 100 @ 1       => ann ack a #1
         money ann               => USD 99 held 101
         bob sell x 10 @ 1       => bob ack x #2 | ann trade a 10 @ 1 t1 maker | bob trade x 10 @ 1 t1 taker fee 1
         ann cancel a            => ann cancel ack a | ann cancelled a 90
         money ann               => COIN 10, USD 190",
    );
}

#[test]
fn a_change_moves_the_fee_that_is_held() {
    check(
        "fees COIN-USD 0 1000    => done
         fund ann 200 USD
         ann buy a 100 @ 1       => ann ack a #1
         ann amend a to 150      => ann amend ack a 150
         money ann               => USD 48 held 152
         ann amend a to 50       => ann amend ack a 50
         money ann               => USD 149 held 51",
    );
}

// ---- money in and out -----------------------------------------------------------------------------------------------

#[test]
fn a_withdrawal_is_held_until_it_is_paid() {
    check(
        "fund ann 100 USD
         ann withdraw 60 USD as 1  => done
         money ann                 => USD 40 held 60
         ann buy a 5 @ 10          => ann reject a InsufficientBalance
         ann paid 1                => done
         money ann                 => USD 40
         ann paid 1                => refused TransferId",
    );
}

#[test]
fn a_withdrawal_that_fails_comes_back() {
    check(
        "fund ann 100 USD
         ann withdraw 60 USD as 1  => done
         ann withdraw 1 USD as 1   => refused TransferId
         ann withdraw 50 USD as 2  => refused InsufficientBalance
         ann keeps 1               => done
         money ann                 => USD 100",
    );
}

#[test]
fn a_withdrawal_that_cannot_be_is_refused() {
    check(
        "fund ann 100 USD
         ann withdraw 0 USD as 1  => refused AmountRange
         ann withdraw 1 EUR as 1  => refused UnknownAsset
         eve withdraw 1 USD as 1  => refused UnknownAccount
         ann keeps 7              => refused TransferId",
    );
}

#[test]
fn a_transfer_moves_money_whatever_the_shard() {
    check(
        "fund ann 100 USD
         fund bob 1 USD
         fund cat 1 USD
         fund dan 1 USD
         ann gives bob 10 USD as 1  => done
         ann gives cat 20 USD as 2  => done
         ann gives dan 30 USD as 3  => done
         money ann                  => USD 40
         money bob                  => USD 11
         money cat                  => USD 21
         money dan                  => USD 31",
    );
}

#[test]
fn a_transfer_that_cannot_arrive_comes_back() {
    check(
        "fund ann 100 USD
         fund bob 1 USD
         ann gives eve 10 USD as 1  => refused UnknownAccount
         ann gives ann 10 USD as 1  => refused TransferId
         ann gives bob 101 USD as 1 => refused InsufficientBalance
         bob suspend                => done
         ann gives bob 10 USD as 1  => refused AccountSuspended
         money ann                  => USD 100",
    );
}

// ---- states ---------------------------------------------------------------------------------------------------------

#[test]
fn a_suspended_account_leaves_the_market() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5          => ann ack a #1
         ann suspend              => done | ann cancelled a 5
         ann buy b 5 @ 5          => ann reject b AccountSuspended
         ann withdraw 1 USD as 1  => refused AccountSuspended
         ann tier 0               => done
         ann buy c 5 @ 5          => ann ack c #2
         eve suspend              => refused UnknownAccount",
    );
}

#[test]
fn in_cancel_only_orders_leave_or_shrink() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5   => ann ack a #1
         cancel-only       => done
         ann buy b 5 @ 5   => ann reject b CancelOnly
         ann amend a at 4  => ann amend reject a CancelOnly
         ann amend a to 6  => ann amend reject a CancelOnly
         ann amend a to 2  => ann amend ack a 2
         ann cancel a      => ann cancel ack a | ann cancelled a 2",
    );
}

#[test]
fn in_a_halt_nothing_moves_but_what_the_exchange_cancels() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5           => ann ack a #1
         ann buy b 5 @ 5 until 10  => ann ack b #2
         halt                      => done
         ann buy c 5 @ 5           => ann reject c MarketClosed
         ann amend a to 2          => ann amend reject a MarketClosed
         ann cancel a              => ann cancel reject a MarketClosed
         ann cancel all            => ann cancelling 2 | ann cancel reject a MarketClosed \
            | ann cancel reject b MarketClosed
         wait 10
         tick                      => ann timed out b 5
         ann timer 5               => ann timer until 15
         wait 5
         tick                      => ann cancelled a 5
         trade                     => done
         ann buy d 5 @ 5           => ann ack d #3",
    );
}

#[test]
fn who_has_left_is_cancelled_even_in_a_halt_and_nobody_is_answered() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5   => ann ack a #1
         halt              => done
         ann cancel all    => ann cancelling 1 | ann cancel reject a MarketClosed
         ann leaves        => ann cancelled a 5
         ann leaves        =>
         money ann         => USD 100",
    );
}

#[test]
fn a_guard_that_leaves_takes_its_orders_along() {
    check(
        "fund ann 100 USD
         fund bob 100 USD
         ann guards 1             => done
         ann guards 2             => done
         ann guards 3 all         => done
         bob guards 1             => done
         ann buy a 5 @ 1 group 1  => ann ack a #1
         ann buy b 5 @ 1 group 2  => ann ack b #2
         ann buy c 5 @ 1 group 9  => ann ack c #3
         bob buy d 5 @ 1 group 1  => bob ack d #4
         ann guard 2 ends         =>
         ann guard 2 leaves       =>
         ann guard 9 leaves       =>
         halt                     => done
         ann guard 1 leaves       => ann cancelled a 5
         ann guard 1 leaves       =>
         ann guard 3 leaves       => ann cancelled b 5 | ann cancelled c 5
         eve guards 1             => refused UnknownAccount
         eve guard 1 leaves       =>
         money ann                => USD 100
         money bob                => USD 95 held 5",
    );
}

#[test]
fn a_guard_may_stand_in_another_ones_place() {
    check(
        "fund ann 100 USD
         ann guards 1             => done
         ann guards 1 all         => done
         ann buy a 5 @ 1          => ann ack a #1
         ann guard 1 leaves       => ann cancelled a 5",
    );
}

#[test]
fn another_symbol_goes_on() {
    check(
        "fund ann 100 USD
         halt GOLD-USD                 => done
         ann buy a 5 @ 5               => ann ack a #1
         ann buy b 5 @ 5 on GOLD-USD   => ann reject b MarketClosed
         halt BTC-USD                  => refused UnknownSymbol",
    );
}

#[test]
fn a_delisted_symbol_lets_all_orders_go_and_never_comes_back() {
    check(
        "fund ann 100 USD 10 COIN
         ann buy a 5 @ 5         => ann ack a #1
         ann sell b 5 @ 7        => ann ack b #2
         ann buy c 1 @ 5 stop 9  => ann ack c #3
         delist                  => ann delisted a 5 | ann delisted b 5 | ann delisted c 1 | done
         money ann               => COIN 10, USD 100
         ann buy d 5 @ 5         => ann reject d MarketClosed
         ann cancel a            => ann cancel reject a TooLate
         trade                   => refused SymbolState",
    );
}

#[test]
fn a_symbol_is_listed_while_others_trade() {
    check(
        "fund ann 100 USD
         ann buy a 5 @ 5 on SILVER-USD   => ann reject a UnknownSymbol
         list SILVER                     => done
         list SILVER USD band 0          => done
         fund bob 10 SILVER
         ann buy b 5 @ 5 on SILVER-USD   => ann ack b #1
         bob sell c 2 @ 5 on SILVER-USD  => bob ack c #2 | ann trade b 2 @ 5 t1 maker | bob trade c 2 @ 5 t1 taker
         ann buy d 1001 @ 1 on SILVER-USD => ann reject d QuantityRange
         list SILVER                     => refused Configuration
         list COIN USD band 0            => refused Configuration",
    );
}

// ---- bands ----------------------------------------------------------------------------------------------------------

#[test]
fn a_price_stays_near_the_last_trade() {
    check(
        "list SILVER                         => done
         list SILVER USD band 1000           => done
         fund ann 10000 USD 100 SILVER
         fund bob 10000 USD 100 SILVER
         ann buy a 1 @ 500 on SILVER-USD     => ann ack a #1
         bob sell x 2 @ 100 on SILVER-USD    => bob ack x #2 | ann trade a 1 @ 500 t1 maker \
            | bob trade x 1 @ 500 t1 taker
         ann buy b 1 @ 551 on SILVER-USD     => ann reject b PriceBand
         ann buy c 1 @ 449 on SILVER-USD     => ann reject c PriceBand
         bob sell y 1 @ 551 on SILVER-USD    => bob reject y PriceBand
         ann buy d 1 @ 450 on SILVER-USD     => ann ack d #3 | bob trade x 1 @ 100 t2 maker \
            | ann trade d 1 @ 100 t2 taker
         ann buy e 1 @ 110 on SILVER-USD     => ann ack e #4
         ann amend e at 111 on SILVER-USD    => ann amend reject e PriceBand",
    );
}

#[test]
fn a_market_order_is_held_back_by_the_band() {
    check(
        "list SILVER                                => done
         list SILVER USD band 1000                  => done
         fund ann 10000 USD 100 SILVER
         fund bob 10000 USD 100 SILVER
         bob sell x 1 @ 100 on SILVER-USD           => bob ack x #1
         bob sell y 1 @ 110 on SILVER-USD           => bob ack y #2
         bob sell z 1 @ 111 on SILVER-USD           => bob ack z #3
         ann buy a 1 @ 100 on SILVER-USD            => ann ack a #4 | bob trade x 1 @ 100 t1 maker \
            | ann trade a 1 @ 100 t1 taker
         ann buy b 2 @ 999 market on SILVER-USD     => ann ack b #5 | bob trade y 1 @ 110 t2 maker \
            | ann trade b 1 @ 110 t2 taker | ann expired b 1",
    );
}

#[test]
fn a_stop_whose_limit_is_outside_the_band_is_let_go() {
    check(
        "list SILVER                                => done
         list SILVER USD band 1000                  => done
         fund ann 10000 USD 100 SILVER
         fund bob 10000 USD 100 SILVER
         ann buy s 1 @ 200 stop 100 on SILVER-USD   => ann ack s #1
         bob sell x 1 @ 100 on SILVER-USD           => bob ack x #2
         bob buy y 1 @ 100 on SILVER-USD            => bob ack y #3 | bob trade x 1 @ 100 t1 maker \
            | bob trade y 1 @ 100 t1 taker | ann triggered s | ann outside the band s 1
         money ann                                  => USD 10000, SILVER 100",
    );
}

// ---- auctions -------------------------------------------------------------------------------------------------------

#[test]
fn an_auction_gathers_orders_and_trades_them_at_one_price() {
    check(
        "fund ann 1000 USD
         fund bob 100 COIN
         auction           => done
         ann buy a 5 @ 12  => ann ack a #1
         ann buy b 5 @ 10  => ann ack b #2
         bob sell x 4 @ 8  => bob ack x #3
         bob sell y 4 @ 10 => bob ack y #4
         book              => 5 @ 12, 5 @ 10 / 4 @ 8, 4 @ 10
         trade             => ann trade a 4 @ 10 t1 auction | bob trade x 4 @ 10 t1 auction \
            | ann trade a 1 @ 10 t2 auction | bob trade y 1 @ 10 t2 auction | ann trade b 3 @ 10 t3 auction \
            | bob trade y 3 @ 10 t3 auction | done
         book              => 2 @ 10 / -
         money ann         => COIN 8, USD 900 held 20
         money bob         => COIN 92, USD 80",
    );
}

#[test]
fn an_auction_that_meets_nobody_just_opens() {
    check(
        "fund ann 1000 USD 10 COIN
         auction            => done
         ann buy a 5 @ 9    => ann ack a #1
         ann sell b 5 @ 10  => ann ack b #2
         trade              => done
         book               => 5 @ 9 / 5 @ 10
         sequence           => 2",
    );
}

#[test]
fn an_auction_takes_only_limit_orders_that_rest() {
    check(
        "fund ann 1000 USD 10 COIN
         auction                          => done
         ann buy a 5 @ 9 ioc              => ann reject a MarketClosed
         ann buy b 5 @ 9 fok              => ann reject b MarketClosed
         ann buy c 5 @ 9 post             => ann reject c MarketClosed
         ann buy d 5 @ 9 market           => ann reject d MarketClosed
         ann buy e 5 @ 9 oco 12 then 12   => ann reject e MarketClosed
         ann buy f 5 @ 9 stop 12          => ann ack f #1
         ann buy g 5 @ 9 shows 1          => ann ack g #2
         money ann                        => COIN 10, USD 910 held 90",
    );
}

#[test]
fn an_auction_lets_orders_change_and_leave() {
    check(
        "fund ann 1000 USD 10 COIN
         auction            => done
         ann buy a 5 @ 12   => ann ack a #1
         ann sell b 5 @ 10  => ann ack b #2
         ann amend a at 13  => ann amend ack a 5
         ann amend a to 2   => ann amend ack a 2
         ann cancel b       => ann cancel ack b | ann cancelled b 5
         book               => 2 @ 13 / -
         trade              => done",
    );
}

#[test]
fn an_auction_ends_in_trading_or_not_at_all() {
    check(
        "auction      => done
         halt         => refused SymbolState
         cancel-only  => refused SymbolState
         auction      => done
         trade        => done
         halt         => done
         auction      => done",
    );
}

#[test]
fn an_auctions_trades_set_off_stops() {
    check(
        "fund ann 1000 USD 10 COIN
         fund bob 1000 USD 10 COIN
         auction                         => done
         ann buy s 1 @ 20 stop 10        => ann ack s #1
         bob buy a 5 @ 10                => bob ack a #2
         bob sell b 4 @ 10               => bob ack b #3
         bob sell c 4 @ 11               => bob ack c #4
         trade                           => bob trade a 4 @ 10 t1 auction | bob trade b 4 @ 10 t1 auction \
            | done | ann triggered s | bob trade c 1 @ 11 t2 maker | ann trade s 1 @ 11 t2 taker",
    );
}

#[test]
fn an_auction_charges_the_makers_fee() {
    check(
        "fees COIN-USD 1000 9000 => done
         fund ann 1000 USD
         fund bob 100 COIN
         auction                 => done
         ann buy a 100 @ 2       => ann ack a #1
         bob sell b 100 @ 1      => bob ack b #2
         trade                   => ann trade a 100 @ 1 t1 auction fee 1 | bob trade b 100 @ 1 t1 auction fee 1 \
            | done
         fees taken              => USD 2",
    );
}

// ---- listings on their way ------------------------------------------------------------------------------------------

/// An account of one sequencer, a symbol that another one lists, and a matcher that hears of the listing last.
#[test]
fn an_order_that_overtakes_its_listing_is_refused_and_so_is_what_its_owner_wants_of_it() {
    let mut hand = ByHand::new(2, 1, &market());
    let symbol = SymbolId(market().instruments.len() as u32);
    let base = AssetId(market().assets.len() as u16);
    let step = Step { decimals: 0, size: 1 };
    let (account, quote, order_id) = (AccountId(0), AssetId(2), ClientOrderId::new("a").unwrap());
    assert_ne!(home_of(symbol, 2), account.0 as usize % 2, "another sequencer lists it");
    let listing = Listing {
        id: symbol,
        base,
        quote,
        tick: step,
        lot: step,
        min_notional: Amount(0),
        quantity_max: Quantity(0),
        band: 0,
        fees: Default::default(),
    };
    let order = Submit::limit(account, symbol, order_id, Side::Buy, Price(1), Quantity(2));
    let (price, quantity) = (None, Some(Quantity(1)));
    for command in [
        Command::Open { account, name: None },
        Command::Deposit { account, asset: quote, amount: Amount(u64::MAX.into()) },
        Command::ListAsset(AssetListing::new(base, "NEW", 6).unwrap()),
        Command::List(listing),
        Command::Submit(order),
        Command::Amend(Amend { account, symbol, order_id, price, quantity }),
        Command::Cancel { account, symbol, order_id },
    ] {
        hand.input(&Input { origin: Origin::default(), at: Timestamp(1), ticket: 0, command });
    }
    // The listing is late: what the account's sequencer sent comes first.
    hand.orders.make_contiguous().sort_by_key(|(from, ..)| *from);
    hand.reports.clear();
    hand.carry_all(1);
    let answers: Vec<_> = hand.reports.iter().map(|report| format!("{:?}", report.body)).collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(answers[0].starts_with("OrderReject") && answers[0].contains("UnknownSymbol"), "{answers:?}");
    assert!(answers[1].starts_with("AmendReject") && answers[1].contains("TooLate"), "{answers:?}");
    assert!(answers[2].starts_with("CancelReject") && answers[2].contains("TooLate"), "{answers:?}");
    let view = hand.sequencers[0].view(account).unwrap();
    assert!(view.orders.is_empty() && view.balances.iter().all(|balance| balance.held.0 == 0));
    hand.matchers[0].check();
}

#[test]
fn a_transfer_that_overtakes_the_listing_of_its_asset_comes_back() {
    let mut hand = ByHand::new(2, 1, &market());
    let asset = AssetId(market().assets.len() as u16);
    let (account, to, amount) = (AccountId(0), AccountId(1), Amount(5));
    let input = |command| Input { origin: Origin::default(), at: Timestamp(1), ticket: 0, command };
    hand.input(&input(Command::Open { account: to, name: None }));
    // Of the two sequencers only the giver's has been told of the asset.
    let mut out = Default::default();
    for command in [
        Command::Open { account, name: None },
        Command::ListAsset(AssetListing::new(asset, "NEW", 6).unwrap()),
        Command::Deposit { account, asset, amount },
    ] {
        hand.sequencers[0].input(&input(command), &mut out);
    }
    hand.input(&input(Command::Transfer { account, id: 1, to, asset, amount }));
    hand.carry_all(1);
    let answer = format!("{:?}", hand.reports.last().unwrap().body);
    assert_eq!(answer, "Refused { reason: UnknownAsset }");
    let balance = hand.sequencers[0].balances(account).next().unwrap();
    assert_eq!((balance.available, balance.held), (amount, Amount(0)));
}
