//! The page in a real browser, in front of the real program: what a newcomer does first, every way to cheat that it
//! offers, what an operator looks at; with the keyboard alone, on a phone's width, light and dark, and by the rules of
//! accessibility. Pictures of it lie in `target/tmp/page` afterwards.

#[path = "browser/driver.rs"]
mod driver;
#[path = "browser/parts.rs"]
mod parts;
#[path = "browser/program.rs"]
mod program;
#[path = "browser/turns.rs"]
mod turns;

use std::panic::{AssertUnwindSafe, catch_unwind};

use driver::{Browser, Scheme};
use program::Program;
use serde_json::{Value, json};

const AXE: &str = include_str!("browser/vendor/axe.min.js");

const KINDLE: &str = "[data-offer='kindle-fire-hd']";
const CONFIRM: &str = "[data-do='confirm']";

/// One browser and one demo serve all: a test is somebody new in front of the page.
#[test]
fn the_page_does_what_it_shows() {
    let (browser, demo) = (Browser::start(), Program::demo());
    let mut failed = Vec::new();
    let mut timed = |name: &'static str, test: &dyn Fn(&Browser, &Program)| {
        let begun = std::time::Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            test(&browser, &demo);
            nothing_slipped_through(&browser);
            no_error_on_the_console(&browser);
        }));
        if outcome.is_err() {
            browser.shot(&format!("failed-{name}"));
            failed.push(name);
        }
        println!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
    };
    timed("a_newcomer_sees_what_it_is", &a_newcomer_sees_what_it_is);
    timed("link_buy_confirm_pay", &link_buy_confirm_pay);
    timed("the_prompt_can_be_retweeted_or_answered", &the_prompt_can_be_retweeted_or_answered);
    timed("every_cheat_is_judged_with_its_reason", &every_cheat_is_judged_with_its_reason);
    timed("a_late_confirm_is_late_and_an_order_runs_out", &a_late_confirm_is_late_and_an_order_runs_out);
    timed("tweets_are_written_edited_and_deleted", &tweets_are_written_edited_and_deleted);
    timed("the_timeline_waits_for_whoever_points_at_it", &the_timeline_waits_for_whoever_points_at_it);
    timed("the_keyboard_is_enough", &the_keyboard_is_enough);
    timed("operators_see_the_pipeline", &operators_see_the_pipeline);
    timed("everybody_can_read_it", &everybody_can_read_it);
    timed("tables_and_plots_draw_what_they_are_told", &parts::tables_and_plots_draw_what_they_are_told);
    timed("each_order_has_its_own_buttons", &turns::each_order_has_its_own_buttons);
    timed("somebody_new_has_nothing_of_the_one_before", &turns::somebody_new_has_nothing_of_the_one_before);
    timed("plots_that_did_not_load_come_later", &turns::plots_that_did_not_load_come_later);
    timed("another_server_may_answer", &|browser, _| turns::another_server_may_answer(browser));
    timed("a_demo_in_the_open_wants_a_key", &|browser, _| parts::a_demo_in_the_open_wants_a_key(browser));
    timed("the_running_service_wants_a_key_and_is_waited_for", &|browser, _| {
        the_running_service_wants_a_key_and_is_waited_for(browser);
    });
    assert!(failed.is_empty(), "these failed: {failed:?}; pictures are in target/tmp/page");
}

fn a_newcomer_sees_what_it_is(browser: &Browser, demo: &Program) {
    open(browser, demo, false);
    assert_eq!(browser.text("h1"), "Buy things by tweeting.");
    browser.until("people tweet", "document.querySelectorAll('#timeline .tweet').length > 10");
    browser.until("offers show", "document.querySelectorAll('#offers .offer').length >= 6");
    assert_eq!(browser.text("#steps [aria-current]").trim(), "1\nLink a card");
    let above = browser.script("return document.querySelector('#link').getBoundingClientRect().bottom < innerHeight");
    assert_eq!(above, true, "the first thing to do is below the fold");
    browser.shot("play-first-light");
    browser.looks(Scheme::Dark, 1440, 1000);
    browser.shot("play-first-dark");
    browser.looks(Scheme::Light, 375, 812);
    fits(browser);
    browser.shot("play-first-phone");
    browser.looks(Scheme::Light, 1440, 1000);
}

