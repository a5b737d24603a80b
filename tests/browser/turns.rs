//! What comes and goes while the page is open: orders of one offer, people in front of it, servers behind its address,
//! and what could not be loaded.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::program::Program;
use crate::{nothing_slipped_through, open, port_of};

const CONTROLLER: &str = "[data-offer='xbox-controller']";

/// Each button acts on the order that it stands at, also where two are of one offer.
pub fn each_order_has_its_own_buttons(browser: &Browser, demo: &Program) {
    const WAITING: &str = "[...document.querySelectorAll('#orders .waits')]";
    const TWICE: &str = "document.querySelector('[data-key=\"Order twice\"]')";
    open(browser, demo, true);
    for orders in [1, 2] {
        browser.click(CONTROLLER);
        // No two prompts read the same.
        let texts = format!("{WAITING}.map(e => e.querySelector('.reply:not(.pending)')?.innerText).filter(Boolean)");
        let prompted = format!("new Set({texts}).size === {orders} && {WAITING}.length === {orders}");
        browser.until(&format!("prompt {orders}"), &prompted);
        let may = format!("({TWICE}.getAttribute('aria-disabled') === 'false') === {}", orders == 2);
        browser.until("two are no cheat, three are", &may);
        let told = browser.script(&format!("return {TWICE}.innerText.includes('You may have 2 of these')"));
        assert_eq!(told, orders == 1, "why ordering twice is no cheat");
    }
    browser.click("[data-key='Order twice']");
    browser.until(
        "it is a duplicate",
        "[...document.querySelectorAll('#why code')].some(e => e.innerText === 'duplicate')",
    );
    let ids = browser.script(&format!("return {WAITING}.map(e => e.dataset.purchase)"));
    // The newest is on top.
    let (second, first) = (ids[0].as_str().expect("two wait"), ids[1].as_str().expect("two wait"));
    browser.click(&format!("[data-key='cancel {first}']"));
    let cancelled = format!("document.querySelector('#orders [data-purchase=\"{first}\"][data-state=cancelled]')");
    browser.until("the first is cancelled", &cancelled);
    browser.click(&format!("[data-key='retweet {second}']"));
    let paid = format!("document.querySelector('#orders [data-purchase=\"{second}\"][data-state=fulfilled]')");
    browser.until("the second is paid", &paid);
    a_direct_message_is_read_and_not_answered(browser);
}

fn a_direct_message_is_read_and_not_answered(browser: &Browser) {
    browser.until(
        "the module",
        "(window.order ??= (import('/assets/order.js').then(it => window.order = it), 0), window.order !== 0)",
    );
    let drawn = |post: &Value| {
        browser.script(&format!(
            "const reply = {{kind: 'prompt', purchase: 'p', post: {post}, text: 'Reply #ConfirmIt', at: 1}};
            const offer = {{item: 'It', merchant: 'shop', price: {{minor: 1, currency: 'USD'}}, exponent: 2,
                confirm_tag: 'ConfirmIt'}};
            const you = {{posts: [], replies: [reply, {{...reply, purchase: 'q', post: '7', text: 'of another'}}]}};
            const orders = new window.order.Orders({{you, service: 's', offerOf: () => offer}});
            const node = orders.open({{id: 'p', offer: 'it', state: 'prompted', events: []}});
            return [node.querySelector('.reply').textContent,
                ...[...node.querySelectorAll('[data-do]')].map(e => e.dataset.do)]"
        ))
    };
    assert_eq!(drawn(&Value::Null), json!(["@s Reply #ConfirmIt", "confirm"]));
    assert_eq!(drawn(&json!("3")), json!(["@s Reply #ConfirmIt", "confirm", "retweet", "reply", "cancel"]));
}

/// Whoever sits down has neither the tweets nor the half-written edit of the person before.
pub fn somebody_new_has_nothing_of_the_one_before(browser: &Browser, demo: &Program) {
    open(browser, demo, true);
    browser.script("document.querySelector('#text').focus()");
    browser.press(&["m", "i", "n", "e"]);
    browser.click("#compose [type=submit]");
    let id = browser.until("it shows", "document.querySelector('.tweet.you')?.dataset.id");
    browser.click(".tweet.you [aria-label^='Edit']");
    browser.press(&["!"]);
    browser.click("[data-key='anew']");
    browser.until("the card is gone", "document.querySelector('#link')");
    let tweet = format!("document.querySelector('.tweet[data-id={id}]')");
    let label = browser.script(&format!(
        "return [{tweet}.className, {tweet}.innerText.includes('mine'),
            {tweet}.querySelectorAll('[aria-label^=Edit], [aria-label^=Delete]').length,
            document.querySelectorAll('.tweet.you, .tweet.to-you').length,
            document.querySelector('#text').value, document.querySelector('.chip').hidden]"
    ));
    assert_eq!(label, json!(["tweet crowd", true, 0, 0, "", true]));
}

