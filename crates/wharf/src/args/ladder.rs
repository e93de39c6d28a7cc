//! Flags of `wharf ladder`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

pub(super) const LADDER_LONG: &str = "Draw a session: both hosts, every port, who opened which connection.\n\n\
        FILE is what --trace wrote (client or server), or a capture of packets (tcpdump -w, pcap or pcapng); `-` is \
        standard input. A single line is the control connection, a double line a data connection, its arrow shows who \
        opened it, and where one did not come about the arrow is cut and the reason stands below it. An address that \
        a command names and nobody sees there (NAT) is told. Passwords are never shown. `wharf help modes` reads such \
        pictures with you.";

/// How `wharf ladder` draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LadderFormat {
    /// Lines of text, in colour on a terminal
    #[default]
    Text,
    /// An image that browsers show, for light and dark pages
    Svg,
    /// A Mermaid sequence diagram, for Markdown pages
    Mermaid,
}

/// Flags of `wharf ladder`.
#[derive(Debug, Args)]
pub(crate) struct LadderArgs {
    /// A trace or a capture; `-` is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// text, svg or mermaid
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        env = "WHARF_FORMAT",
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) format: LadderFormat,

    /// Every command and reply; else login, parameters and questions about files are one line
    #[arg(short, long, env = "WHARF_ALL")]
    pub(crate) all: bool,

    /// When each thing happened, in seconds since the session began
    #[arg(short, long, env = "WHARF_TIMES")]
    pub(crate) times: bool,

    /// Only session N of the trace
    #[arg(short, long, value_name = "N", env = "WHARF_SESSION")]
    pub(crate) session: Option<u64>,

    /// Nothing but ASCII, as for a terminal without UTF-8
    #[arg(long, env = "WHARF_ASCII")]
    pub(crate) ascii: bool,
}
