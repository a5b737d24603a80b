//! What the page makes of what it is told: amounts, times, tables, plots; and a demo that wants a key, with offers and
//! windows of its own.

use crate::driver::Browser;
use crate::program::Program;
use crate::turns::{a_connection_that_comes_again_asks_for_no_key, only_requests_failed};
use crate::{CONFIRM, enter_key, open};

/// ISO 4217 gives both currencies two decimals, browsers none.
const OFFERS: &str = r#"
[[offers]]
id = "kretek"
kind = "purchase"
buy_tag = "BuyKretek"
confirm_tag = "ConfirmKretek"
merchant = "warung"
item = "Kretek"
price = "150000.00"
tax = "0.00"
currency = "IDR"

[[offers]]
id = "goulash"
kind = "purchase"
buy_tag = "BuyGoulash"
confirm_tag = "ConfirmGoulash"
merchant = "warung"
item = "Goulash"
price = "4990.00"
tax = "0.00"
currency = "HUF"
"#;

/// Its own windows, and limits that allow a price of six digits.
const SETTINGS: &str =
    "[account]\nconfirm_window = \"2m\"\nreply_grace = \"30s\"\n[limits]\nspend_per_day = \"900000.00\"\n";

/// A function of the page's module for each amount, stock and past.
const TOLD: &str = "
    const funnel = (minor, currency) => ({mentions: 0, buys: 0, prompts: 0, confirms: 0, authorized: 0, expired: 0,
        cancelled: 0, revenue: {minor, currency}, confirm_ms_p50: null});
    const offer = (id, quantity, minor, currency, exponent) => ({id, kind: 'purchase', buy_tag: id, merchant: 'shop',
        item: id, price: {minor: 1, currency}, exponent, quantity, held: 2, sold: 3, waiting: 0,
        funnel: funnel(minor, currency)});
    const stage = (name) => ({name, records_per_second: 1, lag_ms: 1, transaction_ms_p99: 1});
    const point = (wall) => ({wall, records_per_second: [1, 1, 1], lag_ms: [null, null, null],
        transaction_ms: [null, null, null], verdicts_per_second: [0, 0, 0, 0]});
    window.told = {offer, point, sample: (wall) => ({wall, stages: ['screen', 'accounts', 'offers'].map(stage),
        transitions: {per_second: {prompted: 4, 'rejected duplicate': 1}}, rejected_confirms: {per_second: {late: 2}}})};";

/// Amounts by ISO 4217, a merchant's sums by currency, stock that was lowered and raised, points where they belong.
pub fn tables_and_plots_draw_what_they_are_told(browser: &Browser, demo: &Program) {
    open(browser, demo, false);
    browser.script(TOLD);
    for module in ["tables", "plots"] {
        let load = format!("import('/assets/{module}.js').then(it => window.told.{module} = it)");
        browser.until(module, &format!("(window.told.{module} ??= ({load}, 0), window.told.{module} !== 0)"));
    }
    let funnel = |offers: &str| {
        let draw = format!(
            "window.place ??= document.createElement('div');
            window.told.tables.drawFunnel(window.place, {{offers: {offers}.map(it => window.told.offer(...it))}});
            return [...window.place.querySelectorAll('tbody tr')]
                .map(row => row.children[9].textContent + '; ' + row.children[11].textContent)"
        );
        let rows = browser.script(&draw);
        let rows =
            rows.as_array().expect("rows").iter().map(|row| row.as_str().unwrap_or_default().replace('\u{a0}', " "));
        rows.collect::<Vec<_>>()
    };
    let rows = funnel("[['a', 9, 15000000, 'IDR', 2], ['b', null, 500, 'JPY', 0], ['c', null, 250, 'JPY', 0]]");
    assert_eq!(rows, ["IDR 150,000.00 + ¥750; ", "IDR 150,000.00; 4 of 9", "¥500; 3 sold", "¥250; 3 sold"]);
    assert_eq!(funnel("[['a', 4, 0, 'HUF', 2]]"), ["HUF 0.00; 0 of 4"]);
    assert_eq!(funnel("[['a', 8, 0, 'HUF', 2]]"), ["HUF 0.00; 3 of 8"], "more units came");

    browser.click("#tab-operate");
    browser.until("plots", "document.querySelectorAll('#plots canvas').length === 4");
    browser.script(
        "window.drawn = new window.told.plots.Plots(document.createElement('div'));
        const now = 1e12;
        window.drawn.past([now - 400000, now - 10000, now - 5000, now].map(window.told.point));
        window.drawn.begin()",
    );
    let xs = "window.drawn.made.length && window.drawn.made[0].plot.data[0].join()";
    assert_eq!(browser.until("it is drawn", xs), "-10,-5,0");
    // The newest of the past comes once more by itself.
    browser.script(
        "for (const later of [0, 1000]) window.drawn.add(window.told.sample(1e12 + later));
        window.drawn.draw()",
    );
    assert_eq!(browser.until("it is drawn", xs), "-11,-6,-1,0");
    let verdicts = browser.script("return window.drawn.made[3].plot.data.slice(1).map(series => series.at(-1))");
    assert_eq!(verdicts, serde_json::json!([4, 0, 0, 3]), "a refused confirm is refused, as an order is");
}

