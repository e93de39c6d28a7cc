//! Values of flags and settings that need reading: durations, port ranges, advertise rules.
//!
//! The command line and the configuration file use the same readers, so both accept the same text.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::time::Duration;

use ipnet::IpNet;
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

use super::transfer::Retries;

/// `30`, `30s`, `500ms`, `5m`, `1h`, `1d`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a duration: expected e.g. 30s, 5m, 1h, 500ms"))?;
    let millis = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => {
            return Err(format!(
                "`{other}` is not a unit of time: expected ms, s, m, h or d"
            ));
        }
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is too long a time"))
}

/// A duration that must not be zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// `100k`, `2M`, `1.5M`: bytes a second, in units of 1024.
pub(crate) fn rate(text: &str) -> Result<NonZeroU64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let wrong = || format!("`{text}` is not a rate: expected e.g. 100k, 2M, 1.5M (bytes a second)");
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(wrong()),
    };
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let tenth: u64 = match tenth.as_bytes() {
        [digit] if digit.is_ascii_digit() => u64::from(digit - b'0'),
        _ => return Err(wrong()),
    };
    let rate = whole
        .checked_mul(factor)
        .and_then(|bytes| bytes.checked_add(tenth * factor / 10))
        .ok_or_else(wrong)?;
    if rate < wharf_net::LEAST_RATE {
        return Err(format!("at least {} bytes a second", wharf_net::LEAST_RATE));
    }
    NonZeroU64::new(rate).ok_or_else(wrong)
}

/// A number of repetitions, or `forever`.
pub(crate) fn retries(text: &str) -> Result<Retries, String> {
    if text.eq_ignore_ascii_case("forever") {
        return Ok(Retries::Forever);
    }
    let times = text.parse().map(Retries::Times);
    times.map_err(|_| format!("`{text}` is not a number of attempts: expected e.g. 5, 0, forever"))
}

/// Reads `LO-HI` or one port.
pub(crate) fn ports(text: &str) -> Result<PortRange, String> {
    let port = |text: &str| {
        text.trim()
            .parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("`{}` is not a port: expected 1 to 65535", text.trim()))
    };
    let (low, high) = match text.split_once(['-', ':']) {
        Some((low, high)) => (port(low)?, port(high)?),
        None => (port(text)?, port(text)?),
    };
    PortRange::new(low, high)
        .map_err(|_| format!("`{low}-{high}` is empty: the first port must not be above the last"))
}

/// Reads an address to listen on: `ADDR:PORT`, `[V6]:PORT`, `:PORT` (every address), `ADDR` (port 21).
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = text
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        return Ok(SocketAddr::new(ip, 21));
    }
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:"))
        && let Ok(port) = port.parse::<u16>()
    {
        return Ok(SocketAddr::new(wildcard(), port));
    }
    Err(format!(
        "`{text}` is not an address to listen on: expected ADDR:PORT, e.g. 0.0.0.0:2121, [::]:21, 127.0.0.1:0"
    ))
}

/// The wildcard address of this machine: `[::]`, which also takes IPv4, or `0.0.0.0` without IPv6.
pub(crate) fn wildcard() -> IpAddr {
    // Found out once: a process in its sandbox must not make such a socket any more.
    static FOUND: OnceLock<IpAddr> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let v6 = IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
        match std::net::UdpSocket::bind((v6, 0)) {
            Ok(_) => v6,
            Err(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        }
    })
}

/// What to tell clients as the server's address in 227 and LPSV replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertise {
    /// Only for clients from this network; `None`: for everybody no rule names.
    pub(crate) clients: Option<IpNet>,
    pub(crate) host: AdvertiseHost,
}

/// The address told, or the name whose current address is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdvertiseHost {
    /// What can be found out.
    Auto,
    Address(IpAddr),
    Name(String),
}

/// What becomes of a PORT with a private address from a public client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PortPolicy {
    /// It is refused
    Refuse,
    /// The address that the client comes from is used
    Repair,
}

/// Reads `refuse` or `repair`.
pub(crate) fn port_policy(text: &str) -> Result<PortPolicy, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not a policy: expected refuse or repair"))
}

