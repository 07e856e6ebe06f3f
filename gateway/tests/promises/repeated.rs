//! An order that is sent again has one effect, however often, from whichever connection and in whichever life of the
//! exchange.
//!
//! Three accounts have some hundred orders. A chance decides how often each is sent, never to three times, in which order and
//! from which of the account's connections. The exchange is killed and stopped in between, in the middle of a burst; what
//! is not answered is sent again, as any client would. Ann only sells and bob only buys, at one price, and cat's orders rest
//! far away: so what everybody has at the end is a plain sum of what was sent at least once.

use crate::client::{Client, atoms};
use crate::exchange::Lasting;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use tungstenite::Message;

const ACCOUNTS: [&str; 3] = ["ann", "bob", "cat"];
const ORDERS_EACH: usize = 100;
const CONNECTIONS_EACH: usize = 2;
const LIVES: usize = 7;
/// Orders that are sent before the first answer is waited for.
const BURST: usize = 20;

/// One of a thousand parts of a BTC, which is what quantities are counted in.
const PART: u128 = 10u128.pow(15);

#[test]
fn an_order_has_one_effect_however_often_it_is_sent() {
    let seed = std::env::var("REPEAT_SEED").map_or(1, |seed| seed.parse().expect("a seed"));
    println!("seed {seed}");
    let mut life = Lasting::start();
    let before = ACCOUNTS.map(|name| totals(&Client::log_in(&life.exchange.ws, name).account()));
    let mut customers = Customers::new(seed);
    for number in 1..LIVES {
        customers.connect(&life.exchange.ws);
        customers.try_other_bodies();
        let until = customers.left.len() * (LIVES - number - 1) / (LIVES - number);
        while customers.left.len() > until + BURST {
            let burst = customers.send_burst();
            customers.hear(burst, usize::MAX);
        }
        let burst = customers.send_burst();
        let heard = customers.random.random_range(0..=burst);
        customers.hear(burst, heard);
        match number % 2 {
            0 => life.exchange.terminate(),
            _ => life.exchange.kill(),
        }
        customers.hear_the_end();
        life.exchange.wait();
        life.begin_again();
    }
    customers.connect(&life.exchange.ws);
    while !customers.left.is_empty() {
        let burst = customers.send_burst();
        customers.hear(burst, usize::MAX);
    }
    customers.try_other_bodies();
    println!("{} messages, {} were not answered", customers.sent, customers.lost);
    customers.check(&before);
}

struct Order {
    account: usize,
    id: String,
    price: u64,
    /// In parts.
    quantity: u64,
    times: usize,
    /// Whether something about it was not answered, so that the first answer may have been lost.
    lost: bool,
    /// What it was acknowledged as, and how often for the first time.
    known_as: Option<String>,
    firsts: usize,
}

impl Order {
    fn body(&self, request: usize, quantity: u64) -> String {
        let (side, id, price) = (["sell", "buy", "buy"][self.account], &self.id, self.price);
        format!(
            r#"{{"action":"submit_order","id":{request},"order_id":"{id}","symbol":"BTC-USDT","side":"{side}","#
        ) + &format!(r#""price":"{price}","quantity":"0.{quantity:03}"}}"#)
    }
}

struct Connection {
    client: Client,
    /// Orders of requests that are not answered.
    waiting: BTreeMap<u64, usize>,
}

struct Customers {
    random: ChaCha8Rng,
    orders: Vec<Order>,
    /// What is still to be sent, the last first.
    left: Vec<usize>,
    /// [`CONNECTIONS_EACH`] of each account.
    connections: Vec<Connection>,
    sent: usize,
    lost: usize,
}

impl Customers {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut orders = Vec::new();
        for (account, number) in
            (0..ACCOUNTS.len()).flat_map(|account| (0..ORDERS_EACH).map(move |n| (account, n)))
        {
            let price = if account == 2 { 10_000 + number as u64 } else { 30_000 };
            let (quantity, times) = (random.random_range(1..10), random.random_range(0..=3));
            // The accounts use the same ids: an id is the account's own.
            let id = format!("order-{number}");
            orders.push(Order {
                account,
                id,
                price,
                quantity,
                times,
                lost: false,
                known_as: None,
                firsts: 0,
            });
        }
        let mut left: Vec<_> =
            orders.iter().enumerate().flat_map(|(at, order)| vec![at; order.times]).collect();
        left.shuffle(&mut random);
        Self { random, orders, left, connections: Vec::new(), sent: 0, lost: 0 }
    }

