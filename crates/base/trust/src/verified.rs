//! A mark that only this crate can put on a value: somebody checked the signature.

/// A value whose signature was checked against a key that the caller trusts.
///
/// Only this crate makes one, so a function that takes `Verified<T>` cannot be called with something unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Returns the value and takes the mark off.
    pub fn into_inner(self) -> T {
        self.0
    }
}
