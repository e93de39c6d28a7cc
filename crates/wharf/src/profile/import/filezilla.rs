//! FileZilla's sites: `sitemanager.xml`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use xmltree::{Element, XMLNode};

use super::{Imported, Read};

/// Folders inside folders.
const DEEPEST: usize = 32;

pub(super) fn read(text: &str) -> Result<Read, String> {
    if text.contains("<!DOCTYPE") || text.contains("<!ENTITY") {
        return Err("FileZilla writes no DOCTYPE: this is something else".to_owned());
    }
    let root = Element::parse(text.as_bytes()).map_err(|error| format!("not XML: {error}"))?;
    let servers = root
        .get_child("Servers")
        .ok_or("no <Servers>: not a site manager's file")?;
    let mut read = Read::default();
    folder(servers, "", DEEPEST, &mut read);
    Ok(read)
}

fn folder(element: &Element, before: &str, deeper: usize, read: &mut Read) {
    for child in element.children.iter().filter_map(XMLNode::as_element) {
        match child.name.as_str() {
            "Folder" if deeper > 0 => {
                // The folder's name is the text before its first site.
                let name = child
                    .children
                    .iter()
                    .find_map(XMLNode::as_text)
                    .unwrap_or_default()
                    .trim();
                folder(child, &format!("{before}{name}-"), deeper - 1, read);
            }
            "Folder" => read.skip(before, "folders nested too deeply"),
            "Server" => server(child, before, read),
            _ => {}
        }
    }
}

fn server(element: &Element, folder: &str, read: &mut Read) {
    let field = |name: &str| {
        let text = element.get_child(name).and_then(Element::get_text);
        text.map(|it| it.trim().to_owned())
            .filter(|it| !it.is_empty())
    };
    let host = field("Host").unwrap_or_default();
    let name = format!("{folder}{}", field("Name").unwrap_or_else(|| host.clone()));
    let mut settings = Vec::new();
    let scheme = match field("Protocol").as_deref() {
        None | Some("0") => "ftp",
        Some("3") => "ftps",
        Some("4") => "ftpes",
        Some("6") => {
            settings.push(("tls", "off".to_owned()));
            "ftp"
        }
        Some(_) => return read.skip(&name, "not FTP (SFTP or a store of objects)"),
    };
    if host.is_empty() {
        return read.skip(&name, "no host");
    }
    match field("PasvMode").as_deref() {
        Some("MODE_ACTIVE") => settings.push(("mode", "active".to_owned())),
        Some("MODE_PASSIVE") => settings.push(("mode", "passive".to_owned())),
        _ => {}
    }
    settings.extend(field("LocalDir").map(|it| ("local_dir", it)));
    if field("BypassProxy").as_deref() == Some("1") {
        settings.push(("proxy", "direct".to_owned()));
    }
    let encoding = element
        .get_child("Pass")
        .and_then(|it| it.attributes.get("encoding").cloned());
    let password = match (field("Pass"), encoding.as_deref()) {
        (Some(pass), Some("base64")) => BASE64_STANDARD.decode(pass).ok(),
        (Some(_), Some(_)) => {
            read.skip(
                &format!("{name}: the password"),
                "it is encrypted with FileZilla's master password",
            );
            None
        }
        (pass, None) => pass.map(String::into_bytes),
        (None, _) => None,
    };
    let anonymous = field("Logontype").as_deref() == Some("0");
    read.take(Imported {
        name,
        scheme,
        host: host.trim_matches(['[', ']']).to_owned(),
        port: field("Port").and_then(|it| it.parse().ok()),
        user: field("User").filter(|_| !anonymous),
        password,
        path: directory(&field("RemoteDir").unwrap_or_default()),
        settings,
        comment: field("Comments"),
    });
}

/// `1 0 3 pub 5 a b c`: kind of server, length of a prefix, then lengths and names. Only Unix-like ones (0, 1) are read.
fn directory(text: &str) -> Vec<u8> {
    let Some(rest) = text
        .strip_prefix("1 0 ")
        .or_else(|| text.strip_prefix("0 0 "))
    else {
        return Vec::new();
    };
    let mut path = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        let Some((length, tail)) = rest.split_once(' ') else {
            return Vec::new();
        };
        // Counted in characters
        let Some(length) = length
            .parse::<usize>()
            .ok()
            .filter(|it| *it <= tail.chars().count())
        else {
            return Vec::new();
        };
        let end = tail
            .char_indices()
            .nth(length)
            .map_or(tail.len(), |(at, _)| at);
        let (name, tail) = tail.split_at(end);
        path.push(b'/');
        path.extend(name.as_bytes());
        rest = tail.strip_prefix(' ').unwrap_or(tail);
    }
    path
}
