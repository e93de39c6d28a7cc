//! The servers: wharf's and the foreign ones, each started with one user who may read and write.
//!
//! Nothing here touches the machine's accounts or configuration: every server gets files of its own
//! in the plan's work directory. Needs root, since the foreign servers drop it themselves.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::namespace::{Namespace, await_listener};
use crate::process::{Daemon, isolate, must, tail};
use crate::{Result, setup};

/// A server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `wharf serve`.
    Wharf,
    /// vsftpd 3.0.3; its one user exists for it alone.
    Vsftpd,
    /// ProFTPD 1.3.8 with a password file of its own.
    ProFtpd,
    /// Pure-FTPd 1.0.50 with a virtual user.
    PureFtpd,
    /// pyftpdlib 2.2.0, asynchronous, one process.
    Pyftpdlib,
}

/// The user that the lab itself uses everywhere.
pub const USER: &str = "lab";
/// That user's password.
pub const PASSWORD: &str = "lab-secret";

/// The servers that are not ours.
pub const FOREIGN: [Kind; 4] = [Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd, Kind::Pyftpdlib];

impl Kind {
    /// The server of this name.
    pub fn find(name: &str) -> Option<Self> {
        [Self::Wharf]
            .into_iter()
            .chain(FOREIGN)
            .find(|kind| kind.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wharf => "wharf",
            Self::Vsftpd => "vsftpd",
            Self::ProFtpd => "proftpd",
            Self::PureFtpd => "pure-ftpd",
            Self::Pyftpdlib => "pyftpdlib",
        }
    }
}

/// Where a server runs.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// On this machine, at 127.0.0.1 only.
    Host,
    /// In a network namespace, at every address of both families.
    Namespace(&'a Namespace),
}

/// What a server is to do.
#[derive(Clone, Copy, Debug)]
pub struct ServerPlan<'a> {
    /// The wharf program; only read for [`Kind::Wharf`].
    pub wharf: &'a Path,
    /// The directory it serves as its root; made writable for everybody, because each foreign server
    /// becomes another user.
    pub directory: &'a Path,
    /// A directory for its configuration, its own.
    pub work: &'a Path,
    /// Control port.
    pub port: u16,
    /// The one user.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// Passive ports, both included. Pure-FTPd admits only half as many sessions as there are ports.
    pub passive: (u16, u16),
    /// Address to announce in 227.
    pub advertise: Option<&'a str>,
    /// Sessions it has to admit, all from one address.
    pub max_sessions: u32,
    /// Further arguments of `wharf serve`; foreign servers have none.
    pub further: &'a [&'a str],
    /// Further lines for the configuration of vsftpd and ProFTPD.
    pub lines: &'a [&'a str],
    /// With this it speaks TLS, and nothing else.
    pub tls: Option<Tls<'a>>,
}

/// What a server that speaks TLS has to know. All of them want both connections in TLS, and data connections
/// that resume the control connection's session where they can be told that: vsftpd, ProFTPD, wharf.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// Its certificate.
    pub certificates: &'a Certificates,
    /// TLS from the first byte on, at the plan's port.
    pub implicit: bool,
    /// Whether a data connection has to resume the session, in wharf's words; the foreign servers that can are
    /// told to require it, always.
    pub data_session: &'a str,
}

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct Server {
    /// The process and what it says.
    pub daemon: Daemon,
}

impl<'a> Tls<'a> {
    /// By AUTH TLS, and the session is to be resumed.
    pub fn explicit(certificates: &'a Certificates) -> Self {
        Self {
            certificates,
            implicit: false,
            data_session: "require",
        }
    }
}

impl Server {
    /// Process id of the server's main process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

/// Starts a server and waits until it listens.
pub fn start(kind: Kind, place: Place<'_>, plan: &ServerPlan<'_>) -> Result<Server> {
    start_in_zone(kind, place, plan, None)
}

/// The same, on a machine whose time zone is this one (`TZ`).
pub fn start_in_zone(
    kind: Kind,
    place: Place<'_>,
    plan: &ServerPlan<'_>,
    zone: Option<&str>,
) -> Result<Server> {
    fs::set_permissions(plan.directory, fs::Permissions::from_mode(0o777))?;
    fs::create_dir_all(plan.work)?;
    // ProFTPD keeps no scoreboard where others may write.
    fs::set_permissions(plan.work, fs::Permissions::from_mode(0o755))?;
    let (program, arguments) = match kind {
        Kind::Wharf => wharf(place, plan)?,
        Kind::Vsftpd => vsftpd(place, plan)?,
        Kind::ProFtpd => proftpd(place, plan)?,
        Kind::PureFtpd => pure_ftpd(place, plan)?,
        Kind::Pyftpdlib => pyftpdlib(place, plan)?,
    };
    let mut command = match place {
        Place::Host => Command::new(&program),
        Place::Namespace(namespace) => namespace.command(&program),
    };
    command.args(&arguments);
    isolate(&mut command, plan.work);
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let mut daemon = Daemon::start(command)?;
    let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), plan.port);
    let listening = match (kind, place) {
        (Kind::Wharf, _) => await_line(&mut daemon),
        (_, Place::Host) => await_listener(at),
        (_, Place::Namespace(namespace)) => namespace.await_listener(at),
    };
    if let Err(failure) = listening {
        return Err(format!("{}: {failure}: {}", kind.name(), tail(&daemon.said())).into());
    }
    Ok(Server { daemon })
}

