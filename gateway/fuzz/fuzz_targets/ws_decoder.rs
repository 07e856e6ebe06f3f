#![no_main]
#![allow(dead_code)] // the file of properties serves three targets

use gateway::ws;

#[path = "../../src/ws/tests/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::decoder_does_not_see_cuts(data));
