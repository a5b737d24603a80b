//! What the page shows of the stream: everything that concerns the person in front of it, and of the rest as much as
//! eyes can follow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::twitter::Shown;
use crate::domain::Time;
use crate::posts::post::{Post, Relation};

/// Posts that a page that is opened shows, and that can be retweeted, replied to and quoted.
const POSTS_MAX: usize = 120;

/// Posts of others: one in this time, and so many at once after a quiet while.
const ONE_IN: Duration = Duration::from_millis(650);
const AT_ONCE_MAX: u32 = 5;

/// When the page opens there should be something to see.
const AT_FIRST: u32 = 60;

/// Posts that buy nothing are left out while fewer than this many may be shown: there is always room for a shopper.
const ROOM_FOR_SHOPPERS: u32 = 2;

pub struct Timeline {
    service: u64,
    posts: VecDeque<Arc<Post>>,
    fresh: Vec<Value>,
    deleted: Vec<String>,
    /// Posts of others that may be shown now.
    room: u32,
    refilled: Duration,
}

impl Timeline {
    pub fn new(service: u64) -> Timeline {
        Timeline {
            service,
            posts: VecDeque::new(),
            fresh: Vec::new(),
            deleted: Vec::new(),
            room: AT_FIRST,
            refilled: Duration::ZERO,
        }
    }

    /// Takes what the network has shown; `wall` is time since the start.
    pub fn take(&mut self, shown: Vec<Shown>, you: u64, wall: Duration) {
        while self.refilled + ONE_IN <= wall {
            self.refilled += ONE_IN;
            if self.room < AT_ONCE_MAX {
                self.room += 1;
            }
        }
        for shown in shown {
            match shown {
                Shown::Post(post) if self.fits(&post, you) => self.show(post, you),
                Shown::Post(_) => {}
                Shown::Deleted(id) => {
                    let before = self.posts.len();
                    self.posts.retain(|post| !post.versions.contains(&id));
                    if self.posts.len() < before {
                        self.deleted.push(id.to_string());
                    }
                }
            }
        }
    }

    pub fn find(&self, id: u64) -> Option<&Arc<Post>> {
        self.posts.iter().rfind(|post| post.id == id)
    }

    /// What is new, and what was deleted, since the last time.
    pub fn take_fresh(&mut self) -> (Vec<Value>, Vec<String>) {
        (std::mem::take(&mut self.fresh), std::mem::take(&mut self.deleted))
    }

    /// Everything that is shown, oldest first.
    pub fn json(&self, you: u64) -> Vec<Value> {
        self.posts.iter().map(|post| self.post(post, you)).collect()
    }

    fn fits(&mut self, post: &Post, you: u64) -> bool {
        if concerns(post, you) {
            return true;
        }
        let is_shop = self.is_shop(post);
        let fits = self.room > if is_shop { 0 } else { ROOM_FOR_SHOPPERS };
        self.room -= u32::from(fits);
        fits
    }

    fn show(&mut self, post: Arc<Post>, you: u64) {
        self.fresh.push(self.post(&post, you));
        if post.versions.len() > 1 {
            self.posts.retain(|old| old.first_id() != post.first_id());
        }
        if self.posts.len() >= POSTS_MAX {
            self.posts.pop_front();
        }
        self.posts.push_back(post);
    }

    /// Of the service, of somebody who buys, or an answer to either.
    fn is_shop(&self, post: &Post) -> bool {
        post.author().id == self.service || super::cast::is_shopper(post.author().id)
    }

    fn post(&self, post: &Post, you: u64) -> Value {
        let author = post.author();
        let role = match author.id {
            id if id == you => "you",
            id if id == self.service => "service",
            id if super::cast::is_shopper(id) => "shopper",
            _ => "crowd",
        };
        let (how, other) = match &post.draft.relation {
            Relation::Own => ("own", None),
            Relation::Reply { .. } => ("reply", None),
            Relation::Retweet(other) => ("retweet", Some(other)),
            Relation::Quote(other) => ("quote", Some(other)),
        };
        let of = other.map(|other| json!({"handle": other.author().handle, "text": other.draft.text}));
        let Time(at) = post.time;
        json!({"id": post.id.to_string(), "first": post.first_id().to_string(), "at": at, "handle": author.handle,
            "name": author.name, "role": role, "how": how, "text": post.draft.text, "of": of,
            "to_you": role != "you" && concerns(post, you), "edited": post.versions.len() > 1})
    }
}

/// Whether the person wrote it or is addressed by it.
fn concerns(post: &Post, you: u64) -> bool {
    post.author().id == you || matches!(&post.draft.relation, Relation::Reply { to, .. } if to.id == you)
}
