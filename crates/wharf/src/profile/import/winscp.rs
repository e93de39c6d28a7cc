//! WinSCP's sites: the sections `[Sessions\NAME]` of `WinSCP.ini`. Passwords are hidden there by a fixed pattern, not
//! encrypted, unless a master password is set.

use percent_encoding::percent_decode_str;

use super::{Imported, Read};

/// What the bytes of a password are hidden with.
const MAGIC: u8 = 0xA3;
/// Says that the name of the account stands before the password.
const FLAG: u8 = 0xFF;

pub(super) fn read(text: &str) -> Result<Read, String> {
    let mut read = Read::default();
    let mut sections = 0;
    let mut current: Option<(String, Vec<(&str, String)>)> = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_end();
        if let Some(head) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            sections += 1;
            if let Some((name, values)) = current.take() {
                site(&name, &values, &mut read);
            }
            let name = head.strip_prefix("Sessions\\").map(decoded);
            current = name
                .filter(|it| it != "Default Settings")
                .map(|it| (it, Vec::new()));
        } else if let (Some((_, values)), Some((key, value))) = (&mut current, line.split_once('='))
            && values.len() < 1000
        {
            values.push((key, decoded(value)));
        }
    }
    if let Some((name, values)) = current {
        site(&name, &values, &mut read);
    }
    if sections == 0 {
        return Err("no sections: not an ini file of WinSCP".to_owned());
    }
    Ok(read)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8_lossy()
        .trim_start_matches('\u{feff}')
        .to_owned()
}

fn site(name: &str, values: &[(&str, String)], read: &mut Read) {
    let value = |key: &str| {
        let found = values.iter().find(|(it, _)| it.eq_ignore_ascii_case(key));
        found
            .map(|(_, value)| value.clone())
            .filter(|it| !it.is_empty())
    };
    let ftps = value("Ftps");
    // 0 to 2: SFTP and SCP; 5: FTP; 6: WebDAV; 7: S3
    if value("FSProtocol").as_deref() != Some("5") {
        return read.skip(name, "not FTP");
    }
    let Some(host) = value("HostName") else {
        return read.skip(name, "no host");
    };
    let scheme = match ftps.as_deref() {
        Some("1") => "ftps",
        Some("2" | "3") => "ftpes",
        _ => "ftp",
    };
    let user = value("UserName");
    let mut settings = Vec::new();
    if value("FtpPasvMode").as_deref() == Some("0") {
        settings.push(("mode", "active".to_owned()));
    }
    settings.extend(value("LocalDirectory").map(|it| ("local_dir", it)));
    let proxy = match value("ProxyMethod").as_deref() {
        Some("1") => Some("socks4a"),
        Some("2") => Some("socks5h"),
        Some("3") => Some("http"),
        _ => None,
    };
    if let (Some(protocol), Some(at)) = (proxy, value("ProxyHost")) {
        let port = value("ProxyPort").unwrap_or_else(|| "1080".to_owned());
        settings.push(("proxy", format!("{protocol}://{at}:{port}")));
    }
    let password = value("Password").and_then(|hidden| {
        let account = format!("{}{host}", user.as_deref().unwrap_or_default());
        let found = revealed(&hidden, account.as_bytes());
        if found.is_none() {
            read.skip(
                &format!("{name}: the password"),
                "it is not hidden in the usual way; a master password?",
            );
        }
        found
    });
    read.take(Imported {
        name: name.to_owned(),
        scheme,
        host: host.trim_matches(['[', ']']).to_owned(),
        port: value("PortNumber").and_then(|it| it.parse().ok()),
        user,
        password,
        path: value("RemoteDirectory").unwrap_or_default().into_bytes(),
        settings,
        comment: None,
    });
}

/// A hidden password: `[FF 00] length, so many pairs of nothing, the text`, each byte as two hexadecimal digits.
fn revealed(hidden: &str, account: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hidden
        .chars()
        .map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect::<Option<_>>()?;
    let mut bytes = digits.chunks_exact(2).map(|pair| match pair {
        [high, low] => !((high << 4 | low) ^ MAGIC),
        _ => 0,
    });
    let flag = bytes.next()?;
    let length = if flag == FLAG {
        bytes.next()?;
        bytes.next()?
    } else {
        flag
    };
    let padding = usize::from(bytes.next()?);
    let text: Vec<u8> = bytes.skip(padding).take(usize::from(length)).collect();
    if text.len() != usize::from(length) {
        return None;
    }
    match flag {
        FLAG => text.strip_prefix(account).map(<[u8]>::to_vec),
        _ => Some(text),
    }
}

#[cfg(test)]
pub(super) fn hidden(password: &[u8], account: &[u8], padding: u8) -> String {
    use std::fmt::Write as _;
    let text = [account, password].concat();
    let mut bytes = vec![FLAG, 0, u8::try_from(text.len()).unwrap(), padding];
    bytes.extend(vec![0x5a; usize::from(padding)]);
    bytes.extend(text);
    bytes.iter().fold(String::new(), |mut text, it| {
        let _ = write!(text, "{:02X}", !*it ^ MAGIC);
        text
    })
}
