//! What an installation takes from the program: completions, manual pages; and what it says of errors, in both languages.

use crate::boundary::{Place, Running};

#[test]
fn completions_for_five_shells_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.run(["completions", shell]).expect(0).text();
        for word in ["get", "put", "firewall", "output-dir"] {
            assert!(text.contains(word), "{shell}: no {word}");
        }
    }
    place.run(["completions", "tcsh"]).expect(2);
}

#[test]
fn every_command_has_its_page_and_the_first_the_exit_status() {
    let place = Place::new();
    let page = place.run(["man"]).expect(0).text();
    for part in [
        ".TH wharf 1",
        "EXIT STATUS",
        "no data connection came about",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = place.run(["man", "get"]).expect(0).text();
    for part in [".TH wharf\\-get 1", "Examples:", "output\\-dir"] {
        assert!(
            page.replace("wharf-get", "wharf\\-get").contains(part),
            "{part}: {page}"
        );
    }
    place.run(["man", "no-such-command"]).expect(2);
    place.run(["man", "--install", "pages"]).expect(0);
    let names = place.names("pages");
    for name in ["wharf.1", "wharf-get.1", "wharf-ftp.1", "wharf-serve.1"] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
}

#[test]
fn a_code_is_explained_in_the_language_of_the_locale() {
    let place = Place::new();
    let english = place.run(["explain", "WF-0701"]).expect(0).text();
    assert!(english.contains("What to do:"), "{english}");
    for (variable, locale) in [
        ("LANG", "zh_CN.UTF-8"),
        ("LC_ALL", "zh_CN"),
        ("WHARF_LANG", "zh-CN"),
    ] {
        let mut command = place.command(["explain", "WF-0701"]);
        let text = Running::start({
            command.env(variable, locale);
            command
        });
        let text = text.end().expect(0).text();
        assert!(text.contains("怎么办："), "{variable}: {text}");
        let mut command = place.command(["put", "no-such-file", "ftp://host/"]);
        command.env(variable, locale);
        let ended = Running::start(command).end().expect(12);
        assert!(
            ended
                .stderr
                .starts_with("错误[WF-1201]: 无法读取 no-such-file：没有那个文件或目录"),
            "{}",
            ended.stderr
        );
    }
    let mut command = place.command(["explain"]);
    command.env("LANG", "zh_CN.UTF-8").env("LC_ALL", "C");
    let text = Running::start(command).end().expect(0).text();
    assert!(
        text.contains("no data connection"),
        "LC_ALL beats LANG: {text}"
    );
}
