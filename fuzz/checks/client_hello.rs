//! What a connection begins with: any bytes are answered, and more of them never take a verdict back.

use wharf_net::tls::{FirstBytes, LONGEST_HELLO};

pub(crate) fn check(data: &[u8]) {
    let whole = FirstBytes::of(data);
    if let FirstBytes::Hello(names) = &whole {
        assert!(names.len() <= 8);
    }
    if data.len() >= LONGEST_HELLO {
        assert_ne!(whole, FirstBytes::Part);
    }
    let mut decided = None;
    let step = data.len() / 64 + 1;
    for cut in (0..=data.len()).step_by(step) {
        let so_far = FirstBytes::of(&data[..cut]);
        if let Some(earlier) = &decided {
            assert_eq!(earlier, &so_far, "{cut}");
        } else if so_far != FirstBytes::Part {
            decided = Some(so_far);
        }
    }
    if let Some(decided) = decided {
        assert_eq!(decided, whole);
    }
}
