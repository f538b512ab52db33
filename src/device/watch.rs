//! What becomes of a panic: the libraries above a GPU's driver panic where it is lost or has no memory left.
//!
//! A trial that meets one fails with an error that says what to do, and whatever was to come after it is done.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use super::{Error, OpenDevice};

/// Parts of the names of libraries that drive GPUs, as their source files' paths have them.
const DRIVERS: [&str; 8] = ["cubecl", "wgpu", "cudarc", "burn-cuda", "burn-fusion", "ash-", "naga", "cuda"];
/// What is said of a GPU, by whichever library.
const WORDS: [&str; 5] = ["out of memory", "device lost", "wgpu", "cuda", "vulkan"];

/// Watches that are on.
static WATCHES: AtomicUsize = AtomicUsize::new(0);
/// The first panic under a watch, in whatever thread: the others follow from it.
static FIRST: Mutex<Option<Seen>> = Mutex::new(None);

/// A panic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    message: String,
    /// Source file and line, where they are known.
    place: Option<(String, u32)>,
}

/// Do some work on a device, or on what a command picks; a panic in it is its error.
///
/// # Errors
/// Those of the work; [`Error::Lost`] where the device failed, [`Error::Fault`] where this program did.
pub fn watch<T, E: From<Error>>(
    device: Option<&OpenDevice>,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(listen);
    let watching = Watching::begin();
    // What the work leaves half changed goes with it: files appear whole, and a checkpoint is a file.
    let ended = panic::catch_unwind(AssertUnwindSafe(work));
    let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(watching);
    match (ended, first) {
        (Ok(result), None) => result,
        (Ok(result), Some(other)) => {
            tracing::warn!("a thread ended: {}", other.in_words());
            result
        }
        (Err(payload), first) => {
            let seen = first.unwrap_or_else(|| Seen { message: message(&*payload), place: None });
            Err(failure(&seen, device).into())
        }
    }
}

/// A watch that is on.
struct Watching;

impl Watching {
    fn begin() -> Self {
        WATCHES.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Note panics under a watch in the place of printing them, unless a backtrace is asked for.
fn listen() {
    let usual = panic::take_hook();
    let loud = cfg!(test) || std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    panic::set_hook(Box::new(move |info| {
        let watched = WATCHES.load(Ordering::SeqCst) > 0;
        if watched {
            let place = info.location().map(|at| (at.file().to_owned(), at.line()));
            let seen = Seen { message: message(info.payload()), place };
            FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(seen);
        }
        if loud || !watched {
            usual(info);
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    // An error text is one line.
    text.unwrap_or("no reason was given").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn failure(seen: &Seen, device: Option<&OpenDevice>) -> Error {
    let on_cpu = device.is_some_and(OpenDevice::is_cpu);
    let of_driver =
        seen.place.as_ref().is_some_and(|(file, _)| DRIVERS.iter().any(|name| file.contains(name)));
    let said = seen.message.to_lowercase();
    if !on_cpu && (of_driver || WORDS.iter().any(|word| said.contains(word))) {
        let name = device.map_or("that was used", |device| device.name.as_str());
        return Error::Lost { name: name.to_owned(), why: seen.message.clone() };
    }
    Error::Fault(seen.in_words())
}

impl Seen {
    /// With its place: a library's by its own folder's name and not by where it lies on this machine.
    fn in_words(&self) -> String {
        let Some((file, line)) = &self.place else { return self.message.clone() };
        let file = match file.rfind("/src/") {
            Some(end) => &file[file[..end].rfind('/').map_or(0, |slash| slash + 1)..],
            None => file,
        };
        format!("{} ({file}:{line})", self.message)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn open(name: &str) -> OpenDevice {
        OpenDevice { device: Device::flex(), name: name.to_owned() }
    }

    fn seen(message: &str, file: &str) -> Seen {
        Seen { message: message.to_owned(), place: Some((file.to_owned(), 7)) }
    }

    #[test]
    fn a_panic_is_an_error_and_the_next_work_is_done() {
        // Other tests of this process may panic meanwhile: of what they say nothing is asked here.
        let cpu = open("cpu: two threads");
        let result: Result<(), Error> = watch(Some(&cpu), || panic!("index {} is out of bounds", 3));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Fault(_)), "{error}");
        assert!(error.to_string().contains("please report it"), "{error}");
        let inner: Result<Result<u8, Error>, Error> =
            watch(None, || Ok(watch(Some(&cpu), || -> Result<u8, Error> { panic!("within") })));
        assert!(matches!(inner, Ok(Err(Error::Fault(_)))), "{inner:?}");
        assert_eq!(watch(Some(&cpu), || Ok::<_, Error>(5)).unwrap(), 5);
        let own = watch(Some(&cpu), || Err::<(), _>(Error::NoGpuSupport)).unwrap_err();
        assert!(matches!(own, Error::NoGpuSupport), "{own}");
    }

    #[test]
    fn a_panic_of_another_thread_is_noticed_where_its_end_is() {
        let result: Result<(), Error> = watch(Some(&open("cpu: x")), || {
            std::thread::scope(|scope| scope.spawn(|| panic!("in a scoped thread")).join().map_err(|_| ()))
                .unwrap_or_else(|()| panic!("the thread is gone"));
            Ok(())
        });
        assert!(matches!(result, Err(Error::Fault(_))), "{result:?}");
    }

    #[test]
    fn what_failed_is_told_by_where_and_what() {
        let gpu = open("gpu:0: a card (Vulkan)");
        let library = "/some/registry/src/index-1/cubecl-runtime-0.10.0/src/memory.rs";
        let lost = failure(&seen("can't allocate buffer of size 17179869184", library), Some(&gpu));
        let text = lost.to_string();
        for word in ["a card", "17179869184", "train.accumulate", "train.batch_size", "--device cpu"] {
            assert!(text.contains(word), "{text}");
        }
        assert!(matches!(failure(&seen("Device lost", "src/task/mod.rs"), Some(&gpu)), Error::Lost { .. }));
        assert!(matches!(failure(&seen("Device lost", "src/x.rs"), None), Error::Lost { .. }));
        // Our own fault is no device's, wherever it is computed.
        let own = seen("attempt to subtract with overflow", "src/task/order.rs");
        assert!(matches!(failure(&own, Some(&gpu)), Error::Fault(_)));
        // Nor is there a device to be lost on the CPU.
        let flex = seen("out of memory", "/r/burn-flex-0.22.1/src/ops.rs");
        let fault = failure(&flex, Some(&open("cpu: x")));
        assert_eq!(
            fault.to_string(),
            "out of memory (burn-flex-0.22.1/src/ops.rs:7); this is a fault of the program, please report it"
        );
    }
}
