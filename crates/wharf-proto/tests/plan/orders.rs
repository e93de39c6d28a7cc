//! What holds in every network and in every order in which the two lanes come to an end.

use std::time::Duration;

use proptest::prelude::*;
use wharf_proto::data_connection::Offer;
use wharf_proto::data_connection::path::Path;
use wharf_proto::data_connection::plan::Plan;
use wharf_proto::data_connection::policy::{DataHost, DataModeChoice, PathPolicy};

use super::network::Fate::{Command, NoMapper, Refused, Silent, Transfer, Unreachable, Works};
use super::network::*;

/// Every network that can be put together from these fates, every order in which the two lanes end.
#[test]
fn every_order_ends_in_time_and_finds_what_works() {
    let mut count = 0;
    for epsv in [Works, Silent, Refused, UNKNOWN] {
        for pasv in [Works, Silent, Refused, Transfer] {
            for own in [Works, Silent, ILLEGAL, ONLY_TO, Transfer, UNKNOWN] {
                for mapped in [Works, Silent, NoMapper, ILLEGAL] {
                    for outside in [Works, Silent, ILLEGAL] {
                        for scout in [true, false] {
                            for told in [None, Some("198.51.100.1"), Some("192.168.10.2")] {
                                let network = Network {
                                    epsv,
                                    pasv,
                                    own,
                                    mapped,
                                    outside,
                                    scout,
                                    told,
                                    ..FINE
                                };
                                count += every_order(inside(), network);
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(count > 10_000, "{count}");
}

fn every_order(policy: PathPolicy, network: Network) -> usize {
    let works = |fate: Fate| matches!(fate, Works);
    let passive = works(network.epsv) || works(network.pasv);
    let sees_nat = network.told == Some("198.51.100.1");
    let mut ends = Vec::new();
    Run::new(Plan::new(policy), network, ROUND_TRIP).every_order(&mut ends);
    for (winner, took, told) in &ends {
        assert!(*took <= END, "{network:?}: {told}");
        // PASV that is answered 425 speaks of the way that EPSV shares.
        if passive && !matches!(network.pasv, Transfer) || works(network.own) {
            assert!(winner.is_some(), "{network:?}: {told}");
        }
        // A port of the router is asked for where a NAT is known, or likely from the refusal.
        let refused = matches!(network.own, Command(500, text) if text != "what");
        let refused = refused && network.told != Some("192.168.10.2");
        if works(network.mapped)
            && (refused || sees_nat && matches!(network.own, Transfer | Silent))
        {
            assert!(winner.is_some(), "{network:?}: {told}");
        }
    }
    ends.len()
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Works),
        Just(Silent),
        Just(Refused),
        Just(Unreachable),
        Just(UNKNOWN),
        Just(ILLEGAL),
        Just(ONLY_TO),
        Just(Transfer),
        Just(Command(425, "not now")),
        Just(Command(522, "use (1)")),
        Just(Command(501, "no")),
    ]
}

fn any_choice() -> impl Strategy<Value = DataModeChoice> {
    prop_oneof![
        Just(DataModeChoice::Auto),
        Just(DataModeChoice::Passive),
        Just(DataModeChoice::Active),
        Just(DataModeChoice::Only(Offer::Port)),
        Just(DataModeChoice::Only(Offer::Eprt)),
        Just(DataModeChoice::Only(Offer::Pasv)),
    ]
}

proptest! {
    #[test]
    fn every_search_ends_in_time(
        epsv in any_fate(), pasv in any_fate(), replied in any_fate(), own in any_fate(),
        mapped in any_fate(), outside in any_fate(), scout in any::<bool>(), choice in any_choice(),
        reply in any::<bool>(), millis in 1_u64..1_500, remembered in prop::option::of(0..9_usize),
    ) {
        let data_host = if reply { DataHost::Reply } else { DataHost::Peer };
        let network = Network { epsv, pasv, replied, own, mapped, outside, scout, ..BEHIND_NAT };
        let round_trip = Duration::from_millis(millis);
        let mut plan = Plan::new(PathPolicy { data_host, choice, ..inside() });
        plan.remember(remembered.map(|at| Path::WORDS[at].1), &[]);
        let (_, _, took, told) = Run::new(plan, network, round_trip).finish();
        let slow = round_trip.saturating_sub(Duration::from_millis(100)) * 10;
        prop_assert!(took <= END + slow + round_trip * 6, "{told} {took:?} {network:?}");
    }
}
