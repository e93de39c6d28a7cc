//! The addresses of PORT, EPRT, LPRT, 227, 228 and 229: strict forms write back to themselves.

use wharf_proto::host_port::{
    read_227, read_228, read_229, read_eprt, read_epsv, read_lprt, read_port, write_227_text,
    write_229_text, write_port,
};

pub(crate) fn check(data: &[u8]) {
    if let Ok(address) = read_port(data) {
        assert_eq!(read_port(write_port(address).as_bytes()), Ok(address));
    }
    if let Some(address) = read_227(data) {
        assert_eq!(read_227(write_227_text(address).as_bytes()), Some(address));
    }
    if let Some(port) = read_229(data) {
        assert_eq!(read_229(write_229_text(port).as_bytes()), Some(port));
    }
    let _ = read_228(data);
    let _ = read_eprt(data);
    let _ = read_epsv(data);
    let _ = read_lprt(data);
}
