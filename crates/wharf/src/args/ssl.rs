//! `-z` of ftp-ssl: TLS in words of its own, one flag for all of it.

use std::path::PathBuf;

use super::tls::{TlsArg, TlsArgs};

/// One option behind `-z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SslWord {
    /// `nossl`: in clear.
    Off,
    /// `secure`: TLS or nothing.
    Required,
    /// `verify=1`: the certificate is examined, which it always is.
    Verified,
    /// `cacert=FILE`, and OpenBSD's `cafile=FILE`.
    Authority(PathBuf),
    /// `cert=FILE`
    Certificate(PathBuf),
    /// `key=FILE`
    Key(PathBuf),
    /// `ssl`, `debug`, `verbose`, `cipher=`: what changes nothing here, for the dialogue tells it and ciphers are not chosen.
    Nothing,
}

impl SslWord {
    /// For clap.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        match (name, value) {
            ("nossl", None) => Ok(Self::Off),
            ("secure", None) => Ok(Self::Required),
            ("ssl" | "debug" | "verbose", None) | ("cipher" | "ciphers", Some(_)) => {
                Ok(Self::Nothing)
            }
            ("verify", Some("0")) | ("dont", None) => Err(format!(
                "`{text}`: certificates are always examined; --pin SHA256 believes one that nobody vouches for"
            )),
            ("verify", Some(_)) | ("do", None) => Ok(Self::Verified),
            ("cacert" | "cafile", Some(file)) => Ok(Self::Authority(file.into())),
            ("cert", Some(file)) => Ok(Self::Certificate(file.into())),
            ("key", Some(file)) => Ok(Self::Key(file.into())),
            _ => Err(format!(
                "`{text}` is not known: nossl, secure, verify=1, cacert=FILE, cert=FILE, key=FILE"
            )),
        }
    }

    /// What the words say is added to the flags about TLS; these beat them.
    pub(crate) fn apply(words: &[Self], tls: &mut TlsArgs) {
        for word in words {
            match word {
                Self::Off if tls.tls == TlsArg::Prefer => tls.tls = TlsArg::Off,
                Self::Required => tls.tls = TlsArg::Require,
                Self::Authority(file) => tls.ca.push(file.clone()),
                Self::Certificate(file) if tls.cert.is_none() => tls.cert = Some(file.clone()),
                Self::Key(file) if tls.key.is_none() => tls.key = Some(file.clone()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_ftp_ssl_are_flags_about_tls() {
        let mut tls = TlsArgs::default();
        let words = [
            "secure",
            "verify=1",
            "cacert=ca.pem",
            "cert=me.pem",
            "debug",
        ];
        let words: Vec<SslWord> = words.iter().map(|it| SslWord::read(it).unwrap()).collect();
        SslWord::apply(&words, &mut tls);
        assert_eq!(tls.tls, TlsArg::Require);
        assert_eq!(tls.ca, [PathBuf::from("ca.pem")]);
        assert_eq!(tls.cert, Some(PathBuf::from("me.pem")));
        let mut tls = TlsArgs::default();
        SslWord::apply(&[SslWord::Off], &mut tls);
        assert_eq!(tls.tls, TlsArg::Off);
        // Who wants a certificate not to be examined is told what to do instead.
        for bad in ["verify=0", "dont", "colour=blue", "cacert"] {
            assert!(SslWord::read(bad).is_err(), "{bad}");
        }
    }
}
