//! Why a handshake failed, in people's words, with what may be done about it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Cause and next step (which may be empty) of a failed handshake.
pub(super) fn words(error: &io::Error) -> (String, &'static str) {
    if let Some(error) = error.get_ref().and_then(|it| it.downcast_ref::<Error>()) {
        return of_tls(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (
            "the peer closed the connection instead of answering".to_owned(),
            "its log tells why; it may want another version of TLS or a client certificate",
        ),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => (
            "the peer cut the connection".to_owned(),
            "its log tells why; a firewall in between may refuse TLS",
        ),
        _ => (error.to_string(), ""),
    }
}

fn of_tls(error: &Error) -> (String, &'static str) {
    match error {
        Error::InvalidMessage(_) => (
            "what the peer sent is not TLS".to_owned(),
            "the port may be one for TLS after AUTH (explicit, ftpes, 21) and not from the first byte \
             (implicit, ftps, 990), or the other way round",
        ),
        Error::AlertReceived(alert) => {
            let (cause, step) = of_alert(*alert);
            (cause.to_owned(), step)
        }
        Error::PeerIncompatible(why) => (
            format!("the peer offers no TLS that is spoken here ({why:?})"),
            "TLS 1.2 and 1.3 are spoken, with ciphers that are not known to be broken",
        ),
        Error::NoCertificatesPresented => (
            "the peer showed no certificate, and one is demanded".to_owned(),
            "",
        ),
        Error::NoApplicationProtocol => (
            "the peer wants to speak something other than FTP (ALPN)".to_owned(),
            "",
        ),
        Error::InvalidCertificate(why) => (of_certificate(why), ""),
        _ => (error.to_string(), ""),
    }
}

fn of_certificate(why: &CertificateError) -> String {
    let why = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has ended",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet"
        }
        CertificateError::UnknownIssuer => "no authority that is known here has signed it",
        CertificateError::Revoked => "it was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it was made for another purpose"
        }
        CertificateError::BadSignature => "what it signed is wrong",
        _ => return format!("the peer's certificate is not believed: {why}"),
    };
    format!("the peer's certificate is not believed: {why}")
}

/// What the peer says (RFC 8446 §6.2).
fn of_alert(alert: AlertDescription) -> (&'static str, &'static str) {
    match alert {
        AlertDescription::HandshakeFailure => (
            "the peer says that there is no common way of TLS (handshake_failure)",
            "it may be too old, or want a client certificate or a server name",
        ),
        AlertDescription::ProtocolVersion => (
            "the peer does not speak a version of TLS that is allowed here (protocol_version)",
            "TLS 1.2 and 1.3 are spoken; older ones are broken",
        ),
        AlertDescription::UnknownCA => (
            "the peer does not know who signed our certificate (unknown_ca)",
            "it must be told of the authority, or of this certificate by its fingerprint",
        ),
        AlertDescription::CertificateExpired => (
            "the peer says that our certificate has ended (certificate_expired)",
            "",
        ),
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked => (
            "the peer does not believe our certificate",
            "it may be self-signed, for another name, or not for this purpose",
        ),
        AlertDescription::CertificateRequired => (
            "the peer demands a client certificate (certificate_required)",
            "it must be shown one: wharf has --cert and --key for it",
        ),
        AlertDescription::AccessDenied => ("the peer denies access (access_denied)", ""),
        AlertDescription::NoApplicationProtocol => (
            "the peer speaks something other than FTP there (no_application_protocol)",
            "",
        ),
        AlertDescription::UnrecognisedName => (
            "the peer knows no server of that name (unrecognized_name)",
            "",
        ),
        AlertDescription::DecryptError | AlertDescription::BadRecordMac => (
            "the peer cannot make sense of what was sent: somebody in between changed it, or a library is broken",
            "",
        ),
        AlertDescription::UserCanceled => ("the peer gave up (user_canceled)", ""),
        AlertDescription::CloseNotify => ("the peer ended TLS instead of answering", ""),
        AlertDescription::InternalError => (
            "the peer failed within itself (internal_error)",
            "its log tells why",
        ),
        _ => ("the peer refused with an alert", "its log tells why"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{InvalidMessage, PeerIncompatible};

    #[test]
    fn causes_are_said_in_words() {
        let tls = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error);
        for (error, cause) in [
            (
                tls(InvalidMessage::InvalidContentType.into()),
                "what the peer sent is not TLS",
            ),
            (
                io::ErrorKind::UnexpectedEof.into(),
                "the peer closed the connection instead of answering",
            ),
            (
                tls(Error::AlertReceived(AlertDescription::UnknownCA)),
                "the peer does not know who signed our certificate (unknown_ca)",
            ),
            (
                tls(Error::AlertReceived(AlertDescription::Unknown(200))),
                "the peer refused with an alert",
            ),
            (
                tls(PeerIncompatible::Tls12NotOffered.into()),
                "the peer offers no TLS that is spoken here (Tls12NotOffered)",
            ),
            (
                tls(CertificateError::UnknownIssuer.into()),
                "the peer's certificate is not believed: no authority that is known here has signed it",
            ),
            (io::Error::other("odd"), "odd"),
        ] {
            assert_eq!(words(&error).0, cause, "{error:?}");
        }
    }
}
