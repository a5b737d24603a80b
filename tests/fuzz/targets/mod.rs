//! What must hold of any bytes that reach the program: one check per way in. The fuzzing engine runs them (see
//! `tests/campaign fuzz`), and so does the test suite (`tests/fuzzed.rs`), on the inputs that were kept and on some
//! random ones.
#![allow(dead_code)] // Each of the two uses its own part.

pub mod config;
pub mod mutate;
pub mod screen;
pub mod text;
pub mod wire;

/// One way in.
pub struct Target {
    pub name: &'static str,
    /// Panics if these bytes break a promise.
    pub check: fn(&[u8]),
    /// Made-up inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words worth trying, whole; one a line.
    pub words: &'static str,
}

pub const ALL: [Target; 5] = [screen::SCREEN, wire::INPUTS, wire::INTERNAL, text::TEXT, config::CONFIG];

impl Target {
    /// Writes the seeds, a file each, and the words as a dictionary of libFuzzer.
    pub fn write_corpus(&self, folder: &std::path::Path) -> std::io::Result<()> {
        let seeds = folder.join("seeds");
        std::fs::create_dir_all(&seeds)?;
        for (number, seed) in (self.seeds)().iter().enumerate() {
            std::fs::write(seeds.join(number.to_string()), seed)?;
        }
        let hex = |word: &str| word.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let lines: String = self.words.lines().map(|word| format!("\"{}\"\n", hex(word))).collect();
        std::fs::write(folder.join("words"), lines)
    }
}

/// The first byte chooses among variants of a target, the rest is for the variant.
fn choose(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(choice, rest)| (*choice, rest))
}

/// An input that [`choose`] takes apart.
fn chosen(choice: u8, rest: impl AsRef<[u8]>) -> Vec<u8> {
    [&[choice], rest.as_ref()].concat()
}
