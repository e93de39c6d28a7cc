use expect_test::expect;

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn fail(bans: &Bans, user: &str, times: u32, now: SystemTime) {
    for _ in 0..times {
        bans.failed(GUESSER, user.as_bytes(), now);
    }
}

#[test]
fn two_processes_and_a_restart_agree() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("state/bans");
    let one = Bans::open(BanPolicy::default(), &file).unwrap();
    let two = Bans::open(BanPolicy::default(), &file).unwrap();
    fail(&one, "ann", 10, at(0));
    assert!(one.is_due(at(0)), "a ban is written at once");
    one.exchange(at(0)).unwrap();
    assert!(!one.is_due(at(0)));
    two.exchange(at(1)).unwrap();
    assert_eq!(two.closed_to(GUESSER, at(1)), one.closed_to(GUESSER, at(1)));
    assert!(two.closed_to(GUESSER, at(1)).is_some());
    let later = Bans::open(BanPolicy::default(), &file).unwrap();
    assert!(later.closed_to(GUESSER, at(1)).is_some());

    // What both add stays, and what one lifts is lifted for all.
    let by_hand = Ban::by_hand(Subject::user(b"root"), at(2), None, "nobody is root here");
    two.add(by_hand, at(2));
    later.lift(&[Subject::client(GUESSER)], at(2));
    two.exchange(at(2)).unwrap();
    later.exchange(at(3)).unwrap();
    one.exchange(at(4)).unwrap();
    assert!(one.closed_to(GUESSER, at(4)).is_none());
    assert!(one.refuses(GUESSER, b"root", at(4)).is_some());
}

#[test]
fn the_file_can_be_read_by_people() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bans");
    let bans = Bans::open(BanPolicy::default(), &file).unwrap();
    bans.succeeded("2001:db8::1".parse().unwrap(), b"ann", 0, at(0));
    fail(&bans, "x\"\n[[ban]]", 10, at(0));
    bans.add(
        Ban::by_hand(Subject::user(b"x\"\n[[ban]]"), at(1), None, "a\nb"),
        at(1),
    );
    bans.exchange(at(1)).unwrap();
    expect![[r#"
        # Who is not let in, and who has logged in from where. Written by `wharf serve` and `wharf ban`.

        [[ban]]
        clients = "192.0.2.7/32"
        since = "20270115080000"
        until = "20270115080500"
        times = 1
        reason = "10 failed logins"

        [[ban]]
        user = 'x"␊[[ban]]'
        since = "20270115080001"
        times = 0
        reason = "a␊b"

        [[known]]
        clients = "2001:db8::/64"
        user = "ann"
        last = "20270115080000"
    "#]]
    .assert_eq(&fs::read_to_string(&file).unwrap());
    let read = Bans::open(BanPolicy::default(), &file).unwrap();
    assert_eq!(read.in_force(at(2)), bans.in_force(at(2)));
}

#[test]
fn a_damaged_list_lets_nobody_in_by_mistake() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bans");
    let bans = Bans::open(BanPolicy::default(), &file).unwrap();
    fail(&bans, "ann", 10, at(0));
    bans.exchange(at(0)).unwrap();
    let good = fs::read_to_string(&file).unwrap();
    for (text, mistake) in [
        (
            "[[ban]]\nclients = 7\n",
            "ban 1: clients: expected a string",
        ),
        (
            "[[ban]]\nclients = \"x\"\n",
            "ban 1: clients: expected ADDRESS/BITS",
        ),
        ("[[ban]]\n", "ban 1: expected either clients or user"),
        ("[[ban]\n", "line 1: "),
        (
            "[[bans]]\n",
            "unknown key: bans, expected [[ban]] or [[known]]",
        ),
        (
            "[[known]]\nuser = \"a\"\nclients = \"::/0\"\nlast = \"today\"\n",
            "known 1: last: expected",
        ),
        (
            "[[ban]]\nuser = \"a\"\nsince = \"20270115080000\"\ntimes = -1\nreason = \"\"\n",
            "ban 1: times",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let error = Bans::open(BanPolicy::default(), &file)
            .unwrap_err()
            .to_string();
        assert!(error.contains(mistake), "{error}");
        // Who runs already keeps the list, and does not write over what cannot be read.
        assert!(bans.exchange(at(9)).is_err(), "{text}");
        assert!(bans.closed_to(GUESSER, at(9)).is_some());
        bans.add(Ban::by_hand(Subject::user(b"eve"), at(9), None, ""), at(9));
        assert!(bans.exchange(at(9)).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        fs::write(&file, &good).unwrap();
        bans.exchange(at(9)).unwrap();
    }
}

#[test]
fn a_list_that_cannot_be_written_is_still_in_force() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file").join("bans");
    fs::write(place.path().join("file"), "not a directory").unwrap();
    let bans = Bans::in_memory(BanPolicy::default());
    fail(&bans, "ann", 10, at(0));
    assert!(!bans.is_due(at(5)));
    assert!(bans.closed_to(GUESSER, at(0)).is_some());
    assert!(Bans::open(BanPolicy::default(), &file).is_err());
}