/// One address, one page: the service, a demo, another demo, the service again.
pub fn another_server_may_answer(browser: &Browser) {
    const GONE: &str = "document.querySelector('#tab-play').hidden && document.querySelector('#clock').hidden && \
        !document.querySelector('#operate').hidden && document.querySelector('#play').hidden";
    const PLAYS: &str = "!document.querySelector('#tab-play').hidden && !document.querySelector('#clock').hidden && \
        !document.querySelector('#play').hidden && document.querySelectorAll('#timeline .tweet').length";
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = Program::run(dir.path(), None, 0);
    let port = port_of(&run.url);
    browser.goto(&run.url);
    browser.until("it operates", "document.querySelector('#state').innerText === 'live'");
    assert_eq!(browser.script(&format!("return {GONE}")), true);
    drop(run);
    let demo = Program::demo_at(port);
    browser.until("one can play", PLAYS);
    browser.click("#link");
    browser.until("it is linked", "document.querySelector('.plastic')");
    drop(demo);
    let demo = Program::demo_at(port);
    browser.click("#link");
    browser.until("it is linked in the other demo", "document.querySelector('.plastic')");
    browser.until("one composer", "document.querySelectorAll('#compose textarea').length === 1");
    nothing_slipped_through(browser);
    drop(demo);
    let run = Program::run(dir.path(), None, port);
    browser.until("what is left is to operate", GONE);
    nothing_slipped_through(browser);
    browser.goto("about:blank");
    drop(run);
    only_requests_failed(browser);
}

/// Whoever types a key goes on typing it when the connection comes again; what the server then lets in is shown.
pub fn a_connection_that_comes_again_asks_for_no_key(browser: &Browser, url: &str, token: &str) {
    let reconnect = || {
        browser.script(
            "performance.clearResourceTimings();
            import('/assets/net.js').then(net => net.listenAnew())",
        );
        let asked = "performance.getEntriesByType('resource').some(it => it.name.endsWith('/v1/demo'))";
        browser.until("it asks anew what there is", asked);
    };
    browser.goto(url);
    browser.until("it asks for a key", "document.activeElement === document.querySelector('#key[open] #key-value')");
    browser.until("it is connected", "document.querySelector('#state').innerText === 'live'");
    browser.press(&["h", "a", "l", "f"]);
    reconnect();
    let left =
        "return [document.querySelector('#key[open] #key-value').value, document.querySelector('#toast').hidden]";
    assert_eq!(browser.script(left), json!(["half", true]));
    browser.click("#key [type=button]");
    browser.until("it operates", "!document.querySelector('#operate').hidden");
    browser.script(&format!("sessionStorage.setItem('pay-by-tweet.token', {})", json!(token)));
    reconnect();
    browser
        .until("one can play", "!document.querySelector('#play').hidden && !document.querySelector('#clock').hidden");
    browser.script("sessionStorage.clear()");
    browser.goto("about:blank");
}

/// Plots that could not be loaded are tried again.
pub fn plots_that_did_not_load_come_later(browser: &Browser, demo: &Program) {
    open(browser, demo, false);
    browser.devtools("Network.enable", &json!({}));
    browser.devtools("Network.setBlockedURLs", &json!({"urls": ["*uPlot.iife*"]}));
    browser.click("#tab-operate");
    browser.until("it is told", "/plots could not be loaded/.test(document.querySelector('#toast').innerText)");
    browser.devtools("Network.setBlockedURLs", &json!({"urls": []}));
    browser.click("#tab-play");
    browser.until("it shows", "!document.querySelector('#play').hidden");
    browser.click("#tab-operate");
    browser.until("plots", "document.querySelectorAll('#plots canvas').length === 4");
    browser.devtools("Network.disable", &json!({}));
    only_requests_failed(browser);
}

/// Chromium tells of requests that failed; nothing else is told.
pub fn only_requests_failed(browser: &Browser) {
    let told = browser.console().into_iter().filter(|line| !line.starts_with("INFO"));
    let errors: Vec<String> = told.filter(|line| !line.contains("Failed to load resource")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
