//! In which language people are told: English, or simplified Chinese where the locale says so.
//!
//! The program speaks English everywhere; [`Language::told`] translates what is said at the moment it is printed, by templates
//! (`messages/zh-CN/messages.toml`: the English sentence with `{placeholders}`, and the Chinese one with the same). What has no
//! template is told in English. So a call site needs nothing, the messages of the libraries below, which know no language, are
//! translated as well, and events and logs, which programs read, stay what they are. A plain table and not fluent or gettext:
//! no plurals or genders are needed in Chinese, the templates match what was formatted, and a translator edits one file.

mod template;

use std::sync::OnceLock;

use template::Templates;

/// A language that messages exist in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    /// Simplified Chinese.
    Chinese,
}

const ENGLISH_ERRORS: &str = include_str!("../../messages/en/errors.toml");
const CHINESE_ERRORS: &str = include_str!("../../messages/zh-CN/errors.toml");
const CHINESE: &str = include_str!("../../messages/zh-CN/messages.toml");

impl Language {
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[Self::English, Self::Chinese];

    /// That of this run: `WHARF_LANG`, `LC_ALL`, `LC_MESSAGES`, `LANG`; the first that says something counts (POSIX).
    pub(crate) fn current() -> Self {
        static CURRENT: OnceLock<Language> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let said = ["WHARF_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .filter_map(std::env::var_os)
                .find(|value| !value.is_empty());
            Self::of_locale(&said.unwrap_or_default().to_string_lossy())
        })
    }

    /// `zh_CN.UTF-8`, `zh-CN`, `zh_Hans_SG`, `zh`. Other locales of Chinese are written in other characters.
    fn of_locale(locale: &str) -> Self {
        let locale = locale.to_ascii_lowercase().replace('-', "_");
        let locale = locale.split(['.', '@']).next().unwrap_or_default();
        match locale {
            "zh" | "zh_cn" | "zh_sg" | "zh_my" => Self::Chinese,
            _ if locale.starts_with("zh_hans") => Self::Chinese,
            _ => Self::English,
        }
    }

    /// A sentence of the program, in this language.
    pub(crate) fn told(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::Chinese => chinese().translate(text),
        }
    }
}

fn chinese() -> &'static Templates {
    static TEMPLATES: OnceLock<Templates> = OnceLock::new();
    TEMPLATES.get_or_init(|| Templates::read(CHINESE))
}

/// The texts of the catalogue: a table by code.
pub(crate) fn errors(language: Language) -> &'static toml::Table {
    static ERRORS: [OnceLock<toml::Table>; 2] = [OnceLock::new(), OnceLock::new()];
    let (place, text) = match language {
        Language::English => (&ERRORS[0], ENGLISH_ERRORS),
        Language::Chinese => (&ERRORS[1], CHINESE_ERRORS),
    };
    // A test reads both; a file that is broken says nothing.
    place.get_or_init(|| text.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_locale_chooses() {
        for (locale, expected) in [
            ("zh_CN.UTF-8", Language::Chinese),
            ("zh_CN", Language::Chinese),
            ("zh-CN", Language::Chinese),
            ("zh", Language::Chinese),
            ("zh_Hans_HK.UTF-8", Language::Chinese),
            ("zh_SG@stroke", Language::Chinese),
            ("zh_TW.UTF-8", Language::English),
            ("C.UTF-8", Language::English),
            ("de_DE.UTF-8", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::of_locale(locale), expected, "{locale}");
        }
    }

    fn keys(table: &toml::Table, path: &str, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = format!("{path}/{key}");
            match value {
                toml::Value::Table(inner) => keys(inner, &path, found),
                value => {
                    let text = value.as_str().unwrap_or_default();
                    assert!(!text.trim().is_empty(), "{path} is empty");
                    found.insert(path);
                }
            }
        }
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let [english, chinese] = [ENGLISH_ERRORS, CHINESE_ERRORS].map(|text| {
            let table: toml::Table = text.parse().expect("TOML");
            let mut found = BTreeSet::new();
            keys(&table, "", &mut found);
            found
        });
        assert_eq!(english, chinese);
    }

    #[test]
    fn every_template_is_of_use_and_keeps_its_placeholders() {
        let faults = template::faults(CHINESE);
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn what_is_said_is_told_in_chinese() {
        for (english, chinese) in [
            ("not connected", "尚未连接"),
            (
                "cannot read a b: No such file or directory (os error 2)",
                "无法读取 a b：没有那个文件或目录 (os error 2)",
            ),
            (
                "x: the server says 550 no such file",
                "x：服务器回复 550 no such file",
            ),
            ("nobody has translated this", "nobody has translated this"),
        ] {
            assert_eq!(Language::Chinese.told(english), chinese);
            assert_eq!(Language::English.told(english), english);
        }
    }
}