/// Whether the control port takes data connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnePort {
    /// Never
    Off,
    /// For clients to which the passive ports did not work
    Auto,
    /// Always
    On,
}

/// Reads `on`, `off` or `auto`.
pub(crate) fn one_port(text: &str) -> Result<OnePort, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not known: expected on, off or auto"))
}

/// Where uploads are written until they are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UploadPolicy {
    /// Beside the name, which they get when they are complete
    Atomic,
    /// Under their name
    Direct,
}

/// Reads `atomic` or `direct`.
pub(crate) fn upload_policy(text: &str) -> Result<UploadPolicy, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not a policy: expected atomic or direct"))
}

/// What of an upload is waited for before it is told as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fsync {
    /// Nothing
    None,
    /// Its content, before it gets its name
    Data,
    /// Its content and its name
    Full,
}

/// Reads `none`, `data` or `full`.
pub(crate) fn fsync(text: &str) -> Result<Fsync, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not known: expected none, data or full"))
}

/// How much of the sandbox there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SandboxLevel {
    /// All of it, or the server does not start
    Strict,
    /// What this system has; what is missing is said
    BestEffort,
    /// None
    Off,
}

/// Reads `strict`, `best-effort` or `off`.
pub(crate) fn sandbox(text: &str) -> Result<SandboxLevel, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not known: expected strict, best-effort or off"))
}

/// Whose passwords are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Auth {
    /// Those of --user, --users and anonymous
    #[default]
    Own,
    /// And those of the users of this system, by /etc/shadow
    System,
    /// And those of the users of this system, by PAM
    Pam,
}

impl Auth {
    /// Whether users of this system are let in, whoever checks their passwords.
    pub(crate) fn is_of_system(self) -> bool {
        self != Self::Own
    }
}

/// Reads `own`, `system` or `pam`.
pub(crate) fn auth(text: &str) -> Result<Auth, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not known: expected own, system or pam"))
}

/// The longest name of a PAM service.
const LONGEST_SERVICE: usize = 64;

/// Reads the name of a PAM service, which is that of a file.
pub(crate) fn pam_service(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = (1..=LONGEST_SERVICE).contains(&text.len())
        && text.bytes().all(known)
        && text.bytes().any(|byte| byte != b'.');
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        format!("{text:?} is not the name of a PAM service: expected letters, digits, -, _ and ., e.g. wharf")
    })
}

/// What a user of the system sees as the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Jail {
    /// The home directory
    #[default]
    Home,
    /// The directory that is served
    Directory,
}

/// Reads `home` or `directory`.
pub(crate) fn jail(text: &str) -> Result<Jail, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not known: expected home or directory"))
}

/// Which shells a user of the system may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shells {
    /// Those in /etc/shells
    #[default]
    Listed,
    /// Any, also one that keeps people from a terminal
    Any,
}

/// Reads `listed` or `any`.
pub(crate) fn shells(text: &str) -> Result<Shells, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not known: expected listed or any"))
}

/// Who may use the control port for data behind one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SharedAddress {
    /// Sessions of one user
    OneUser,
    /// Everybody
    AnyUser,
}

/// Reads `one-user` or `any-user`.
pub(crate) fn shared_address(text: &str) -> Result<SharedAddress, String> {
    clap::ValueEnum::from_str(text, false)
        .map_err(|_| format!("`{text}` is not a policy: expected one-user or any-user"))
}

/// Reads `NET/BITS` or one address.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    text.trim()
        .parse()
        .map_err(|error| format!("`{}` is not a network: {error}", text.trim()))
}

