//! The proof over every split, with wrong secrets, reflections, and bytes that are none of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn secret(text: &str) -> Secret {
    Secret::of_file(text.as_bytes()).unwrap()
}

fn end(text: &str, role: Role) -> Handshake {
    let nonce = match role {
        Role::Client => [1; SIZE],
        Role::Server => [2; SIZE],
    };
    Handshake::new(secret(text), role, nonce)
}

/// Moves the output of one end to the other, in pieces of these sizes, again and again.
fn pass(
    from: &mut Handshake,
    to: &mut Handshake,
    sizes: &mut impl Iterator<Item = usize>,
) -> Result<(), SecretError> {
    while !from.output().is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, from.output().len());
        let piece = from.output()[..size].to_vec();
        from.written(size);
        let mut input = &piece[..];
        to.handle_input(&mut input)?;
        assert!(input.is_empty(), "the output of an end is all of the proof");
        assert!(to.partial.len() <= HELLO, "what is held is bounded");
    }
    Ok(())
}

/// Lets both ends talk until neither has anything to say, and returns how it ended for each.
fn converse(
    client: &mut Handshake,
    server: &mut Handshake,
    sizes: &[usize],
) -> [Result<(), SecretError>; 2] {
    let mut sizes = sizes.iter().copied().cycle();
    let mut results = [Ok(()), Ok(())];
    while !client.output().is_empty() || !server.output().is_empty() {
        results[1] = results[1].and(pass(client, server, &mut sizes));
        results[0] = results[0].and(pass(server, client, &mut sizes));
        if results[1].is_err() {
            client.output.clear();
        }
    }
    results
}

proptest! {
    #[test]
    fn the_same_secret_is_proved_over_every_split(sizes in vec(1_usize..50, 1..20), text in "[ -~]{1,200}") {
        let (mut client, mut server) = (end(&text, Role::Client), end(&text, Role::Server));
        let results = converse(&mut client, &mut server, &sizes);
        prop_assert_eq!(results, [Ok(()), Ok(())]);
        prop_assert!(client.is_complete() && server.is_complete());
    }

    #[test]
    fn another_secret_is_refused_and_both_ends_say_so(sizes in vec(1_usize..50, 1..20), text in "[a-z]{1,80}") {
        let mut client = end(&text, Role::Client);
        let mut server = end(&format!("{text}!"), Role::Server);
        let results = converse(&mut client, &mut server, &sizes);
        prop_assert_eq!(results, [Err(SecretError::Refused), Err(SecretError::Wrong)]);
        prop_assert!(!client.is_complete() && !server.is_complete());
    }

    #[test]
    fn no_other_bytes_prove_anything(bytes in vec(any::<u8>(), 0..200), split in 0_usize..200, is_greeted in any::<bool>()) {
        for role in [Role::Client, Role::Server] {
            let mut machine = end("a secret", role);
            if is_greeted {
                let mut peer = end("unknown", role.other());
                let hello = peer.output().to_vec();
                peer.written(hello.len());
                machine.handle_input(&mut &hello[..]).unwrap();
            }
            let (first, second) = bytes.split_at(split.min(bytes.len()));
            for mut piece in [first, second] {
                let _ = machine.handle_input(&mut piece);
                prop_assert!(machine.partial.len() <= HELLO);
            }
            prop_assert!(!machine.is_complete());
        }
    }

    #[test]
    fn one_changed_bit_of_either_nonce_or_proof_is_noticed(bit in 0_usize..8 * (SIZE + PROOF - 1)) {
        let mut client = end("a secret", Role::Client);
        let mut server = end("a secret", Role::Server);
        let mut bytes = client.output().to_vec();
        client.handle_input(&mut server.output()).unwrap();
        bytes.extend_from_slice(&client.output()[HELLO..]);
        // Behind the magic, the role and the letter, each bit counts.
        let (at, bit) = (bit / 8, bit % 8);
        let at = if at < SIZE { HELLO - SIZE + at } else { HELLO + 1 + at - SIZE };
        bytes[at] ^= 1 << bit;
        server.written(HELLO);
        prop_assert_eq!(server.handle_input(&mut &bytes[..]), Err(SecretError::Wrong));
        prop_assert_eq!(server.output(), &[REFUSES]);
    }
}