fn link_buy_confirm_pay(browser: &Browser, demo: &Program) {
    open(browser, demo, false);
    browser.click("#link");
    browser.click(KINDLE);
    browser.until("the prompt", "document.querySelector('#orders .reply:not(.pending)')");
    let reply = browser.text("#orders .reply");
    assert!(reply.contains("#ConfirmKindleFireHD") && reply.contains("15 min"), "{reply}");
    let digits = browser.until(
        "time runs",
        "/^1[456]:\\d\\d$/.test(document.querySelector('.digits')?.innerText) && \
        document.querySelector('.digits').innerText",
    );
    let later = format!("document.querySelector('.digits')?.innerText !== {digits}");
    browser.until("the countdown counts", &later);
    assert!(browser.text("#said").contains("#ConfirmKindleFireHD"), "a screen reader is not told of the reply");
    browser.shot("play-prompt-light");
    browser.click(CONFIRM);
    browser.until("it is paid", "document.querySelector('#orders [data-state=fulfilled] .receipt')");
    browser.until("it is ordered", "document.querySelector('.receipt').innerText.includes('Ordered at amazon')");
    let order = browser.text("#orders .order");
    assert!(order.contains("Paid $149.99 with the card ending in"), "{order}");
    browser.until("a mail comes", "/bought Kindle Fire HD/.test(document.querySelector('#mails').innerText)");
    browser.until("the reply comes", "/Thanks! You bought/.test(document.querySelector('#timeline').innerText)");
    assert_eq!(browser.text("#steps li:nth-child(4)").trim(), "✓\nPaid and shipped");
    let html = browser.script("return document.documentElement.outerHTML");
    assert!(!html.as_str().unwrap_or_default().contains("tok_"), "the card's token is on the page (I11)");
    browser.shot("play-paid-light");
}

fn the_prompt_can_be_retweeted_or_answered(browser: &Browser, demo: &Program) {
    for how in ["retweet", "reply"] {
        open(browser, demo, true);
        browser.click(KINDLE);
        browser.click(&format!("[data-do='{how}']"));
        browser.until(how, "document.querySelector('#orders [data-state=fulfilled]')");
    }
}

/// Title, whether an order must wait for it, and what the page must say of it.
const CHEATS: [(&str, bool, &str); 10] = [
    ("Retweet somebody’s prompt", false, "retweet"),
    ("Delete the order", true, "deleted"),
    ("Order twice", true, "duplicate"),
    ("Buy and confirm in one tweet", false, "both_tags"),
    ("Quote as a joke", false, "quote"),
    ("RT by hand", false, "manual_retweet"),
    ("Confirm what nobody ordered", false, "no_purchase"),
    ("Buy with a suspended card", false, "card_not_active"),
    ("Buy from abroad", false, "country"),
    ("Buy without a card", false, "not_linked"),
];

fn every_cheat_is_judged_with_its_reason(browser: &Browser, demo: &Program) {
    for (title, needs_order, reason) in CHEATS {
        open(browser, demo, true);
        if needs_order {
            browser.click(KINDLE);
            browser.until("the prompt", "document.querySelector('[data-do=confirm]')");
        }
        browser.click(&format!("[data-key='{title}']"));
        let told =
            format!("[...document.querySelectorAll('#why code, #orders code')].some(e => e.innerText === '{reason}')");
        browser.until(&format!("{title} is {reason}"), &told);
        let paid = browser.script("return document.querySelector('#orders .receipt') !== null");
        assert_eq!(paid, false, "{title} bought something");
        if title == "Order twice" {
            browser.until("the reply", "/already Tweeted/.test(document.querySelector('#timeline').innerText)");
            browser.shot("play-cheat-light");
        }
    }
    open(browser, demo, true);
    browser.click(KINDLE);
    browser.until("the prompt", "document.querySelector('[data-do=confirm]')");
    browser.click("[data-key='Edit the tag away']");
    browser.until("it was edited", "/I said nothing/.test(document.querySelector('#why').innerText)");
    browser.click(CONFIRM);
    browser.until("the order stood", "document.querySelector('#orders [data-state=fulfilled]')");
}

