#![no_main]
#![allow(dead_code)] // the file of properties serves three targets

use gateway::ws;

#[path = "../../src/ws/tests/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::handshake_is_decided_once(data));
