//! What people, gateways and merchants are known to do. Each seed has its own mix.

macro_rules! behaviours {
    ($($(#[doc = $what:literal])* $behaviour:ident,)+) => {
        /// One thing that somebody does. Scripts draw from the first part; the rest happens around them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Behaviour {
            $($(#[doc = $what])* $behaviour,)+
        }

        impl Behaviour {
            pub const ALL: [Behaviour; [$(Behaviour::$behaviour),+].len()] = [$(Behaviour::$behaviour),+];
        }
    };
}

behaviours! {
    ConfirmsBare,
    ConfirmsByReply,
    ConfirmsByManualRetweet,
    ConfirmsByRetweet,
    ConfirmsByQuote,
    /// Retweets the prompt that the gateway really posted.
    ConfirmsByRetweetOfPosted,
    ConfirmsByQuoteOfPosted,
    ConfirmsByReplyToPosted,
    /// Said after the buy, read before it.
    ConfirmIsReadFirst,
    /// Said before the buy.
    ConfirmsTooSoon,
    ConfirmsTwice,
    SomebodyElseConfirms,
    ConfirmsAtDeadline,
    ConfirmsPastDeadline,
    ConfirmsAtEdgeOfPosted,
    ConfirmsLate,
    NeverConfirms,
    ConfirmsWithTwoTags,
    BuysSeveral,
    BuysAgain,
    BuysWithBothTags,
    RetweetsABuy,
    BuysByManualRetweet,
    BuysByQuote,
    BuysStale,
    BuysWhenNotOpen,
    CancelsByTag,
    CancelsByWord,
    CancelsPosted,
    CancelIsReadFirst,
    Freezes,
    EditAddsTag,
    EditRemovesTag,
    EditKeepsTag,
    DeletesOrder,
    DeletionIsReadFirst,
    DeletesVersion,
    DeletesConfirm,
    DeletesWithoutTime,
    DeletesNothing,
    Unlinks,
    UnlinksBackdated,
    LosesCard,
    TakesSecondCard,
    RetweetsPromptOfAnother,
    QuotesPromptOfAnother,
    ManualRetweetOfAnother,
    WaitsForMany,
    KeepsMuchEarly,
    BuysMuch,
    NearlySaysIt,
    /// Which confirms nothing, whatever becomes of the buy tag.
    ConfirmsAndBuys,
    QuotesPostedAndBuys,
    /// By the tag of its own offer or of another one.
    CancelsPostedByTag,
    /// In one post, which cancels nothing.
    BuysAndCancels,
    /// The confirm and its edit are read before the buy; it was said before or after.
    EditsEarlyConfirm,
    EditsEarlyCancel,
    /// From here on: not drawn by scripts.
    IsLinkedLate,
    IsNotLinked,
    IsAbroad,
    HasSuspendedCard,
    IsRedelivered,
    IsTooLate,
    IsPoison,
    IsPoisonOnTheSide,
    IsControl,
    IsHeartbeat,
    ServiceSpeaks,
    PromptFails,
    ReplyFails,
    PostedLate,
    PostedTwice,
    PostedNever,
    /// The gateway tells of one prompt twice, and tells otherwise.
    PostedElsewhere,
    QuantityRaised,
    QuantityLowered,
    OfferWithdrawn,
    OfferBack,
    OfferChanged,
    /// Closes at another time.
    OfferExtended,
    TagsChanged,
    OfferAppears,
    OfferRefused,
}

impl Behaviour {
    /// How many of [`Behaviour::ALL`], from the first on, are drawn by scripts.
    pub const SCRIPTED: usize = Behaviour::EditsEarlyCancel as usize + 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_behaviours_stand_in_their_order() {
        assert!(Behaviour::ALL.iter().enumerate().all(|(place, behaviour)| *behaviour as usize == place));
    }
}
