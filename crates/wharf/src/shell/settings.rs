//! What the commands of a session leave behind: switches and values. Changing them is here, what they do is where it is done.

use std::sync::atomic::Ordering;

use wharf_client::{DataModeChoice, FamilyChoice};
use wharf_proto::{Format, RepresentationType, visible};

use super::naming::{Letters, NameMap};
use super::quantity;
use super::run::failed;
use super::table::{Buffers, Family};
use super::{Shell, print};
use crate::exit::Failure;

type Words = [Vec<u8>];

/// What is on or off; the commands are their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toggle {
    Bell,
    Case,
    Cr,
    Debug,
    Edit,
    Glob,
    Preserve,
    Progress,
    Prompt,
    Runique,
    Sunique,
    Trace,
    Verbose,
}

/// Every switch: what it is called when it is told, and how it stands at the beginning.
pub(super) const TOGGLES: &[(Toggle, &str, bool)] = &[
    (Toggle::Bell, "Bell mode", false),
    (Toggle::Case, "Case mapping", false),
    (Toggle::Cr, "Carriage Return stripping", true),
    (Toggle::Debug, "Debugging", false),
    (Toggle::Edit, "Command line editing", true),
    (Toggle::Glob, "Globbing", true),
    (Toggle::Preserve, "Preserve modification times", true),
    (Toggle::Progress, "Progress bar", true),
    (Toggle::Prompt, "Interactive mode", true),
    (Toggle::Runique, "Receive unique", false),
    (Toggle::Sunique, "Store unique", false),
    (Toggle::Trace, "Packet tracing", false),
    (Toggle::Verbose, "Verbose mode", false),
];

/// Switches and values of a session.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    toggles: Vec<bool>,
    /// A `#` for so many bytes.
    pub(super) hash: Option<u64>,
    /// Whether the bytes of a transfer are counted in one place.
    pub(super) tick: bool,
    pub(super) extended_ipv4: bool,
    pub(super) extended_ipv6: bool,
    pub(super) name_map: Option<NameMap>,
    pub(super) letters: Option<Letters>,
    /// Where the next get or put begins.
    pub(super) restart: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            toggles: TOGGLES.iter().map(|(_, _, on)| *on).collect(),
            hash: None,
            tick: false,
            extended_ipv4: true,
            extended_ipv6: true,
            name_map: None,
            letters: None,
            restart: 0,
        }
    }
}

impl Settings {
    pub(super) fn is_on(&self, toggle: Toggle) -> bool {
        let place = TOGGLES.iter().position(|(known, _, _)| *known == toggle);
        place.is_some_and(|place| self.toggles[place])
    }

    pub(super) fn set(&mut self, toggle: Toggle, on: bool) {
        if let Some(place) = TOGGLES.iter().position(|(known, _, _)| *known == toggle) {
            self.toggles[place] = on;
        }
    }
}

/// `on`, `off`, or nothing for the other one.
fn on_off(words: &Words, now: bool, name: &str) -> Result<bool, Failure> {
    match words {
        [] => Ok(!now),
        [word] if word.eq_ignore_ascii_case(b"on") => Ok(true),
        [word] if word.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(Failure::usage(format!("usage: {name} [on|off]"))),
    }
}

