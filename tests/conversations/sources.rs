//! Sources: several partitions and networks, live ones, gateways that beat, and what is no post.

use serde_json::json;

use crate::people::{ALICE, NOISE, User};
use crate::talk::{BUY, CONFIRM, Table, Talk};

tests_of!(TABLE);

const TWO: [(&str, u32); 2] = [("tweets", 0), ("tweets", 1)];

fn two_partitions(t: &mut Talk) {
    t.source_partitions = Some(TWO.to_vec());
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY);
    t.on("tweets", 1);
    t.noise("15:02:00");
    t.on("tweets", 0);
    t.watermark("16:00:00");
}

fn two_networks(t: &mut Talk) {
    t.sources = vec![("tweets", "twitter"), ("toots", "mastodon")];
}

/// Read at 15:10 what was said at 15:01: the window of a live prompt counts from when it is decided.
fn read_late(t: &mut Talk) {
    t.live("15:09:00");
    t.linked(ALICE);
    t.noise("15:00:50");
    t.clock("15:10:00");
    t.noise("15:00:55");
    t.clock("15:10:02");
    t.post(ALICE, "15:01:00", BUY);
}

fn expired(t: &mut Talk) {
    t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
}

pub const TABLE: Table = &[
    ("a lagging source expires nobody", |t| {
        two_partitions(t);
        t.on("tweets", 1);
        t.post(ALICE, "15:06:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("all sources have passed the deadline", |t| {
        two_partitions(t);
        t.waits_for_a_confirm(ALICE);
        t.on("tweets", 1);
        t.watermark("15:17:00.001");
        t.expected.clear();
        expired(t);
        t.event_at("expired", "15:17:00");
    }),
    ("a source that was never read holds the watermark", |t| {
        t.source_partitions = Some(TWO.to_vec());
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.watermark("18:00:00");
        t.waits_for_a_confirm(ALICE);
    }),
    ("an order and its confirm on two partitions", |t| {
        t.source_partitions = Some(TWO.to_vec());
        t.linked(ALICE);
        t.on("tweets", 1);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.on("tweets", 0);
        t.post(ALICE, "15:01:00", BUY);
        t.buys_the_gift(ALICE);
    }),
    ("another network, and the same user id on this one", |t| {
        two_networks(t);
        t.on("toots", 0);
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.on("tweets", 0);
        t.post(ALICE, "15:04:00", CONFIRM);
        t.post(ALICE, "15:04:30", "#BuyKindleFireHD");
        t.on("toots", 0);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.expect(&[
            "mastodon/alice gift: ordered > prompted > authorized > fulfilled",
            "mastodon/alice hears prompt, purchased",
            "mastodon/alice pays 1500 USD",
            "alice kindle: rejected(not_linked)",
            "alice hears not_linked",
        ]);
        t.record(
            "payments.authorized",
            json!({"account": "mastodon:1450001015437457789",
            "ordered_at": "2013-02-12T15:01:00.000Z"}),
        );
    }),
    ("a network that lags expires nobody on the other", |t| {
        two_networks(t);
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.watermark("16:00:00");
        t.on("toots", 0);
        t.noise("15:02:00");
        t.noise("15:03:00");
        t.waits_for_a_confirm(ALICE);
    }),
    ("live: our own lag never shortens the window", |t| {
        read_late(t);
        t.clock("15:25:02");
        t.post(ALICE, "15:25:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("live: the window ends a quarter of an hour after the last tick before the prompt", |t| {
        read_late(t);
        t.clock("15:26:00");
        t.post(ALICE, "15:25:02.001", CONFIRM);
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
    ("live: a quiet stream still expires", |t| {
        t.live("15:01:00");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        for clock in ["15:10:00", "15:10:02", "15:22:02", "15:22:04", "15:23:00"] {
            t.clock(clock);
        }
        expired(t);
        t.event_at("expired", "15:17:00");
    }),
    ("live: a stream that says no more than that it is alive is quiet", |t| {
        t.live("15:01:00");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        for minute in 2..24 {
            for second in ["00", "20", "40"] {
                let now = format!("15:{minute:02}:{second}");
                t.raw(&now, b"\r\n");
                t.clock(&now);
            }
        }
        expired(t);
    }),
    ("live: who was prompted days late is told directly where the reply failed", |t| {
        t.live("14 15:00:00");
        t.set("account.buy_max_age", "\"1h\"");
        t.linked(ALICE);
        t.post(ALICE, "15:00:50", "hello");
        t.clock("14 15:00:02");
        t.post(ALICE, "15:01:00", BUY);
        for clock in ["14 15:10:00", "14 15:22:04", "14 15:23:00"] {
            t.clock(clock);
        }
        t.failed(ALICE, "expired", "14 15:23:10");
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice hears prompt, expired",
            "alice privately hears expired",
        ]);
    }),
    ("live: but not before the clock less the lateness has passed the deadline", |t| {
        t.live("15:01:00");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.clock("15:10:00");
        t.clock("15:21:59");
        t.clock("15:22:00");
        t.waits_for_a_confirm(ALICE);
    }),
    ("live: where gateways beat, a dead one expires nobody", |t| {
        t.live("15:01:00");
        t.set("time.idle", "\"heartbeat\"");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.clock("15:30:00");
        t.clock("18:00:00");
        t.waits_for_a_confirm(ALICE);
    }),
    ("live: a heartbeat moves a quiet source", |t| {
        t.live("15:01:00");
        t.set("time.idle", "\"heartbeat\"");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.clock("15:30:00");
        t.heartbeat("15:22:00.001");
        t.clock("15:30:02");
        expired(t);
    }),
    ("live: a post ahead of the clock is a dead letter", |t| {
        t.live("15:00:00");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00.001", BUY);
        t.clock("15:05:00");
        t.post(ALICE, "15:04:00", "#BuyKindleFireHD");
        t.clock("15:05:02");
        t.expect(&["alice kindle: ordered > prompted", "alice hears prompt", "dead letters: future"]);
        t.news_again("what was ahead of the clock is not for ever");
    }),
    ("live: whatever is ahead of the clock does not drag the watermark along", |t| {
        t.live("15:01:00");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.noise("18:00:00");
        t.clock("15:01:10");
        t.noise("18:00:10");
        t.clock("15:01:20");
        t.post(ALICE, "15:01:15", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expected.push("dead letters: future, future".to_owned());
    }),
    ("live: a deletion ahead of the clock is one without a time", |t| {
        t.live("15:00:00");
        t.linked(ALICE);
        let order = t.post(ALICE, "15:00:30", BUY);
        t.delete(ALICE, "20 15:00:00", order);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
        t.event_at("cancelled", "15:00:30");
    }),
    ("live: a post a minute ahead of the clock is read", |t| {
        t.live("15:00:00");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00.000", BUY);
        t.waits_for_a_confirm(ALICE);
    }),
    ("garbage in between disturbs nobody", |t| {
        t.linked(ALICE);
        t.raw("15:00:00", b"{\"cut");
        t.post(ALICE, "15:01:00", BUY);
        t.raw("15:01:00", b"\n");
        t.raw("15:01:00", b"[1, 2]");
        t.raw("15:02:00", br#"{"limit":{"track":1234}}"#);
        t.raw("15:02:00", br##"{"id": 301345161999286273, "text": "#BuyAmexGiftCard25"}"##);
        t.raw("15:02:00", br##"{"text": "#BuyAmexGiftCard25", "user": {"id": 7}}"##);
        t.raw("15:02:00", b"{\"text\": \"#BuyAmexGiftCard25 \xff\"}");
        t.raw("15:02:00", br##"{"id": 1, "id": 2, "text": "#BuyAmexGiftCard25"}"##);
        t.raw("15:02:00", br#"{"unknown": true}"#);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expect(&["dead letters: not_json, not_json, no_author, no_id, not_utf8, duplicate_field"]);
        t.record(
            "dead-letters",
            json!({"topic": "tweets", "partition": 0, "offset": 0, "size": 5, "reason": "not_json"}),
        );
    }),
    ("garbage in side inputs disturbs nobody", |t| {
        t.linked(ALICE);
        t.side("accounts.links", None, json!({"type": "unlink", "at": "2013-02-12T15:00:00.000Z"}));
        t.side("accounts.links", None, json!({"type": "unlink", "account": "alice", "at": "2013-02-12T15:00:00.000Z"}));
        t.side(
            "accounts.links",
            None,
            json!({"type": "unlink", "account": "twitter:1450001015437457789", "at": "soon"}),
        );
        t.side("accounts.links", None, json!({"type": "something new", "account": "twitter:1"}));
        t.side("replies.posted", None, json!({"reply": "no uuid", "account": "twitter:1", "post": "1"}));
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expect(&["dead letters: no_id, wrong_type, wrong_type, wrong_type"]);
    }),
    ("noise says nothing", |t| {
        t.noise("15:01:00");
        t.post(User { id: 7, ..NOISE }, "15:02:00", "I #Buy too much");
        t.expect(&[]);
    }),
    ("live: the clock of the last tick counts, not one that was wrong before", |t| {
        t.live("15:00:00");
        // Nothing is idle here: a wrong clock must not move event time.
        t.set("time.idle", "\"heartbeat\"");
        t.linked(ALICE);
        t.noise("15:00:00");
        t.clock("13 15:00:00");
        t.clock("15:01:00");
        t.noise("15:00:55");
        t.post(ALICE, "15:01:00", BUY);
        t.clock("15:18:00");
        t.post(ALICE, "15:17:00.001", CONFIRM);
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
];