#[test]
fn the_bytes_behind_the_proof_are_left_for_the_session() {
    let (mut client, mut server) = (end("x", Role::Client), end("x", Role::Server));
    client.handle_input(&mut server.output()).unwrap();
    let bytes = [client.output(), b"the first frame"].concat();
    let mut input = &bytes[..];
    server.written(HELLO);
    server.handle_input(&mut input).unwrap();
    assert_eq!(input, b"the first frame");
    assert!(!server.is_complete(), "its own proof is not written");
    server.written(PROOF);
    assert!(server.is_complete());
}

#[test]
fn a_server_says_nothing_before_the_client_has_proved_itself() {
    let (mut client, mut server) = (end("x", Role::Client), end("x", Role::Server));
    let hello = client.output().to_vec();
    client.written(HELLO);
    server.handle_input(&mut &hello[..]).unwrap();
    assert_eq!(server.output().len(), HELLO);
    assert_eq!(&server.output()[..8], MAGIC);
}

#[test]
fn a_reflection_is_no_peer() {
    for role in [Role::Client, Role::Server] {
        let mut machine = end("x", role);
        let own = machine.output().to_vec();
        assert_eq!(
            machine.handle_input(&mut &own[..]),
            Err(SecretError::Reflected)
        );
        // With the other role in it, the nonce still tells.
        let mut machine = end("x", role);
        let mut own = own.clone();
        own[MAGIC.len()] = letter(role.other());
        assert_eq!(
            machine.handle_input(&mut &own[..]),
            Err(SecretError::Reflected)
        );
    }
    // Another end of the same kind is none either: two servers would wait for each other.
    let mut machine = Handshake::new(secret("x"), Role::Server, [3; SIZE]);
    let other = end("x", Role::Server).output().to_vec();
    assert_eq!(
        machine.handle_input(&mut &other[..]),
        Err(SecretError::Reflected)
    );
}

#[test]
fn the_proof_of_the_client_does_not_serve_for_the_server() {
    let (mut client, server) = (end("x", Role::Client), end("x", Role::Server));
    client.handle_input(&mut server.output()).unwrap();
    let proof = client.output()[HELLO..].to_vec();
    assert_eq!(
        client.handle_input(&mut &proof[..]),
        Err(SecretError::Wrong)
    );
}

#[test]
fn a_peer_without_a_secret_is_told_by_its_first_byte() {
    for first in [
        &b"\0"[..],
        b"\0\x01\0\x01",
        b"GET / HTTP/1.1",
        b"\xffmuxkey2",
    ] {
        let mut machine = end("x", Role::Server);
        assert_eq!(
            machine.handle_input(&mut &first[..]),
            Err(SecretError::NoHello)
        );
        assert!(!is_hello(first) || first.len() < 2);
    }
    assert!(is_hello(b"\xffmuxkey1C") && is_hello(b"\xffmux") && !is_hello(b""));
}

#[test]
fn a_file_has_a_secret_without_its_newline() {
    assert_eq!(secret("word\n"), secret("word"));
    assert_eq!(secret("word\r\n"), secret("word"));
    assert_ne!(secret("word\n\n"), secret("word"));
    assert_ne!(secret(" word"), secret("word"));
    for empty in ["", "\n", "\r\n"] {
        assert_eq!(Secret::of_file(empty.as_bytes()), Err(SecretError::Empty));
    }
    assert_eq!(format!("{:?}", secret("word")), "Secret(..)");
}

/// The proof as a number that any other HMAC gives, too: `printf ... | openssl dgst -sha256 -hmac secret`.
#[test]
fn the_proof_is_hmac_sha256() {
    let client = end("secret", Role::Client);
    let proof = client.proof_of(Role::Client, [2; SIZE]);
    let hex: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "5f126d18404e6c8b0c8907904b016acc688484c9ebd0f74722d07a0552765b30"
    );
}
