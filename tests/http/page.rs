//! What the page asks: its files, events, and what became of an account.

use super::*;

#[test]
fn events_tell_samples_to_everybody_and_accounts_to_the_keyed() {
    let program = Program::start(Some(TOKEN), false);
    program.until("ready", || program.get("/readyz", Key::None).status == 200);
    let watch = |secret: &str| {
        let endpoint = Endpoint { secret: secret.to_owned(), ..program.endpoint() };
        client_get(&endpoint, "/v1/events").expect("answered")
    };
    let (mut stranger, mut keyed) = (watch("guessed"), watch(TOKEN));
    program.feed_a_purchase();
    // Totals are the process's, so that other tests count there too: what is this program's own comes later.
    let teapot = |event: &Value| event["offers"].as_array().is_some_and(|all| all.iter().any(|o| o["id"] == "teapot"));
    let asked = |event: &Value| event["accounts"]["accounts"].as_u64() >= Some(1);
    let paid = |event: &Value| event["transitions"]["total"]["fulfilled"].as_f64() >= Some(1.0);
    let sample = |event: &Value| paid(event) && teapot(event) && asked(event);
    let seen = events_until(&mut stranger, "sample", sample);
    let sample = seen.last().expect("a sample");
    assert_eq!(sample["stages"][1]["name"], "accounts");
    assert_eq!(sample["accounts"]["pending"].as_array().map(Vec::len), Some(7));
    let has_prompt = |event: &Value| event.to_string().contains("prompted");
    let told = events_until(&mut keyed, "transitions", has_prompt);
    assert!(told.iter().any(|event| event.to_string().contains(BUYER)), "{told:?}");
    program.append("tweets", &[tweet(210, "#ConfirmMug")]);
    let told = events_until(&mut stranger, "transitions", |event| event.to_string().contains("fulfilled"));
    for private in [CARD, HANDLE, BUYER, "adr_1", "present"] {
        assert!(!format!("{seen:?}{told:?}").contains(private), "{private} is told to strangers");
    }
}

#[test]
fn an_accounts_story_tells_each_verdict() {
    let program = Program::start(Some(TOKEN), false);
    program.feed_a_purchase();
    program.append("tweets", &[tweet(190, "again #BuyMug"), tweet(195, "RT @somebody: #BuyTeapot")]);
    let path = format!("/v1/accounts/{BUYER}/events");
    program.check(&path, Key::None, 401);
    program.check("/v1/accounts/nobody/events", Key::Token, 400);
    let story = program.check(&path, Key::Token, 200).json();
    let events = story["events"].as_array().expect("events");
    let told: Vec<String> = events
        .iter()
        .map(|e| format!("{} {}", e["to"].as_str().unwrap_or(""), e["reason"].as_str().unwrap_or("")))
        .collect();
    assert!(told.contains(&"fulfilled ".to_owned()) && told.contains(&"prompted ".to_owned()), "{told:?}");
    assert!(told.contains(&"rejected duplicate".to_owned()), "{told:?}");
    assert!(told.contains(&"rejected manual_retweet".to_owned()), "{told:?}");
    assert_eq!(story["complete"], true);
    let nobody = program.check("/v1/accounts/twitter:7/events", Key::Token, 200).json();
    assert_eq!(nobody, json!({"events": [], "complete": true}));
}

#[test]
fn the_page_is_served_whole_and_strict() {
    let program = Program::start(None, false);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let get = |path: &str, known: &str| {
        let request = agent.get(format!("http://{}{path}", program.addr())).header("if-none-match", known);
        request.call().expect("answered")
    };
    let page = get("/", "");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let script = get("/assets/main.js", "");
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    let tag = script.headers()["etag"].to_str().expect("text").to_owned();
    assert_eq!(get("/assets/main.js", &tag).status(), 304);
    for nowhere in ["/assets/", "/assets/secret.js", "/assets/../mod.rs"] {
        assert_eq!(get(nowhere, "").status(), 404, "{nowhere}");
    }
    // The page asks every server whether a demo runs; only an act is refused.
    for key in [None, Some(&*program.secret)] {
        assert_eq!(request("GET", program.addr(), "/v1/demo", key).status, 204);
    }
    assert_eq!(request("POST", program.addr(), "/v1/demo/link", Some(&program.secret)).status, 404);
}

