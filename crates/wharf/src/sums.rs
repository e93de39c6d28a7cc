//! Files of sums: `HEX  NAME` (sha256sum, md5sum and their like), `SHA256 (NAME) = HEX` (BSD), and SFV. Pure.

use wharf_client::Sum;
use wharf_proto::Digest;

/// The sum of a file of this name; the last component counts. `None`: it is not in the list.
pub(crate) fn find(text: &str, name: &str) -> Option<Sum> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    text.lines()
        .filter_map(read)
        .find(|(found, _)| last(found) == last(name))
        .map(|(_, sum)| sum)
}

fn read(line: &str) -> Option<(String, Sum)> {
    let line = line.trim_end_matches('\r');
    if line.starts_with(';') || line.starts_with('#') {
        return None;
    }
    let sum = |hex: &str| {
        let all = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = Digest::of_digits(hex.len()).filter(|_| all)?;
        Some(Sum {
            digest,
            hex: hex.to_ascii_lowercase(),
        })
    };
    // SHA256 (NAME) = HEX
    if let Some((head, hex)) = line.rsplit_once(") = ")
        && let Some((_, name)) = head.split_once(" (")
    {
        return Some((name.to_owned(), sum(hex.trim())?));
    }
    let (first, rest) = line.split_once(' ')?;
    if let Some(found) = sum(first) {
        // One more space, or an asterisk for binary.
        let name = rest.strip_prefix([' ', '*']).unwrap_or(rest);
        return Some((name.to_owned(), found));
    }
    let (name, hex) = line.trim_end().rsplit_once(' ')?;
    let found = sum(hex).filter(|sum| sum.digest == Digest::Crc32)?;
    Some((name.trim_end().to_owned(), found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_sums_are_read() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        for (text, name, expected) in [
            (format!("{md5}  a b.txt\n"), "a b.txt", Some(Digest::Md5)),
            (format!("{md5} *dir/a.txt\r\n"), "a.txt", Some(Digest::Md5)),
            (format!("MD5 (a.txt) = {md5}\n"), "a.txt", Some(Digest::Md5)),
            (
                "; made by x\na b.txt 352441C2\n".to_owned(),
                "a b.txt",
                Some(Digest::Crc32),
            ),
            (format!("{md5}  other\n"), "a.txt", None),
            ("not a sum  a.txt\n".to_owned(), "a.txt", None),
        ] {
            assert_eq!(find(&text, name).map(|it| it.digest), expected, "{text}");
        }
    }
}
