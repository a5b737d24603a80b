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
    fresh: Vec<Arc<Post>>,
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
                Shown::Post(post) if self.fits(&post, you) => self.show(post),
                Shown::Post(_) => {}
                // Whichever version was deleted, the one that is shown goes.
                Shown::Deleted(id) => {
                    self.fresh.retain(|post| !post.versions.contains(&id));
                    let gone = |post: &&Arc<Post>| post.versions.contains(&id);
                    self.deleted.extend(self.posts.iter().filter(gone).map(|post| post.id.to_string()));
                    self.posts.retain(|post| !post.versions.contains(&id));
                }
            }
        }
    }

    pub fn find(&self, id: u64) -> Option<&Arc<Post>> {
        self.posts.iter().rfind(|post| post.id == id)
    }

    /// What is new, and what was deleted, since the last time.
    pub fn take_fresh(&mut self, you: u64) -> (Vec<Value>, Vec<String>) {
        let fresh = std::mem::take(&mut self.fresh);
        (fresh.iter().map(|post| self.post(post, you)).collect(), std::mem::take(&mut self.deleted))
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

    fn show(&mut self, post: Arc<Post>) {
        self.fresh.push(post.clone());
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
            "role": role, "how": how, "text": post.draft.text, "of": of,
            "to_you": role != "you" && concerns(post, you), "edited": post.versions.len() > 1})
    }
}

/// Whether the person wrote it or is addressed by it.
fn concerns(post: &Post, you: u64) -> bool {
    post.author().id == you || matches!(&post.draft.relation, Relation::Reply { to, .. } if to.id == you)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::person::You;
    use crate::demo::twitter::Twitter;
    use crate::domain::Network;
    use crate::posts::people;
    use crate::posts::post::Draft;

    #[test]
    fn eyes_can_follow_and_nothing_of_yours_is_left_out() {
        let mut twitter = Twitter::new("tweets", 1, 7);
        twitter.watch();
        let service = Arc::new(people::service(5, "Service"));
        let (mut you, mut timeline) = (You::new(1, Network::TWITTER), Timeline::new(service.id));
        let crowd = You::new(2, Network::TWITTER).user;
        let mut shown_after = |posts: i64, seconds: u64, you: &mut You, twitter: &mut Twitter| {
            for at in 0..posts {
                twitter.publish(Draft::own(&crowd, format!("post {at}")), Time(1_700_000_000_000 + at));
            }
            let mine = you.publish(Draft::own(&you.user.clone(), "mine"), Time(1_700_000_000_000), twitter);
            let answer = Draft::reply(&service, "@you hello", Some(mine.id), &you.user);
            twitter.publish(answer, Time(1_700_000_000_000));
            timeline.take(twitter.take_shown(), you.user.id, Duration::from_secs(seconds));
            let (fresh, _) = timeline.take_fresh(you.user.id);
            assert!(fresh.iter().any(|post| post["role"] == "you") && fresh.iter().any(|post| post["to_you"] == true));
            fresh.len() as u32
        };
        assert!(shown_after(1000, 0, &mut you, &mut twitter) <= AT_FIRST + 2);
        assert!(shown_after(1000, 0, &mut you, &mut twitter) <= 2);
        assert!(shown_after(1000, 3600, &mut you, &mut twitter) <= AT_ONCE_MAX + 2);
        assert!(timeline.json(you.user.id).len() <= POSTS_MAX);
        let mine = you.publish(Draft::own(&you.user.clone(), "gone soon"), Time(1_700_000_000_000), &mut twitter);
        assert!(you.delete(mine.id, Time(1_700_000_000_001), &mut twitter));
        assert!(!you.delete(mine.id, Time(1_700_000_000_001), &mut twitter), "it was gone");
        timeline.take(twitter.take_shown(), you.user.id, Duration::from_secs(3600));
        assert!(timeline.find(mine.id).is_none());
    }

    #[test]
    fn whichever_version_is_deleted_what_is_shown_goes() {
        let mut twitter = Twitter::new("tweets", 1, 7);
        twitter.watch();
        let mut you = You::new(1, Network::TWITTER);
        let mut timeline = Timeline::new(1);
        let draft = Draft::own(&you.user.clone(), "#BuyIt");
        let id = you.user.id;
        let mut told = |twitter: &mut Twitter| {
            timeline.take(twitter.take_shown(), id, Duration::ZERO);
            let (fresh, deleted) = timeline.take_fresh(id);
            let ids: Vec<String> = fresh.iter().filter_map(|post| post["id"].as_str().map(str::to_owned)).collect();
            (ids, deleted)
        };
        let post = you.publish(draft.clone(), Time(1_700_000_000_000), &mut twitter);
        // It was judged, so it is remembered when it is edited.
        let account = you.account.to_string();
        let event = json!({"purchase": "p", "account": account, "offer": "it", "to": "ordered",
            "at": "2023-11-14T22:13:20.000Z", "post": post.id.to_string()});
        you.take("purchases.events", &event, Time(0));
        let edit = Draft { edit_of: Some(post.clone()), ..draft.clone() };
        let edited = you.publish(edit, Time(1_700_000_001_000), &mut twitter);
        assert!(told(&mut twitter).0.contains(&edited.id.to_string()));
        assert!(you.delete(post.id, Time(1_700_000_002_000), &mut twitter));
        assert_eq!(told(&mut twitter), (Vec::new(), vec![edited.id.to_string()]));
        let short = you.publish(draft, Time(1_700_000_003_000), &mut twitter);
        assert!(you.delete(short.id, Time(1_700_000_004_000), &mut twitter));
        assert_eq!(told(&mut twitter).0, Vec::<String>::new());
    }

    #[test]
    fn a_person_is_told_of_what_is_theirs_and_no_token_is() {
        let mut twitter = Twitter::new("tweets", 1, 7);
        let mut you = You::new(1, Network::TWITTER);
        you.link("US", Time(1_700_000_000_000), &mut twitter);
        let post = you.publish(Draft::own(&you.user.clone(), "#BuyIt"), Time(1_700_000_000_000), &mut twitter);
        assert!(you.is_unsettled());
        let account = you.account.to_string();
        let event = |account: &str, from: Option<&str>, to: &str, reason: Option<&str>| {
            json!({"purchase": "p-1", "account": account, "offer": "it", "from": from, "to": to, "reason": reason,
                "at": "2023-11-14T22:13:20.000Z", "post": post.id.to_string()})
        };
        you.take("purchases.events", &event("twitter:9", None, "ordered", None), Time(0));
        assert_eq!(you.json()["purchases"], json!([]));
        you.take("purchases.events", &event(&account, None, "ordered", None), Time(0));
        you.take("purchases.events", &event(&account, Some("ordered"), "prompted", None), Time(0));
        assert!(you.waits() && !you.is_unsettled());
        let payment = json!({"purchase": "p-1", "account": account, "card": "tok_secret_1234", "merchant": "m",
            "amount": {"minor": 100, "currency": "USD"}, "confirmed_at": "2023-11-14T22:14:20.000Z"});
        you.take("payments.authorized", &payment, Time(0));
        you.take("fulfilment.orders", &json!({"purchase": "p-1"}), Time(0));
        let told = you.take_changed().expect("much changed");
        assert_eq!(told["purchases"][0]["payment"]["card_ends"], "1234");
        assert_eq!(
            (&told["purchases"][0]["ordered"], &told["posts"][0]["verdicts"][1]["to"]),
            (&json!(true), &json!("prompted"))
        );
        assert!(!told.to_string().contains("tok_"), "{told}");
        assert!(you.take_changed().is_none());
    }
}
