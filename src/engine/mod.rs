//! The one loop that runs every stage.
pub mod shard;