    fn connect(&mut self, ws: &str) {
        let each = ACCOUNTS.iter().flat_map(|account| [account; CONNECTIONS_EACH]);
        let connect =
            |account: &&str| Connection { client: Client::log_in(ws, account), waiting: BTreeMap::new() };
        self.connections = each.map(connect).collect();
    }

    /// Sends some of what is left, from any connection of its account. Returns how many.
    fn send_burst(&mut self) -> usize {
        let burst = self.left.len().min(BURST);
        for at in self.left.split_off(self.left.len() - burst) {
            let order = &self.orders[at];
            let connection = order.account * CONNECTIONS_EACH + self.random.random_range(0..CONNECTIONS_EACH);
            let connection = &mut self.connections[connection];
            self.sent += 1;
            connection.client.send(&order.body(self.sent, order.quantity));
            connection.waiting.insert(self.sent as u64, at);
        }
        burst
    }

    /// Hears all answers of a burst, or so many of them.
    fn hear(&mut self, burst: usize, most: usize) {
        let mut left = burst.min(most);
        for Connection { client, waiting, .. } in &mut self.connections {
            while left > 0 && !waiting.is_empty() {
                left -= usize::from(note(&mut self.orders, waiting, &client.next()));
            }
        }
    }

    /// Hears what still comes from an exchange that ends. What does not come is to be sent again.
    fn hear_the_end(&mut self) {
        for Connection { client, waiting, .. } in &mut self.connections {
            while let Ok(message) = client.socket.read() {
                if let Message::Text(text) = message {
                    let message = serde_json::from_str(&text).expect("the server speaks JSON");
                    note(&mut self.orders, waiting, &message);
                }
            }
            self.lost += waiting.len();
            for at in std::mem::take(waiting).into_values() {
                self.orders[at].lost = true;
                self.left.push(at);
            }
        }
    }

