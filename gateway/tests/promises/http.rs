//! A request over a plain socket, so that it can be as wrong as a test wants it.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The status and the JSON of the answer.
pub fn get(http: &str, path: &str) -> (u16, Value) {
    request(http, "GET", path, "", "")
}

/// Posts JSON.
pub fn post(http: &str, path: &str, body: &str) -> (u16, Value) {
    request(http, "POST", path, "Content-Type: application/json\r\n", body)
}

/// The status and the answer as it is.
pub fn get_text(http: &str, path: &str) -> (u16, String) {
    ask(http, "GET", path, "", "")
}

/// Sends these header lines beside the ones that must be there, and this body.
pub fn request(http: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let (status, body) = ask(http, method, path, headers, body);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}")))
}

fn ask(http: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let authority = http.trim_start_matches("http://").trim_end_matches('/');
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {authority}\r\n") };
    let length = body.len();
    let mut stream = TcpStream::connect(authority).expect("the exchange listens");
    let text = format!(
        "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}
