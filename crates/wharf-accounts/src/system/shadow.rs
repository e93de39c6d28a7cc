//! Lines of `/etc/shadow` (shadow(5)), and what their dates mean today. Pure: the day is an argument.

/// What is kept of a user beside the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The hash, or what stands there instead.
    pub(super) hash: &'a str,
    /// All in days; since 1970 where they are dates.
    changed: Option<i64>,
    most: Option<i64>,
    inactive: Option<i64>,
    expires: Option<i64>,
}

/// Why nobody may log in as that user today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The account has ended.
    Account,
    /// The password is too old, or was set to be changed at once, which FTP has no way to do.
    Password,
}

/// The first line of that name, if it makes sense.
pub(super) fn find<'a>(shadow: &'a str, name: &str) -> Option<Line<'a>> {
    let line = shadow
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    let [_, hash, changed, _, most, _, inactive, expires, _] = fields.as_slice() else {
        return None;
    };
    Some(Line {
        hash,
        changed: days(changed)?,
        most: days(most)?,
        inactive: days(inactive)?,
        expires: days(expires)?,
    })
}

/// Outside: whether it is a number at all. Inside: nothing is written there, or −1, which is the same.
#[expect(
    clippy::option_option,
    reason = "a field that is empty is not one that is wrong"
)]
fn days(text: &str) -> Option<Option<i64>> {
    match text {
        "" | "-1" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

/// Every hash of the file, in its order.
pub(super) fn hashes(shadow: &str) -> impl Iterator<Item = &str> {
    shadow.lines().filter_map(|line| line.split(':').nth(1))
}

impl Line<'_> {
    /// As `pam_unix` judges it.
    pub(super) fn overdue(&self, today: i64) -> Option<Overdue> {
        if self.expires.is_some_and(|expires| today >= expires) {
            return Some(Overdue::Account);
        }
        let changed = self.changed?;
        if changed == 0 {
            return Some(Overdue::Password);
        }
        let age = today.saturating_sub(changed);
        let most = self.most?;
        if age <= most {
            return None;
        }
        match self.inactive {
            Some(inactive) if age > most.saturating_add(inactive) => Some(Overdue::Account),
            _ => Some(Overdue::Password),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let table = [
            // An account like useradd makes it.
            ("a:h:20000:0:99999:7:::", 20_100, None),
            ("a:h:::::::", 20_100, None),
            ("a:h:20000:0:-1:7:-1:-1:", 20_100, None),
            // The account ends.
            ("a:h:20000:0:99999:7::20100:", 20_099, None),
            (
                "a:h:20000:0:99999:7::20100:",
                20_100,
                Some(Overdue::Account),
            ),
            ("a:h:20000:0:99999:7::0:", 20_100, Some(Overdue::Account)),
            // The password is old.
            ("a:h:20000:0:30:7:::", 20_030, None),
            ("a:h:20000:0:30:7:::", 20_031, Some(Overdue::Password)),
            ("a:h:20000:0:30:7:5::", 20_035, Some(Overdue::Password)),
            ("a:h:20000:0:30:7:5::", 20_036, Some(Overdue::Account)),
            ("a:h:0:0:99999:7:::", 20_100, Some(Overdue::Password)),
            // A clock that was wrong once.
            ("a:h:30000:0:30:7:::", 20_100, None),
            (
                "a:h:1:0:9223372036854775807:7:9223372036854775807::",
                20_100,
                None,
            ),
        ];
        for (line, today, expected) in table {
            let found = find(line, "a").unwrap();
            assert_eq!(found.hash, "h");
            assert_eq!(found.overdue(today), expected, "{line} on {today}");
        }
    }

    #[test]
    fn lines_that_make_no_sense() {
        for line in [
            "",
            "a",
            "a:h",
            "a:h:20000:0:99999:7::",
            "a:h:20000:0:99999:7::::",
            "a:h:x:0:99999:7:::",
            "a:h:20000:0: 9:7:::",
            "a:h:20000:0:99999:7::-2:",
            "b:h:20000:0:99999:7:::",
        ] {
            assert_eq!(find(line, "a"), None, "{line}");
        }
    }
}
