//! A real browser, driven by the WebDriver protocol: JSON over HTTP, spoken to chromedriver by the client that the
//! program has anyway. Waiting happens in the browser, for a condition, never for a time.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const MISSING: &str = "chromedriver can't be started, so the page is not tested. On Debian or Ubuntu: apt-get install \
    chromium chromium-driver (tests/run does that)";

/// How long a condition may take to come true.
const PATIENCE_MS: u64 = 20_000;

/// An element's name in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    shots: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    pub fn start() -> Browser {
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = started.unwrap_or_else(|error| panic!("{MISSING}: {error}"));
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let port = line.split("on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok()?;
            (port > 0).then_some(port)
        });
        // What it prints later must go somewhere.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_millis(3 * PATIENCE_MS)))
            .build()
            .into();
        let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&shots).expect("a folder for screenshots");
        let server = format!("http://127.0.0.1:{}", port.unwrap_or_else(|| panic!("{MISSING}: it tells no port")));
        let mut browser = Browser { driver, session: server, agent, shots };
        // A sandbox within the tests' own is refused to root; the pages are our own.
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 2 * PATIENCE_MS},
        }}});
        let session = browser.call("POST", "/session", &wanted);
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}"));
        browser.session = format!("{}/session/{id}", browser.session);
        browser.looks(Scheme::Light, 1440, 1000);
        browser
    }

    pub fn goto(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    /// What a function's body answers.
    pub fn script(&self, body: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({"script": body, "args": []}))
    }

    pub fn text(&self, css: &str) -> String {
        let found = self.script(&format!("return document.querySelector({})?.innerText ?? ''", json!(css)));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true, and answers its value.
    #[track_caller]
    pub fn until(&self, what: &str, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0], begun = Date.now();
            const look = () => {{
                let value;
                try {{ value = ({expression}); }} catch (error) {{ value = false; }}
                if (value) done(value);
                else if (Date.now() - begun > {PATIENCE_MS}) done(null);
                else setTimeout(look, 30);
            }};
            look();"
        );
        let value = self.call("POST", "/execute/async", &json!({"script": script, "args": []}));
        if value.is_null() {
            self.shot("it-never-came");
            panic!("it never came: {what}; {expression}; the page says: {}", self.text("main"));
        }
        value
    }

    /// Clicks as a mouse does, once it is there and can be clicked: whatever covers it is an error.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let there = format!(
            "(e => e && !e.disabled && e.getAttribute('aria-disabled') !== 'true' && e.getClientRects().length)\
            (document.querySelector({}))",
            json!(css)
        );
        self.until(&format!("{css} can be clicked"), &there);
        // Above it the page may grow while it is looked for: then it is looked for again.
        for _ in 0..5 {
            self.script(&format!("document.querySelector({}).scrollIntoView({{block: 'center'}})", json!(css)));
            let found = self.call("POST", "/element", &json!({"using": "css selector", "value": css}));
            let Some(element) = found[ELEMENT].as_str() else { continue };
            let clicked = self.call("POST", &format!("/element/{element}/click"), &json!({}));
            match clicked["error"].as_str() {
                None => return,
                Some("stale element reference" | "element click intercepted") => {}
                Some(_) => panic!("{css}: {clicked}"),
            }
        }
        panic!("{css} can't be clicked");
    }

    /// Presses keys, wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let presses = keys.iter().flat_map(|key| [("keyDown", key), ("keyUp", key)]);
        let presses: Vec<Value> = presses.map(|(kind, key)| json!({"type": kind, "value": key})).collect();
        self.call("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]}));
    }

    /// The window's size in pixels of the page, and the scheme that the system asks for.
    pub fn looks(&self, scheme: Scheme, width: u32, height: u32) {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        // Nothing moves, so that a picture and a check see what stays.
        let features = json!([{"name": "prefers-color-scheme", "value": value}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// A picture of the window, among the tests' artifacts.
    pub fn shot(&self, name: &str) {
        let png = self.call("GET", "/screenshot", &Value::Null);
        let bytes = STANDARD.decode(png.as_str().unwrap_or_default()).expect("base64");
        std::fs::write(self.shots.join(format!("{name}.png")), bytes).expect("a screenshot is written");
    }

    /// What was written to the console since the last time, as `SEVERE: …`.
    pub fn console(&self) -> Vec<String> {
        let lines = self.call("POST", "/se/log", &json!({"type": "browser"}));
        let line = |entry: &Value| {
            format!(
                "{}: {}",
                entry["level"].as_str().unwrap_or_default(),
                entry["message"].as_str().unwrap_or_default()
            )
        };
        lines.as_array().into_iter().flatten().map(line).collect()
    }

    pub fn devtools(&self, command: &str, params: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    /// The `value` of the answer; errors are values with an `error`.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.session));
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let request = request.header("content-type", "application/json").body(body).expect("a sound request");
        let mut answer = self.agent.run(request).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().expect("the answer is whole");
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let value = answer["value"].take();
        let stands_for_itself = path.ends_with("/click") || path == "/element";
        assert!(value["error"].is_null() || stands_for_itself, "{method} {path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let request = ureq::http::Request::delete(&self.session).body(());
        // A driver that is gone has no session left; one that stays is ended below.
        let _ = request.map(|request| self.agent.run(request));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
