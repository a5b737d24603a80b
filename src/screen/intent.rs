//! From a post to what it asks of its author's account (DESIGN section 3).

use std::sync::Arc;

use crate::domain::{AccountId, Echo, Post, PostForm, PostIntent, Referenced, Tag, Terms, Time};
use crate::text;
use crate::wire::inputs::TEXT_BYTES_MAX;

use super::catalogue::Catalogue;
use super::parse::ReadPost;

/// A post as the screen hands it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screened {
    pub account: AccountId,
    /// The post's time, for the watermark and for whoever has a clock to compare it with.
    pub time: Time,
    /// `None` if nothing in the post can matter to the account.
    pub intent: Option<PostIntent>,
    /// Offers whose buy tag stands in own words or in the natively retweeted post, in order of the catalogue.
    pub mentions: Vec<Arc<Terms>>,
    pub is_retweet: bool,
    /// Written by the service itself: neither intent nor mention.
    pub own_service: bool,
}

/// Judges what a post says; who says it and when is the account's business.
pub fn intent(read: &ReadPost, catalogue: &Catalogue) -> Screened {
    let post = &read.post;
    let own_service = catalogue.is_service_user(post.author)
        || post.handle.as_deref().is_some_and(|handle| catalogue.is_service_handle(handle));
    let mut screened = Screened {
        account: AccountId { network: post.network, user: post.author },
        time: post.time,
        intent: None,
        mentions: Vec::new(),
        is_retweet: post.retweet_of.is_some(),
        own_service,
    };
    if !own_service {
        screened.intent = intent_of(read, catalogue);
        screened.mentions = mentions_of(post, catalogue);
    }
    screened
}

fn intent_of(read: &ReadPost, catalogue: &Catalogue) -> Option<PostIntent> {
    let post = &read.post;
    let form = form_of(read, catalogue);
    let mut intent = PostIntent {
        id: post.id,
        first_id: post.first_id,
        time: post.time,
        handle: post.handle.clone().filter(|handle| handle.len() <= TEXT_BYTES_MAX),
        form,
        orders: Vec::new(),
        buys: false,
        confirm_tags: Vec::new(),
        cancel_tags: Vec::new(),
        cancel_word: false,
        freeze: false,
        in_reply_to: post.in_reply_to,
    };
    if !matches!(intent.form, PostForm::Retweet(_)) {
        add_own_words(&mut intent, post, catalogue);
    }
    let says_something = !intent.orders.is_empty()
        || !intent.confirm_tags.is_empty()
        || !intent.cancel_tags.is_empty()
        || intent.cancel_word
        || intent.freeze;
    let shows_a_prompt = match &intent.form {
        PostForm::Retweet(echo) => may_be_prompt(echo, read.retweeted_handle.as_deref(), post, catalogue),
        PostForm::Quote(echo) => may_be_prompt(echo, read.quoted_handle.as_deref(), post, catalogue),
        PostForm::Own | PostForm::ManualRetweet | PostForm::ManualRetweetOfService => false,
    };
    (says_something || shows_a_prompt).then_some(intent)
}

fn add_own_words(intent: &mut PostIntent, post: &Post, catalogue: &Catalogue) {
    let tags = folded(&post.hashtags);
    let orders = tags.iter().filter_map(|tag| catalogue.order_of(tag, post.time)).cloned();
    intent.orders = in_order_of_catalogue(orders);
    intent.buys = tags.iter().any(|tag| catalogue.is_buy(tag));
    intent.confirm_tags = known(&tags, |tag| catalogue.is_confirm(tag));
    intent.cancel_tags = known(&tags, |tag| catalogue.is_cancel(tag));
    intent.freeze = tags.iter().any(|tag| catalogue.is_freeze(tag));
    intent.cancel_word = is_reply_to_service(post, catalogue) && begins_with_cancel(&post.text);
}