/// Reads `auto`, `ADDR`, `NAME` or `NET=auto|ADDR|NAME`.
pub(crate) fn advertise(text: &str) -> Result<Advertise, String> {
    let text = text.trim();
    let (clients, host) = match text.split_once('=') {
        None => (None, text),
        Some((net, host)) => {
            let net = net.trim();
            let net = net
                .parse::<IpNet>()
                .or_else(|_| net.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| {
                    format!("`{net}` is not a network: expected e.g. 192.168.0.0/16 in NET=ADDR")
                })?;
            (Some(net), host.trim())
        }
    };
    let host = match host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        Ok(address) if address.is_unspecified() => {
            return Err(format!("`{host}` is no address a client could connect to"));
        }
        Ok(address) => AdvertiseHost::Address(address),
        Err(_) if host.eq_ignore_ascii_case("auto") => AdvertiseHost::Auto,
        Err(_) if is_host_name(host) => AdvertiseHost::Name(host.to_owned()),
        Err(_) => return Err(format!("`{host}` is neither an IP address nor a host name")),
    };
    Ok(Advertise { clients, host })
}

/// Letters, digits, `-`, `_` and dots, not all of it digits (that would be a mistyped address).
fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// The charset of names on the server; `None` stands for `auto` and for UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CharsetArg(pub(crate) Option<wharf_client::Charset>);

impl std::fmt::Display for CharsetArg {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(charset) => out.write_str(charset.name()),
            None => out.write_str("auto"),
        }
    }
}

/// `auto`, or the name of a charset.
pub(crate) fn charset(text: &str) -> Result<CharsetArg, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(CharsetArg(None));
    }
    wharf_client::Charset::find(text)
        .map(CharsetArg)
        .map_err(|error| error.to_string())
}

/// `4096`, `100k`, `1.5M`, `2G`: bytes, units of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("not a size: {text} (examples: 4096, 100k, 1.5M, 2G)");
    let digits = text
        .find(|it: char| !it.is_ascii_digit() && it != '.')
        .unwrap_or(text.len());
    let (amount, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    if fraction.is_empty() || fraction.len() > 6 {
        return Err(wrong());
    }
    let parts: u64 = fraction.parse().map_err(|_| wrong())?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
    let more = u128::from(factor) * u128::from(parts) / u128::from(scale);
    whole
        .checked_mul(factor)
        .and_then(|bytes| bytes.checked_add(u64::try_from(more).ok()?))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pam_services_are_those_of_files() {
        for name in ["wharf", "ftp-2", "a_b.c", &"x".repeat(64)] {
            assert_eq!(pam_service(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a b",
            "a\0",
            "ä",
            &"x".repeat(65),
        ] {
            assert!(pam_service(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, millis) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            (" 5 m ", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("-1", None),
            ("1.5s", None),
            ("3 weeks", None),
            ("99999999999999999999", None),
            ("18446744073709551615d", None),
        ] {
            let read = duration(text).ok().map(|d| d.as_millis());
            assert_eq!(read, millis, "{text}");
        }
    }

    #[test]
    fn port_ranges_are_checked() {
        for (text, expected) in [
            ("50000-50199", Some((50000, 50199))),
            ("50000:50199", Some((50000, 50199))),
            ("6000", Some((6000, 6000))),
            ("2-1", None),
            ("0-5", None),
            ("1-70000", None),
            ("a-b", None),
            ("", None),
        ] {
            assert_eq!(
                ports(text).ok().map(|p| (p.lo(), p.hi())),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_to_listen_on() {
        for (text, expected) in [
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::1]:2121", Some("[::1]:2121")),
            ("192.0.2.1", Some("192.0.2.1:21")),
            ("::1", Some("[::1]:21")),
            ("localhost:21", None),
            ("1.2.3.4:99999", None),
            ("", None),
        ] {
            let read = listen(text).ok().map(|a| a.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(listen(":2121").unwrap().port(), 2121);
    }

    #[test]
    fn advertise_rules() {
        for (text, good) in [
            ("203.0.113.7", true),
            ("auto", true),
            ("10.0.0.0/8=auto", true),
            ("ftp.example.org", true),
            ("10.0.0.0/8=10.0.0.5", true),
            ("10.1.2.3=192.0.2.1", true),
            ("2001:db8::/32=[2001:db8::1]", true),
            ("0.0.0.0", false),
            ("10.0.0.0/40=10.0.0.5", false),
            ("300.1.2.3", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(advertise(text).is_ok(), good, "{text}");
        }
    }
}
