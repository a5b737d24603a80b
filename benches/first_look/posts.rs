//! Made-up posts of the size and layout of API v1.1 statuses: users, entities, a media or two, often a retweeted
//! status.

use std::fmt::Write;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const SCRIPTS: [&str; 6] = [
    "coffee morning the train is late again and nobody here knows why so we wait",
    "доброе утро сегодня поезд снова опаздывает и никто не знает почему",
    "おはよう 電車 が また 遅れ て いる 理由 は 誰 も 知ら ない 仕方 ない",
    "صباح الخير القطار متأخر مرة أخرى ولا أحد يعرف السبب",
    "좋은 아침 기차가 또 늦는다 아무도 이유를 모른다",
    "günaydın şu tren yine geç kaldı neden bilmiyoruz 😀 🚆 ☕",
];
const TAGS: [&str; 8] = ["nowplaying", "コーヒー", "Monday", "поезд", "buyer", "confirmed", "news", "기차"];
const OURS: [&str; 5] =
    ["BuyKindleFireHD", "confirmkindlefirehd", "BUYXBOX360", "BuyAmexGiftCard25", "ConfirmXboxController"];

/// `n` records. A third is written as many serialisers do: everything beyond ASCII as `\uXXXX` and `/` as `\/`. One in
/// a hundred carries one of our tags.
pub fn posts(seed: u64, n: usize) -> Vec<String> {
    let mut rng = SmallRng::seed_from_u64(seed);
    (0..n).map(|i| Post { rng: &mut rng, escaped: i % 3 == 0, ours: i % 100 == 50 }.record()).collect()
}

struct Post<'a> {
    rng: &'a mut SmallRng,
    escaped: bool,
    ours: bool,
}

