//! The streams of a session, by their handles and by their numbers on the wire.

use std::collections::HashMap;

use crate::tunnel::frame::StreamId;
use crate::tunnel::key::StreamKey;
use crate::tunnel::stream::Stream;

/// A table of streams; its slots are used again, its handles are not.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The slot of the stream that has a number on the wire.
    by_id: HashMap<StreamId, u32>,
    last_generation: u32,
}

#[derive(Debug)]
struct Slot {
    key: StreamKey,
    stream: Option<Stream>,
}

impl Streams {
    /// Returns the number of streams.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a stream and returns its handle.
    pub(super) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        self.last_generation = self.last_generation.wrapping_add(1);
        let slot = self.free.pop().unwrap_or_else(|| self.add_slot());
        let key = StreamKey::new(slot, self.last_generation);
        self.slots[slot as usize] = Slot {
            key,
            stream: Some(stream),
        };
        self.by_id.insert(id, slot);
        key
    }

    fn add_slot(&mut self) -> u32 {
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let key = StreamKey::new(slot, 0);
        self.slots.push(Slot { key, stream: None });
        slot
    }

    /// Returns the handle of the stream with this number.
    pub(super) fn find(&self, id: StreamId) -> Option<StreamKey> {
        let slot = *self.by_id.get(&id)?;
        self.at(slot as usize)
    }

    /// Returns the handle of the stream that is in a slot now.
    pub(super) fn at(&self, slot: usize) -> Option<StreamKey> {
        let slot = self.slots.get(slot)?;
        slot.stream.as_ref().map(|_| slot.key)
    }

    /// Returns a stream, unless it has ended.
    pub(super) fn get(&self, key: StreamKey) -> Option<&Stream> {
        let slot = self.slots.get(key.slot())?;
        slot.stream.as_ref().filter(|_| slot.key == key)
    }

    /// Returns a stream, unless it has ended.
    pub(super) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(key.slot())?;
        slot.stream.as_mut().filter(|_| slot.key == key)
    }

    /// Frees the number of a stream, because the wire does not know the stream any more.
    pub(super) fn free_number(&mut self, key: StreamKey) {
        if let Some(id) = self.get(key).map(|stream| stream.id)
            && self.find(id) == Some(key)
        {
            self.by_id.remove(&id);
        }
    }

    /// Removes a stream; its handle names nothing from now on.
    pub(super) fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        self.free_number(key);
        self.get(key)?;
        let slot = u32::try_from(key.slot()).ok()?;
        self.free.push(slot);
        self.slots[key.slot()].stream.take()
    }

    /// Iterates over the streams in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamKey, &Stream)> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| Some((slot.key, slot.stream.as_ref()?)))
    }

    /// Iterates over the streams in the order of their slots.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots
            .iter_mut()
            .filter_map(|slot| slot.stream.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_stream_is_small() {
        let bytes = size_of::<Slot>();
        assert!(bytes <= 64, "{bytes}");
    }
}