/// wharf prints one line per listener when it is ready; the lab starts it with one or two.
fn await_line(daemon: &mut Daemon) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        if daemon.said().contains("listening on ") {
            // The second listener's line, if there is one, follows at once.
            thread::sleep(Duration::from_millis(20));
            return Ok(());
        }
        if !daemon.alive() {
            thread::sleep(Duration::from_millis(50));
            return Err("ended at once".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err("said nothing of listening in five seconds".into())
}

type Prepared = (String, Vec<String>);

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn wharf(place: Place<'_>, plan: &ServerPlan<'_>) -> Result<Prepared> {
    let secret = plan.work.join("password");
    fs::write(&secret, plan.password)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let listen: Vec<String> = match place {
        Place::Host => vec![format!("127.0.0.1:{}", plan.port)],
        // One socket for both families.
        Place::Namespace(_) => vec![format!("[::]:{}", plan.port)],
    };
    let mut arguments = strings(&["serve", &plan.directory.to_string_lossy()]);
    for at in &listen {
        let implicit = plan.tls.is_some_and(|tls| tls.implicit);
        let flag = if implicit {
            "--implicit-listen"
        } else {
            "--listen"
        };
        arguments.extend(strings(&[flag, at]));
    }
    if let Some(tls) = plan.tls {
        arguments.extend(strings(&[
            "--tls-cert",
            &tls.certificates.chain.to_string_lossy(),
            "--tls-key",
            &tls.certificates.key.to_string_lossy(),
            "--tls",
            "required",
            "--tls-data-session",
            tls.data_session,
        ]));
    }
    arguments.extend(strings(&["--user", plan.user]));
    arguments.extend(strings(&["--password-file", &secret.to_string_lossy()]));
    arguments.extend(strings(&[
        "--passive-ports",
        &format!("{}-{}", plan.passive.0, plan.passive.1),
    ]));
    if let Some(address) = plan.advertise {
        arguments.extend(strings(&["--advertise", address]));
    }
    if plan.max_sessions > 0 {
        let sessions = plan.max_sessions.to_string();
        arguments.extend(strings(&[
            "--max-sessions",
            &sessions,
            "--max-per-address",
            &sessions,
        ]));
    }
    arguments.extend(strings(plan.further));
    Ok((plan.wharf.to_string_lossy().into_owned(), arguments))
}

/// vsftpd's users are the system's, by way of PAM. It gets both from files of its own, bound over
/// the system's in a mount namespace that only it sees. `pam_permit` takes any password.
fn vsftpd(place: Place<'_>, plan: &ServerPlan<'_>) -> Result<Prepared> {
    let empty = plan.work.join("empty");
    fs::create_dir_all(&empty)?;
    let (pam, accounts) = (plan.work.join("pam.d"), plan.work.join("accounts"));
    fs::create_dir_all(&pam)?;
    fs::write(
        pam.join("lab"),
        "auth required pam_permit.so\naccount required pam_permit.so\n",
    )?;
    let own = format!(
        "{}:x:65534:65534::{}:/bin/sh\n",
        plan.user,
        plan.directory.display()
    );
    fs::write(&accounts, fs::read_to_string("/etc/passwd")? + &own)?;
    let listen = match place {
        Place::Host => "listen=YES\nlisten_address=127.0.0.1\n",
        // On an IPv6 socket it announces pasv_address as 0,0,0,0.
        Place::Namespace(_) if plan.advertise.is_some() => "listen=YES\n",
        Place::Namespace(_) => "listen=NO\nlisten_ipv6=YES\n",
    };
    let advertise = plan
        .advertise
        .map(|ip| format!("pasv_address={ip}\n"))
        .unwrap_or_default();
    let tls = plan.tls.map(vsftpd_tls).unwrap_or_default();
    let configuration = format!(
        "{tls}{listen}listen_port={port}\nbackground=NO\nanonymous_enable=NO\nlocal_enable=YES\n\
         pam_service_name=lab\nnopriv_user=nobody\nsecure_chroot_dir={empty}\n\
         chroot_local_user=YES\nallow_writeable_chroot=YES\nwrite_enable=YES\n\
         local_umask=022\nconnect_from_port_20=YES\n\
         pasv_min_port={low}\npasv_max_port={high}\n{advertise}\
         xferlog_enable=NO\nmax_clients=0\nmax_per_ip=0\nuse_localtime=NO\n",
        port = plan.port,
        empty = empty.display(),
        low = plan.passive.0,
        high = plan.passive.1,
    ) + &plan.lines.join("\n");
    let path = plan.work.join("vsftpd.conf");
    fs::write(&path, configuration)?;
    // `$0` to `$3`: the values arrive as arguments, nothing is quoted twice.
    let script = "mount --bind \"$0\" /etc/pam.d && mount --bind \"$1\" /etc/passwd \
                  && exec \"$2\" \"$3\"";
    let mut arguments = strings(&["--mount", "--", "/bin/sh", "-c", script]);
    for value in [&pam, &accounts, &setup::unpacked("vsftpd"), &path] {
        arguments.push(value.to_string_lossy().into_owned());
    }
    Ok(("unshare".to_owned(), arguments))
}

fn vsftpd_tls(tls: Tls<'_>) -> String {
    let implicit = if tls.implicit { "YES" } else { "NO" };
    format!(
        "ssl_enable=YES\nforce_local_logins_ssl=YES\nforce_local_data_ssl=YES\nrequire_ssl_reuse=YES\n\
         ssl_ciphers=HIGH\nimplicit_ssl={implicit}\nrsa_cert_file={}\nrsa_private_key_file={}\n",
        tls.certificates.chain.display(),
        tls.certificates.key.display(),
    )
}

/// The password as crypt(3) keeps it, SHA-256.
fn crypted(password: &str) -> Result<String> {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-W", "ignore", "-c"]);
    command.args([
        "import crypt, sys; print(crypt.crypt(sys.argv[1], '$5$wharflab'))",
        password,
    ]);
    Ok(String::from_utf8_lossy(&must(command, b"")?)
        .trim()
        .to_owned())
}

fn proftpd(place: Place<'_>, plan: &ServerPlan<'_>) -> Result<Prepared> {
    let passwords = plan.work.join("passwords");
    let line = format!(
        "{}:{}:65534:65534::{}:/bin/false\n",
        plan.user,
        crypted(plan.password)?,
        plan.directory.display()
    );
    fs::write(&passwords, line)?;
    // ProFTPD refuses a password file that others may read.
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600))?;
    let (addresses, ipv6) = match place {
        Place::Host => ("127.0.0.1", "off"),
        Place::Namespace(_) => ("0.0.0.0 ::", "on"),
    };
    let advertise = plan
        .advertise
        .map(|ip| format!("MasqueradeAddress {ip}\n"))
        .unwrap_or_default();
    let tls = plan.tls.map(proftpd_tls).unwrap_or_default();
    let configuration = format!(
        "{tls}ServerName lab\nServerType standalone\nDefaultServer on\nUseIPv6 {ipv6}\n\
         DefaultAddress {addresses}\nPort {port}\nUser nobody\nGroup nogroup\n\
         PidFile {work}/pid\nScoreboardFile {work}/scoreboard\nUseReverseDNS off\n\
         AuthOrder mod_auth_file.c\nAuthUserFile {passwords}\nRequireValidShell off\n\
         DefaultRoot ~\nAllowOverwrite on\nAllowStoreRestart on\nAllowRetrieveRestart on\n\
         PassivePorts {low} {high}\n{advertise}WtmpLog off\nTransferLog none\nSystemLog none\n\
         <IfModule mod_delay.c>\n  DelayEngine off\n</IfModule>\n\
         <IfModule mod_ctrls.c>\n  ControlsEngine off\n</IfModule>\n",
        port = plan.port,
        work = plan.work.display(),
        passwords = passwords.display(),
        low = plan.passive.0,
        high = plan.passive.1,
    ) + &plan.lines.join("\n");
    let path = plan.work.join("proftpd.conf");
    fs::write(&path, configuration)?;
    Ok((
        setup::unpacked("proftpd-core")
            .to_string_lossy()
            .into_owned(),
        strings(&["-n", "-q", "-c", &path.to_string_lossy()]),
    ))
}

