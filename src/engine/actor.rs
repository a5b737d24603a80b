//! Shards behind actors: one [`ShardActor`] hosts one shard, on an arbiter that belongs to one worker. Batches come in
//! as messages, effects go back as the response, queries from HTTP come in as messages too.
//!
//! Every message is sent with `send` and awaited: `do_send` would drop it silently once the mailbox is closed. The
//! worker has at most one message per shard under way, and queries are counted by the directory, so mailboxes stay
//! bounded. A mailbox that does not answer means that the actor vanished, which ends the program: a shard must never
//! vanish silently.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix::{Actor, ActorContext, Addr, Arbiter, ArbiterHandle, Context, Handler, Message, MessageResult, System};
use futures_executor::block_on;

use super::directory::Directory;
use super::host::{Host, HostError};
use super::shard::{Batch, Decided, Item, Shard};
use crate::bus::TopicPartition;

/// Hosts one shard. It is empty once the shard was taken, and stops then.
pub struct ShardActor<S> {
    /// Boxed, because an actor must be movable and a shard need not promise that.
    shard: Option<Box<S>>,
}

/// The host whose shards are actors; each is listed in the stage's directory while it lives.
pub struct Actors<S: Shard> {
    arbiter: ArbiterHandle,
    directory: Directory<S>,
    addresses: BTreeMap<TopicPartition, Addr<ShardActor<S>>>,
}

/// The threads on which actors run: one arbiter per worker, none of them a thread that blocks on the log.
pub struct Arbiters {
    system: System,
    thread: Option<JoinHandle<()>>,
}

/// Makes every panic of the process fatal, as `panic = "abort"` does in release builds: actix would catch a panic in an
/// actor and go on without it. To be called once, by the program's start.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}

/// A question from outside the worker.
pub(super) struct Ask<S: Shard>(pub S::Query);

struct Decide(Batch);
struct Committed;
struct TakeBack;
struct Take<S>(std::marker::PhantomData<fn() -> S>);

impl<S: Shard> Actors<S> {
    /// Shards will live on this arbiter and be listed in this directory.
    pub fn new(arbiter: ArbiterHandle, directory: Directory<S>) -> Actors<S> {
        Actors { arbiter, directory, addresses: BTreeMap::new() }
    }

    fn address(&self, at: &TopicPartition) -> Result<&Addr<ShardActor<S>>, HostError> {
        self.addresses.get(at).ok_or_else(|| HostError::new(at, "never put here"))
    }

    /// Sends one message to each of these shards, then awaits all answers: the shards work while the next is being
    /// told.
    fn tell<'a, M>(&self, told: impl Iterator<Item = (&'a TopicPartition, M)>) -> Result<Vec<M::Result>, HostError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        ShardActor<S>: Actor<Context = Context<ShardActor<S>>> + Handler<M>,
    {
        let mut requests = Vec::new();
        for (at, message) in told {
            requests.push((at, self.address(at)?.send(message)));
        }
        let answers =
            requests.into_iter().map(|(at, request)| block_on(request).map_err(|why| HostError::new(at, why)));
        answers.collect()
    }
}

impl<S: Shard> Host<S> for Actors<S> {
    fn put(&mut self, at: &TopicPartition, shard: S) -> Result<(), HostError> {
        let address = ShardActor::start_in_arbiter(&self.arbiter, move |_| ShardActor { shard: Some(Box::new(shard)) });
        self.directory.insert(at, address.clone());
        self.addresses.insert(at.clone(), address);
        Ok(())
    }

