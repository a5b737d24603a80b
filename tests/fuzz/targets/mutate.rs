//! Random changes that keep enough of an input's form for the changed one to get past the first check.

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, RngCore};
use serde_json::{Value, json};

use super::Target;
use super::screen::generator;

const ROUNDS_MAX: usize = 4;
const RUN_BYTES_MAX: usize = 40;

/// A changed input of at most `bytes_max` bytes. The byte by which a target chooses its variant mostly stays.
pub fn mutated(rng: &mut SmallRng, target: &Target, data: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut out = data.to_vec();
    for _ in 0..rng.random_range(1..=ROUNDS_MAX) {
        let first = out.len().min(usize::from(rng.random_bool(0.95)));
        let body = out.split_off(first);
        let json = if rng.random_bool(0.5) { serde_json::from_slice::<Value>(&body).ok() } else { None };
        out.extend(match json {
            Some(mut value) => {
                change_tree(rng, target, &mut value);
                generator::written(rng, &value).into_bytes()
            }
            None => changed_bytes(rng, target, body),
        });
    }
    out.truncate(bytes_max);
    out
}

fn changed_bytes(rng: &mut SmallRng, target: &Target, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = rng.random_range(0..=bytes.len());
    let end = (at + rng.random_range(0..RUN_BYTES_MAX)).min(bytes.len());
    let run = bytes[at..end].to_vec();
    match rng.random_range(0..7) {
        0 => drop(bytes.splice(at..end, [])),
        1 => drop(bytes.splice(at..at, run)),
        2 => drop(bytes.splice(at..at, word(rng, target).bytes())),
        3 => drop(bytes.splice(at..end, word(rng, target).bytes())),
        4 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        5 => bytes.insert(at, rng.random()),
        _ => return changed_lines(rng, &bytes),
    }
    bytes
}

/// A line twice, or gone, or elsewhere.
fn changed_lines(rng: &mut SmallRng, bytes: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if !lines.is_empty() {
        let line = lines.remove(rng.random_range(0..lines.len()));
        for _ in 0..rng.random_range(0..3) {
            lines.insert(rng.random_range(0..=lines.len()), line);
        }
    }
    lines.concat()
}

fn change_tree(rng: &mut SmallRng, target: &Target, root: &mut Value) {
    let chosen = rng.random_range(0..size_of(root));
    let other = rng.random_range(0..size_of(root));
    let other = node(root, &mut { other }).cloned().unwrap_or_default();
    let Some(found) = node(root, &mut { chosen }) else { return };
    let name = word(rng, target).trim_matches(['"', ':']).to_owned();
    match (found, rng.random_range(0..6)) {
        (Value::Object(fields), 0..=2) => drop(fields.insert(name, other)),
        (Value::Object(fields), 3) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            keys.choose(rng).map(|key| fields.remove(key));
        }
        (Value::Array(items), 0..=2) => items.push(other),
        (Value::Array(items), 3) => drop(items.pop()),
        (Value::String(text), 0..=3) => {
            let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
            text.insert_str(*places.choose(rng).unwrap_or(&0), &name);
        }
        (Value::Number(number), 0..=3) => *number = rng.next_u64().into(),
        (found, 4) => *found = other,
        (found, _) => *found = scalar(rng, name),
    }
}

fn scalar(rng: &mut SmallRng, name: String) -> Value {
    let scalars = [json!(name), json!(null), json!(true), json!(-1), json!(1.5), json!(u64::MAX), json!(""), json!({})];
    scalars.choose(rng).cloned().unwrap_or_default()
}

fn word(rng: &mut SmallRng, target: &Target) -> &'static str {
    target.words.lines().choose(rng).unwrap_or_default()
}

/// Nodes of a tree, itself included.
fn size_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size_of).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(size_of).sum::<usize>(),
        _ => 1,
    }
}

/// The node of this number, counted from the root.
fn node<'a>(value: &'a mut Value, number: &mut usize) -> Option<&'a mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, number)),
        Value::Object(fields) => fields.values_mut().find_map(|field| node(field, number)),
        _ => None,
    }
}
