//! What a restart must not forget although the log was compacted meanwhile: which offers were withdrawn, by which
//! tags people were told to confirm. Who bought already. And what it must not remember: the clock of a live run, in a
//! replay.

mod support;

use std::sync::Arc;
use std::time::Duration;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::bus::embedded::{Embedded, EmbeddedOptions};
use pay_by_tweet::clock::VirtualClock;
use pay_by_tweet::domain::{SourceId, Span, Time};
use pay_by_tweet::pipeline::{InlinePipeline, Producer, embedded_options, read_all};
use pay_by_tweet::screen::setup::Topology;
use support::firehose::{Firehose, Plan, Post, START_MS, Words};
use support::outputs::values;
use support::{Gateway, House};

const MUG: &str = r#"{"id":"mug","kind":"purchase","buy_tag":"BuyMug","confirm_tag":"ConfirmMug","merchant":"house",
    "item":"Mug","price":"10.00","currency":"USD"}"#;
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
        self.start_as(false)
    }

    fn start_as(&self, live: bool) -> InlinePipeline {
        let topology = Topology::new(vec![SourceId { topic: "tweets".to_owned(), partition: 0 }], live);
        let (log, clock) = (self.log.clone(), self.clock.clone());
        let pipeline = InlinePipeline::on(log, clock, &self.house.settings, &self.house.offers, topology);
        let mut pipeline = pipeline.expect("it starts");
        pipeline.run().expect("it runs");
        pipeline
    }

    fn publish(&self, offer: &str) {
        self.publish_to(None, offer);
    }

    fn publish_to(&self, partition: Option<u32>, offer: &str) {
        self.clock.advance(Span::of_secs(1));
        self.publish_at_once(partition, offer);
    }

    /// In the same millisecond as what was said before.
    fn publish_at_once(&self, partition: Option<u32>, offer: &str) {
        let mut producer = Producer::new(&*self.log, "merchant").expect("a producer");
        let key = partition.is_none().then_some(&b"mug"[..]);
        producer.send("offers", partition, key, Some(offer.as_bytes())).expect("it is sent");
        producer.commit(&[]).expect("it is committed");
    }

    /// Appends posts and runs until all is judged.
    fn hear<'p>(&self, pipeline: &mut InlinePipeline, posts: impl IntoIterator<Item = &'p Post>) {
        let log: Arc<dyn Bus> = self.log.clone();
        Gateway::new(&log).append("tweets", 0, posts.into_iter().map(Post::record));
        pipeline.run().expect("it runs");
    }

    /// How many purchases came to this state.
    fn count(&self, to: &str) -> usize {
        values(&*self.log, "purchases.events").iter().filter(|event| event["to"] == to).count()
    }
}

/// A program whose clock is past the conversation, with two accounts linked; the first of them buys a mug.
fn with_a_buyer() -> (Program, InlinePipeline, Post) {
    let plan = Plan { seed: 5, posts: 4_000, shoppers: 20, partitions: 1, span_ms: 3_600_000, ..Plan::default() };
    let firehose = Firehose::new(plan);
    let program = Program::new(firehose.end_ms() + 30 * Span::DAY.0);
    let mut pipeline = program.start();
    let log: Arc<dyn Bus> = program.log.clone();
    Gateway::new(&log).append("accounts.links", 0, firehose.links());
    pipeline.run().expect("it runs");
    let buy = firehose.posts.iter().find(|post| matches!(post.words, Words::Buy(0))).expect("somebody buys");
    (program, pipeline, *buy)
}

/// The post as its author, or the next shopper, says it so much later.
fn later(post: &Post, by: Span, words: Words) -> Post {
    Post { time: post.time + by.0, id: post.id.wrapping_add_signed(by.0 << 22), words, ..*post }
}

/// Inputs are partitioned as their producers like: what was said last about an offer holds, wherever it was said.
#[test]
fn what_was_said_last_of_an_offer_holds_in_whichever_partition() {
    const SCARCE: &str = r#"{"id":"mug","kind":"purchase","buy_tag":"BuyMug","confirm_tag":"ConfirmMug",
        "merchant":"house","item":"Mug","price":"10.00","currency":"USD","quantity":1}"#;
    for partition in 0..4 {
        for restart in [false, true] {
            let (program, mut pipeline, buy) = with_a_buyer();
            let again = |program: &Program, pipeline: InlinePipeline| {
                if restart {
                    drop(pipeline);
                    program.start()
                } else {
                    pipeline
                }
            };
            let other = Post { author: buy.author + 1, ..later(&buy, Span::of_secs(1), buy.words) };
            let last = Post { author: buy.author + 2, ..later(&buy, Span(2_000), buy.words) };
            program.publish_to(Some(partition), SCARCE);
            pipeline.run().expect("it runs");
            pipeline = again(&program, pipeline);
            program.hear(&mut pipeline, [&buy, &other]);
            let sold = (program.count("prompted"), program.count("sold_out"));
            assert_eq!(sold, (1, 1), "one mug for two, said in partition {partition}, restart {restart}");
            program.publish_to(Some(partition), WITHDRAWN);
            pipeline.run().expect("it runs");
            pipeline = again(&program, pipeline);
            program.hear(&mut pipeline, [&last]);
            assert_eq!(program.count("ordered"), 2, "withdrawn in partition {partition}, restart {restart}");
        }
    }
}

