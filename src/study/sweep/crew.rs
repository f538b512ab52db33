//! Who works: one process for each GPU, or as many as the user wants on the CPU.

use std::thread;

use crate::device::{self, Adapter, AdapterKind, DeviceChoice};

/// What each worker computes on, as `--device` takes it: several of them are several workers. `jobs` is how many the user
/// wants; a GPU serves one trial at a time.
///
/// # Errors
/// When there is no such device.
pub fn devices(
    choice: DeviceChoice,
    jobs: Option<usize>,
    adapters: impl FnOnce() -> Vec<Adapter>,
) -> Result<Vec<String>, device::Error> {
    let cpus = || vec!["cpu".to_owned(); jobs.unwrap_or(1).max(1)];
    if choice == DeviceChoice::Cpu {
        return Ok(cpus());
    }
    let adapters = adapters();
    let (first, _) = device::pick(choice, &adapters)?;
    if first.kind == AdapterKind::Cpu {
        return Ok(cpus());
    }
    if matches!(choice, DeviceChoice::Gpu(Some(_))) {
        return Ok(vec![first.id.clone()]);
    }
    // A card that two interfaces reach is one card.
    let real = |one: &&Adapter| {
        one.api == first.api && !matches!(one.kind, AdapterKind::Cpu | AdapterKind::Software)
    };
    let gpus = adapters.iter().filter(real).map(|one| one.id.clone());
    Ok(gpus.take(jobs.unwrap_or(usize::MAX).max(1)).collect())
}

/// Threads for each of `workers`: the cores, or what `RAYON_NUM_THREADS` says in their place, shared evenly, one at least. A
/// worker that is given one has a second nevertheless: see [`crate::process::prepare`].
pub fn threads(workers: usize) -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse().ok());
    let all = match asked {
        Some(threads) if threads > 0 => threads,
        _ => thread::available_parallelism().map_or(1, usize::from),
    };
    (all / workers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(id: &str, kind: AdapterKind, api: &str) -> Adapter {
        Adapter { id: id.into(), name: id.into(), kind, api: api.into(), memory_bytes: None }
    }

    #[test]
    fn each_gpu_serves_one_trial_at_a_time() {
        let cpu = adapter("cpu", AdapterKind::Cpu, "Flex");
        let card = |n: usize, api: &str| adapter(&format!("gpu:{n}"), AdapterKind::DiscreteGpu, api);
        let soft = adapter("gpu:4", AdapterKind::Software, "Vulkan");
        let all =
            vec![cpu.clone(), card(0, "CUDA"), card(1, "CUDA"), card(2, "Vulkan"), card(3, "Vulkan"), soft];
        let asked = |choice, jobs| devices(choice, jobs, || all.clone()).unwrap();
        assert_eq!(asked(DeviceChoice::Auto, None), ["gpu:0", "gpu:1"]);
        assert_eq!(asked(DeviceChoice::Auto, Some(5)), ["gpu:0", "gpu:1"]);
        // A build without GPU support refuses a GPU that is named, whatever is there.
        if cfg!(any(feature = "wgpu", feature = "cuda")) {
            assert_eq!(asked(DeviceChoice::Gpu(None), Some(1)), ["gpu:0"]);
            assert_eq!(asked(DeviceChoice::Gpu(Some(3)), Some(2)), ["gpu:3"]);
        }
        assert_eq!(asked(DeviceChoice::Cpu, Some(3)), ["cpu", "cpu", "cpu"]);
        assert_eq!(devices(DeviceChoice::Auto, Some(2), || vec![cpu]).unwrap(), ["cpu", "cpu"]);
        assert!(devices(DeviceChoice::Gpu(Some(9)), None, || all.clone()).is_err());
    }

    #[test]
    fn threads_are_shared() {
        assert!(threads(1) >= threads(2) && threads(10_000) == 1);
    }
}
