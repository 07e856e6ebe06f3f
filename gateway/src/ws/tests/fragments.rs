//! Messages in pieces: Autobahn family 5 (fragmentation), and what our limit leaves of 9 (big messages) and 10.

use super::check;

#[test]
fn control_frames_are_never_fragmented() {
    for control in ["ping", "pong", "close"] {
        check(&format!("{control}+\ncont => violation 1002"));
    }
    check("ping+ fragment1\ncont fragment2 => violation 1002");
}

#[test]
fn fragments_become_one_message() {
    check("text+ fragment1\ncont fragment2 => text fragment1fragment2");
    check("bin+ fragment1\ncont+ fragment2\ncont fragment3 => bin fragment1fragment2fragment3");
}

#[test]
fn control_frames_may_stand_between_fragments() {
    check(
        "text+ fragment1\nping ping payload\ncont fragment2 => ping ping payload | text fragment1fragment2",
    );
    check(
        "text+ fragment1
         ping pongme 1!
         cont+ fragment2
         cont+ fragment3
         ping pongme 2!
         cont+ fragment4
         pong
         cont fragment5
         => ping pongme 1! | ping pongme 2! | pong | text fragment1fragment2fragment3fragment4fragment5",
    );
}

#[test]
fn continuation_needs_a_beginning() {
    check("cont lonely => violation 1002");
    check("cont+ lonely\ntext Hello => violation 1002");
    check("cont+ a\ntext+ b\ncont c => violation 1002");
    check("text whole\ncont lonely => text whole | violation 1002");
    check("text+ a\ncont b\ncont lonely => text ab | violation 1002");
    check("ping\ncont lonely => ping | violation 1002");
}

#[test]
fn message_is_not_interrupted_by_another() {
    check("text+ fragment1\ntext fragment2 => violation 1002");
    check("text+ fragment1\nbin fragment2 => violation 1002");
    check("bin+ fragment1\ntext+ fragment2 => violation 1002");
}

#[test]
fn empty_frames_and_fragments_are_messages_too() {
    check("text => text");
    check("bin => bin");
    check("text+\ncont+\ncont => text");
    check("text+\ncont+ middle\ncont => text middle");
    check("text+ a\ncont+\ncont+\ncont b\ntext c => text ab | text c");
}

#[test]
fn next_message_starts_clean() {
    check("text+ a\ncont b\nbin \\xff\ntext c => text ab | bin \\xff | text c");
    check("bin+ \\xff\ncont \\xfe\ntext+ c\ncont d => bin \\xff\\xfe | text cd");
}

#[test]
fn sixty_four_kilobytes_in_fragments_of_any_size() {
    for fragment_bytes in [64, 256, 1024, 4096, 16384] {
        let count = 65536 / fragment_bytes - 2;
        let middle = format!("cont+ x*{fragment_bytes}\n").repeat(count);
        check(&format!("text+ x*{fragment_bytes}\n{middle}cont x*{fragment_bytes} => text x*65536"));
    }
}

#[test]
fn sixty_four_kilobytes_in_segments_of_1300() {
    // Autobahn 10.1.1: 50 fragments of 1300 bytes and a last one of 536.
    let middle = "cont+ x*1300\n".repeat(49);
    check(&format!("text+ x*1300\n{middle}cont x*536 => text x*65536"));
}

#[test]
fn a_thousand_messages_in_a_row() {
    let sent = "text x*16\nbin x*64\n".repeat(500);
    let heard = "text x*16 | bin x*64 | ".repeat(500);
    check(&format!("{sent} => {heard}"));
}

#[test]
fn ten_thousand_tiny_fragments() {
    let middle = "cont+ x\n".repeat(9_998);
    check(&format!("text+ x\n{middle}cont x => text x*10000"));
}
