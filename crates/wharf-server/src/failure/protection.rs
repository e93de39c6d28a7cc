//! What is said when a data connection is not protected as it must be (522), or ends as if it had been cut (426).

use std::io;

use wharf_net::tls::TlsError;

/// Text of the 522 of RFC 4217 §10 for a session that is not the control connection's
pub(super) const NOT_RESUMED: &str = "The data connection did not resume the TLS session of this control connection \
    (server setting tls.data_session = \"require\")";

/// Text of the 522 for a handshake that did not come about
pub(super) fn unprotected(error: &TlsError) -> String {
    let why = match error {
        TlsError::Silent(seconds) => {
            format!("the client did not take part within {seconds} s")
        }
        TlsError::Handshake(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client ended the connection".to_owned()
        }
        TlsError::Handshake(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            "the connection was reset".to_owned()
        }
        TlsError::Handshake(error) => error.to_string(),
        other => other.to_string(),
    };
    format!("No TLS on the data connection, which PROT P asks for: {why}")
}

/// Text of the 426 for an end without close_notify
pub(super) fn cut(received: u64) -> String {
    format!(
        "The data connection ended without a TLS close_notify after {received} bytes received: it may have been cut; \
         transfer incomplete (server setting tls.truncation = \"strict\")"
    )
}
