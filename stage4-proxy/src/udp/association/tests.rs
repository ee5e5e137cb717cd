//! An association is asked without a client.

use super::*;
use crate::udp::socket::{bound, local_addr};

fn association(hint: Option<&str>) -> Association {
    let asker = Asker {
        peer: "127.0.0.1".parse().unwrap(),
        local: "127.0.0.1:1080".parse().unwrap(),
        hint: hint.map(|hint| hint.parse().unwrap()),
    };
    let client = bound("127.0.0.1:0".parse().unwrap()).unwrap();
    let own = local_addr(&client).unwrap();
    Association::new(1, client, own, &asker)
}

#[test]
fn a_hint_counts_if_it_is_of_the_client() {
    let (same, other) = ("127.0.0.1:7000", "127.0.0.1:7001");
    let table = [
        (None, [true, true]),
        (Some("0.0.0.0:0"), [true, true]),
        (Some("127.0.0.1:0"), [true, true]),
        (Some("127.0.0.1:7000"), [true, false]),
        // The address of a target, or an inner one.
        (Some("192.0.2.1:7001"), [true, true]),
        (Some("0.0.0.0:7000"), [true, true]),
    ];
    for (hint, expected) in table {
        let association = association(hint);
        let admitted = [same, other].map(|sender| association.admits(sender.parse().unwrap()));
        assert_eq!(admitted, expected, "{hint:?}");
        assert!(!association.admits("127.0.0.2:7000".parse().unwrap()));
    }
}

#[test]
fn the_first_valid_datagram_settles_the_port() {
    let mut association = association(None);
    let (first, second) = ("127.0.0.1:7000", "127.0.0.1:7001");
    association.settle(first.parse().unwrap());
    association.settle(second.parse().unwrap());
    assert!(association.admits(first.parse().unwrap()));
    assert!(!association.admits(second.parse().unwrap()));
}

#[test]
fn contacts_may_answer_for_a_while() {
    let (now, mut association) = (Instant::now(), association(None));
    let [contact, port, stranger] =
        ["192.0.2.1:53", "192.0.2.1:54", "192.0.2.2:53"].map(|it| it.parse().unwrap());
    for (filter, expected) in [
        (Filter::Address, [true, true, false]),
        (Filter::Port, [true, false, false]),
        (Filter::Endpoint, [true, true, true]),
    ] {
        association.note_contact(contact, filter, now);
        let mut may = |sender, now| association.may_answer(sender, filter, now);
        assert_eq!(
            [contact, port, stranger].map(|sender| may(sender, now)),
            expected
        );
        let late = now + CONTACT_LIFETIME;
        assert_eq!(may(contact, late), filter == Filter::Endpoint);
    }
}

#[test]
fn names_are_bounded() {
    let (now, mut association) = (Instant::now(), association(None));
    let address = "192.0.2.1:53".parse().unwrap();
    let names: Vec<Target> = (0..=NAMES)
        .map(|number| format!("n{number}:53").parse().unwrap())
        .collect();
    names
        .iter()
        .for_each(|name| association.learn(name, address, now));
    assert_eq!(association.known(&names[0], now), Known::Nothing);
    assert_eq!(association.known(&names[1], now), Known::Address(address));
    assert_eq!(
        association.known(&names[NAMES], now + CONTACT_LIFETIME),
        Known::Nothing
    );
}
