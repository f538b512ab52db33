//! `asdbench devices`: what can compute here.

use clap::Args;
use serde::Serialize;

use super::{Context, DeviceOption, Failure};
use crate::device::{self, Adapter};
use crate::report::{self, Align, Table};

/// Arguments of `asdbench devices`.
#[derive(Args, Debug)]
pub struct DevicesArgs {
    #[command(flatten)]
    choice: DeviceOption,
}

/// One object of the JSON document.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    adapter: &'a Adapter,
    chosen: bool,
    /// Why `--device` means this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_chosen: Option<&'a str>,
    /// Largest difference of a small matrix product from the same in f64.
    product_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// 64 products of at most 1 in f32, whatever their order: 64 · 64 · 2⁻²⁴.
const PRODUCT_TOLERANCE: f64 = 2.5e-4;

/// List the adapters, check a product on each, say which one is taken and why.
pub fn run(args: &DevicesArgs, context: &Context) -> Result<(), Failure> {
    let adapters = device::adapters();
    let (chosen, why) = device::pick(args.choice.device, &adapters)?;
    let checked: Vec<Checked<'_>> = adapters
        .iter()
        .map(|adapter| {
            let product = device::open_adapter(adapter)
                .map_err(|error| error.to_string())
                .and_then(|open| device::check_product(&open.device));
            let taken = adapter == chosen;
            Checked {
                adapter,
                chosen: taken,
                why_chosen: taken.then_some(why.as_str()),
                product_error: product.as_ref().ok().copied(),
                why: product.err(),
            }
        })
        .collect();

    let columns = [
        ("device", Align::Left),
        ("name", Align::Left),
        ("type", Align::Left),
        ("api", Align::Left),
        ("memory", Align::Right),
        ("matrix product", Align::Left),
        ("taken", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for one in &checked {
        let product = match (one.product_error, &one.why) {
            (Some(error), _) if error <= PRODUCT_TOLERANCE => format!("right ({error:.0e})"),
            (Some(error), _) => format!("WRONG by {error:.0e}"),
            (None, why) => why.clone().unwrap_or_default(),
        };
        let memory = one
            .adapter
            .memory_bytes
            .map_or("unknown".into(), |b| format!("{:.1} GiB", b as f64 / 1_073_741_824.0));
        let taken = one.why_chosen.map_or(String::new(), |why| format!("yes: {why}"));
        let adapter = one.adapter;
        let kind = adapter.kind.to_string();
        table.row(vec![
            adapter.id.clone(),
            adapter.name.clone(),
            kind,
            adapter.api.clone(),
            memory,
            product,
            taken,
        ]);
    }
    let document = serde_json::json!({ "schema": 1, "devices": checked });
    context.print(|out| report::print(out, context.format, &table, &document))
}
