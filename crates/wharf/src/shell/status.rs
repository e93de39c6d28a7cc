//! `status`: what is connected, and how everything stands.

use std::fmt::Write as _;

use wharf_client::DataModeChoice;
use wharf_proto::visible;

use super::settings::{TOGGLES, Toggle, mode_word, passive_line, type_word, word};
use super::{Connection, Shell, print};

impl Shell {
    /// `status`
    pub(super) fn status(&self) {
        for line in self.status_lines() {
            print(&self.output, &line);
        }
    }

    fn status_lines(&self) -> Vec<String> {
        let mut lines = connected(&self.now, "Not connected.");
        if self.other.client.is_some() {
            let other = connected(&self.other, "");
            lines.extend(other.iter().map(|line| format!("proxy: {line}")));
        }
        lines.push(self.data_line());
        lines.push(passive_line(self.mode));
        let mut switches = String::new();
        for (toggle, what, _) in TOGGLES {
            if !switches.is_empty() {
                switches.push_str("; ");
            }
            let _ = write!(switches, "{what}: {}", word(self.is_on(*toggle)));
            if matches!(toggle, Toggle::Edit | Toggle::Prompt) {
                lines.push(std::mem::take(&mut switches));
            }
        }
        lines.push(switches);
        let settings = &self.settings;
        lines.push(match (settings.hash, settings.tick) {
            (Some(size), _) => format!("Hash mark printing: on ({size} bytes/hash mark)"),
            (None, tick) => format!(
                "Hash mark printing: off; Tick counter printing: {}",
                word(tick)
            ),
        });
        lines.push(match &settings.letters {
            Some(letters) => {
                let (from, to) = letters.words();
                format!("Ntrans: (in) {} (out) {}", visible(from), visible(to))
            }
            None => "Ntrans: off".to_owned(),
        });
        lines.push(match &settings.name_map {
            Some(map) => {
                let (pattern, template) = map.words();
                format!(
                    "Nmap: (in) {} (out) {}",
                    visible(pattern),
                    visible(template)
                )
            }
            None => "Nmap: off".to_owned(),
        });
        lines.push(format!(
            "EPSV/EPRT on IPv4: {}; EPSV/EPRT on IPv6: {}",
            word(settings.extended_ipv4),
            word(settings.extended_ipv6)
        ));
        lines.extend(self.rates.lines());
        let names: Vec<String> = self.macros.names().map(visible).collect();
        if !names.is_empty() {
            lines.push(format!("Macros: {}", names.join(" ")));
        }
        lines
    }

    /// Data mode, the way that works, and whether the next run knows it.
    fn data_line(&self) -> String {
        let mode = format!("data mode {}", mode_word(self.mode));
        let Some(client) = &self.now.client else {
            return mode;
        };
        let works = match client.data_way() {
            Some(way) => format!("works: {way}"),
            None => "no data connection yet".to_owned(),
        };
        // What was chosen by hand is neither remembered nor looked up.
        let remembered = match (self.mode, client.data_way(), client.remembered_way()) {
            (DataModeChoice::Auto, Some(way), Some(known)) if way == known => {
                " (remembered)".to_owned()
            }
            (DataModeChoice::Auto, _, Some(known)) => format!(", remembered: {known}"),
            (DataModeChoice::Auto, Some(_), None) => " (not remembered)".to_owned(),
            _ => String::new(),
        };
        format!("{mode}, {works}{remembered}")
    }
}

fn connected(connection: &Connection, nobody: &str) -> Vec<String> {
    match &connection.client {
        Some(client) => vec![
            format!("Connected to {} ({}).", connection.host, client.peer_addr()),
            super::security::line(client),
            format!(
                "Mode: stream; Type: {}; Form: non-print; Structure: file",
                type_word(client.representation())
            ),
        ],
        None => vec![nobody.to_owned()],
    }
}
