//! NVIDIA GPUs through CUDA. Numbered before those that wgpu reaches: the same card is faster here.

use burn::tensor::{Device, DeviceType};

use super::{Adapter, AdapterKind};

/// Every CUDA device; none where the driver's library is missing.
pub fn adapters() -> Vec<Adapter> {
    let describe = |(index, device): (usize, Device)| Adapter {
        id: format!("gpu:{index}"),
        name: device.identity().map_or_else(|| "CUDA device".into(), |identity| identity.name),
        kind: AdapterKind::DiscreteGpu,
        api: super::CUDA.into(),
        memory_bytes: None,
    };
    Device::enumerate(DeviceType::Cuda).into_vec().into_iter().enumerate().map(describe).collect()
}

/// Open an adapter of [`adapters`] by its place there; none when it is gone.
pub fn open(wanted: &Adapter) -> Option<Device> {
    let index = adapters().iter().position(|adapter| adapter == wanted)?;
    Some(Device::cuda(index))
}
