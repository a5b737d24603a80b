//! People alone, without the program.

use super::post::{Post, Relation};
use super::*;
use crate::domain::{AccountMessage, PostForm, PostId, PostIntent, Terms};

fn settings() -> Settings {
    Settings::of_text(None, std::iter::empty()).expect("the shipped settings are valid")
}

/// Everything that the people of a plan write when nobody answers.
fn inputs(plan: &PeoplePlan) -> Vec<Input> {
    People::new(plan, &settings()).take_due(Time(i64::MAX))
}

#[test]
fn a_seed_is_the_same_people_each_time() {
    for seed in 0..20 {
        assert_eq!(inputs(&PeoplePlan::draw(seed)), inputs(&PeoplePlan::draw(seed)), "seed {seed}");
    }
    assert_ne!(inputs(&PeoplePlan::draw(1)), inputs(&PeoplePlan::draw(2)));
}

#[test]
fn leaving_accounts_out_changes_none_of_the_others() {
    for seed in 0..20 {
        let plan = PeoplePlan::draw(seed);
        let few = PeoplePlan { keep: Some((0..plan.accounts).filter(|n| n % 3 == 0).collect()), ..plan.clone() };
        let of_few = |input: &&Input| {
            let text = String::from_utf8_lossy(&input.value);
            !(0..plan.accounts)
                .filter(|n| n % 3 != 0)
                .any(|n| text.contains(&script::author_of(n).user.to_string()[..16]))
        };
        let all = inputs(&plan);
        let expected: Vec<_> =
            all.iter().filter(of_few).map(|input| (&input.value, input.due, input.partition)).collect();
        let few = inputs(&few);
        let kept: Vec<_> = few.iter().map(|input| (&input.value, input.due, input.partition)).collect();
        assert!(expected == kept, "seed {seed}: {} and {}", expected.len(), kept.len());
    }
}

#[test]
fn every_seed_has_enough_orders_and_all_ids_differ() {
    for seed in 0..50 {
        let plan = PeoplePlan::draw(seed);
        let mut people = People::new(&plan, &settings());
        let mut written = std::collections::BTreeMap::new();
        for (offset, input) in people.take_due(Time(i64::MAX)).into_iter().enumerate() {
            people.appended(&input, offset as u64, Time(0));
            if let What::Post(post) = &people.desk.planned[input.id as usize].what {
                let before = written.insert(post.id, input.id);
                assert!(before.is_none_or(|before| before == input.id), "seed {seed}: {} twice", post.id);
            }
        }
        assert!(people.orders() >= plan.orders_min, "seed {seed}: {} orders", people.orders());
    }
}

/// The first plain buy of some people, and what the screen should make of it.
fn plain_buy(people: &mut People) -> (Input, u32, InboxRecord) {
    let goods = &people.desk.goods;
    let ordered = |post: &Post| {
        let [tag] = post.tags().collect::<Vec<_>>()[..] else { return None };
        let plain = post.relation == Relation::Own && post.first == post.id && !post.unnamed;
        let mut sold = goods.all.iter().filter(|good| good.seeded && good.tags[0].buy == tag);
        let good = sold.next().filter(|_| plain && sold.next().is_none())?;
        Some(Arc::new(good.spec.clone().into_offer(7 << 20).expect("the offer is valid").terms))
    };
    let posts = people.desk.planned.iter().enumerate().filter_map(|(index, planned)| match &planned.what {
        What::Post(post) => Some((index as u32, post, ordered(post)?)),
        _ => None,
    });
    let (index, post, terms) = posts.into_iter().next().expect("somebody buys");
    let account = people.desk.account(post.author.user);
    let intent = PostIntent {
        id: PostId(post.id),
        first_id: PostId(post.id),
        time: Time(post.time()),
        handle: Some(post.author.handle.to_string()),
        form: PostForm::Own,
        orders: vec![terms],
        buys: true,
        confirm_tags: Vec::new(),
        cancel_tags: Vec::new(),
        cancel_word: false,
        freeze: false,
        in_reply_to: None,
    };
    let inbox = partition_of_key(account.to_string().as_bytes(), people.desk.known.partitions);
    (people.input(0, index), inbox, InboxRecord::To(account, AccountMessage::Post(intent)))
}

/// How many problems there are when one buy was written and this was seen of it.
fn problems(seen: impl Fn(u32, &InboxRecord) -> Vec<(u32, InboxRecord)>) -> usize {
    let mut people = People::new(&PeoplePlan::draw(1), &settings());
    let (input, inbox, record) = plain_buy(&mut people);
    people.appended(&input, 0, Time(0));
    for (offset, (inbox, record)) in seen(inbox, &record).into_iter().enumerate() {
        people.see_inbox(inbox, offset as u64, Time(0), &record);
    }
    people.finish().len()
}

