//! Rules that permit every client and every target.

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        true
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX
}

pub fn embedded(address: IpAddr) -> [Option<Ipv4Addr>; MOST] {
    [None; MOST]
}

impl Rules {
    fn judge(&self, dialled: &Dialled<'_>) -> Result<(), Denial> {
        Ok(())
    }
}
