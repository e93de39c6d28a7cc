//! `wharf help modes`: active and passive, explained with sessions that the lab recorded.

use std::io::IsTerminal;

use wharf_ladder::render::{self, Look};
use wharf_ladder::source;
use wharf_ladder::{Ladder, Options, figures};

use crate::language::Language;
use crate::terminal;

/// A part of the text: words, or a figure drawn from its trace.
enum Part {
    Words(&'static str),
    Figure(&'static str),
}

const PARTS: &[Part] = &[
    Part::Words(BEGINNING),
    Part::Figure(figures::ACTIVE),
    Part::Words(ACTIVE),
    Part::Figure(figures::PASSIVE),
    Part::Words(PASSIVE),
    Part::Figure(figures::ONE_PORT),
    Part::Words(BLOCKED),
    Part::Figure(figures::PASSIVE_BLOCKED),
    Part::Words(NAT),
    Part::Figure(figures::ACTIVE_BEHIND_NAT),
    Part::Words(END),
];

const BEGINNING: &str = "\
Data modes: who opens the data connection

FTP uses two connections. The control connection carries commands and replies: the client opens it, from
any port of its own, to port 21 of the server. Every transfer and every listing has a data connection of
its own, and the data mode says who opens that one. The figures are sessions that were recorded as packets
and drawn by `wharf ladder`: the numbers at the sides are ports, a single line is the control connection,
a double line the data connection, and its arrow shows who opened it and which way the bytes went.


Active: the server opens the data connection

";

const ACTIVE: &str = "
 * The client listens and says where: PORT names an address and a port, the port as two numbers
   (184 x 256 + 208 = 47312); EPRT does the same for IPv6. The port is any free one, not the one above the
   port of the control connection.
 * Nothing is opened until the client asks for a transfer (RETR, STOR, LIST). Then the server connects, and
   says 150 on the control connection, before or after; at the end of the data connection it says 226.
 * Port 20 is the server's end of active data connections, and of no others; and only if the server can and
   wants to send from it. ProFTPD since 1.3.7 does not unless told to.
 * The client must be reachable from outside: not behind a NAT, unless ports are forwarded (--active-addr,
   --port-range), and not behind a firewall that drops what was not asked for. The server's firewall needs
   to let in port 21, and out what comes from port 20.


Passive: the client opens the data connection

";

const PASSIVE: &str = "
 * The client asks with PASV or EPSV, and the server says in its reply where it listens: 227 names an
   address and a port, 229 a port. A server never sends PORT: that is a client's command.
 * The client connects from any port. The client's firewall and NAT need nothing but ways out.
 * The server's firewall must let in port 21 and the ports that the server may name: give it a range
   (`wharf serve --passive-ports`). A server behind a NAT must know its outer address (--advertise), and the
   range must be forwarded.

The server may name the port of the control connection itself (`wharf serve --one-port on`): then port 21
is all that a firewall lets in, or a NAT forwards.

";

const BLOCKED: &str = "

Where it breaks

A firewall that lets in port 21 and forgets the range: the reply is fine, and then there is silence.
Active mode looks the same from the other side when the client's firewall drops the server's connection:
the arrow comes from the server, and after a minute or two 425.

";

const NAT: &str = "
A NAT changes the addresses of packets, not those in commands. Seen from outside of a home router, the
client asks for a connection to an address of its own network, and a careful server refuses:

";

const END: &str = "

What wharf does

auto      wharf's default: EPSV, then PASV, and meanwhile active on a second login; behind a NAT with a port
          that the router forwards on request (PCP, NAT-PMP, UPnP). A refusal costs one round trip,
          silence 1.3 s, the whole search at most 8 s. What worked is kept for the session and
          remembered for the next one from the same network: --no-memory, `wharf forget HOST`.

Who asks for active behind a NAT whose address the server refuses is told so, and gets the file: by a port of
the router, else passive.

--mode auto|passive|active|epsv|pasv|eprt|port   which of them may be used; -p is passive, -A active
--data-host peer|reply   passive data connections go to the server itself whatever address its PASV reply
                         holds (peer), or to that address (reply): only for servers that are trusted
--data-timeout TIME      how long a silent way is waited for
--ladder                 draw the session like this while it runs; -v shows the dialogue
--trace FILE             write down who opened what, to where; `wharf ladder FILE` draws it, and so it does
                         with what tcpdump -w wrote
";

/// The words of the parts, in their order.
const CHINESE: &str = include_str!("../../messages/zh-CN/modes.txt");

/// Between two of them.
const BETWEEN: &str = "=====\n";

/// The whole topic, for standard output.
pub(super) fn text(language: Language) -> String {
    told(&terminal::look(std::io::stdout().is_terminal()), language)
}

fn told(look: &Look, language: Language) -> String {
    let mut translated = CHINESE.split(BETWEEN);
    let one = |part: &Part| match part {
        Part::Words(_) if language == Language::Chinese => {
            translated.next().unwrap_or_default().to_owned()
        }
        part => part.told(look),
    };
    PARTS.iter().map(one).collect()
}

impl Part {
    fn told(&self, look: &Look) -> String {
        match self {
            Self::Words(text) => (*text).to_owned(),
            Self::Figure(trace) => {
                let events = source::read(trace.as_bytes()).unwrap_or_default();
                render::text(&Ladder::from_events(&events, &Options::default()), look)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_translation_has_the_same_parts() {
        let words = PARTS.iter().filter(|part| matches!(part, Part::Words(_)));
        assert_eq!(CHINESE.split(BETWEEN).count(), words.count());
        let text = told(&Look::default(), Language::Chinese);
        assert!(text.ends_with("tcpdump -w 写的文件也可以\n"), "{text}");
        for line in text.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 120, "{line}");
        }
    }

    #[test]
    fn every_figure_is_drawn_and_fits() {
        for ascii in [false, true] {
            let look = Look {
                ascii,
                ..Look::default()
            };
            for part in PARTS {
                let text = part.told(&look);
                assert!(
                    text.lines().count() >= 8 || matches!(part, Part::Words(_)),
                    "{text}"
                );
                let longest = text.lines().map(|line| line.chars().count()).max();
                assert!(longest <= Some(110), "{text}");
            }
            let text = told(&look, Language::English);
            assert_eq!(text.is_ascii(), ascii);
            assert!(text.contains("data connection, to the control port"));
        }
    }
}
