//! What streams carry besides conversations: strangers, keep-alives, control messages, heartbeats, and poison.

use std::sync::Arc;

use super::behaviour::Behaviour;
use super::chance::Chance;
use super::desk::{Desk, Into, Planned, Raw, What};
use super::post::{Author, Near, Post, Relation, Word, snowflake};
use crate::domain::Time;
use crate::wire::time;

/// Writes the posts of strangers; accounts have lower numbers.
const STRANGERS_WRITER: u64 = 0x1ff;
const FIRST_STRANGER: u64 = 2_001_000;

/// Records larger than this are made for few seeds: a megabyte takes its time.
const SMALL_BYTES: usize = 64 << 10;

const FAR_AHEAD_MS: i64 = 400 * 86_400_000;

/// Notes down all that goes on besides the accounts, in proportion to what they said.
pub(super) fn chatter(desk: &mut Desk) {
    let mut chance = Chance::new(desk.plan.seed, 5);
    // Accounts that are left out change nothing here.
    let said = desk.plan.orders_min * 3;
    let of = |rate: u32| said * rate as usize / 1000;
    for serial in 0..of(desk.plan.noise) {
        let post = stranger(desk, &mut chance, serial as u64);
        put(desk, &mut chance, post.time(), What::Post(Box::new(post)));
    }
    for serial in 0..of(desk.plan.poison) {
        let (value, meant) = poison(desk, &mut chance, serial as u64);
        desk.count(if meant == Raw::Nothing { Behaviour::IsControl } else { Behaviour::IsPoison });
        let at = moment(desk, &mut chance);
        put(desk, &mut chance, at, What::Raw { value, meant });
    }
    for _ in 0..of(desk.plan.poison) / 4 {
        let (into, value, meant) = poison_aside(&mut chance);
        desk.count(Behaviour::IsPoisonOnTheSide);
        let partition = chance.below(desk.known.partitions as usize) as u32;
        let due = moment(desk, &mut chance);
        let order = desk.next_order();
        desk.note(due, order, Planned { into, partition, what: What::Raw { value, meant } });
    }
    if desk.plan.heartbeats {
        for _ in 0..20 {
            let at = moment(desk, &mut chance);
            let value = format!(r#"{{"heartbeat":{{"at":"{}"}}}}"#, time::format(Time(at))).into_bytes();
            desk.count(Behaviour::IsHeartbeat);
            put(desk, &mut chance, at, What::Raw { value, meant: Raw::Heartbeat(at) });
        }
    }
}

fn moment(desk: &Desk, chance: &mut Chance) -> i64 {
    desk.plan.start.0 + chance.between(0, desk.plan.span.0)
}

fn put(desk: &mut Desk, chance: &mut Chance, at: i64, what: What) {
    let open = desk.plan.post_partitions - u32::from(desk.plan.mute_partition);
    let partition = chance.below(open as usize) as u32;
    let due = at + chance.between(0, desk.plan.disorder.0.min(desk.known.lateness * 4 / 5));
    let order = desk.next_order();
    desk.note(due, order, Planned { into: Into::Posts, partition, what });
}

fn stranger(desk: &Desk, chance: &mut Chance, serial: u64) -> Post {
    let at = moment(desk, chance);
    let user = FIRST_STRANGER + chance.below(100_000) as u64;
    let author = Author { user, handle: Arc::from("passer_by") };
    let good = chance.below(desk.goods.all.len());
    let tags = desk.goods.all[good].tags[0];
    let mut words = vec![Word::Plain(chance.below(256) as u8), Word::Plain(chance.below(256) as u8)];
    if chance.below(4) == 0 {
        words.push(Word::Near(*chance.pick(&Near::ALL), *chance.pick(&[tags.buy, tags.confirm, tags.cancel])));
    }
    let mut post = Post::new(snowflake(at, STRANGERS_WRITER, serial), &author, words);
    post.v2 = chance.per_mille(desk.plan.v2);
    if chance.below(20) == 0 {
        post.profile = Some(tags.buy);
    }
    if chance.below(20) == 0 {
        post.relation = Relation::Reply { post: None, to: desk.known.service.clone() };
    }
    post
}

/// A closing post: it has nothing to say but its time.
pub(super) fn closing(at: i64, serial: u64) -> Post {
    let author = Author { user: FIRST_STRANGER, handle: Arc::from("passer_by") };
    Post::new(snowflake(at, STRANGERS_WRITER, serial), &author, vec![Word::Plain(0)])
}

/// Damaged records are candidates by the service's handle, unless they may go unnoticed.
fn poison(desk: &Desk, chance: &mut Chance, serial: u64) -> (Vec<u8>, Raw) {
    let handle = desk.known.service.handle.clone();
    let id = snowflake(moment(desk, chance), STRANGERS_WRITER, serial);
    let user = r#""user":{"id_str":"7","screen_name":"x"}"#;
    let ahead = snowflake(moment(desk, chance) + FAR_AHEAD_MS, STRANGERS_WRITER, serial);
    let text = |text: String, meant: Raw| (text.into_bytes(), meant);
    match chance.below(20) {
        0 => text(format!(r#"{{"id_str":"{id}","text":"@{handle} hel"#), Raw::Dead("not_json")),
        1 => {
            let mut cut = format!(r#"{{"id_str":"{id}","text":"snow ☃"#).into_bytes();
            cut.pop();
            (cut, Raw::Dead("not_utf8"))
        }
        2 => {
            let mut bytes = format!(r#"{{"id_str":"{id}",{user},"text":"@{handle} "#).into_bytes();
            bytes.extend_from_slice(b"\xff\xfe\"}");
            (bytes, Raw::Dead("not_utf8"))
        }
        3 => {
            let (open, close) = ("[".repeat(128), "]".repeat(128));
            text(format!(r#"{{"a":{open}{close},"text":"@{handle}"}}"#), Raw::Dead("too_deep"))
        }
        4 => {
            text(format!(r#"{{"id_str":"{id}","text":"@{handle}","text":"no",{user}}}"#), Raw::Dead("duplicate_field"))
        }
        5 => text(
            format!(r#"{{"id_str":"{id}","text":7,"user":{{"id_str":"7","screen_name":"{handle}"}}}}"#),
            Raw::Dead("wrong_type"),
        ),
        6 => text(format!(r#"{{"text":"@{handle} hello",{user}}}"#), Raw::Dead("no_id")),
        7 => text(format!(r#"{{"id_str":"{id}","text":"@{handle} hello"}}"#), Raw::Dead("no_author")),
        8 => text(format!(r#"{{"id_str":"{ahead}","text":"@{handle} hello",{user}}}"#), Raw::Dead("future")),
        9 => text(format!(r#"{{"id_str":"{ahead}","text":"tea",{user}}}"#), Raw::Dead("future")),
        10 => text(format!(r#"[{id},"@{handle}"]"#), Raw::Dead("not_json")),
        11 if desk.known.record_bytes_max <= SMALL_BYTES || chance.below(100) == 0 => {
            let mut large = format!(r#"{{"id_str":"{id}","text":"@{handle}",{user},"x":""#).into_bytes();
            large.resize(desk.known.record_bytes_max - 1, b'x');
            large.extend_from_slice(b"\"}");
            (large, Raw::Dead("too_large"))
        }
        12 => text(r#"{"text":"hello" "x":1}"#.to_owned(), Raw::PerhapsDead("not_json")),
        13 => text(format!(r#"{{"delete":{{"status":{{"id_str":"{id}"}}}}}}"#), Raw::Dead("no_author")),
        14 => text(r#"{"delete":{"status":{"user_id_str":"7"}}}"#.to_owned(), Raw::Dead("no_id")),
        15 => text("\r\n".to_owned(), Raw::Nothing),
        16 => text(r#"{"limit":{"track":12,"timestamp_ms":"1360681260000"}}"#.to_owned(), Raw::Nothing),
        17 => text(
            format!(r#"{{"warning":{{"code":"FALLING_BEHIND","message":"@{handle}","percent_full":60}}}}"#),
            Raw::Nothing,
        ),
        18 => text(r#"{"disconnect":{"code":4,"stream_name":"","reason":""}}"#.to_owned(), Raw::Nothing),
        _ => text(format!(r#"{{"something":"@{handle}","else":[1,2,{{}}]}}"#), Raw::Nothing),
    }
}

/// Poison in the side inputs.
fn poison_aside(chance: &mut Chance) -> (Into, Vec<u8>, Raw) {
    const AT: &str = r#""at":"2013-02-12T15:00:00.000Z""#;
    const REPLY: &str = r#""reply":"67e55044-10b1-426f-9247-bb680e5fe0c8","account":"twitter:7""#;
    let account = r#""account":"twitter:7""#;
    let (into, text, meant) = match chance.below(13) {
        0 => (Into::Links, format!(r#"{{"type":"unlink",{account},"#), Raw::Dead("not_json")),
        1 => (Into::Links, format!(r#"{{"type":"unlink",{AT}}}"#), Raw::Dead("no_id")),
        2 => (Into::Links, format!(r#"{{"type":"card",{account},"status":"lost",{AT}}}"#), Raw::Dead("wrong_type")),
        3 => (Into::Links, format!(r#"{{"type":"unlink",{account},{account},{AT}}}"#), Raw::Dead("duplicate_field")),
        4 => (Into::Links, format!(r#"{{"type":"unlink",{account},"at":"soon"}}"#), Raw::Dead("wrong_type")),
        5 => (Into::Links, format!(r#"{{"type":"greeting",{account}}}"#), Raw::Nothing),
        6 => (Into::Links, "\n".to_owned(), Raw::Nothing),
        7 => (Into::Posted, format!(r#"{{{account},"post":"9",{AT}}}"#), Raw::Dead("no_id")),
        8 => (Into::Posted, format!(r#"{{{REPLY},"post":"9","failed":"no",{AT}}}"#), Raw::Dead("wrong_type")),
        9 => (Into::Posted, format!(r#"{{{REPLY},"post":"nine",{AT}}}"#), Raw::Dead("wrong_type")),
        10 => (Into::Posted, r#"{"reply":"#.to_owned(), Raw::Dead("not_json")),
        11 => (Into::Offers, r#"{"buy_tag":"BuyNothing"}"#.to_owned(), Raw::Dead("no_id")),
        _ => (Into::Posted, " ".to_owned(), Raw::Nothing),
    };
    (into, text.into_bytes(), meant)
}
