//! Streams that are served one after the other: the first one sends until it has nothing left.

impl Scheduler {
    fn enter(&mut self, key: StreamKey) {
        let entry = &mut self.entries[key.slot()];
        entry.deficit = i32::MAX / 2;
        entry.place = Place::Waiting;
        self.waiting.push_back(key);
    }

    pub fn turn(&mut self) -> Option<Turn> {
        loop {
            let key = *self.waiting.front()?;
            let entry = &mut self.entries[key.slot()];
            match usize::try_from(entry.deficit) {
                Ok(allowance @ 1..) if entry.ready => {
                    return Some(Turn {
                        key,
                        allowance,
                        is_fresh: false,
                    });
                }
                Ok(_) | Err(_) => self.end_turn(key, false),
            }
        }
    }
}
