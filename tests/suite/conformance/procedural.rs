//! Made-up weights by the rule of the reference folders' READMEs, so that full-size networks need no file of weights.

use asdbench::nn::import::Checkpoint;
use serde_json::{Map, Value, json};

fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A tensor's made-up values.
pub fn procedural(key: &str, shape: &[usize], salt: u64, gain: f64) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let base = fnv1a64(key) ^ salt;
    let value = |index: u64| {
        let u = (splitmix64(base.wrapping_add(index)) >> 40) as f64 / f64::from(1 << 24);
        let c = 2.0 * u - 1.0;
        if key.ends_with("running_var") {
            1.0 + 0.5 * u
        } else if key.ends_with("running_mean") || key.ends_with("bias") {
            0.1 * c
        } else if shape.len() <= 1 {
            1.0 + 0.1 * c
        } else {
            c * (gain / fan_in as f64).sqrt()
        }
    };
    (0..shape.iter().product::<usize>() as u64).map(|index| value(index) as f32).collect()
}

/// Salt and gain of a description.
pub fn rule(description: &Value) -> (u64, f64) {
    let salt = description["salt"].as_str().expect("a salt").parse().expect("a number");
    (salt, description["G"].as_f64().expect("a gain"))
}

/// Names and shapes of a description, in its order.
pub fn keys(description: &Value) -> Vec<(String, Vec<usize>)> {
    let keys = description["keys"].as_object().expect("names and shapes");
    let shape = |shape: &Value| serde_json::from_value(shape.clone()).expect("a shape");
    keys.iter().map(|(key, sizes)| (key.clone(), shape(sizes))).collect()
}

/// A safetensors file in memory, each tensor's values made when it is its turn.
pub fn safetensors(
    tensors: &[(String, Vec<usize>)],
    metadata: &Map<String, Value>,
    values: impl Fn(usize) -> Vec<f32>,
) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), Value::Object(metadata.clone()));
    let mut at = 0;
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<usize>();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]});
        assert!(header.insert(name.clone(), entry).is_none(), "{name} twice");
        at = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + at);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for n in 0..tensors.len() {
        bytes.extend(values(n).iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

/// A checkpoint in memory.
pub fn checkpoint(bytes: Vec<u8>) -> Checkpoint {
    Checkpoint::from_bytes(bytes).unwrap_or_else(|e| panic!("{e}"))
}
