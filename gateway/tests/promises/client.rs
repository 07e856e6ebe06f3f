//! A plain blocking client on `tungstenite`, for conversations of a few messages.

use serde_json::Value;
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket, client};

/// A message that has not come by then is not coming.
const PATIENCE: Duration = Duration::from_secs(10);

/// An order on BTC-USDT with these keys beside.
pub fn order(keys: &str) -> String {
    format!(r#"{{"action":"submit_order","symbol":"BTC-USDT",{keys}}}"#)
}

/// Microseconds since 1970, so many milliseconds from now.
pub fn time_in_ms(milliseconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    now.as_micros() as u64 + milliseconds * 1000
}

/// A decimal text in units of 10^-18.
pub fn atoms(text: &str) -> u128 {
    let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("{units}{decimals:0<18}").parse().expect("a number")
}

pub struct Client {
    pub socket: WebSocket<TcpStream>,
}

impl Client {
    pub fn connect(ws: &str) -> Self {
        let authority =
            ws.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).expect("a ws:// URL");
        let stream = TcpStream::connect(authority).expect("the exchange listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a positive timeout");
        let (socket, _) = client(ws, stream).expect("the handshake");
        Self { socket }
    }

    /// Connected and logged in.
    pub fn log_in(ws: &str, account: &str) -> Self {
        let mut client = Self::connect(ws);
        client.send(&format!(r#"{{"action":"auth","account":"{account}"}}"#));
        client.until("auth_ack");
        client
    }

    pub fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("the connection is open");
    }

    /// The next text message.
    pub fn next(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) => return serde_json::from_str(&text).expect("the server speaks JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} where a text message was due"),
            }
        }
    }

    /// The next message of that type; what comes before it is passed over.
    pub fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next();
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The account's next report of that kind about that order; what comes before it is passed over.
    pub fn report(&mut self, order_id: &str, exec_type: &str) -> Value {
        loop {
            let message = self.until("execution_report");
            let data = &message["data"];
            if data["order_id"] == order_id && data["exec_type"] == exec_type {
                return data.clone();
            }
        }
    }

    /// Sends an order with these keys and expects it to be accepted.
    pub fn order(&mut self, keys: &str) -> Value {
        let answer = self.ask(&order(keys));
        assert_eq!(answer["type"], "order_ack", "{keys}: {answer}");
        answer
    }

    /// The account as it stands.
    pub fn account(&mut self) -> Value {
        self.send(r#"{"action":"subscribe","channel":"user"}"#);
        let account = self.until("account_snapshot");
        self.send(r#"{"action":"unsubscribe","channel":"user"}"#);
        self.until("unsubscription_ack");
        account["data"].clone()
    }

    /// The ids of the account's open orders.
    pub fn open_orders(&mut self) -> Vec<String> {
        let account = self.account();
        let orders = account["orders"].as_array().expect("a list").iter();
        orders.map(|order| order["order_id"].as_str().expect("a name").to_owned()).collect()
    }

    /// What the account has.
    pub fn balances(&mut self) -> Value {
        self.account()["balances"].clone()
    }

    /// Ends the connection as a machine does that loses its network: with a reset, without a word.
    pub fn break_off(self) {
        let socket = socket2::SockRef::from(self.socket.get_ref());
        socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
    }

    /// Sends and returns the first message that is not news of the account.
    pub fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        loop {
            let message = self.next();
            if !matches!(message["type"].as_str(), Some("execution_report" | "balance_update")) {
                return message;
            }
        }
    }

    /// Reads until the server closes; the code it gave.
    pub fn until_closed(&mut self) -> Option<u16> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map(|CloseFrame { code, .. }| code.into()),
                Ok(_) => {}
                Err(error) => panic!("the connection ended without a close frame: {error}"),
            }
        }
    }
}
