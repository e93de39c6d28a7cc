//! The foreign clients over TLS: FTP with AUTH TLS and nothing in clear, the server's certificate verified. wharf's
//! own client is told by its environment, so its row is the one without TLS.

use super::Family::{V4, V6};
use super::Recipe::Run;
use super::{Client, way};

/// One transfer a session, resuming the control connection's.
const FTPLIB: &str = "
import ftplib, ssl, sys
what, passive, host, user, password, remote, local, authority = sys.argv[1:]
class Resuming(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size
ftp = Resuming(context=ssl.create_default_context(cafile=authority), timeout=20)
ftp.connect(host, 21)
ftp.login(user, password)
ftp.prot_p()
ftp.set_pasv(passive == 'passive')
if what == 'list':
    ftp.retrlines('LIST')
elif what == 'get':
    with open(local, 'wb') as file:
        ftp.retrbinary('RETR ' + remote, file.write)
else:
    with open(local, 'rb') as file:
        ftp.storbinary('STOR ' + remote, file)
ftp.quit()
";

const LFTP_PASV: &str = "set ftp:passive-mode on; set ftp:prefer-epsv off";
const LFTP_EPSV: &str = "set ftp:passive-mode on; set ftp:prefer-epsv on";
const LFTP_ACTIVE: &str = "set ftp:passive-mode off";

macro_rules! curl {
    ($($more:literal),*) => {
        Run(
            &[
                "curl", "-q", "-sS", "-g", "{mode}", "--ssl-reqd", "--cacert", "{authority}", "-u",
                "{user}:{password}", $($more),*
            ],
            "",
        )
    };
}

macro_rules! lftp {
    ($command:literal) => {
        Run(
            &[
                "lftp",
                "--norc",
                "-c",
                concat!(
                    "{lines}; set net:max-retries 1; set ftp:auto-passive-mode off; set ftp:ssl-force on; ",
                    "set ftp:ssl-protect-data on; set ftp:ssl-protect-list on; set ssl:ca-file {authority}; ",
                    "set ssl:verify-certificate on; open -u {user},{password} ftp://{host}; ",
                    $command
                ),
            ],
            "",
        )
    };
}

macro_rules! ftplib {
    ($what:literal, $remote:literal, $local:literal) => {
        Run(
            &[
                "/usr/bin/python3",
                "-c",
                FTPLIB,
                $what,
                "{mode}",
                "{ip}",
                "{user}",
                "{password}",
                $remote,
                $local,
                "{authority}",
            ],
            "",
        )
    };
}

/// curl hangs with TLS and active mode (curl#10666), so it has no such way.
pub static SECURED: &[Client] = &[
    Client {
        name: "curl",
        list: curl!("ftp://{host}/"),
        get: curl!("-o", "{local}", "ftp://{host}/{remote}"),
        put: curl!("-T", "{local}", "ftp://{host}/{remote}"),
        ways: &[
            way("PASV", V4, &["--disable-epsv"], ""),
            way("EPSV", V4, &[], ""),
            way("EPSV", V6, &[], ""),
        ],
    },
    Client {
        name: "lftp",
        list: lftp!("ls; nlist"),
        get: lftp!("get {remote} -o {local}"),
        put: lftp!("put {local} -o {remote}"),
        ways: &[
            way("PASV", V4, &[], LFTP_PASV),
            way("EPSV", V4, &[], LFTP_EPSV),
            way("PORT", V4, &[], LFTP_ACTIVE),
            way("EPSV", V6, &[], LFTP_EPSV),
            way("EPRT", V6, &[], LFTP_ACTIVE),
        ],
    },
    Client {
        name: "ftplib",
        list: ftplib!("list", "", ""),
        get: ftplib!("get", "{remote}", "{local}"),
        put: ftplib!("put", "{remote}", "{local}"),
        ways: &[
            way("PASV", V4, &["passive"], ""),
            way("PORT", V4, &["active"], ""),
            way("EPSV", V6, &["passive"], ""),
            way("EPRT", V6, &["active"], ""),
        ],
    },
];