/// What is withdrawn before it was ever read is not announced, in whichever partitions both were said.
#[test]
fn an_offer_that_is_withdrawn_before_it_is_read_is_not_put_on_sale() {
    let announced = |withdrawn: Option<u32>, published: u32| {
        let (program, mut pipeline, buy) = with_a_buyer();
        program.publish_to(Some(published), MUG);
        withdrawn.into_iter().for_each(|partition| program.publish_to(Some(partition), WITHDRAWN));
        pipeline.run().expect("it runs");
        program.hear(&mut pipeline, [&later(&buy, Span::of_secs(1), Words::Noise)]);
        pipeline.end_of_input().expect("it runs");
        let replies = values(&*program.log, "replies");
        replies.iter().filter(|reply| reply["kind"] == "announcement" && reply["offer"] == "mug").count()
    };
    assert_eq!(announced(None, 3), 1, "the test sees announcements");
    for (withdrawn, published) in (0..4).flat_map(|w| (0..4).map(move |p| (w, p))) {
        assert_eq!(announced(Some(withdrawn), published), 0, "withdrawn in {withdrawn}, published in {published}");
    }
}

/// Append times can't tell what was said last in one millisecond: then the partition does, to everybody alike.
#[test]
fn what_is_said_of_an_offer_in_one_millisecond_is_told_apart_by_its_partition() {
    for (withdrawn, published) in (0..4).flat_map(|w| (0..4).map(move |p| (w, p))).filter(|(w, p)| w != p) {
        let (program, mut pipeline, buy) = with_a_buyer();
        program.publish_to(Some(published), MUG);
        program.publish_at_once(Some(withdrawn), WITHDRAWN);
        pipeline.run().expect("it runs");
        program.hear(&mut pipeline, [&buy]);
        let sold = usize::from(published > withdrawn);
        assert_eq!(program.count("ordered"), sold, "withdrawn in {withdrawn}, published in {published}");
        pipeline.end_of_input().expect("it runs");
        let announced = values(&*program.log, "replies")
            .iter()
            .filter(|r| r["kind"] == "announcement" && r["offer"] == "mug")
            .count();
        assert_eq!(announced, sold, "withdrawn in {withdrawn}, published in {published}");
    }
}

/// Whoever has bought has bought, although the offer was extended after.
#[test]
fn an_offer_that_is_extended_is_not_sold_again_to_who_has_it() {
    let until = |at: i64| {
        let closes = pay_by_tweet::wire::time::format(Time(at));
        format!(
            r#"{{"id":"mug","kind":"purchase","buy_tag":"BuyMug","confirm_tag":"ConfirmMug","merchant":"house",
            "item":"Mug","price":"10.00","currency":"USD","closes":"{closes}"}}"#
        )
    };
    let (program, mut pipeline, buy) = with_a_buyer();
    let days = |n: i64| Span(n * Span::DAY.0);
    program.publish(&until(buy.time + days(3).0));
    pipeline.run().expect("it runs");
    program.hear(&mut pipeline, [&buy, &later(&buy, Span(60_000), Words::Confirm(0))]);
    program.publish(&until(buy.time + days(20).0));
    pipeline.run().expect("it runs");
    let noise = later(&buy, days(6), Words::Noise);
    program.hear(&mut pipeline, [&noise, &later(&buy, days(7), Words::Buy(0))]);
    assert_eq!((program.count("authorized"), program.count("ordered"), program.count("rejected")), (1, 1, 1));
}

/// A live run tells its clock, so that its own lag shortens nobody's window. In a replay that clock is years ahead.
#[test]
fn the_clock_of_a_live_run_opens_no_window_in_a_replay() {
    let (program, pipeline, buy) = with_a_buyer();
    drop(pipeline);
    let mut live = program.start_as(true);
    program.hear(&mut live, [&later(&buy, Span(-60_000), Words::Noise)]);
    drop(live);
    let mut replay = program.start();
    program.hear(&mut replay, [&buy, &later(&buy, Span(3 * 3_600_000), Words::Confirm(0))]);
    assert_eq!(program.count("prompted"), 2, "prompted, and its late confirm");
    assert_eq!(values(&*program.log, "payments.authorized").len(), 0);
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
            let (program, mut pipeline, buy) = with_a_buyer();
            let confirm = later(&buy, Span::of_mins(10), Words::Confirm(0));
            program.hear(&mut pipeline, [&buy]);
            program.publish(became);
            pipeline.run().expect("it runs");
            if restart {
                drop(pipeline);
                program.log.compact_now().expect("it is compacted");
                pipeline = program.start();
            }
            program.hear(&mut pipeline, [&confirm]);
            let payments = values(&*program.log, "payments.authorized").len();
            assert_eq!(payments, 1, "restart {restart}, the offer became {became}");
        }
    }
}
