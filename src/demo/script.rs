//! What shoppers do, step by step, and what must come of it.
//!
//! A step that depends on the service waits for what the network shows, as a person would. Times to think are far from
//! the edges of the rules, so that a service that lags by tens of virtual seconds comes to the same outcomes.

use crate::domain::{Reason, Span, State};
use crate::posts::post::Form;

/// How somebody shops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    ConfirmsBare,
    ConfirmsByReply,
    ConfirmsByManualRetweet,
    ConfirmsByRetweet,
    ConfirmsByQuote,
    ConfirmsUnasked,
    BuysTwoAtOnce,
    BuysTwice,
    BuysWithBothTags,
    ChangesMindTwice,
    EditsOrder,
    AddsTagByEdit,
    NeverConfirms,
    ConfirmsLate,
    CancelsByWord,
    CancelsByTag,
    DeletesOrder,
    Unlinks,
    Freezes,
    BlocksService,
    IsNotLinked,
    HasSuspendedCard,
    IsAbroad,
    JokesByQuote,
    JokesByManualRetweet,
    RetweetsAnOrder,
    RetweetsPromptOfAnother,
    Races,
    StandsInLine(Place),
}

/// Roles around the offer with a line: two get units, two wait, one is turned away; then one leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Leaves,
    Stays,
    MovesUp,
    WaitsInVain,
    TurnedAway,
}

/// What must come of a buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// One payment and one order.
    Purchased,
    Ends(End),
    /// Purchased or sold out, as it happens; the race as a whole sells every unit and no more.
    PurchasedOrSoldOut,
    /// No purchase at all, not even a rejected one.
    Nothing,
}

/// An end without payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub state: State,
    /// Why it came to this state.
    pub reason: Option<Reason>,
    /// Why a confirm was rejected meanwhile.
    pub rejected_confirm: Option<Reason>,
}

