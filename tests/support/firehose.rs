//! A firehose from a seed: shoppers who buy in one partition and confirm in another, in time, late, early or twice,
//! among posts that have nothing to do with us. What must come of it follows from a rule of its own, on event times
//! alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

pub const SERVICE: &str = "AmexSync";
pub const SERVICE_ID: u64 = 501_234_567;

/// 2013-02-12T15:00:00Z, the first day of buying by tweet.
pub const START_MS: i64 = 1_360_681_200_000;

const FILLER: &[u8] = br#","source":""#;

pub const SNOWFLAKE_EPOCH_MS: i64 = 1_288_834_974_657;

/// A minute until the prompt can have been seen, and fifteen from then on.
pub const WINDOW_MS: i64 = 960_000;

/// Tag stem, units for sale.
pub const OFFERS: [(&str, Option<u64>); 6] = [
    ("Mug", None),
    ("Kettle", Some(1_000_000)),
    ("Lamp", None),
    ("Chair", Some(1_000_000)),
    ("Teapot", None),
    ("Vase", Some(40)),
];

/// The offer that runs out: who gets a unit depends on the order of reading.
pub const SCARCE: u8 = 5;

pub const FIRST_SHOPPER: u64 = 1_450_001_015_437_457_789;
const FIRST_STRANGER: u64 = 2_000;

/// How large, and how uneven.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    pub seed: u64,
    pub posts: usize,
    pub shoppers: u64,
    pub partitions: u32,
    /// Event time from the first post to the last buy.
    pub span_ms: i64,
    /// How late a post may come behind the newest of its partition; below `time.lateness_max`.
    pub disorder_ms: i64,
    /// Whether some buy what runs out.
    pub scarce: bool,
    /// Whether some cancel, delete their orders, unlink, and whether some records are damaged. The truth below knows
    /// nothing of these.
    pub stops: bool,
    /// Whether all that an account says is in one partition, and who confirms for somebody else in their own.
    pub keyed: bool,
    /// Bytes of a post at least: those of a real firehose have 4,700.
    pub bytes: usize,
}

pub struct Firehose {
    pub plan: Plan,
    /// In order of time.
    pub posts: Vec<Post>,
}

#[derive(Clone, Copy, Debug)]
pub struct Post {
    pub id: u64,
    pub time: i64,
    /// When it comes, on its partition.
    pub arrival: i64,
    pub partition: u32,
    pub author: u64,
    pub words: Words,
    /// Of its record, at least.
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    Noise,
    Buy(u8),
    Confirm(u8),
    /// Buy tag and confirm tag in one post: confirms nothing. Only by those who have bought.
    Both(u8),
    /// The word, to the service.
    Cancel,
    /// No post but the notice that this one is gone.
    Deleted(u64),
    /// Cut in the middle.
    Damaged,
}

/// What one buy must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub order_post: u64,
    pub ordered_at: i64,
    /// The confirms that are in time, by (time, id); empty: it must expire.
    pub confirms: Vec<(i64, u64)>,
}

/// By author and offer, each of whom has one buy that counts.
pub type Truth = BTreeMap<(u64, u8), Due>;

impl Firehose {
    pub fn new(plan: Plan) -> Firehose {
        let mut maker = Maker { plan, random: SmallRng::seed_from_u64(plan.seed), posts: Vec::new() };
        maker.shop();
        assert!(maker.posts.len() <= plan.posts, "more conversations than posts: {}", maker.posts.len());
        while maker.posts.len() < plan.posts {
            let author = FIRST_STRANGER + maker.random.random_range(0..100_000);
            let time = START_MS + maker.random.random_range(-600_000..plan.span_ms + 3_600_000);
            let damaged = plan.stops && maker.random.random_range(0..1_000) == 0;
            maker.say(author, time, if damaged { Words::Damaged } else { Words::Noise });
        }
        let mut posts = maker.posts;
        posts.sort_by_key(|post| post.id);
        Firehose { plan, posts }
    }

    /// The posts of a partition in the order in which they come.
    pub fn of_partition(&self, partition: u32) -> Vec<Post> {
        let mut posts: Vec<Post> = self.posts.iter().filter(|post| post.partition == partition).copied().collect();
        posts.sort_by_key(|post| (post.arrival, post.id));
        posts
    }

    /// The moment after everything.
    pub fn end_ms(&self) -> i64 {
        self.posts.last().map_or(START_MS, |post| post.time) + 24 * 3_600_000
    }

    /// A stranger's post after everything.
    pub fn closing(&self) -> Post {
        let last = self.posts.last().expect("a firehose has posts");
        Post { id: last.id + (1 << 40), time: self.end_ms(), words: Words::Noise, author: FIRST_STRANGER, ..*last }
    }

