//! Taps of a program that stops.

use std::io::Read;

use pay_by_tweet::http::{Endpoint, client_get};
use serde_json::Value;

use crate::{Key, Program, tweet};

/// More than a server and a socket hold for who does not read on.
const POSTS: i64 = 64;
const POST_BYTES: usize = 512 << 10;

#[test]
fn a_tap_that_the_stop_cuts_short_breaks_off() {
    let mut program = Program::start(None, false);
    let posts: Vec<Value> = (1..=POSTS).map(|second| tweet(second, &"long ".repeat(POST_BYTES / 5))).collect();
    for some in posts.chunks(8) {
        program.append("tweets", some);
    }
    let endpoint = program.endpoint();
    let mut body = client_get(&endpoint, "/v1/tap/tweets?partition=0").expect("answered");
    let mut one = [0];
    body.read_exact(&mut one).expect("it begins");
    let server = program.server.take().expect("not stopped");
    let stop = std::thread::spawn(move || server.stop());
    let nobody = Endpoint { secret: String::new(), ..endpoint };
    while client_get(&nobody, "/livez").is_ok() {
        std::thread::yield_now();
    }
    let mut rest = Vec::new();
    let ended = body.read_to_end(&mut rest);
    assert!(rest.len() < POSTS as usize * POST_BYTES, "it was told whole: {} bytes", rest.len());
    ended.expect_err("it is not whole");
    stop.join().expect("it stops");
    // What does not follow and is whole ends as answers do.
    let again = Program::start(None, false);
    again.check("/v1/tap/tweets", Key::Secret, 200);
}
