//! What a hostile peer says: frames of any kind, most of them nearly right.

use stage5_mux::tunnel::multiplex::Multiplex;
use stage5_mux::tunnel::role::Role;
use stage5_mux::tunnel::wire::Wire;
use stage5_mux::tunnel::yamux::Yamux;

use crate::script::Script;

/// A wire that a peer can be played on.
pub(crate) trait Speak: Wire + Copy {
    /// Creates this end's wire.
    fn ours(role: Role) -> Self;

    /// Writes the header that the script asks for, and returns it with the number of bytes that should follow.
    fn header(script: &mut Script<'_>) -> (Vec<u8>, u32);
}

impl Speak for Yamux {
    fn ours(role: Role) -> Self {
        Self::new(role)
    }

    fn header(script: &mut Script<'_>) -> (Vec<u8>, u32) {
        let [choice, number] = script.short().to_be_bytes();
        let (kind, flags) = (choice & 3, choice >> 4);
        let length = script.size();
        let mut bytes = vec![0, kind, 0, flags, 0, 0, 0, number % 16];
        bytes.extend(length.to_be_bytes());
        (bytes, if kind == 0 { length } else { 0 })
    }
}

impl Speak for Multiplex {
    fn ours(_role: Role) -> Self {
        Self
    }

    fn header(script: &mut Script<'_>) -> (Vec<u8>, u32) {
        let choice = script.byte();
        let (kind, number) = (choice & 7, choice >> 3);
        let length = script.size();
        let mut bytes = vec![(number % 16) << 3 | kind];
        let mut rest = length;
        while rest > 127 {
            bytes.push(128 | (rest & 127) as u8);
            rest >>= 7;
        }
        bytes.push((rest & 127) as u8);
        (bytes, length)
    }
}
