use super::*;

const START: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rules() -> Rules {
    Rules::new(BanPolicy::default())
}

/// So many failures of one name from one address at one moment; whether somebody is banned by them.
fn fail(rules: &mut Rules, client: &str, user: &str, times: u32, second: u64) -> bool {
    let mut banned = false;
    for _ in 0..times {
        let changes = rules.failed(ip(client), user.as_bytes(), at(second));
        banned |= changes.iter().any(|it| matches!(it, Change::Ban(_)));
    }
    banned
}

#[test]
fn ten_failures_are_a_ban_that_ends() {
    let mut rules = rules();
    assert!(!fail(&mut rules, "192.0.2.7", "ann", 9, 0));
    assert!(rules.closed_to(ip("192.0.2.7"), at(0)).is_none());
    assert!(fail(&mut rules, "192.0.2.7", "bob", 1, 0));
    let ban = rules.closed_to(ip("192.0.2.7"), at(0)).unwrap();
    assert_eq!(
        (ban.times, ban.left(at(0))),
        (1, Some(Duration::from_mins(5)))
    );
    assert_eq!(ban.reason, "10 failed logins");
    assert!(rules.closed_to(ip("192.0.2.8"), at(0)).is_none());
    assert!(rules.closed_to(ip("::ffff:192.0.2.7"), at(299)).is_some());
    assert!(rules.closed_to(ip("192.0.2.7"), at(300)).is_none());
}

#[test]
fn failures_fade_by_half_in_ten_minutes() {
    // (seconds between two failures, banned within a hundred of them)
    for (every, banned) in [
        (1, true),
        (30, true),
        (60, true),
        (120, false),
        (3600, false),
    ] {
        let mut rules = rules();
        let found = (0..100).any(|n| fail(&mut rules, "192.0.2.7", "ann", 1, n * every));
        assert_eq!(found, banned, "one failure in {every} s");
    }
}

#[test]
fn bans_grow_and_growth_is_forgotten() {
    let mut rules = rules();
    let mut now = 0;
    for minutes in [5, 10, 20, 40, 80] {
        assert!(fail(&mut rules, "192.0.2.7", "ann", 10, now));
        let ban = rules.closed_to(ip("192.0.2.7"), at(now)).unwrap();
        assert_eq!(ban.left(at(now)), Some(Duration::from_mins(minutes)));
        now += minutes * 60;
    }
    let policy = BanPolicy::default();
    assert_eq!(policy.lasts(40), policy.longest);
    // A day after its end nothing is left of it.
    now += 24 * 3600;
    rules.list.forget_old(policy.longest, at(now));
    assert!(fail(&mut rules, "192.0.2.7", "ann", 10, now));
    assert_eq!(rules.closed_to(ip("192.0.2.7"), at(now)).unwrap().times, 1);
}

#[test]
fn the_addresses_of_one_ipv6_subscriber_count_together() {
    let mut rules = rules();
    for host in 0..10 {
        fail(&mut rules, &format!("2001:db8::{host:x}"), "ann", 1, 0);
    }
    assert!(rules.closed_to(ip("2001:db8::ffff"), at(0)).is_some());
    assert!(rules.closed_to(ip("2001:db8:0:1::1"), at(0)).is_none());
}

#[test]
fn a_botnet_cannot_lock_a_user_out_where_the_user_is_known() {
    let mut rules = rules();
    rules.succeeded(ip("198.51.100.3"), b"ann", 0, at(0));
    for bot in 0..60 {
        fail(&mut rules, &format!("192.0.2.{bot}"), "ann", 1, 1);
    }
    assert!(
        rules.refuses(ip("203.0.113.1"), b"ann", at(2)).is_some(),
        "a stranger"
    );
    assert!(
        rules.refuses(ip("198.51.100.3"), b"ann", at(2)).is_none(),
        "ann at work"
    );
    assert!(
        rules.refuses(ip("203.0.113.1"), b"bob", at(2)).is_none(),
        "somebody else"
    );
}

#[test]
fn a_name_that_nobody_has_is_counted_like_any_other() {
    for known in [true, false] {
        let mut rules = rules();
        if known {
            rules.succeeded(ip("198.51.100.3"), b"ann", 0, at(0));
        }
        let banned = (0..200).position(|n| {
            fail(&mut rules, &format!("192.0.2.{n}"), "ann", 1, 1);
            rules.refuses(ip("203.0.113.1"), b"ann", at(1)).is_some()
        });
        assert_eq!(banned, Some(49), "known: {known}");
    }
}