impl Post<'_> {
    fn record(mut self) -> String {
        let id = 300_000_000_000_000_000 + self.rng.random_range(0..1_000_000_000_000_000);
        let retweeted = self.rng.random_bool(0.58).then(|| {
            let ours = std::mem::take(&mut self.ours);
            let original = self.status(id - 77_000_000_000, None);
            self.ours = ours;
            original
        });
        self.status(id, retweeted)
    }

    /// A status, fields in the order in which the API writes them.
    fn status(&mut self, id: u64, retweeted: Option<String>) -> String {
        let mut tags = Vec::new();
        if self.ours {
            tags.push(*OURS.choose(self.rng).expect("there are tags"));
        }
        if self.rng.random_bool(0.25) {
            tags.push(TAGS.choose(self.rng).expect("there are tags"));
        }
        let mut text = self.words(12..22);
        tags.iter().for_each(|tag| text = format!("{text} #{tag}"));
        let text = self.quoted(&text);
        let source = self.quoted("<a href=\"https://example.com/download/app\" rel=\"nofollow\">An app for phones</a>");
        let source = source.replace('<', "\\u003c").replace('>', "\\u003e");
        let (user, entities) = (self.user(), self.entities(&tags));
        let retweeted = retweeted.map(|post| format!(",\"retweeted_status\":{post}")).unwrap_or_default();
        format!(
            "{{\"created_at\":\"Tue Feb 12 15:01:00 +0000 2013\",\"id\":{id},\"id_str\":\"{id}\",\"text\":{text},\
             \"source\":{source},\"truncated\":false,\"in_reply_to_status_id\":null,\"in_reply_to_status_id_str\":null,\
             \"in_reply_to_user_id\":null,\"in_reply_to_user_id_str\":null,\"in_reply_to_screen_name\":null,\
             \"user\":{user},\"geo\":null,\"coordinates\":null,\"place\":null,\"contributors\":null{retweeted},\
             \"is_quote_status\":false,\"quote_count\":0,\"reply_count\":0,\"retweet_count\":{},\"favorite_count\":{},\
             {entities},\"favorited\":false,\"retweeted\":false,\"possibly_sensitive\":false,\
             \"filter_level\":\"low\",\"lang\":\"en\",\"timestamp_ms\":\"1360681260000\"}}",
            id % 911,
            id % 173
        )
    }

    fn user(&mut self) -> String {
        let id = self.rng.random_range(100_000_000..1_500_000_000_000_000_000u64);
        let (name, place, about) = (self.words(1..3), self.words(1..3), self.words(8..20));
        let (name, place, about) = (self.quoted(&name), self.quoted(&place), self.quoted(&about));
        let page = self.quoted("https://t.co/abcdefghij");
        let image = |kind: &str, at: u64| format!("https://pbs.example.com/{kind}/{at}/{at}_normal.jpeg");
        let images = [
            self.quoted(&image("profile_background_images", id)),
            self.quoted(&image("profile_images", id)),
            self.quoted(&image("profile_banners", id)),
        ];
        let [background, portrait, banner] = images;
        format!(
            "{{\"id\":{id},\"id_str\":\"{id}\",\"name\":{name},\"screen_name\":\"user{}\",\"location\":{place},\
             \"url\":{page},\"description\":{about},\"translator_type\":\"none\",\"protected\":false,\"verified\":false,\
             \"followers_count\":{},\"friends_count\":{},\"listed_count\":{},\"favourites_count\":{},\
             \"statuses_count\":{},\"created_at\":\"Sat Oct 23 09:11:00 +0000 2010\",\"utc_offset\":null,\
             \"time_zone\":null,\"geo_enabled\":true,\"lang\":null,\"contributors_enabled\":false,\
             \"is_translator\":false,\"profile_background_color\":\"C0DEED\",\"profile_background_image_url\":{background},\
             \"profile_background_image_url_https\":{background},\"profile_background_tile\":false,\
             \"profile_link_color\":\"1DA1F2\",\"profile_sidebar_border_color\":\"C0DEED\",\
             \"profile_sidebar_fill_color\":\"DDEEF6\",\"profile_text_color\":\"333333\",\
             \"profile_use_background_image\":true,\"profile_image_url\":{portrait},\
             \"profile_image_url_https\":{portrait},\"profile_banner_url\":{banner},\"default_profile\":true,\
             \"default_profile_image\":false,\"following\":null,\"follow_request_sent\":null,\"notifications\":null}}",
            id % 1_000_003,
            id % 5003,
            id % 2003,
            id % 41,
            id % 9001,
            id % 60_013
        )
    }

    /// Hashtags as published, an address, and in some posts a picture with its sizes.
    fn entities(&mut self, tags: &[&str]) -> String {
        let quoted: Vec<String> = tags.iter().map(|tag| self.quoted(tag)).collect();
        let tags: Vec<String> = quoted.iter().map(|tag| format!("{{\"text\":{tag},\"indices\":[60,75]}}")).collect();
        let (short, long) = (self.quoted("https://t.co/abcdefghij"), self.quoted("https://example.com/2013/02/a-page"));
        let urls =
            format!("{{\"url\":{short},\"expanded_url\":{long},\"display_url\":\"example.com\",\"indices\":[76,99]}}");
        let mut out = format!(
            "\"entities\":{{\"hashtags\":[{}],\"urls\":[{urls}],\"user_mentions\":[],\"symbols\":[]}}",
            tags.join(",")
        );
        if self.rng.random_bool(0.4) {
            let size = |w: u32| format!("{{\"w\":{w},\"h\":{w},\"resize\":\"fit\"}}");
            let (small, large) = (size(680), size(2048));
            write!(
                out,
                ",\"extended_entities\":{{\"media\":[{{\"id\":5,\"id_str\":\"5\",\"indices\":[76,99],\"media_url\":{long},\
                 \"media_url_https\":{long},\"url\":{short},\"display_url\":\"pic.example.com\",\"expanded_url\":{long},\
                 \"type\":\"photo\",\"sizes\":{{\"thumb\":{small},\"medium\":{small},\"small\":{small},\"large\":{large}}}}}]}}"
            )
            .expect("strings take everything");
        }
        out
    }

    fn words(&mut self, how_many: std::ops::Range<usize>) -> String {
        let script: Vec<&str> = SCRIPTS.choose(self.rng).expect("there are scripts").split(' ').collect();
        let n = self.rng.random_range(how_many);
        let words: Vec<&str> = (0..n).map(|_| *script.choose(self.rng).expect("scripts have words")).collect();
        words.join(" ")
    }

    fn quoted(&self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '/' if self.escaped => out.push_str("\\/"),
                c if self.escaped && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").expect("strings take everything");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    }
}
