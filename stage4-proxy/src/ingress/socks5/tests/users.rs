//! Users: the method that is demanded, the message of RFC 1929, and every place at which it can be cut.

use super::*;

/// A proxy with one user.
fn users() -> Users {
    Users::read(&[b"alice:se:cret"], None).unwrap()
}

/// Encodes the message of RFC 1929.
fn credentials(name: &[u8], password: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    [&[1, length(name)], name, &[length(password)], password].concat()
}

fn with_users(message: &[u8]) -> Outcome {
    let request = request(1, &[192, 0, 2, 1], 80);
    converse_with(Some(users()), [&[5, 1, 2], message, &request])
}

#[test]
fn a_method_by_name_and_password_is_demanded_if_there_are_users() {
    let table: [(&[u8], Option<Users>, u8); 7] = [
        (&[0], None, 0),
        (&[2, 1, 0], None, 0),
        (&[2], None, 0xff),
        (&[2], Some(users()), 2),
        (&[0, 1, 2], Some(users()), 2),
        (&[0], Some(users()), 0xff),
        (&[], Some(users()), 0xff),
    ];
    for (methods, users, method) in table {
        let greeting = [&[5, u8::try_from(methods.len()).unwrap()], methods].concat();
        let outcome = converse_with(users, [&greeting[..]]);
        assert_eq!(outcome.reply, [5, method], "{methods:?}");
        assert_eq!(outcome.refused.is_some(), method == 0xff, "{methods:?}");
    }
}

#[test]
fn a_user_goes_on_to_its_request_and_no_other_client_does() {
    let right = with_users(&credentials(b"alice", b"se:cret"));
    assert_eq!(right.reply, [5, 2, 1, 0]);
    assert_eq!(right.target.unwrap().to_string(), "192.0.2.1:80");
    let long = [b'x'; 255];
    let table: [(&[u8], &[u8], &str); 7] = [
        (b"alice", b"secret", "the password is not that of alice"),
        (b"alice", b"se:cret ", "the password is not that of alice"),
        (b"alice", b"", "the password is not that of alice"),
        (b"Alice", b"se:cret", "the name is unknown"),
        (b"", b"", "the name is unknown"),
        (b"al\xffce", b"se:cret", "the name is unknown"),
        (&long, &long, "the name is unknown"),
    ];
    for (name, password, why) in table {
        let wrong = with_users(&credentials(name, password));
        assert_eq!((wrong.reply, wrong.target), (vec![5, 2, 1, 1], None));
        assert!(wrong.refused.unwrap().ends_with(why), "{name:?}");
    }
}

#[test]
fn another_message_in_its_place_is_refused() {
    for message in [&[5, 1, 0, 1][..], b"GET / HTTP/1.1\r\n", &[0]] {
        let outcome = with_users(message);
        assert_eq!(outcome.reply, [5, 2, 1, 1], "{message:?}");
        assert!(outcome.refused.unwrap().contains("RFC 1929"));
    }
}

#[test]
fn users_are_asked_for_when_the_password_comes_and_not_at_the_greeting() {
    let mut handshake = Socks5Handshake::new(Some(users()));
    handshake.advance(&[5, 1, 2]);
    assert_eq!(handshake.failed(&Failure::TooSlow), [1, 1]);
    assert_eq!(handshake.user(), None);
    handshake.advance(&credentials(b"alice", b"se:cret"));
    assert_eq!(handshake.user().unwrap().to_string(), "alice");
    assert_eq!(handshake.failed(&Failure::TooSlow)[..2], [5, 1]);
}

proptest! {
    #[test]
    fn a_name_and_a_password_are_read_however_their_bytes_are_cut(
        name in proptest::collection::vec(any::<u8>(), 1..=255),
        password in proptest::collection::vec(any::<u8>(), 1..=255),
        rest in proptest::collection::vec(any::<u8>(), 0..50),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assume!(!name.contains(&b':'));
        let user = [&name[..], b":", &password].concat();
        let users = Users::read(&[&user], None).unwrap();
        let target: Target = "example.org:443".parse().unwrap();
        let all = [&[5, 1, 2], &credentials(&name, &password)[..], &encode(&target), &rest].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(all.len())).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let outcome = converse_with(Some(users), cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]));
        prop_assert_eq!(outcome, Outcome { reply: vec![5, 2, 1, 0], target: Some(target), associated: None, refused: None, rest });
    }

    #[test]
    fn every_part_of_the_message_is_incomplete_and_the_whole_is_itself(
        name in proptest::collection::vec(any::<u8>(), 0..=255),
        password in proptest::collection::vec(any::<u8>(), 0..=255),
    ) {
        let message = credentials(&name, &password);
        for end in 0..message.len() {
            prop_assert_eq!(Credentials::parse(&message[..end]), Credentials::Incomplete);
        }
        let length = message.len();
        let (name, password) = (&name[..], &password[..]);
        let behind = [&message[..], b"more"].concat();
        prop_assert_eq!(Credentials::parse(&behind), Credentials::Complete { name, password, length });
    }

    #[test]
    fn arbitrary_bytes_in_its_place_open_nothing(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        let outcome = with_users(&message);
        prop_assert_eq!(outcome.target, None);
    }
}
