use std::fs;

use crate::domain::{OfferKind, Time};

use super::*;

#[test]
fn the_shipped_files_are_the_defaults() {
    let defaults = Settings::of_text(None, std::iter::empty()).expect("the shipped file is good");
    let shipped = Settings::of_text(Some((Path::new("pay-by-tweet.toml"), SHIPPED_CONFIG)), std::iter::empty());
    let shipped = shipped.expect("the shipped file is good");
    assert_eq!(format!("{:?}", sections(&shipped)), format!("{:?}", sections(&defaults)));
    assert_eq!(shipped.offers_file.as_deref(), Some(Path::new("offers.toml")));
    assert_eq!(fs::read_to_string(DEFAULT_FILE).ok().as_deref(), Some(SHIPPED_CONFIG));
    for optional in ["\"bootstrap.servers\" =", "token_file =", "step_up_above =", "id ="] {
        assert!(SHIPPED_CONFIG.contains(&format!("# {optional}")), "{optional} is explained");
    }
}

/// Everything that both have: not the paths.
fn sections(s: &Settings) -> impl std::fmt::Debug {
    let first =
        (s.bus.clone(), s.topics.clone(), s.sources.clone(), s.http.clone(), s.service.clone(), s.account, s.time);
    (
        first,
        s.reply,
        s.limits,
        s.instance_id.clone(),
        s.payment,
        s.commit_interval,
        s.workers,
        s.log,
        s.templates.clone(),
    )
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let s = Settings::of_text(None, std::iter::empty()).expect("the shipped file is good");
    assert_eq!((s.bus.kind, s.bus.embedded.fsync, s.topics.partitions), (BusKind::Embedded, Fsync::Commit, 4));
    assert_eq!(s.http.listen.to_string(), "127.0.0.1:8787");
    assert_eq!((s.account.confirm_window, s.account.reply_grace), (Span::of_mins(15), Span::of_secs(60)));
    assert_eq!((s.account.buy_max_age, s.account.cancel_window), (Span::DAY, Span::ZERO));
    assert_eq!(s.account.forget_after, Span(90 * Span::DAY.0));
    assert_eq!((s.time.lateness_max, s.time.idle_after), (Span::of_mins(5), Span::of_secs(30)));
    assert_eq!((s.limits.record_bytes, s.limits.kept_bytes_per_shard), (1 << 20, 256 << 20));
    let limits = s.rules(|_| Uuid([0; 16])).limits;
    assert_eq!((limits.pending_per_account, limits.purchases_per_day, limits.replies_per_hour), (16, 20, 60));
    assert_eq!(limits.spend_per_day_e4, 50_000_000);
    assert_ne!(s.instance_id(), s.instance_id());
}

#[test]
fn the_shipped_catalogue_is_the_launch() {
    let settings = Settings::of_text(None, std::iter::empty()).expect("the shipped file is good");
    let specs = settings.load_offers().expect("the shipped catalogue is good");
    let offers: Vec<_> = specs.into_iter().map(|spec| spec.into_offer(7).expect("the catalogue was checked")).collect();
    let kinds = |kind| offers.iter().filter(|offer| offer.terms.kind == kind).count();
    let counts = (kinds(OfferKind::Purchase), kinds(OfferKind::StatementCredit), kinds(OfferKind::DiscountCode));
    assert_eq!(counts, (6, 1, 1));
    let gift = &offers.iter().find(|offer| offer.terms.offer == "gift-card-25").expect("a launch offer").terms;
    assert_eq!((gift.amount.minor, gift.exponent, gift.version, gift.limited), (1500, 2, 7, true));
    assert_eq!((gift.buy.0.as_str(), gift.buy_tag.as_str()), ("buyamexgiftcard25", "BuyAmexGiftCard25"));
    assert!(gift.is_open_at(Time(1_360_681_260_000)));
    assert!(SHIPPED_OFFERS.contains("#") && offers[0].waitlist_max == 100);
}

#[test]
fn layers_override_each_other() {
    let env = [
        ("PAY_BY_TWEET__TOPICS__PARTITIONS", "8"),
        ("PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__BOOTSTRAP_SERVERS", "b:2"),
        ("PAY_BY_TWEET__WORKERS__SCREEN", "5"),
        ("PAY_BY_TWEET__REPLY__NOTHING_TO_CONFIRM", "true"),
        ("PAY_BY_TWEET_SERVICE_HOST", "10.0.0.1"),
    ];
    let text = "workers = 2\n[topics]\npartitions = 6\nprefix = \"p.\"\n[bus.kafka.properties]\n\"bootstrap.servers\" = \"a:1\"\n[limits]\nrecord_bytes = 2048";
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let s = Settings::of_text(Some((Path::new("etc/x.toml"), text)), env).expect("good");
    assert_eq!((s.topics.partitions, s.topics.prefix.as_str(), s.limits.record_bytes), (8, "p.", 2048));
    assert_eq!(s.bus.kafka_properties.get("bootstrap.servers").map(String::as_str), Some("b:2"));
    assert_eq!((s.workers.screen, s.workers.accounts, s.workers.offers), (5, 2, 2));
    assert!(s.reply.nothing_to_confirm);
    assert_eq!(
        (s.bus.embedded.dir.as_path(), s.offers_file.as_deref()),
        (Path::new("etc/data"), Some(Path::new("etc/offers.toml")))
    );
}

