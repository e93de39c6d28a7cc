//! What a picture folds into one rung: the login, parameters, and questions about files.

use std::time::Duration;

use crate::ladder::Folded;

/// The verbs that matter less in a picture of data connections. Anything else is drawn, what nobody knows as well.
const LESS: &[&str] = &[
    "USER", "PASS", "ACCT", "REIN", "HOST", "AUTH", "ADAT", "PBSZ", "PROT", "CCC", "SYST", "FEAT",
    "OPTS", "CLNT", "CSID", "LANG", "HELP", "NOOP", "STAT", "SITE", "TYPE", "MODE", "STRU", "ALLO",
    "REST", "PWD", "XPWD", "CWD", "XCWD", "CDUP", "XCUP", "SIZE", "MDTM", "MFMT", "MFCT", "MFF",
    "MLST", "QUIT",
];

/// Of those, the ones whose refusal is the end of the story.
const GRAVE: &[&str] = &[
    "USER", "PASS", "ACCT", "AUTH", "ADAT", "PBSZ", "PROT", "HOST",
];

/// The words of the login itself.
const LOGIN: &[&str] = &["USER", "PASS", "ACCT"];

/// Different words that are told of one fold.
const WORDS: usize = 40;

/// Whether a command matters less.
pub(crate) fn folds(word: &str) -> bool {
    LESS.contains(&word)
}

/// Whether this answer to a command that matters less is one of those that matter.
pub(crate) fn is_grave(word: &str, code: u16) -> bool {
    code == 421 || (code >= 400 && GRAVE.contains(&word))
}

/// Exchanges gathered so far.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    /// With how often in a row, and the code of a refusal.
    words: Vec<(String, usize, Option<u16>)>,
    login: bool,
    /// Words that there was no room for.
    more: usize,
    /// From the event before the first to the last.
    pub(crate) span: Option<(Duration, Duration)>,
}

impl Fold {
    /// An exchange that is over, or whose reply was not seen.
    pub(crate) fn add(&mut self, word: &str, code: Option<u16>) {
        if LOGIN.contains(&word) && code.is_some_and(|code| (200..300).contains(&code)) {
            self.login = true;
            self.words
                .retain(|(word, ..)| !LOGIN.contains(&word.as_str()));
            return;
        }
        let refused = code.filter(|code| *code >= 400);
        let room = self.words.len() < WORDS;
        match self.words.last_mut() {
            Some((last, times, before)) if last == word && *before == refused => *times += 1,
            _ if room => self.words.push((word.to_owned(), 1, refused)),
            _ => self.more = self.more.saturating_add(1),
        }
    }

    fn count(&self) -> usize {
        let told = self.words.iter().map(|(_, times, _)| *times);
        told.fold(self.more, usize::saturating_add)
    }

    /// What there is to draw, if anything.
    pub(crate) fn take(&mut self, pause: Duration) -> Option<(Duration, Folded)> {
        let gathered = std::mem::take(self);
        let count = gathered.count();
        if count == 0 && !gathered.login {
            return None;
        }
        let (from, to) = gathered.span.unwrap_or_default();
        let commands = gathered
            .words
            .into_iter()
            .map(|(word, times, refused)| match (times, refused) {
                (1, None) => word,
                (1, Some(code)) => format!("{word} ({code})"),
                (_, None) => format!("{word} ×{times}"),
                (_, Some(code)) => format!("{word} ×{times} ({code})"),
            })
            .collect();
        let folded = Folded {
            login: gathered.login,
            commands,
            count,
            took: Some(to.saturating_sub(from)).filter(|took| *took >= pause),
        };
        Some((to, folded))
    }
}

impl Folded {
    /// In words, all of them if `room` columns suffice.
    pub fn summary(&self, room: usize) -> String {
        let login = if self.login { "login" } else { "" };
        let between = if self.login && self.count > 0 {
            ", then "
        } else {
            ""
        };
        let words = self.commands.join(", ");
        let dots = if self.commands.len() < WORDS {
            ""
        } else {
            ", …"
        };
        let took = self.took.map_or(String::new(), |took| {
            format!(" ({})", crate::render::seconds(took))
        });
        let full = format!("{login}{between}{words}{dots}{took}");
        if full.chars().count() <= room || self.count < 2 {
            return full;
        }
        format!("{login}{between}{} commands{took}", self.count)
    }
}
