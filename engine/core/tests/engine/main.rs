//! What the engine as a whole promises, whichever way its shards are run.

mod shards_agree;
