//! Commands that change how this program behaves: data mode, type, switches.

use std::sync::atomic::{AtomicBool, Ordering};

use wharf_client::DataModeChoice;
use wharf_proto::{Format, RepresentationType};

use super::run::failed;
use super::{Shell, print};
use crate::exit::Failure;
use crate::output::Output;

type Words = [Vec<u8>];

pub(super) fn data_mode(shell: &mut Shell, choice: DataModeChoice) {
    shell.mode = choice;
    shell.connector.options_mut().data_mode = choice;
    if let Some(client) = &mut shell.client {
        client.set_data_mode(choice);
    }
    shell.say(&format!("Data mode: {}.", mode_word(choice)));
}

pub(super) fn mode_word(choice: DataModeChoice) -> &'static str {
    DataModeChoice::WORDS
        .iter()
        .find(|(_, known)| *known == choice)
        .map_or("auto", |(word, _)| word)
}

/// `passive` alone turns it on, and off again; off is active, as ever.
pub(super) fn passive(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let choice = match words.first().map(Vec::as_slice) {
        None if shell.mode == DataModeChoice::Passive => DataModeChoice::Active,
        None | Some(b"on") => DataModeChoice::Passive,
        Some(b"off") => DataModeChoice::Active,
        Some(b"auto") => DataModeChoice::Auto,
        Some(_) => return Err(Failure::usage("usage: passive [on|off|auto]")),
    };
    data_mode(shell, choice);
    Ok(())
}

pub(super) fn set_type(shell: &mut Shell, wanted: RepresentationType) -> Result<(), Failure> {
    shell.client()?.set_type(wanted).map_err(failed)?;
    shell.say(&format!("Type: {}.", type_word(wanted)));
    Ok(())
}

pub(super) fn type_word(wanted: RepresentationType) -> &'static str {
    match wanted {
        RepresentationType::Ascii(_) => "ascii",
        _ => "binary",
    }
}

pub(super) fn representation(shell: &mut Shell, words: &Words) -> Result<(), Failure> {
    let wanted = match words
        .first()
        .map(|word| word.to_ascii_lowercase())
        .as_deref()
    {
        None => {
            let now = shell.client()?.representation();
            print(&shell.output, type_word(now));
            return Ok(());
        }
        Some(b"ascii" | b"a") => RepresentationType::Ascii(Format::NonPrint),
        Some(b"binary" | b"image" | b"i") => RepresentationType::Image,
        Some(_) => return Err(Failure::usage("usage: type [ascii|binary|image]")),
    };
    set_type(shell, wanted)
}

fn on_off(words: &Words, now: bool, name: &str) -> Result<bool, Failure> {
    match words.first().map(Vec::as_slice) {
        None => Ok(!now),
        Some(b"on") => Ok(true),
        Some(b"off") => Ok(false),
        Some(_) => Err(Failure::usage(format!("usage: {name} [on|off]"))),
    }
}

pub(super) fn switch(
    value: &mut bool,
    name: &str,
    words: &Words,
    output: &Output,
) -> Result<(), Failure> {
    *value = on_off(words, *value, name)?;
    output.info(&format!("{name}: {}", if *value { "on" } else { "off" }));
    Ok(())
}

pub(super) fn switch_atomic(
    value: &AtomicBool,
    name: &str,
    words: &Words,
    output: &Output,
) -> Result<(), Failure> {
    let mut now = value.load(Ordering::Relaxed);
    switch(&mut now, name, words, output)?;
    value.store(now, Ordering::Relaxed);
    Ok(())
}
