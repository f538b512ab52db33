//! The one place that picks a device.
//!
//! `auto` takes the first real GPU that this build can reach, and the CPU where there is none. A software adapter
//! (lavapipe, llvmpipe, WARP) computes on the CPU, far slower than the CPU device: it is never picked unless it is
//! named, as `gpu:N`.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "wgpu")]
mod graphics;
mod watch;

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

pub use watch::watch;

/// What the user wants to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first real GPU, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first real GPU, or adapter `n` of `asdbench devices`.
    Gpu(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "gpu" => Ok(Self::Gpu(None)),
            Some(("gpu", index)) if index.parse::<usize>().is_ok() => Ok(Self::Gpu(index.parse().ok())),
            _ => Err("expected auto, cpu, gpu or gpu:N with a number of `asdbench devices`".into()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(None) => f.write_str("gpu"),
            Self::Gpu(Some(index)) => write!(f, "gpu:{index}"),
        }
    }
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A CPU-only build.
    #[error(
        "this build computes on the CPU only; build with `cargo build --release` (feature `wgpu`) for GPUs, or use --device cpu"
    )]
    NoGpuSupport,
    /// No such adapter.
    #[error(
        "no GPU {wanted}; `asdbench devices` lists what there is ({found} adapters); or use --device cpu"
    )]
    NoSuchGpu {
        /// As asked for.
        wanted: String,
        /// Adapters that answered.
        found: usize,
    },
    /// Only software.
    #[error(
        "no GPU, only the software adapter {0}, which is slower than --device cpu; name it with --device gpu:0 to use it all the same"
    )]
    OnlySoftware(String),
    /// It failed in the middle of its work.
    #[error(
        "the device {name} failed: {why}; free memory on it or need less of it (a larger train.accumulate, \
         train.checkpoint_blocks = true for separation, a smaller train.batch_size or task.pretrained.batch), or use \
         --device cpu"
    )]
    Lost {
        /// The device's name.
        name: String,
        /// What its driver, or the library above it, said.
        why: String,
    },
    /// A panic that is none of the device's.
    #[error("{0}; this is a fault of the program, please report it")]
    Fault(String),
    /// The driver refused.
    #[error(
        "failed to open GPU {name}: {why}; check its driver with `asdbench devices`, or use --device cpu"
    )]
    Open {
        /// The adapter's name.
        name: String,
        /// What the driver said.
        why: String,
    },
}

/// What kind of hardware an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    /// The processor.
    Cpu,
    /// A card with its own memory.
    DiscreteGpu,
    /// A GPU that shares the processor's memory.
    IntegratedGpu,
    /// A GPU that a virtual machine sees.
    VirtualGpu,
    /// A GPU interface computed on the processor.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::DiscreteGpu => "discrete GPU",
            Self::IntegratedGpu => "integrated GPU",
            Self::VirtualGpu => "virtual GPU",
            Self::Software => "software adapter",
        })
    }
}

/// Something to compute on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adapter {
    /// As `--device` takes it: `cpu`, `gpu:0`…
    pub id: String,
    /// The hardware's name.
    pub name: String,
    /// What it is.
    pub kind: AdapterKind,
    /// The interface: `Flex` for the CPU, `Vulkan`, `Metal`…
    pub api: String,
    /// Memory in bytes, where the driver tells.
    pub memory_bytes: Option<u64>,
}

/// A device that is ready, and its name.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// For Burn, without gradients.
    pub device: Device,
    /// In words, for the manifest.
    pub name: String,
}

impl OpenDevice {
    /// Whether it is the processor.
    pub fn is_cpu(&self) -> bool {
        self.name.starts_with(CPU)
    }
}

/// What the name of the processor begins with.
const CPU: &str = "cpu:";

/// The CPU and every adapter that answers, in the order of their numbers.
pub fn adapters() -> Vec<Adapter> {
    let cpu = Adapter {
        id: "cpu".into(),
        name: cpu_name(),
        kind: AdapterKind::Cpu,
        api: "Flex".into(),
        memory_bytes: host_memory_bytes(),
    };
    std::iter::once(cpu).chain(gpus()).collect()
}

/// Whether this build reaches any GPU.
const GPU_SUPPORT: bool = cfg!(any(feature = "wgpu", feature = "cuda"));
/// The interface's name in [`Adapter::api`].
#[cfg(feature = "cuda")]
const CUDA: &str = "CUDA";

fn gpus() -> Vec<Adapter> {
    #[cfg(feature = "cuda")]
    let first = cuda::adapters();
    #[cfg(not(feature = "cuda"))]
    let first: Vec<Adapter> = Vec::new();
    #[cfg(feature = "wgpu")]
    let first = {
        let next = first.len();
        first.into_iter().chain(graphics::adapters(next)).collect()
    };
    first
}

