//! Which server program it is, as far as it tells, and how that one is told what to do.

use std::fmt;
use std::net::IpAddr;

use wharf_proto::data_connection::passive::PortRange;

/// A server program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// `wharf serve`.
    Wharf,
    /// vsftpd.
    Vsftpd,
    /// ProFTPD.
    ProFtpd,
    /// Pure-FTPd.
    PureFtpd,
    /// FileZilla Server.
    FileZilla,
    /// Microsoft's IIS.
    Iis,
    /// pyftpdlib.
    Pyftpdlib,
    /// It does not say, or it is another one.
    Unknown,
}

/// How each program gives itself away, in greeting, SYST, STAT or SITE WHOAMI; lower case.
const SIGNS: &[(&str, Program)] = &[
    ("vsftpd", Program::Vsftpd),
    ("proftpd", Program::ProFtpd),
    ("pure-ftpd", Program::PureFtpd),
    ("pureftpd", Program::PureFtpd),
    ("filezilla server", Program::FileZilla),
    ("microsoft ftp", Program::Iis),
    ("windows_nt", Program::Iis),
    ("pyftpdlib", Program::Pyftpdlib),
    ("wharf", Program::Wharf),
];

/// The program and its version, where it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// Which program.
    pub program: Program,
    /// Its version.
    pub version: Option<String>,
}

impl Software {
    /// From what the server said: greeting first, then SYST, STAT and whatever else.
    pub fn recognise<'a>(said: impl IntoIterator<Item = &'a str>) -> Self {
        for text in said {
            let lower = text.to_lowercase();
            let Some((sign, program)) = SIGNS.iter().find(|(sign, _)| lower.contains(sign)) else {
                continue;
            };
            let version = lower
                .split_once(sign)
                .and_then(|(_, rest)| version_at(rest));
            return Self {
                program: *program,
                version,
            };
        }
        Self {
            program: Program::Unknown,
            version: None,
        }
    }
}

/// ` 3.0.3)` and `/1.2`: digits and dots after at most one separator or word.
fn version_at(rest: &str) -> Option<String> {
    let rest = rest.strip_prefix(" server").unwrap_or(rest);
    let rest = rest.trim_start_matches([' ', '/', 'v']);
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(rest.len());
    let version = rest.get(..end)?.trim_end_matches('.');
    (version.contains('.') && version.len() < 20).then(|| version.to_owned())
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wharf => "wharf",
            Self::Vsftpd => "vsftpd",
            Self::ProFtpd => "ProFTPD",
            Self::PureFtpd => "Pure-FTPd",
            Self::FileZilla => "FileZilla Server",
            Self::Iis => "IIS",
            Self::Pyftpdlib => "pyftpdlib",
            Self::Unknown => "unknown server program",
        }
    }

    /// How it is told its passive range.
    pub fn passive_range(self, range: PortRange) -> String {
        let (lo, hi) = (range.lo(), range.hi());
        match self {
            Self::Wharf => format!("wharf serve --passive-ports {lo}-{hi}"),
            Self::Vsftpd => format!("pasv_min_port={lo}\npasv_max_port={hi}"),
            Self::ProFtpd => format!("PassivePorts {lo} {hi}"),
            Self::PureFtpd => format!("pure-ftpd -p {lo}:{hi}"),
            Self::Iis => format!(
                "appcmd set config /section:system.ftpServer/firewallSupport /lowDataChannelPort:{lo} /highDataChannelPort:{hi}"
            ),
            Self::Pyftpdlib => {
                format!("handler.passive_ports = range({lo}, {})", u32::from(hi) + 1)
            }
            Self::FileZilla | Self::Unknown => {
                format!("its setting for the passive port range: {lo}-{hi}")
            }
        }
    }

    /// How it is told the address that it shall name in its 227.
    pub fn advertise(self, address: IpAddr) -> String {
        match self {
            Self::Wharf => format!("wharf serve --advertise {address}"),
            // With listen_ipv6 it announces pasv_address as 0,0,0,0.
            Self::Vsftpd => format!("pasv_address={address}\nlisten=YES\nlisten_ipv6=NO"),
            Self::ProFtpd => format!("MasqueradeAddress {address}"),
            Self::PureFtpd => format!("pure-ftpd -P {address}"),
            Self::Pyftpdlib => format!("handler.masquerade_address = '{address}'"),
            Self::Iis => format!(
                "appcmd set config /section:system.applicationHost/sites /siteDefaults.ftpServer.firewallSupport.externalIp4Address:{address}"
            ),
            Self::FileZilla | Self::Unknown => {
                format!("its setting for the public address of passive mode: {address}")
            }
        }
    }

    /// How it is told to take passive data from another address than the control connection's; `None` where it cannot,
    /// or always does.
    pub fn promiscuous(self) -> Option<&'static str> {
        match self {
            Self::Vsftpd => Some("pasv_promiscuous=YES"),
            Self::Pyftpdlib => Some("handler.permit_foreign_addresses = True"),
            _ => None,
        }
    }

    /// How it is told to send active data from port 20.
    pub fn from_port_20(self) -> Option<&'static str> {
        match self {
            Self::Vsftpd => Some("connect_from_port_20=YES"),
            // RootRevoke is on by default since 1.3.7, and without root there is no port 20.
            Self::ProFtpd => Some("RootRevoke off"),
            _ => None,
        }
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program.name())?;
        match &self.version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_give_themselves_away() {
        for (said, expected) in [
            ("(vsFTPd 3.0.3)", "vsftpd 3.0.3"),
            ("ProFTPD Server (lab) [::ffff:10.20.0.2]", "ProFTPD"),
            ("ProFTPD 1.3.8 Server (x)", "ProFTPD 1.3.8"),
            (
                "---------- Welcome to Pure-FTPd [privsep] ----------",
                "Pure-FTPd",
            ),
            ("FileZilla Server 1.8.1", "FileZilla Server 1.8.1"),
            ("Microsoft FTP Service", "IIS"),
            ("pyftpdlib 2.2.0 ready.", "pyftpdlib 2.2.0"),
            ("wharf FTP server ready", "wharf"),
            ("Hello", "unknown server program"),
        ] {
            assert_eq!(Software::recognise([said]).to_string(), expected);
        }
        let later = Software::recognise(["hi", "UNIX Type: L8", "http://www.pureftpd.org/"]);
        assert_eq!(later.program, Program::PureFtpd);
    }
}
