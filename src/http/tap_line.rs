//! A record as one line of JSON: what `tap` prints and `/v1/tap` streams.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One record as one line, without the line's end:
///
/// ```json
/// {"partition":0,"offset":7,"key":"twitter:1","headers":{"ce_id":"…"},"value":{"purchase":"…"}}
/// ```
///
/// A key that is not UTF-8 stands as `key_base64`, a value that is not JSON as `value_base64`; a missing key and the
/// value of a tombstone are null. JSON stands as it was written, numbers to the last digit. Headers are in order of
/// their names, the last of a name holds, and bytes that are not UTF-8 are replaced.
pub fn tap_line(
    partition: u32,
    offset: u64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(String, Vec<u8>)],
) -> String {
    let mut line = format!("{{\"partition\":{partition},\"offset\":{offset},");
    match key.map(|key| std::str::from_utf8(key).map_err(|_| key)) {
        None => line.push_str("\"key\":null"),
        Some(Ok(text)) => push_string(&mut line, "\"key\":", text),
        Some(Err(bytes)) => push_string(&mut line, "\"key_base64\":", &STANDARD.encode(bytes)),
    }
    line.push_str(",\"headers\":{");
    let headers: BTreeMap<&str, &[u8]> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    for (i, (name, value)) in headers.iter().enumerate() {
        push_string(&mut line, if i == 0 { "" } else { "," }, name);
        push_string(&mut line, ":", &String::from_utf8_lossy(value));
    }
    line.push_str("},");
    match value.map(|value| json_of(value).ok_or(value)) {
        None => line.push_str("\"value\":null"),
        Some(Ok(json)) => {
            line.push_str("\"value\":");
            // Inside JSON a line's end can only be white space, so that a blank means the same.
            line.extend(json.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        }
        Some(Err(bytes)) => push_string(&mut line, "\"value_base64\":", &STANDARD.encode(bytes)),
    }
    line.push('}');
    line
}

/// The text if it is JSON that every reader can be expected to take: whole, and nested at most 128 deep.
fn json_of(value: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Value>(value).ok()?;
    std::str::from_utf8(value.trim_ascii()).ok()
}

fn push_string(line: &mut String, before: &str, text: &str) {
    line.push_str(before);
    // `Value`'s own form of a string is the JSON string.
    line.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])], expected: &str) {
        let headers: Vec<(String, Vec<u8>)> = headers.iter().map(|(n, v)| ((*n).to_owned(), v.to_vec())).collect();
        assert_eq!(tap_line(3, 7, key, value, &headers), format!("{{\"partition\":3,\"offset\":7,{expected}}}"));
    }

    #[test]
    fn records_stand_as_documented() {
        check(None, None, &[], r#""key":null,"headers":{},"value":null"#);
        let headers: &[(&str, &[u8])] = &[("ce_type", b"replies"), ("ce_id", b"a\"b"), ("ce_id", b"c\xff")];
        let json = br#" {"big": 12345678901234567890123, "f": 1.10} "#;
        check(
            Some(b"twitter:1"),
            Some(json),
            headers,
            "\"key\":\"twitter:1\",\"headers\":{\"ce_id\":\"c\u{fffd}\",\"ce_type\":\"replies\"},\
             \"value\":{\"big\": 12345678901234567890123, \"f\": 1.10}",
        );
        check(
            Some(b"\xff\x00"),
            Some(b"no json"),
            &[],
            r#""key_base64":"/wA=","headers":{},"value_base64":"bm8ganNvbg==""#,
        );
        check(Some(b"k"), Some(b"[1,\r\n2]"), &[], r#""key":"k","headers":{},"value":[1,  2]"#);
        check(Some(b"k"), Some(b""), &[], r#""key":"k","headers":{},"value_base64":"""#);
        check(Some(b"k"), Some(b"{} {}"), &[], r#""key":"k","headers":{},"value_base64":"e30ge30=""#);
    }

    #[test]
    fn what_is_nested_too_deep_is_bytes() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(tap_line(0, 0, None, Some(deep.as_bytes()), &[]).contains("value_base64"));
    }

    proptest! {
        #[test]
        fn every_record_is_one_line_of_json(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            text in ".{0,20}",
            name in ".{0,8}",
        ) {
            let headers = [(name, value.clone().unwrap_or_default())];
            for value in [value.as_deref(), Some(text.as_bytes())] {
                let line = tap_line(0, u64::MAX, key.as_deref(), value, &headers);
                prop_assert!(!line.contains(['\n', '\r']));
                prop_assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
            }
        }
    }
}
