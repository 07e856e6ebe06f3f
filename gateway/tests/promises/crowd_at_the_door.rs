//! Many clients are spread over the reactors whoever accepts them, and when the server stops each of them is told so at once, and
//! when to come back, while they are closed one after the other.

use crate::client::Client;
use crate::exchange::Exchange;

const CLIENTS: usize = 600;

fn connect(exchange: &Exchange) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(&exchange.ws)).collect();
    for client in &mut clients {
        assert_eq!(client.ask(r#"{"action":"ping"}"#)["type"], "pong");
    }
    clients
}

#[test]
fn every_reactor_has_its_share() {
    let exchange = Exchange::start_with(&["serve", "--no-demo-flow", "--reactors", "4"]);
    let mut clients = connect(&exchange);
    let shares = || -> Vec<usize> {
        let metrics = exchange.metrics();
        let lines = metrics.lines().filter(|line| line.starts_with("ringside_connections{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse().expect("a number")).collect()
    };
    let balanced = |shares: &[usize]| shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 33;
    let before = shares();
    assert_eq!((before.len(), before.iter().sum()), (4, CLIENTS));
    assert!(balanced(&before), "{before:?}");
    // They work where they are.
    for client in &mut clients {
        client.ask(r#"{"action":"subscribe","channel":"BTC-USDT"}"#);
        client.until("depth_snapshot");
    }
    assert_eq!(shares(), before);
}

#[test]
fn a_stopping_server_lets_them_go_one_after_the_other() {
    let mut exchange = Exchange::start_with(&["serve", "--no-demo-flow", "--reactors", "1"]);
    let mut clients = connect(&exchange);
    exchange.terminate();
    let mut waits = Vec::new();
    for client in &mut clients {
        waits.push(client.until("server_shutdown")["reconnect_after_ms"].as_u64().expect("a number"));
        assert_eq!(client.until_closed(), Some(1001));
    }
    let (soonest, latest) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert_eq!(*soonest, 500);
    assert!(*latest > 500 && *latest < 600, "the last of {CLIENTS} is told to wait {latest} ms");
    assert!(exchange.wait().success(), "everything accepted took effect and the money is right");
}
