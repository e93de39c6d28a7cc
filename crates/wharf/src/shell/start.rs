//! A session at its beginning: what arguments and environment say.

use std::io::IsTerminal;
use std::sync::Arc;

use wharf_net::Recorder;
use wharf_proto::visible;

use super::buffers::{BufferSizes, Buffered};
use super::grammar::FtpGrammar;
use super::meter::Asked;
use super::options::Options;
use super::rate::{self, Rates};
use super::settings::Settings;
use super::table::Buffers;
use super::teller::{Switches, Teller};
use super::{Connection, Macros, Shell, Toggle};
use crate::args::FtpArgs;
use crate::editor::{Editing, Editor};
use crate::exit::Failure;
use crate::login::LoginSources;
use crate::output::Output;
use crate::session::{Connector, Wishes, start_log};

/// The file of the history, in the state directory.
const HISTORY: &str = "ftp-history";

impl Shell {
    /// Nothing is connected yet.
    pub(super) fn start(args: &FtpArgs, output: &Output) -> Result<Self, Failure> {
        start_log(u8::from(args.debug))?;
        let interactive = std::io::stdin().is_terminal();
        let switches = Arc::new(Switches::default());
        let logins = LoginSources::from(args);
        let mut wishes = Wishes::from(args);
        let mut options = Options::from_environment();
        options.gate.on = environment_mode(&mut wishes)? == Some(Gate) || args.gate;
        let mut connector = Connector::with(&wishes, logins, None, output)?;
        let teller: Arc<dyn Recorder> = Arc::new(Teller {
            switches: Arc::clone(&switches),
            output: output.clone(),
        });
        connector.add_recorder(teller);
        let buffers = BufferSizes::default();
        if let Some(size) = args.socket_buffer {
            buffers.set(Buffers::Both, usize::try_from(size).unwrap_or(usize::MAX));
        }
        connector.wrap_net(|net| {
            Arc::new(Buffered {
                below: net,
                sizes: buffers.clone(),
            })
        });
        let rates = Rates::new(connector.options_mut());
        for wanted in &args.throttle {
            rates.set(*wanted);
        }
        let asked = Asked::default();
        rate::watch_signals(&rates, &asked, interactive)?;

        let editing = if args.no_edit {
            Editing::Plain
        } else {
            Editing::Auto
        };
        let mut shell = Self {
            output: output.clone(),
            mode: connector.options().data_mode,
            connector,
            now: Connection::default(),
            other: Connection::default(),
            proxied: false,
            port: args.port,
            auto_login: !args.no_login,
            anonymous: args.anonymous,
            again: args.retry_connect,
            settings: Settings::default(),
            macros: Macros::default(),
            options,
            via: args.via.clone(),
            rates,
            buffers,
            switches,
            asked,
            interactive,
            prompts: args.prompt.is_some(),
            editor: Editor::start(editing, HISTORY, FtpGrammar)?,
            prompt_again: false,
            depth: 0,
            done: false,
        };
        if let Some(prompt) = args.prompt.as_ref().filter(|it| !it.is_empty()) {
            shell.options.set("prompt", prompt);
        }
        let verbose = !args.quiet && (args.verbose || interactive);
        shell.switch(Toggle::Verbose, verbose);
        shell.switch(Toggle::Debug, args.debug || args.packet_trace);
        shell.switch(Toggle::Trace, args.packet_trace);
        shell.switch(Toggle::Prompt, !args.no_prompt);
        shell.switch(Toggle::Glob, !args.no_glob);
        shell.switch(Toggle::Edit, !args.no_edit);
        shell.switch(Toggle::Progress, !args.no_progress);
        shell.choose_proxy();
        if args.no_epsv {
            shell.extended(false, false);
        }
        Ok(shell)
    }
}

/// `FTPMODE=gate`.
#[derive(Debug, PartialEq, Eq)]
struct Gate;

/// `FTPMODE`: active, auto, gate, passive; flags beat it.
fn environment_mode(wishes: &mut Wishes) -> Result<Option<Gate>, Failure> {
    use crate::args::ModeArg;
    let chosen = wishes.passive || wishes.active || wishes.mode != ModeArg::Auto;
    match std::env::var("FTPMODE").as_deref() {
        Ok("gate") => return Ok(Some(Gate)),
        Ok("active") if !chosen => wishes.active = true,
        Ok("passive") if !chosen => wishes.passive = true,
        Ok("" | "auto" | "active" | "passive") | Err(_) => {}
        Ok(other) => {
            let other = visible(other.as_bytes());
            return Err(
                Failure::usage(format!("FTPMODE: `{other}` is not a data mode"))
                    .with_hint("active, auto, gate or passive"),
            );
        }
    }
    Ok(None)
}
