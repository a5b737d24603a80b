//! What is kept of a post or notice in case its buy is read later: confirms, cancels, deletions.

use crate::domain::{AccountId, Echo, PostForm, PostId, PostIntent, PurchaseId, Reason, Tag, Time};

use super::purchase::Purchase;
use super::standing::Stop;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub time: Time,
    pub post: PostId,
    pub first: PostId,
    /// A confirm that was rejected already, and is kept for a purchase that may yet be read.
    pub told: bool,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Confirm(Confirm),
    /// By tags: of their offers; by the word alone: of all. Of the offer whose prompt it answers, or by the word, only
    /// the answered purchase.
    Cancel {
        tags: Vec<Tag>,
        answered: Option<(PurchaseId, Option<Tag>)>,
    },
    Deleted(PostId),
}

/// A post that may confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confirm {
    pub time: Time,
    pub post: PostId,
    pub first: PostId,
    /// In own words, then those of what it echoes.
    pub tags: Vec<Tag>,
    pub form: PostForm,
    /// It carries a buy tag, too.
    pub buys: bool,
    /// It carries a cancel, too: who says both confirms nothing.
    pub cancels: bool,
}

impl Kept {
    /// Whether both are of one post and of one kind.
    pub fn is_same(&self, other: &Kept) -> bool {
        match (&self.what, &other.what) {
            // Each tag is a confirm of its own.
            (What::Confirm(one), What::Confirm(other)) => one.post == other.post && one.tags == other.tags,
            (one, kept) => self.post == other.post && std::mem::discriminant(one) == std::mem::discriminant(kept),
        }
    }

    /// Whether this cancel or deletion concerns a purchase.
    pub fn stops(&self, purchase: &Purchase) -> bool {
        match &self.what {
            What::Confirm(_) => false,
            What::Deleted(post) => *post == purchase.first || *post == purchase.version,
            What::Cancel { .. } if self.time < purchase.ordered_at => false,
            What::Cancel { tags, answered } => {
                let narrowed = |(only, offers): &(PurchaseId, Option<Tag>)| {
                    let same_offer = tags.is_empty() || *offers == purchase.terms.cancel;
                    same_offer && *only != purchase.id
                };
                is_cancelled_by(tags, purchase) && !answered.as_ref().is_some_and(narrowed)
            }
        }
    }

    /// Whether it counts towards what an account may keep: all but the deletion of a known order, and confirms that
    /// were told already or can confirm nothing.
    pub fn is_early(&self, purchases: &[Purchase]) -> bool {
        match &self.what {
            What::Confirm(confirm) => {
                !self.told && !confirm.buys && !confirm.cancels && confirm.form != PostForm::ManualRetweet
            }
            What::Cancel { .. } => true,
            What::Deleted(_) => !purchases.iter().any(|purchase| self.stops(purchase)),
        }
    }

    pub fn as_stop(&self) -> Stop {
        let reason = if let What::Deleted(_) = self.what { Reason::Deleted } else { Reason::CancelledByUser };
        Stop { time: self.time, reason, post: Some(self.post) }
    }
}

/// Whether a cancel with these tags, or with none, means this one's offer.
pub(super) fn is_cancelled_by(tags: &[Tag], purchase: &Purchase) -> bool {
    tags.is_empty() || purchase.terms.cancel.as_ref().is_some_and(|tag| tags.contains(tag))
}

impl Confirm {
    /// The confirms of a post: one for each tag, or one that only echoes something.
    pub fn all_of(intent: &PostIntent) -> Vec<Confirm> {
        let whole = Confirm::of(intent);
        if whole.tags.is_empty() {
            let echoes = !whole.buys && !whole.cancels && whole.echo().is_some_and(|echo| echo.id.is_some());
            return if echoes { vec![whole] } else { Vec::new() };
        }
        whole.tags.iter().map(|tag| Confirm { tags: vec![tag.clone()], ..whole.clone() }).collect()
    }

    fn of(intent: &PostIntent) -> Confirm {
        let buys = intent.buys;
        let cancels = !buys && (!intent.cancel_tags.is_empty() || intent.cancel_word);
        let echoed = match &intent.form {
            PostForm::Retweet(echo) | PostForm::Quote(echo) if !buys && !cancels => echo.confirm_tags.as_slice(),
            PostForm::Retweet(_)
            | PostForm::Quote(_)
            | PostForm::Own
            | PostForm::ManualRetweetOfService
            | PostForm::ManualRetweet => &[],
        };
        let mut tags = intent.confirm_tags.clone();
        tags.extend(echoed.iter().filter(|tag| !intent.confirm_tags.contains(tag)).cloned());
        Confirm {
            time: intent.time,
            post: intent.id,
            first: intent.first_id,
            tags,
            form: intent.form.clone(),
            buys,
            cancels,
        }
    }

    /// Whether it names a purchase: by the tag, or by the prompt that it echoes.
    pub fn names(&self, purchase: &Purchase) -> bool {
        self.tags.contains(&purchase.terms.confirm) || self.echoes_prompt_of(purchase)
    }

    /// Why a post of this form never confirms a purchase, whatever its time.
    pub fn unfit(&self, purchase: &Purchase, account: AccountId) -> Option<Reason> {
        let own = || self.echoes_prompt_of(purchase) || self.echoes_service_to(purchase, account);
        match &self.form {
            _ if self.buys => Some(Reason::BothTags),
            _ if self.cancels => Some(Reason::CancelledByUser),
            PostForm::Own | PostForm::ManualRetweetOfService => None,
            PostForm::ManualRetweet => Some(Reason::ManualRetweet),
            PostForm::Retweet(_) if own() => None,
            PostForm::Retweet(_) => Some(Reason::Retweet),
            PostForm::Quote(_) if own() => None,
            PostForm::Quote(_) => Some(Reason::Quote),
        }
    }

    fn echo(&self) -> Option<&Echo> {
        match &self.form {
            PostForm::Retweet(echo) | PostForm::Quote(echo) => Some(echo),
            _ => None,
        }
    }

    /// By the id that the gateway told.
    fn echoes_prompt_of(&self, purchase: &Purchase) -> bool {
        self.echo().is_some_and(|echo| echo.id.is_some() && echo.id == purchase.prompt_post)
    }

    /// A post of the service that replies to the order or to this user and carries the tag.
    fn echoes_service_to(&self, purchase: &Purchase, account: AccountId) -> bool {
        self.echo().is_some_and(|echo| {
            let to_order = echo.in_reply_to.is_some_and(|post| post == purchase.first || post == purchase.version);
            let to_user = echo.in_reply_to_user == Some(account.user);
            echo.by_service && (to_order || to_user) && echo.confirm_tags.contains(&purchase.terms.confirm)
        })
    }
}