#[test]
fn one_guesser_behind_a_nat_locks_out_nobody_who_works_there() {
    let office = "198.51.100.3";
    let mut rules = rules();
    rules.succeeded(ip(office), b"ann", 0, at(0));
    assert!(fail(&mut rules, office, "root", 10, 1));
    assert!(
        rules.closed_to(ip(office), at(2)).is_none(),
        "the door stays open"
    );
    assert!(rules.refuses(ip(office), b"ann", at(2)).is_none());
    assert!(rules.refuses(ip(office), b"root", at(2)).is_some());
    // Guessing the password of somebody who is known there ends in time, too.
    fail(&mut rules, office, "ann", 10, 3);
    assert!(rules.refuses(ip(office), b"ann", at(4)).is_some());
    assert!(rules.closed_to(ip(office), at(4)).is_some());
}

#[test]
fn an_account_of_ones_own_does_not_wash_guesses_off() {
    let mut rules = rules();
    for round in 0..10 {
        fail(&mut rules, "192.0.2.7", "victim", 1, round);
        // The session had no failures of this name, so nothing is taken back.
        rules.succeeded(ip("192.0.2.7"), b"mallory", 0, at(round));
    }
    assert!(rules.refuses(ip("192.0.2.7"), b"victim", at(10)).is_some());
}

#[test]
fn a_mistyped_password_is_forgiven() {
    let mut rules = rules();
    for round in 0..20 {
        assert!(!fail(&mut rules, "192.0.2.7", "ann", 3, round));
        rules.succeeded(ip("192.0.2.7"), b"ann", 3, at(round));
    }
}

#[test]
fn the_trusted_are_banned_by_hand_only() {
    let mut rules = rules();
    assert!(!fail(&mut rules, "127.0.0.1", "ann", 100, 0));
    assert!(rules.closed_to(ip("127.0.0.1"), at(0)).is_none());
    let ban = Ban::by_hand(Subject::client(ip("127.0.0.1")), at(0), None, "go away");
    rules.list.apply(Change::Ban(ban), at(0));
    assert!(rules.closed_to(ip("127.0.0.1"), at(9)).is_some());
}

#[test]
fn a_network_banned_by_hand_holds_for_those_who_are_known_as_well() {
    let mut rules = rules();
    rules.succeeded(ip("198.51.100.3"), b"ann", 0, at(0));
    let network = "198.51.100.99/24".parse().unwrap();
    let ban = Ban::by_hand(Subject::network(network), at(0), None, "");
    rules.list.apply(Change::Ban(ban), at(0));
    assert!(rules.closed_to(ip("198.51.100.3"), at(1)).is_some());
    assert!(rules.closed_to(ip("198.51.101.3"), at(1)).is_none());
}

#[test]
fn requests_of_browsers_weigh_little_and_injections_much() {
    for (offence, most) in [
        (Offence::FailedLogin, 10),
        (Offence::Nonsense, 10),
        (Offence::NotFtp, 48),
        (Offence::Certificate, 10),
        (Offence::Injected, 4),
    ] {
        let mut rules = rules();
        let count = (1..=most).find(|_| rules.offended(ip("192.0.2.7"), offence, at(0)).is_some());
        assert_eq!(count, Some(most), "{offence:?}");
    }
}

#[test]
fn zero_is_never() {
    let mut rules = Rules::new(BanPolicy {
        after: 0,
        ..BanPolicy::default()
    });
    assert!(!fail(&mut rules, "192.0.2.7", "ann", 1000, 0));
    assert!(rules.addresses.is_empty() && rules.users.is_empty());
}

#[test]
fn a_flood_of_addresses_and_names_has_bounded_memory_and_keeps_the_worst() {
    let mut rules = rules();
    fail(&mut rules, "192.0.2.7", "ann", 9, 0);
    for n in 0..40_000_u32 {
        let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        rules.failed(address, format!("user{n}").as_bytes(), at(1));
    }
    assert!(rules.addresses.len() <= MOST_COUNTED && rules.users.len() <= MOST_COUNTED);
    assert!(
        fail(&mut rules, "192.0.2.7", "ann", 1, 1),
        "was not pushed out"
    );
    // Bans as well: nobody can fill the list up and push out one by hand.
    let ban = Ban::by_hand(Subject::client(ip("192.0.2.99")), at(0), None, "");
    rules.list.apply(Change::Ban(ban), at(0));
    for n in 0..12_000_u32 {
        let address = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
        for _ in 0..10 {
            rules.offended(address, Offence::FailedLogin, at(2));
        }
    }
    assert!(rules.list.in_force(at(2)).len() <= 10_000);
    assert!(rules.closed_to(ip("192.0.2.99"), at(2)).is_some());
}
