//! Names, values, and the table in docs/shell.md.

use super::*;

#[test]
fn rows_are_sorted_and_their_defaults_are_right() {
    let names: Vec<&str> = SETTINGS.iter().map(|row| row.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for row in SETTINGS {
        assert!(
            row.kind.check(row.name, row.default).is_ok(),
            "{}",
            row.name
        );
    }
}

/// `UPDATE_EXPECT=1` writes the table anew.
#[test]
fn the_page_has_the_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/shell.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (before, behind) = text.split_once("<!-- settings -->\n").unwrap();
    let (table, after) = behind.split_once("<!-- end -->").unwrap();
    let wanted = format!("\n{}\n", documented());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let new = format!("{before}<!-- settings -->\n{wanted}<!-- end -->{after}");
        std::fs::write(page, new).unwrap();
        return;
    }
    assert_eq!(
        table, wanted,
        "UPDATE_EXPECT=1 cargo test -p wharf --bin wharf script::settings"
    );
}

#[test]
fn names_may_be_shortened_as_in_lftp() {
    for (name, expected) in [
        ("ftp:ssl-force", Ok("ftp:ssl-force")),
        ("ssl-force", Ok("ftp:ssl-force")),
        ("ssl:verify", Ok("ssl:verify-certificate")),
        ("limit-rate", Ok("net:limit-rate")),
        ("net:limit", Err("set: `net:limit` is ambiguous")),
        ("timeout", Ok("net:timeout")),
        ("xyzzy", Err("set: there is no setting `xyzzy`")),
    ] {
        let found = find(name)
            .map(|row| row.name)
            .map_err(|failure| failure.message);
        assert_eq!(found, expected.map_err(str::to_owned), "{name}");
    }
}

#[test]
fn what_a_script_sets_is_done_or_refused() {
    let mut settings = Settings::default();
    for (name, value, expected) in [
        ("ftp:passive-mode", "off", "Ok(Done)"),
        ("ftp:passive-mode", "maybe", "yes or no"),
        ("net:timeout", "1h30m", "Ok(Done)"),
        ("net:timeout", "soon", "a time"),
        ("net:limit-rate", "100k:20k", "Ok(Done)"),
        ("ftp:use-mlsd", "no", "changes nothing"),
        ("ftp:charset", "cp1251", "is not offered"),
        ("sftp:auto-confirm", "yes", "SFTP, which is not spoken"),
    ] {
        let told = format!("{:?}", settings.set(name, Some(value)));
        assert!(told.contains(expected), "{name} {value}: {told}");
    }
    let mut options = Options::default();
    settings.apply("host", &mut options).unwrap();
    assert_eq!(options.data_mode, DataModeChoice::Active);
    assert_eq!(options.reply_timeout, Duration::from_mins(90));
    assert_eq!(
        options.download_limit.unwrap().rate(),
        NonZeroU64::new(100 << 10)
    );
    settings.set("ftp:passive-mode", None).unwrap();
    let mut options = Options::default();
    settings.apply("host", &mut options).unwrap();
    assert_eq!(options.data_mode, DataModeChoice::Auto);
}

#[test]
fn a_closure_is_a_pattern_of_hosts() {
    let mut settings = Settings::default();
    settings.set("net:timeout/*.example", Some("5")).unwrap();
    settings.set("net:timeout", Some("9")).unwrap();
    assert_eq!(
        settings.time("net:timeout", "a.example"),
        Some(Duration::from_secs(5))
    );
    assert_eq!(
        settings.time("net:timeout", "b.test"),
        Some(Duration::from_secs(9))
    );
}
