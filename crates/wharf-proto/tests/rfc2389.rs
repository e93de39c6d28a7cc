//! RFC 2389: FEAT and OPTS.

use wharf_proto::{Command, Features, ReplyDecoder, ReplyLimits, Verb};

fn features(bytes: &str) -> Features {
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 500,
        lines: 50,
        bytes: 5000,
    });
    decoder.push(bytes.as_bytes());
    Features::from_reply(&decoder.next().unwrap().unwrap()).unwrap()
}

#[test]
fn s3_1_feat_takes_no_parameter() {
    assert_eq!(Command::parse(b"FEAT"), Ok(Command::Feat));
    assert_eq!(Command::parse(b"FEAT x").unwrap_err().reply().code(), 501);
}

#[test]
fn s3_1_feat_is_answered_before_login() {
    assert!(!Verb::find(b"FEAT").unwrap().needs_login);
}

#[test]
fn s3_2_every_feature_line_begins_with_one_space() {
    let bytes = Features::new()
        .with("MLST size*;")
        .with("UTF8")
        .to_reply()
        .to_bytes();
    assert_eq!(
        bytes,
        b"211-Features:\r\n MLST size*;\r\n UTF8\r\n211 End\r\n"
    );
}

#[test]
fn s3_2_without_features_the_reply_has_one_line() {
    let bytes = Features::new().to_reply().to_bytes();
    assert_eq!(
        bytes.iter().position(|byte| *byte == b'\n'),
        Some(bytes.len() - 1)
    );
    assert!(bytes.starts_with(b"211 "));
}

#[test]
fn s3_2_feature_labels_are_case_insensitive() {
    let features = features("211-Ext\r\n mdtm\r\n Rest Stream\r\n211 End\r\n");
    assert!(features.has("MDTM") && features.has_rest_stream());
}

#[test]
fn s3_2_the_text_of_the_first_and_last_line_means_nothing() {
    let features = features("211-MDTM\r\n SIZE\r\n211 UTF8\r\n");
    assert!(features.has("SIZE") && !features.has("MDTM") && !features.has("UTF8"));
}

#[test]
fn s4_opts_names_a_command_and_its_options() {
    let command = Command::parse(b"OPTS MLST type;size;").unwrap();
    let (name, value) = match &command {
        Command::Opts { name, value } => (name, value.as_ref().unwrap()),
        other => panic!("{other}"),
    };
    assert_eq!(
        (name.as_bytes(), value.as_bytes()),
        (&b"MLST"[..], &b"type;size;"[..])
    );
    assert_eq!(Command::parse(b"OPTS").unwrap_err().reply().code(), 501);
}

#[test]
fn s4_opts_is_answered_200_451_or_501() {
    let opts = Verb::find(b"OPTS").unwrap();
    assert!([200, 451, 501].iter().all(|code| opts.allows(*code)));
}
