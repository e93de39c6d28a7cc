//! Samples to medians with their spread, and the page that is made of them.

use std::fmt::Write as _;

/// What one cell of a table collected over the rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more round's figure.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle figure; nothing measured is 0.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// "median (least-most)", to so many digits.
    pub(crate) fn show(&self, digits: usize) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) => format!(
                "{:.digits$} ({least:.digits$}-{most:.digits$})",
                self.median()
            ),
            _ => "failed".to_owned(),
        }
    }
}

/// One table: a title, column heads, and rows in the order they were made.
pub(crate) struct Table {
    title: String,
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
    after: String,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(title: &str, heads: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            heads: heads.iter().map(|&h| h.to_owned()).collect(),
            rows: Vec::new(),
            after: String::new(),
        }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// A sentence below the table.
    pub(crate) fn after(&mut self, text: &str) {
        text.clone_into(&mut self.after);
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n| {} |\n|", self.title, self.heads.join(" | "));
        out.push_str("---|");
        out.push_str(&"---:|".repeat(self.heads.len().saturating_sub(1)));
        out.push('\n');
        for row in &self.rows {
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
        if !self.after.is_empty() {
            let _ = write!(out, "\n{}\n", self.after);
        }
        out
    }
}