/// mod_tls wants the session resumed unless it is told otherwise.
fn proftpd_tls(tls: Tls<'_>) -> String {
    let module = setup::unpacked("proftpd-mod-crypto");
    let modules = module.parent().unwrap_or(Path::new("/"));
    let implicit = if tls.implicit {
        "TLSOptions UseImplicitSSL\n"
    } else {
        ""
    };
    format!(
        "ModulePath {}\nLoadModule mod_tls.c\nTLSEngine on\nTLSRequired on\nTLSProtocol TLSv1.2 TLSv1.3\n\
         TLSECCertificateFile {}\nTLSECCertificateKeyFile {}\n{implicit}",
        modules.display(),
        tls.certificates.chain.display(),
        tls.certificates.key.display(),
    )
}

fn pure_ftpd(place: Place<'_>, plan: &ServerPlan<'_>) -> Result<Prepared> {
    let (passwords, database) = (plan.work.join("passwords"), plan.work.join("passwords.pdb"));
    // Written by hand: `pure-pw useradd` would choose an argon2 setting of about a second a login.
    let line = format!(
        "{}:{}:65534:65534::{}/./::::::::::::\n",
        plan.user,
        crypted(plan.password)?,
        plan.directory.display()
    );
    fs::write(&passwords, line)?;
    let mut command = Command::new(setup::cache().join("pure-ftpd/usr/bin/pure-pw"));
    command.arg("mkdb").arg(&database).arg("-f").arg(&passwords);
    must(command, b"")?;
    let listen = match place {
        Place::Host => format!("127.0.0.1,{}", plan.port),
        Place::Namespace(_) => plan.port.to_string(),
    };
    let sessions = plan.max_sessions.max(50).to_string();
    let mut arguments = strings(&[
        "-S",
        &listen,
        "-l",
        &format!("puredb:{}", database.display()),
    ]);
    arguments.extend(strings(&[
        "-u", "1", "-E", "-H", "-A", "-c", &sessions, "-C", &sessions,
    ]));
    arguments.extend(strings(&[
        "-p",
        &format!("{}:{}", plan.passive.0, plan.passive.1),
    ]));
    let pid = plan.work.join("pid");
    arguments.extend(strings(&["-g", &pid.to_string_lossy()]));
    if let Some(address) = plan.advertise {
        arguments.extend(strings(&["-P", address]));
    }
    if let Some(tls) = plan.tls {
        if tls.implicit {
            return Err("Pure-FTPd has no implicit TLS".into());
        }
        let both = tls.certificates.both.to_string_lossy().into_owned();
        arguments.extend(strings(&["-Y", "3", "-2", &both]));
    }
    Ok((
        setup::unpacked("pure-ftpd").to_string_lossy().into_owned(),
        arguments,
    ))
}

