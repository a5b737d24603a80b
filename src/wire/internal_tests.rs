//! Round trips of arbitrary internal records, and bytes that nobody wrote.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::domain::*;

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..8).prop_map(String::from_iter)
}

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time)
}

fn post() -> impl Strategy<Value = PostId> {
    any::<u64>().prop_map(PostId)
}

fn posts() -> impl Strategy<Value = Vec<PostId>> {
    vec(post(), 0..4)
}

fn tags() -> impl Strategy<Value = Vec<Tag>> {
    vec(text().prop_map(Tag), 0..3)
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid)
}

fn network() -> impl Strategy<Value = Network> {
    vec(0usize..38, 1..16).prop_map(|letters| {
        let name: String = letters.into_iter().map(|i| b"abcdefghijklmnopqrstuvwxyz0123456789_-"[i] as char).collect();
        Network::new(&name).unwrap()
    })
}

fn account() -> impl Strategy<Value = AccountId> {
    (network(), any::<u64>()).prop_map(|(network, user)| AccountId { network, user })
}

fn money() -> impl Strategy<Value = Money> {
    (any::<i64>(), [b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'Z'])
        .prop_map(|(minor, code)| Money { minor, currency: Currency(code) })
}

fn terms() -> impl Strategy<Value = Terms> {
    let kind = prop_oneof![Just(OfferKind::Purchase), Just(OfferKind::StatementCredit), Just(OfferKind::DiscountCode)];
    let names = (text(), text(), text(), option::of(text()), text(), text(), option::of(text()));
    let numbers = (any::<u64>(), money(), any::<u32>(), any::<bool>(), any::<u32>(), any::<u32>());
    let limits = (option::of(time()), option::of(time()), vec(text(), 0..3));
    (kind, names, numbers, limits).prop_map(|(kind, names, numbers, limits)| {
        let (offer, buy_tag, confirm_tag, cancel_tag, merchant, item, terms_url) = names;
        let (version, amount, exponent, limited, per_account, reply_length) = numbers;
        let (opens, closes, countries) = limits;
        Terms {
            buy: Tag(buy_tag.to_lowercase()),
            confirm: Tag(confirm_tag.to_lowercase()),
            cancel: cancel_tag.clone().map(Tag),
            offer,
            version,
            kind,
            buy_tag,
            confirm_tag,
            cancel_tag,
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
        }
    })
}

fn echo() -> impl Strategy<Value = Echo> {
    (option::of(post()), any::<bool>(), option::of(post()), option::of(any::<u64>()), tags()).prop_map(
        |(id, by_service, in_reply_to, in_reply_to_user, confirm_tags)| Echo {
            id,
            by_service,
            in_reply_to,
            in_reply_to_user,
            confirm_tags,
        },
    )
}

fn form() -> impl Strategy<Value = PostForm> {
    prop_oneof![
        Just(PostForm::Own),
        Just(PostForm::ManualRetweetOfService),
        Just(PostForm::ManualRetweet),
        echo().prop_map(PostForm::Retweet),
        echo().prop_map(PostForm::Quote),
    ]
}

fn intent() -> impl Strategy<Value = PostIntent> {
    let head = (post(), post(), time(), option::of(text()), form());
    let words = (
        vec(terms().prop_map(Arc::new), 0..3),
        (any::<bool>(), tags()),
        tags(),
        any::<bool>(),
        any::<bool>(),
        option::of(post()),
    );
    (head, words).prop_map(|((id, first_id, time, handle, form), words)| {
        let (orders, (buys, confirm_tags), cancel_tags, cancel_word, freeze, in_reply_to) = words;
        PostIntent {
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
        }
    })
}

fn change() -> impl Strategy<Value = LinkChange> {
    let link = (text(), text(), text(), text(), text()).prop_map(|(card, country, handle, email_ref, billing_ref)| {
        LinkChange::Link(Arc::new(Link { card, country, handle, email_ref, billing_ref }))
    });
    let status = prop_oneof![Just(CardStatus::Active), Just(CardStatus::Suspended), Just(CardStatus::Cancelled)];
    prop_oneof![link, Just(LinkChange::Unlink), status.prop_map(LinkChange::Card), post().prop_map(LinkChange::Freeze)]
}

