//! Any bytes as the parts of a state: it is one or it is refused.
#![no_main]

use engine_core::executor::shadow::Shadow;
use engine_core::state::{StateError, StateReader};

// A part is a byte that says how long it is, and so many bytes.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let mut source = |part: &mut Vec<u8>| {
        let Some((length, after)) = rest.split_first() else { return Ok(false) };
        let (taken, after) = after.split_at(usize::from(*length).min(after.len()));
        part.extend_from_slice(taken);
        rest = after;
        Ok::<_, StateError>(true)
    };
    let _ = Shadow::read((1, 1), &mut StateReader::new(&mut source));
});
