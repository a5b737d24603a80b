//! The program behind the page, as a user starts it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub struct Program {
    child: Child,
    pub url: String,
}

impl Program {
    /// `demo` on any free port.
    pub fn demo() -> Program {
        Program::demo_at(0)
    }

    /// `demo` on this port; 0 is any.
    pub fn demo_at(port: u16) -> Program {
        let mut command = Program::command();
        command.env("PAY_BY_TWEET__HTTP__LISTEN", format!("127.0.0.1:{port}"));
        Program::play(command.arg("demo"))
    }

    /// `demo` on any free port of all addresses, so that it wants its token, with these offers and settings.
    pub fn demo_in_the_open(dir: &Path, token: &str, offers: &str, settings: &str) -> Program {
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("writable");
        write("token", token);
        write("offers.toml", offers);
        write("config.toml", &format!("[http]\ntoken_file = \"token\"\n[offers]\nfile = \"offers.toml\"\n{settings}"));
        let mut command = Program::command();
        command.env("PAY_BY_TWEET__HTTP__LISTEN", "0.0.0.0:0");
        let mut demo = Program::play(command.arg("demo").arg("--config").arg(dir.join("config.toml")));
        demo.url = demo.url.replace("0.0.0.0", "127.0.0.1");
        demo
    }

    /// Ready when it tells its address.
    fn play(command: &mut Command) -> Program {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the program starts");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("it tells its address");
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        Program { url: url.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned(), child }
    }

    /// `run` on a log of its own in this folder, with this bearer token or none; port 0 is any.
    pub fn run(dir: &Path, token: Option<&str>, port: u16) -> Program {
        let http = token.map_or("", |_| "[http]\ntoken_file = \"token\"\n");
        std::fs::write(dir.join("token"), token.unwrap_or_default()).expect("writable");
        let offers = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/offers.toml");
        std::fs::copy(offers, dir.join("offers.toml")).expect("the offers are copied");
        let config = dir.join("config.toml");
        std::fs::write(&config, format!("[bus.embedded]\ndir = \"log\"\n{http}")).expect("writable");
        let mut command = Program::command();
        command.env("PAY_BY_TWEET__HTTP__LISTEN", format!("127.0.0.1:{port}"));
        let child = command.arg("run").arg("--config").arg(config).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let running =
            lines.by_ref().map_while(Result::ok).find(|line| line.contains("running") && line.contains("http="));
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let running: String = running.expect("it runs").chars().filter(|c| !c.is_control()).collect();
        let address = running.split("127.0.0.1:").nth(1).expect("its address");
        let port: String = address.chars().take_while(char::is_ascii_digit).collect();
        Program { url: format!("http://127.0.0.1:{port}/"), child }
    }

    /// Acts as the page does.
    pub fn act(&self, name: &str, fields: &Value) -> Value {
        let url = format!("{}v1/demo/{name}", self.url);
        let mut answer = ureq::post(url)
            .header("content-type", "application/json")
            .send(fields.to_string())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_str(&answer.body_mut().read_to_string().expect("whole")).expect("JSON")
    }

    /// Somebody new sits down, with a card if told so.
    pub fn somebody_new(&self, linked: bool) {
        self.act("anew", &json!({}));
        if linked {
            self.act("link", &json!({}));
        }
    }

    fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pay-by-tweet"));
        command.env("PAY_BY_TWEET__HTTP__LISTEN", "127.0.0.1:0").env("NO_COLOR", "1");
        command
    }
}

impl Drop for Program {
    /// Asked to end, it takes its scratch folder with it.
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|asked| asked.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
