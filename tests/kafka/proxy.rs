//! A proxy between the program and a broker. It knows where Kafka's requests begin and end and what they ask for. It
//! can lose the end of a transaction, lose its answer, or bring it much later, as a network with retries does; and it
//! can hold a request of any kind, so that its sender is killed at that moment.
//!
//! Requests and answers are frames: four bytes of length, then api key, api version, correlation id and, in requests,
//! the client's name (Kafka protocol guide, "Request header").

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a request asks for (Kafka protocol guide, "Api Keys").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Api {
    Produce = 0,
    Fetch = 1,
    JoinGroup = 11,
    SyncGroup = 14,
    InitProducerId = 22,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
}

/// A delayed request is brought by then, whatever its sender has done meanwhile.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// What happens to the next request that ends a transaction. The connection breaks in every case, so that its sender
/// comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    RequestLost,
    AnswerLost,
    /// It comes after all, once its sender has records in a later transaction.
    RequestLate,
}

/// The next request of this kind stays without answer, and its sender is told of.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    pub api: Api,
    /// What its sender's name has in it.
    pub whose: &'static str,
    /// Whether the broker gets it.
    pub passed_on: bool,
}

pub struct Proxy {
    shared: Arc<Shared>,
    pub port: u16,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Where the broker is.
    broker: u16,
    refusing: bool,
    armed: Option<Mishap>,
    happened: u64,
    /// Late requests that were brought.
    brought: u64,
    connections: Vec<TcpStream>,
    /// How often each sender of a late request has sent records since.
    sent: Vec<(Vec<u8>, u64)>,
    trap: Option<Trap>,
    /// Who sent what was caught, until it is let go.
    caught: Option<Vec<u8>>,
}

/// A request's frame, its length left out.
struct Frame(Vec<u8>);

impl Proxy {
    /// Listens before it is known where the broker will be.
    pub fn new() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = accepting.clone();
                std::thread::spawn(move || serve(&shared, client));
            }
        });
        Proxy { shared, port }
    }

    pub fn leads_to(&self, port: u16) {
        self.shared.lock().broker = port;
    }

    /// Breaks every connection.
    pub fn cut(&self) {
        for connection in self.shared.lock().connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Breaks every connection and takes no other, or takes them again.
    pub fn refuse(&self, refusing: bool) {
        self.shared.lock().refusing = refusing;
        if refusing {
            self.cut();
        }
    }

    /// The next end of a transaction has this mishap. Answers how many have happened by now.
    pub fn arm(&self, mishap: Mishap) -> u64 {
        let mut state = self.shared.lock();
        state.armed = Some(mishap);
        state.happened
    }

    /// Mishaps that happened.
    pub fn happened(&self) -> u64 {
        self.shared.lock().happened
    }

    /// Late requests that were brought to the broker after all.
    pub fn brought(&self) -> u64 {
        self.shared.lock().brought
    }

    pub fn set(&self, trap: Trap) {
        self.shared.lock().trap = Some(trap);
    }

    /// The name of the sender that stands in the trap.
    pub fn caught(&self) -> Option<String> {
        self.shared.lock().caught.as_ref().map(|client| String::from_utf8_lossy(client).into_owned())
    }

    /// Forgets the request in the trap, or that one was set.
    pub fn let_go(&self) {
        let mut state = self.shared.lock();
        (state.trap, state.caught) = (None, None);
        self.shared.news.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a request that ends a transaction.
    fn mishap(&self, frame: &Frame) -> Option<Mishap> {
        let mut state = self.lock();
        let mishap = if frame.is(Api::EndTxn) { state.armed.take() } else { None };
        state.happened += u64::from(mishap.is_some());
        mishap
    }

    /// Tells those who wait for it that this was passed on.
    fn passed(&self, frame: &Frame) {
        if frame.is(Api::Produce) {
            for (client, sent) in &mut self.lock().sent {
                *sent += u64::from(*client == frame.client());
            }
            self.news.notify_all();
        }
    }

    /// Waits until the sender has sent records in another transaction.
    fn await_next_records(&self, client: &[u8]) {
        let mut state = self.lock();
        state.sent.retain(|(known, _)| known != client);
        state.sent.push((client.to_vec(), 0));
        let none_yet = |state: &mut State| state.sent.iter().any(|(known, sent)| known == client && *sent == 0);
        let _ = self.news.wait_timeout_while(state, DELAY_MAX, none_yet);
    }

    /// The trap that this request is caught in.
    fn springs(&self, frame: &Frame) -> Option<Trap> {
        let sender = String::from_utf8_lossy(frame.client());
        self.lock().trap.take_if(|trap| frame.is(trap.api) && sender.contains(trap.whose))
    }

    /// Tells who is caught and waits until it is let go.
    fn hold(&self, client: &[u8]) {
        let mut state = self.lock();
        state.caught = Some(client.to_vec());
        drop(self.news.wait_while(state, |state| state.caught.is_some()));
    }
}

impl Frame {
    fn read(from: &mut impl Read) -> std::io::Result<Frame> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        from.read_exact(&mut bytes)?;
        Ok(Frame(bytes))
    }

    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        to.write_all(&[&(self.0.len() as u32).to_be_bytes()[..], &self.0].concat())
    }

    fn is(&self, api: Api) -> bool {
        self.0[..2] == (api as u16).to_be_bytes()
    }

    /// Of a request; an answer begins with it.
    fn correlation(&self) -> &[u8] {
        &self.0[4..8]
    }

    fn client(&self) -> &[u8] {
        let length = usize::from(u16::from_be_bytes([self.0[8], self.0[9]]));
        self.0.get(10..10 + length).unwrap_or_default()
    }
}

