//! Figures and rules inside of documents that people write: blocks that the program itself fills.
//!
//! ````text
//! <!-- wharf ladder crates/wharf-ladder/tests/captures/active.pcap -->
//! ```text
//! what that command prints
//! ```
//! <!-- end -->
//! ````

/// Documents with such blocks.
pub(crate) const DOCUMENTS: &[&str] = &["README.md", "docs/modes.md"];

/// Commands that may stand in a block: those that open nothing and print the same everywhere.
const COMMANDS: &[&str] = &["ladder", "firewall"];

const BEGIN: &str = "<!-- wharf ";
const END: &str = "<!-- end -->";

/// A document's text with every block filled anew; `print` gives what the program prints for these arguments.
pub(crate) fn fill(
    text: &str,
    print: impl Fn(&[&str]) -> Result<String, String>,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(arguments) = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        if !arguments.first().is_some_and(|it| COMMANDS.contains(it)) {
            return Err(format!(
                "{line}: only {} may stand here",
                COMMANDS.join(", ")
            ));
        }
        if !lines.any(|line| line == END) {
            return Err(format!("{line}: {END} is missing"));
        }
        let printed = print(&arguments)?;
        out.push_str("```text\n");
        out.push_str(printed.trim_end());
        out.push_str("\n```\n");
        out.push_str(END);
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        fill(text, |arguments| Ok(format!("{}\n", arguments.join("+"))))
    }

    #[test]
    fn blocks_are_filled_and_the_rest_stays() {
        let text = "a\n\n<!-- wharf ladder x y -->\nold\n<!-- end -->\nb\n";
        let once = filled(text).unwrap();
        assert_eq!(
            once,
            "a\n\n<!-- wharf ladder x y -->\n```text\nladder+x+y\n```\n<!-- end -->\nb\n"
        );
        assert_eq!(filled(&once).unwrap(), once);
    }

    #[test]
    fn a_block_without_end_and_a_command_that_does_something() {
        assert!(filled("<!-- wharf ladder x -->\n").is_err());
        assert!(filled("<!-- wharf serve -->\n<!-- end -->\n").is_err());
    }
}
