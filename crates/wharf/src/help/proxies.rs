//! `wharf help proxies`.

use std::fmt::Write as _;

use wharf_proto::ftp_proxy::STYLES;

pub(super) fn text() -> String {
    let mut text = String::from(
        "Proxies

  --proxy PROTOCOL://[user[:password]@]host[:port]      or WHARF_PROXY

socks5h, socks4a   SOCKS; the proxy resolves the server's name. Port 1080
socks5, socks4     SOCKS; the name is resolved here
http, https        HTTP CONNECT; the proxy resolves the name. Port 1080, and 443 for https. Without a protocol
                   an address is http
ftp                an FTP proxy: it is logged in to, and told where to go on to (--proxy-login)
direct             none

Control connection and data connections go the same way. Passive data connections work through every proxy that
permits the server's passive ports; many HTTP proxies permit port 443 alone. Active ones (--active) need SOCKS
with BIND; an HTTP proxy cannot carry them, and with FTP proxies they come from the proxy. TLS with the server goes
through SOCKS and HTTP proxies unread; with an FTP proxy it ends there, and the certificate is the proxy's.

Without --proxy the environment is asked, as by curl: ftp_proxy, FTP_PROXY, all_proxy, ALL_PROXY; the first that is set
counts. --no-proxy, else no_proxy or NO_PROXY, names hosts that are reached without: names and networks with commas, a
name stands for everything below it, too, and * for all. Other than curl, an http:// proxy is always used with CONNECT.

A password in --proxy can be seen by every user of the machine: leave it out, and it is taken from ~/.netrc (machine
PROXYHOST login USER password ...) or asked for; or put the whole address into the variable. Through a proxy nothing is
remembered about ways to data connections.

--proxy-login STYLE, for ftp:// proxies. user@host is the usual one; lines with the proxy's own user (%s) are left out
where its address names none:

",
    );
    for style in STYLES {
        let _ = writeln!(text, "  {:<20} {}", style.word, style.lines.join(" | "));
    }
    text.push_str(
        "\nor lines of your own with ; between them: %u user, %p password, %a account, %h host (with :port unless 21), %H host,
%n port, %s the proxy's user, %w its password.\n",
    );
    text
}
