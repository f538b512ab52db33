//! GPUs through wgpu.
//!
//! The numbers `gpu:N` follow wgpu's own order on the first graphics interface with a real GPU, or the first with
//! anything. Burn counts the adapters of each kind from zero in the same order.

use burn::tensor::wgpu::{WgpuBackend, wgpu};
use burn::tensor::{Device, DeviceKind};

use super::{Adapter, AdapterKind, Error};

/// Interfaces in order of preference. OpenGL is none of them: it lacks what the fast kernels need, and asking for it
/// makes Mesa complain on machines without a screen.
const INTERFACES: [(wgpu::Backends, wgpu::Backend, WgpuBackend); 3] = [
    (wgpu::Backends::VULKAN, wgpu::Backend::Vulkan, WgpuBackend::Vulkan),
    (wgpu::Backends::METAL, wgpu::Backend::Metal, WgpuBackend::Metal),
    (wgpu::Backends::DX12, wgpu::Backend::Dx12, WgpuBackend::Dx12),
];

/// Every adapter on the interface that Burn will use.
/// Numbered from `first` on.
pub fn adapters(first: usize) -> Vec<Adapter> {
    let mut software_only = Vec::new();
    for (interface, ..) in INTERFACES {
        let found = on(interface, first);
        if found.iter().any(|adapter| adapter.kind != AdapterKind::Software) {
            return found;
        }
        if software_only.is_empty() {
            software_only = found;
        }
    }
    software_only
}

fn on(interface: wgpu::Backends, first: usize) -> Vec<Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: interface,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    // Answers at once on every native platform.
    let found = wait(instance.enumerate_adapters(interface));
    let described = found.iter().filter_map(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => AdapterKind::VirtualGpu,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            // Burn has no name for it.
            wgpu::DeviceType::Other => return None,
        };
        let api = format!("{:?}", info.backend);
        Some(Adapter { id: String::new(), name: info.name, kind, api, memory_bytes: memory(adapter) })
    });
    // Burn can name one software adapter only.
    let mut software = 0;
    let reachable = described.filter(|adapter| {
        software += usize::from(adapter.kind == AdapterKind::Software);
        adapter.kind != AdapterKind::Software || software == 1
    });
    reachable
        .enumerate()
        .map(|(n, adapter)| Adapter { id: format!("gpu:{}", first + n), ..adapter })
        .collect()
}

/// Runs a future that does not wait for anything outside itself.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

/// The sum of the heaps that are the device's own, where it is Vulkan that drives it: wgpu itself does not tell.
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "windows"))]
    {
        // SAFETY: the handle is only asked for its properties, and nothing of it outlives `adapter`.
        let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
        let instance = adapter.shared_instance().raw_instance();
        // SAFETY: both handles belong to the living adapter.
        let memory = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
        let heaps = memory.memory_heaps_as_slice();
        // VK_MEMORY_HEAP_DEVICE_LOCAL_BIT
        let local = heaps.iter().filter(|heap| heap.flags.as_raw() & 1 != 0);
        Some(local.map(|heap| heap.size).sum())
    }
    #[cfg(not(any(target_os = "linux", target_os = "windows")))]
    {
        let _ = adapter;
        None
    }
}

/// Open an adapter of [`adapters`].
///
/// # Errors
/// [`Error::Open`] when the driver refuses, or the adapter is gone.
pub fn open(wanted: &Adapter) -> Result<Device, Error> {
    let refuse = |why: String| Error::Open { name: wanted.name.clone(), why };
    // The number may start anywhere.
    let same = |adapter: &Adapter| Adapter { id: wanted.id.clone(), ..adapter.clone() } == *wanted;
    let all = adapters(0);
    let position = all.iter().position(same);
    let position = position.ok_or_else(|| refuse("it does not answer any more".into()))?;
    let of_its_kind = all[..position].iter().filter(|adapter| adapter.kind == wanted.kind).count();
    let kind = match wanted.kind {
        AdapterKind::DiscreteGpu => DeviceKind::DiscreteGpu(of_its_kind),
        AdapterKind::IntegratedGpu => DeviceKind::IntegratedGpu(of_its_kind),
        AdapterKind::VirtualGpu => DeviceKind::VirtualGpu(of_its_kind),
        AdapterKind::Software | AdapterKind::Cpu => DeviceKind::Cpu,
    };
    // The interface that it was listed on, without another search.
    let pinned = INTERFACES.iter().find(|(_, backend, _)| format!("{backend:?}") == wanted.api);
    let pinned = pinned.map_or(WgpuBackend::Auto, |(.., pinned)| *pinned);
    Device::wgpu_options()
        .device_kind(kind)
        .graphics_api(pinned)
        .init()
        .map_err(|error| refuse(error.to_string()))
}
