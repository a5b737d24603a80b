//! What people say.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use super::post::{Draft, Post, Url, User, short_url};
use crate::domain::Time;

/// A post that buys: the tag in one of the spellings that are the same tag, amid words of any script, at times so far
/// behind that only the full text has it.
pub fn buying(tag: &str, rng: &mut SmallRng) -> String {
    const LONG: &str = "So I have been thinking about this for the better part of the afternoon, asked the cat & the dog, made \
        a list of everything that speaks against it (it was a short list) and another one of everything that speaks for it, \
        and what can I say, here we go";
    let tag = match rng.random_range(0..8) {
        0 => tag.to_lowercase(),
        1 => tag.to_uppercase(),
        _ => tag.to_owned(),
    };
    match rng.random_range(0..8) {
        0 => format!("#{tag}"),
        1 => format!("Early gift! #{tag}"),
        2 => format!("#{tag} because why not"),
        3 => format!("🎁🎁 for me & mine <3 #{tag}!"),
        4 => format!("これください ＃{tag} お願いします"),
        5 => format!("Давно хотел... #{tag} #SmallTreat"),
        6 => format!("{LONG} #{tag}"),
        _ => format!("ok \"now\" then:\n#{tag}\n/finally/"),
    }
}

/// A post of nobody in particular, where the network has none to show.
pub fn somebodys_post(at: Time) -> Arc<Post> {
    let author = Arc::new(User {
        id: 4_242_424_242,
        handle: "morning_paper".to_owned(),
        name: "The Morning Paper".to_owned(),
        about: "News, mostly".to_owned(),
        place: None,
        joined: Time(super::people::JOINED_MS),
        followers: 250_000,
        posts: 90_210,
    });
    let id = 1_750_000_000_000_000_001;
    let time = Time::of_snowflake(id).unwrap_or(at).min(at);
    Arc::new(Post { id, time, draft: Draft::own(&author, "Shops report a busy season"), versions: vec![id] })
}

/// A post that names an offer's tag and must not count as having it.
pub fn look_alike(author: &Arc<User>, tag: &str, number: u64, rng: &mut SmallRng) -> Draft {
    let wide: String = tag.chars().map(wide).collect();
    match rng.random_range(0..7) {
        0 => Draft::own(author, format!("Who came up with #{tag}Already? #Not{tag}")),
        1 => Draft::own(author, format!("{tag} without the sign # {tag} is no tag, is it")),
        2 => Draft::own(author, format!("letters that are others: #{wide}")),
        3 => Draft::own(author, format!("mail#{tag} and @{} are something else", short_name(tag))),
        4 => Draft::own(author, format!("#{tag}_ #{tag}2 #_{tag}")),
        5 => Draft::own(author, format!("half of it #{}", tag.get(..tag.len() / 2).unwrap_or(tag))),
        _ => {
            let short = short_url(number);
            let expanded = format!("https://deals.example.com/today?from=stream#{tag}");
            let draft = Draft::own(author, format!("Read about it here {short} and decide"));
            Draft { urls: vec![Url { short, expanded }], ..draft }
        }
    }
}

/// A post about nothing, often with an address or a picture.
pub fn post(author: &Arc<User>, number: u64, rng: &mut SmallRng) -> Draft {
    let (text, language) = chatter(rng);
    let photo = rng.random_ratio(2, 5).then_some(number >> 1);
    let draft = Draft { language, photo, ..Draft::own(author, text) };
    if rng.random_ratio(1, 5) {
        return draft;
    }
    let short = short_url(number);
    let expanded = format!("https://news.example.com/2026/stories/{number:x}/what-happened-next?source=stream");
    let text = format!("{text} {short}");
    Draft { text, urls: vec![Url { short, expanded }], ..draft }
}

/// Somebody's words about nothing, and their language.
pub fn chatter(rng: &mut SmallRng) -> (&'static str, &'static str) {
    const WORDS: [(&str, &str); 16] = [
        ("good morning", "en"),
        ("The train is late again & so am I #commute", "en"),
        ("Soup of the day: more soup 🍲 <spoiler>", "en"),
        ("He said \"buy low\", I bought lunch", "en"),
        ("今日はいい天気ですね。散歩に行きます #散歩", "ja"),
        ("猫がキーボードの上で寝ている 🐈", "ja"),
        ("Доброе утро! Кофе, потом всё остальное #кофе", "ru"),
        ("Кто забыл зонт? Я забыл зонт.", "ru"),
        ("صباح الخير من القاهرة ☀️", "ar"),
        ("Καλημέρα, πρώτα καφές", "el"),
        ("¿Quién se comió la última galleta? #galletas", "es"),
        ("Schöne Grüße aus Zürich, 1/3 der Strecke geschafft", "de"),
        ("हम लोग चाय पी रहे हैं", "hi"),
        ("비가 온다 #비", "ko"),
        ("👩‍🚀🚀🌕", "und"),
        (
            "A thread, since nobody asked: when the river rises the ducks move up to the bakery, where they queue in an \
             orderly fashion, which cannot be said of the people who come to watch the ducks queue at the bakery. #ducks",
            "en",
        ),
    ];
    WORDS.choose(rng).copied().unwrap_or(WORDS[0])
}

/// The full-width form of an ASCII letter: another letter by the rules of tags.
fn wide(c: char) -> char {
    if c.is_ascii_graphic() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c }
}

/// As much of a tag as a handle may have.
fn short_name(tag: &str) -> &str {
    tag.get(..15).unwrap_or(tag)
}
