//! [`Patch`]: what a client says about one property.

/// What a change says about one property.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Nothing: it stays as it is.
    #[default]
    Keep,
    /// NULL: back to "choose the default".
    Clear,
    /// This value.
    Set(T),
}

impl<T> Patch<T> {
    /// Carries the change out on a property that may be left open.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *to = None,
            Patch::Set(value) => *to = Some(value),
        }
    }

    /// The value, if there is one.
    pub const fn given(&self) -> Option<&T> {
        match self {
            Patch::Set(value) => Some(value),
            Patch::Keep | Patch::Clear => None,
        }
    }

    /// Turns the value into another, or fails.
    ///
    /// # Errors
    /// The error of `convert`.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(convert(value)?),
        })
    }
}