fn a_late_confirm_is_late_and_an_order_runs_out(browser: &Browser, demo: &Program) {
    open(browser, demo, true);
    browser.click(KINDLE);
    browser.until("the deadline", "document.querySelector('[data-deadline]')");
    browser.click("[data-key='Confirm too late']");
    browser.until("it was late", "[...document.querySelectorAll('#orders code')].some(e => e.innerText === 'late')");
    browser.shot("play-late-light");
    browser.click("[data-do='expire'], #clock [data-key='+15 min']");
    browser.until("it ran out", "document.querySelector('#orders [data-state=expired]')");
    browser.until("it is told", "/Time ran out/.test(document.querySelector('#timeline').innerText)");
}

fn tweets_are_written_edited_and_deleted(browser: &Browser, demo: &Program) {
    open(browser, demo, true);
    browser.script("document.querySelector('#text').focus()");
    browser.press(&["<", "b", ">", "h", "i", "!"]);
    browser.click("#compose [type=submit]");
    browser.until("it shows as it was written", "document.querySelector('.tweet.you .text')?.innerText === '<b>hi!'");
    browser.until("nothing came of it", "/carries no tag/.test(document.querySelector('#why').innerText)");
    browser.click(".tweet.you [aria-label^='Edit']");
    browser.press(&["?"]);
    browser.click("#compose [type=submit]");
    browser.until("it was edited", "document.querySelector('.tweet.you .text')?.innerText === '<b>hi!?'");
    browser.click(".tweet.you [aria-label^='Delete']");
    browser.until("it is gone", "document.querySelectorAll('.tweet.you').length === 0");
}

fn the_timeline_waits_for_whoever_points_at_it(browser: &Browser, demo: &Program) {
    open(browser, demo, true);
    browser.until("people tweet", "document.querySelectorAll('#timeline .tweet').length > 10");
    browser.script("document.querySelector('#timeline').focus()");
    let first = browser.script("return document.querySelector('#timeline .tweet').dataset.id");
    browser.until("tweets are held", "!document.querySelector('#held').hidden");
    assert_eq!(browser.script("return document.querySelector('#timeline .tweet').dataset.id"), first, "it moved");
    browser.script("document.querySelector('#text').focus()");
    browser.until("they come", "document.querySelector('#held').hidden");
    let first = first.as_str().expect("an id");
    let moved = format!("document.querySelector('#timeline .tweet').dataset.id !== '{first}'");
    browser.until("the newest is on top", &moved);
}

fn the_keyboard_is_enough(browser: &Browser, demo: &Program) {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    open(browser, demo, false);
    browser.press(&[TAB]);
    assert_eq!(browser.script("return document.activeElement.className"), "skip");
    browser.press(&[ENTER]);
    // On to what is wanted, each by its key, with a focus that can be seen.
    let tab_to = |css: &str| {
        for _ in 0..120 {
            if browser.script(&format!("return document.activeElement.matches({})", json!(css))) == true {
                let seen = browser.script("return getComputedStyle(document.activeElement).outlineStyle");
                assert_ne!(seen, "none", "the focus of {css} can't be seen");
                return;
            }
            browser.press(&[TAB]);
        }
        panic!("no way to {css} by the tabulator");
    };
    tab_to("#link");
    browser.press(&[ENTER]);
    browser.until("it is linked", "document.querySelector('.plastic')");
    tab_to(KINDLE);
    browser.press(&[ENTER]);
    browser.until("the prompt", "document.querySelector('[data-do=confirm]')");
    tab_to(CONFIRM);
    browser.press(&[ENTER]);
    browser.until("it is paid", "document.querySelector('#orders [data-state=fulfilled]')");
    // The skip link leads into the view that is shown.
    browser.click("#tab-operate");
    browser.until("it operates", "!document.querySelector('#operate').hidden");
    browser.script(
        "addEventListener('hashchange', () => (window.skipped = true)); document.querySelector('.skip').focus()",
    );
    browser.press(&[ENTER]);
    browser.until("it is skipped", "window.skipped && location.hash === '#main'");
    assert_eq!(browser.script("return document.querySelector('#operate').hidden"), false, "skipping led elsewhere");
}