fn deleted() -> impl Strategy<Value = DeletedPost> {
    (post(), time()).prop_map(|(post, time)| DeletedPost { post, time })
}

fn message() -> impl Strategy<Value = AccountMessage> {
    let verdict = prop_oneof![
        Just(StockVerdict::Held),
        Just(StockVerdict::Waitlisted),
        Just(StockVerdict::SoldOut),
        time().prop_map(|at| StockVerdict::Freed { at }),
        time().prop_map(|at| StockVerdict::Exhausted { at }),
    ];
    let outcome = prop_oneof![post().prop_map(Ok), text().prop_map(Err)];
    prop_oneof![
        intent().prop_map(AccountMessage::Post),
        (time(), change()).prop_map(|(at, change)| AccountMessage::Link(LinkMessage { at, change })),
        (uuid(), time(), outcome).prop_map(|(reply, at, outcome)| AccountMessage::Posted(PromptFate {
            reply,
            at,
            outcome
        })),
        (uuid(), verdict).prop_map(|(purchase, verdict)| AccountMessage::Stock(StockAnswer { purchase, verdict })),
        deleted().prop_map(AccountMessage::Deleted),
    ]
}

fn tick() -> impl Strategy<Value = Tick> {
    let source = (text(), any::<u32>()).prop_map(|(topic, partition)| SourceId { topic, partition });
    (any::<u64>(), vec(source, 0..4), vec((any::<u32>(), time()), 0..4), option::of(time()))
        .prop_map(|(topology, sources, marks, clock)| Tick { topology, sources, marks, clock })
}

fn inbox() -> impl Strategy<Value = InboxRecord> {
    prop_oneof![
        (account(), message()).prop_map(|(account, message)| InboxRecord::To(account, message)),
        (network(), vec((any::<u64>(), deleted()), 0..5))
            .prop_map(|(network, posts)| InboxRecord::Deletions(network, posts)),
        tick().prop_map(InboxRecord::Tick),
    ]
}

fn offer() -> impl Strategy<Value = Offer> {
    let credit = (money(), money(), option::of(time())).prop_map(|(min_spend, credit, spend_by)| CreditTerms {
        min_spend,
        credit,
        spend_by,
    });
    (terms(), option::of(any::<u64>()), any::<u64>(), any::<bool>(), option::of(credit), vec(text(), 0..3)).prop_map(
        |(terms, quantity, waitlist_max, withdrawn, credit, codes)| Offer {
            terms,
            quantity,
            waitlist_max,
            withdrawn,
            credit,
            codes,
        },
    )
}

fn delta() -> impl Strategy<Value = FunnelDelta> {
    (time(), any::<[u64; 10]>(), any::<i64>(), vec(any::<u32>(), 0..4)).prop_map(
        |(at, n, revenue_minor, confirm_ms)| {
            let [mentions, buys, prompts, confirms, authorized, fulfilled, expired, cancelled, declined, sold_out] = n;
            FunnelDelta {
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
            }
        },
    )
}

fn offers() -> impl Strategy<Value = OffersRecord> {
    let action = prop_oneof![
        Just(StockAction::Hold),
        Just(StockAction::Sell),
        Just(StockAction::Release),
        Just(StockAction::Return)
    ];
    let message = prop_oneof![
        offer().prop_map(|offer| OfferMessage::Published(Arc::new(offer))),
        (uuid(), account(), time(), action)
            .prop_map(|(purchase, account, at, action)| StockRequest { purchase, account, at, action })
            .prop_map(OfferMessage::Stock),
        delta().prop_map(OfferMessage::Funnel),
        any::<u64>().prop_map(|version| OfferMessage::Withdrawn { version }),
    ];
    prop_oneof![
        (text(), message).prop_map(|(offer, message)| OffersRecord::To(offer, message)),
        tick().prop_map(OffersRecord::Tick)
    ]
}

