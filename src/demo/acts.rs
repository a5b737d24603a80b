//! What the person in front of the page does to the world.

use std::sync::Arc;

use serde_json::{Value, json};

use super::person::You;
use super::world::World;
use crate::domain::Time;
use crate::http::Act;
use crate::posts::post::{Draft, Post};

/// What the network takes.
const TEXT_CHARACTERS_MAX: usize = 280;

impl World {
    /// Does it, or tells why it can't be done.
    pub fn act_as_you(&mut self, act: Act, now: Time) -> Result<Value, String> {
        match act {
            Act::Link { country } => {
                let legal = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
                if !legal {
                    return Err("a country is two capital letters, such as US".to_owned());
                }
                self.you.link(&country, now, &mut self.twitter);
                self.gateway.register(&self.you.user, false);
            }
            Act::Unlink {} | Act::Suspend {} if !self.you.is_linked() => return Err("no card is linked".to_owned()),
            Act::Unlink {} => self.you.unlink(now, &mut self.twitter),
            Act::Suspend {} => self.you.suspend(now, &mut self.twitter),
            Act::Tweet { text, reply_to, quote_of } => return self.tweet(text, reply_to, quote_of, now),
            Act::Retweet { post } => {
                let draft = Draft::retweet(&self.you.user, &self.post(&post)?);
                return Ok(self.publish_as_you(draft, now));
            }
            Act::Edit { post, text } => {
                let text = checked(text)?;
                let old = self.own_post(&post)?;
                let mut draft = Draft { text, edit_of: Some(old.clone()), ..old.draft.clone() };
                draft.urls.clear();
                return Ok(self.publish_as_you(draft, now));
            }
            Act::Delete { post } => {
                let id = self.own_post(&post)?.id;
                if !self.you.delete(id, now, &mut self.twitter) {
                    return Err("this post is gone already".to_owned());
                }
            }
            Act::Anew {} => {
                self.people_in_front += 1;
                self.you = You::new(self.people_in_front, self.you.account.network);
                self.ledger.player(self.you.account);
            }
            // The demo's thread winds the clock.
            Act::Forward { .. } => {}
        }
        Ok(json!({}))
    }

    fn tweet(
        &mut self,
        text: String,
        reply_to: Option<String>,
        quote_of: Option<String>,
        now: Time,
    ) -> Result<Value, String> {
        let (you, text) = (self.you.user.clone(), checked(text)?);
        let draft = match (reply_to, quote_of) {
            (None, None) => Draft::own(&you, text),
            (Some(to), None) => {
                let to = self.post(&to)?;
                let address = format!("@{} ", to.author().handle);
                let text = if text.starts_with(address.trim_end()) { text } else { address + &text };
                Draft::reply(&you, text, Some(to.id), to.author())
            }
            (None, Some(of)) => Draft::quote(&you, &text, &self.post(&of)?),
            (Some(_), Some(_)) => return Err("a post is a reply or a quote, not both".to_owned()),
        };
        Ok(self.publish_as_you(draft, now))
    }

    fn publish_as_you(&mut self, draft: Draft, now: Time) -> Value {
        let post = self.you.publish(draft, now, &mut self.twitter);
        json!({"post": post.id.to_string()})
    }

    /// A post that the page shows.
    fn post(&self, id: &str) -> Result<Arc<Post>, String> {
        let id = id.parse::<u64>().map_err(|_| "a post's id is a number".to_owned())?;
        let found = self.timeline.find(id).or_else(|| self.you.own_post(id)).or_else(|| self.you.prompt(id));
        found.cloned().ok_or_else(|| "this post is no longer in the timeline".to_owned())
    }

    fn own_post(&self, id: &str) -> Result<Arc<Post>, String> {
        let id = id.parse::<u64>().map_err(|_| "a post's id is a number".to_owned())?;
        self.you.own_post(id).cloned().ok_or_else(|| "this is no post of yours that still stands".to_owned())
    }
}

fn checked(text: String) -> Result<String, String> {
    match text.trim().chars().count() {
        0 => Err("a post needs words".to_owned()),
        n if n > TEXT_CHARACTERS_MAX => Err(format!("{n} characters; a post has {TEXT_CHARACTERS_MAX} at most")),
        _ => Ok(text),
    }
}
