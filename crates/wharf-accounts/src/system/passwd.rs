//! Lines of `/etc/passwd`, `/etc/shells` and `/etc/ftpusers`. Pure.

/// A user of this system (passwd(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    /// The name, as it is written there.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    /// The home directory, absolute.
    pub home: String,
    /// The program of a login on a terminal.
    pub shell: String,
}

/// What the C library takes where nothing is written.
const USUAL_SHELL: &str = "/bin/sh";

/// What the C library allows where there is no `/etc/shells` (getusershell(3)).
const USUAL_SHELLS: [&str; 2] = [USUAL_SHELL, "/bin/csh"];

/// The first user of that name whose password is kept in the shadow file, and whose line makes sense.
pub(super) fn find(passwd: &str, name: &str) -> Option<SystemUser> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<_> = line.split(':').collect();
    let [name, kept, uid, gid, _, home, shell] = fields.as_slice() else {
        return None;
    };
    let is_user = !name.is_empty() && !name.starts_with(['+', '-', '#']);
    if !is_user || *kept != "x" || !home.starts_with('/') {
        return None;
    }
    Some(SystemUser {
        name: (*name).to_owned(),
        uid: number(uid)?,
        gid: number(gid)?,
        home: (*home).to_owned(),
        shell: if shell.is_empty() { USUAL_SHELL } else { shell }.to_owned(),
    })
}

/// Digits only: `+0` and ` 0` are nobody's number.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    text.parse().ok()
}

/// Whether that shell is one of those that people log in with.
pub(super) fn is_listed(shells: Option<&str>, shell: &str) -> bool {
    match shells {
        Some(shells) => words(shells).any(|listed| listed == shell),
        None => USUAL_SHELLS.contains(&shell),
    }
}

/// Whether that name is on a list of those who must not use FTP.
pub(super) fn is_denied(list: &str, name: &str) -> bool {
    words(list).any(|denied| denied == name)
}

/// The first word of every line that is not a comment.
fn words(list: &str) -> impl Iterator<Item = &str> {
    list.lines()
        .filter_map(|line| line.split('#').next()?.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
anna:x:1001:100:Anna,,,:/home/anna:/bin/bash
bert:x:1002:1002::/home/bert:
anna:x:0:0:twice:/root:/bin/bash
old:$1$salt$hash:1003:1003::/home/old:/bin/bash
none::1004:1004::/home/none:/bin/bash
short:x:1005:1005:/home/short
letters:x:10o6:1006::/home/letters:/bin/sh
minus:x:-1:1007::/home/minus:/bin/sh
plus:x:+0:1007::/home/plus:/bin/sh
huge:x:4294967296:1007::/home/huge:/bin/sh
homeless:x:1008:1008::home:/bin/sh
+nis::::::
+::::::
";

    #[test]
    fn a_user_is_a_line_that_makes_sense() {
        let anna = find(PASSWD, "anna").unwrap();
        assert_eq!((anna.uid, anna.gid), (1001, 100));
        assert_eq!(anna.home, "/home/anna");
        assert_eq!(find(PASSWD, "bert").unwrap().shell, "/bin/sh");
        assert_eq!(find(PASSWD, "root").unwrap().uid, 0);
        for name in [
            "", "an", "anna ", "ANNA", "old", "none", "short", "letters", "minus", "plus", "huge",
            "homeless", "+nis", "+", "anna:x", "nobody",
        ] {
            assert_eq!(find(PASSWD, name), None, "{name}");
        }
    }

    #[test]
    fn shells() {
        let listed = "# comment\n/bin/sh\n /bin/bash # mine\n\n";
        for (shells, shell, allowed) in [
            (Some(listed), "/bin/sh", true),
            (Some(listed), "/bin/bash", true),
            (Some(listed), "/usr/sbin/nologin", false),
            (Some(listed), "# comment", false),
            (Some(""), "/bin/sh", false),
            (None, "/bin/sh", true),
            (None, "/bin/zsh", false),
        ] {
            assert_eq!(is_listed(shells, shell), allowed, "{shells:?} {shell}");
        }
    }

    #[test]
    fn who_must_not() {
        let list = "# nobody of these\nroot\n\tnews # old\n#anna\n";
        let denied = ["root", "news", "anna", "#anna", "", "roo"].map(|it| is_denied(list, it));
        assert_eq!(denied, [true, true, false, false, false, false]);
    }
}