fn purchase() -> impl Strategy<Value = Purchase> {
    let times = (time(), time(), option::of(time()));
    let state = (0..State::ALL.len()).prop_map(|index| State::ALL[index]);
    let confirm = (post(), text()).prop_map(|(post, ship_to)| Box::new(Confirm { post, ship_to }));
    let confirm = option::of(confirm);
    (uuid(), terms().prop_map(Arc::new), post(), post(), times, state, option::of(post()), confirm, posts()).prop_map(
        |(id, terms, order_post, order_version, times, state, prompt_post, confirm, rejected_confirms)| Purchase {
            id,
            terms,
            order_post,
            order_version,
            ordered_at: times.0,
            window_from: times.1,
            state,
            deadline: times.2,
            prompt_post,
            confirm,
            rejected_confirms,
            told_directly: 5,
        },
    )
}

/// What a value meets on the way: bytes overwritten, bytes inserted, the end cut off.
fn damage(mut bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    for (place, byte, how) in edits {
        let at = place % (bytes.len() + 1);
        match how % 3 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

proptest! {
    #[test]
    fn inbox_records_come_back(record in inbox()) {
        let key = match &record {
            InboxRecord::To(account, _) => Some(account_key(*account)),
            _ => None,
        };
        prop_assert_eq!(decode_inbox(key.as_deref(), &encode_inbox(&record)), Ok(record));
    }

    #[test]
    fn offers_records_come_back(record in offers()) {
        prop_assert_eq!(decode_offers(&encode_offers(&record)), Ok(record));
    }

    #[test]
    fn purchases_come_back(purchase in purchase()) {
        prop_assert_eq!(from_bytes(1, &to_bytes(1, &purchase)), Ok(purchase));
    }

    #[test]
    fn damaged_inbox_records_never_panic(record in inbox(), edits in vec(any::<(usize, u8, u8)>(), 1..6)) {
        let bytes = damage(encode_inbox(&record), &edits);
        if let Ok(other) = decode_inbox(None, &bytes) {
            prop_assert_eq!(decode_inbox(None, &encode_inbox(&other)), Ok(other));
        }
    }

    #[test]
    fn damaged_offers_records_never_panic(record in offers(), edits in vec(any::<(usize, u8, u8)>(), 1..6)) {
        let _ = decode_offers(&damage(encode_offers(&record), &edits));
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_inbox(None, &bytes);
        bytes.insert(0, INBOX_VERSION);
        let _ = decode_inbox(None, &bytes);
        let _ = decode_offers(&bytes);
    }
}

#[test]
fn states_and_reasons_come_back() {
    for state in State::ALL {
        assert_eq!(from_bytes(1, &to_bytes(1, &state)), Ok(state));
    }
    for reason in Reason::ALL {
        assert_eq!(from_bytes(1, &to_bytes(1, &reason)), Ok(reason));
    }
}

#[test]
fn a_key_that_names_another_account_is_refused() {
    let account = AccountId { network: Network::TWITTER, user: 7 };
    let record = InboxRecord::To(account, AccountMessage::Deleted(DeletedPost { post: PostId(1), time: Time(2) }));
    let bytes = encode_inbox(&record);
    assert_eq!(decode_inbox(Some(b"twitter:7"), &bytes), Ok(record));
    for key in ["twitter:8", "other:7", "7", ""] {
        assert!(decode_inbox(Some(key.as_bytes()), &bytes).is_err(), "{key}");
    }
}

#[test]
fn a_watermark_of_another_number_of_partitions_is_refused() {
    let mark = Watermark { value: Some(Time(5)), ..Watermark::default() };
    let bytes = encode_watermark(&mark, 4);
    assert_eq!(decode_watermark(&bytes, 4), Ok(mark));
    let why = decode_watermark(&bytes, 8).expect_err("accounts would be elsewhere");
    assert!(why.contains("4 partitions, and it has 8 now"), "{why}");
}
