//! The files of other programs, what becomes of them, and hostile ones.

use super::*;

/// Name, address, password, settings; then the notes.
fn shown(read: &Read) -> String {
    let mut text = String::new();
    for one in &read.bookmarks {
        let address = one.address().unwrap_or_else(|error| format!("({error})"));
        let password = one
            .secret()
            .map(|(_, it)| String::from_utf8_lossy(it.expose()).into_owned());
        let settings: Vec<String> = one
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let _ = writeln!(
            text,
            "{} {address} {} {}",
            name(&one.name),
            password.unwrap_or_else(|| "-".to_owned()),
            settings.join(",")
        );
    }
    for note in &read.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn check(word: &str, text: &str, expected: &str) {
    let program = PROGRAMS.iter().find(|it| it.word == word).unwrap();
    let read = (program.read)(text).unwrap_or_else(|error| panic!("{word}: {error}"));
    let lines: Vec<String> = shown(&read)
        .lines()
        .map(|it| it.trim_end().to_owned())
        .collect();
    assert_eq!(lines.join("\n"), expected, "{word}");
}

#[test]
fn lftp() {
    check(
        "lftp",
        "work\tftp://me:p%40ss@ftp.example.org:2121/in%20box/\nkernel ftp://ftp.kernel.org\nold\tftps://u,pw@h/\nroot\tftp://h/%2Fetc/\nssh\tsftp://h/\nsix\tftp://[2001:db8::1]:21/a\nbad\n\nx y\tftp://h\n",
        "work ftp://me@ftp.example.org:2121/in%20box/ p@ss\nkernel ftp://ftp.kernel.org/ -\nold ftps://u@h/ pw\nroot ftp://h//etc/ -\nsix ftp://[2001:db8::1]:21/a/ -\nnote: ssh left out: sftp:// is not FTP\nnote: bad left out: no address\nnote: x left out: y␉ftp:// is not FTP",
    );
}

#[test]
fn ncftp() {
    check(
        "ncftp",
        "NcFTP bookmark-file version: 8\nNumber of bookmarks: ??\nGNU,ftp.gnu.org,,,,,I,0,1259026516,1,1,1,1,140.186.70.20,,,,,,S,-1,\nwork,ftp.example.org,me,*encoded*cEBzcwA=,,/in\\,box/\\$C3\\$A4,I,2121,1,1,1,1,1,1.2.3.4,our\\, own,,,,,S,-1,/home/me\nbad,,\n\\\nlast,h,u,plain",
        "GNU ftp://ftp.gnu.org/ -\nwork ftp://me@ftp.example.org:2121//in%2Cbox/%C3%A4/ p@ss local_dir=/home/me\nlast ftp://u@h/ plain\nnote: bad left out: no host\nnote: \\ left out: no host",
    );
}

#[test]
fn filezilla() {
    check(
        "filezilla",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<FileZilla3 version="3.60"><Servers>
 <Server><Host>ftp.example.org</Host><Port>2121</Port><Protocol>4</Protocol><Type>0</Type><User>me</User>
  <Pass encoding="base64">cEBzcw==</Pass><Logontype>1</Logontype><PasvMode>MODE_ACTIVE</PasvMode><Name>The work</Name>
  <Comments>a
b</Comments><LocalDir>/home/me</LocalDir><RemoteDir>1 0 3 pub 5 a b/c</RemoteDir></Server>
 <Folder expanded="1">Group<Server><Host>::1</Host><Protocol>6</Protocol><User>x</User><Pass encoding="crypt" pubkey="k">zz</Pass><Name>six</Name></Server>
  <Folder>in<Server><Host>h</Host><Protocol>0</Protocol><Logontype>0</Logontype><User>anonymous</User><Name/></Server></Folder></Folder>
 <Server><Host>s</Host><Protocol>1</Protocol><Name>ssh</Name></Server>
 <Server><Name>none</Name></Server>
</Servers></FileZilla3>"#,
        "The-work ftpes://me@ftp.example.org:2121//pub/a%20b/c/ p@ss mode=active,local_dir=/home/me\nGroup-six ftp://x@[::1]/ - tls=off\nGroup-in-h ftp://h/ -\nnote: Group-six: the password left out: it is encrypted with FileZilla's master password\nnote: ssh left out: not FTP (SFTP or a store of objects)\nnote: none left out: no host",
    );
}

#[test]
fn winscp() {
    let hidden = winscp::hidden(b"p@ss", b"meftp.example.org", 7);
    let text = format!(
        "\u{feff}[Configuration]\nx=1\n[Sessions\\Default%20Settings]\nHostName=d\n[Sessions\\Folder/The%20work]\nHostName=ftp.example.org\nPortNumber=2121\nUserName=me\nPassword={hidden}\nFSProtocol=5\nFtps=3\nFtpPasvMode=0\nRemoteDirectory=/in%20box\nProxyMethod=2\nProxyHost=gate\nProxyPort=1081\n[Sessions\\odd]\nHostName=h\nFSProtocol=5\nPassword=zz\n[Sessions\\ssh]\nHostName=h\n[Sessions\\none]\nFSProtocol=5\n"
    );
    check(
        "winscp",
        &text,
        "Folder-The-work ftpes://me@ftp.example.org:2121//in%20box/ p@ss mode=active,proxy=socks5h://gate:1081\nodd ftp://h/ -\nnote: odd: the password left out: it is not hidden in the usual way; a master password?\nnote: ssh left out: not FTP\nnote: none left out: no host",
    );
}

#[test]
fn netrc_keeps_its_passwords() {
    check(
        "netrc",
        "machine h login u password p\nmachine ftp.example.org\ndefault login anonymous password x\n",
        "h ftp://u@h/ -\nftp.example.org ftp://ftp.example.org/ -",
    );
}

#[test]
fn hostile_files_are_refused_or_do_no_harm() {
    let deep = format!(
        "<F><Servers>{}{}</Servers></F>",
        "<Folder>".repeat(90),
        "</Folder>".repeat(90)
    );
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><F><Servers><Folder>&b;</Folder></Servers></F>";
    let many = "x ftp://h/\n".repeat(20_000);
    let evil = "x\tftp://a%0d%0aDELE:b@h/%0a%0d\ny\tftp://h%0a/\nz\tftp://h:99999999/\n\x1b[2J\tgopher://h\n";
    let fields = format!(
        "NcFTP bookmark-file version: 8\n\n{}\\$",
        ",".repeat(100_000)
    );
    let (zeros, long) = ("0".repeat(100_000), "1 0 99999999999999999999 x");
    let ini = format!("[Sessions\\a]\nFSProtocol=5\nHostName=h\nPassword={zeros}\n");
    let xml = format!(
        "<F><Servers><Server><Host>h</Host><RemoteDir>{long}</RemoteDir></Server></Servers></F>"
    );
    for text in [
        &deep,
        bomb,
        &many,
        evil,
        &fields,
        &ini,
        &xml,
        "",
        "\0",
        "<",
        "[",
        "NcFTP bookmark-file version: 8",
    ] {
        for program in PROGRAMS {
            let Ok(read) = (program.read)(text) else {
                continue;
            };
            assert!(
                read.bookmarks.len() <= MOST && read.notes.len() <= MOST + 1,
                "{}",
                program.word
            );
            assert!(
                !read.notes.iter().any(|it| it.contains('\x1b')),
                "{}",
                program.word
            );
            for one in &read.bookmarks {
                let Ok(address) = one.address() else {
                    continue;
                };
                assert!(!address.contains(['\n', '\r', '\0', '\x1b']), "{address}");
                let target: Target = address.parse().unwrap();
                assert!(target.password().is_none());
            }
        }
    }
    for (word, text) in [
        ("filezilla", bomb),
        ("filezilla", "<x/>"),
        ("ncftp", "lines"),
        ("winscp", "x=1"),
    ] {
        let program = PROGRAMS.iter().find(|it| it.word == word).unwrap();
        assert!((program.read)(text).is_err(), "{word}");
    }
}
