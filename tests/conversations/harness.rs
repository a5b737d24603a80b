//! The one place that knows the program's in-process runner: tells it a conversation, gives back what came of it.

use std::path::Path;

use pay_by_tweet::config::{OfferSpec, Settings, load_offers};
use pay_by_tweet::domain::{Span, Time};
use pay_by_tweet::pipeline::{InlinePipeline, Record};
use serde_json::json;

use crate::model::{self, Run};
use crate::outcome::{OUTPUTS, Outcome, text};
use crate::people::{ms, name_of, rfc};
use crate::shapes::Shape;
use crate::talk::{Said, Step, Talk};

/// How much is there to be read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Everything that a record causes is done before the next one comes.
    OneByOne,
    /// Posts between side inputs wait together, as `run --input` feeds them: where stock is short, no faster than it is
    /// decided.
    InBursts,
}

/// How often each record comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Once,
    /// Twice in a row, and all posts and side inputs once more at the end.
    Again,
}

/// Tells the steps, which may stand in another order than the talk's own. The model must agree with what comes of it.
pub fn tell(talk: &Talk, steps: &[Step], shape: Shape, pace: Pace, delivery: Delivery) -> Result<Outcome, String> {
    let run = written(talk, steps, shape, pace, delivery)?;
    model_agrees(talk, &run)?;
    Ok(run.outcome)
}