    /// Every buy that counts and what must come of it: the confirms by its author from its own moment to the deadline.
    pub fn truth(&self) -> Truth {
        let mut truth = Truth::new();
        for post in &self.posts {
            if let Words::Buy(offer) = post.words {
                let due = Due { order_post: post.id, ordered_at: post.time, confirms: Vec::new() };
                truth.entry((post.author, offer)).or_insert(due);
            }
        }
        for post in &self.posts {
            let Words::Confirm(offer) = post.words else { continue };
            let Some(due) = truth.get_mut(&(post.author, offer)) else { continue };
            if (due.ordered_at..=due.ordered_at + WINDOW_MS).contains(&post.time) {
                due.confirms.push((post.time, post.id));
            }
        }
        truth
    }

    /// The records of `accounts.links`.
    pub fn links(&self) -> impl Iterator<Item = Vec<u8>> {
        let shoppers = 0..self.plan.shoppers;
        let unlinked = shoppers.clone().filter(|n| self.plan.stops && n % 40 == 0).map(|n| {
            let account = FIRST_SHOPPER + n;
            format!(r#"{{"type":"unlink","account":"twitter:{account}","at":"2013-02-12T15:40:00.000Z"}}"#).into_bytes()
        });
        let linked = shoppers.map(|n| {
            format!(
                r#"{{"type":"link","account":"twitter:{}","card":"tok_{n:08}","country":"US","handle":"shopper{n}","email_ref":"eml_{n}","billing_ref":"adr_{n}","at":"2013-02-11T15:00:00.000Z"}}"#,
                FIRST_SHOPPER + n
            )
            .into_bytes()
        });
        linked.chain(unlinked)
    }
}

/// The catalogue as a file.
pub fn offers_toml() -> String {
    let mut text = String::new();
    for (stem, quantity) in OFFERS {
        let id = offer_id(stem);
        writeln!(
            text,
            "[[offers]]\nid = \"{id}\"\nkind = \"purchase\"\nbuy_tag = \"Buy{stem}\"\nconfirm_tag = \"Confirm{stem}\"\n\
             merchant = \"house\"\nitem = \"{stem}\"\nprice = \"10.00\"\ncurrency = \"USD\"\nper_account = 1\n\
             opens = \"2013-02-11T05:00:00.000Z\""
        )
        .expect("strings take all");
        if let Some(quantity) = quantity {
            writeln!(text, "quantity = {quantity}").expect("strings take all");
        }
    }
    text
}

pub fn offer_id(stem: &str) -> String {
    stem.to_lowercase()
}

/// The offer of an id in the outputs.
pub fn offer_of(id: &str) -> u8 {
    let found = OFFERS.iter().position(|(stem, _)| offer_id(stem) == id);
    found.unwrap_or_else(|| panic!("no offer has the id {id}")) as u8
}

impl Post {
    /// The record, as API v1.1 writes posts; half of them leave their hashtags to be found in the text.
    pub fn record(&self) -> Vec<u8> {
        let tags: Vec<String> = match self.words {
            Words::Deleted(order) => return self.notice(order),
            Words::Noise | Words::Cancel | Words::Damaged => Vec::new(),
            Words::Buy(offer) => vec![format!("Buy{}", stem(offer))],
            Words::Confirm(offer) => vec![format!("Confirm{}", stem(offer))],
            Words::Both(offer) => vec![format!("Confirm{}", stem(offer)), format!("Buy{}", stem(offer))],
        };
        let mut text = String::with_capacity(160);
        let mut to_service = String::new();
        if self.words == Words::Cancel {
            text += "@AmexSync cancel that, ";
            to_service = format!(r#","in_reply_to_user_id_str":"{SERVICE_ID}","in_reply_to_screen_name":"{SERVICE}""#);
        }
        for tag in &tags {
            write!(text, "#{tag} ").expect("strings take all");
        }
        let mut rest = self.id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..10 {
            text += WORDS[(rest % WORDS.len() as u64) as usize];
            text.push(' ');
            rest = rest.rotate_left(7).wrapping_mul(0xd134_2543_de82_ef95);
        }
        let Post { id, author, time, bytes, .. } = self;
        let published = if id % 2 == 0 {
            let tags: Vec<String> = tags.iter().map(|tag| format!(r#"{{"text":"{tag}"}}"#)).collect();
            format!(r#","entities":{{"hashtags":[{}]}}"#, tags.join(","))
        } else {
            String::new()
        };
        let mut record = format!(
            r#"{{"id":{id},"id_str":"{id}","text":"{text}"{to_service},"user":{{"id":{author},"id_str":"{author}","screen_name":"u{}"}}{published},"lang":"en","timestamp_ms":"{time}"}}"#,
            author % 1_000_000
        )
        .into_bytes();
        // What fills a real post is of no interest here either, and stands behind what is.
        if let Some(lacking) = bytes.checked_sub(record.len() + FILLER.len() + 3).filter(|_| *bytes > 0) {
            record.pop();
            record.extend_from_slice(FILLER);
            record.extend(std::iter::repeat_n(b"lorem ipsum \\u2603 ", lacking / 19 + 1).flatten());
            record.extend_from_slice(b"\"}");
        }
        if self.words == Words::Damaged {
            record.truncate(record.len() / 2);
        }
        record
    }

    fn notice(&self, order: u64) -> Vec<u8> {
        let Post { author, time, .. } = self;
        format!(
            r#"{{"delete":{{"status":{{"id":{order},"id_str":"{order}","user_id":{author},"user_id_str":"{author}"}},"timestamp_ms":"{time}"}}}}"#
        )
        .into_bytes()
    }
}

const WORDS: [&str; 12] = [
    "coffee",
    "buying",
    "confirm",
    "monday",
    "#fail",
    "@someone",
    "rain",
    "snow",
    "\\u2603",
    "http://t.co/x",
    "tea",
    "a",
];

fn stem(offer: u8) -> &'static str {
    OFFERS[usize::from(offer)].0
}

struct Maker {
    plan: Plan,
    random: SmallRng,
    posts: Vec<Post>,
}

impl Maker {
    fn shop(&mut self) {
        for shopper in FIRST_SHOPPER..FIRST_SHOPPER + self.plan.shoppers {
            let offers = if self.plan.scarce { OFFERS.len() } else { OFFERS.len() - 1 } as u8;
            for offer in 0..offers {
                if self.random.random_bool(0.8) {
                    self.converse(shopper, offer);
                }
            }
        }
    }

    /// A buy, and whatever its author says about it.
    fn converse(&mut self, shopper: u64, offer: u8) {
        let bought = START_MS + self.random.random_range(0..self.plan.span_ms);
        let buy = self.say(shopper, bought, Words::Buy(offer));
        let confirm = Words::Confirm(offer);
        let choice = self.random.random_range(0..100);
        match choice {
            0..50 => {
                let at = self.in_time(bought);
                self.say(shopper, at, confirm);
            }
            50..60 => {
                for _ in 0..2 {
                    let at = self.in_time(bought);
                    self.say(shopper, at, confirm);
                }
            }
            60..72 => {
                let at = bought + WINDOW_MS + self.random.random_range(1..3_600_000);
                self.say(shopper, at, confirm);
            }
            72..78 => {
                self.say(shopper, bought + WINDOW_MS + 1, confirm);
            }
            78..88 => {
                let at = bought - self.random.random_range(1..600_000);
                self.say(shopper, at, confirm);
                if choice < 83 {
                    let at = self.in_time(bought);
                    self.say(shopper, at, confirm);
                }
            }
            88..93 => {
                let stranger = FIRST_STRANGER + self.random.random_range(0..100_000);
                let at = self.in_time(bought);
                self.say(stranger, at, confirm);
            }
            93..96 if offer != SCARCE => self.say_again(shopper, buy, Words::Both(offer)),
            _ => {}
        }
        if self.plan.stops && self.random.random_bool(0.15) {
            let order = self.posts[buy].id;
            let words = if self.random.random_bool(0.5) { Words::Cancel } else { Words::Deleted(order) };
            let at = bought + self.random.random_range(-60_000..WINDOW_MS);
            self.say(shopper, at, words);
        }
        // Who was told that it is sold out may try again, and that would be another purchase.
        if offer != SCARCE && self.random.random_bool(0.1) {
            self.say_again(shopper, buy, Words::Buy(offer));
        }
    }

    /// From the buy's own millisecond to the deadline's, both of them now and then.
    fn in_time(&mut self, bought: i64) -> i64 {
        bought
            + *[0, WINDOW_MS, self.random.random_range(1_000..120_000), self.random.random_range(0..WINDOW_MS)]
                .choose_weighted(&mut self.random, |ms| if *ms == 0 || *ms == WINDOW_MS { 1 } else { 10 })
                .expect("there is a choice")
    }

    /// A further post with the buy tag while the window is open, read behind the buy: on its partition, after it.
    fn say_again(&mut self, shopper: u64, buy: usize, words: Words) {
        let first = self.posts[buy];
        let time = first.time + self.random.random_range(1..WINDOW_MS);
        let again = self.say(shopper, time, words);
        let post = &mut self.posts[again];
        post.partition = first.partition;
        post.arrival = post.arrival.max(first.arrival + 1);
    }

    fn say(&mut self, author: u64, time: i64, words: Words) -> usize {
        let spread = self.random.random_range(0..self.plan.partitions);
        let keyed = (author % u64::from(self.plan.partitions)) as u32;
        let partition = if self.plan.keyed { keyed } else { spread };
        let arrival = time + self.random.random_range(0..=self.plan.disorder_ms);
        let id = (((time - SNOWFLAKE_EPOCH_MS) as u64) << 22) | self.posts.len() as u64;
        let bytes = self.plan.bytes;
        self.posts.push(Post { id, time, arrival, partition, author, words, bytes });
        self.posts.len() - 1
    }
}