fn form_of(read: &ReadPost, catalogue: &Catalogue) -> PostForm {
    let post = &read.post;
    if let Some(original) = &post.retweet_of {
        return PostForm::Retweet(echo_of(original, read.retweeted_handle.as_deref(), catalogue));
    }
    if let Some(quoted) = &post.quote_of {
        return PostForm::Quote(echo_of(quoted, read.quoted_handle.as_deref(), catalogue));
    }
    match &post.manual_retweet_of {
        Some(handle) if catalogue.is_service_handle(handle) => PostForm::ManualRetweetOfService,
        Some(_) => PostForm::ManualRetweet,
        None => PostForm::Own,
    }
}

/// The handle counts only where no user id of the service is configured: handles change hands.
fn echo_of(reference: &Referenced, handle: Option<&str>, catalogue: &Catalogue) -> Echo {
    let by_service = match catalogue.service().user_id {
        Some(service) => reference.author == Some(service),
        None => handle.is_some_and(|handle| catalogue.is_service_handle(handle)),
    };
    Echo {
        id: reference.id,
        by_service,
        in_reply_to: reference.in_reply_to,
        in_reply_to_user: reference.in_reply_to_user,
        confirm_tags: known(&folded(&reference.hashtags), |tag| catalogue.is_confirm(tag)),
    }
}

/// Whether the account should see what was retweeted or quoted. It knows the ids of its prompts; a record that does not
/// include the prompt itself names at least the service. A prompt answers somebody, so that an announcement which half
/// the network retweets is none and wakes no account.
fn may_be_prompt(echo: &Echo, handle: Option<&str>, post: &Post, catalogue: &Catalogue) -> bool {
    let answers = echo.in_reply_to.is_some() || echo.in_reply_to_user.is_some() || !echo.confirm_tags.is_empty();
    let is_service = |handle: &str| catalogue.is_service_handle(handle);
    let answers_in_text = |at: usize| {
        let behind = leading_mention(&post.text[at..]).map_or("", |(_, len)| &post.text[at + len..]);
        post.retweet_of.is_none() || leading_mention(behind.trim_start_matches([':', ' '])).is_some()
    };
    let names_service = || match handle {
        Some(handle) if post.retweet_of.is_none() => is_service(handle),
        _ => mentions(&post.text).any(|(handle, at)| is_service(handle) && answers_in_text(at)),
    };
    echo.id.is_some() && if echo.by_service { answers } else { names_service() }
}

fn mentions_of(post: &Post, catalogue: &Catalogue) -> Vec<Arc<Terms>> {
    let retweeted = post.retweet_of.iter().flat_map(|original| &original.hashtags);
    let tags = folded(post.hashtags.iter().chain(retweeted));
    in_order_of_catalogue(tags.iter().filter_map(|tag| mentioned_offer(tag, post.time, catalogue)).cloned())
}

/// Of the offers that share a tag, the one that is open.
fn mentioned_offer<'a>(tag: &Tag, time: Time, catalogue: &'a Catalogue) -> Option<&'a Arc<Terms>> {
    let offers = || catalogue.offers_of(tag);
    offers().find(|terms| terms.is_open_at(time)).or_else(|| offers().next())
}

fn is_reply_to_service(post: &Post, catalogue: &Catalogue) -> bool {
    let begins_with_service = || {
        let at_start = |(_, start): &(&str, usize)| post.text[..*start].trim().is_empty();
        mentions(&post.text).next().filter(at_start).is_some_and(|(handle, _)| catalogue.is_service_handle(handle))
    };
    post.in_reply_to_user.is_some_and(|user| catalogue.is_service_user(user)) || begins_with_service()
}

/// Whether "cancel" is the first word after leading handles. Nobody writes "don't cancel" that way.
fn begins_with_cancel(text: &str) -> bool {
    const WORD: &str = "cancel";
    let mut rest = text.trim_start();
    while let Some((_, len)) = leading_mention(rest) {
        let after = &rest[len..];
        rest = after.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '.' | '-' | '!'));
    }
    let says_it = rest.get(..WORD.len()).is_some_and(|start| start.eq_ignore_ascii_case(WORD));
    says_it && !rest[WORD.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Handles in a text, with the positions of their signs.
fn mentions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let signs = text.char_indices().filter(|(_, c)| matches!(c, '@' | '＠'));
    signs.filter_map(|(at, _)| leading_mention(&text[at..]).map(|(handle, _)| (handle, at)))
}

