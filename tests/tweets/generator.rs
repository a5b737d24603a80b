//! Records and catalogues from a seed: posts in every shape, written in every way that JSON allows.

use std::sync::Arc;

use pay_by_tweet::domain::{Currency, Money, Offer, OfferKind, Tag, Terms};
use pay_by_tweet::screen::{Catalogue, Service};
use pay_by_tweet::text::{fold, spellings};
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

const TAGS: [&str; 9] = ["BuyKiosk", "KaufHörer", "購入", "ΣΑΣ", "Straße", "ＢＵＹ", "ks", "x", "𐐀buy"];
const HANDLES: [&str; 5] = ["AmexSync", "u5012", "ab", "_shop_", ""];
const USER_IDS: [Option<u64>; 4] = [Some(501234567), Some(77), Some(5012), None];
const POST_ID: u64 = 301345161999286273;

/// A catalogue, and a record about it.
pub fn case(seed: u64) -> (Catalogue, String) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let tags: Vec<&str> = TAGS.choose_multiple(&mut rng, 3).copied().collect();
    let service = Service {
        handle: pick(&mut rng, &HANDLES).into(),
        user_id: pick(&mut rng, &USER_IDS),
        freeze_tag: rng.random_bool(0.5).then(|| "#StopKarte".into()),
    };
    let mut words = Words { rng, tags: tags.clone(), service: service.clone() };
    let record = words.record();
    let out = written(&mut words.rng, &record);
    (catalogue(&tags, service), out)
}

/// A value in one of the many ways in which JSON can be written.
pub fn written(rng: &mut SmallRng, value: &Value) -> String {
    let style = Style::of(rng);
    let mut out = String::new();
    write(rng, &style, value, &mut out);
    out
}

/// A record of the usual size and layout that has nothing to do with us.
pub fn ordinary(seed: u64) -> String {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut words =
        Words { rng: rng.clone(), tags: vec!["somethingelse", "kino", "買い物"], service: Service::default() };
    let mut record = words.v1(2, true);
    record["source"] = json!("<a href=\"http://example.com/download\" rel=\"nofollow\">An app</a>");
    record["user"]["description"] = json!("#kino und 🎧 \"mehr\" ".repeat(rng.random_range(1..40)));
    let style = Style { escape: 0.0, escape_non_ascii: rng.random_bool(0.5), escaped: None, white_space: 0.0 };
    let mut out = String::new();
    write(&mut rng, &style, &record, &mut out);
    out.replace('<', "\\u003c").replace('>', "\\u003e")
}

fn pick<T: Clone>(rng: &mut SmallRng, all: &[T]) -> T {
    all.choose(rng).expect("there is always a choice").clone()
}

fn catalogue(tags: &[&str], service: Service) -> Catalogue {
    let tag = |text: &str| Tag(fold(text));
    let offers = tags.iter().take(2).map(|buy| Arc::new(offer(buy)));
    let retired = tags.iter().skip(2).map(|buy| (tag(buy), tag(&format!("{buy}ja")), Some(tag("stop"))));
    Catalogue::new(offers, retired, service)
}

fn offer(buy: &str) -> Offer {
    let (confirm, cancel) = (format!("ja{buy}"), format!("{buy}nein"));
    let terms = Terms {
        offer: format!("offer-{buy}"),
        version: 1,
        kind: OfferKind::Purchase,
        buy: Tag(fold(buy)),
        confirm: Tag(fold(&confirm)),
        cancel: Some(Tag(fold(&cancel))),
        buy_tag: buy.into(),
        confirm_tag: confirm,
        cancel_tag: Some(cancel),
        merchant: "merchant".into(),
        item: "item".into(),
        amount: Money { minor: 100, currency: Currency::USD },
        exponent: 2,
        limited: false,
        per_account: 1,
        opens: None,
        closes: None,
        countries: Vec::new(),
        terms_url: None,
        reply_length: 280,
    };
    Offer { terms, quantity: None, waitlist_max: 0, withdrawn: false, credit: None, codes: Vec::new() }
}

/// Makes the contents of records.
struct Words {
    rng: SmallRng,
    tags: Vec<&'static str>,
    service: Service,
}

