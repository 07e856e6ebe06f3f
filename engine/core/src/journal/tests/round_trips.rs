//! What goes in comes out, as bytes and as JSON, and short.

use super::super::codec::{ENTRY_BYTES_MAX, Payload};
use super::commands::{self, KINDS};
use crate::log::Entry;
use crate::message::Input;
use proptest::prelude::*;
use std::convert::Infallible;

fn bytes_of<I: Payload>(entry: &Entry<I>) -> Vec<u8> {
    let mut buffer = [0; ENTRY_BYTES_MAX];
    let count = I::encode(entry, &mut buffer);
    buffer[..count].to_vec()
}

proptest! {
    #[test]
    fn an_input_of_any_kind_comes_back(kind in 0..KINDS, seed: u64) {
        let input = commands::input(kind, seed);
        prop_assert_eq!(commands::kind_of(&input.command), kind);
        let entry = Entry::Input(input);
        let bytes = bytes_of(&entry);
        let mut rest = bytes.as_slice();
        let back = Input::decode(&mut rest).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{entry:?}"));
        prop_assert!(rest.is_empty());
        let json = serde_json::to_string(&entry).unwrap();
        let back: Entry<Input> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{entry:?}"));
    }

    #[test]
    fn a_merge_comes_back(from: u16, count: u32) {
        let entry = Entry::Received { from, count };
        prop_assert_eq!(Infallible::decode(&mut bytes_of::<Infallible>(&entry).as_slice()), Some(entry));
    }

    #[test]
    fn any_bytes_are_an_entry_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Input::decode(&mut bytes.as_slice());
        let _ = Infallible::decode(&mut bytes.as_slice());
    }
}

#[test]
fn the_longest_entry_fits() {
    let longest = bytes_of(&Entry::Input(commands::longest())).len();
    assert!(longest <= 160, "{longest} bytes");
    for seed in 0..2_000 {
        for kind in 0..KINDS {
            assert!(bytes_of(&Entry::Input(commands::input(kind, seed))).len() <= longest);
        }
    }
}

/// If this fails, the bytes have changed: journals that exist cannot be read any more. Give it another
/// [`super::super::FORMAT`], or take the change back.
#[test]
fn the_bytes_of_the_format_do_not_change() {
    let mut all = Vec::new();
    for kind in 0..KINDS {
        for seed in 0..100 {
            all.extend(bytes_of(&Entry::Input(commands::input(kind, seed))));
        }
    }
    assert_eq!((super::super::FORMAT, crc32c::crc32c(&all)), (2, 3_729_372_879));
}

#[test]
fn json_reads_well() {
    let entry = Entry::Input(commands::input(1, 7));
    let expected =
        r#"{"input":{"origin":{"port":93,"session":721,"request":0},"at":197562651111,"ticket":8375,"#
            .to_owned()
            + r#""command":{"deposit":{"account":2771257300,"asset":47208,"amount":"58051903599994780319580"}}}}"#;
    assert_eq!(serde_json::to_string(&entry).unwrap(), expected);
}
