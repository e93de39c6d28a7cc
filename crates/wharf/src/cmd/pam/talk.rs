//! What modules ask and are answered, and what their verdicts come to. Pure: PAM itself is an argument.

use std::cell::Cell;

/// Characters of a module's text that are logged.
const LONGEST_TEXT: usize = 300;

/// The answers of somebody who is not there any more: a name and a password, sent once.
pub(super) struct Talk {
    name: String,
    password: Vec<u8>,
    given: Cell<bool>,
}

impl Talk {
    pub(super) fn new(name: &str, password: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_vec(),
            given: Cell::new(false),
        }
    }

    /// To a prompt that shows what is typed.
    pub(super) fn shown(&self) -> &str {
        &self.name
    }

    /// To a prompt that hides it: the password, once. Whoever asks again wants something else (a code, a new password), which
    /// FTP has no way to ask for.
    pub(super) fn hidden(&self) -> Option<&[u8]> {
        (!self.given.replace(true)).then_some(&self.password)
    }
}

/// A module's text as it is logged: bounded; whoever logs it escapes it.
pub(super) fn bounded(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// PAM with one login. Errors are what it says, for the log.
pub(super) trait Stack {
    /// Whether the password is right.
    fn authenticate(&mut self) -> Result<(), String>;
    /// Whether the user may log in today.
    fn account(&mut self) -> Result<(), String>;
    /// Who it is, by the modules.
    fn user(&mut self) -> Result<String, String>;
}

/// Both phases. A password that has to be changed is refused by the second one.
///
/// # Errors
/// Why not, for the log.
pub(super) fn judge(stack: &mut impl Stack, name: &str) -> Result<(), String> {
    stack
        .authenticate()
        .map_err(|said| format!("PAM, authentication: {said}"))?;
    stack
        .account()
        .map_err(|said| format!("PAM, account: {said}"))?;
    let user = stack.user().map_err(|said| format!("PAM, user: {said}"))?;
    if user == name {
        Ok(())
    } else {
        Err(format!("PAM made another user of the name: {user:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_given_once() {
        let talk = Talk::new("anna", b"right");
        assert_eq!((talk.shown(), talk.shown()), ("anna", "anna"));
        assert_eq!(talk.hidden(), Some(&b"right"[..]));
        assert_eq!(talk.hidden(), None, "a code");
        assert_eq!(talk.hidden(), None);
    }

    #[test]
    fn what_modules_say_has_an_end() {
        assert_eq!(bounded("tomorrow"), "tomorrow");
        assert_eq!(bounded(&"ü".repeat(5_000)).chars().count(), LONGEST_TEXT);
    }

    /// The outcomes of the two phases, the user, and how often the second phase was asked.
    struct Fake(
        Result<(), &'static str>,
        Result<(), &'static str>,
        &'static str,
        u32,
    );

    impl Stack for Fake {
        fn authenticate(&mut self) -> Result<(), String> {
            self.0.map_err(str::to_owned)
        }

        fn account(&mut self) -> Result<(), String> {
            self.3 += 1;
            self.1.map_err(str::to_owned)
        }

        fn user(&mut self) -> Result<String, String> {
            if self.2.is_empty() {
                return Err("none".to_owned());
            }
            Ok(self.2.to_owned())
        }
    }

    #[test]
    fn both_phases_have_to_say_yes_to_that_user() {
        let rows = [
            (Ok(()), Ok(()), "anna", Ok(()), 1),
            (
                Err("failure"),
                Ok(()),
                "anna",
                Err("PAM, authentication: failure"),
                0,
            ),
            (
                Ok(()),
                Err("expired"),
                "anna",
                Err("PAM, account: expired"),
                1,
            ),
            (
                Ok(()),
                Ok(()),
                "root",
                Err("PAM made another user of the name: \"root\""),
                1,
            ),
            (
                Ok(()),
                Ok(()),
                "ANNA",
                Err("PAM made another user of the name: \"ANNA\""),
                1,
            ),
            (Ok(()), Ok(()), "", Err("PAM, user: none"), 1),
        ];
        for (authenticated, account, user, expected, asked) in rows {
            let mut fake = Fake(authenticated, account, user, 0);
            let outcome = judge(&mut fake, "anna");
            assert_eq!(outcome, expected.map_err(str::to_owned), "{user}");
            assert_eq!(fake.3, asked, "{user}");
        }
    }
}
