//! A WebSocket server whose answers are a function of the request.

use futures_util::{SinkExt, StreamExt};
use loadtest::target::Target;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Serves until the runtime ends.
pub struct Scripted {
    pub target: Target,
}

/// What a request was and who sent it.
pub struct Request {
    /// Subscribers are numbered as they subscribe, from 0, over all connections.
    pub subscription: usize,
    pub message: Value,
}

impl Request {
    pub fn action(&self) -> &str {
        self.message["action"].as_str().unwrap_or_default()
    }

    pub fn text(&self, key: &str) -> &str {
        self.message[key].as_str().unwrap_or_default()
    }
}

impl Scripted {
    pub async fn start(answer: impl Fn(&Request) -> Vec<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let (answer, subscriptions) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), subscriptions.clone()));
            }
        });
        Scripted { target: Target::websocket(&url).unwrap() }
    }

    /// Plays `feed` to the first `listeners` subscribers, and `fresh` to those who come after, each after an ack.
    pub async fn feed(listeners: usize, feed: Vec<String>, fresh: Vec<String>) -> Self {
        Self::start(move |request| {
            let script = if request.subscription < listeners { &feed } else { &fresh };
            let mut messages = vec![ack(request.text("channel"))];
            messages.extend_from_slice(script);
            messages
        })
        .await
    }
}

/// Said in place of a message: the connection is closed with that code, or broken off if there is none.
pub fn end(code: Option<u16>) -> String {
    format!("{END}{}", code.map(|code| code.to_string()).unwrap_or_default())
}

/// No message begins like this.
const END: &str = "end:";

async fn end_with(mut socket: WebSocketStream<TcpStream>, code: &str) {
    if let Ok(code) = code.parse::<u16>() {
        let frame = CloseFrame { code: code.into(), reason: "as the script says".into() };
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

async fn serve<F: Fn(&Request) -> Vec<String>>(
    stream: TcpStream,
    answer: Arc<F>,
    subscriptions: Arc<AtomicUsize>,
) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        let subscribes = message["action"] == "subscribe";
        let subscription = subscriptions.fetch_add(usize::from(subscribes), Ordering::SeqCst);
        for reply in answer(&Request { subscription, message }) {
            if let Some(code) = reply.strip_prefix(END) {
                return end_with(socket, code).await;
            }
            if socket.feed(Message::text(reply)).await.is_err() {
                return;
            }
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

pub fn ack(channel: &str) -> String {
    format!(r#"{{"type":"subscription_ack","channel":"{channel}"}}"#)
}

/// One bid below and one ask above 100, and the bid's quantity.
pub fn snapshot(seq: u64, bid_quantity: u64) -> String {
    format!(
        r#"{{"channel":"BTC-USDT","type":"depth_snapshot","data":{{"seq":{seq},"ts":1,"bids":[["99","{bid_quantity}"]],"asks":[["101","1"]]}}}}"#
    )
}

/// Sets the bid's quantity.
pub fn update(prev_seq: u64, seq: u64, bid_quantity: u64) -> String {
    format!(
        r#"{{"channel":"BTC-USDT","type":"depth_update","data":{{"prev_seq":{prev_seq},"seq":{seq},"ts":1,"bids":[["99","{bid_quantity}"]],"asks":[]}}}}"#
    )
}

pub fn trade(trade_id: u64, seq: u64) -> String {
    format!(
        r#"{{"channel":"BTC-USDT","type":"trade","data":{{"trade_id":{trade_id},"seq":{seq},"price":"100","quantity":"0.5","side":"sell","ts":1}}}}"#
    )
}

/// From snapshot 1 to sequence `last`, a trade with every third update.
pub fn right_feed(last: u64) -> Vec<String> {
    let mut feed = vec![snapshot(1, 1)];
    for seq in 2..=last {
        feed.push(update(seq - 1, seq, seq));
        if seq % 3 == 0 {
            feed.push(trade(seq / 3, seq));
        }
    }
    feed
}