pub(super) fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl Shell {
    pub(super) fn is_on(&self, toggle: Toggle) -> bool {
        self.settings.is_on(toggle)
    }

    /// Sets a switch, and whatever follows it.
    pub(super) fn switch(&mut self, toggle: Toggle, on: bool) {
        self.settings.set(toggle, on);
        let switches = &self.switches;
        match toggle {
            Toggle::Debug => switches.debug.store(on, Ordering::Relaxed),
            Toggle::Trace => switches.data.store(on, Ordering::Relaxed),
            Toggle::Verbose => switches.verbose.store(on, Ordering::Relaxed),
            Toggle::Cr => {
                self.connector.options_mut().keep_line_ends = !on;
                for client in self.clients() {
                    client.set_keep_line_ends(!on);
                }
            }
            _ => {}
        }
    }

    /// `bell`, `case`, `glob` and the other switches.
    pub(super) fn toggle(&mut self, toggle: Toggle, words: &Words) -> Result<(), Failure> {
        let Some((_, what, _)) = TOGGLES.iter().find(|(known, _, _)| *known == toggle) else {
            return Ok(());
        };
        let now = self.is_on(toggle);
        // `debug 2`, of old.
        let level = match words {
            [word] if toggle == Toggle::Debug => quantity::bytes(word),
            _ => None,
        };
        let on = match level {
            Some(level) => level > 0,
            None => on_off(words, now, &what.to_lowercase())?,
        };
        self.switch(toggle, on);
        // Said also when verbose has just been turned off.
        if self.switches.verbose() || toggle == Toggle::Verbose && self.interactive {
            print(&self.output, &format!("{what} {}.", word(on)));
        }
        Ok(())
    }

    /// `hash [on|off|size]`
    pub(super) fn hash(&mut self, words: &Words) -> Result<(), Failure> {
        const SIZE: u64 = 1024;
        let usage = || Failure::usage("usage: hash [on|off|size]");
        let size = match words {
            [] if self.settings.hash.is_some() => None,
            [] => Some(SIZE),
            [word] => match word.as_slice() {
                b"on" => Some(SIZE),
                b"off" => None,
                size => Some(
                    quantity::bytes(size)
                        .filter(|it| *it > 0)
                        .ok_or_else(usage)?,
                ),
            },
            _ => return Err(usage()),
        };
        self.settings.hash = size;
        self.settings.tick &= size.is_none();
        match size {
            Some(size) => self.say(&format!("Hash mark printing: on ({size} bytes/hash mark).")),
            None => self.say("Hash mark printing: off."),
        }
        Ok(())
    }

    /// `tick [on|off]`
    pub(super) fn tick(&mut self, words: &Words) -> Result<(), Failure> {
        self.settings.tick = on_off(words, self.settings.tick, "tick")?;
        if self.settings.tick {
            self.settings.hash = None;
        }
        self.say(&format!(
            "Tick counter printing: {}.",
            word(self.settings.tick)
        ));
        Ok(())
    }

    /// `epsv`, `epsv4`, `epsv6`
    pub(super) fn epsv(&mut self, name: &str, words: &Words) -> Result<(), Failure> {
        let (v4, v6) = (name != "epsv6", name != "epsv4");
        let settings = &mut self.settings;
        let now = (!v4 || settings.extended_ipv4) && (!v6 || settings.extended_ipv6);
        let on = on_off(words, now, name)?;
        if v4 {
            settings.extended_ipv4 = on;
        }
        if v6 {
            settings.extended_ipv6 = on;
        }
        let (ipv4, ipv6) = (settings.extended_ipv4, settings.extended_ipv6);
        self.extended(ipv4, ipv6);
        for (wanted, family, state) in [(v4, "IPv4", ipv4), (v6, "IPv6", ipv6)] {
            if wanted {
                self.say(&format!("EPSV/EPRT on {family}: {}.", word(state)));
            }
        }
        Ok(())
    }

    /// Whether EPSV and EPRT may be used.
    pub(super) fn extended(&mut self, ipv4: bool, ipv6: bool) {
        self.settings.extended_ipv4 = ipv4;
        self.settings.extended_ipv6 = ipv6;
        let options = self.connector.options_mut();
        options.extended_ipv4 = ipv4;
        options.extended_ipv6 = ipv6;
        for client in self.clients() {
            client.set_extended(ipv4, ipv6);
        }
    }

    /// `ipany`, `ipv4`, `ipv6`
    pub(super) fn family(&mut self, family: Family) {
        let (choice, text) = match family {
            Family::Any => (FamilyChoice::Any, "any"),
            Family::Ipv4 => (FamilyChoice::Ipv4, "IPv4"),
            Family::Ipv6 => (FamilyChoice::Ipv6, "IPv6"),
        };
        self.connector.options_mut().family = choice;
        self.say(&format!("Selecting addresses: {text}."));
    }

    pub(super) fn data_mode(&mut self, choice: DataModeChoice) {
        self.mode = choice;
        self.connector.options_mut().data_mode = choice;
        for client in self.clients() {
            client.set_data_mode(choice);
        }
        let line = passive_line(choice);
        self.say(&line);
    }

    /// `passive` alone turns it on, and off again; off is active, as ever.
    pub(super) fn passive(&mut self, words: &Words) -> Result<(), Failure> {
        let choice = match words.first().map(Vec::as_slice) {
            None if self.mode == DataModeChoice::Passive => DataModeChoice::Active,
            None | Some(b"on") => DataModeChoice::Passive,
            Some(b"off") => DataModeChoice::Active,
            Some(b"auto") => DataModeChoice::Auto,
            Some(_) => return Err(Failure::usage("usage: passive [on|off|auto]")),
        };
        self.data_mode(choice);
        Ok(())
    }

    /// `sendport`: without PORT a server would have to connect to the port of the control connection, which no system lets
    /// two programs share.
    pub(super) fn sendport(&self, words: &Words) -> Result<(), Failure> {
        match words.first().map(Vec::as_slice) {
            Some(b"off") => Err(Failure::usage(
                "active transfers without PORT are not offered: no server of today knows where to connect to",
            )
            .with_hint("passive, which needs no PORT")),
            None | Some(b"on") => {
                self.say("Use of PORT/LPRT cmds on.");
                Ok(())
            }
            Some(_) => Err(Failure::usage("usage: sendport [on]")),
        }
    }

    pub(super) fn set_type(&mut self, wanted: RepresentationType) -> Result<(), Failure> {
        self.client()?.set_type(wanted).map_err(failed)?;
        self.say(&format!("Type set to {}.", type_word(wanted)));
        Ok(())
    }

    /// `type [word]`
    pub(super) fn representation(&mut self, words: &Words) -> Result<(), Failure> {
        let wanted = match words
            .first()
            .map(|word| word.to_ascii_lowercase())
            .as_deref()
        {
            None => {
                let now = self.client()?.representation();
                print(
                    &self.output,
                    &format!("Using {} mode to transfer files.", type_word(now)),
                );
                return Ok(());
            }
            Some(b"ascii" | b"a") => RepresentationType::Ascii(Format::NonPrint),
            Some(b"binary" | b"image" | b"i") => RepresentationType::Image,
            Some(b"tenex" | b"l" | b"l8") => RepresentationType::Local(8),
            Some(_) => return Err(Failure::usage("usage: type [ascii|binary|image|tenex]")),
        };
        self.set_type(wanted)
    }

    /// `form`, `mode`, `struct`: what there is one of.
    pub(super) fn only(&self, what: &str, one: &str, words: &Words) -> Result<(), Failure> {
        let first = one.as_bytes().first().copied();
        match words.first().map(|word| word.to_ascii_lowercase()) {
            None => {}
            Some(word) if word == one.as_bytes() || word == [first.unwrap_or_default()] => {}
            Some(word) => {
                return Err(Failure::usage(format!(
                    "We only support {one} {what}, sorry: not {}",
                    visible(&word)
                )));
            }
        }
        print(&self.output, &format!("We only use {one} {what}."));
        Ok(())
    }

    /// `nmap [in out]`
    pub(super) fn map_names(&mut self, words: &Words) -> Result<(), Failure> {
        match words {
            [] => {
                self.settings.name_map = None;
                self.say("Nmap off.");
            }
            [pattern, template] => {
                self.settings.name_map = Some(NameMap::new(pattern, template));
            }
            _ => return Err(Failure::usage("usage: nmap [in-pattern out-pattern]")),
        }
        Ok(())
    }

    /// `ntrans [in [out]]`
    pub(super) fn translate(&mut self, words: &Words) -> Result<(), Failure> {
        match words {
            [] => {
                self.settings.letters = None;
                self.say("Ntrans off.");
            }
            [from] => self.settings.letters = Some(Letters::new(from, b"")),
            [from, to] => self.settings.letters = Some(Letters::new(from, to)),
            _ => {
                return Err(Failure::usage("usage: ntrans [in-letters [out-letters]]"));
            }
        }
        Ok(())
    }

    /// `restart [offset]`
    pub(super) fn restart(&mut self, words: &Words) -> Result<(), Failure> {
        if let Some(word) = words.first() {
            self.settings.restart =
                quantity::bytes(word).ok_or_else(|| Failure::usage("usage: restart offset"))?;
        }
        let told = match self.settings.restart {
            0 => "No restart point defined.".to_owned(),
            at => format!("Restarting at {at} for next get, put or append."),
        };
        print(&self.output, &told);
        Ok(())
    }

    /// `sndbuf`, `rcvbuf`, `xferbuf`
    pub(super) fn buffer(&mut self, which: Buffers, words: &Words) -> Result<(), Failure> {
        let usage = || Failure::usage("usage: sndbuf|rcvbuf|xferbuf [bytes]");
        if let Some(word) = words.first() {
            let size = quantity::bytes(word).ok_or_else(usage)?;
            let size = usize::try_from(size).map_err(|_| usage())?;
            self.buffers.set(which, size);
        }
        let (send, receive) = self.buffers.sizes();
        let told = |size: usize| match size {
            0 => "as the system chooses".to_owned(),
            size => size.to_string(),
        };
        print(
            &self.output,
            &format!(
                "Socket buffer sizes: send {}, receive {}.",
                told(send),
                told(receive)
            ),
        );
        Ok(())
    }
}

