//! A first look at cost, in RAM: what screening a post costs against parsing every post and against a bare search for
//! the tags; what a pending confirmation weighs; what a message to an account takes. `cargo bench --bench first_look`.
//!
//! All posts are made up from a seed. The variants run in turn and the median of the rounds counts, so that a busy
//! machine slows them alike: read the ratios before the absolute figures.

use std::hint::black_box;

use aho_corasick::AhoCorasick;
use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::{Network, Offer};
use pay_by_tweet::screen::shape::{Shape, look};
use pay_by_tweet::screen::{Catalogue, Service, Verdict, post_time, screen, screen_parsing_everything};

#[path = "first_look/accounts.rs"]
mod accounts;
#[path = "first_look/posts.rs"]
mod posts;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 2013;
/// 94 MB at 4.7 KB each: far beyond what a cache holds.
const POSTS: usize = 20_000;
const ROUNDS: usize = 11;
const RECORD_BYTES_MAX: usize = 1 << 20;

/// Something done with a post; whether it found anything.
type Variant<'a> = &'a dyn Fn(&[u8]) -> bool;

fn main() {
    let offers = offers();
    screening(&offers);
    accounts::run(&offers);
}

/// The launch catalogue.
fn offers() -> Vec<Offer> {
    let settings = Settings::load(Some("config/pay-by-tweet.toml".as_ref()), std::iter::empty());
    let offers = settings.and_then(|settings| settings.load_offers()).expect("the shipped configuration is valid");
    offers.into_iter().map(|spec| spec.into_offer(1).expect("the shipped offers are valid")).collect()
}

fn screening(offers: &[Offer]) {
    let posts = posts::posts(SEED, POSTS);
    let bytes: usize = posts.iter().map(String::len).sum();
    let service =
        Service { handle: "PayByTweet".into(), user_id: Some(501_234_567), freeze_tag: Some("FreezeMyCard".into()) };
    let catalogue = Catalogue::new(offers.iter().cloned().map(Into::into), [], service);
    let tags = offers.iter().map(|offer| &offer.terms).flat_map(|t| [&t.buy_tag, &t.confirm_tag]);
    let patterns: Vec<String> = tags.filter(|tag| !tag.is_empty()).take(12).map(|tag| format!("#{tag}")).collect();
    let bare = AhoCorasick::builder().ascii_case_insensitive(true).build(&patterns).expect("tags are short");

    let bare = |post: &[u8]| bare.is_match(post);
    let search = |post: &[u8]| catalogue.may_matter(post);
    let screened = |post: &[u8]| is_effect(&admit_and_screen(post, &catalogue));
    let parsed =
        |post: &[u8]| is_effect(&screen_parsing_everything(post, Network::TWITTER, &catalogue, RECORD_BYTES_MAX));
    let variants: [(&str, Variant<'_>); 4] = [
        ("bare aho-corasick, # + 12 tags", &bare),
        ("the screen's byte search alone", &search),
        ("screened: shape, search, time", &screened),
        ("parsing everything", &parsed),
    ];

    println!(
        "screening, {} posts of {} bytes on average, {} patterns",
        posts.len(),
        bytes / posts.len(),
        patterns.len()
    );
    let mut ns = vec![Vec::new(); variants.len()];
    let mut found = [0; 4];
    for _ in 0..ROUNDS {
        for (i, (_, variant)) in variants.iter().enumerate() {
            let start = cpu_ns();
            found[i] = posts.iter().filter(|post| black_box(variant(black_box(post.as_bytes())))).count();
            ns[i].push((cpu_ns() - start) as f64 / posts.len() as f64);
        }
    }
    assert_eq!(found[2], found[3], "the byte search lost something");
    let medians: Vec<f64> = ns.into_iter().map(median).collect();
    for (i, (name, _)) in variants.iter().enumerate() {
        println!(
            "  {name:32} {:>9.0} ns/post {:>10.0} posts/CPU-s {:>7.2} GB/s   time x{:.2} of screening   {} hits",
            medians[i],
            1e9 / medians[i],
            bytes as f64 / posts.len() as f64 / medians[i],
            medians[i] / medians[2],
            found[i]
        );
    }
}

/// What the screen does with a record: most are only looked at, searched and read for their time; what may matter is
/// copied and screened in full.
fn admit_and_screen(post: &[u8], catalogue: &Catalogue) -> Verdict {
    match look(post, RECORD_BYTES_MAX) {
        Shape::Object(object) if !catalogue.may_matter(object) => {
            black_box(post_time(object, Network::TWITTER));
            Verdict::Passed
        }
        _ => {
            let copy = black_box(post.to_vec());
            screen(&copy, Network::TWITTER, catalogue, RECORD_BYTES_MAX)
        }
    }
}

fn is_effect(verdict: &Verdict) -> bool {
    verdict.matters()
}

/// Processor time of this program in nanoseconds, to the microsecond. The C library tells it; POSIX fixes the unit.
pub fn cpu_ns() -> u64 {
    unsafe extern "C" {
        safe fn clock() -> std::ffi::c_long;
    }
    u64::try_from(clock()).unwrap_or_default() * 1_000
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
