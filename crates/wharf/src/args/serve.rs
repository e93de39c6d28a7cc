//! Flags of the server side: `serve`, `check`, `user`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

use super::user_certificate::UserCertificateArgs;
use super::value::{
    self, Advertise, Fsync, OnePort, PortPolicy, SandboxLevel, SharedAddress, UploadPolicy,
};
use crate::logging::LogFormat;

pub(super) const SERVE_LONG: &str = "\
Serve a directory over FTP, with TLS for clients that want it (--tls).

Without any configuration this serves the current directory to one user whose name and generated \
password are printed, on port 21 where that is allowed and on port 2121 otherwise. Standard output \
gets exactly one line `listening on ADDR:PORT` for each address once the server is ready; everything \
else goes to standard error.

Passive data connections use the ports of --passive-ports: let them through a firewall together with \
the control port, or say --one-port on and let in the control port alone. Behind a NAT also say \
--advertise with the outer address.

Signals: SIGTERM or SIGINT stops after running transfers (at most --stop-timeout), a second one at \
once; SIGHUP reads --config and --users again.";

const SERVE_EXAMPLES: &str = "\
Examples:
  wharf serve                             the current directory, one generated user
  wharf serve /srv/ftp --anonymous        anybody may read
  wharf serve /srv/ftp --users users.toml --listen :2121
  wharf serve --user alice --password-file pw --advertise 203.0.113.7
  wharf serve --config /etc/wharf/wharf.toml --log-format json

Exit status: 0 stopped by a signal, 64 wrong usage, 69 an address or the directory is not available,
70 failure while running, 77 permission missing, 78 configuration wrong.";