    fn decide(&mut self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<(Decided, Vec<Item>)>, HostError> {
        let (shards, batches): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        self.tell(shards.iter().zip(batches.into_iter().map(Decide)))
    }

    fn committed(&mut self, shards: &[TopicPartition]) -> Result<(), HostError> {
        self.tell(shards.iter().map(|at| (at, Committed))).map(drop)
    }

    fn take_back(&mut self, shards: &[TopicPartition]) -> Result<(), HostError> {
        self.tell(shards.iter().map(|at| (at, TakeBack))).map(drop)
    }

    fn take(&mut self, at: &TopicPartition) -> Result<Option<S>, HostError> {
        let Some(address) = self.addresses.remove(at) else {
            return Ok(None);
        };
        self.directory.remove(at, &address);
        block_on(address.send(Take::<S>(std::marker::PhantomData))).map_err(|why| HostError::new(at, why))
    }

    fn query(&mut self, at: &TopicPartition, query: S::Query) -> Result<Option<S::Answer>, HostError> {
        match self.addresses.get(at) {
            Some(address) => block_on(address.send(Ask::<S>(query))).map_err(|why| HostError::new(at, why)),
            None => Ok(None),
        }
    }
}

impl<S: Shard> Drop for Actors<S> {
    fn drop(&mut self) {
        for (at, address) in &self.addresses {
            self.directory.remove(at, address);
        }
    }
}

impl Arbiters {
    /// Starts the system thread that arbiters need.
    pub fn start() -> std::io::Result<Arbiters> {
        let (tell, told) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("shards".to_owned()).spawn(move || {
            let runner = System::new();
            // If nobody listens any more, the start was given up and the system ends with its last handle.
            if tell.send(System::current()).is_ok() {
                let _ = runner.run();
            }
        })?;
        let system = told.recv().map_err(|_| std::io::Error::other("the actor system did not start"))?;
        Ok(Arbiters { system, thread: Some(thread) })
    }

    /// A new arbiter with a thread of its own.
    pub fn arbiter(&self) -> ArbiterHandle {
        System::set_current(self.system.clone());
        Arbiter::new().handle()
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<S: Shard> Actor for ShardActor<S> {
    type Context = Context<Self>;
}

impl<S: Shard> ShardActor<S> {
    /// The shard, for messages that only its worker sends: it sends none after it has taken the shard.
    fn shard(&mut self) -> &mut S {
        self.shard.as_mut().expect("the worker forgets the address when it takes the shard")
    }
}

impl Message for Decide {
    type Result = (Decided, Vec<Item>);
}

impl Message for Committed {
    type Result = ();
}

impl Message for TakeBack {
    type Result = ();
}

impl<S: Shard> Message for Take<S> {
    type Result = Option<S>;
}

impl<S: Shard> Message for Ask<S> {
    type Result = Option<S::Answer>;
}

impl<S: Shard> Handler<Decide> for ShardActor<S> {
    type Result = MessageResult<Decide>;

    fn handle(&mut self, Decide(batch): Decide, _: &mut Context<Self>) -> MessageResult<Decide> {
        let decided = self.shard().decide(&batch);
        let left = batch.left_by(&decided);
        MessageResult((decided, left))
    }
}

impl<S: Shard> Handler<Committed> for ShardActor<S> {
    type Result = ();

    fn handle(&mut self, _: Committed, _: &mut Context<Self>) {
        self.shard().committed();
    }
}

impl<S: Shard> Handler<TakeBack> for ShardActor<S> {
    type Result = ();

    fn handle(&mut self, _: TakeBack, _: &mut Context<Self>) {
        self.shard().take_back();
    }
}

impl<S: Shard> Handler<Take<S>> for ShardActor<S> {
    type Result = MessageResult<Take<S>>;

    fn handle(&mut self, _: Take<S>, context: &mut Context<Self>) -> MessageResult<Take<S>> {
        context.stop();
        MessageResult(self.shard.take().map(|shard| *shard))
    }
}

impl<S: Shard> Handler<Ask<S>> for ShardActor<S> {
    type Result = MessageResult<Ask<S>>;

    fn handle(&mut self, Ask(query): Ask<S>, _: &mut Context<Self>) -> MessageResult<Ask<S>> {
        MessageResult(self.shard.as_ref().map(|shard| shard.query(query)))
    }
}