fn operators_see_the_pipeline(browser: &Browser, demo: &Program) {
    open(browser, demo, true);
    browser.click(KINDLE);
    browser.until("the prompt", "document.querySelector('[data-do=confirm]')");
    browser.click("#tab-operate");
    browser.until("records flow", "parseFloat(document.querySelector('[data-n=screen-rate]')?.innerText) > 0");
    for stage in ["screen", "accounts", "offers"] {
        browser.until(stage, &format!("/behind/.test(document.querySelector('[data-n={stage}-lag]')?.innerText)"));
    }
    browser.until("watermarks", "/ago/.test(document.querySelector('#sources').innerText)");
    browser.until("plots", "document.querySelectorAll('#plots canvas').length === 4");
    browser.until("transactions", "/\\/s/.test(document.querySelector('#stages tbody').innerText)");
    browser.until("what is pending", "document.querySelectorAll('#pending li').length === 7");
    browser.until("funnels", "/Kindle Fire HD/.test(document.querySelector('#funnel').innerText)");
    browser.until("merchants", "/microsoft/.test(document.querySelector('#funnel').innerText)");
    browser.until("transitions", "document.querySelector('#feed .badge')");
    browser.shot("operate-light");
    browser.click("#search button:not([type=submit])");
    browser.until("the account", "/kindle-fire-hd/.test(document.querySelector('#found').innerText)");
    assert!(browser.text("#found").contains("Waits for a confirm"), "{}", browser.text("#found"));
    browser.looks(Scheme::Dark, 1440, 1000);
    browser.until("it is drawn", "document.querySelectorAll('#plots canvas').length === 4");
    browser.shot("operate-dark");
    browser.looks(Scheme::Light, 375, 812);
    fits(browser);
    browser.shot("operate-phone");
    browser.looks(Scheme::Light, 1440, 1000);
}

fn everybody_can_read_it(browser: &Browser, demo: &Program) {
    open(browser, demo, true);
    browser.click(KINDLE);
    browser.until("the prompt", "document.querySelector('[data-do=confirm]')");
    browser.script(AXE);
    for view in ["play", "operate"] {
        browser.click(&format!("#tab-{view}"));
        browser.until("it is drawn", &format!("!document.querySelector('#{view}').hidden"));
        for (scheme, width) in [(Scheme::Light, 1440), (Scheme::Dark, 1440), (Scheme::Light, 375), (Scheme::Dark, 375)]
        {
            browser.looks(scheme, width, 900);
            // A timeline that changes under the checker's eyes would be checked by halves.
            let found = browser.until(
                "axe is through",
                "(window.axeRun ??= axe.run(document, {resultTypes: ['violations']}).then(found => window.axeFound = found), \
                window.axeFound)",
            );
            browser.script("delete window.axeRun; delete window.axeFound");
            let violations: Vec<String> = found["violations"].as_array().into_iter().flatten().map(violation).collect();
            let dark = scheme == Scheme::Dark;
            assert!(violations.is_empty(), "{view}, dark: {dark}, {width} px: {violations:#?}");
        }
    }
    browser.looks(Scheme::Light, 1440, 1000);
}

