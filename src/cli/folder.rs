//! What a command reads: the log, or the program that runs on its folder. Commands that read the folder follow each
//! other, and none of them keeps a program from running.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use crate::bus::embedded::{Claim, FILE_NAME};
use crate::bus::{Bus, BusError};
use crate::clock::{Deadline, SystemClock};
use crate::config::{BusKind, Settings};
use crate::http::{ClientError, Endpoint, read_endpoint};

/// How long a program that starts or stops is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Folder<'a> {
    settings: &'a Settings,
    patience: Duration,
    /// Whether it was said that another command is in the way.
    told: bool,
}

/// Who can be asked.
pub enum Found {
    Log(Arc<dyn Bus>),
    Program(Endpoint),
}

/// The running program stopped amid its answer.
#[derive(Debug, thiserror::Error)]
#[error("the running program's answer breaks off: {0}")]
pub struct BrokenOff(pub std::io::Error);

/// A program runs on the folder and can't be asked.
#[derive(Debug, thiserror::Error)]
#[error("{dir} is in use: the program that runs on it has not answered for {patience:?}{why}")]
pub struct Unanswered {
    dir: String,
    patience: Duration,
    why: String,
}

impl<'a> Folder<'a> {
    pub fn new(settings: &'a Settings) -> Folder<'a> {
        Folder { settings, patience: PATIENCE, told: false }
    }

    /// Asks whoever is found. While a program runs that can't answer now, since it starts or stops, or if it stops amid
    /// its answer, `ask` is called again; while another command reads, that is waited for.
    pub fn ask<T>(&mut self, mut ask: impl FnMut(Found) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let dir = &self.settings.bus.embedded.dir;
        let mut deadline = None;
        loop {
            if self.is_run_on()? {
                let answered = read_endpoint(dir)?.map(|endpoint| ask(Found::Program(endpoint)));
                let why = match answered {
                    Some(Err(error)) if is_not_now(&error) => format!(": {error}"),
                    Some(answered) => return answered,
                    None => String::new(),
                };
                let deadline = deadline.get_or_insert_with(|| Deadline::after(self.patience));
                if deadline.is_over() {
                    return Err(Unanswered { dir: dir.display().to_string(), patience: self.patience, why }.into());
                }
            } else {
                deadline = None;
                match self.open() {
                    Err(error) if matches!(error.downcast_ref(), Some(BusError::Taken(_))) => self.tell()?,
                    opened => return ask(Found::Log(opened?)),
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn is_run_on(&self) -> Result<bool, BusError> {
        match self.settings.bus.kind {
            BusKind::Embedded => Claim::is_held(&self.settings.bus.embedded.dir),
            BusKind::Kafka => Ok(false),
        }
    }

    fn open(&self) -> anyhow::Result<Arc<dyn Bus>> {
        let dir = &self.settings.bus.embedded.dir;
        if self.settings.bus.kind == BusKind::Embedded && !has_log(dir) {
            bail!(
                "there is no log in {} (bus.embedded.dir): nothing has run there yet; a demo keeps its own, which is \
                 asked over HTTP (/v1/…)",
                dir.display()
            );
        }
        Ok(crate::log::open_to_read(self.settings, Arc::new(SystemClock))?)
    }

    /// Once, and not of a program that has just begun to run.
    fn tell(&mut self) -> Result<(), BusError> {
        if !self.told && !self.is_run_on()? {
            self.told = true;
            eprintln!("pay-by-tweet: waiting for a command that reads the folder");
        }
        Ok(())
    }
}

fn has_log(dir: &Path) -> bool {
    dir.join(FILE_NAME).exists()
}

/// Nobody is there, or another program (401: the file that names this one is written anew when it comes), or what is
/// asked is not there yet or no more.
fn is_not_now(error: &anyhow::Error) -> bool {
    error.is::<BrokenOff>()
        || matches!(
            error.downcast_ref(),
            Some(ClientError::Away { .. } | ClientError::Refused { status: 401 | 503, .. })
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::embedded::{Embedded, EmbeddedOptions};
    use crate::domain::Time;
    use crate::http::write_endpoint;

    fn settings(dir: &Path) -> Settings {
        let mut settings = Settings::of_text(None, std::iter::empty()).expect("the defaults are valid");
        settings.bus.embedded.dir = dir.to_owned();
        settings
    }

    fn with_log() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        drop(Embedded::open(dir.path(), EmbeddedOptions::new(Arc::new(|| Time(0)))).expect("nobody has it"));
        dir
    }

    #[test]
    fn without_a_log_the_next_step_is_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let told = Folder::new(&settings(dir.path())).ask(|_| Ok(())).expect_err("there is none").to_string();
        assert!(told.starts_with("there is no log in ") && told.contains("nothing has run there yet"), "{told}");
    }

    #[test]
    fn what_a_killed_program_left_is_not_asked() {
        let dir = with_log();
        let left = write_endpoint(dir.path(), "127.0.0.1:1".parse().expect("an address"), "secret").expect("writable");
        std::mem::forget(left);
        let is_log = Folder::new(&settings(dir.path())).ask(|found| Ok(matches!(found, Found::Log(_))));
        assert!(is_log.expect("nobody has it"));
    }

    #[test]
    fn a_program_that_does_not_answer_is_waited_for_not_for_ever() {
        let dir = with_log();
        let _claim = Claim::take(dir.path()).expect("nobody has it");
        let settings = settings(dir.path());
        let mut folder = Folder { patience: Duration::from_millis(1), ..Folder::new(&settings) };
        let silent = folder.ask(|_| Ok(())).expect_err("there is no endpoint");
        assert!(silent.is::<Unanswered>(), "{silent}");
        let address = "127.0.0.1:1".parse().expect("an address");
        let _endpoint = write_endpoint(dir.path(), address, "secret").expect("writable");
        let away = || ClientError::Away { address, why: "it starts".to_owned() }.into();
        let told = folder.ask(|_| -> anyhow::Result<()> { Err(away()) }).expect_err("nobody answers");
        assert!(told.is::<Unanswered>() && told.to_string().contains("it starts"), "{told}");
        let mut times = 0;
        let mut folder = Folder::new(&settings);
        let answered = folder.ask(|_| {
            times += 1;
            match times {
                1 => Err(away()),
                2 => Err(BrokenOff(std::io::Error::other("it stops")).into()),
                _ => Ok(times),
            }
        });
        assert_eq!(answered.expect("the third time"), 3);
    }
}