/// The adapter that `choice` means, and why.
///
/// # Errors
/// When there is no such adapter.
pub fn pick(choice: DeviceChoice, adapters: &[Adapter]) -> Result<(&Adapter, String), Error> {
    let hardware = |a: &&Adapter| !matches!(a.kind, AdapterKind::Cpu | AdapterKind::Software);
    let software = || adapters.iter().find(|a| a.kind == AdapterKind::Software);
    let cpu = adapters.iter().find(|a| a.kind == AdapterKind::Cpu);
    let cpu = cpu.ok_or(Error::NoSuchGpu { wanted: "or CPU".into(), found: 0 })?;
    match choice {
        DeviceChoice::Cpu => Ok((cpu, "as asked".into())),
        DeviceChoice::Auto => Ok(match (adapters.iter().find(hardware), software()) {
            (Some(gpu), _) => (gpu, "the first real GPU".into()),
            (None, Some(soft)) => (cpu, format!("no real GPU; {} is software and slower", soft.name)),
            (None, None) if !GPU_SUPPORT => (cpu, "this build computes on the CPU only".into()),
            (None, None) => (cpu, "no GPU answered".into()),
        }),
        DeviceChoice::Gpu(_) if !GPU_SUPPORT => Err(Error::NoGpuSupport),
        DeviceChoice::Gpu(None) => match (adapters.iter().find(hardware), software()) {
            (Some(gpu), _) => Ok((gpu, "the first real GPU".into())),
            (None, Some(soft)) => Err(Error::OnlySoftware(soft.name.clone())),
            (None, None) => Err(Error::NoSuchGpu { wanted: "at all".into(), found: adapters.len() - 1 }),
        },
        DeviceChoice::Gpu(Some(index)) => adapters
            .iter()
            .find(|a| a.id == format!("gpu:{index}"))
            .map(|gpu| (gpu, "as asked".into()))
            .ok_or(Error::NoSuchGpu { wanted: index.to_string(), found: adapters.len() - 1 }),
    }
}

/// Open the device that `choice` means.
///
/// # Errors
/// When there is none or its driver refuses.
pub fn open(choice: DeviceChoice) -> Result<OpenDevice, Error> {
    if choice == DeviceChoice::Cpu {
        // Without asking any driver: a broken one must not stop a run on the CPU.
        return Ok(OpenDevice { device: Device::flex(), name: format!("{CPU} {}", cpu_name()) });
    }
    let adapters = adapters();
    let (adapter, _) = pick(choice, &adapters)?;
    open_adapter(adapter)
}

/// Open one adapter of [`adapters`].
///
/// # Errors
/// When its driver refuses.
pub fn open_adapter(adapter: &Adapter) -> Result<OpenDevice, Error> {
    let device = match adapter.kind {
        AdapterKind::Cpu => Device::flex(),
        _ => open_gpu(adapter)?,
    };
    Ok(OpenDevice { device, name: format!("{}: {} ({})", adapter.id, adapter.name, adapter.api) })
}

fn open_gpu(adapter: &Adapter) -> Result<Device, Error> {
    #[cfg(feature = "cuda")]
    if adapter.api == CUDA {
        let gone = || Error::Open { name: adapter.name.clone(), why: "it does not answer any more".into() };
        return cuda::open(adapter).ok_or_else(gone);
    }
    #[cfg(feature = "wgpu")]
    return graphics::open(adapter);
    #[cfg(not(feature = "wgpu"))]
    Err(Error::Open { name: adapter.name.clone(), why: "this build does not reach it".into() })
}

/// Largest difference of a 48 × 64 by 64 × 32 product on `device` from the same in f64 on the host.
///
/// # Errors
/// When the device does not hand out the result.
pub fn check_product(device: &Device) -> Result<f64, String> {
    const ROWS: usize = 48;
    const INNER: usize = 64;
    const COLUMNS: usize = 32;
    let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 50.0;
    let a: Vec<f32> = (0..ROWS * INNER).map(value).collect();
    let b: Vec<f32> = (0..INNER * COLUMNS).map(|i| value(i + 7)).collect();
    let tensor = |values: &[f32], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let product = tensor(&a, [ROWS, INNER]).matmul(tensor(&b, [INNER, COLUMNS]));
    let data = product.try_into_data().map_err(|e| e.to_string())?;
    let found = data.convert::<f32>().try_into_vec::<f32>().map_err(|e| format!("{e:?}"))?;
    let exact = |row: usize, column: usize| -> f64 {
        (0..INNER).map(|k| f64::from(a[row * INNER + k]) * f64::from(b[k * COLUMNS + column])).sum()
    };
    let difference = |i: usize| (f64::from(found[i]) - exact(i / COLUMNS, i % COLUMNS)).abs();
    Ok((0..ROWS * COLUMNS).map(difference).fold(0.0, f64::max))
}

/// Of Linux; elsewhere the architecture.
fn cpu_name() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {threads} threads", model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

/// Of Linux; elsewhere unknown.
fn host_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(id: &str, kind: AdapterKind) -> Adapter {
        Adapter { id: id.into(), name: id.into(), kind, api: String::new(), memory_bytes: None }
    }

    #[test]
    fn auto_never_takes_a_software_adapter() {
        let cpu = adapter("cpu", AdapterKind::Cpu);
        let soft = adapter("gpu:0", AdapterKind::Software);
        let card = adapter("gpu:1", AdapterKind::DiscreteGpu);
        let auto = |list: &[Adapter]| pick(DeviceChoice::Auto, list).unwrap().0.id.clone();
        assert_eq!(auto(&[cpu.clone(), soft.clone()]), "cpu");
        assert_eq!(auto(&[cpu.clone(), soft, card]), "gpu:1");
        assert_eq!(auto(&[cpu]), "cpu");
    }

    #[test]
    fn choices_are_read_and_others_refused() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("gpu:2".parse(), Ok(DeviceChoice::Gpu(Some(2))));
        for good in ["auto", "cpu", "gpu", "gpu:2"] {
            assert_eq!(good.parse::<DeviceChoice>().map(|choice| choice.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "gpu:", "gpu:x", "gpu:-1", "cuda", "cpu:0", "GPU"] {
            assert!(bad.parse::<DeviceChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_cpu_multiplies_right() {
        // 64 products of at most 1 each in f32: 64 · 2⁻²⁴ ≈ 4e-6.
        let difference = check_product(&Device::flex()).unwrap();
        assert!(difference < 4e-6, "{difference}");
    }
}
