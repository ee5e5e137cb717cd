//! The field as a table, and Base64 for all bytes.

use super::*;

use proptest::prelude::*;

fn users() -> Users {
    Users::read(&["zoë:se:cret".as_bytes()], None).unwrap()
}

/// What a request with these values of `Proxy-Authorization` proves.
fn prove(values: &[&[u8]]) -> Result<String, Unproved> {
    let name = "proxy-AUTHORIZATION";
    let field = |value: &&'static [u8]| Header { name, value };
    let fields: Vec<_> = values
        .iter()
        .map(|value| Vec::leak(value.to_vec()) as &'static [u8])
        .map(|value| field(&value))
        .collect();
    let user = Credentials::of(&fields).prove(&users())?;
    Ok(user.to_string())
}

/// Encodes Base64, as a client does.
fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, place| {
            bits << 8 | u32::from(group.get(place).copied().unwrap_or(0))
        });
        for place in 0..4_usize {
            let digit = bits >> (18 - 6 * place) & 63;
            let is_there = place <= group.len();
            text.push(if is_there {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

fn basic(pair: &str) -> Vec<u8> {
    format!("Basic {}", encode(pair.as_bytes())).into_bytes()
}

#[test]
fn a_user_is_known_by_one_field_in_basic() {
    let right = basic("zoë:se:cret");
    assert_eq!(prove(&[&right]).as_deref(), Ok("zoë"));
    let spelled = String::from_utf8(right.clone()).unwrap();
    let spelled = spelled.replace("Basic ", "bASIC  ") + " ";
    assert_eq!(prove(&[spelled.as_bytes()]).as_deref(), Ok("zoë"));
    assert_eq!(prove(&[]), Err(Unproved::Missing));
    let unreadable: [&[&[u8]]; 9] = [
        &[&right, &right],
        &[b""],
        &[b"Basic"],
        &[b"Basic "],
        &[b"Bearer em/DqzpzZTpjcmV0"],
        &[b"Digest username=zoe"],
        &[b"Basic zoe:secret"],
        &[&basic("no colon")],
        &[b"Basic em/DqzpzZTpjcmV0="],
    ];
    for values in unreadable {
        assert_eq!(prove(values), Err(Unproved::Unreadable), "{values:?}");
    }
    for wrong in ["zoë:secret", "zoë:", ":", "zoe:se:cret", "zoë:se:cret\0"] {
        let proved = prove(&[&basic(wrong)]);
        assert!(
            matches!(proved, Err(Unproved::Wrong(_))),
            "{wrong}: {proved:?}"
        );
    }
}

#[test]
fn the_client_learns_what_is_demanded_and_not_what_is_wrong() {
    let [name, password] =
        ["mallory:se:cret", "zoë:guess"].map(|pair| prove(&[&basic(pair)]).unwrap_err());
    assert_eq!(name.to_string(), password.to_string());
    let shown = format!("{:?}", Credentials::parse(&basic("zoë:se:cret")).unwrap());
    assert_eq!(shown, "Basic(..)");
}

#[test]
fn base64_has_one_spelling_for_each_text() {
    let table: [(&str, Option<&[u8]>); 15] = [
        ("", Some(b"")),
        ("Zg==", Some(b"f")),
        ("Zm8=", Some(b"fo")),
        ("Zm9v", Some(b"foo")),
        ("Zm9vYg==", Some(b"foob")),
        ("+/+/", Some(b"\xfb\xff\xbf")),
        ("Zh==", None),
        ("Zm9=", None),
        ("Zg", None),
        ("Zg=", None),
        ("Z===", None),
        ("====", None),
        ("Zg==Zg==", None),
        ("Zm 8", None),
        ("-_-_", None),
    ];
    for (text, bytes) in table {
        assert_eq!(base64(text.as_bytes()).as_deref(), bytes, "{text:?}");
    }
}

proptest! {
    #[test]
    fn base64_gives_back_all_bytes(bytes in any::<Vec<u8>>()) {
        prop_assert_eq!(base64(encode(&bytes).as_bytes()), Some(bytes));
    }

    #[test]
    fn arbitrary_values_do_no_harm(value in any::<Vec<u8>>(), rest in "[A-Za-z0-9+/=]{0,40}") {
        let _ = Credentials::parse(&value);
        if let Some(bytes) = base64(rest.as_bytes()) {
            prop_assert_eq!(encode(&bytes), rest);
        }
    }
}
