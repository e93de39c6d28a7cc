//! The clients: how each lists, downloads and uploads, in every way it can be told to make the data
//! connection. Pure data; [`Recipe::fill`] is the only thing that happens here.
//!
//! Places in the texts: `{host}` `{ip}` (without brackets) `{user}` `{password}` `{secret}` (file with
//! the password) `{remote}` `{local}` `{directory}` `{name}` (the two halves of local) `{wharf}` `{authority}`;
//! `{mode}` as an argument of its own stands for the way's arguments, `{lines}` for its input lines.

mod secured;

pub use secured::SECURED;

/// How one operation is done.
#[derive(Clone, Copy, Debug)]
pub enum Recipe {
    /// Program, arguments; input lines.
    Run(&'static [&'static str], &'static str),
    /// The program cannot do it; why.
    Cannot(&'static str),
}

/// Whether the server is dialled by its IPv4 or its IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One way of making the data connection.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The command that it sends, as the row's name has it.
    pub name: &'static str,
    /// Family of the control connection.
    pub family: Family,
    /// Arguments that choose it.
    pub arguments: &'static [&'static str],
    /// Input lines that choose it.
    pub lines: &'static str,
    /// The program cannot do it at all; why.
    pub cannot: Option<&'static str>,
}

/// A client program.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its name.
    pub name: &'static str,
    /// Lists the root directory; its standard output has to name the files.
    pub list: Recipe,
    /// Downloads `{remote}` to `{local}`.
    pub get: Recipe,
    /// Uploads `{local}` to `{remote}`.
    pub put: Recipe,
    /// Its ways.
    pub ways: &'static [Way],
}

/// What fills the places of a recipe.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Host as a URL has it.
    pub host: String,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// File with the password.
    pub secret: String,
    /// Name on the server.
    pub remote: String,
    /// Path on this side.
    pub local: String,
    /// The wharf program.
    pub wharf: String,
    /// File with the certificate of the authority to trust.
    pub authority: String,
}

impl Recipe {
    /// The command line and the input; `None` when the client or the way cannot.
    pub fn fill(&self, way: &Way, job: &Job) -> Option<(Vec<String>, String)> {
        let (Self::Run(template, input), None) = (self, way.cannot) else {
            return None;
        };
        let (directory, name) = job.local.rsplit_once('/').unwrap_or((".", &job.local));
        let fill = |text: &str| {
            text.replace("{lines}", way.lines)
                .replace(
                    "{ip}",
                    job.host.trim_start_matches('[').trim_end_matches(']'),
                )
                .replace("{host}", &job.host)
                .replace("{user}", &job.user)
                .replace("{password}", &job.password)
                .replace("{secret}", &job.secret)
                .replace("{remote}", &job.remote)
                .replace("{local}", &job.local)
                .replace("{directory}", directory)
                .replace("{name}", name)
                .replace("{wharf}", &job.wharf)
                .replace("{authority}", &job.authority)
        };
        let mut arguments = Vec::new();
        for word in *template {
            if *word == "{mode}" {
                arguments.extend(way.arguments.iter().map(|word| (*word).to_owned()));
            } else {
                arguments.push(fill(word));
            }
        }
        Some((arguments, fill(input)))
    }

    /// Why there is nothing to run, if there is not.
    pub fn reason(&self, way: &Way) -> Option<&'static str> {
        match self {
            Self::Cannot(reason) => Some(reason),
            Self::Run(..) => way.cannot,
        }
    }
}

use Family::{V4, V6};
use Recipe::{Cannot, Run};

const fn way(
    name: &'static str,
    family: Family,
    arguments: &'static [&'static str],
    lines: &'static str,
) -> Way {
    Way {
        name,
        family,
        arguments,
        lines,
        cannot: None,
    }
}

const fn no_ipv6(name: &'static str) -> Way {
    Way {
        name,
        family: V6,
        arguments: &[],
        lines: "",
        cannot: Some("NcFTP 3.2.6 has no IPv6: sockaddr_in everywhere"),
    }
}

