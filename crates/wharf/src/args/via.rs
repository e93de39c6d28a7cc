//! Flags about proxies, the same for every client command.

use clap::Args;
use wharf_proto::ftp_proxy::Dialogue;

/// Flags about proxies.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ViaArgs {
    /// Proxy: socks5h://, socks5://, socks4a://, socks4://, http://, https:// or ftp://[USER[:PASSWORD]@]HOST[:PORT];
    /// `direct` is none [default: $ftp_proxy or $all_proxy]
    #[arg(
        long,
        value_name = "URL",
        env = "WHARF_PROXY",
        help_heading = "Connection"
    )]
    pub(crate) proxy: Option<String>,

    /// Hosts that are reached without the proxy, with commas; `*` is all [default: $no_proxy]
    #[arg(
        long,
        value_name = "HOSTS",
        env = "WHARF_NO_PROXY",
        help_heading = "Connection"
    )]
    pub(crate) no_proxy: Option<String>,

    /// How an ftp:// proxy is told where to go: user@host, site, open, two-logins, proxyuser@host, acct,
    /// user@proxyuser@host, proxypass@pass, gate, or lines such as `USER %u@%h;PASS %p`
    #[arg(
        long,
        value_name = "STYLE",
        env = "WHARF_PROXY_LOGIN",
        help_heading = "Connection"
    )]
    pub(crate) proxy_login: Option<Dialogue>,
}