/// Flags of `wharf serve`.
#[derive(Debug, Clone, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Directory to serve [default: the current directory]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,

    /// Configuration file (TOML); flags override it. `wharf help config` prints an example
    #[arg(long, value_name = "FILE", env = "WHARF_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Address for control connections; may be repeated. Port 0 takes a free one
    ///
    /// ADDR:PORT, [V6]:PORT, :PORT for every address. The default is port 21 on every address
    /// (IPv6 and IPv4) when it may be bound, else 2121.
    #[arg(long, value_name = "ADDR:PORT", env = "WHARF_LISTEN", value_parser = value::listen, value_delimiter = ',')]
    pub(crate) listen: Vec<SocketAddr>,

    /// Text of the greeting
    #[arg(long, value_name = "TEXT", env = "WHARF_GREETING")]
    pub(crate) greeting: Option<String>,

    #[command(flatten)]
    pub(crate) tls: super::serve_tls::TlsArgs,

    #[command(flatten)]
    pub(crate) acme: super::serve_acme::AcmeArgs,

    /// Name of the one user; the password comes from --password-file, WHARF_PASSWORD or a prompt
    #[arg(long, value_name = "NAME", env = "WHARF_USER", value_parser = super::user_name, help_heading = "Login")]
    pub(crate) user: Option<String>,

    /// File whose first line is the password of --user
    #[arg(long, value_name = "FILE", env = "WHARF_PASSWORD_FILE", value_hint = ValueHint::FilePath, help_heading = "Login")]
    pub(crate) password_file: Option<PathBuf>,

    /// File of users made with `wharf user`; read again when it changes
    #[arg(long, value_name = "FILE", env = "WHARF_USERS", value_hint = ValueHint::FilePath, help_heading = "Login")]
    pub(crate) users: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) system: super::serve_system::SystemArgs,

    /// Let `anonymous` and `ftp` in with any password, read-only
    #[arg(long, env = "WHARF_ANONYMOUS", help_heading = "Login")]
    pub(crate) anonymous: bool,

    /// Anonymous may write, too; named users may write anyway
    #[arg(long, env = "WHARF_WRITABLE", help_heading = "Login")]
    pub(crate) writable: bool,

    /// Nobody may write
    #[arg(long, env = "WHARF_READ_ONLY", help_heading = "Login")]
    pub(crate) read_only: bool,

    /// Folder inside DIR in which --user and anonymous start
    #[arg(long, value_name = "PATH", env = "WHARF_HOME", help_heading = "Login")]
    pub(crate) home: Option<String>,

    /// Ports for passive data connections [default: 50000-50999]
    #[arg(long, value_name = "LO-HI", env = "WHARF_PASSIVE_PORTS", value_parser = value::ports, help_heading = "Data connections")]
    pub(crate) passive_ports: Option<PortRange>,

    /// Data connections to the control port itself: on, off, or auto for clients that need it [default: auto]
    ///
    /// With `on` a firewall, NAT or balancer has to let in the control port and nothing else, and every
    /// passive client works. The server sorts the connections by client address and moment; what it
    /// cannot tell apart it refuses with 425, and clients of one address take turns. With `auto` the
    /// passive ports come first, and a client to which they did not work gets the control port.
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_ONE_PORT",
        value_enum,
        help_heading = "Data connections"
    )]
    pub(crate) one_port: Option<OnePort>,

    /// A port, or a few, that all passive data connections share, instead of --passive-ports
    ///
    /// Each serves any number of client addresses, and one transfer of each address at a time: ten
    /// ports carry a thousand clients.
    #[arg(long, value_name = "PORT|LO-HI", env = "WHARF_DATA_PORT", value_parser = value::ports, help_heading = "Data connections")]
    pub(crate) data_port: Option<PortRange>,

    /// Whether several users at one address may use the control port for data [default: one-user]
    ///
    /// In plaintext a data connection shows nothing but its address. With `one-user` the control port is
    /// refused for data while different users are logged in from one address, so that a file cannot reach
    /// the wrong one.
    #[arg(
        long,
        value_name = "POLICY",
        env = "WHARF_SHARED_ADDRESS",
        value_enum,
        help_heading = "Data connections"
    )]
    pub(crate) shared_address: Option<SharedAddress>,

    /// Network of a carrier NAT whose addresses count as one client; may be repeated
    ///
    /// Some carriers give the control and the data connections of one client different addresses; without
    /// this such data connections are strangers. Whoever has an address of the network can then take a
    /// data connection of any client in it.
    #[arg(long, value_name = "NET", env = "WHARF_ADDRESS_POOL", value_parser = value::network, value_delimiter = ',', help_heading = "Data connections")]
    pub(crate) address_pool: Vec<Network>,

    /// Address or name told to passive clients; may be repeated, NET=ADDR for clients of one network
    ///
    /// Needed behind a NAT: the address clients reach from outside. With NET=ADDR the rule only holds
    /// for clients from that network, e.g. 192.168.0.0/16=192.168.1.5. `auto` finds it out: a public
    /// address that clients have reached, else what the router says (PCP, NAT-PMP, UPnP). The default
    /// is the address the client's control connection reached.
    #[arg(long, value_name = "ADDR|NAME|auto|NET=ADDR", env = "WHARF_ADVERTISE", value_parser = value::advertise, value_delimiter = ',', help_heading = "Data connections")]
    pub(crate) advertise: Vec<Advertise>,

    /// Refuse active data connections (PORT, EPRT)
    #[arg(long, env = "WHARF_NO_ACTIVE", help_heading = "Data connections")]
    pub(crate) no_active: bool,

    /// Refuse digests of files (HASH, XCRC and their like)
    #[arg(long, env = "WHARF_NO_DIGESTS", help_heading = "Data connections")]
    pub(crate) no_digests: bool,

    /// Local port of active data connections where it may be bound, 0 for any [default: 20]
    #[arg(
        long,
        value_name = "PORT",
        env = "WHARF_ACTIVE_PORT",
        help_heading = "Data connections"
    )]
    pub(crate) active_port: Option<u16>,

    /// What becomes of a PORT with a private address from a public client [default: refuse]
    ///
    /// Such a client stands behind a NAT that did not translate its command. `repair` connects to the
    /// address that the client comes from, with the port it named; an address of anybody else is
    /// refused all the same.
    #[arg(
        long,
        value_name = "POLICY",
        env = "WHARF_PORT_POLICY",
        value_enum,
        help_heading = "Data connections"
    )]
    pub(crate) port_policy: Option<PortPolicy>,

    /// Network of balancers that send a PROXY protocol header; may be repeated
    ///
    /// Connections from these networks must begin with a header of version 1 or 2, control and data
    /// alike, and the addresses in it are believed. Connections from elsewhere must not.
    #[arg(long, value_name = "NET", env = "WHARF_PROXY_PROTOCOL", value_parser = value::network, value_delimiter = ',', help_heading = "Data connections")]
    pub(crate) proxy_protocol: Vec<Network>,

    /// How long to wait for a data connection [default: 10s]
    #[arg(long, value_name = "TIME", env = "WHARF_DATA_TIMEOUT", value_parser = value::positive_duration, help_heading = "Data connections")]
    pub(crate) data_timeout: Option<Duration>,

    /// Control connections at once, 0 for no limit
    #[arg(
        long,
        value_name = "N",
        env = "WHARF_MAX_SESSIONS",
        help_heading = "Limits"
    )]
    pub(crate) max_sessions: Option<u32>,

    /// Control connections at once from one address, 0 for no limit
    #[arg(
        long,
        value_name = "N",
        env = "WHARF_MAX_PER_ADDRESS",
        help_heading = "Limits"
    )]
    pub(crate) max_per_address: Option<u32>,

    /// Wrong passwords before the connection is closed
    #[arg(long, value_name = "N", env = "WHARF_LOGIN_ATTEMPTS", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Limits")]
    pub(crate) login_attempts: Option<u32>,

    /// Time to log in
    #[arg(long, value_name = "TIME", env = "WHARF_LOGIN_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) login_timeout: Option<Duration>,

    /// Time without a command before the session is closed
    #[arg(long, value_name = "TIME", env = "WHARF_IDLE_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) idle_timeout: Option<Duration>,

    /// Time without a byte before a transfer is given up
    #[arg(long, value_name = "TIME", env = "WHARF_STALL_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) stall_timeout: Option<Duration>,

    /// Silence after which a control connection is probed, 0 for never [default: 30s]
    ///
    /// TCP keepalive: NATs and balancers forget connections that are silent. In transfers of more than
    /// a second the probes go out every 2s, for then no client speaks.
    #[arg(long, value_name = "TIME", env = "WHARF_KEEPALIVE", value_parser = value::duration, help_heading = "Limits")]
    pub(crate) keepalive: Option<Duration>,

    #[command(flatten)]
    pub(crate) bans: super::ban::BanFlags,

    /// Time transfers may take to finish after SIGTERM [default: 30s]
    #[arg(long, value_name = "TIME", env = "WHARF_STOP_TIMEOUT", value_parser = value::duration, help_heading = "Limits")]
    pub(crate) stop_timeout: Option<Duration>,

    /// Where uploads are written until they are complete [default: atomic]
    ///
    /// With `atomic` a name stands for the old file or for the whole new one, whatever crashes or is cut.
    /// With `direct` uploads go into the file under their name: readers see it grow, links and owner stay,
    /// and what is cut leaves what has arrived.
    #[arg(
        long,
        value_name = "POLICY",
        env = "WHARF_UPLOADS",
        value_enum,
        help_heading = "Uploads"
    )]
    pub(crate) uploads: Option<UploadPolicy>,

    /// What of an upload is on the disk when it is told as complete [default: none]
    ///
    /// With `none` a power failure may lose files of the last half minute, a crash of the server none. With
    /// `data` it never leaves a file with other content than was sent, with `full` it loses no file that
    /// was told as complete.
    #[arg(
        long,
        value_name = "WHAT",
        env = "WHARF_FSYNC",
        value_enum,
        help_heading = "Uploads"
    )]
    pub(crate) fsync: Option<Fsync>,

    /// Keep what arrived of a broken upload so that the client can resume it
    #[arg(long, env = "WHARF_RESUME_UPLOADS", help_heading = "Uploads")]
    pub(crate) resume_uploads: bool,

    /// User as whom the server talks to the network [default: the owner of DIR]
    ///
    /// For a server that root starts: what takes rights stays with a process that reads nothing from
    /// clients, and all else is done as this user, without capabilities.
    #[arg(
        long,
        value_name = "USER",
        env = "WHARF_RUN_AS",
        help_heading = "Privileges"
    )]
    pub(crate) run_as: Option<String>,

    /// How much of the sandbox there must be [default: best-effort]
    ///
    /// The process that talks to the network opens files below DIR only, listens on its own ports only,
    /// starts no process and makes only the system calls of a file server. `wharf check` says what of it
    /// this system has.
    #[arg(
        long,
        value_name = "LEVEL",
        env = "WHARF_SANDBOX",
        value_enum,
        help_heading = "Privileges"
    )]
    pub(crate) sandbox: Option<SandboxLevel>,

    /// This is the process that talks to the network; its standard input is the broker
    #[arg(long, hide = true)]
    pub(crate) network_process: bool,

    /// Address of a socket that the service manager listens on
    #[arg(long, hide = true)]
    pub(crate) inherited: Vec<SocketAddr>,

    /// The same where TLS begins at once
    #[arg(long, hide = true)]
    pub(crate) inherited_implicit: Vec<SocketAddr>,

    /// This is the process of a user of the system; its standard input is the broker
    #[arg(long, hide = true)]
    pub(crate) storage_worker: bool,

    /// How log lines are written [default: human]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "WHARF_LOG_FORMAT",
        value_enum,
        help_heading = "Log"
    )]
    pub(crate) log_format: Option<LogFormat>,

    /// error, warn, info, debug, trace, off, or rules like info,wharf_net=debug [default: info]
    #[arg(
        long,
        value_name = "LEVEL",
        env = "WHARF_LOG_LEVEL",
        help_heading = "Log"
    )]
    pub(crate) log_level: Option<String>,

    /// Append one line a transfer in the wu-ftpd format
    #[arg(long, value_name = "FILE", env = "WHARF_XFERLOG", value_hint = ValueHint::FilePath, help_heading = "Log")]
    pub(crate) xferlog: Option<PathBuf>,

    /// Append a transcript of every dialogue, passwords masked
    #[arg(long, value_name = "FILE", env = "WHARF_TRACE", value_hint = ValueHint::FilePath, help_heading = "Log")]
    pub(crate) trace: Option<PathBuf>,

    /// Only warnings and errors, and no hints at start
    #[arg(short, long, env = "WHARF_QUIET", help_heading = "Log")]
    pub(crate) quiet: bool,

    /// More log: -v debug, -vv trace
    #[arg(short, long, action = clap::ArgAction::Count, env = "WHARF_VERBOSE", help_heading = "Log")]
    pub(crate) verbose: u8,
}

