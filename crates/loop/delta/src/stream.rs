//! The coded stream of a patch, with memory and images: what `warden-patch` leaves to its caller.
//!
//! In: parts with their copies and both plain images; or a stream and the old image. Out: the windows of a stream; or the
//! new image. Refuses: what the decoder refuses.

mod frame;
pub(crate) mod read;
pub(crate) mod write;

use warden_patch::mixing::{Memory, Seen, Shape};
use warden_patch::model::Slot;

/// The tables of a context-mixing coder.
pub(crate) struct Tables<S> {
    pub(crate) shape: Shape,
    slots: Vec<S>,
    seen: Vec<Seen>,
    history: Vec<u8>,
    index: Vec<u32>,
}

impl<S: Slot> Tables<S> {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            slots: vec![S::FRESH; shape.slots()],
            seen: vec![Seen::default(); shape.seen()],
            history: vec![0; shape.history()],
            index: vec![0; shape.index()],
        }
    }

    pub(crate) fn memory(&mut self) -> Memory<'_, S> {
        let Self { slots, seen, history, index, .. } = self;
        Memory { slots, seen, history, index }
    }
}
