//! The picture as a Mermaid sequence diagram, which Markdown pages of many sites draw.

use std::fmt::Write as _;

use super::Look;
use super::words::{self, Kind, Shape, Way, shape};
use crate::ladder::{Ladder, Rung, Step};

/// Columns of a message; Mermaid does not break lines.
const LABEL: usize = 90;

/// The picture of all sessions: one diagram, the sessions one below the other.
pub fn mermaid(ladder: &Ladder, look: &Look) -> String {
    let mut out = String::from("sequenceDiagram\n");
    let alone = ladder.sessions.len() == 1;
    for (place, session) in ladder.sessions.iter().enumerate() {
        let title = words::title(session, alone);
        let (user, server) = names(place, alone);
        let heading = title
            .heading
            .map_or(String::new(), |heading| format!(", {heading}"));
        let _ = writeln!(
            out,
            "    participant {user} as user {}{}",
            escape(&title.user),
            escape(&heading)
        );
        let _ = writeln!(
            out,
            "    participant {server} as server {}",
            escape(&title.server)
        );
    }
    for (place, session) in ladder.sessions.iter().enumerate() {
        let (user, server) = names(place, alone);
        for rung in &session.rungs {
            out.push_str(&line(rung, &user, &server, look));
        }
    }
    if ladder.sessions.is_empty() {
        out.push_str("    participant U as user\n");
    }
    if let Some(remainder) = words::remainder(ladder) {
        let last = names(
            ladder.sessions.len().saturating_sub(1),
            alone || ladder.sessions.is_empty(),
        )
        .0;
        let _ = writeln!(out, "    Note over {last}: {}", escape(&remainder));
    }
    out
}

/// What the diagram calls the two sides of the session in this place; a recorder may use a number twice.
fn names(place: usize, alone: bool) -> (String, String) {
    if alone {
        ("U".to_owned(), "S".to_owned())
    } else {
        (format!("U{}", place + 1), format!("S{}", place + 1))
    }
}

fn line(rung: &Rung, user: &str, server: &str, look: &Look) -> String {
    let time = if look.times {
        format!("{}.{:03} ", rung.at.as_secs(), rung.at.subsec_millis())
    } else {
        String::new()
    };
    let note = |text: &str| {
        let text = super::columns::fit(text, LABEL, "…");
        format!("    Note over {user},{server}: {}\n", escape(&text))
    };
    match shape(rung) {
        Shape::Line {
            way,
            kind,
            label,
            tail,
            below,
        } => {
            let (from, to, ports) = match way {
                Way::ToServer | Way::Both => (user, server, [rung.user_port, rung.server_port]),
                Way::ToUser => (server, user, [rung.server_port, rung.user_port]),
            };
            let arrow = match kind {
                Kind::Reply(_) => "-->>",
                Kind::OpenData | Kind::OpenControl => "-)",
                Kind::Broken => "-x",
                Kind::Command | Kind::Data => "->>",
            };
            let ports = match (kind, ports) {
                (Kind::Command | Kind::Reply(_), _) | (_, [None, None]) => String::new(),
                (_, [Some(from), Some(to)]) => format!(" ({from} → {to})"),
                (_, [None, Some(to)]) => format!(" (→ {to})"),
                (_, [Some(from), None]) => format!(" ({from} →)"),
            };
            let label = super::columns::fit(&label, LABEL, "…");
            let mut out = format!(
                "    {from}{arrow}{to}: {}\n",
                escape(&format!("{time}{label}{tail}{ports}"))
            );
            if let Some(below) = below {
                out.push_str(&note(&below));
            }
            out
        }
        Shape::Words { text, .. } | Shape::End { text, .. } => note(&text),
        Shape::Folded => match &rung.step {
            Step::Folded(folded) => note(&folded.summary(LABEL)),
            _ => String::new(),
        },
        Shape::Gap(text) => note(&format!("… {text} …")),
    }
}

/// What the grammar or the page behind it could take for its own becomes an entity by number, as Mermaid writes them.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " .,()/_-=+*?!…→×:|".contains(c) {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}