/// The handle that a text begins with, and the length of sign and handle in bytes.
fn leading_mention(text: &str) -> Option<(&str, usize)> {
    let bare = text.strip_prefix(['@', '＠'])?;
    let len = bare.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    (len > 0).then(|| (&bare[..len], text.len() - bare.len() + len))
}

fn folded<'a>(hashtags: impl IntoIterator<Item = &'a String>) -> Vec<Tag> {
    hashtags.into_iter().map(|tag| Tag(text::fold(tag))).collect()
}

/// The tags that are known, in their order, each once.
fn known(tags: &[Tag], is_known: impl Fn(&Tag) -> bool) -> Vec<Tag> {
    let mut known = Vec::new();
    for tag in tags.iter().filter(|tag| is_known(tag)) {
        if !known.contains(tag) {
            known.push(tag.clone());
        }
    }
    known
}

fn in_order_of_catalogue(offers: impl Iterator<Item = Arc<Terms>>) -> Vec<Arc<Terms>> {
    let mut offers: Vec<Arc<Terms>> = offers.collect();
    offers.sort_by(|a, b| a.offer.cmp(&b.offer));
    offers.dedup_by(|a, b| a.offer == b.offer);
    offers
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::catalogue::Service;
    use super::super::{Format, Parsed, parse};
    use super::*;
    use crate::domain::{Currency, Money, Network, Offer, OfferKind, PostId, Time};

    const ID: u64 = 301345161999286273;
    const SERVICE: u64 = 501234567;

    fn offer(id: &str, buy: &str, opens: Option<Time>) -> Arc<Offer> {
        let tag = |text: &str| Tag(text::fold(text));
        let (confirm, cancel) = (format!("Confirm{buy}"), format!("Cancel{buy}"));
        let terms = Terms {
            offer: id.into(),
            version: 0,
            kind: OfferKind::Purchase,
            buy: tag(buy),
            confirm: tag(&confirm),
            cancel: Some(tag(&cancel)),
            buy_tag: buy.into(),
            confirm_tag: confirm,
            cancel_tag: Some(cancel),
            merchant: String::new(),
            item: String::new(),
            amount: Money { minor: 1, currency: Currency::USD },
            exponent: 2,
            limited: false,
            per_account: 1,
            opens,
            closes: None,
            countries: Vec::new(),
            terms_url: None,
            reply_length: 280,
        };
        Arc::new(Offer { terms, quantity: None, waitlist_max: 0, withdrawn: false, credit: None, codes: Vec::new() })
    }

    fn catalogue() -> Catalogue {
        let withdrawn = Offer { withdrawn: true, ..(*offer("gone", "BuyGone", None)).clone() };
        let mut credit = (*offer("credit", "GetCredit", None)).clone();
        credit.terms.kind = OfferKind::StatementCredit;
        let lamps = [offer("lamp-2", "BuyLamp", None), offer("lamp-1", "BuyLamp", Some(Time(i64::MAX)))];
        let others = [offer("cup", "BuyCup", None), Arc::new(withdrawn), Arc::new(credit)];
        let service =
            Service { handle: "AmexSync".into(), user_id: Some(SERVICE), freeze_tag: Some("#StopMyCard".into()) };
        let old = |text: &str| Tag(text.into());
        Catalogue::new(
            lamps.into_iter().chain(others),
            [(old("buyold"), old("confirmold"), Some(old("cancelold")))],
            service,
        )
    }

    fn status(text: &str, fields: Value) -> Value {
        let mut status = json!({"id": ID, "text": text, "user": {"id": 7, "screen_name": "someone"}});
        let extra = fields.as_object().expect("fields are an object").clone();
        status.as_object_mut().expect("a status is an object").extend(extra);
        status
    }

    fn screened(status: &Value) -> Screened {
        match parse(status.to_string().as_bytes(), Format::X, Network::TWITTER) {
            Parsed::Post(read) => intent(&read, &catalogue()),
            other => panic!("{other:?}"),
        }
    }

    /// A short account of an intent, to compare it with: form, then everything that is there.
    fn told(intent: &PostIntent) -> String {
        let form = match &intent.form {
            PostForm::Own => "own".to_owned(),
            PostForm::ManualRetweetOfService => "manual of service".to_owned(),
            PostForm::ManualRetweet => "manual".to_owned(),
            PostForm::Retweet(echo) => format!("retweet {}", told_echo(echo)),
            PostForm::Quote(echo) => format!("quote {}", told_echo(echo)),
        };
        assert!(intent.buys || intent.orders.is_empty());
        let orders = intent.orders.iter().map(|terms| format!(" order {}", terms.offer));
        let confirms = intent.confirm_tags.iter().map(|tag| format!(" confirm {}", tag.0));
        let cancels = intent.cancel_tags.iter().map(|tag| format!(" cancel {}", tag.0));
        let buys = intent.buys && intent.orders.is_empty();
        let words = [(buys, " buys nothing"), (intent.cancel_word, " cancel"), (intent.freeze, " freeze")];
        let words = words.iter().filter(|(said, _)| *said).map(|(_, word)| (*word).to_owned());
        form + &orders.chain(confirms).chain(cancels).chain(words).collect::<String>()
    }

    fn told_echo(echo: &Echo) -> String {
        let id = echo.id.map_or(0, |id| id.0);
        let by = if echo.by_service { "service" } else { "?" };
        let tags: Vec<&str> = echo.confirm_tags.iter().map(|tag| tag.0.as_str()).collect();
        let to = echo.in_reply_to.map_or(0, |id| id.0);
        format!("{id} by {by} to {to}/{} {tags:?}", echo.in_reply_to_user.unwrap_or(0))
    }

    fn check(text: &str, fields: Value, expected: Option<&str>) {
        let screened = screened(&status(text, fields));
        assert_eq!(screened.intent.as_ref().map(told).as_deref(), expected, "{text}");
    }

    fn check_text(text: &str, expected: Option<&str>) {
        check(text, json!({}), expected);
    }

    #[test]
    fn own_words_order_confirm_and_cancel() {
        check_text("hello", None);
        check_text("#buyCUP and #BuyLamp #buycup!", Some("own order cup order lamp-2"));
        check_text("#BuyCup #ConfirmCup #ConfirmBuyCup", Some("own order cup confirm confirmbuycup"));
        check_text("#CancelBuyLamp #cancelOld", Some("own cancel cancelbuylamp cancel cancelold"));
        check_text("#stopmycard", Some("own freeze"));
        check_text("#ConfirmOld #ConfirmBuyGone", Some("own confirm confirmold confirm confirmbuygone"));
    }

    #[test]
    fn a_handle_that_no_network_gives_out_is_not_carried_along() {
        for (bytes, named) in [(TEXT_BYTES_MAX, true), (TEXT_BYTES_MAX + 1, false), (1_000_000, false)] {
            let user = json!({"user": {"id": 7, "screen_name": "h".repeat(bytes)}});
            let intent = screened(&status("#BuyCup", user)).intent.expect("it orders");
            assert_eq!((intent.handle.is_some(), told(&intent).as_str()), (named, "own order cup"), "{bytes} bytes");
        }
    }

    #[test]
    fn buy_tags_that_order_nothing_confirm_nothing_either() {
        for text in ["#BuyGone", "#BuyOld", "#GetCredit"] {
            check_text(text, None);
        }
        check_text("#GetCredit #ConfirmOld", Some("own confirm confirmold buys nothing"));
        check_text("#BuyGone #ConfirmBuyCup", Some("own confirm confirmbuycup buys nothing"));
    }

    #[test]
    fn the_first_word_of_a_reply_to_the_service_cancels() {
        check_text("@AMEXSYNC cancel", Some("own cancel"));
        check_text(" ＠amexsync @x: Cancel, please", Some("own cancel"));
        check("Cancel", json!({"in_reply_to_user_id": SERVICE}), Some("own cancel"));
        check("@x @y CANCEL!", json!({"in_reply_to_user_id_str": SERVICE.to_string()}), Some("own cancel"));
        for text in ["cancel", "@x @AmexSync cancel", "@AmexSync cancelled", "@AmexSync don't cancel", "@AmexSync"] {
            check_text(text, None);
        }
    }

    #[test]
    fn manual_retweets_are_told_apart() {
        check_text("ok RT @amexsync: @me Tweet #ConfirmBuyCup", Some("manual of service confirm confirmbuycup"));
        check_text("RT @other: #BuyCup", Some("manual order cup"));
    }

    #[test]
    fn retweets_and_quotes_show_prompts() {
        let prompt = |author: u64| {
            json!({"id": 88, "text": "@someone Tweet #ConfirmBuyCup", "in_reply_to_status_id": 5, "in_reply_to_user_id": 7,
                "user": {"id": author, "screen_name": "x"}})
        };
        let shown = "88 by service to 5/7 [\"confirmbuycup\"]";
        check("RT @x: …", json!({"retweeted_status": prompt(SERVICE)}), Some(&format!("retweet {shown}")));
        check("RT @x: #ConfirmBuyCup", json!({"retweeted_status": prompt(9)}), None);
        check("ok", json!({"quoted_status": prompt(SERVICE)}), Some(&format!("quote {shown}")));
        check("ok", json!({"quoted_status": prompt(9)}), None);
        check(
            "#BuyCup",
            json!({"quoted_status": prompt(9)}),
            Some("quote 88 by ? to 5/7 [\"confirmbuycup\"] order cup"),
        );
        let permalink = json!({"expanded": "https://twitter.com/AmexSync/status/88"});
        let by_id = json!({"quoted_status_id_str": "88", "quoted_status_permalink": permalink});
        check("ok", by_id, Some("quote 88 by ? to 0/0 []"));
        check("ok", json!({"quoted_status_id_str": "88"}), None);
    }

    #[test]
    fn a_v2_retweet_without_its_original_names_the_service() {
        let record = json!({"data": {"id": ID.to_string(), "author_id": "7", "text": "RT @AmexSync: @a #ConfirmBuyCup",
            "referenced_tweets": [{"type": "retweeted", "id": "88"}]}});
        let screened = screened(&record);
        assert_eq!(screened.intent.as_ref().map(told).as_deref(), Some("retweet 88 by ? to 0/0 []"));
        assert_eq!(screened.intent.map(|intent| intent.id), Some(PostId(ID)));
    }

    #[test]
    fn mentions_are_counted_also_in_retweets_but_not_in_quotes() {
        let mentions = |status: Value| -> Vec<String> {
            screened(&status).mentions.iter().map(|terms| terms.offer.clone()).collect()
        };
        let original = json!({"id": 88, "text": "#BuyCup #GetCredit #BuyGone", "user": {"id": 9}});
        assert_eq!(mentions(status("RT @x: #BuyC…", json!({"retweeted_status": original}))), ["credit", "cup"]);
        assert_eq!(mentions(status("look", json!({"quoted_status": original}))), [""; 0]);
        assert_eq!(mentions(status("RT @x #BuyLamp #buylamp", json!({}))), ["lamp-2"]);
    }

    #[test]
    fn the_service_itself_asks_for_nothing() {
        for user in [json!({"id": SERVICE}), json!({"id": 8, "screen_name": "AMEXsync"})] {
            let screened = screened(&status("#BuyCup", json!({"user": user})));
            assert!(screened.own_service && screened.intent.is_none() && screened.mentions.is_empty());
        }
    }
}
