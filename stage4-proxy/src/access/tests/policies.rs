//! What holds if nothing is said, and which clients may come.

use super::*;

#[test]
fn a_choosing_ingress_that_others_can_reach_needs_rules() {
    let open = |listen: &str, allow: &[&str]| {
        let listen = Some(listen.parse().unwrap());
        Policy::for_choosing(listen, &rules(allow), &[], &[]).is_ok()
    };
    for listen in [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert!(open(listen, &[]), "{listen}");
        assert!(open(listen, &["any"]), "{listen}");
    }
    for listen in [
        "0.0.0.0:1",
        "[::]:1",
        "10.0.0.1:1",
        "169.254.1.1:1",
        "8.8.8.8:1",
    ] {
        assert!(!open(listen, &[]), "{listen}");
        assert!(open(listen, &["public"]), "{listen}");
    }
    let listen = "0.0.0.0:1080".parse().unwrap();
    let only_denied = Policy::for_choosing(Some(listen), &[], &rules(&["private"]), &[]);
    let sentence = only_denied.unwrap_err().to_string();
    assert!(
        sentence.contains("0.0.0.0:1080") && sentence.contains("--allow"),
        "{sentence}"
    );
}

#[test]
fn the_clients_of_each_policy() {
    let choosing = |clients: &[&str]| {
        Policy::for_choosing(None, &rules(&["any"]), &[], &scopes(clients)).unwrap()
    };
    let fixed = |clients: &[&str]| Policy::for_fixed(&scopes(clients));
    let table = [
        // policy, client, whether it may come
        (fixed(&[]), "8.8.8.8", true),
        (fixed(&["loopback"]), "127.0.0.9", true),
        (fixed(&["loopback"]), "10.0.0.1", false),
        (fixed(&["loopback", "any"]), "10.0.0.1", true),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "192.168.1.255",
            true,
        ),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "::ffff:192.168.1.7",
            true,
        ),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "2001:db8::7",
            true,
        ),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "192.168.2.0",
            false,
        ),
        (fixed(&["public"]), "8.8.8.8", true),
        (fixed(&["public"]), "169.254.1.1", false),
        (fixed(&["169.254.0.0/16"]), "169.254.1.1", true),
        (choosing(&[]), "127.0.0.1", true),
        (choosing(&[]), "::1", true),
        (choosing(&[]), "192.168.1.1", true),
        (choosing(&[]), "100.64.0.1", true),
        (choosing(&[]), "fd00::1", true),
        (choosing(&[]), "8.8.8.8", false),
        (choosing(&[]), "fe80::1", false),
        // Sent over the internet, whatever it embeds.
        (choosing(&[]), "2002:a00:1::1", false),
        (choosing(&["any"]), "8.8.8.8", true),
    ];
    for (policy, client, expected) in table {
        let may_come = policy.clients().contains(client.parse().unwrap());
        assert_eq!(
            may_come, expected,
            "whether the client {client} may come, with {policy:?}"
        );
    }
}