fn serve(shared: &Arc<Shared>, client: TcpStream) {
    let (broker, refusing) = {
        let state = shared.lock();
        (state.broker, state.refusing)
    };
    let broker = if refusing { None } else { TcpStream::connect(("127.0.0.1", broker)).ok() };
    let Some(broker) = broker else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    let _ = (client.set_nodelay(true), broker.set_nodelay(true));
    let share = |stream: &TcpStream| stream.try_clone().expect("a socket can be shared");
    shared.lock().connections.extend([share(&client), share(&broker)]);
    // The answer to this request gets lost.
    let lost: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let (answers, to_client, unanswered) = (share(&broker), share(&client), lost.clone());
    std::thread::spawn(move || {
        let _ = answer(answers, to_client, &unanswered);
    });
    let _ = forward(shared, &client, &broker, &lost);
    let _ = (client.shutdown(Shutdown::Both), broker.shutdown(Shutdown::Both));
}

fn forward(
    shared: &Shared,
    mut client: &TcpStream,
    mut broker: &TcpStream,
    lost: &Mutex<Option<Vec<u8>>>,
) -> std::io::Result<()> {
    loop {
        let frame = Frame::read(&mut client)?;
        let lose_answer = || *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame.correlation().to_vec());
        if let Some(trap) = shared.springs(&frame) {
            if trap.passed_on {
                lose_answer();
                frame.write(&mut broker)?;
            }
            shared.hold(frame.client());
            return Ok(());
        }
        match shared.mishap(&frame) {
            None => {
                frame.write(&mut broker)?;
                shared.passed(&frame);
            }
            Some(Mishap::RequestLost) => return Ok(()),
            Some(Mishap::AnswerLost) => {
                lose_answer();
                frame.write(&mut broker)?;
            }
            Some(Mishap::RequestLate) => {
                client.shutdown(Shutdown::Both)?;
                shared.await_next_records(frame.client());
                frame.write(&mut broker)?;
                shared.lock().brought += 1;
                // The broker reads it before it hears that the connection ends.
                return broker.shutdown(Shutdown::Write);
            }
        }
    }
}

/// Passes answers back, until one is to be lost.
fn answer(mut broker: TcpStream, mut client: TcpStream, lost: &Mutex<Option<Vec<u8>>>) -> std::io::Result<()> {
    loop {
        let frame = Frame::read(&mut broker);
        let is_lost = frame
            .as_ref()
            .is_ok_and(|frame| lost.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == frame.0.get(..4));
        if frame.is_err() || is_lost {
            return client.shutdown(Shutdown::Both);
        }
        frame?.write(&mut client)?;
    }
}
