//! A configuration file with something wrong in it starts no server: the problem has its line and its key.

use std::path::Path;

use super::file::{keys, read};

/// Values of every kind; few keys take more than one kind of them, and none takes a time of day.
const VALUES: &[&str] = &[
    "07:32:00",
    "-1",
    "99999999999999999999",
    "1.5",
    "true",
    "\"\"",
    "\"\\u0000\"",
    "\"nonsense \\u001b[2J\"",
    "[]",
    "[[1]]",
    "{ a = 1 }",
];

#[test]
fn a_wrong_value_is_refused_with_its_line_and_key() {
    for setting in keys() {
        for value in VALUES {
            let text = format!("# one\n\n{} = {value}\n", setting.key);
            let Err(problems) = read(&text, Path::new("/etc")) else {
                assert_ne!(*value, "07:32:00", "{} took a time", setting.key);
                continue;
            };
            for problem in problems {
                // What contradicts another key is about the file as a whole.
                let shown = problem.to_string();
                let known =
                    problem.key.starts_with(setting.key) || setting.key.starts_with(&problem.key);
                assert!(known, "{text}: {shown}");
                assert!(matches!(problem.line, 0 | 3), "{text}: {shown}");
                assert!(!shown.contains(char::is_control), "{text}: {shown:?}");
            }
        }
    }
}

/// Every byte of a file with every key, replaced: it is read as before, or not at all, or it says where.
#[test]
fn a_damaged_file_is_refused_where_it_is_damaged() {
    let top = keys().filter(|setting| !setting.key.contains('.'));
    let whole: String = top
        .map(|setting| [setting.key, " = ", setting.example, "\n"].concat())
        .collect();
    let lines = whole.lines().count() + 1;
    let mut refused = 0;
    for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
        for byte in ["\"", "=", "[", "\n", "x", "\0"] {
            let damaged = format!("{}{byte}{}", &whole[..at], &whole[at + 1..]);
            if let Err(problems) = read(&damaged, Path::new("/etc")) {
                refused += 1;
                assert!(!problems.is_empty());
                assert!(problems.iter().all(|it| it.line <= lines + 1), "{damaged}");
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
