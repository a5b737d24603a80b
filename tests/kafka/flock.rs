//! Several processes of the program on one cluster, each of which can be killed, stopped and started again.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pay_by_tweet::bus::{Budget, Bus, BusError, Reader, RecordRef, TopicPartition};
use pay_by_tweet::config::Settings;
use pay_by_tweet::engine::ends::{drained, positions_of};
use pay_by_tweet::load::process;
use pay_by_tweet::log::inputs;

use super::ports::free_port;
use super::site::Site;

/// Whatever is waited for has come by then, or never comes.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The least that a broker takes, so that the dead are missed soon.
const SESSION_MS: &str = "6000";

pub struct Flock<'a> {
    site: &'a Site<'a>,
    logs: tempfile::TempDir,
    lives: Vec<Option<Child>>,
    inputs: Vec<(String, Vec<std::sync::Arc<str>>)>,
    log: std::sync::Arc<dyn Bus>,
    reader: Box<dyn Reader>,
    /// Where the first process serves HTTP.
    addr: String,
}

/// What a process can be told by the system.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// The end, at once.
    Kill,
    /// To end by itself.
    Term,
    /// To stand still.
    Stop,
    /// To go on.
    Cont,
}

impl<'a> Flock<'a> {
    /// So many processes of `run`, started at once.
    pub fn start(site: &'a Site<'a>, count: usize) -> Flock<'a> {
        let log = site.bus();
        let settings = Settings::load(Some(site.config), std::iter::empty()).expect("the configuration is valid");
        let inputs = inputs(&settings).into_iter();
        let inputs = inputs.map(|(group, topics)| (group, topics.into_iter().map(Into::into).collect()));
        let mut flock = Flock {
            site,
            logs: tempfile::tempdir().expect("a folder for the logs"),
            lives: (0..count).map(|_| None).collect(),
            inputs: inputs.collect(),
            reader: Box::new(Remembering::new(log.reader().expect("the cluster is up"))),
            addr: format!("127.0.0.1:{}", free_port()),
            log,
        };
        (0..count).for_each(|index| flock.launch(index));
        flock
    }

    /// Starts a process that is down.
    pub fn launch(&mut self, index: usize) {
        let path = self.log_of(index);
        let log = File::options().create(true).append(true).open(path).expect("the folder is writable");
        let mut command = self.site.command(&["run"]);
        command
            .env("PAY_BY_TWEET__INSTANCE__ID", format!("p{index}"))
            .env("PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", SESSION_MS)
            .stdout(Stdio::null())
            .stderr(log);
        if index == 0 {
            command.env("PAY_BY_TWEET__HTTP__LISTEN", &self.addr);
        }
        self.lives[index] = Some(command.spawn().expect("the program starts"));
    }

    pub fn kill(&mut self, index: usize) {
        self.tell(index, Signal::Kill);
        let mut child = self.lives[index].take().expect("it is up");
        let status = child.wait().expect("it is a child");
        assert!(status.code().is_none(), "p{index} had ended before it was killed: {status}\n{}", self.said(index));
    }

    pub fn tell(&self, index: usize, signal: Signal) {
        let child = self.lives[index].as_ref().expect("it is up");
        let name = match signal {
            Signal::Kill => "-KILL",
            Signal::Term => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Cont => "-CONT",
        };
        let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "p{index} is gone:\n{}", self.said(index));
    }

    /// Processor seconds of a process so far.
    pub fn cpu_seconds(&self, index: usize) -> f64 {
        process::cpu_seconds(&self.id(index))
    }

    /// The most memory that a process ever had resident.
    pub fn resident_bytes(&self, index: usize) -> u64 {
        process::peak_resident_bytes(&self.id(index))
    }

    fn id(&self, index: usize) -> String {
        self.lives[index].as_ref().expect("it is up").id().to_string()
    }

    /// Every process ends by itself, and well.
    pub fn stop(mut self) {
        for index in 0..self.lives.len() {
            if self.lives[index].is_some() {
                self.tell(index, Signal::Term);
            }
        }
        (0..self.lives.len()).for_each(|index| self.await_end(index));
    }

    /// One process ends by itself, and well.
    pub fn leave(&mut self, index: usize) {
        self.tell(index, Signal::Term);
        self.await_end(index);
    }

    /// One process ends by itself, and badly; gives what it said.
    pub fn fails(&mut self, index: usize) -> String {
        let mut child = self.lives[index].take().expect("it is up");
        let status = child.wait().expect("it is a child");
        let said = self.said(index);
        assert_eq!(status.code(), Some(1), "p{index}\n{said}");
        said
    }

    fn await_end(&mut self, index: usize) {
        let Some(mut child) = self.lives[index].take() else { return };
        let status = child.wait().expect("it is a child");
        assert!(status.success(), "p{index}: {status}\n{}", self.said(index));
    }

    /// Sum of what the groups have committed: it grows while anything is done.
    fn progress(&mut self) -> Result<u64, BusError> {
        let Flock { inputs, log, reader, .. } = self;
        let mut sum = 0;
        for (group, topics) in inputs {
            for topic in topics {
                sum += positions_of(&**log, &mut **reader, group, &log.all_of(topic)?)?.iter().sum::<u64>();
            }
        }
        Ok(sum)
    }

    /// Until the groups have got on, or everything is consumed.
    pub fn await_progress(&mut self) {
        let mut before = None;
        self.until("nothing is consumed any more", |flock| {
            // Brokers may be away.
            let Ok(now) = flock.progress() else { return false };
            *before.get_or_insert(now) < now || flock.is_drained()
        });
    }

    pub fn await_drained(&mut self) {
        self.until("the input is not consumed", Flock::is_drained);
    }

    /// Until the first process tells Prometheus that nothing is behind: markers are no lag.
    pub fn await_no_lag(&mut self) {
        self.until("there is lag", |flock| {
            let lags = flock.told("pay_by_tweet_lag_records");
            lags.len() > 3 && lags.iter().all(|lag| *lag == 0.0)
        });
    }

    /// What the first process tells Prometheus by this name; nothing while it can't be asked.
    pub fn told(&self, metric: &str) -> Vec<f64> {
        let answer = ureq::get(format!("http://{}/metrics", self.addr)).call().ok();
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string().ok()).unwrap_or_default();
        let samples = text.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{')?.rsplit_once("} "));
        samples.map(|(_, value)| value.parse().expect("a number")).collect()
    }

    /// Until the first process says that it is ready: assigned and restored.
    pub fn await_ready(&mut self) {
        self.until("it is not ready", |flock| flock.is_ready());
    }

    /// Whether the first process says so.
    pub fn is_ready(&self) -> bool {
        ureq::get(format!("http://{}/readyz", self.addr)).call().is_ok()
    }

    pub fn is_drained(&mut self) -> bool {
        drained(&*self.log, &mut *self.reader, &self.inputs).unwrap_or(false)
    }

    pub fn until(&mut self, what: &str, mut so: impl FnMut(&mut Flock<'a>) -> bool) {
        let (begun, mut look) = (Instant::now(), Instant::now());
        while !so(self) {
            for index in 0..self.lives.len() {
                let ended = self.lives[index].as_mut().and_then(|child| child.try_wait().expect("it is a child"));
                assert!(ended.is_none(), "p{index} ended: {ended:?}\n{}", self.said(index));
            }
            assert!(begun.elapsed() < PATIENCE, "{what}\n{}", self.all_said());
            // Looks are not what keeps the cluster busy.
            std::thread::sleep(LOOK_EVERY.max(look.elapsed()));
            look = Instant::now();
        }
    }

    fn log_of(&self, index: usize) -> PathBuf {
        self.logs.path().join(format!("p{index}.log"))
    }

    /// The end of what a process logged.
    fn said(&self, index: usize) -> String {
        const LINES: usize = 30;
        let text = std::fs::read_to_string(self.log_of(index)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    fn all_said(&self) -> String {
        let each = (0..self.lives.len()).map(|index| format!("p{index}:\n{}", self.said(index)));
        each.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Flock<'_> {
    fn drop(&mut self) {
        for child in self.lives.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A reader that reads no stretch of mere markers twice, which takes most of the time of a look at what is consumed.
struct Remembering {
    reader: Box<dyn Reader>,
    /// As they were told last.
    ends: HashMap<TopicPartition, u64>,
    /// From where to where there is no record, and never will be.
    bare: HashMap<(TopicPartition, u64), u64>,
}

impl Remembering {
    fn new(reader: Box<dyn Reader>) -> Remembering {
        Remembering { reader, ends: HashMap::new(), bare: HashMap::new() }
    }
}

impl Reader for Remembering {
    fn beginning(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        self.reader.beginning(at)
    }

    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        Ok(self.ends(std::slice::from_ref(at))?[0])
    }

    fn ends(&mut self, all: &[TopicPartition]) -> Result<Vec<u64>, BusError> {
        let ends = self.reader.ends(all)?;
        self.ends.extend(all.iter().cloned().zip(ends.iter().copied()));
        Ok(ends)
    }

    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        budget: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let key = (at.clone(), from);
        if let (Some(next), Some(end)) = (self.bare.get(&key), self.ends.get(at))
            && next >= end
        {
            return Ok(*next);
        }
        let mut any = false;
        let next = self.reader.read(at, from, budget, &mut |record| {
            any = true;
            visit(record);
        })?;
        if !any {
            self.bare.insert(key, next);
        }
        Ok(next)
    }
}
