//! How people shop under load, and what must come of it. Whatever a person does leads to the same end however far the
//! service lags: what depends on a prompt waits for the prompt, what does not is scheduled with the order.

use crate::domain::{Reason, State};
use crate::posts::post::Form;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    ConfirmsBare,
    ConfirmsByReply,
    ConfirmsByManualRetweet,
    ConfirmsByRetweet,
    ConfirmsByQuote,
    ConfirmsTwice,
    BuysTwice,
    EditsOrder,
    Races,
    NeverConfirms,
    ConfirmsLate,
    CancelsByWord,
    DeletesOrder,
    Unlinks,
    IsNotLinked,
    JokesByQuote,
    JokesByManualRetweet,
    RetweetsAnOrder,
    RetweetsPromptOfAnother,
    ConfirmsNothing,
}

/// Something that a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Buy,
    /// The same tag once more, in another post.
    BuyAgain,
    /// A new version of the order; the tag stays.
    Reword,
    Confirm(Form),
    Cancel,
    DeleteOrder,
    Unlink,
    QuoteWithTag,
    ManualRetweetWithTag,
    RetweetOrder,
    RetweetPrompt,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// So long after the first post, whatever the service does: drawn between two shares of the time to think.
    Later(f64, f64),
    /// So long after the prompt was posted, drawn likewise.
    Prompted(f64, f64),
    /// When the window is over for sure.
    TooLate,
}

/// The states in which a purchase may end, none if there must be no purchase, and the reason where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub to: &'static [State],
    pub reason: Option<Reason>,
}

/// What a person does: first at once, then the rest.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub first: Act,
    pub rest: &'static [(Act, When)],
    pub end: End,
}

/// How often each behaviour comes, in percent.
pub const WEIGHTS: [(Behaviour, u32); 20] = [
    (Behaviour::ConfirmsBare, 22),
    (Behaviour::ConfirmsByReply, 8),
    (Behaviour::ConfirmsByManualRetweet, 6),
    (Behaviour::ConfirmsByRetweet, 8),
    (Behaviour::ConfirmsByQuote, 6),
    (Behaviour::ConfirmsTwice, 4),
    (Behaviour::BuysTwice, 5),
    (Behaviour::EditsOrder, 4),
    (Behaviour::Races, 3),
    (Behaviour::NeverConfirms, 8),
    (Behaviour::ConfirmsLate, 4),
    (Behaviour::CancelsByWord, 4),
    (Behaviour::DeletesOrder, 4),
    (Behaviour::Unlinks, 3),
    (Behaviour::IsNotLinked, 2),
    (Behaviour::JokesByQuote, 2),
    (Behaviour::JokesByManualRetweet, 2),
    (Behaviour::RetweetsAnOrder, 2),
    (Behaviour::RetweetsPromptOfAnother, 2),
    (Behaviour::ConfirmsNothing, 1),
];

/// A buy that follows one that waits or was paid.
pub const DUPLICATE: End = End { to: &[State::Rejected], reason: Some(Reason::Duplicate) };

const BOUGHT: End = End { to: &[State::Fulfilled], reason: None };
const EXPIRED: End = End { to: &[State::Expired], reason: None };
const NOTHING: End = End { to: &[], reason: None };

const SOON: When = When::Later(0.01, 1.0);
const ANSWERED: When = When::Prompted(0.01, 1.0);

