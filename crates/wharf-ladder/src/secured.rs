//! What is said of TLS, in pictures and on the screen.

use wharf_proto::trace::{TlsOn, TlsStep};

use crate::shown;

/// Octets of a fingerprint that are enough to tell two certificates apart in a picture; the trace has all of them.
const OCTETS: usize = 6;

/// A handshake, its failure or the end of TLS, in one line that is fit to be shown.
pub fn tls_told(on: TlsOn, step: &TlsStep) -> String {
    let on = match on {
        TlsOn::Control => "control connection",
        TlsOn::Data => "data connection",
    };
    let told = match step {
        TlsStep::Secured {
            version,
            suite,
            resumed,
            took,
            certificate,
        } => {
            let resumed = if *resumed { ", session resumed" } else { "" };
            let certificate = certificate.as_deref().map_or(String::new(), |it| {
                let short: Vec<&str> = it.split(':').take(OCTETS).collect();
                format!(", certificate {}...", short.join(":"))
            });
            let took = took.as_millis();
            format!("{on}: TLS {version} ({suite}){resumed}, {took} ms{certificate}")
        }
        TlsStep::Failed { took, reason } => {
            format!("{on}: no TLS after {} ms: {reason}", took.as_millis())
        }
        TlsStep::Cleared => format!("{on}: in clear again (CCC)"),
    };
    shown::text(told.as_bytes())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use wharf_proto::trace;

    use crate::render::{Look, mermaid, text};
    use crate::{Ladder, Options};

    #[test]
    fn every_picture_tells_of_tls() {
        let events = trace::read(
            b"@0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21\n\
              @0.001 s1 < 220 ready\n@0.002 s1 > AUTH TLS\n@0.003 s1 < 234 go on\n\
              @0.100 s1 * control secured 1.3 TLS13_AES_256_GCM_SHA384 anew 97 AB:CD:EF:01:02:03:04:05\n\
              @0.101 s1 > CCC\n@0.102 s1 < 200 fine\n@0.103 s1 * control cleared\n\
              @0.104 s1 > RETR a\n@0.105 s1 ! opened user 192.0.2.7:40001 203.0.113.9:50000\n@0.106 s1 < 150 now\n\
              @0.108 s1 * data secured 1.3 TLS13_AES_256_GCM_SHA384 resumed 2 -\n@0.109 s1 ! closed 5 end\n@0.110 s1 < 226 done\n\
              @0.111 s1 > RETR b\n@0.112 s1 ! opened user 192.0.2.7:40002 203.0.113.9:50001\n\
              @0.113 s1 * data failed 1 the peer cut \x1b[31mthe connection\n@0.114 s1 ! closed 0 broken\n",
        );
        assert_eq!(events.unread, []);
        let ladder = Ladder::from_events(&events.events, &Options::default());
        let look = Look {
            width: 110,
            ..Look::default()
        };
        expect![[r"
            user                                                                                                    server
            192.0.2.7                                                                                          203.0.113.9
                  │                                                                                                │
            40000 ├─ control connection ──────────────────────────────────────────────────────────────────────────▶│ 21
                  │  control connection: TLS 1.3 (TLS13_AES_256_GCM_SHA384), 97 ms, certificate                    │
                  │  AB:CD:EF:01:02:03...                                                                          │
                  │  control connection: in clear again (CCC)                                                      │
                  │  AUTH, CCC                                                                                     │
            40000 ├─ RETR a ──────────────────────────────────────────────────────────────────────────────────────▶│ 21
            40001 ╞═ data connection ═════════════════════════════════════════════════════════════════════════════▶│ 50000
            40000 │◀─ 150 now ─────────────────────────────────────────────────────────────────────────────────────┤ 21
                  │  data connection: TLS 1.3 (TLS13_AES_256_GCM_SHA384), session resumed, 2 ms                    │
            40001 │◀═ 5 bytes ═════════════════════════════════════════════════════════════════════════════════════╡ 50000
            40000 │◀─ 226 done ────────────────────────────────────────────────────────────────────────────────────┤ 21
            40000 ├─ RETR b ──────────────────────────────────────────────────────────────────────────────────────▶│ 21
            40002 ╞═ data connection ═════════════════════════════════════════════════════════════════════════════▶│ 50001
                  │  data connection: no TLS after 1 ms: the peer cut ␛[31mthe connection                          │
            40002 │                                ✗═ broken before the first byte ════════════════════════════════╡ 50001
        "]].assert_eq(&text(&ladder, &look));
        let drawn = mermaid(&ladder, &look);
        for told in [
            "TLS 1.3",
            "session resumed",
            "in clear again",
            "no TLS after 1 ms",
        ] {
            assert!(drawn.contains(told), "{told}: {drawn}");
        }
    }
}