const FTPLIB: &str = "
import ftplib, sys
what, passive, host, user, password, remote, local = sys.argv[1:]
ftp = ftplib.FTP(timeout=20)
ftp.connect(host, 21)
ftp.login(user, password)
ftp.set_pasv(passive == 'passive')
if what == 'list':
    ftp.retrlines('LIST')
    for name in ftp.nlst():
        print(name)
elif what == 'get':
    with open(local, 'wb') as file:
        ftp.retrbinary('RETR ' + remote, file.write)
else:
    with open(local, 'rb') as file:
        ftp.storbinary('STOR ' + remote, file)
ftp.quit()
";

/// The foreign clients.
pub static FOREIGN: &[Client] = &[
    Client {
        name: "curl",
        list: Run(
            &[
                "curl",
                "-sS",
                "-g",
                "{mode}",
                "-u",
                "{user}:{password}",
                "ftp://{host}/",
            ],
            "",
        ),
        get: Run(
            &[
                "curl",
                "-sS",
                "-g",
                "{mode}",
                "-u",
                "{user}:{password}",
                "-o",
                "{local}",
                "ftp://{host}/{remote}",
            ],
            "",
        ),
        put: Run(
            &[
                "curl",
                "-sS",
                "-g",
                "{mode}",
                "-u",
                "{user}:{password}",
                "-T",
                "{local}",
                "ftp://{host}/{remote}",
            ],
            "",
        ),
        ways: &[
            way("PASV", V4, &["--disable-epsv"], ""),
            way("EPSV", V4, &[], ""),
            way("PORT", V4, &["-P", "-", "--disable-eprt"], ""),
            way("EPRT", V4, &["-P", "-"], ""),
            way("EPSV", V6, &[], ""),
            way("EPRT", V6, &["-P", "-"], ""),
        ],
    },
    Client {
        name: "lftp",
        list: Run(
            &[
                "lftp",
                "--norc",
                "-c",
                "{lines}; open -u {user},{password} ftp://{host}; ls; nlist",
            ],
            "",
        ),
        get: Run(
            &[
                "lftp",
                "--norc",
                "-c",
                "{lines}; open -u {user},{password} ftp://{host}; get {remote} -o {local}",
            ],
            "",
        ),
        put: Run(
            &[
                "lftp",
                "--norc",
                "-c",
                "{lines}; open -u {user},{password} ftp://{host}; put {local} -o {remote}",
            ],
            "",
        ),
        ways: &[
            way(
                "PASV",
                V4,
                &[],
                "set ftp:passive-mode on; set ftp:prefer-epsv off; set net:max-retries 1; set ftp:auto-passive-mode off",
            ),
            way(
                "EPSV",
                V4,
                &[],
                "set ftp:passive-mode on; set ftp:prefer-epsv on; set net:max-retries 1; set ftp:auto-passive-mode off",
            ),
            way(
                "PORT",
                V4,
                &[],
                "set ftp:passive-mode off; set net:max-retries 1; set ftp:auto-passive-mode off",
            ),
            way(
                "EPSV",
                V6,
                &[],
                "set ftp:passive-mode on; set net:max-retries 1; set ftp:auto-passive-mode off",
            ),
            way(
                "EPRT",
                V6,
                &[],
                "set ftp:passive-mode off; set net:max-retries 1; set ftp:auto-passive-mode off",
            ),
        ],
    },
    Client {
        name: "tnftp",
        list: Run(
            &["tnftp", "-n", "-i", "-v", "{mode}", "{ip}"],
            "user {user} {password}\n{lines}ls\nnlist\nquit\n",
        ),
        get: Run(
            &["tnftp", "-n", "-i", "-v", "{mode}", "{ip}"],
            "user {user} {password}\nbinary\n{lines}get {remote} {local}\nquit\n",
        ),
        put: Run(
            &["tnftp", "-n", "-i", "-v", "{mode}", "{ip}"],
            "user {user} {password}\nbinary\n{lines}put {local} {remote}\nquit\n",
        ),
        ways: &[
            way("EPSV", V4, &["-p"], ""),
            way("PASV", V4, &["-p"], "epsv4\n"),
            way("EPRT", V4, &["-A"], ""),
            way("PORT", V4, &["-A"], "epsv4\n"),
            way("EPSV", V6, &["-6", "-p"], ""),
            way("EPRT", V6, &["-6", "-A"], ""),
        ],
    },
    Client {
        name: "ncftp",
        list: Run(
            &[
                "ncftpls",
                "{mode}",
                "-u",
                "{user}",
                "-p",
                "{password}",
                "-1",
                "ftp://{host}/",
            ],
            "",
        ),
        get: Run(
            &[
                "ncftpget",
                "{mode}",
                "-r",
                "0",
                "-u",
                "{user}",
                "-p",
                "{password}",
                "-C",
                "{host}",
                "{remote}",
                "{local}",
            ],
            "",
        ),
        put: Run(
            &[
                "ncftpput",
                "{mode}",
                "-r",
                "0",
                "-u",
                "{user}",
                "-p",
                "{password}",
                "-C",
                "{host}",
                "{local}",
                "{remote}",
            ],
            "",
        ),
        ways: &[
            way("PASV", V4, &["-F"], ""),
            way("PORT", V4, &["-E"], ""),
            way("PASV, else PORT", V4, &[], ""),
            no_ipv6("any"),
        ],
    },
    Client {
        name: "inetutils",
        list: Run(
            &["inetutils-ftp", "-n", "-i", "-v", "{mode}", "{ip}"],
            "user {user} {password}\n{lines}ls\nnlist\nquit\n",
        ),
        get: Run(
            &["inetutils-ftp", "-n", "-i", "-v", "{mode}", "{ip}"],
            "user {user} {password}\nbinary\n{lines}get {remote} {local}\nquit\n",
        ),
        put: Run(
            &["inetutils-ftp", "-n", "-i", "-v", "{mode}", "{ip}"],
            "user {user} {password}\nbinary\n{lines}put {local} {remote}\nquit\n",
        ),
        ways: &[
            way("PORT", V4, &[], ""),
            way("PASV (-p)", V4, &["-p"], ""),
            way("EPSV (-p)", V4, &["-p"], "epsv4\n"),
            way("EPRT", V4, &[], "epsv4\n"),
            way("EPRT", V6, &["-6"], ""),
            way("EPSV (-p)", V6, &["-6", "-p"], ""),
        ],
    },
    Client {
        name: "wget",
        list: Run(
            &[
                "wget",
                "-nv",
                "-t1",
                "-T15",
                "{mode}",
                "--user={user}",
                "--password={password}",
                "-O",
                "-",
                "ftp://{host}/",
            ],
            "",
        ),
        get: Run(
            &[
                "wget",
                "-nv",
                "-t1",
                "-T15",
                "{mode}",
                "--user={user}",
                "--password={password}",
                "-O",
                "{local}",
                "ftp://{host}/{remote}",
            ],
            "",
        ),
        put: Cannot("wget cannot upload"),
        ways: &[
            way("PASV", V4, &[], ""),
            way("PORT", V4, &["--no-passive-ftp"], ""),
            way("EPSV", V6, &[], ""),
            way("EPRT", V6, &["--no-passive-ftp"], ""),
        ],
    },
    Client {
        name: "aria2",
        list: Cannot("aria2 cannot list"),
        get: Run(
            &[
                "aria2c",
                "--no-conf",
                "-q",
                "-m1",
                "-s1",
                "-x1",
                "--allow-overwrite=true",
                "--file-allocation=none",
                // Where 150 and 226 arrive together, aria2 1.36 waits its timeout for the 226 it has.
                "--timeout=2",
                "--connect-timeout=10",
                "{mode}",
                "--ftp-user={user}",
                "--ftp-passwd={password}",
                "-d",
                "{directory}",
                "-o",
                "{name}",
                "ftp://{host}/{remote}",
            ],
            "",
        ),
        put: Cannot("aria2 cannot upload"),
        ways: &[
            way("PASV", V4, &["--ftp-pasv=true"], ""),
            way("PORT", V4, &["--ftp-pasv=false"], ""),
            way("EPSV", V6, &["--ftp-pasv=true"], ""),
            way("EPRT", V6, &["--ftp-pasv=false"], ""),
        ],
    },
    Client {
        name: "ftplib",
        list: Run(
            &[
                "/usr/bin/python3",
                "-c",
                FTPLIB,
                "list",
                "{mode}",
                "{ip}",
                "{user}",
                "{password}",
                "",
                "",
            ],
            "",
        ),
        get: Run(
            &[
                "/usr/bin/python3",
                "-c",
                FTPLIB,
                "get",
                "{mode}",
                "{ip}",
                "{user}",
                "{password}",
                "{remote}",
                "{local}",
            ],
            "",
        ),
        put: Run(
            &[
                "/usr/bin/python3",
                "-c",
                FTPLIB,
                "put",
                "{mode}",
                "{ip}",
                "{user}",
                "{password}",
                "{remote}",
                "{local}",
            ],
            "",
        ),
        ways: &[
            way("PASV", V4, &["passive"], ""),
            way("PORT", V4, &["active"], ""),
            way("EPSV", V6, &["passive"], ""),
            way("EPRT", V6, &["active"], ""),
        ],
    },
];

