//! Conversations with the whole program: posts and side inputs in; verdicts, replies and records out.
//!
//! Each file of a rule holds a table of conversations (`conversations/talk.rs` says how they are told). Every
//! conversation is told in all shapes of posts, one record at a time and in bursts, with redelivered records, and in
//! other orders of reading; and some to processes on a real broker, on several partitions. Expectations are the lines
//! of `Outcome::lines`, complete: what is not expected must not happen.

/// The tests of a table.
macro_rules! tests_of {
    ($table:expr) => {
        #[test]
        fn verdicts() {
            crate::check::check($table, crate::check::Asked::Verdicts);
        }

        #[test]
        fn stands_among_the_tables() {
            assert!(crate::TABLES.iter().any(|table| table[0].0 == $table[0].0));
        }

        #[test]
        fn redelivery_changes_nothing() {
            crate::check::check($table, crate::check::Asked::Redelivery);
        }

        #[test]
        fn another_order_of_reading_changes_no_verdict() {
            crate::check::check($table, crate::check::Asked::ReadingOrder);
        }
    };
}

#[path = "conversations/check.rs"]
mod check;
#[path = "conversations/harness.rs"]
mod harness;
#[path = "conversations/invariants.rs"]
mod invariants;
#[path = "conversations/model.rs"]
mod model;
#[path = "conversations/on_kafka.rs"]
mod on_kafka;
#[path = "conversations/orders.rs"]
mod orders;
#[path = "conversations/outcome.rs"]
mod outcome;
#[path = "conversations/people.rs"]
mod people;
#[path = "conversations/shapes.rs"]
mod shapes;
#[path = "conversations/spread.rs"]
mod spread;
#[path = "conversations/talk.rs"]
mod talk;

#[path = "conversations/broken.rs"]
mod broken;
#[path = "conversations/buys.rs"]
mod buys;
#[path = "conversations/cancels.rs"]
mod cancels;
#[path = "conversations/catalogue.rs"]
mod catalogue;
#[path = "conversations/confirm_forms.rs"]
mod confirm_forms;
#[path = "conversations/deletions.rs"]
mod deletions;
#[path = "conversations/edits.rs"]
mod edits;
#[path = "conversations/feedback.rs"]
mod feedback;
#[path = "conversations/limits.rs"]
mod limits;
#[path = "conversations/own_words.rs"]
mod own_words;
#[path = "conversations/random.rs"]
mod random;
#[path = "conversations/sources.rs"]
mod sources;
#[path = "conversations/standing.rs"]
mod standing;
#[path = "conversations/stock.rs"]
mod stock;
#[path = "conversations/waitlist.rs"]
mod waitlist;
#[path = "conversations/windows.rs"]
mod windows;

// The broker and the processes of the tests of Kafka, of which these use their part.
#[allow(dead_code)]
#[path = "kafka/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "kafka/disk.rs"]
mod disk;
#[allow(dead_code)]
#[path = "kafka/flock.rs"]
mod flock;
#[path = "kafka/ports.rs"]
mod ports;
#[allow(dead_code)]
#[path = "kafka/proxy.rs"]
mod proxy;
#[allow(dead_code)]
#[path = "kafka/secure.rs"]
mod secure;
#[allow(dead_code)]
#[path = "kafka/site.rs"]
mod site;
mod support;

/// Every table.
const TABLES: [talk::Table; 14] = [
    buys::TABLE,
    cancels::TABLE,
    catalogue::TABLE,
    confirm_forms::TABLE,
    deletions::TABLE,
    edits::TABLE,
    feedback::TABLE,
    limits::TABLE,
    own_words::TABLE,
    sources::TABLE,
    standing::TABLE,
    stock::TABLE,
    waitlist::TABLE,
    windows::TABLE,
];