/// The model has nothing to say against what came of a talk.
pub fn model_agrees(talk: &Talk, run: &Run) -> Result<(), String> {
    let found = model::violations(&settings_of(talk)?, run);
    let found: Vec<String> = found.iter().map(|violation| format!("   {violation}")).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

/// What the talk makes the program write.
pub fn run_of(talk: &Talk) -> Result<Run, String> {
    written(talk, &talk.steps, talk.shapes[0], Pace::OneByOne, Delivery::Once)
}

fn written(talk: &Talk, steps: &[Step], shape: Shape, pace: Pace, delivery: Delivery) -> Result<Run, String> {
    let mut teller = Teller::new(in_process(talk)?, talk, shape, delivery, pace);
    teller.tell(steps)?;
    if delivery == Delivery::Again {
        teller.repeat_all()?;
    }
    teller.written()
}

/// The settings of a conversation: the contract's, and what it sets itself.
pub fn settings_of(talk: &Talk) -> Result<Settings, String> {
    let text = settings_toml(talk, &["topics.partitions = 2".to_owned()]);
    Settings::of_text(Some((Path::new("conversation.toml"), &text)), std::iter::empty()).map_err(|e| format!("{e}"))
}

/// The same as a file says it, with lines about the place where it is told.
pub fn settings_toml(talk: &Talk, of_the_place: &[String]) -> String {
    let mut lines = of_the_place.to_vec();
    lines.extend([
        "service.handle = \"AmexSync\"".to_owned(),
        "service.user_id = \"501234567\"".to_owned(),
        "service.freeze_tag = \"FreezeMyCard\"".to_owned(),
        "instance.id = \"conversations\"".to_owned(),
    ]);
    if !talk.settings.contains_key("time.idle_after") {
        lines.push("time.idle_after = \"0s\"".to_owned());
    }
    lines.extend(talk.settings.iter().map(|(key, value)| format!("{key} = {value}")));
    for (topic, network) in &talk.sources {
        lines.push(format!("[[sources]]\ntopic = \"{topic}\"\nnetwork = \"{network}\"\nformat = \"x\""));
    }
    lines.join("\n")
}

/// The offers file of a conversation.
pub fn offers_toml(talk: &Talk) -> String {
    talk.offers.iter().map(as_toml).collect::<Vec<_>>().join("\n")
}

fn in_process(talk: &Talk) -> Result<InlinePipeline, String> {
    let sources = match &talk.source_partitions {
        Some(partitions) => partitions.iter().map(|(topic, p)| (topic.to_string(), *p)).collect(),
        None => talk.sources.iter().map(|(topic, _)| (topic.to_string(), 0)).collect(),
    };
    let (clock, live) = (Time(clock_of(talk)), talk.live_from.is_some());
    let program = InlinePipeline::with_sources(&settings_of(talk)?, &talk.offers, clock, live, sources);
    program.map_err(|error| format!("{error:#}"))
}

/// Replays are read long after.
fn clock_of(talk: &Talk) -> i64 {
    talk.live_from.unwrap_or(ms("28 00:00:00"))
}

/// The program, wherever it runs.
pub trait Program {
    fn append(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()>;

    /// The same in haste.
    fn feed(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
        self.append(topic, partition, key, value)
    }

    /// Until everything that was appended is consumed, and what came of it.
    fn run(&mut self) -> anyhow::Result<()>;

    fn advance(&mut self, _: Span) -> anyhow::Result<()> {
        anyhow::bail!("its clock can't be moved")
    }

    fn end_of_input(&mut self) -> anyhow::Result<()> {
        anyhow::bail!("its input has no end")
    }

    fn records(&self, topic: &str) -> anyhow::Result<Vec<Record>>;
}

impl Program for InlinePipeline {
    fn append(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
        self.append(topic, partition, key, value)
    }

    fn feed(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
        self.feed(topic, partition, key, value)
    }

    fn run(&mut self) -> anyhow::Result<()> {
        self.run()
    }

    fn advance(&mut self, clock: Span) -> anyhow::Result<()> {
        self.advance(clock)
    }

    fn end_of_input(&mut self) -> anyhow::Result<()> {
        self.end_of_input()
    }

    fn records(&self, topic: &str) -> anyhow::Result<Vec<Record>> {
        self.records(topic)
    }
}

struct Appended {
    topic: String,
    partition: u32,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
}

/// Tells a program the steps of a talk.
pub struct Teller<P> {
    program: P,
    shape: Shape,
    delivery: Delivery,
    pace: Pace,
    clock: i64,
    appended: Vec<Appended>,
    /// Replies that the gateway told of.
    told: Vec<String>,
    may_lack_replies: bool,
}

impl<P: Program> Teller<P> {
    pub fn new(program: P, talk: &Talk, shape: Shape, delivery: Delivery, pace: Pace) -> Teller<P> {
        let (clock, may_lack_replies) = (clock_of(talk), talk.may_lack_replies);
        let (appended, told) = (Vec::new(), Vec::new());
        Teller { program, shape, delivery, pace, clock, appended, told, may_lack_replies }
    }

    pub fn tell(&mut self, steps: &[Step]) -> Result<(), String> {
        self.run()?;
        for (at, step) in steps.iter().enumerate() {
            let is_post = matches!(step, Step::Post { .. });
            if self.pace == Pace::InBursts && !is_post {
                self.run()?;
            }
            self.step(step)?;
            let meanwhile = matches!(steps.get(at + 1), Some(Step::Others { .. }));
            if (self.pace == Pace::OneByOne || !is_post) && !meanwhile {
                self.run()?;
            }
        }
        self.run()
    }

    fn run(&mut self) -> Result<(), String> {
        self.program.run().map_err(|error| format!("{error:#}"))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Post { place: (topic, partition), value, .. } => {
                let value = match value {
                    Said::Post(post) => post.render(self.shape),
                    Said::Raw(raw) => raw.clone(),
                };
                self.append(topic, *partition, None, value)
            }
            Step::Others { places, post } => {
                let value = post.render(self.shape);
                places.iter().try_for_each(|(topic, partition)| self.append(topic, *partition, None, value.clone()))
            }
            Step::Side { topic, partition, key, value } => {
                let key = key.clone().map(String::into_bytes);
                self.append(topic, *partition, key, value.to_string().into_bytes())
            }
            Step::Posted { user, kind, outcome, at } => {
                let (reply, account) = match self.reply_to_tell(user.handle, kind) {
                    Err(_) if self.may_lack_replies => return Ok(()),
                    found => found?,
                };
                let mut fate = json!({"reply": reply, "account": account, "at": rfc(*at)});
                match outcome {
                    Ok(post) => fate["post"] = json!(post.to_string()),
                    Err(why) => fate["failed"] = json!(why),
                }
                self.append("replies.posted", 0, None, fate.to_string().into_bytes())
            }
            Step::Clock(time) => {
                let span = Span(time - self.clock);
                self.clock = *time;
                self.program.advance(span).map_err(|error| format!("{error:#}"))?;
                Ok(())
            }
            Step::EndOfInput => {
                self.program.end_of_input().map_err(|error| format!("{error:#}"))?;
                Ok(())
            }
        }
    }

    fn append(&mut self, topic: &str, partition: u32, key: Option<Vec<u8>>, value: Vec<u8>) -> Result<(), String> {
        let times = if self.delivery == Delivery::Again { 2 } else { 1 };
        for _ in 0..times {
            let appended = match self.pace {
                Pace::OneByOne => self.program.append(topic, partition, key.as_deref(), &value),
                Pace::InBursts => self.program.feed(topic, partition, key.as_deref(), &value),
            };
            appended.map_err(|error| format!("{error:#}"))?;
        }
        self.appended.push(Appended { topic: topic.to_owned(), partition, key, value });
        Ok(())
    }

    /// An older version of an offer that is published again is a new version, so the catalogue is left alone.
    fn repeat_all(&mut self) -> Result<(), String> {
        for Appended { topic, partition, key, value } in std::mem::take(&mut self.appended) {
            if topic != "offers" {
                let appended = self.program.append(&topic, partition, key.as_deref(), &value);
                appended.map_err(|error| format!("{error:#}"))?;
                self.run()?;
            }
        }
        Ok(())
    }

    /// The first reply of this kind that was not told of yet, else the last once more.
    fn reply_to_tell(&mut self, handle: &str, kind: &str) -> Result<(String, String), String> {
        self.run()?;
        let mut replies = Outcome::default();
        for topic in ["replies", "messages.direct"] {
            replies.add(topic, self.records(topic)?)?;
        }
        let of = |reply: &&serde_json::Value| {
            let who = name_of(text(reply, "account"));
            who.rsplit('/').next() == Some(handle) && text(reply, "kind") == kind
        };
        let is_told = |reply: &&serde_json::Value| self.told.iter().any(|told| told == text(reply, "reply"));
        let untold = replies.values("replies").filter(of).find(|reply| !is_told(reply));
        let last = || replies.values("replies").filter(of).last();
        let found = untold.or_else(last).ok_or_else(|| format!("no {kind} to {handle} to tell of"))?;
        let (reply, account) = (text(found, "reply").to_owned(), text(found, "account").to_owned());
        self.told.push(reply.clone());
        Ok((reply, account))
    }

    fn records(&self, topic: &str) -> Result<Vec<Record>, String> {
        self.program.records(topic).map_err(|error| format!("{error:#}"))
    }

    pub fn into_program(self) -> P {
        self.program
    }

    pub fn outcome(&self) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        for topic in OUTPUTS {
            outcome.add(topic, self.records(topic)?)?;
        }
        Ok(outcome)
    }

    pub fn written(&self) -> Result<Run, String> {
        let outcome = self.outcome()?;
        Ok(Run { inbox: self.records("accounts.inbox")?, offers: self.records("offers.inbox")?, outcome })
    }
}

/// What the program says against the conversation's offers file, if it refuses it.
pub fn refusal_of(talk: &Talk) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder for the offers file");
    let file = folder.path().join("offers.toml");
    std::fs::write(&file, offers_toml(talk)).expect("the offers file can be written");
    let settings = settings_of(talk).expect("the settings are sound");
    load_offers(&file, &settings).err().map(|errors| errors.to_string())
}

fn as_toml(offer: &OfferSpec) -> String {
    let value = serde_json::to_value(offer).expect("an offer is JSON");
    let fields = value.as_object().into_iter().flatten();
    let lines = fields.map(|(name, value)| format!("{name} = {value}\n"));
    format!("[[offers]]\n{}", lines.collect::<String>())
}
