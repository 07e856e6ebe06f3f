//! What a user may rely on.

use super::script::check;

#[test]
fn taker_rests_at_its_limit() {
    check(
        "
        sell ann 10 @ 101
        sell bob 10 @ 103
        buy  cat 15 @ 102 => fill ann cat 10 @ 101 | rest cat 5 @ 102
        ",
    );
}