impl Words {
    fn record(&mut self) -> Value {
        match self.rng.random_range(0..20) {
            0 => json!({"delete": {"status": {"id": 5, "id_str": "5", "user_id": 7}, "timestamp_ms": "1360681260000"}}),
            1 => json!({"heartbeat": {"at": "2013-02-12T15:01:00.000Z"}}),
            2 => json!({"limit": {"track": 77}}),
            3..12 => self.v1(2, true),
            _ => self.v2(),
        }
    }

    fn coin(&mut self) -> bool {
        self.rng.random_bool(0.5)
    }

    fn rarely(&mut self) -> bool {
        self.rng.random_bool(0.15)
    }

    /// A tag, perhaps one that we know, in some spelling, perhaps with something before or behind.
    fn tag(&mut self) -> String {
        let base = pick(&mut self.rng, &self.tags.clone());
        let tag = match self.rng.random_range(0..8) {
            0 => format!("ja{base}"),
            1 => format!("{base}ja"),
            2 => format!("{base}nein"),
            3 => "stop".to_owned(),
            4 => "stopkarte".to_owned(),
            5 => "abc".to_owned(),
            _ => base.to_owned(),
        };
        let spell = |c: char| pick(&mut self.rng, &spellings(c).collect::<Vec<_>>());
        tag.chars().map(spell).collect()
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.rng.random_range(0..6) {
            let handle = self.service.handle.clone();
            let word = match self.rng.random_range(0..14) {
                0 => format!("#{}", self.tag()),
                1 => format!("＃{}", self.tag()),
                2 => format!("@{} ", handle.to_uppercase()),
                3 => format!("RT @{handle}: {}", pick(&mut self.rng, &["", "@cardholder1 "])),
                4 => "cancel".to_owned(),
                5 => "&amp;".to_owned(),
                6 => "😀".to_owned(),
                7 => "\"#\\/".to_owned(),
                8 => format!("http://example.com/#{}", self.tag()),
                9 => "77 ".to_owned(),
                _ => "wort".to_owned(),
            };
            text += &word;
            text += pick(&mut self.rng, &["", " ", "\n", "、", "!", " "]);
        }
        text
    }

    fn user(&mut self) -> u64 {
        let service = self.service.user_id;
        service.filter(|_| self.rarely()).unwrap_or(1450001015437457789)
    }

    /// Who wrote what is retweeted or quoted: the service as often as not.
    fn original_author(&mut self) -> u64 {
        let service = self.service.user_id;
        service.filter(|_| self.coin()).unwrap_or(1450001015437457789)
    }

    fn entities(&mut self, key: &str) -> Value {
        match self.rng.random_range(0..4) {
            0 => Value::Null,
            1 => json!({"hashtags": [], "urls": []}),
            2 => json!({"urls": []}),
            _ => {
                let tag = self.tag();
                json!({"hashtags": [{"indices": [0, 9], (key): "xyz"}, {(key): tag, "indices": [10, 12]}]})
            }
        }
    }

    fn v1(&mut self, depth: u32, full: bool) -> Value {
        let author = if full { self.user() } else { self.original_author() };
        let of_service = self.rarely() || (!full && self.coin());
        let handle = if of_service { self.service.handle.clone() } else { "cardholder1".to_owned() };
        let id = if full { POST_ID } else { POST_ID - 99 };
        let mut post = json!({
            "created_at": "Tue Feb 12 15:01:00 +0000 2013",
            "id": id,
            "id_str": id.to_string(),
            "text": self.text(),
            "user": {"id": author, "id_str": author.to_string(), "screen_name": handle, "url": null},
            "entities": self.entities("text"),
        });
        if self.rarely() {
            post["extended_tweet"] = json!({"full_text": self.text(), "entities": self.entities("text")});
        }
        // What is retweeted or quoted answers somebody more often than not: only then may it be a prompt.
        if self.rarely() || (!full && self.coin()) {
            let user = self.user();
            post["in_reply_to_user_id"] = json!(user);
        }
        if depth > 0 && self.rng.random_bool(0.4) {
            post["retweeted_status"] = self.v1(depth - 1, false);
        }
        if depth > 0 && self.rng.random_bool(0.4) {
            post["quoted_status"] = self.v1(depth - 1, false);
        }
        if self.rarely() {
            let url = format!("https://twitter.com/{}/status/88", self.service.handle);
            post["quoted_status_id"] = json!(88);
            post["quoted_status_permalink"] = json!({"expanded": url});
        }
        post
    }

