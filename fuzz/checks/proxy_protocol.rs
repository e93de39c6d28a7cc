//! What stands before a connection of a balancer: any bytes are answered, and none behind the header is eaten.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_net::Conn;
use wharf_net::proxy_protocol::read_header;

/// The longest headers of versions 1 and 2
const LONGEST: usize = 16 + 4096;
const LONGEST_TEXT: usize = 107;

pub(crate) fn check(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut far, near) = tokio::io::duplex(data.len().max(1));
        far.write_all(data).await.expect("room for all of it");
        drop(far);
        let at = |text: &str| text.parse().expect("an address");
        let (own, balancer) = (at("10.0.0.9:21"), at("10.0.0.2:33000"));
        let conn = Conn::foreign(Box::new(near), own, balancer);
        let Ok(mut conn) = read_header(conn, Duration::from_mins(1)).await else {
            return;
        };
        let mut rest = Vec::new();
        conn.read_to_end(&mut rest).await.expect("what is left");
        assert!(data.ends_with(&rest));
        let header = data.len() - rest.len();
        assert!(header <= LONGEST);
        if data.starts_with(b"PROXY") {
            assert!(header <= LONGEST_TEXT && data[..header].ends_with(b"\r\n"));
        }
        assert_eq!(conn.bound_addr(), own);
    });
}
