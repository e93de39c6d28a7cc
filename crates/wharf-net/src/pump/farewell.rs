//! The end of an upload in TLS, on the user's side.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::data::DataConnection;

/// What may still come behind an upload: tickets and a close_notify.
const BEHIND: usize = 64 * 1024;

/// The end of an upload in TLS: close_notify, and everything that the server still sends is read.
///
/// That is where the tickets of TLS 1.3 are, without which the next data connection could not resume the session.
///
/// # Errors
/// The connection broke before the close_notify was sent.
pub async fn end_upload(mut data: DataConnection, patience: Duration) -> io::Result<()> {
    data.take_cut_for_end();
    data.shutdown().await?;
    let drain = async {
        let mut rest = [0; 1024];
        let mut read = 0;
        // What comes is of no interest, nor is how the connection ends: the file is sent.
        while let Ok(n @ 1..) = data.read(&mut rest).await {
            read += n;
            if read > BEHIND {
                break;
            }
        }
    };
    let _ = timeout(patience, drain).await;
    Ok(())
}
