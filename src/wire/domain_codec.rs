//! The binary form of the domain's types, one listing each; [`super::codec`] says what a listing means. Numbers of
//! variants are for ever: a variant that goes leaves a gap.

use crate::domain::{
    AccountId, AccountMessage, CardStatus, Confirm, CreditTerms, Currency, DeletedPost, Echo, FunnelDelta, InboxRecord,
    Link, LinkChange, LinkMessage, Money, Network, Offer, OfferKind, OfferMessage, OffersRecord, PostForm, PostId,
    PostIntent, PromptFate, Purchase, Reason, SourceId, Span, State, StockAction, StockAnswer, StockRequest,
    StockVerdict, Tag, Terms, Tick, Time, Uuid,
};

use crate::domain::watermark::Watermark;

use super::codec::{CodecError, Decode, Encode, choice, record};

record!(Time(ms));
record!(Span(ms));
record!(PostId(id));
record!(Uuid(bytes));
record!(Tag(folded));
record!(AccountId { network, user });
record!(Money { minor, currency });

impl Encode for Network {
    fn encode(&self, out: &mut Vec<u8>) {
        let name = self.as_str();
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
}

impl Decode for Network {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let invalid = CodecError::Invalid("network");
        let length = usize::from(u8::decode(input)?);
        let (name, rest) = input.split_at_checked(length).ok_or(CodecError::Truncated)?;
        *input = rest;
        std::str::from_utf8(name).ok().and_then(Network::new).ok_or(invalid)
    }
}

impl Encode for Currency {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Currency {
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        let code = <[u8; 3]>::decode(input)?;
        let legal = code.iter().all(u8::is_ascii_uppercase);
        if legal { Ok(Currency(code)) } else { Err(CodecError::Invalid("currency")) }
    }
}

choice!(OfferKind { 0 => Purchase, 1 => StatementCredit, 2 => DiscountCode });
record!(Terms {
    offer,
    version,
    kind,
    buy_tag,
    confirm_tag,
    cancel_tag,
    buy,
    confirm,
    cancel,
    merchant,
    item,
    amount,
    exponent,
    limited,
    per_account,
    opens,
    closes,
    countries,
    terms_url,
    reply_length,
});
record!(CreditTerms { min_spend, credit, spend_by });
record!(Offer { terms, quantity, waitlist_max, withdrawn, credit, codes });

choice!(InboxRecord { 0 => To(account, message), 1 => Deletions(network, posts), 2 => Tick(tick) });
choice!(AccountMessage { 0 => Post(post), 1 => Link(link), 2 => Posted(fate), 3 => Stock(answer), 4 => Deleted(post) });
record!(PostIntent {
    id,
    first_id,
    time,
    handle,
    form,
    orders,
    buys,
    confirm_tags,
    cancel_tags,
    cancel_word,
    freeze,
    in_reply_to,
});
choice!(PostForm {
    0 => Own,
    1 => ManualRetweetOfService,
    2 => ManualRetweet,
    3 => Retweet(echo),
    4 => Quote(echo),
});
record!(Echo { id, by_service, in_reply_to, in_reply_to_user, confirm_tags });
record!(DeletedPost { post, time });
record!(LinkMessage { at, change });
choice!(LinkChange { 0 => Link(link), 1 => Unlink, 2 => Card(status), 3 => Freeze(post) });
record!(Link { card, country, handle, email_ref, billing_ref });
choice!(CardStatus { 0 => Active, 1 => Suspended, 2 => Cancelled });
record!(PromptFate { reply, at, outcome });
record!(StockAnswer { purchase, verdict });
choice!(StockVerdict { 0 => Held, 1 => Waitlisted, 2 => SoldOut, 3 => Freed { at }, 4 => Exhausted { at } });
record!(SourceId { topic, partition });
record!(Tick { topology, sources, marks, clock });

choice!(OffersRecord { 0 => To(offer, message), 1 => Tick(tick) });
choice!(OfferMessage { 0 => Published(offer), 1 => Stock(request), 2 => Funnel(delta), 3 => Withdrawn { version } });
record!(StockRequest { purchase, account, at, action });
choice!(StockAction { 0 => Hold, 1 => Sell, 2 => Release, 3 => Return, 4 => SellOpen, 5 => Settle });
record!(FunnelDelta {
    at,
    mentions,
    buys,
    prompts,
    confirms,
    authorized,
    fulfilled,
    expired,
    cancelled,
    declined,
    sold_out,
    revenue_minor,
    confirm_ms,
});

record!(Confirm { post, ship_to });
record!(Purchase {
    id,
    terms,
    order_post,
    order_version,
    ordered_at,
    window_from,
    state,
    deadline,
    prompt_post,
    confirm,
    rejected_confirms,
    told_directly,
});
choice!(State {
    0 => Ordered,
    1 => Waitlisted,
    2 => Prompted,
    3 => Approving,
    4 => Paying,
    5 => Authorized,
    6 => Fulfilled,
    7 => Rejected,
    8 => SoldOut,
    9 => Expired,
    10 => Cancelled,
    11 => Declined,
});
choice!(Reason {
    0 => NotLinked,
    1 => CardNotActive,
    2 => Frozen,
    3 => Country,
    4 => NotOpen,
    5 => Stale,
    6 => Duplicate,
    7 => LimitPending,
    8 => LimitPurchases,
    9 => LimitSpend,
    10 => SoldOut,
    11 => Retweet,
    12 => ManualRetweet,
    13 => Quote,
    14 => BothTags,
    15 => Late,
    17 => Overloaded,
    18 => NoPurchase,
    19 => Deleted,
    20 => CancelledByUser,
    21 => Unlinked,
    22 => PromptFailed,
    23 => Declined,
    24 => PaymentTimeout,
    25 => ApprovalRefused,
    26 => ApprovalTimeout,
});

record!(Watermark { topology, marks, value, clock });
