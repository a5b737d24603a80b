//! What people say.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;

use super::post::{Draft, Post, User};
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
        joined: Time(super::cast::JOINED_MS),
        followers: 250_000,
        posts: 90_210,
    });
    let id = 1_750_000_000_000_000_001;
    let time = Time::of_snowflake(id).unwrap_or(at).min(at);
    Arc::new(Post { id, time, draft: Draft::own(&author, "Shops report a busy season"), versions: vec![id] })
}