/// wharf's own client, in every `--mode`.
pub static WHARF: Client = Client {
    name: "wharf",
    list: Run(
        &[
            "{wharf}",
            "ls",
            "-q",
            "{mode}",
            "--password-file",
            "{secret}",
            "ftp://{user}@{host}/",
        ],
        "",
    ),
    get: Run(
        &[
            "{wharf}",
            "get",
            "-q",
            "{mode}",
            "--password-file",
            "{secret}",
            "ftp://{user}@{host}/{remote}",
            "-o",
            "{local}",
        ],
        "",
    ),
    put: Run(
        &[
            "{wharf}",
            "put",
            "-q",
            "{mode}",
            "--password-file",
            "{secret}",
            "{local}",
            "ftp://{user}@{host}/",
        ],
        "",
    ),
    ways: &[
        way("auto", V4, &["--mode", "auto"], ""),
        way("passive", V4, &["--mode", "passive"], ""),
        way("active", V4, &["--mode", "active"], ""),
        way("epsv", V4, &["--mode", "epsv"], ""),
        way("pasv", V4, &["--mode", "pasv"], ""),
        way(
            "pasv reply",
            V4,
            &["--mode", "pasv", "--data-host", "reply"],
            "",
        ),
        way("eprt", V4, &["--mode", "eprt"], ""),
        way("port", V4, &["--mode", "port"], ""),
        way("auto", V6, &["--mode", "auto"], ""),
        way("epsv", V6, &["--mode", "epsv"], ""),
        way("eprt", V6, &["--mode", "eprt"], ""),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_filled_with_the_ways_arguments_and_lines() {
        let client = FOREIGN
            .iter()
            .find(|client| client.name == "tnftp")
            .unwrap();
        let job = Job {
            host: "[2001:db8::1]".into(),
            user: "u".into(),
            password: "p".into(),
            remote: "r".into(),
            local: "/d/l".into(),
            ..Job::default()
        };
        let (arguments, input) = client.get.fill(&client.ways[4], &job).unwrap();
        assert_eq!(
            arguments,
            ["tnftp", "-n", "-i", "-v", "-6", "-p", "2001:db8::1"]
        );
        assert_eq!(input, "user u p\nbinary\nget r /d/l\nquit\n");
    }
}
