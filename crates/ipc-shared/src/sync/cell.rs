//! A cell with the interface of loom's, which sees every access.

/// A value that can be changed through a shared reference. The caller makes sure that no other thread accesses it.
#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "this is the place that names them")]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[expect(clippy::disallowed_types, reason = "this is the place that names them")]
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}
