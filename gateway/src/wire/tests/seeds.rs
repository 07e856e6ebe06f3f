//! The fuzzer's promise on its seeds, on random bytes, and on texts that are nearly requests.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::promises::check;
use super::wire::request::Buffers;

#[test]
fn seeds_keep_the_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/request");
    let mut buffers = Buffers::default();
    let mut seeds = 0;
    for seed in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(seed.unwrap().path()).unwrap();
        check(&bytes, &mut buffers);
        for end in 0..bytes.len() {
            check(&bytes[..end], &mut buffers); // a message cut anywhere
        }
        seeds += 1;
    }
    assert!(seeds >= 20, "the seeds are where they should be");
}

/// Pieces of JSON and of our vocabulary: random rows of them get much further than random bytes.
fn nearly_a_request() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "null", "true", "1", "-1", "1e5", "0.5", "\\u0062",
            "\"\"", " ",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,3}",
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// An object of our keys with values of any type.
fn of_our_keys() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "action",
        "id",
        "order_id",
        "symbol",
        "side",
        "price",
        "quantity",
        "order_type",
        "tif",
        "post_only",
        "stp",
        "channel",
        "streams",
        "depth",
        "interval_ms",
        "on_slow",
        "checksum",
        "account",
        "key",
        "ts",
        "sig",
        "expire_ts",
        "stop_price",
        "stop_limit_price",
        "trail",
        "display_quantity",
        "quote_quantity",
        "timeout_ms",
        "cancel_on_disconnect",
        "other",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "\"subscribe\"",
            "\"submit_order\"",
            "\"cancel_order\"",
            "\"amend_order\"",
            "\"cancel_all_after\"",
            "\"oco\"",
            "\"stop\"",
            "\"gtd\"",
            "\"ping\"",
            "\"auth\"",
            "\"buy\"",
            "\"market\"",
            "\"ioc\"",
            "\"none\"",
            "\"BTC-USDT\"",
            "\"30000.5\"",
            "[\"depth\"]",
            "[\"ticker\",\"kline_1m\"]",
            "20",
            "100",
            "[]",
            "{}",
            "{\"id\":1}",
            "null",
            "true",
            "-1",
            "1",
            "18446744073709551615",
            "18446744073709551616",
            "1.5",
            "1e30",
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        any::<f64>().prop_map(|number| serde_json::to_string(&number).unwrap()),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    prop::collection::btree_map(key, value, 0..8).prop_map(|keys| {
        let keys: Vec<String> = keys.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", keys.join(","))
    })
}

proptest! {
    #[test]
    fn any_bytes_keep_the_promise(bytes: Vec<u8>) {
        check(&bytes, &mut Buffers::default());
    }

    #[test]
    fn nearly_requests_keep_the_promise(text in nearly_a_request()) {
        check(text.as_bytes(), &mut Buffers::default());
    }

    #[test]
    fn our_keys_keep_the_promise(text in of_our_keys()) {
        check(text.as_bytes(), &mut Buffers::default());
    }
}
