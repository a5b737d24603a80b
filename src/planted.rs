//! Bugs that people write, planted on demand, so that the proofs of this program can prove themselves: whoever says
//! that a simulation or an audit would notice plants one and looks.
//!
//! Without the cargo feature `planted`, [`is`] is a constant and no bug is compiled in. With it a thread chooses at
//! most one for itself, and what is to err must run on that thread; where nothing is chosen, the variable `PLANTED`
//! names the bug of the whole program.

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident,)+) => {
        /// One mistake at one place, with the invariant that it should break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)+
        }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$bug,)+];

            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => stringify!($bug),)+
                }
            }

            /// The sentence that describes it.
            pub fn what(self) -> &'static str {
                match self {
                    $(Bug::$bug => concat!($($what),+).trim_ascii(),)+
                }
            }
        }
    };
}

bugs! {
    // Time: deadlines, ticks, watermarks.
    /// A watermark that stands on a deadline has already passed it. Breaks I1.
    DeadlineEarly,
    /// A deadline ends only when the watermark is two milliseconds later. Breaks I5.
    DeadlineLate,
    /// A confirm of the deadline's own millisecond is late. Breaks I1.
    LastMillisecondLate,
    /// A confirm one millisecond after the deadline is on time. Breaks I5.
    FirstMillisecondForgiven,
    /// Of the accounts whose deadlines were passed, the last in order is judged first. Breaks I5.
    ExpiryInAnyOrder,
    /// The watermark is the minimum over the sources that have ticked, not over all. Breaks I1.
    WatermarkOfSeenSources,
    /// A tick may take a source's mark, and the watermark, back. Breaks I5.
    WatermarkGoesBack,
    /// A tick tells the highest time seen, without the allowance for late posts. Breaks I1.
    MarkWithoutLateness,
    /// A source counts as idle though not everything in it has been read. Breaks I1.
    IdleTickNotAtEnd,
    /// A screen's tick is written before what was read ahead of it. Breaks I1.
    TickBeforeItsBatch,
    /// A tick goes to all inbox partitions but the last. Breaks I10.
    TickSkipsAnInbox,
    /// A tick of which part was done counts as done, and its watermark with it. Breaks I6.
    BegunTickDone,
    /// What a shard left of a batch is not given to it again. Breaks I9.
    LeftItemsDropped,
    /// A post from far ahead of the clock is taken for good, and drags the watermark along. Breaks I5.
    FutureBelieved,
    /// The idle ticks of a screen whose clock differs from the log's are written all the same. Breaks I1.
    WrongClockBelieved,
    /// The window counts from the order, though the prompt was decided later. Breaks I1.
    LagShortensWindow,
    /// After an outage what is read first is judged by the clock of the life before. Breaks I1.
    ClockToldLate,
    /// The window does not count from when the prompt was posted. Breaks I1.
    PostedAtIgnored,
    /// The window of a waitlisted purchase counts from its order, not from what freed the unit. Breaks I1.
    WaitlistWindowFromOrder,
    /// Messages that waited for stock are judged at the watermark of the answer. Breaks I5.
    QueueJudgedAtPresentWatermark,
    // The screen.
    /// A deletion is batched past later posts of its partition. Breaks I9.
    DeletionOvertaken,
    /// A deletion's inbox partition is found by another hash than its account's. Breaks I9.
    DeletionMisrouted,
    /// The offset of a record that can't be understood is passed without a dead letter. Breaks I9.
    DeadLetterLost,
    // The engine: transactions, restores, assignments.
    /// A transaction commits the offset of the last record read, not of the next. Breaks I6.
    PositionOffByOne,
    /// Positions are committed in a transaction after that of the output. Breaks I8.
    PositionsApart,
    /// An aborted transaction counts as committed. Breaks I9.
    AbortTakenForCommit,
    /// A commit of uncertain outcome counts as committed. Breaks I8.
    UncertainTakenForCommit,
    /// After a commit of uncertain outcome the batch is sent again under the same identity. Breaks I2.
    UncertainTakenForAbort,
    /// What was decided ahead is sent into the transaction that is being committed. Breaks I8.
    AheadSentEarly,
    /// After an abort the worker reads on where it was. Breaks I9.
    RewindForgotten,
    /// Records from a position that was left behind are taken in. Breaks I9.
    StraysTaken,
    /// A worker of a new identity goes on with the shards of the old one. Breaks I6.
    RecoverKeepsShards,
    /// A restore ends before the changelog's last record. Breaks I6.
    RestoreStopsEarly,
    /// A parked shard is reused though another worker advanced its partition. Breaks I7.
    ParkedShardTrusted,
    /// Posts do not wait for side inputs after an assignment. Breaks I9.
    GateNeverShut,
    /// The gate waits for the side inputs of its own worker alone. Breaks I9.
    GateSeesOwnOnly,
    /// Under pressure every source waits, also the one that event time waits for. Breaks I10.
    PressureHoldsAll,
    // What a batch changed, taken back or written down.
    /// Of two open layers the older one is taken back first. Breaks I6.
    TakenBackOldestFirst,
    /// The journal keeps the layers of committed batches. Breaks I12.
    LayerLeaked,
    /// A commit makes the journal forget the newest layer, not the oldest. Breaks I6.
    CommitDropsNewest,
    /// An abort takes back the stock, but not the claims on it. Breaks I4.
    ClaimsNotTakenBack,
    /// An abort does not take the watermark back. Breaks I6.
    WatermarkNotTakenBack,
    /// The changelog is written before the last record of the batch is judged. Breaks I6.
    ChangelogBeforeLastRecord,
    /// Every shard writes its changelog into partition 0. Breaks I6.
    ChangelogInPartitionZero,
    /// An account that has nothing to remember any more stays in the changelog. Breaks I6.
    TombstoneMissing,
    /// The watermark does not stand in the changelog. Breaks I6.
    WatermarkNotLogged,
    /// A restore forgets freezes. Breaks I6.
    FreezeNotRestored,
    /// A restore forgets which purchases hold a unit. Breaks I4.
    ClaimsNotRestored,
    // Stock.
    /// An expired purchase does not release its unit. Breaks I4.
    ExpiryKeepsStock,
    /// A cancelled purchase does not release its unit. Breaks I4.
    CancelKeepsStock,
    /// An expired purchase releases its unit twice. Breaks I4.
    ReleasedTwice,
    /// A limited offer is prompted and sold without asking for stock. Breaks I4.
    SoldWithoutHold,
    /// A sold unit stays held, too. Breaks I4.
    SaleKeepsHold,
    /// Who came last into the line is served first. Breaks I4.
    LineFromItsEnd,
    // The conversation.
    /// An account that has only refused buys is passivated, and a redelivered one is refused anew. Breaks I9.
    RefusalForgotten,
    /// A confirm that paid may pay another purchase when it is read again. Breaks I3.
    ConfirmIdsForgotten,
    /// A confirm that is read before its buy is dropped. Breaks I1.
    EarlyConfirmDropped,
    /// A confirm that is read before its buy is kept for ever. Breaks I5.
    EarlyConfirmKept,
    /// A deletion that is read before its order is dropped. Breaks I9.
    EarlyDeletionIgnored,
    /// An edit of an order is a further order. Breaks I9.
    EditOrdersAgain,
    /// An unlink leaves waiting purchases open. Breaks I3.
    UnlinkLeavesPending,
    /// What stops an account later than an order, and was read before it, stops nothing. Breaks I5.
    StopAheadForgotten,
    /// Who was unlinked before his turn in line came is prompted all the same. Breaks I5.
    TurnOfTheUnlinked,
    /// An order leaves open what was stopped before it. Breaks I5.
    OrderBesideTheStopped,
    /// A unit that is given up as of a time before it was free is free as of then. Breaks I4.
    FreedBeforeItWas,
    /// One purchase more than the offer allows is open to an account. Breaks I9.
    PerAccountOffByOne,
    /// A confirm pays the newest purchase that waits, not the oldest. Breaks I1.
    NewestPaid,
    /// Any retweet or quote with a confirm tag confirms. Breaks I3.
    RetweetConfirms,
    /// A manual retweet of a buy orders. Breaks I3.
    ManualRetweetOrders,
    /// A post with a buy tag confirms, too. Breaks I3.
    BothTagsConfirm,
    /// A rejected confirm counts in the funnel as if its purchase had changed. Breaks I9.
    FunnelCountsRejections,
    /// A reply's id depends on when it was decided. Breaks I6.
    ReplyIdsUnstable,
    // On a cluster: see `Bug::ON_CLUSTER`.
    /// Consumers commit positions, ahead of the transaction of what came of them. Breaks I8.
    PositionsOutside,
    /// A changelog counts as restored at its last stable offset. Breaks I6.
    StableEndTaken,
    /// A producer goes on though the end of its last transaction may be sent twice. Breaks I8.
    ProducerKept,
    /// Records of open and aborted transactions are read, too. Breaks I6.
    UncommittedRead,
}

