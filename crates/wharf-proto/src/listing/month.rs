//! Names of months, as `ls` writes them in the locales of the world.
//!
//! Only names that mean the same month wherever they are used. `lip` is June in Zagreb and July in Warsaw, `lis` October and
//! November, `jui` of French VMS June or July: a line with such a name is not understood, rather than misread.

/// Every known name in lower case. English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Czech, Hungarian,
/// Scandinavian, Finnish, Turkish, Romanian, Baltic, Russian, Ukrainian, Bulgarian, Greek.
const MONTHS: [&[&str]; 12] = [
    &[
        "jan",
        "january",
        "jän",
        "jänner",
        "januar",
        "janv",
        "janvier",
        "ene",
        "enero",
        "gen",
        "gennaio",
        "janeiro",
        "januari",
        "sty",
        "stycznia",
        "led",
        "ledna",
        "tammi",
        "oca",
        "ocak",
        "ian",
        "jaan",
        "sau",
        "янв",
        "января",
        "січ",
        "яну",
        "ιαν",
    ],
    &[
        "feb",
        "february",
        "februar",
        "févr",
        "fév",
        "février",
        "fevr",
        "febrero",
        "febbraio",
        "fev",
        "fevereiro",
        "februari",
        "lut",
        "lutego",
        "úno",
        "února",
        "febr",
        "helmi",
        "şub",
        "şubat",
        "veebr",
        "vas",
        "фев",
        "февр",
        "февраля",
        "лют",
        "φεβ",
    ],
    &[
        "mar",
        "march",
        "mär",
        "märz",
        "mrz",
        "mars",
        "marzo",
        "março",
        "mrt",
        "maart",
        "marca",
        "bře",
        "března",
        "márc",
        "maalis",
        "mart",
        "märts",
        "kov",
        "мар",
        "марта",
        "бер",
        "μαρ",
    ],
    &[
        "apr",
        "april",
        "avr",
        "avril",
        "abr",
        "abril",
        "aprile",
        "kwi",
        "kwietnia",
        "dub",
        "dubna",
        "ápr",
        "huhti",
        "nis",
        "nisan",
        "апр",
        "апреля",
        "кві",
        "απρ",
    ],
    &[
        "may", "mai", "mayo", "mag", "maggio", "maio", "mei", "maj", "maja", "kvě", "května",
        "máj", "touko", "mayıs", "geg", "май", "мая", "тра", "μαΐ", "μάι",
    ],
    &[
        "jun", "june", "juni", "juin", "junio", "giu", "giugno", "junho", "cze", "czerwca", "čen",
        "čvn", "června", "jún", "kesä", "haz", "haziran", "iun", "juuni", "bir", "июн", "июня",
        "чер", "юни", "ιουν",
    ],
    &[
        "jul",
        "july",
        "juli",
        "juil",
        "juillet",
        "julio",
        "lug",
        "luglio",
        "julho",
        "lipca",
        "čec",
        "čvc",
        "července",
        "júl",
        "heinä",
        "tem",
        "temmuz",
        "iul",
        "juuli",
        "июл",
        "июля",
        "лип",
        "юли",
        "ιουλ",
    ],
    &[
        "aug",
        "august",
        "août",
        "aoû",
        "aou",
        "ago",
        "agosto",
        "augustus",
        "sie",
        "sierpnia",
        "elo",
        "ağu",
        "ağustos",
        "avg",
        "авг",
        "августа",
        "сер",
        "αυγ",
    ],
    &[
        "sep",
        "sept",
        "september",
        "septembre",
        "septiembre",
        "set",
        "sett",
        "settembre",
        "setembro",
        "wrz",
        "września",
        "zář",
        "září",
        "szept",
        "syys",
        "eyl",
        "eylül",
        "сен",
        "сент",
        "сентября",
        "вер",
        "σεπ",
    ],
    &[
        "oct",
        "october",
        "okt",
        "oktober",
        "octobre",
        "octubre",
        "ott",
        "ottobre",
        "out",
        "outubro",
        "paź",
        "października",
        "říj",
        "října",
        "loka",
        "eki",
        "ekim",
        "окт",
        "октября",
        "жов",
        "οκτ",
    ],
    &[
        "nov",
        "november",
        "novembre",
        "noviembre",
        "novembro",
        "listopadu",
        "listopada",
        "marras",
        "kas",
        "kasım",
        "noi",
        "ноя",
        "нояб",
        "ноября",
        "лис",
        "ное",
        "νοε",
    ],
    &[
        "dec",
        "december",
        "dez",
        "dezember",
        "déc",
        "décembre",
        "dic",
        "diciembre",
        "dicembre",
        "dezembro",
        "gru",
        "grudnia",
        "pro",
        "prosince",
        "joulu",
        "ara",
        "aralık",
        "des",
        "desember",
        "dets",
        "дек",
        "декабря",
        "гру",
        "δεκ",
    ],
];

