//! A reader that forgets the beginning of a header that a read has cut, and takes numbers of any length.

impl Reader {
    fn take_payload<'a>(
        &mut self,
        input: &mut &'a [u8],
        left: u32,
        room: usize,
    ) -> Option<Piece<'a>> {
        let length = input.len().min(room).min(left as usize);
        if length == 0 {
            return None;
        }
        let (payload, rest) = input.split_at(length);
        *input = rest;
        self.position = behind_header(left - length as u32);
        Some(Piece::Payload(payload))
    }

    fn take_header<'a>(
        &mut self,
        wire: &impl Wire,
        input: &mut &'a [u8],
        held: usize,
    ) -> Result<Option<Piece<'a>>, Violation> {
        match wire.decode(input)? {
            Decoded::Partial => {
                *input = &[];
                Ok(None)
            }
            Decoded::Complete { frame, length } => {
                *input = &input[length..];
                self.position = behind_header(frame.bytes_behind());
                Ok(Some(Piece::Frame(frame)))
            }
        }
    }
}

fn decode(input: &[u8]) -> Result<Varint, Violation> {
    let mut number = 0;
    for (index, &byte) in input.iter().enumerate() {
        let bits = u32::from(byte & 127);
        number |= bits.checked_shl(7 * index as u32).unwrap_or(0);
        if byte < 128 {
            return Ok(Varint::Complete(number, index + 1));
        }
    }
    Ok(Varint::Partial)
}