impl Bug {
    /// Those of the clients of a cluster, which no simulation has.
    pub const ON_CLUSTER: &[Bug] =
        &[Bug::PositionsOutside, Bug::StableEndTaken, Bug::ProducerKept, Bug::UncommittedRead];

    pub fn of_name(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

/// Whether this bug is planted on this thread.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use chosen::{is, set, with};

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;

    use crate::planted::Bug;

    thread_local! {
        static CHOSEN: Cell<Option<Bug>> = Cell::new(of_variable());
    }

    /// Whether this bug is planted on this thread.
    #[inline]
    pub fn is(bug: Bug) -> bool {
        CHOSEN.get() == Some(bug)
    }

    /// Plants a bug on this thread, in the place of any other.
    pub fn set(bug: Option<Bug>) {
        CHOSEN.set(bug);
    }

    /// Runs `what` with the bug planted on this thread; the one before comes back after, also after a panic.
    pub fn with<T>(bug: Bug, what: impl FnOnce() -> T) -> T {
        struct Before(Option<Bug>);
        impl Drop for Before {
            fn drop(&mut self) {
                set(self.0);
            }
        }
        let _before = Before(CHOSEN.replace(Some(bug)));
        what()
    }

    fn of_variable() -> Option<Bug> {
        let name = std::env::var("PLANTED").ok()?;
        Some(Bug::of_name(&name).unwrap_or_else(|| panic!("PLANTED names no bug: {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_are_known_by_name_and_told_in_a_sentence() {
        for bug in Bug::ALL {
            assert_eq!(Bug::of_name(bug.name()), Some(*bug));
            assert!(bug.what().contains(" Breaks I") && bug.what().ends_with('.'), "{bug:?}: {}", bug.what());
            let asked_for = std::env::var("PLANTED").is_ok_and(|name| name == bug.name());
            assert!(!is(*bug) || asked_for, "{bug:?} is planted where nobody asked for it");
        }
        assert_eq!(Bug::of_name("NoSuchBug"), None);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn a_bug_is_planted_for_as_long_as_it_was_asked_for() {
        let outside = with(Bug::NewestPaid, || {
            assert!(is(Bug::NewestPaid) && !is(Bug::DeadlineEarly));
            std::thread::spawn(|| is(Bug::NewestPaid)).join().unwrap_or(true)
        });
        assert!(!outside && !is(Bug::NewestPaid));
    }
}