#[test]
fn what_is_open_is_open_to_loopback_names_only() {
    let program = Program::start(None, true);
    let asked_by = |host: &str, forwarded: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let request = agent
            .get(format!("http://{}/v1/tap/replies", program.addr()))
            .header("host", host)
            .header("x-forwarded-host", forwarded);
        request.call().expect("answered").status().as_u16()
    };
    let asked_as = |host: &str| asked_by(host, host);
    assert_eq!(asked_by("shop.example.org", "localhost"), 401);
    assert_eq!((asked_as("localhost:8787"), asked_as("127.0.0.1")), (200, 200));
    assert_eq!((asked_as("shop.example.org"), asked_as("127.0.0.1.example.org")), (401, 401));
}

#[test]
fn samples_tell_when_they_were_taken() {
    let program = Program::start(Some(TOKEN), false);
    let watch = || client_get(&program.endpoint(), "/v1/events").expect("answered");
    let samples = events_until(&mut watch(), "sample", |event| event["wall"].as_i64() > Some(START_MS));
    let newest = samples.last().expect("a sample")["wall"].as_i64().expect("a time");
    let mut later = watch();
    let history = events_until(&mut later, "history", |_| true);
    let walls: Vec<i64> =
        history[0]["points"].as_array().expect("points").iter().map(|p| p["wall"].as_i64().expect("a time")).collect();
    assert!(walls.contains(&newest) && walls.is_sorted_by(|a, b| a < b), "{newest} in {walls:?}");
    // They go on by the second, and at once when somebody comes: the next may be of `later`'s own coming.
    let next = events_until(&mut later, "sample", |event| event["wall"].as_i64() > Some(newest + 300));
    let walls: Vec<i64> = next.iter().map(|sample| sample["wall"].as_i64().expect("a time")).collect();
    assert!(walls.is_sorted_by(|a, b| a < b), "{walls:?}");
    assert!(walls.last() < Some(&(newest + 60_000)), "{newest}, then {walls:?}");
}

#[test]
fn a_refused_confirm_is_no_prompt() {
    let program = Program::start(Some(TOKEN), false);
    program.feed_a_purchase();
    let mut body = client_get(&program.endpoint(), "/v1/events").expect("answered");
    // Ten seconds after the deadline, which no watermark has passed yet.
    program.append("tweets", &[tweet(1150, "#ConfirmMug")]);
    let counted = |event: &Value, what: &str, key: &str| event[what]["total"][key].as_f64() >= Some(1.0);
    let told =
        |event: &Value| counted(event, "rejected_confirms", "late") || counted(event, "transitions", "prompted late");
    let seen = events_until(&mut body, "sample", told);
    let sample = seen.last().expect("a sample");
    assert!(counted(sample, "rejected_confirms", "late"), "{sample}");
    assert_eq!(sample["transitions"]["total"]["prompted late"], Value::Null);
}

#[test]
fn a_shard_that_left_holds_no_watermark_back() {
    let program = Program::start(Some(TOKEN), false);
    program.until("ready", || program.get("/readyz", Key::None).status == 200);
    program.feed_a_purchase();
    let mut body = client_get(&program.endpoint(), "/v1/events").expect("answered");
    events_until(&mut body, "sample", |event| event["stages"][1]["watermark"].is_i64());
    let Program { server, runtime, .. } = program;
    runtime.stop(Duration::from_secs(10)).expect("it stops");
    let gone = events_until(&mut body, "sample", |event| event["accounts"]["accounts"] == 0);
    assert_eq!(gone.last().expect("a sample")["stages"][1]["watermark"], Value::Null);
    drop(server);
}

/// Data of the events of this name, until one of them is as wanted.
#[track_caller]
fn events_until(body: &mut impl Read, name: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let (mut seen, mut text) = (Vec::new(), Vec::new());
    let begin = format!("event: {name}\ndata: ");
    loop {
        let mut some = [0; 4096];
        let n = body.read(&mut some).expect("it goes on");
        assert!(n > 0, "it ended");
        text.extend_from_slice(&some[..n]);
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            let event = String::from_utf8(event).expect("UTF-8");
            if let Some(data) = event.strip_prefix(&begin) {
                let data: Value = serde_json::from_str(data).expect("JSON");
                let is_last = wanted(&data);
                seen.push(data);
                if is_last {
                    return seen;
                }
            }
        }
    }
}
