//! ncftp's bookmarks, version 8: two lines of heading, then fields with commas between them. A character that would be in
//! the way is `\$XX` or follows a backslash; a password begins with `*encoded*` and is base64.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Imported, Read};

const USER: usize = 2;
const PASSWORD: usize = 3;
const DIRECTORY: usize = 5;
const PORT: usize = 7;
const COMMENT: usize = 14;
const LOCAL: usize = 21;

pub(super) fn read(text: &str) -> Result<Read, String> {
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("NcFTP bookmark-file version: "));
    if version.map(str::trim) != Some("8") {
        return Err("not a bookmark file of ncftp, version 8".to_owned());
    }
    let mut read = Read::default();
    for line in lines.skip(1).filter(|line| !line.trim().is_empty()) {
        let fields = fields(line);
        let field = |at: usize| {
            fields
                .get(at)
                .map(|it| String::from_utf8_lossy(it).into_owned())
                .filter(|it| !it.is_empty())
        };
        let (Some(name), Some(host)) = (field(0), field(1)) else {
            read.skip(line.split(',').next().unwrap_or_default(), "no host");
            continue;
        };
        let password = field(PASSWORD).and_then(|it| match it.strip_prefix("*encoded*") {
            Some(encoded) => BASE64_STANDARD.decode(encoded.trim()).ok().map(until_nul),
            None => Some(it.into_bytes()),
        });
        let mut settings = Vec::new();
        settings.extend(field(LOCAL).map(|it| ("local_dir", it)));
        read.take(Imported {
            name,
            scheme: "ftp",
            host,
            port: field(PORT).and_then(|it| it.parse().ok()),
            user: field(USER),
            password,
            path: fields.get(DIRECTORY).cloned().unwrap_or_default(),
            settings,
            comment: field(COMMENT),
        });
    }
    Ok(read)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|it| *it == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn fields(line: &str) -> Vec<Vec<u8>> {
    let mut fields = vec![Vec::new()];
    let mut bytes = line.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let field = fields.last_mut();
        match byte {
            b',' => fields.push(Vec::new()),
            b'\\' if bytes.peek() == Some(&b'$') => {
                let mut digit = || {
                    char::from(bytes.next().unwrap_or(b'0'))
                        .to_digit(16)
                        .unwrap_or(0)
                };
                let (_, high, low) = (digit(), digit(), digit());
                if let (Some(field), Ok(byte)) = (field, u8::try_from(high * 16 + low)) {
                    field.push(byte);
                }
            }
            b'\\' => {
                if let (Some(field), Some(next)) = (field, bytes.next()) {
                    field.push(next);
                }
            }
            other => {
                if let Some(field) = field {
                    field.push(other);
                }
            }
        }
    }
    fields
}