/// The month of a name: one that `ls` writes in some locale, in any case, a period behind it tolerated. In UTF-8, Latin-1
/// or Windows-1251.
pub(super) fn month(word: &[u8]) -> Option<u8> {
    let word = word.strip_suffix(b".").unwrap_or(word);
    if word.len() < 3 || word.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match std::str::from_utf8(word) {
        Ok(text) => find(text),
        Err(_) => find(&latin1(word)).or_else(|| find(&windows_1251(word))),
    }
}

fn find(text: &str) -> Option<u8> {
    let lower = text.to_lowercase();
    let place = MONTHS
        .iter()
        .position(|names| names.contains(&lower.as_str()))?;
    u8::try_from(place + 1).ok()
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The letters of Russian; everything else as in Latin-1.
fn windows_1251(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            0xc0.. => char::from_u32(0x410 + u32::from(*byte) - 0xc0).unwrap_or('?'),
            _ => char::from(*byte),
        })
        .collect()
}

/// The unit behind a number in Chinese, Japanese and Korean dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Year,
    Month,
    Day,
}

/// Their signs in UTF-8, Shift JIS, EUC-JP, GBK, Big5, EUC-KR.
const SIGNS: [(Unit, [&[u8]; 7]); 3] = [
    (
        Unit::Year,
        [
            "年".as_bytes(),
            "년".as_bytes(),
            b"\x94\x4e",
            b"\xc7\xaf",
            b"\xc4\xea",
            b"\xa6\x7e",
            b"\xb3\xe2",
        ],
    ),
    (
        Unit::Month,
        [
            "月".as_bytes(),
            "월".as_bytes(),
            b"\x8c\x8e",
            b"\xb7\xee",
            b"\xd4\xc2",
            b"\xa4\xeb",
            b"\xbf\xf9",
        ],
    ),
    (
        Unit::Day,
        [
            "日".as_bytes(),
            "일".as_bytes(),
            b"\x93\xfa",
            b"\xc6\xfc",
            b"\xc8\xd5",
            b"\xa4\xe9",
            b"\xc0\xcf",
        ],
    ),
];

/// `4月`, `18日`, `2005年`: the number and its unit.
pub(super) fn counted(word: &[u8]) -> Option<(u16, Unit)> {
    let end = word.iter().position(|b| !b.is_ascii_digit())?;
    let (digits, sign) = word.split_at(end);
    let (unit, _) = SIGNS.iter().find(|(_, signs)| signs.contains(&sign))?;
    let value = super::words::number(digits)?;
    Some((u16::try_from(value).ok()?, *unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_months() {
        for (place, names) in MONTHS.iter().enumerate() {
            for name in *names {
                let others = MONTHS.iter().skip(place + 1);
                assert!(others.into_iter().all(|it| !it.contains(name)), "{name}");
                assert_eq!(name.to_lowercase(), *name);
            }
        }
    }

    #[test]
    fn names_in_any_case_and_charset() {
        let table: [(&[u8], Option<u8>); 11] = [
            (b"Jan", Some(1)),
            (b"JUN", Some(6)),
            (b"szept", Some(9)),
            ("Août".as_bytes(), Some(8)),
            (b"ao\xfbt", Some(8)),
            (b"M\xe4rz", Some(3)),
            ("ЯНВ".as_bytes(), Some(1)),
            (b"\xff\xed\xe2", Some(1)), // Windows-1251
            (b"12", None),
            (b"janitor", None),
            (b"jui", None), // juin or juillet
        ];
        for (name, want) in table {
            assert_eq!(month(name), want, "{}", name.escape_ascii());
        }
    }
}