/// `Passive mode: on; fallback to active mode: on.`
pub(super) fn passive_line(choice: DataModeChoice) -> String {
    match choice {
        DataModeChoice::Auto => "Passive mode: on; fallback to active mode: on.".to_owned(),
        DataModeChoice::Passive => "Passive mode: on; fallback to active mode: off.".to_owned(),
        DataModeChoice::Active => "Passive mode: off.".to_owned(),
        other => format!("Data connections: {} only.", mode_word(other)),
    }
}

pub(super) fn mode_word(choice: DataModeChoice) -> &'static str {
    DataModeChoice::WORDS
        .iter()
        .find(|(_, known)| *known == choice)
        .map_or("auto", |(word, _)| word)
}

pub(super) fn type_word(wanted: RepresentationType) -> &'static str {
    match wanted {
        RepresentationType::Ascii(_) => "ascii",
        RepresentationType::Local(_) => "tenex",
        _ => "binary",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_take_on_and_off_and_turn_round() {
        for (words, now, expected) in [
            (&[][..], true, Some(false)),
            (&[], false, Some(true)),
            (&["on"], false, Some(true)),
            (&["ON"], true, Some(true)),
            (&["off"], true, Some(false)),
            (&["maybe"], true, None),
            (&["on", "off"], true, None),
        ] {
            let words: Vec<Vec<u8>> = words.iter().map(|it| it.as_bytes().to_vec()).collect();
            assert_eq!(on_off(&words, now, "x").ok(), expected, "{words:?} {now}");
        }
    }

    #[test]
    fn each_switch_is_known_once() {
        let mut settings = Settings::default();
        for (toggle, name, begins) in TOGGLES {
            assert_eq!(settings.is_on(*toggle), *begins, "{name}");
            settings.set(*toggle, !begins);
            assert_eq!(settings.is_on(*toggle), !begins, "{name}");
        }
    }
}