fn the_running_service_wants_a_key_and_is_waited_for(browser: &Browser) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let keyless = tempfile::tempdir().expect("a temporary folder");
    let run = Program::run(keyless.path(), None, 0);
    browser.goto(&run.url);
    ask_for_an_account(browser);
    // There is no token that could be right: the dialog says so.
    browser.until("it says why", "/set http.token_file/.test(document.querySelector('#key').innerText)");
    browser.goto("about:blank");
    drop(run);
    turns::only_requests_failed(browser);
    let run = Program::run(dir.path(), Some("the operator's token"), 0);
    browser.goto(&run.url);
    browser.until("it operates", "!document.querySelector('#operate').hidden && document.querySelector('#tiles dd')");
    assert_eq!(browser.script("return document.querySelector('#tab-play').hidden"), true);
    browser.until("the stages", "/ready/.test(document.querySelector('#tiles').innerText)");
    no_error_on_the_console(browser);
    ask_for_an_account(browser);
    browser.shot("run-key-light");
    enter_key(browser, "guessed");
    browser.until("it was wrong", "/token is wrong/.test(document.querySelector('#key').innerText)");
    enter_key(browser, "the operator's token");
    nothing_slipped_through(browser);
    browser.until("it answers", "/No purchase of this account/.test(document.querySelector('#found').innerText)");
    browser.script("sessionStorage.clear()");
    let url = run.url.clone();
    drop(run);
    browser.until("it says so", "/reconnecting/.test(document.querySelector('#state').innerText)");
    let again = Program::run(dir.path(), Some("the operator's token"), port_of(&url));
    browser.until("it comes back", "document.querySelector('#state').innerText === 'live'");
    browser.goto("about:blank");
    drop(again);
    turns::only_requests_failed(browser);
}

fn ask_for_an_account(browser: &Browser) {
    browser.until("it operates", "document.querySelector('#account')?.getClientRects().length");
    browser.script("document.querySelector('#account').focus()");
    browser.press(&["7", "\u{e007}"]);
    browser.until("it asks for a key", "document.querySelector('#key').open");
}

/// Types a token into the dialog, which asks for one.
fn enter_key(browser: &Browser, token: &str) {
    browser.until("it asks", "document.activeElement === document.querySelector('#key[open] #key-value')");
    browser.press(&token.chars().map(String::from).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
    browser.press(&["\u{e007}"]);
}

fn port_of(url: &str) -> u16 {
    let port = url.trim_end_matches('/').rsplit(':').next();
    port.and_then(|port| port.parse().ok()).expect("a port")
}

/// Opens the page as somebody new.
fn open(browser: &Browser, demo: &Program, linked: bool) {
    demo.somebody_new(linked);
    browser.goto("about:blank");
    browser.goto(&demo.url);
    browser.until(
        "the page is there",
        "document.querySelector('#orders').innerText && !document.querySelector('#play').hidden",
    );
}

/// Nothing reaches beyond the window's width.
fn fits(browser: &Browser) {
    let wide = browser.script(
        "return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 \
        && !e.closest('.scroll, .sr')).map(e => e.outerHTML.slice(0, 120))",
    );
    assert_eq!(wide, json!([]), "wider than the window");
}

/// Nothing is said that a program says to itself.
fn nothing_slipped_through(browser: &Browser) {
    // What a toast said stays in it.
    let said = browser.script("return document.querySelector('#toast')?.textContent ?? ''");
    let text = format!("{} {said}", browser.text("body"));
    for slip in ["undefined", "NaN", "[object", "Cannot read", "is not a"] {
        assert!(!text.contains(slip), "the page says {slip}: {text}");
    }
}

fn no_error_on_the_console(browser: &Browser) {
    let errors: Vec<String> = browser.console().into_iter().filter(|line| !line.starts_with("INFO")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn violation(found: &Value) -> String {
    let nodes = found["nodes"].as_array().into_iter().flatten();
    let places: Vec<String> =
        nodes.take(4).map(|node| format!("{} {}", node["target"], node["failureSummary"])).collect();
    format!("{}: {}", found["id"], places.join("; "))
}
