//! What a restart must not forget although the log was compacted meanwhile: which offers were withdrawn, and by which
//! tags people were told to confirm.

mod support;

use std::sync::Arc;
use std::time::Duration;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::bus::embedded::{Embedded, EmbeddedOptions};
use pay_by_tweet::clock::VirtualClock;
use pay_by_tweet::domain::{SourceId, Time};
use pay_by_tweet::pipeline::{InlinePipeline, Producer, embedded_options, read_all};
use pay_by_tweet::screen::setup::Topology;
use support::firehose::{Firehose, Plan, Post, START_MS, Words};
use support::outputs::values;
use support::{Gateway, House};

const WITHDRAWN: &str = r#"{"id":"mug","withdrawn":true}"#;
const OTHER_TAGS: &str = r#"{"id":"mug","kind":"purchase","buy_tag":"GetMug","confirm_tag":"YesMug","merchant":"house",
    "item":"Mug","price":"12.00","currency":"USD"}"#;

struct Program {
    house: House,
    clock: VirtualClock,
    log: Arc<Embedded>,
}

impl Program {
    fn new(now_ms: i64) -> Program {
        let house = House::new("", "");
        let clock = VirtualClock::at(Time(now_ms));
        let options = embedded_options(&house.settings, Arc::new(clock.clone()));
        let options = EmbeddedOptions { tombstones_kept: Duration::ZERO, ..options };
        let log = Embedded::open_on(redb::backends::InMemoryBackend::new(), options).expect("an empty log opens");
        Program { house, clock, log: Arc::new(log) }
    }

    fn start(&self) -> InlinePipeline {
        let topology = Topology::new(vec![SourceId { topic: "tweets".to_owned(), partition: 0 }], false);
        let (log, clock) = (self.log.clone(), self.clock.clone());
        let pipeline = InlinePipeline::on(log, clock, &self.house.settings, &self.house.offers, topology);
        let mut pipeline = pipeline.expect("it starts");
        pipeline.run().expect("it runs");
        pipeline
    }

    fn publish(&self, offer: &str) {
        let mut producer = Producer::new(&*self.log, "merchant").expect("a producer");
        producer.send("offers", None, Some(b"mug"), Some(offer.as_bytes())).expect("it is sent");
        producer.commit(&[]).expect("it is committed");
    }
}

#[test]
fn a_withdrawn_offer_stays_withdrawn() {
    let program = Program::new(START_MS);
    let mut pipeline = program.start();
    program.publish(WITHDRAWN);
    pipeline.run().expect("it runs");
    drop(pipeline);
    program.log.compact_now().expect("it is compacted");
    program.start();
    let records = read_all(&*program.log, "offers").expect("it is readable");
    let last = records.iter().rfind(|record| record.key.as_deref() == Some(b"mug")).and_then(|r| r.value.clone());
    assert_eq!(last.as_deref(), Some(WITHDRAWN.as_bytes()), "the offers file must not put it on sale again");
}

#[test]
fn a_confirm_by_the_tag_that_was_told_pays_whatever_became_of_the_offer() {
    for became in [WITHDRAWN, OTHER_TAGS] {
        for restart in [false, true] {
            let plan = Plan {
                seed: 5,
                posts: 4_000,
                shoppers: 20,
                partitions: 1,
                span_ms: 3_600_000,
                disorder_ms: 0,
                scarce: false,
                ..Plan::default()
            };
            let firehose = Firehose::new(plan);
            let program = Program::new(firehose.end_ms());
            let mut pipeline = program.start();
            let log: Arc<dyn Bus> = program.log.clone();
            let mut gateway = Gateway::new(&log);
            gateway.append("accounts.links", 0, firehose.links());
            let buy = firehose.posts.iter().find(|post| matches!(post.words, Words::Buy(0))).expect("somebody buys");
            let (time, id) = (buy.time + 600_000, buy.id + (600_000u64 << 22));
            let confirm = Post { time, id, words: Words::Confirm(0), ..*buy };
            gateway.append("tweets", 0, [buy.record()]);
            pipeline.run().expect("it runs");
            program.publish(became);
            pipeline.run().expect("it runs");
            if restart {
                drop(pipeline);
                program.log.compact_now().expect("it is compacted");
                pipeline = program.start();
            }
            gateway.append("tweets", 0, [confirm.record()]);
            pipeline.run().expect("it runs");
            let payments = values(&*log, "payments.authorized").len();
            assert_eq!(payments, 1, "restart {restart}, the offer became {became}");
        }
    }
}