pub(super) const CHECK_LONG: &str = "\
Try out a server configuration without serving.

Takes the flags of `wharf serve`, reads the configuration file and opens everything it depends on: \
the directory, the users file, the password file, the addresses, the passive ports, the log files. \
Every finding is printed; nothing is left behind.

Exit status: 0 when all is well (warnings included), 78 otherwise.";

/// Flags of `wharf check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

pub(super) const USER_LONG: &str = "\
Edit the file of users that `wharf serve --users FILE` reads.

Passwords are kept as argon2id hashes. A new password is asked for twice on a terminal; otherwise it \
is the first line of --password-file or of standard input, or WHARF_PASSWORD. A running server sees \
changes at once.

Exit status: 0 done, 64 wrong usage, 67 no such user, 73 the file cannot be written, 78 the file is \
damaged.";

/// Flags of `wharf user`.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user
    ///
    /// A user with a certificate gets a password only with --password-file or --and-password.
    Add {
        #[command(flatten)]
        file: UsersFileArg,
        #[command(flatten)]
        password: NewPasswordArg,
        #[command(flatten)]
        certificate: UserCertificateArgs,
        /// Name of the user
        #[arg(value_name = "NAME", value_parser = super::user_name)]
        name: String,
        /// Folder inside the served directory that is the user's whole world
        #[arg(long, value_name = "PATH", env = "WHARF_HOME")]
        home: Option<String>,
        /// The user may only read
        #[arg(long, env = "WHARF_READ_ONLY")]
        read_only: bool,
    },
    /// Give a user a new password
    Passwd {
        #[command(flatten)]
        file: UsersFileArg,
        #[command(flatten)]
        password: NewPasswordArg,
        /// Name of the user
        #[arg(value_name = "NAME", value_parser = super::user_name)]
        name: String,
    },
    /// Say by which certificates a user is known, instead of those before; without any, by none
    Certify {
        #[command(flatten)]
        file: UsersFileArg,
        #[command(flatten)]
        certificate: UserCertificateArgs,
        /// Name of the user
        #[arg(value_name = "NAME", value_parser = super::user_name)]
        name: String,
    },
    /// List the users
    List {
        #[command(flatten)]
        file: UsersFileArg,
        /// One JSON object a line
        #[arg(long, env = "WHARF_JSON")]
        json: bool,
    },
    /// Remove a user
    #[command(alias = "rm")]
    Remove {
        #[command(flatten)]
        file: UsersFileArg,
        /// Name of the user
        #[arg(value_name = "NAME", value_parser = super::user_name)]
        name: String,
    },
}

/// Which file of users.
#[derive(Debug, Args)]
pub(crate) struct UsersFileArg {
    /// The file of users [default: wharf/users.toml in the XDG configuration directory]
    #[arg(short, long, value_name = "USERS", env = "WHARF_FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}

/// Where a new password comes from.
#[derive(Debug, Args)]
pub(crate) struct NewPasswordArg {
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", env = "WHARF_PASSWORD_FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,
}
