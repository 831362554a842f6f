//! Fields that are left out of the JSON.

/// Whether a field has the value that it has when it is absent.
pub(super) fn unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
