use super::*;

#[test]
fn the_own_listener_is_not_dialled_whatever_its_address_looks_like() {
    let table = [
        // listener, address, whether it may be dialled
        ("127.0.0.1:80", "127.0.0.1:80", false),
        ("127.0.0.1:80", "127.0.0.1:81", true),
        ("127.0.0.1:80", "127.0.0.2:80", true),
        ("127.0.0.1:80", "[::1]:80", true),
        ("127.0.0.1:80", "0.0.0.0:80", false),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", false),
        ("127.0.0.2:80", "0.0.0.0:80", true),
        ("0.0.0.0:80", "127.0.0.1:80", false),
        ("0.0.0.0:80", "127.0.0.9:80", false),
        ("0.0.0.0:80", "0.0.0.0:80", false),
        ("0.0.0.0:80", "[::1]:80", true),
        ("0.0.0.0:80", "192.0.2.1:80", true),
        ("[::1]:80", "[::1]:80", false),
        ("[::1]:80", "[::]:80", false),
        ("[::]:80", "[::1]:80", false),
        ("[::]:80", "127.0.0.1:80", true),
    ];
    for (listener, address, allowed) in table {
        let access = Access::new(Policy::for_fixed(&[]), vec![listener.parse().unwrap()]);
        let checked = access.check(address.parse().unwrap(), None);
        let expected = if allowed {
            Ok(())
        } else {
            Err(Denial::OwnListener)
        };
        assert_eq!(checked, expected, "{listener} dials {address}");
    }
}