    /// An id that is known is refused for another order, in this life and in each later one.
    fn try_other_bodies(&mut self) {
        for _ in 0..10 {
            let order = &self.orders[self.random.random_range(0..self.orders.len())];
            if order.known_as.is_none() {
                continue;
            }
            let connection = &mut self.connections[order.account * CONNECTIONS_EACH];
            let answer = connection.client.ask(&order.body(0, order.quantity + 1));
            assert_eq!(
                (&answer["type"], &answer["code"], &answer["order_id"]),
                (&"order_reject".into(), &"DUPLICATE_ORDER_ID".into(), &order.id.as_str().into()),
                "{answer}"
            );
        }
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    fn check(&mut self, before: &[BTreeMap<String, u128>; 3]) {
        let mut names = HashSet::new();
        for order in &self.orders {
            let Order { id, account, times, known_as, firsts, lost, .. } = order;
            let what = format!("{id} of {} was sent {times} times", ACCOUNTS[*account]);
            match known_as {
                None => assert_eq!(*times, 0, "{what} and is not known"),
                Some(name) => assert!(*times > 0 && names.insert(name.clone()), "{what} and is {name}"),
            }
            assert!(
                *firsts == usize::from(*times > 0) || *lost && *firsts == 0,
                "{what}, {firsts} times new"
            );
        }
        let [sold, bought, far] = [0, 1, 2].map(|account| self.sum(account, |_| 1));
        let traded = sold.min(bought);
        let after = [0, 1, 2].map(|account| self.connections[account * CONNECTIONS_EACH].client.account());
        let mut expected = before.clone();
        *expected[0].get_mut("BTC").expect("it has some") -= traded * PART;
        *expected[0].get_mut("USDT").expect("it has some") += traded * PART * 30_000;
        *expected[1].get_mut("BTC").expect("it has some") += traded * PART;
        *expected[1].get_mut("USDT").expect("it has some") -= traded * PART * 30_000;
        assert_eq!(after.each_ref().map(totals), expected, "{sold} parts sold, {bought} bought");
        let costs = self.sum(2, |order| order.price as u128);
        let locked = [
            ("BTC", (sold - traded) * PART),
            ("USDT", (bought - traded) * PART * 30_000),
            ("USDT", costs * PART),
        ];
        for ((account, (asset, amount)), open) in
            after.iter().zip(locked).zip([sold - traded, bought - traded, far])
        {
            assert_eq!(balance(account, asset, "locked"), amount, "{account}");
            let left: u128 = open_orders(account).map(|order| atoms(text(order, "leaves_quantity"))).sum();
            assert_eq!(left, open * PART, "{account}");
        }
        self.check_ids(&after);
    }

    /// Of all that was sent, by account.
    fn sum(&self, account: usize, worth: impl Fn(&Order) -> u128) -> u128 {
        let sent = self.orders.iter().filter(|order| order.account == account && order.times > 0);
        sent.map(|order| order.quantity as u128 * worth(order)).sum()
    }

    /// What is open was sent, all of cat's is; and what was not sent is not there.
    fn check_ids(&mut self, after: &[Value; 3]) {
        for (at, account) in after.iter().enumerate() {
            let open: Vec<_> = open_orders(account).map(|order| text(order, "order_id").to_owned()).collect();
            let ids: BTreeSet<_> = open.iter().cloned().collect();
            assert_eq!(ids.len(), open.len(), "nothing is open twice: {account}");
            let of_account = |order: &&Order| order.account == at;
            let sent: BTreeSet<_> = self
                .orders
                .iter()
                .filter(of_account)
                .filter(|order| order.times > 0)
                .map(|order| order.id.clone())
                .collect();
            assert!(ids.is_subset(&sent), "{account}");
            assert!(at != 2 || ids == sent, "all of cat's orders rest: {account}");
            for Order { id, .. } in self.orders.iter().filter(of_account).filter(|order| order.times == 0) {
                let cancel = format!(r#"{{"action":"cancel_order","symbol":"BTC-USDT","order_id":"{id}"}}"#);
                let answer = self.connections[at * CONNECTIONS_EACH].client.ask(&cancel);
                assert_eq!(answer["code"], "UNKNOWN_ORDER", "{id} of {}: {answer}", ACCOUNTS[at]);
            }
        }
    }
}

/// Takes note of an answer. False for what is none.
fn note(orders: &mut [Order], waiting: &mut BTreeMap<u64, usize>, message: &Value) -> bool {
    if message["type"] != "order_ack" {
        assert_ne!(message["type"], "order_reject", "{message}");
        return false;
    }
    let request = message["id"].as_u64().expect("an answer repeats the id");
    let order = &mut orders[waiting.remove(&request).expect("it is answered once")];
    assert_eq!(message["order_id"], order.id.as_str());
    let name = text(message, "exchange_order_id");
    let known_as = order.known_as.get_or_insert_with(|| name.to_owned());
    assert_eq!(known_as, name, "it has one name: {message}");
    order.firsts += usize::from(message["duplicate"] != true);
    true
}

/// What an account has in all, by asset.
fn totals(account: &Value) -> BTreeMap<String, u128> {
    let balances = account["balances"].as_array().expect("a list").iter();
    let total = |of: &Value| atoms(text(of, "free")) + atoms(text(of, "locked"));
    balances.map(|of| (text(of, "asset").to_owned(), total(of))).collect()
}

fn balance(account: &Value, asset: &str, place: &str) -> u128 {
    let mut balances = account["balances"].as_array().expect("a list").iter();
    balances.find(|of| of["asset"] == asset).map_or(0, |of| atoms(text(of, place)))
}

fn open_orders(account: &Value) -> impl Iterator<Item = &Value> {
    account["orders"].as_array().expect("a list").iter()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_else(|| panic!("{key} is a text in {of}"))
}