impl Behaviour {
    pub fn script(self) -> Script {
        let bought = |rest| Script { first: Act::Buy, rest, end: BOUGHT };
        let ends = |rest, end| Script { first: Act::Buy, rest, end };
        let joke = |first, end| Script { first, rest: &[], end };
        match self {
            Behaviour::ConfirmsBare => bought(&[(Act::Confirm(Form::Bare), SOON)]),
            Behaviour::ConfirmsByReply => bought(&[(Act::Confirm(Form::Reply), ANSWERED)]),
            Behaviour::ConfirmsByManualRetweet => bought(&[(Act::Confirm(Form::ManualRetweet), ANSWERED)]),
            Behaviour::ConfirmsByRetweet => bought(&[(Act::Confirm(Form::Retweet), ANSWERED)]),
            Behaviour::ConfirmsByQuote => bought(&[(Act::Confirm(Form::Quote), ANSWERED)]),
            Behaviour::ConfirmsTwice => bought(&[(Act::Confirm(Form::Bare), SOON), (Act::Confirm(Form::Bare), SOON)]),
            Behaviour::BuysTwice => {
                bought(&[(Act::BuyAgain, When::Later(0.01, 0.4)), (Act::Confirm(Form::Bare), When::Later(0.4, 1.0))])
            }
            Behaviour::EditsOrder => {
                bought(&[(Act::Reword, When::Later(0.01, 0.4)), (Act::Confirm(Form::Bare), When::Later(0.4, 1.0))])
            }
            Behaviour::Races => {
                ends(&[(Act::Confirm(Form::Bare), SOON)], End { to: &[State::Fulfilled, State::SoldOut], reason: None })
            }
            Behaviour::NeverConfirms => ends(&[], EXPIRED),
            Behaviour::ConfirmsLate => ends(&[(Act::Confirm(Form::Bare), When::TooLate)], EXPIRED),
            Behaviour::CancelsByWord => ends(&[(Act::Cancel, SOON)], cancelled(Reason::CancelledByUser)),
            Behaviour::DeletesOrder => ends(&[(Act::DeleteOrder, SOON)], cancelled(Reason::Deleted)),
            Behaviour::Unlinks => ends(&[(Act::Unlink, ANSWERED)], cancelled(Reason::Unlinked)),
            Behaviour::IsNotLinked => ends(&[], rejected(Reason::NotLinked)),
            Behaviour::JokesByQuote => joke(Act::QuoteWithTag, rejected(Reason::Quote)),
            Behaviour::JokesByManualRetweet => joke(Act::ManualRetweetWithTag, rejected(Reason::ManualRetweet)),
            Behaviour::RetweetsAnOrder => joke(Act::RetweetOrder, NOTHING),
            Behaviour::RetweetsPromptOfAnother => joke(Act::RetweetPrompt, NOTHING),
            Behaviour::ConfirmsNothing => joke(Act::Confirm(Form::Bare), NOTHING),
        }
    }

    /// Posts and notices of deletions that a script streams.
    pub fn posts(self) -> u32 {
        1 + self.script().rest.iter().filter(|(act, _)| *act != Act::Unlink).count() as u32
    }

    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::ConfirmsBare => "confirms by the bare tag",
            Behaviour::ConfirmsByReply => "confirms by reply",
            Behaviour::ConfirmsByManualRetweet => "confirms by manual retweet",
            Behaviour::ConfirmsByRetweet => "confirms by retweet",
            Behaviour::ConfirmsByQuote => "confirms by quote",
            Behaviour::ConfirmsTwice => "confirms twice",
            Behaviour::BuysTwice => "buys twice",
            Behaviour::EditsOrder => "edits the order",
            Behaviour::Races => "races for what is scarce",
            Behaviour::NeverConfirms => "never confirms",
            Behaviour::ConfirmsLate => "confirms late",
            Behaviour::CancelsByWord => "cancels by word",
            Behaviour::DeletesOrder => "deletes the order",
            Behaviour::Unlinks => "unlinks",
            Behaviour::IsNotLinked => "is not linked",
            Behaviour::JokesByQuote => "quotes with the tag",
            Behaviour::JokesByManualRetweet => "retweets by hand with the tag",
            Behaviour::RetweetsAnOrder => "retweets another's order",
            Behaviour::RetweetsPromptOfAnother => "retweets another's prompt",
            Behaviour::ConfirmsNothing => "confirms what nobody ordered",
        }
    }
}

/// Posts of a conversation, on average.
pub fn posts_per_conversation() -> f64 {
    let weights: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let posts: u32 = WEIGHTS.iter().map(|(behaviour, weight)| behaviour.posts() * weight).sum();
    f64::from(posts) / f64::from(weights)
}

fn cancelled(reason: Reason) -> End {
    End { to: &[State::Cancelled], reason: Some(reason) }
}

fn rejected(reason: Reason) -> End {
    End { to: &[State::Rejected], reason: Some(reason) }
}