/// One step of a script. Offers are told by their place among what the shopper came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Link,
    SuspendCard,
    Unlink,
    /// Lets this many virtual seconds pass, drawn from a range; fewer where the confirm window is shorter than usual.
    Think(i64, i64),
    /// Waits until the confirm window of the prompt seen last is over for sure.
    UntilLate,
    Buy(usize, Outcome),
    /// One post with the tags of the first two offers.
    BuyBoth,
    BuyWithConfirmTag(Outcome),
    /// A post without any tag, to be edited.
    Muse,
    /// A new version of the post that bought; the tag stays.
    Reword,
    /// A new version of the last post, with the buy tag.
    AddTag(Outcome),
    Confirm(usize, Form),
    Cancel,
    CancelByTag,
    DeleteOrder,
    Freeze,
    JokeByQuote,
    JokeByManualRetweet,
    RetweetOrder,
    RetweetPromptOfAnother,
    /// Waits for a reply of this kind: (kind, offer, how).
    Await(&'static str, Option<usize>, Wait),
    /// Waits for the prompt; goes home if the offer is sold out.
    AwaitPromptOrSoldOut,
    /// Gives a sign to the others in line.
    Signal,
    /// Waits until this many signs were given.
    AwaitSignals(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The service answers this at once.
    AtOnce,
    /// It takes as long as it takes.
    Long,
    /// At once, by direct message.
    Direct,
}

/// The behaviours of single shoppers, and how often each comes.
pub const WEIGHTS: [(Behaviour, u32); 27] = [
    (Behaviour::ConfirmsBare, 10),
    (Behaviour::ConfirmsByReply, 6),
    (Behaviour::ConfirmsByManualRetweet, 5),
    (Behaviour::ConfirmsByRetweet, 6),
    (Behaviour::ConfirmsByQuote, 5),
    (Behaviour::ConfirmsUnasked, 3),
    (Behaviour::BuysTwoAtOnce, 3),
    (Behaviour::BuysTwice, 4),
    (Behaviour::BuysWithBothTags, 2),
    (Behaviour::ChangesMindTwice, 2),
    (Behaviour::EditsOrder, 3),
    (Behaviour::AddsTagByEdit, 2),
    (Behaviour::NeverConfirms, 6),
    (Behaviour::ConfirmsLate, 4),
    (Behaviour::CancelsByWord, 3),
    (Behaviour::CancelsByTag, 2),
    (Behaviour::DeletesOrder, 3),
    (Behaviour::Unlinks, 2),
    (Behaviour::Freezes, 2),
    (Behaviour::BlocksService, 2),
    (Behaviour::IsNotLinked, 4),
    (Behaviour::HasSuspendedCard, 2),
    (Behaviour::IsAbroad, 2),
    (Behaviour::JokesByQuote, 3),
    (Behaviour::JokesByManualRetweet, 3),
    (Behaviour::RetweetsAnOrder, 3),
    (Behaviour::RetweetsPromptOfAnother, 3),
];

pub const PLACES: [Place; 5] = [Place::Leaves, Place::Stays, Place::MovesUp, Place::WaitsInVain, Place::TurnedAway];

/// The script of a behaviour, for a confirm window of this length.
pub fn script(behaviour: Behaviour, form: Form, window: Span) -> Vec<Step> {
    use Behaviour as B;
    match behaviour {
        B::ConfirmsBare => confirming(Form::Bare, window),
        B::ConfirmsByReply => confirming(Form::Reply, window),
        B::ConfirmsByManualRetweet => confirming(Form::ManualRetweet, window),
        B::ConfirmsByRetweet => confirming(Form::Retweet, window),
        B::ConfirmsByQuote => confirming(Form::Quote, window),
        B::Races => racing(form, window),
        B::StandsInLine(place) => in_line(place, form, window),
        B::ConfirmsUnasked
        | B::BuysTwoAtOnce
        | B::BuysTwice
        | B::BuysWithBothTags
        | B::ChangesMindTwice
        | B::EditsOrder
        | B::AddsTagByEdit => buying(behaviour, form, window),
        B::NeverConfirms
        | B::ConfirmsLate
        | B::CancelsByWord
        | B::CancelsByTag
        | B::DeletesOrder
        | B::Unlinks
        | B::Freezes
        | B::BlocksService => ending(behaviour, form),
        B::IsNotLinked | B::HasSuspendedCard | B::IsAbroad => refused(behaviour),
        B::JokesByQuote => linked([Step::JokeByQuote]),
        B::JokesByManualRetweet => linked([Step::JokeByManualRetweet]),
        B::RetweetsAnOrder => linked([Step::RetweetOrder]),
        B::RetweetsPromptOfAnother => linked([Step::RetweetPromptOfAnother]),
    }
}

/// Waits for the prompt, thinks for up to half of the window, confirms.
fn confirming(form: Form, window: Span) -> Vec<Step> {
    linked([Step::Buy(0, Outcome::Purchased)].into_iter().chain(prompted(0)).chain(confirm(0, form, window)))
}

fn buying(behaviour: Behaviour, form: Form, window: Span) -> Vec<Step> {
    let bought = Outcome::Purchased;
    let steps: Vec<Step> = match behaviour {
        Behaviour::ConfirmsUnasked => {
            vec![Step::Buy(0, bought), Step::Think(20, 40), Step::Confirm(0, Form::Bare), purchased(0)]
        }
        Behaviour::BuysTwoAtOnce => {
            let both = [Step::BuyBoth].into_iter().chain(prompted(0)).chain(prompted(1));
            let half = Span(window.0 / 2);
            both.chain(confirm(0, Form::Bare, half)).chain(confirm(1, Form::Reply, half)).collect()
        }
        Behaviour::BuysTwice => {
            let duplicate = Outcome::ends(State::Rejected, Reason::Duplicate);
            let again = [Step::Think(30, 90), Step::Buy(0, duplicate), at_once("already_tweeted", 0)];
            let first = [Step::Buy(0, bought)].into_iter().chain(prompted(0));
            first.chain(again).chain(confirm(0, form, window)).collect()
        }
        Behaviour::BuysWithBothTags => {
            let unconfirmed = End { state: State::Expired, reason: None, rejected_confirm: Some(Reason::BothTags) };
            let first = [Step::BuyWithConfirmTag(Outcome::Ends(unconfirmed))].into_iter().chain(prompted(0));
            first.chain([expired(0)]).collect()
        }
        Behaviour::ChangesMindTwice => {
            let cancelled = Outcome::ends(State::Cancelled, Reason::CancelledByUser);
            let first = [Step::Buy(0, cancelled)].into_iter().chain(prompted(0));
            let back = [Step::Think(20, 90), Step::Cancel, at_once("cancelled", 0), Step::Think(60, 240)];
            let again = [Step::Buy(0, bought)].into_iter().chain(prompted(0));
            first.chain(back).chain(again).chain(confirm(0, form, window)).collect()
        }
        Behaviour::EditsOrder => {
            let first = [Step::Buy(0, bought)].into_iter().chain(prompted(0));
            let reworded = [Step::Think(20, 60), Step::Reword, Step::Think(30, 60)];
            first.chain(reworded).chain(confirm(0, form, window)).collect()
        }
        _ => {
            let added = [Step::Muse, Step::Think(40, 120), Step::AddTag(bought)];
            added.into_iter().chain(prompted(0)).chain(confirm(0, form, window)).collect()
        }
    };
    linked(steps)
}

/// Orders that are prompted and come to nothing.
fn ending(behaviour: Behaviour, form: Form) -> Vec<Step> {
    let cancelled = |reason| Outcome::ends(State::Cancelled, reason);
    let thought = Step::Think(20, 120);
    let told = at_once("cancelled", 0);
    let (outcome, then) = match behaviour {
        Behaviour::NeverConfirms => (Outcome::expired(None), vec![expired(0)]),
        Behaviour::ConfirmsLate => {
            (Outcome::expired(Some(Reason::Late)), vec![Step::UntilLate, Step::Confirm(0, form), expired(0)])
        }
        Behaviour::CancelsByWord => (cancelled(Reason::CancelledByUser), vec![thought, Step::Cancel, told]),
        Behaviour::CancelsByTag => (cancelled(Reason::CancelledByUser), vec![thought, Step::CancelByTag, told]),
        Behaviour::DeletesOrder => (cancelled(Reason::Deleted), vec![thought, Step::DeleteOrder, told]),
        Behaviour::Unlinks => (cancelled(Reason::Unlinked), vec![thought, Step::Unlink, told]),
        Behaviour::Freezes => {
            let refused = Step::Buy(0, Outcome::ends(State::Rejected, Reason::Frozen));
            let frozen = Step::Await("frozen", None, Wait::AtOnce);
            let then = vec![thought, Step::Freeze, frozen, told, Step::Think(120, 240), refused, frozen];
            (cancelled(Reason::Frozen), then)
        }
        _ => {
            let told = Step::Await("cancelled", Some(0), Wait::Direct);
            return linked([Step::Buy(0, cancelled(Reason::PromptFailed)), told]);
        }
    };
    linked([Step::Buy(0, outcome)].into_iter().chain(prompted(0)).chain(then))
}

fn refused(behaviour: Behaviour) -> Vec<Step> {
    let buy = |reason| Step::Buy(0, Outcome::ends(State::Rejected, reason));
    match behaviour {
        Behaviour::IsNotLinked => vec![Step::Think(60, 240), buy(Reason::NotLinked), at_once("not_linked", 0)],
        Behaviour::HasSuspendedCard => {
            let suspended = [Step::SuspendCard, Step::Think(120, 240), buy(Reason::CardNotActive)];
            linked(suspended.into_iter().chain([at_once("not_eligible", 0)]))
        }
        _ => linked([buy(Reason::Country), at_once("not_eligible", 0)]),
    }
}

fn racing(form: Form, window: Span) -> Vec<Step> {
    let run = [Step::Buy(0, Outcome::PurchasedOrSoldOut), Step::AwaitPromptOrSoldOut];
    linked(run.into_iter().chain(confirm(0, form, window)))
}

/// Each buys when the one before knows where he stands, so that everybody's place is certain.
fn in_line(place: Place, form: Form, window: Span) -> Vec<Step> {
    let cancelled = Outcome::ends(State::Cancelled, Reason::CancelledByUser);
    let sold_out = Outcome::ends(State::SoldOut, Reason::SoldOut);
    let (outcome, answer) = match place {
        Place::Leaves => (cancelled, "prompt"),
        Place::Stays => (Outcome::Purchased, "prompt"),
        Place::MovesUp => (Outcome::Purchased, "waitlisted"),
        Place::WaitsInVain => (sold_out, "waitlisted"),
        Place::TurnedAway => (sold_out, "sold_out"),
    };
    let turn = place as u32;
    let everybody = PLACES.len() as u32;
    let step_up = [Step::AwaitSignals(turn), Step::Think(5, 15), Step::Buy(0, outcome)];
    let told = [at_once(answer, 0), Step::Signal];
    let after_all = [Step::AwaitSignals(everybody), Step::Think(10, 30)];
    let then: Vec<Step> = match place {
        Place::Leaves => after_all.into_iter().chain([Step::CancelByTag, at_once("cancelled", 0)]).collect(),
        Place::Stays => after_all.into_iter().chain([Step::Confirm(0, form), purchased(0)]).collect(),
        Place::MovesUp => {
            let moved = Step::Await("prompt", Some(0), Wait::Long);
            [moved].into_iter().chain(confirm(0, form, window)).collect()
        }
        Place::WaitsInVain => vec![Step::Await("sold_out", Some(0), Wait::Long)],
        Place::TurnedAway => Vec::new(),
    };
    linked(step_up.into_iter().chain(told).chain(then))
}

/// A link is made minutes before anything depends on it.
fn linked(then: impl IntoIterator<Item = Step>) -> Vec<Step> {
    [Step::Link, Step::Think(120, 300)].into_iter().chain(then).collect()
}

fn prompted(offer: usize) -> [Step; 1] {
    [at_once("prompt", offer)]
}

fn confirm(offer: usize, form: Form, window: Span) -> [Step; 3] {
    let half_window_s = (window.0 / 2000).max(2);
    [Step::Think(half_window_s / 16 + 1, half_window_s), Step::Confirm(offer, form), purchased(offer)]
}

fn purchased(offer: usize) -> Step {
    at_once("purchased", offer)
}

fn expired(offer: usize) -> Step {
    Step::Await("expired", Some(offer), Wait::Long)
}

fn at_once(kind: &'static str, offer: usize) -> Step {
    Step::Await(kind, Some(offer), Wait::AtOnce)
}

impl Outcome {
    fn ends(state: State, reason: Reason) -> Outcome {
        Outcome::Ends(End { state, reason: Some(reason), rejected_confirm: None })
    }

    fn expired(rejected_confirm: Option<Reason>) -> Outcome {
        Outcome::Ends(End { state: State::Expired, reason: None, rejected_confirm })
    }
}

impl Outcome {
    pub fn rejected_quote() -> Outcome {
        Outcome::ends(State::Rejected, Reason::Quote)
    }

    pub fn rejected_manual_retweet() -> Outcome {
        Outcome::ends(State::Rejected, Reason::ManualRetweet)
    }
}

impl Behaviour {
    pub fn blocks_service(self) -> bool {
        self == Behaviour::BlocksService
    }

    /// As the table and deviations name it.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::ConfirmsBare => "confirms by the bare tag",
            Behaviour::ConfirmsByReply => "confirms by reply",
            Behaviour::ConfirmsByManualRetweet => "confirms by manual retweet",
            Behaviour::ConfirmsByRetweet => "confirms by retweet",
            Behaviour::ConfirmsByQuote => "confirms by quote",
            Behaviour::ConfirmsUnasked => "confirms without looking",
            Behaviour::BuysTwoAtOnce => "buys two in one post",
            Behaviour::BuysTwice => "buys twice",
            Behaviour::BuysWithBothTags => "buys with both tags",
            Behaviour::ChangesMindTwice => "cancels, buys again",
            Behaviour::EditsOrder => "edits the order",
            Behaviour::AddsTagByEdit => "adds the tag by an edit",
            Behaviour::NeverConfirms => "never confirms",
            Behaviour::ConfirmsLate => "confirms late",
            Behaviour::CancelsByWord => "cancels by word",
            Behaviour::CancelsByTag => "cancels by tag",
            Behaviour::DeletesOrder => "deletes the order",
            Behaviour::Unlinks => "unlinks meanwhile",
            Behaviour::Freezes => "freezes the account",
            Behaviour::BlocksService => "blocks the service",
            Behaviour::IsNotLinked => "is not linked",
            Behaviour::HasSuspendedCard => "has a suspended card",
            Behaviour::IsAbroad => "lives abroad",
            Behaviour::JokesByQuote => "jokes by quote",
            Behaviour::JokesByManualRetweet => "jokes by manual retweet",
            Behaviour::RetweetsAnOrder => "retweets an order",
            Behaviour::RetweetsPromptOfAnother => "retweets another's prompt",
            Behaviour::Races => "races for the last units",
            Behaviour::StandsInLine(Place::Leaves) => "in line: holds, leaves",
            Behaviour::StandsInLine(Place::Stays) => "in line: holds, confirms",
            Behaviour::StandsInLine(Place::MovesUp) => "in line: waits, moves up",
            Behaviour::StandsInLine(Place::WaitsInVain) => "in line: waits in vain",
            Behaviour::StandsInLine(Place::TurnedAway) => "in line: turned away",
        }
    }
}
