//! The references that instruments hold: a counted reference to a series, and one that is not counted.

#![expect(unsafe_code, reason = "a handle holds its series by address")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::series::Series;
use crate::series::storage::{Layout, Storage};
use crate::series::thread::Pin;
use crate::sync::is_failed_model;

/// A counted reference to a series and its family. While it exists, the series is not reused for other
/// labels. Clones refer to the same series.
pub struct Handle {
    series: NonNull<Series>,
    storage: Arc<Storage>,
}

// SAFETY: series are shared by atomics and live as long as the storage.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Returns a handle to a series that cannot be released at this moment: the caller is pinned, or
    /// the series was never in a table.
    pub(crate) fn new(storage: &Arc<Storage>, series: &Series) -> Self {
        series.hold();
        Handle {
            series: NonNull::from(series),
            storage: storage.clone(),
        }
    }

    /// Returns a handle to a series that [`Storage::hold`] has already counted.
    pub(crate) fn adopt(storage: &Arc<Storage>, series: &Series) -> Self {
        Handle {
            series: NonNull::from(series),
            storage: storage.clone(),
        }
    }

    /// Returns a handle that is not counted. It must not be dropped.
    #[inline(always)]
    fn uncounted(storage: &Arc<Storage>, series: &Series) -> ManuallyDrop<Self> {
        // SAFETY: the copy is never dropped, so the count stays right; code that uses it borrows the
        // original.
        let storage = unsafe { std::ptr::read(storage) };
        ManuallyDrop::new(Handle {
            series: NonNull::from(series),
            storage,
        })
    }

    #[inline(always)]
    pub(crate) fn series(&self) -> &Series {
        // SAFETY: series live as long as the storage.
        unsafe { self.series.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }
}

/// Shows the series as a page does: `orders{kind="web"}`.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.storage.name())?;
        let names = &self.storage.label_names;
        let labels = self.storage.labels_of(names, self.series());
        let mut before = "{";
        for (name, value) in labels.iter() {
            write!(f, "{before}{name}={value:?}")?;
            before = ",";
        }
        match before {
            "," => f.write_str("}"),
            _ => Ok(()),
        }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Handle::new(&self.storage, self.series())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !is_failed_model() {
            self.series().let_go();
        }
    }
}

/// An instrument that measurements are recorded into. Implemented by the instruments of this crate.
pub trait Instrument: Send + Sync + Sized + Sealed + 'static {
    /// Returns an instrument that records into a series.
    #[doc(hidden)]
    fn from_handle(handle: Handle) -> Self;

    /// Returns the layout of its families for the bounds and states in `spec`.
    #[doc(hidden)]
    fn layout(spec: &crate::instruments::spec::Spec) -> Layout;

    /// Returns its kind, for descriptors.
    #[doc(hidden)]
    fn kind() -> barograph_model::descriptor::Kind;
}

/// Seals [`Instrument`]: only this crate can implement it.
pub trait Sealed {}

/// An instrument that was just looked up, for immediate use: it is not `Send`, so it must not be held
/// over an `.await`. [`bind`](crate::instruments::family::Family::bind) returns an instrument to keep.
///
/// It is not counted, which makes it cheap; while it lives, its thread delays the release of removed
/// series.
pub struct Ref<'f, I> {
    instrument: ManuallyDrop<I>,
    _pin: Pin,
    family: PhantomData<&'f ()>,
}

impl<'f, I: Instrument> Ref<'f, I> {
    /// Wraps a series that was found under this pin.
    #[inline(always)]
    pub(crate) fn new(storage: &'f Arc<Storage>, series: &Series, pin: Pin) -> Self {
        let handle = Handle::uncounted(storage, series);
        Ref {
            instrument: ManuallyDrop::new(I::from_handle(ManuallyDrop::into_inner(handle))),
            _pin: pin,
            family: PhantomData,
        }
    }
}

impl<I: fmt::Debug> fmt::Debug for Ref<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ref").field(&*self.instrument).finish()
    }
}

impl<I> Deref for Ref<'_, I> {
    type Target = I;

    #[inline(always)]
    fn deref(&self) -> &I {
        &self.instrument
    }
}
