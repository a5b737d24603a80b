//! Ports for brokers and processes that tests start.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives to outgoing connections (from 32768 on Linux): one of these could take the port
/// of a broker that is not up yet, or is down for a while.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port that nobody listens on and that this process was not given before. Processes begin at different ones.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const STRIDE: u32 = 97;
    let begin = process::id().wrapping_mul(STRIDE);
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(given < u32::from(PORTS.end - PORTS.start), "every port was given out");
        let place = begin.wrapping_add(given) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(place).expect("it is below the number of ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn no_port_is_given_twice() {
    const PORTS_ASKED: usize = 2_000;
    let ports: std::collections::BTreeSet<u16> = (0..PORTS_ASKED).map(|_| free_port()).collect();
    assert_eq!(ports.len(), PORTS_ASKED);
}