/// Relative to the configuration's folder, or not; of a text and a file, the higher layer's counts.
#[test]
fn properties_may_stand_in_files() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, bytes: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("the folder is ours");
        path.display().to_string()
    };
    file("password", " pass = \"word\" \\ #1\r\n");
    let user = file("user", "payer");
    let key = "-----BEGIN-----\nkey\n-----END-----";
    file("key", &format!("{key}\n\n"));
    let text = "[bus.kafka.properties]\n\"sasl.password\" = { file = \"password\" }\n\"sasl.username\" = \"nobody\"\n\
                \"ssl.key.pem\" = { file = \"key\" }\n\"ssl.key.password\" = { file = \"gone\" }\n";
    let env = [("SASL_USERNAME__FILE", user.as_str()), ("SSL_KEY_PASSWORD", "inner")];
    let env = env.map(|(name, value)| (format!("PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__{name}"), value.to_owned()));
    let settings = Settings::of_text(Some((&dir.path().join("x.toml"), text)), env.into_iter()).expect("good");
    let pairs = [
        ("sasl.password", " pass = \"word\" \\ #1"),
        ("sasl.username", "payer"),
        ("ssl.key.password", "inner"),
        ("ssl.key.pem", key),
    ];
    let expected: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(settings.bus.kafka_properties, expected);
    let shown = format!("{settings:?}");
    assert!(pairs.iter().all(|(name, value)| shown.contains(name) && !shown.contains(value)), "{shown}");
}

#[test]
fn the_topic_takes_the_same_offers_as_json() {
    let json = r#"{"id":"g","kind":"purchase","buy_tag":"BuyG","confirm_tag":"ConfirmG","merchant":"m","item":"i",
        "price":"1500","currency":"JPY","new_field":{"a":1},"opens":null}"#;
    let spec: OfferSpec = serde_json::from_str(json).expect("unknown fields are ignored");
    let offer = spec.clone().into_offer(3).expect("a good offer");
    assert_eq!((offer.terms.amount.minor, offer.terms.exponent, offer.quantity), (1500, 0, None));
    let again: OfferSpec =
        serde_json::from_str(&serde_json::to_string(&spec).expect("plain data")).expect("plain data");
    assert_eq!(again, spec);
    assert!(tag_clashes(&[spec], "FreezeMyCard").is_empty());
    let withdrawn: OfferSpec = serde_json::from_str(r#"{"id":"g","withdrawn":true}"#).expect("a good withdrawal");
    assert!(withdrawn.withdrawn);
    let faults = OfferSpec { id: "x".to_owned(), ..OfferSpec::default() }.into_offer(0).expect_err("nearly empty");
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["kind", "buy_tag", "confirm_tag", "merchant", "item", "price"]);
}

#[test]
fn codes_are_shared_or_one_each() {
    let offer = |codes: &str| {
        let json = format!(r#"{{"id":"c","kind":"discount_code","buy_tag":"Code","merchant":"m","item":"i",{codes}}}"#);
        serde_json::from_str::<OfferSpec>(&json).expect("plain data").into_offer(0)
    };
    let quantity = |codes: &str| offer(codes).map(|offer| (offer.codes.len(), offer.quantity)).ok();
    assert_eq!(quantity(r#""code":"A""#), Some((1, None)));
    assert_eq!(quantity(r#""codes":["A","B"]"#), Some((2, Some(2))));
    for bad in [
        r#""codes":[]"#,
        r#""codes":["A","A"]"#,
        r#""code":"A","codes":["B"]"#,
        r#""codes":["A"],"quantity":2"#,
        r#""price":"1.00","code":"A""#,
    ] {
        assert_eq!(quantity(bad), None, "{bad}");
    }
}

/// Whatever is written, reading it ends with a verdict.
#[test]
fn cut_and_damaged_files_never_panic() {
    for text in [SHIPPED_CONFIG, SHIPPED_OFFERS] {
        for cut in (0..text.len()).step_by(37).filter(|cut| text.is_char_boundary(*cut)) {
            let damaged = format!("{}\u{0}{}", &text[..cut], &text[cut..]);
            for text in [&text[..cut], &text[cut..], &damaged] {
                let _ = Settings::of_text(Some((Path::new("x"), text)), std::iter::empty());
            }
        }
    }
}
