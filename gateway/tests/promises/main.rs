//! What Ringside promises, one module each.

mod replay;