#[test]
fn a_buy_is_seen_once_where_its_account_lives_and_as_it_was_meant() {
    let once = |inbox, record: &InboxRecord| vec![(inbox, record.clone())];
    assert_eq!(problems(once), 0);
    assert_eq!(problems(|_, _| Vec::new()), 1, "missing");
    assert_eq!(problems(|inbox, record| [once(inbox, record), once(inbox, record)].concat()), 1, "twice");
    assert_eq!(problems(|inbox, record| once((inbox + 1) % 4, record)), 2, "elsewhere");
    let changed = |change: fn(&mut PostIntent)| {
        problems(move |inbox, record| {
            let mut record = record.clone();
            if let InboxRecord::To(_, AccountMessage::Post(intent)) = &mut record {
                change(intent);
            }
            vec![(inbox, record)]
        })
    };
    assert_eq!(changed(|intent| intent.orders.clear()), 1);
    assert_eq!(
        changed(|intent| intent.orders[0] = Arc::new(Terms { per_account: 9, ..(*intent.orders[0]).clone() })),
        1
    );
    assert_eq!(changed(|intent| intent.cancel_word = true), 1);
    assert_eq!(changed(|intent| intent.form = PostForm::ManualRetweet), 1);
    assert_eq!(changed(|intent| intent.time = Time(intent.time.0 + 1)), 1);
}

/// The least mark that must be told of posts of these times, in seconds; ticks are 20 s apart, lateness is 60 s.
fn due_mark(idle_after: i64, times: &[i64]) -> Option<i64> {
    let mut known = People::new(&PeoplePlan::draw(1), &settings()).desk.known;
    (known.tick_every, known.lateness, known.idle_after) = (20_000, 60_000, idle_after);
    let (mut high, mut due) = (None, None);
    for time in times.iter().map(|time| time * 1_000) {
        due = due.max(known.due_mark(high, time));
        high = high.max(Some(time));
    }
    due.map(|Time(ms)| ms)
}

#[test]
fn a_source_that_is_not_live_must_tell_of_the_post_before_a_multiple_of_the_tick() {
    assert_eq!(due_mark(0, &[117]), None);
    assert_eq!(due_mark(0, &[105, 117]), None);
    assert_eq!(due_mark(0, &[105, 117, 119, 121]), Some(59_000));
    assert_eq!(due_mark(0, &[117, 121, 118, 139]), Some(57_000));
}

#[test]
fn a_live_source_may_have_ticked_less_than_a_tick_before_a_multiple_of_it() {
    assert_eq!(due_mark(30_000, &[117]), None);
    assert_eq!(due_mark(30_000, &[105, 117, 119, 121]), Some(41_001), "a tick at 105 s is enough");
    assert_eq!(due_mark(30_000, &[117, 121, 118, 139]), Some(41_001));
    assert_eq!(due_mark(30_000, &[117, 157]), Some(57_000), "a tick's span after that of 117 s it must tick again");
}

/// How many problems there are when a buy was written before its offer and once more after it, and was seen so often.
fn problems_of_an_early_buy(times_seen: u64) -> usize {
    let mut people = People::new(&PeoplePlan::draw(1), &settings());
    let (buy, inbox, record) = plain_buy(&mut people);
    let InboxRecord::To(_, AccountMessage::Post(intent)) = &record else { panic!("a buy is a post") };
    let goods = &mut people.desk.goods;
    let good = goods.all.iter().position(|good| good.spec.id == intent.orders[0].offer).expect("it is of some offer");
    goods.all[good].seeded = false;
    let spec = Some(goods.all[good].spec.clone());
    goods.changes.push(goods::Change { at: 0, good, what: Behaviour::OfferAppears, spec, generation: 0 });
    let what = What::Offer(goods.changes.len() - 1);
    people.desk.planned.push(Planned { into: Into::Offers, partition: 0, what });
    let offer = people.input(0, people.desk.planned.len() as u32 - 1);
    people.check = Check::new(&people.desk);
    people.appended(&buy, 0, Time(0));
    people.appended(&offer, 7, Time(7));
    let read_by = people.check.now() + people.desk.plan.catalogue_lag.0;
    people.check.clock(Time(read_by));
    people.appended(&buy, 1, Time(0));
    (0..times_seen).for_each(|offset| people.see_inbox(inbox, offset, Time(0), &record));
    people.finish().len()
}

#[test]
fn a_buy_that_was_passed_over_before_its_offer_came_may_be_seen_when_it_is_written_again() {
    assert_eq!(problems_of_an_early_buy(0), 1, "the second must be seen");
    assert_eq!(problems_of_an_early_buy(1), 0, "the first was passed over");
    assert_eq!(problems_of_an_early_buy(2), 0, "or was read when the offer was known");
    assert_eq!(problems_of_an_early_buy(3), 1, "one too many");
}
