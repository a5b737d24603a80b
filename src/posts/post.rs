//! People and posts of the simulated network, before they are rendered.

use std::sync::Arc;

use crate::domain::Time;

/// Somebody on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: u64,
    /// Without `@`, at most 15 of letters, digits and `_`.
    pub handle: String,
    pub name: String,
    pub about: String,
    pub place: Option<&'static str>,
    pub joined: Time,
    pub followers: u64,
    pub posts: u64,
}

/// A post as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub author: Arc<User>,
    /// Plain text: `&`, `<` and `>` are escaped when it is rendered. A URL in it is the network's short one.
    pub text: String,
    /// Where the short URLs of the text lead.
    pub urls: Vec<Url>,
    pub relation: Relation,
    /// The post of which this is a new version.
    pub edit_of: Option<Arc<Post>>,
    /// A picture's id, on v1.1 statuses.
    pub photo: Option<u64>,
    /// A BCP 47 tag, as the network guesses it.
    pub language: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `https://t.co/…`
    pub short: String,
    pub expanded: String,
}

/// What a post has to do with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    Own,
    Reply { post: Option<u64>, to: Arc<User> },
    Retweet(Arc<Post>),
    Quote(Arc<Post>),
}

/// The forms in which people confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Bare,
    Reply,
    ManualRetweet,
    Retweet,
    Quote,
}

/// A post that the network accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub id: u64,
    pub time: Time,
    pub draft: Draft,
    /// Ids of all versions so far, this one last.
    pub versions: Vec<u64>,
}

impl Draft {
    /// An original post in English.
    pub fn own(author: &Arc<User>, text: impl Into<String>) -> Draft {
        Draft {
            author: author.clone(),
            text: text.into(),
            urls: Vec::new(),
            relation: Relation::Own,
            edit_of: None,
            photo: None,
            language: "en",
        }
    }

    /// A reply; the text should begin with the other's handle.
    pub fn reply(author: &Arc<User>, text: impl Into<String>, post: Option<u64>, to: &Arc<User>) -> Draft {
        Draft { relation: Relation::Reply { post, to: to.clone() }, ..Draft::own(author, text) }
    }

    /// A native retweet, of the original if `post` is itself a retweet.
    pub fn retweet(author: &Arc<User>, post: &Arc<Post>) -> Draft {
        let original = match &post.draft.relation {
            Relation::Retweet(original) => original,
            _ => post,
        };
        let text = retweet_text(&original.draft.author.handle, &original.draft.text);
        let relation = Relation::Retweet(original.clone());
        let (language, photo) = (original.draft.language, original.draft.photo);
        Draft { relation, language, photo, ..Draft::own(author, text) }
    }

    /// A quote; the text ends in the quoted post's URL, as the network has it.
    pub fn quote(author: &Arc<User>, words: &str, post: &Arc<Post>) -> Draft {
        let short = short_url(post.id);
        let expanded = post.url();
        Draft {
            relation: Relation::Quote(post.clone()),
            urls: vec![Url { short: short.clone(), expanded }],
            ..Draft::own(author, format!("{words} {short}"))
        }
    }

    /// A confirm in some form; bare while there is no prompt yet.
    pub fn confirm(
        author: &Arc<User>,
        tag: &str,
        form: Form,
        prompt: Option<&Arc<Post>>,
        service: &Arc<User>,
    ) -> Draft {
        let Some(prompt) = prompt else { return Draft::own(author, format!("#{tag}")) };
        match form {
            Form::Bare => Draft::own(author, format!("#{tag}")),
            Form::Reply => Draft::reply(author, format!("@{} yes! #{tag}", service.handle), Some(prompt.id), service),
            Form::ManualRetweet => {
                Draft::own(author, format!("Doing it: RT @{}: {}", service.handle, prompt.draft.text))
            }
            Form::Retweet => Draft::retweet(author, prompt),
            Form::Quote => Draft::quote(author, "Yes please", prompt),
        }
    }
}

impl Post {
    /// The id of its first version.
    pub fn first_id(&self) -> u64 {
        self.versions.first().copied().unwrap_or(self.id)
    }

    pub fn author(&self) -> &Arc<User> {
        &self.draft.author
    }

    pub fn url(&self) -> String {
        format!("https://twitter.com/{}/status/{}", self.draft.author.handle, self.id)
    }
}

/// The network's short URL for something that has this number.
pub fn short_url(number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let digit = |place: u32| char::from(DIGITS[(mixed / 62u64.pow(place) % 62) as usize]);
    let path: String = (0..10).map(digit).collect();
    format!("https://t.co/{path}")
}

/// Characters of a retweet's own text, at most; the rest is an ellipsis.
const RETWEET_CHARACTERS_MAX: usize = 140;

fn retweet_text(handle: &str, text: &str) -> String {
    let whole = format!("RT @{handle}: {text}");
    if whole.chars().count() <= RETWEET_CHARACTERS_MAX {
        return whole;
    }
    whole.chars().take(RETWEET_CHARACTERS_MAX - 1).chain(['…']).collect()
}
