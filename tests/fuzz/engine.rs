//! libFuzzer around one target, that of the name in `FUZZ_TARGET`. Seeds and words are written into `FUZZ_FOLDER`
//! before the engine reads its corpus and dictionary there.
#![no_main]

mod targets;

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use targets::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::ALL.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET names none: {name:?}"))
});

fn prepare() {
    let folder = PathBuf::from(std::env::var_os("FUZZ_FOLDER").expect("FUZZ_FOLDER names a folder"));
    TARGET.write_corpus(&folder).expect("FUZZ_FOLDER can be written");
}

fuzz_target!(init: prepare(), |data: &[u8]| (TARGET.check)(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = SmallRng::seed_from_u64(u64::from(seed));
    if rng.random_bool(0.5) {
        return fuzzer_mutate(data, size, max_size);
    }
    let changed = targets::mutate::mutated(&mut rng, *TARGET, &data[..size], max_size);
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
});