/// All there is to a demo that others can reach: the key, whole events, its own windows and currencies, local times.
pub fn a_demo_in_the_open_wants_a_key(browser: &Browser) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let demo = Program::demo_in_the_open(dir.path(), "let me in", OFFERS, SETTINGS);
    browser.devtools("Emulation.setTimezoneOverride", &serde_json::json!({"timezoneId": "Asia/Kolkata"}));
    a_connection_that_comes_again_asks_for_no_key(browser, &demo.url, "let me in");
    browser.goto(&demo.url);
    browser.until("it asks for a key", "/http.token_file/.test(document.querySelector('#key').innerText)");
    enter_key(browser, "“let me in”");
    browser.until("no header carries it", "/no such characters/.test(document.querySelector('#toast').innerText)");
    enter_key(browser, "let us in");
    browser.until("it was wrong", "/token is wrong/.test(document.querySelector('#key').innerText)");
    enter_key(browser, "let me in");
    browser.until("one can play", "!document.querySelector('#play').hidden");
    assert!(browser.text(".hero").contains("within 2 minutes"), "{}", browser.text(".hero"));
    browser.until("amounts by ISO 4217", "/IDR\\s150,000\\.00/.test(document.querySelector('#offers').innerText)");
    assert!(browser.text("#offers").replace('\u{a0}', " ").contains("HUF 4,990.00"), "{}", browser.text("#offers"));

    browser.click("#link");
    browser.click("[data-offer='kretek']");
    browser.until("the prompt", "document.querySelector('[data-do=confirm]')");
    let calm = "document.querySelector('[data-deadline]')?.dataset.mood === 'calm'";
    browser.until("two minutes are not short of them", calm);
    browser.click(CONFIRM);
    browser.until("it is paid", "/Paid IDR\\s150,000\\.00/.test(document.querySelector('.receipt')?.innerText)");
    browser.click("[data-offer='goulash']");
    browser.click("[data-do='expire']");
    browser.until("it ran out", "document.querySelector('#orders [data-state=expired]')");

    browser.click("#tab-operate");
    let sums = "/IDR\\s[\\d,]+\\.00/.test(row.innerText) && /HUF\\s[\\d,]+\\.00/.test(row.innerText)";
    let rows = "[...document.querySelectorAll('#funnel tbody tr')]";
    browser.until("sums by currency", &format!("{rows}.some(row => /^warung/.test(row.innerText) && {sums})"));
    the_feed_stands_still_for_whoever_is_in_it(browser);
    browser.devtools("Emulation.setTimezoneOverride", &serde_json::json!({"timezoneId": ""}));
    browser.goto("about:blank");
    only_requests_failed(browser);
}

fn the_feed_stands_still_for_whoever_is_in_it(browser: &Browser) {
    browser.until("accounts are told to whoever has the key", "document.querySelector('#feed button')");
    let minutes = |css: &str| {
        let time = browser.text(css);
        let part = |at| time.split(':').nth(at).and_then(|text| text.parse::<i64>().ok()).expect("a time of day");
        part(0) * 60 + part(1)
    };
    let apart = (minutes("#feed time") - minutes("#clock .time")).rem_euclid(24 * 60);
    assert!(
        !(30..24 * 60 - 30).contains(&apart),
        "{} in the feed at {}",
        browser.text("#feed time"),
        browser.text("#clock .time")
    );
    browser.script("const button = document.querySelector('#feed button'); button.focus(); window.focused = button");
    let first = browser.text("#feed li");
    browser.until("it waits", "/it waits/.test(document.querySelector('#feed-note').innerText)");
    assert_eq!(browser.script("return document.activeElement === window.focused"), true, "the focus went away");
    assert_eq!(browser.text("#feed li"), first, "it moved");
    browser.script("document.querySelector('#account').focus()");
    browser.until("it goes on", "/a few of/.test(document.querySelector('#feed-note').innerText)");
}
