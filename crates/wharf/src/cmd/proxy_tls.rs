//! What the flags of `proxy` about TLS mean.

use wharf_net::tls::trust::Trust;
use wharf_net::tls::{DataSession, Keeper, PemPair, ServerTls, TlsVersions};
use wharf_proto::security::Requirement;
use wharf_proxy::{Begin, ClientSide, ServerSide};

use crate::args::proxy_tls::{ClientTls, ProxyTlsArgs, SessionArg, TlsMax, UpstreamTls};
use crate::exit::{Exit, Failure};

/// TLS towards the clients, and what keeps its certificates as their files say.
pub(super) fn towards_clients(
    args: &ProxyTlsArgs,
) -> Result<(Option<ClientSide>, Option<Keeper>), Failure> {
    let usage = |text: &str| Err(Failure::new(Exit::ServerUsage, text));
    let given = !args.tls_cert.is_empty() || !args.tls_key.is_empty();
    let wanted = match args.tls {
        Some(wanted) => wanted,
        None if given || !args.implicit_listen.is_empty() => ClientTls::Allowed,
        None => ClientTls::Off,
    };
    if wanted == ClientTls::Off {
        return match (given, args.implicit_listen.is_empty()) {
            (true, _) => usage("--tls off leaves no use for --tls-cert and --tls-key"),
            (_, false) => usage("--tls off leaves no use for --implicit-listen"),
            _ => Ok((None, None)),
        };
    }
    if args.tls_cert.is_empty() {
        return usage(
            "TLS towards the clients needs --tls-cert FILE and --tls-key FILE: the proxy answers in its own name",
        );
    }
    // One file may hold both.
    let keys = if args.tls_key.is_empty() {
        &args.tls_cert
    } else {
        &args.tls_key
    };
    if keys.len() != args.tls_cert.len() {
        return usage("every --tls-cert needs its --tls-key, in the same order");
    }
    let pairs = args.tls_cert.iter().zip(keys).map(|(chain, key)| PemPair {
        chain: chain.clone(),
        key: key.clone(),
    });
    let broken = |error: wharf_net::tls::TlsError| Failure::new(Exit::Config, error.to_string());
    let keeper = Keeper::open(pairs.collect(), Vec::new()).map_err(broken)?;
    let tls = ServerTls::new(keeper.store(), None, TlsVersions::All).map_err(broken)?;
    let side = ClientSide {
        tls,
        wanted: match wanted {
            ClientTls::Off => Requirement::Off,
            ClientTls::Allowed => Requirement::Allowed,
            ClientTls::Required => Requirement::Required,
        },
        data_session: match args.tls_data_session {
            Some(SessionArg::Require) | None => DataSession::Require,
            Some(SessionArg::Prefer) => DataSession::Prefer,
            Some(SessionArg::Off) => DataSession::Off,
        },
        implicit: args.implicit_listen.clone(),
    };
    Ok((Some(side), Some(keeper)))
}

/// TLS towards the server.
pub(super) fn towards_server(args: &ProxyTlsArgs) -> Result<Option<ServerSide>, Failure> {
    let begin = match args.upstream_tls {
        None | Some(UpstreamTls::Off) => {
            let idle = args.upstream_ca.is_empty()
                && args.upstream_pin.is_empty()
                && args.upstream_tls_max.is_none();
            return if idle {
                Ok(None)
            } else {
                Err(Failure::new(
                    Exit::ServerUsage,
                    "--upstream-ca, --upstream-pin and --upstream-tls-max belong to --upstream-tls",
                ))
            };
        }
        Some(UpstreamTls::Prefer) => Begin::Prefer,
        Some(UpstreamTls::Require) => Begin::Require,
        Some(UpstreamTls::Implicit) => Begin::Implicit,
    };
    Ok(Some(ServerSide {
        trust: Trust {
            system: true,
            authorities: args.upstream_ca.clone(),
            pins: args.upstream_pin.clone(),
            ..Trust::default()
        },
        versions: match args.upstream_tls_max {
            Some(TlsMax::V12) => TlsVersions::Only12,
            Some(TlsMax::V13) | None => TlsVersions::All,
        },
        begin,
    }))
}
