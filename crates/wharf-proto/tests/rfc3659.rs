//! RFC 3659: MDTM, SIZE, REST, TVFS, MLST and MLSD.

use wharf_proto::{
    Command, Fact, FactSet, FactType, Facts, Features, Pathname, Perm, Reply, Text, Timestamp, Verb,
};

fn read(line: &str) -> (Facts, String) {
    let (facts, name) = Facts::read_line(line.as_bytes()).unwrap();
    (facts, name.as_str().unwrap().to_owned())
}

#[test]
fn s2_3_times_are_fourteen_digits_and_a_fraction_utc() {
    for (wire, secs, millis) in [
        ("19990929003355", 938_565_235, 0),
        ("19990929003355.237", 938_565_235, 237),
        ("20000229235959", 951_868_799, 0),
    ] {
        let time = Timestamp::from_wire(wire.as_bytes()).unwrap();
        assert_eq!((time.secs(), time.millis()), (secs, millis));
        assert_eq!(time.to_wire(), wire);
    }
}

#[test]
fn s2_3_the_fraction_is_truncated_not_rounded() {
    assert_eq!(
        Timestamp::from_wire(b"19990929003355.2379")
            .unwrap()
            .millis(),
        237
    );
}

#[test]
fn s2_3_second_60_is_only_for_leap_seconds_and_61_is_an_error() {
    assert_eq!(
        Timestamp::from_wire(b"20161231235960").unwrap().to_wire(),
        "20170101000000"
    );
    assert!(Timestamp::from_wire(b"20161231235961").is_err());
}

#[test]
fn s3_1_mdtm_takes_a_pathname_with_spaces() {
    assert_eq!(
        Command::parse(b"MDTM a b c"),
        Ok(Command::Mdtm("a b c".parse().unwrap()))
    );
    assert_eq!(Command::parse(b"MDTM").unwrap_err().reply().code(), 501);
}

#[test]
fn s3_1_mdtm_and_size_are_answered_213_or_550() {
    for word in ["MDTM", "SIZE"] {
        let verb = Verb::find(word.as_bytes()).unwrap();
        assert!([213, 550, 501].iter().all(|code| verb.allows(*code)));
    }
}

#[test]
fn s5_1_rest_is_a_decimal_byte_count_in_stream_mode() {
    assert_eq!(
        Command::parse(b"REST 18446744073709551615"),
        Ok(Command::Rest(u64::MAX))
    );
    for line in [
        "REST 18446744073709551616",
        "REST 99999999999999999999",
        "REST -1",
        "REST x",
        "REST 1.5",
        "REST",
    ] {
        assert_eq!(
            Command::parse(line.as_bytes()).unwrap_err().reply().code(),
            501,
            "{line}"
        );
    }
}

#[test]
fn s5_4_rest_stream_is_told_by_feat() {
    assert!(Features::new().with("REST STREAM").has_rest_stream());
    assert!(!Features::new().with("REST").has_rest_stream());
}

#[test]
fn s6_1_a_name_that_begins_with_a_slash_is_absolute() {
    let path = |name: &str| name.parse::<Pathname>().unwrap();
    assert!(path("/a/b").is_absolute() && !path("a/b").is_absolute());
    assert_eq!(
        path("/home/anna").join(&path("x/y")).normalize(),
        path("/home/anna/x/y")
    );
    assert_eq!(
        path("/home/anna").join(&path("../x")).normalize(),
        path("/home/x")
    );
}

#[test]
fn s7_1_mlst_and_mlsd_take_an_optional_pathname() {
    assert_eq!(Command::parse(b"MLST"), Ok(Command::Mlst(None)));
    assert_eq!(
        Command::parse(b"MLSD a b"),
        Ok(Command::Mlsd(Some("a b".parse().unwrap())))
    );
}

#[test]
fn s7_2_facts_end_with_semicolons_and_one_space_precedes_the_name() {
    let (facts, name) = read("type=file;size=5;  leading space");
    assert_eq!((facts.size, name.as_str()), (Some(5), " leading space"));
    let mut line = Vec::new();
    facts.write_line(FactSet::all(), &name.parse().unwrap(), &mut line);
    assert_eq!(line, b"type=file;size=5;  leading space");
}

#[test]
fn s7_2_the_middle_line_of_mlst_begins_with_a_space() {
    let entry = Text::lossy(" type=dir; /pub");
    let reply = Reply::with_lines(
        250,
        vec!["Begin".parse().unwrap(), entry, "End".parse().unwrap()],
    );
    assert_eq!(
        reply.to_bytes(),
        b"250-Begin\r\n type=dir; /pub\r\n250 End\r\n"
    );
    let (facts, name) = Facts::read_line(reply.lines()[1].as_bytes()).unwrap();
    assert_eq!(
        (facts.kind, name),
        (Some(FactType::Directory), "/pub".parse().unwrap())
    );
}

#[test]
fn s7_5_fact_names_are_case_insensitive_and_in_any_order() {
    let (facts, _) = read("SIZE=5;TYPE=FILE;Unix.Mode=0600; x");
    assert_eq!(
        (facts.size, facts.kind, facts.unix_mode),
        (Some(5), Some(FactType::File), Some(0o600))
    );
}

#[test]
fn s7_5_unknown_facts_are_no_error() {
    let (facts, name) = read("X.hash=abc;type=file; x");
    assert_eq!(
        facts.other,
        [("X.hash".parse().unwrap(), "abc".parse().unwrap())]
    );
    assert_eq!(name, "x");
}

#[test]
fn s7_5_1_type_is_file_cdir_pdir_dir_or_of_an_os() {
    for (value, kind, is_directory) in [
        ("file", FactType::File, false),
        ("cdir", FactType::CurrentDirectory, true),
        ("pdir", FactType::ParentDirectory, true),
        ("dir", FactType::Directory, true),
        (
            "OS.unix=slink:/x",
            FactType::Symlink(Some("/x".parse().unwrap())),
            false,
        ),
        (
            "OS.mvs=pds",
            FactType::Other("OS.mvs=pds".parse().unwrap()),
            false,
        ),
    ] {
        let (facts, _) = read(&format!("type={value}; x"));
        assert_eq!(facts.kind, Some(kind.clone()));
        assert_eq!(kind.is_directory(), is_directory);
    }
}

#[test]
fn s7_5_5_perm_letters_of_later_days_are_ignored() {
    let (facts, _) = read("perm=rwzX; x");
    assert_eq!(facts.perm, Some(Perm::RETRIEVE | Perm::STORE));
    assert_eq!(read("perm=; x").0.perm, Some(Perm::NONE));
}

#[test]
fn s7_8_feat_marks_the_selected_facts_with_an_asterisk() {
    let offered = FactSet::of(&[Fact::Type, Fact::Size, Fact::Modify]);
    let line = offered.feature_line(FactSet::of(&[Fact::Size]));
    assert_eq!(line, "MLST type;size*;modify;");
    assert_eq!(
        Features::new().with(&line).mlst(),
        Some((offered, FactSet::of(&[Fact::Size])))
    );
}

#[test]
fn s7_9_opts_mlst_selects_facts_and_ignores_unknown_ones() {
    let selected = FactSet::read_options(b"Size;UNKNOWN;type;");
    assert_eq!(selected, FactSet::of(&[Fact::Type, Fact::Size]));
    assert_eq!(selected.options_text(), "MLST OPTS type;size;");
}

#[test]
fn s7_9_opts_mlst_without_facts_selects_none() {
    assert_eq!(FactSet::read_options(b""), FactSet::none());
    assert_eq!(FactSet::none().options_text(), "MLST OPTS");
}
