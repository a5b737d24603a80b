//! `pay-by-tweet check`: what is wrong with a configuration is told with file, line, key and how to mend it.

#[path = "check/commands.rs"]
mod commands;

use std::fs;

use pay_by_tweet::cli::check::{CheckArgs, check};

const CONFIG: &str = "pay-by-tweet.toml";

/// An offers file with one good offer, lines 1 to 14.
const GOOD_OFFER: &str = r#"[[offers]]
id = "mug"
kind = "purchase"
buy_tag = "BuyMug"
confirm_tag = "ConfirmMug"
merchant = "pottery"
item = "Blue mug"
price = "12.00"
tax = "0.96"
currency = "USD"
quantity = 10
opens = "2013-02-11T05:00:00Z"
closes = "2013-03-04T05:00:00Z"
countries = ["US"]
"#;

#[test]
fn every_mistake_in_the_settings_is_named() {
    let cases: &[(&str, &str)] = &[
        ("[topics]\npartitons = 4", r#"C:2: topics.partitons: unknown key; did you mean "topics.partitions"?"#),
        ("partitions = 4", r#"C:1: partitions: unknown key; did you mean "topics.partitions"?"#),
        ("\"topics.prefix\" = \"a\"", r#"C:1: "topics.prefix": unknown key; did you mean "topics.prefix"?"#),
        ("[tme]\n[topics]", r#"C:1: tme: unknown key; did you mean "time"?"#),
        ("topics = 3", "C:1: topics: expected a table, found the integer 3; write [topics] and its keys below"),
        (
            "[topics]\npartitions = \"four\"",
            r#"C:2: topics.partitions: expected a whole number, found "four"; write it such as 4"#,
        ),
        ("[topics]\npartitions = 0", "C:2: topics.partitions: 0 is not within 1 and 4096; write it such as 4"),
        (
            "[topics]\nprefix = \"a b\"",
            r#"C:2: topics.prefix: "a b" can't begin a topic's name: at most 100 letters, digits, '.', '_' and '-'; write it such as """#,
        ),
        (
            "[account]\nconfirm_window = \"15 minutes\"",
            r#"C:2: account.confirm_window: "15 minutes" is not a duration; write it such as "15m""#,
        ),
        (
            "[account]\n\nconfirm_window = 15",
            r#"C:3: account.confirm_window: expected a duration, a string with a number and a unit of ms, s, m, h or d, found the integer 15; write it such as "15m""#,
        ),
        (
            "[account]\nconfirm_window = \"0s\"",
            r#"C:2: account.confirm_window: must be at least 1ms; write it such as "15m""#,
        ),
        (
            "[time]\nidle = \"wall\"",
            r#"C:2: time.idle: expected one of "clock", "heartbeat", found "wall"; write it such as "clock""#,
        ),
        (
            "[reply]\nnothing_to_confirm = 1",
            "C:2: reply.nothing_to_confirm: expected true or false, found the integer 1; write it such as false",
        ),
        (
            "[bus]\nkind = \"kafka\"",
            r#"C:2: bus.kind: a cluster needs its brokers; set bus.kafka.properties."bootstrap.servers" = "host:9092,…""#,
        ),
        (
            "[bus.kafka.properties]\nacks = \"1\"",
            r#"C:2: bus.kafka.properties."acks": exactly-once needs its own value of this property; leave it out"#,
        ),
        (
            "[bus.kafka.properties]\n\"transaction.timeout.ms\" = \"120000\"",
            "C:2: bus.kafka.properties.\"transaction.timeout.ms\": a transaction may stay open for 1000 to 30000 ms: a \
             restore waits for it; leave it out: it is 5000",
        ),
        (
            "[bus.kafka.properties]\nbootstrap.servers = \"a:1\"",
            r#"C:2: bus.kafka.properties.bootstrap.servers: a dotted name must be quoted; write "bootstrap.servers" = …"#,
        ),
        (
            "[bus.kafka.properties]\n\"linger.ms\" = 5",
            r#"C:2: bus.kafka.properties."linger.ms": expected a string, found an integer; put the value in double quotes, or write { file = "…" }"#,
        ),
        (
            "[http]\nlisten = \"localhost\"",
            r#"C:2: http.listen: "localhost" is not an IP address with a port; write it such as "127.0.0.1:8787""#,
        ),
        (
            "[service]\nhandle = \"@AmexSync\"",
            r#"C:2: service.handle: "@AmexSync" is not a handle of 1 to 15 letters, digits and '_', without '@'; write it such as "PayByTweet""#,
        ),
        (
            "[service]\nuser_id = 501234567",
            r#"C:2: service.user_id: expected a string, found the integer 501234567; write it such as "501234567""#,
        ),
        (
            "[service]\nfreeze_tag = \"#Freeze\"",
            r##"C:2: service.freeze_tag: "#Freeze" is written with its '#'; write it such as "FreezeMyCard""##,
        ),
        (
            "[limits]\nspend_per_day = \"-5.00\"",
            r#"C:2: limits.spend_per_day: "-5.00" is negative; write it such as "5000.00""#,
        ),
        (
            "[limits]\nrecord_bytes = \"1MB\"",
            r#"C:2: limits.record_bytes: expected a number of bytes, or a string such as "64MiB", found "1MB"; write it such as "1MiB""#,
        ),
        ("[limits]\nstep_up_above = \"500.00\"", "C:2: limits.step_up_above: not supported yet; leave it out"),
        (
            "[payment]\nauthorization = \"processor\"",
            r#"C:2: payment.authorization: "processor" is not supported yet; set it to "on_confirm""#,
        ),
        ("workers = \"two\"", r#"C:1: workers: expected a whole number, found "two"; write it such as 1"#),
        (
            "[replies.templates]\nprompt = \"@{handle} #{confirm_tag} {itme}\"",
            r#"C:2: replies.templates.prompt: no placeholder is called "itme"; there are handle, buy_tag, confirm_tag, cancel_tag, item, amount, minutes, merchant, terms_url, closes, purchase; write it such as "@{handle} Tweet #{confirm_tag} w/in {minutes} min to buy {item} – {amount} w/synced Card""#,
        ),
        (
            "[replies.templates]\nprompt = \"@{handle} Tweet again\"",
            r##"C:2: replies.templates.prompt: must hold "#{confirm_tag}" as a whole tag; write it such as "@{handle} Tweet #{confirm_tag} w/in {minutes} min to buy {item} – {amount} w/synced Card""##,
        ),
        (
            "[replies.templates]\nsold_out = \"Sorry\"",
            r#"C:2: replies.templates.sold_out: must begin with "@{handle} ", or nobody is told; write it such as "@{handle} Sorry, {item} is sold out""#,
        ),
        (
            "[replies.templates]\nsoldout = \"Sorry\"",
            r#"C:2: replies.templates.soldout: unknown key; did you mean "replies.templates.sold_out"?"#,
        ),
        ("[[sources]]\ntopic = \"toots\"", r#"C:1: sources[0].network: missing; write network = "twitter""#),
        (
            "[[sources]]\ntopic = \"toots\"\nnetwork = \"mastodon\"\nformat = \"activity\"",
            r#"C:4: sources[0].format: "activity" is not a known format; the only one yet is "x""#,
        ),
        (
            "[[sources]]\ntopic = \"replies\"\nnetwork = \"twitter\"",
            r#"C:2: sources[0].topic: "replies" is a topic of the program itself; write it such as "tweets""#,
        ),
        (
            "[[sources]]\ntopic = \"t\"\nnetwork = \"twitter\"\nfromat = \"x\"",
            r#"C:4: sources[0].fromat: unknown key; did you mean "format"?"#,
        ),
        (
            "sources = \"tweets\"",
            r#"C:1: sources: expected a list of tables, found "tweets"; write [[sources]] in the file, once for each"#,
        ),
        (
            "[topics]\npartitions = many",
            "C:2: not valid TOML: string values must be quoted, expected literal string; write one key = value a line, with strings in double quotes",
        ),
        (
            "[offers]\nfile = \"gone.toml\"",
            "D/gone.toml: offers.file: no such file; name an existing file in offers.file",
        ),
        (
            "[http]\ntoken_file = \"gone\"",
            "D/gone: http.token_file: no such file; name a file that holds a token, or leave it out",
        ),
    ];
    for (config, message) in cases {
        expect(config, GOOD_OFFER, &[], message);
    }
}

const PASSWORD: &str = "bus.kafka.properties.\"sasl.password\"";
const SECRET: &str = "hunter2";

/// The value of a property may stand in a file; what is wrong with it is told without a word of what it holds.
#[test]
fn every_mistake_about_secrets_is_named_and_none_is_told() {
    let put = "put the value in double quotes, or write { file = \"…\" }";
    let name = "name a file that holds the value, or write the value itself";
    let cases: &[(&str, &str)] = &[
        ("{ file = \"gone\" }", &format!("D/gone: {PASSWORD}.file: no such file; {name}")),
        (
            "{ file = \"/dev/null\" }",
            &format!("/dev/null: {PASSWORD}.file: the file is empty; write the value into it"),
        ),
        ("{ file = \"blank\" }", &format!("D/blank: {PASSWORD}.file: the file is empty; write the value into it")),
        ("{ file = \".\" }", &format!("D/.: {PASSWORD}.file: can't be read: Is a directory (os error 21); {name}")),
        ("{ file = \"latin\" }", &format!("D/latin:2: {PASSWORD}.file: not UTF-8; save the file in UTF-8")),
        ("{ file = \"nul\" }", &format!("D/nul: {PASSWORD}.file: holds a NUL character; write it as text")),
        ("\"hunter2\\u0000\"", &format!("C:2: {PASSWORD}: holds a NUL character; write it as text")),
        ("{ flie = \"hunter2\" }", &format!("C:2: {PASSWORD}.flie: expected a string, found a table; {put}")),
        ("{}", &format!("C:2: {PASSWORD}: expected a string, found a table; {put}")),
        ("[\"hunter2\"]", &format!("C:2: {PASSWORD}: expected a string, found a list; {put}")),
        (
            "{ file = 2 }",
            &format!(
                "C:2: {PASSWORD}.file: expected a file's name, a string, found an integer; put the name in double quotes"
            ),
        ),
    ];
    let files: &[(&str, &[u8])] =
        &[("blank", b" \n\r\n"), ("latin", b"hunter2\nhunt\xe9r2"), ("nul", b"hunter2\0"), ("good", b"hunter2\n")];
    for (value, message) in cases {
        let config = format!("[bus.kafka.properties]\n\"sasl.password\" = {value}");
        let (code, out, err) = run_with(files, &config, GOOD_OFFER, &[]);
        assert_eq!((code, out.as_str(), err.as_str()), (78, "", &*format!("{message}\n")), "of {value}");
    }
    let by = |name: &str| format!("PAY_BY_TWEET__BUS__KAFKA__{name}");
    let both = [(&*by("PROPERTIES__SASL_PASSWORD"), SECRET), (&*by("PROPERTIES__SASL_PASSWORD__FILE"), "good")];
    let (code, _, err) = run_with(files, "", GOOD_OFFER, &both);
    let told = format!("{}: {PASSWORD}.file: given as a value and as a file; leave one of them out\n", both[1].0);
    assert_eq!((code, err), (78, told));
    let (code, _, err) = run_with(files, "", GOOD_OFFER, &[(&by("PROPERTIES"), "sasl.password=hunter2")]);
    assert!(code == 78 && err.contains("found a variable's text") && !err.contains(SECRET), "{err}");
    let owned = "[bus.kafka.properties]\nacks = { file = \"good\" }";
    let told = "C:2: bus.kafka.properties.\"acks\": exactly-once needs its own value of this property; leave it out\n";
    assert_eq!(run_with(files, owned, GOOD_OFFER, &[]), (78, String::new(), told.to_owned()));
    let brokers = "[bus]\nkind = \"kafka\"\n[bus.kafka.properties]\n\"bootstrap.servers\" = { file = \"gone\" }";
    let told = format!("D/gone: bus.kafka.properties.\"bootstrap.servers\".file: no such file; {name}\n");
    assert_eq!(run_with(files, brokers, GOOD_OFFER, &[]), (78, String::new(), told), "one mistake, told once");
}

#[test]
fn a_token_that_no_request_can_carry_is_refused() {
    let cases: &[(&[u8], Option<&str>)] = &[
        (b" the operator's token\r\n", None),
        (b"\n", Some("the file is empty; write a token into it")),
        (b"old\nnew\n", Some("holds several lines; write one token into it and nothing else")),
        (
            "schl\u{fc}ssel".as_bytes(),
            Some("holds what is no printable ASCII character; write a token of letters, digits and punctuation"),
        ),
    ];
    for (token, why) in cases {
        let (code, _, err) = run_with(&[("token", token)], "[http]\ntoken_file = \"token\"", GOOD_OFFER, &[]);
        let told = why.map_or(String::new(), |why| format!("D/token: http.token_file: {why}\n"));
        assert_eq!((code, err), (if why.is_some() { 78 } else { 0 }, told));
    }
}

#[test]
fn every_mistake_in_the_environment_is_named() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "PAY_BY_TWEET__TOPICS__PARTITONS",
            "4",
            "PAY_BY_TWEET__TOPICS__PARTITONS: topics.partitons: unknown key; did you mean PAY_BY_TWEET__TOPICS__PARTITIONS?",
        ),
        (
            "PAY_BY_TWEET__TOPICS__PARTITIONS",
            "four",
            r#"PAY_BY_TWEET__TOPICS__PARTITIONS: topics.partitions: expected a whole number, found "four"; write it such as 4"#,
        ),
        (
            "PAY_BY_TWEET__TIME__IDLE_AFTER",
            "30",
            r#"PAY_BY_TWEET__TIME__IDLE_AFTER: time.idle_after: "30" is not a duration; write it such as "30s""#,
        ),
        (
            "PAY_BY_TWEET__BUS__KIND",
            "kafka",
            r#"PAY_BY_TWEET__BUS__KIND: bus.kind: a cluster needs its brokers; set bus.kafka.properties."bootstrap.servers" = "host:9092,…""#,
        ),
    ];
    for (name, value, message) in cases {
        expect("", GOOD_OFFER, &[(name, value)], message);
    }
}

#[test]
fn every_mistake_in_the_offers_is_named() {
    let swap = |from: &str, to: &str| GOOD_OFFER.replace(from, to);
    let cases: Vec<(String, &str)> = vec![
        (
            swap("price", "prise"),
            "O:8: offers[mug].prise: unknown key; did you mean \"price\"?\nO:1: offers[mug].price: missing; add price = \"149.99\"",
        ),
        (
            swap("\"12.00\"", "12.00"),
            r#"O:8: offers[mug].price: expected a decimal string, found the float 12.00; write it such as "149.99", in double quotes"#,
        ),
        (
            swap("\"12.00\"", "\"-12.00\""),
            r#"O:8: offers[mug].price: "-12.00" is negative; write a decimal string, such as "149.99""#,
        ),
        (
            swap("\"12.00\"", "\"12.001\""),
            r#"O:8: offers[mug].price: "12.001" has more than 2 decimals; write a decimal string, such as "149.99""#,
        ),
        (
            swap("\"12.00\"", "\"0.00\"").replace("0.96", "0.00"),
            r#"O:8: offers[mug].price: price and tax are zero together; write a price above "0.00""#,
        ),
        (
            swap("USD", "USX"),
            r#"O:10: offers[mug].currency: "USX" is not a currency of ISO 4217; write an ISO 4217 code, such as "USD""#,
        ),
        (swap("USD", "usd"), r#"O:10: offers[mug].currency: "usd" is not a currency of ISO 4217; did you mean "USD"?"#),
        (
            swap("quantity = 10", "quantity = -1"),
            "O:11: offers[mug].quantity: -1 is out of range; write a whole number of at least 0",
        ),
        (
            swap("quantity = 10", "per_account = 0"),
            "O:11: offers[mug].per_account: 0 is out of range; write a whole number of at least 1",
        ),
        (
            swap("quantity = 10", "reply_length = 90"),
            "O:11: offers[mug].reply_length: the prompt reply may take 97 characters, more than 90; shorten the tags or replies.templates.prompt",
        ),
        (
            swap("2013-03-04", "2013-02-01"),
            "O:13: offers[mug].closes: is not after opens; close the offer later than it opens",
        ),
        (
            swap("2013-03-04T05:00:00Z", "March 4"),
            r#"O:13: offers[mug].closes: "March 4" is not a time by RFC 3339; write it such as "2013-02-11T05:00:00Z""#,
        ),
        (
            swap("[\"US\"]", "[\"USA\"]"),
            r#"O:14: offers[mug].countries: "USA" is not a country code of two capital letters (ISO 3166); write it such as ["US"]"#,
        ),
        (
            swap("[\"US\"]", "\"US\""),
            r#"O:14: offers[mug].countries: expected a list of strings, found "US"; write it such as ["US"]"#,
        ),
        (
            swap("kind = \"purchase\"", "kind = \"sale\""),
            r#"O:3: offers[mug].kind: "sale" is not a kind of offer; write "purchase", "statement_credit" or "discount_code""#,
        ),
        (
            swap("\"BuyMug\"", "\"#BuyMug\""),
            r##"O:4: offers[mug].buy_tag: "#BuyMug" is written with its '#'; write the tag alone, such as "BuyKindleFireHD""##,
        ),
        (
            swap("\"BuyMug\"", "\"Buy Mug\""),
            r#"O:4: offers[mug].buy_tag: "Buy Mug" is not one whole hashtag of letters, digits and '_', with at least one letter; write the tag alone, such as "BuyKindleFireHD""#,
        ),
        (
            swap("\"mug\"", "\"a mug\""),
            r#"O:2: offers[a mug].id: "a mug" is not a name of at most 100 letters, digits, '-', '_' and '.'; write it such as "gift-card-25""#,
        ),
        (
            swap("\"BuyMug\"", "\"confirmmug\""),
            r#"O:5: offers[mug].confirm_tag: "ConfirmMug" is the same tag as "confirmmug", offers[mug].buy_tag on line 4; choose a tag that nobody takes for the other"#,
        ),
        (
            swap("\"BuyMug\"", "\"FREEZEMYCARD\""),
            r#"O:4: offers[mug].buy_tag: "FREEZEMYCARD" is the same tag as "FreezeMyCard", service.freeze_tag; choose a tag that nobody takes for the other"#,
        ),
        (
            format!("{GOOD_OFFER}code = \"X\"\n"),
            r#"O:15: offers[mug].code: only a discount code has this field; leave it out, or set kind = "discount_code""#,
        ),
        (
            format!("{GOOD_OFFER}min_spend = \"1.00\"\n"),
            r#"O:15: offers[mug].min_spend: only a statement credit has this field; leave it out, or set kind = "statement_credit""#,
        ),
        (
            format!("{GOOD_OFFER}terms_url = \"example.com\"\n"),
            r#"O:15: offers[mug].terms_url: "example.com" is not a web address; write it such as "https://example.com/terms""#,
        ),
        (format!("{GOOD_OFFER}[[offer]]\n"), r#"O:15: offer: unknown key; did you mean "offers"?"#),
        (
            format!("{GOOD_OFFER}{}", second("mug", "BuyCup", "ConfirmCup")),
            "O:16: offers[mug].id: the same id as the offer on line 2; give each offer its own id",
        ),
        (
            format!("{GOOD_OFFER}{}", second("cup", "buymug", "ConfirmCup")),
            r#"O:18: offers[cup].buy_tag: "buymug" is the same tag as "BuyMug", offers[mug].buy_tag on line 4; choose a tag that nobody takes for the other"#,
        ),
        (
            format!("{GOOD_OFFER}{}", second("cup", "BuyCup", "C0nfirmMug")),
            r#"O:19: offers[cup].confirm_tag: "C0nfirmMug" looks like "ConfirmMug", offers[mug].confirm_tag on line 5; choose a tag that nobody takes for the other"#,
        ),
        (
            "[[offers]]\nid = \"x\ny = 1".to_owned(),
            "O:2: not valid TOML: invalid basic string, expected `\"`; write one key = value a line, with strings in double quotes",
        ),
    ];
    for (offers, message) in cases {
        expect("", &offers, &[], message);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let config = "[topics]\npartitons = 4\n[time]\nidle_after = \"x\"\n[bus]\nkind = \"rabbit\"\n";
    let (code, _, err) = run(config, GOOD_OFFER, &[("PAY_BY_TWEET__LOG__LEVEL", "loud")]);
    let places: Vec<&str> = err.lines().map(|line| line.split(": ").next().unwrap_or("")).collect();
    assert_eq!((code, places), (78, vec!["C:2", "C:4", "C:6", "PAY_BY_TWEET__LOG__LEVEL"]));
}

#[test]
fn a_good_configuration_is_told_in_one_line() {
    let (code, out, err) = run("", GOOD_OFFER, &[("PAY_BY_TWEET__TOPICS__PREFIX", "demo."), ("HOME", "/")]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "ok: C with 1 offer of O\n", ""));
}

#[test]
fn a_missing_file_is_named() {
    let args = CheckArgs { config: Some("nowhere/x.toml".into()), online: false };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check(&args, std::iter::empty(), &mut out, &mut err).expect("a vector takes every write");
    let err = String::from_utf8_lossy(&err).into_owned();
    assert_eq!((code, err.as_str()), (78, "nowhere/x.toml: no such file; name an existing file with --config\n"));
}

fn second(id: &str, buy: &str, confirm: &str) -> String {
    GOOD_OFFER.replace("mug", id).replace("BuyMug", buy).replace("ConfirmMug", confirm)
}

#[test]
fn a_property_that_the_client_does_not_know_is_named_without_a_broker() {
    // Known to nobody; to be had in another build only; known, and too long for who polls within a minute.
    for (name, value, told) in [
        ("fetch.wait.max", "1", "fetch.wait.max"),
        ("sasl.mechanisms", "SCRAM-SHA-512\"\n\"security.protocol\" = \"sasl_plaintext", "SASL"),
        ("session.timeout.ms", "90000", "session.timeout.ms"),
    ] {
        let properties = format!("\"bootstrap.servers\" = \"localhost:1\"\n\"{name}\" = \"{value}\"");
        let (code, _, err) =
            run(&format!("[bus]\nkind = \"kafka\"\n[bus.kafka.properties]\n{properties}"), GOOD_OFFER, &[]);
        if cfg!(feature = "tls") && told == "SASL" {
            continue;
        }
        assert_eq!(code, 78, "{name}: {err}");
        assert!(err.contains("bus.kafka.properties") && err.contains(told), "{err}");
    }
}

/// Checks that exactly this is said. `C`, `O` and `D` stand for the configuration, the offers and their folder.
fn expect(config: &str, offers: &str, env: &[(&str, &str)], message: &str) {
    let (code, _, err) = run(config, offers, env);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((code, sorted(&err)), (78, sorted(message)), "of {config:?}");
}

fn run(config: &str, offers: &str, env: &[(&str, &str)]) -> (u8, String, String) {
    run_with(&[], config, offers, env)
}

/// With more files in the folder of the configuration.
fn run_with(files: &[(&str, &[u8])], config: &str, offers: &str, env: &[(&str, &str)]) -> (u8, String, String) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("the folder is ours");
    }
    let path = dir.path().join(CONFIG);
    fs::write(&path, config).expect("the folder is ours");
    fs::write(dir.path().join("offers.toml"), offers).expect("the folder is ours");
    let args = CheckArgs { config: Some(path.clone()), online: false };
    let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check(&args, env, &mut out, &mut err).expect("a vector takes every write");
    let short = |bytes: &[u8]| {
        let folder = dir.path().display().to_string();
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.replace(&path.display().to_string(), "C")
            .replace(&format!("{folder}/offers.toml"), "O")
            .replace(&folder, "D")
    };
    (code, short(&out), short(&err))
}
