//! A plain blocking client on `tungstenite`, for conversations of a few messages.

use serde_json::Value;
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket, client};

/// A message that has not come by then is not coming.
const PATIENCE: Duration = Duration::from_secs(10);

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
