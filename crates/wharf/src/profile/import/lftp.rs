//! lftp's bookmarks: a line each, `NAME<TAB or blank>ADDRESS`.

use percent_encoding::percent_decode_str;

use super::{Imported, Read};

#[expect(
    clippy::unnecessary_wraps,
    reason = "others can fail, and they stand in one table"
)]
pub(super) fn read(text: &str) -> Result<Read, String> {
    let mut read = Read::default();
    for line in text.lines() {
        let Some((name, address)) = line.split_once(['\t', ' ']) else {
            if !line.trim().is_empty() {
                read.skip(line, "no address");
            }
            continue;
        };
        let address = address.trim();
        let (scheme, rest) = address.split_once("://").unwrap_or(("ftp", address));
        let scheme = match scheme {
            "ftp" => "ftp",
            "ftps" => "ftps",
            other => {
                read.skip(
                    name,
                    &format!("{}:// is not FTP", wharf_proto::visible(other.as_bytes())),
                );
                continue;
            }
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let (user, password) = match login.map(|it| it.split_once(':').unwrap_or((it, ""))) {
            // As lftp writes `user,password`, too
            Some((user, "")) if user.contains(',') => user.split_once(',').unwrap_or((user, "")),
            Some(login) => login,
            None => ("", ""),
        };
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            _ => (host, None),
        };
        read.take(Imported {
            name: name.to_owned(),
            scheme,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            user: String::from_utf8(decoded(user))
                .ok()
                .filter(|it| !it.is_empty()),
            password: Some(decoded(password)).filter(|it| !it.is_empty()),
            path: decoded(path.trim_end_matches('/')),
            ..Imported::default()
        });
    }
    Ok(read)
}