const PYFTPDLIB: &str = "
import logging, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
directory, host, port, user, password, low, high, advertise, sessions, certificate = sys.argv[1:]
logging.basicConfig(level=logging.WARNING)
handler = FTPHandler
if certificate:
    from pyftpdlib.handlers import TLS_FTPHandler as handler
    handler.certfile = certificate
    handler.tls_control_required = handler.tls_data_required = True
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_user(user, password, directory, perm='elradfmwMT')
handler.passive_ports = range(int(low), int(high) + 1)
handler.masquerade_address = advertise or None
server = FTPServer((host, int(port)), handler)
server.max_cons = max(512, 2 * int(sessions))
server.serve_forever()
";

fn pyftpdlib(place: Place<'_>, plan: &ServerPlan<'_>) -> Result<Prepared> {
    let certificate = match plan.tls {
        None => "".into(),
        Some(tls) if tls.implicit => return Err("pyftpdlib has no implicit TLS".into()),
        Some(tls) => tls.certificates.both.to_string_lossy(),
    };
    // The unspecified IPv6 address is both families on one socket.
    let host = match place {
        Place::Host => IpAddr::from(Ipv4Addr::LOCALHOST).to_string(),
        Place::Namespace(_) => "::".to_owned(),
    };
    let arguments = strings(&[
        "-c",
        PYFTPDLIB,
        &plan.directory.to_string_lossy(),
        &host,
        &plan.port.to_string(),
        plan.user,
        plan.password,
        &plan.passive.0.to_string(),
        &plan.passive.1.to_string(),
        plan.advertise.unwrap_or(""),
        &plan.max_sessions.to_string(),
        &certificate,
    ]);
    Ok((setup::python().to_string_lossy().into_owned(), arguments))
}
