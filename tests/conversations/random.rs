//! Random conversations: whatever is said, in whatever order it is read, the program and the audit's model of the
//! conversation must agree. The model sees every record, so nothing needs to be expected here.

use crate::harness::{Delivery, Pace, tell};
use crate::people::{ALICE, BOB, CAROL, NOISE, SERVICE, User, id_at, ms};
use crate::shapes::{Original, Post, Shape};
use crate::talk::{Said, Step, Talk};

/// Conversations a run of the tests; more by `PBT_CONVERSATIONS`, others by `PBT_SEED`.
const CONVERSATIONS: u64 = 150;

const STEPS_MAX: u64 = 28;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

#[test]
fn the_model_agrees_whatever_is_said() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (first, count) = (number("PBT_SEED", 1), number("PBT_CONVERSATIONS", CONVERSATIONS));
    let mut failures = Vec::new();
    for seed in first..first + count {
        let mut dice = Dice(seed);
        let talk = random_talk(&mut dice);
        let pace = dice.of(&[Pace::OneByOne, Pace::InBursts]);
        let delivery = if dice.one_in(4) { Delivery::Again } else { Delivery::Once };
        let shape = dice.of(&Shape::ALL);
        let wrong = |steps: &[Step]| tell(&talk, steps, shape, pace, delivery).err();
        if failures.len() < 10 && wrong(&talk.steps).is_some() {
            let steps = shrunk(talk.steps.clone(), |steps| wrong(steps).is_some());
            let said: Vec<String> = steps.iter().map(|step| format!("   {}", line_of(step))).collect();
            let (why, said) = (wrong(&steps).unwrap_or_default(), said.join("\n"));
            let settings = &talk.settings;
            failures.push(format!("── PBT_SEED={seed}, told {pace:?} {delivery:?}, {settings:?}\n{said}\n{why}"));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

/// Leaves out every step without which it still goes wrong.
fn shrunk(mut steps: Vec<Step>, is_wrong: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        if is_wrong(&fewer) {
            steps = fewer;
        }
    }
    steps
}

fn line_of(step: &Step) -> String {
    match step {
        Step::Post { value: Said::Post(post), .. } => {
            let echo = post.retweet_of.iter().chain(&post.quote_of).next();
            let echo = echo.map_or(String::new(), |echo| format!(" of {echo:?}"));
            let reply = post.reply_to.map_or(String::new(), |(post, _)| format!(" replying to {post}"));
            let first = if post.first_id == post.id { String::new() } else { format!(" editing {}", post.first_id) };
            format!("{} {} {}: {}{first}{reply}{echo}", moment(post.at), post.author.handle, post.id, post.text)
        }
        Step::Post { value: Said::Raw(raw), time, .. } => format!("{} {}", moment(*time), String::from_utf8_lossy(raw)),
        Step::Side { value, .. } => value.to_string(),
        Step::Posted { user, kind, outcome, at } => format!("{} {kind} to {}: {outcome:?}", moment(*at), user.handle),
        other => format!("{other:?}"),
    }
}

fn random_talk(dice: &mut Dice) -> Talk {
    let mut talk = Talk::new();
    talk.may_lack_replies = true;
    settings(&mut talk, dice);
    let users = [ALICE, BOB, CAROL];
    for user in users {
        if !dice.one_in(8) {
            talk.linked(user);
        }
    }
    let mut said: Vec<(User, u64, i64)> = Vec::new();
    let (mut now, mut prompts) = (ms("15:00:00"), 0);
    for _ in 0..4 + dice.below(STEPS_MAX) {
        now += dice.of(&[0, 1, 1_000, 20_000, 60_000, 240_000, 600_000]);
        let back = dice.of(&[0, 0, 0, 1, 30_000, 120_000, 299_000]);
        let who = dice_user(dice, &users);
        say(&mut talk, dice, (who, now - back), &mut said, &mut prompts);
    }
    if dice.one_in(2) {
        let at = now + 3_600_000;
        for time in [at, at + 1000, at + 2_000_000, at + 2_002_000] {
            talk.put(Post::new(NOISE, time, id_at(NOISE, time), "good night"));
        }
    }
    talk
}

fn dice_user(dice: &mut Dice, users: &[User]) -> User {
    if dice.one_in(3) { dice.of(users) } else { users[0] }
}

fn settings(talk: &mut Talk, dice: &mut Dice) {
    talk.gift(|gift| {
        gift.quantity = Some(dice.of(&[0, 1, 1, 2, 1000]));
        gift.waitlist_max = Some(dice.of(&[0, 0, 1, 5]));
        gift.per_account = Some(dice.of(&[1, 1, 2, 3]));
        if dice.one_in(6) {
            gift.closes = Some("2013-02-12T15:20:00.000Z".to_owned());
        }
    });
    for (chance, key, value) in [
        (3, "account.cancel_window", "\"5m\""),
        (8, "reply.feedback", "\"required\""),
        (8, "reply.feedback_timeout", "\"30m\""),
        (6, "limits.purchases_per_day", "2"),
        (6, "limits.spend_per_day", "\"170.00\""),
        (6, "limits.pending_per_account", "2"),
        (6, "limits.replies_per_hour", "1"),
        (8, "account.buy_max_age", "\"1h\""),
        (8, "account.reply_grace", "\"0s\""),
    ] {
        if dice.one_in(chance) {
            talk.set(key, value);
        }
    }
}

fn say(talk: &mut Talk, dice: &mut Dice, who: (User, i64), said: &mut Vec<(User, u64, i64)>, prompts: &mut u64) {
    let ((user, at), own) = (who, |said: &Vec<(User, u64, i64)>, dice: &mut Dice| {
        let own: Vec<u64> = said.iter().filter(|(author, ..)| *author == who.0).map(|(_, id, _)| *id).collect();
        if own.is_empty() { id_at(who.0, who.1 - 1000) } else { dice.of(&own) }
    });
    let clock = moment(at);
    match dice.below(26) {
        0..=5 => post(talk, said, user, at, "#BuyAmexGiftCard25"),
        6 => post(talk, said, user, at, "#BuyKindleFireHD"),
        7 => post(
            talk,
            said,
            user,
            at,
            dice.of(&[
                "#BuyKindleFireHD #BuyAmexGiftCard25",
                "#BuyAmexGiftCard25 #CancelAmexGiftCard25",
                "#BuyAmexGiftCard25 #CancelKindleFireHD",
            ]),
        ),
        8..=11 => post(talk, said, user, at, "#ConfirmAmexGiftCard25"),
        12 => post(talk, said, user, at, "#ConfirmKindleFireHD"),
        13 => post(
            talk,
            said,
            user,
            at,
            dice.of(&[
                "#ConfirmKindleFireHD #ConfirmAmexGiftCard25",
                "#BuyAmexGiftCard25 #ConfirmAmexGiftCard25",
                "#ConfirmAmexGiftCard25 #CancelAmexGiftCard25",
                "#ConfirmAmexGiftCard25 #CancelKindleFireHD",
            ]),
        ),
        14 => post(talk, said, user, at, dice.of(&["#CancelAmexGiftCard25", "#CancelKindleFireHD"])),
        15 => {
            let to = dice.of(&[4711, id_at(SERVICE, ms("15:00:00") + *prompts as i64)]);
            talk.reply(user, &clock, "@AmexSync cancel", (to, SERVICE));
        }
        16 => {
            let (first, words) =
                (own(said, dice), dice.of(&["#BuyAmexGiftCard25", "#ConfirmAmexGiftCard25", "x #BuyKindleFireHD"]));
            talk.edit(user, &clock, first, words);
        }
        17 | 18 => {
            let id = own(said, dice);
            talk.delete(user, &clock, id);
        }
        19 => {
            let about = said.iter().rev().find(|(author, ..)| *author == user).map_or(4711, |(_, id, _)| *id);
            let echo = echo_of(talk, dice, user, about, at, *prompts);
            if dice.one_in(2) {
                talk.retweet(user, &clock, &echo)
            } else {
                talk.quote(user, &clock, dice.of(&["yes", "#ConfirmAmexGiftCard25", "#BuyAmexGiftCard25"]), &echo)
            };
        }
        20 => post(
            talk,
            said,
            user,
            at,
            dice.of(&[
                "RT @bob: #ConfirmAmexGiftCard25",
                "RT @AmexSync: @alice Tweet #ConfirmAmexGiftCard25",
                "RT @bob #BuyAmexGiftCard25",
            ]),
        ),
        21 => match dice.below(6) {
            0 => talk.unlink(user, &clock),
            1 => talk.card(user, dice.of(&["suspended", "cancelled", "active"]), &clock),
            2 => post(talk, said, user, at, "#FreezeMyCard"),
            3 => post(talk, said, user, at, "#FreezeMyCard #ConfirmAmexGiftCard25"),
            _ => talk.link(user, &clock),
        },
        22 => talk.watermark(&clock),
        23 | 24 => {
            *prompts += 1;
            let id = id_at(SERVICE, ms("15:00:00") + *prompts as i64);
            let outcome = if dice.one_in(3) { Err("blocked") } else { Ok(id) };
            let kind = dice.of(&[
                "prompt",
                "prompt",
                "prompt",
                "purchased",
                "cancelled",
                "expired",
                "sold_out",
                "already_tweeted",
            ]);
            talk.steps.push(Step::Posted { user, kind, outcome, at });
        }
        _ => {
            if let Some(step) = talk.steps.last().cloned() {
                talk.steps.push(step);
            }
        }
    }
}

fn echo_of(talk: &Talk, dice: &mut Dice, user: User, about: u64, at: i64, prompts: u64) -> Original {
    let prompt = talk.prompt_of(dice.of(&[user, user, BOB]), dice.of(&[about, 4711]), &moment(at - 500));
    let id = if dice.one_in(2) { id_at(SERVICE, ms("15:00:00") + prompts as i64) } else { prompt.id };
    let author = if dice.one_in(4) { BOB } else { SERVICE };
    let prompt = Original { id, author, ..prompt };
    match dice.below(4) {
        0 => prompt.without_reply(),
        1 => prompt.left_out(),
        _ => prompt,
    }
}

fn post(talk: &mut Talk, said: &mut Vec<(User, u64, i64)>, user: User, at: i64, text: &str) {
    let id = talk.post(user, &moment(at), text);
    said.push((user, id, at));
}

fn moment(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).expect("conversations are near 2013");
    time.strftime("%d %H:%M:%S%.3f").to_string()
}