    fn v2(&mut self) -> Value {
        let mut data = self.v2_post(POST_ID);
        let kind = pick(&mut self.rng, &["retweeted", "quoted", "replied_to", "new"]);
        if self.coin() {
            data["referenced_tweets"] = json!([{"type": kind, "id": "88"}]);
        }
        if self.rarely() {
            data["note_tweet"] = json!({"text": self.text(), "entities": self.entities("tag")});
        }
        let mut record = json!({"data": data});
        if self.coin() {
            let original = self.v2_post(88);
            let users = [
                json!({"id": original["author_id"], "username": self.service.handle}),
                json!({"id": data["author_id"], "username": "cardholder1"}),
            ];
            record["includes"] = json!({"tweets": [original], "users": &users[..self.rng.random_range(0..=2)]});
        } else if self.rarely() {
            let url = format!("https://x.com/{}/status/88", self.service.handle);
            record["data"]["entities"] = json!({"urls": [{"expanded_url": url}]});
        }
        record
    }

    fn v2_post(&mut self, id: u64) -> Value {
        let user = self.user();
        let author = if id == POST_ID { self.user() } else { self.original_author() };
        let mut post = json!({
            "id": id.to_string(),
            "author_id": author.to_string(),
            "created_at": "2013-02-12T15:01:00.000Z",
            "text": self.text(),
            "entities": self.entities("tag"),
        });
        if self.rarely() || (id != POST_ID && self.coin()) {
            post["in_reply_to_user_id"] = json!(user.to_string());
        }
        post
    }
}

/// How a record is written.
struct Style {
    /// The share of chars that are written as escapes though they need not be.
    escape: f64,
    escape_non_ascii: bool,
    /// A char that is always written as an escape.
    escaped: Option<char>,
    /// The share of gaps that hold white space.
    white_space: f64,
}

impl Style {
    fn of(rng: &mut SmallRng) -> Style {
        Style {
            // Mostly little, so that most letters of a key, a tag or a handle stay as they are.
            escape: pick(rng, &[0.0, 0.0, 0.002, 0.02, 0.5]),
            escape_non_ascii: rng.random_bool(0.4),
            escaped: rng.random_bool(0.3).then(|| pick(rng, &['#', '7', '5', '_', 'a', 'e', 'k', 'B', '@'])),
            white_space: pick(rng, &[0.0, 0.3]),
        }
    }
}

fn write(rng: &mut SmallRng, style: &Style, value: &Value, out: &mut String) {
    match value {
        Value::String(text) => write_string(rng, style, text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                gap(rng, style, out);
                write(rng, style, item, out);
                gap(rng, style, out);
            }
            out.push(']');
        }
        Value::Object(fields) => write_object(rng, style, fields, out),
        other => out.push_str(&other.to_string()),
    }
}

fn write_object(rng: &mut SmallRng, style: &Style, fields: &Map<String, Value>, out: &mut String) {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.shuffle(rng);
    out.push('{');
    for (i, (key, value)) in fields.into_iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        gap(rng, style, out);
        write_string(rng, style, key, out);
        gap(rng, style, out);
        out.push(':');
        gap(rng, style, out);
        write(rng, style, value, out);
        gap(rng, style, out);
    }
    out.push('}');
}

fn gap(rng: &mut SmallRng, style: &Style, out: &mut String) {
    if rng.random_bool(style.white_space) {
        out.push_str(pick(rng, &[" ", "\n", "\t", "\r\n", "  "]));
    }
}

fn write_string(rng: &mut SmallRng, style: &Style, text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let must = c.is_ascii_control() || matches!(c, '"' | '\\');
        if must
            || style.escaped == Some(c)
            || rng.random_bool(style.escape)
            || (style.escape_non_ascii && !c.is_ascii())
        {
            escape(rng, c, out);
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

fn escape(rng: &mut SmallRng, c: char, out: &mut String) {
    if let ('"' | '\\' | '/', true) = (c, rng.random_bool(0.5)) {
        out.push('\\');
        out.push(c);
        return;
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        for digit in format!("{unit:04x}").chars() {
            out.push(if rng.random_bool(0.5) { digit.to_ascii_uppercase() } else { digit });
        }
    }
}
