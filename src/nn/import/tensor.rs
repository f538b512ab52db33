//! Strided tensors over the file's bytes, converted when asked for.

use super::dtype::{Dtype, bfloat_to_f32, half_to_f32};
use super::error::Error;

/// A tensor that repeats its elements (a stride of 0) may have this many although its storage has
/// fewer: 64 MiB as f32. Anything larger must be in the file.
const REPEATED_ELEMENTS: usize = 1 << 24;

/// What a file says about a tensor; strides and offsets in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    shape: Vec<usize>,
    strides: Vec<usize>,
    dtype: Dtype,
    storage: usize,
    offset: usize,
    elements: usize,
}

impl Tensor {
    /// A view of `available` elements of storage number `storage` from element `start` on.
    ///
    /// The error is a lowercase fragment.
    pub(super) fn new(
        dtype: Dtype,
        storage: usize,
        (start, available): (usize, usize),
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err(format!("a tensor has {} sizes and {} strides", shape.len(), strides.len()));
        }
        let empty = shape.contains(&0);
        let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let elements = if empty { 0 } else { product.ok_or("a tensor's size overflows")? };
        // The largest index, from the start of the view; a tensor without elements has none.
        let offset = if empty { 0 } else { offset };
        let last = shape.iter().zip(&strides).try_fold(offset, |last, (&size, &stride)| {
            let steps = if empty { 0 } else { size - 1 };
            last.checked_add(steps.checked_mul(stride)?)
        });
        let last = last.ok_or("a tensor's strides overflow")?;
        if !empty && last >= available {
            return Err(format!(
                "a tensor of shape {shape:?} reaches element {last} of a storage of {available}"
            ));
        }
        let offset = start.checked_add(offset).ok_or("a tensor's offset overflows")?;
        // A stride that is never taken can be any number: without it, no sum can overflow.
        let strides = shape.iter().zip(strides).map(|(&size, stride)| if size > 1 { stride } else { 0 });
        let strides = strides.collect();
        Ok(Self { shape, strides, dtype, storage, offset, elements })
    }

    /// A tensor that lies in one piece, rows first.
    pub(super) fn contiguous(dtype: Dtype, storage: usize, shape: Vec<usize>) -> Result<Self, String> {
        let mut strides = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        let available = shape.iter().fold(1usize, |product, &size| product.saturating_mul(size));
        Self::new(dtype, storage, (0, available), 0, shape, strides)
    }

    /// Sizes, the slowest axis first; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the elements in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.elements
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// The storage's number: tensors of the same number are views of the same bytes.
    pub fn storage(&self) -> usize {
        self.storage
    }

    /// Whether the elements lie one after another, rows first.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    }
}

/// A tensor together with its storage's bytes.
#[derive(Debug, Clone, Copy)]
pub struct TensorRef<'a> {
    pub(super) tensor: &'a Tensor,
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
}

impl<'a> TensorRef<'a> {
    /// Sizes, the slowest axis first; empty for a single number.
    pub fn shape(&self) -> &'a [usize] {
        self.tensor.shape()
    }

    /// The type of the elements in the file.
    pub fn dtype(&self) -> Dtype {
        self.tensor.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.tensor.elements
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensor.elements == 0
    }

    /// The handle: layout and storage number.
    pub fn tensor(&self) -> &'a Tensor {
        self.tensor
    }

    /// All elements, rows first. Whole numbers and f64 are rounded to the nearest f32, truth
    /// values become 0 and 1.
    ///
    /// # Errors
    /// When the tensor repeats few bytes into more than 16 million elements.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        match self.tensor.dtype {
            Dtype::F32 => self.gather(f32::from_le_bytes),
            Dtype::F64 => self.gather(|b| f64::from_le_bytes(b) as f32),
            Dtype::F16 => self.gather(|b| half_to_f32(u16::from_le_bytes(b))),
            Dtype::Bf16 => self.gather(|b| bfloat_to_f32(u16::from_le_bytes(b))),
            Dtype::I64 => self.gather(|b| i64::from_le_bytes(b) as f32),
            Dtype::I32 => self.gather(|b| i32::from_le_bytes(b) as f32),
            Dtype::I16 => self.gather(|b| f32::from(i16::from_le_bytes(b))),
            Dtype::I8 => self.gather(|b| f32::from(i8::from_le_bytes(b))),
            Dtype::U8 => self.gather(|b| f32::from(u8::from_le_bytes(b))),
            Dtype::Bool => self.gather(|[b]| f32::from(u8::from(b != 0))),
        }
    }

    /// All elements of a tensor of whole numbers or truth values, rows first.
    ///
    /// # Errors
    /// As [`TensorRef::to_f32`], and for floating-point tensors.
    pub fn as_i64(&self) -> Result<Vec<i64>, Error> {
        match self.tensor.dtype {
            Dtype::I64 => self.gather(i64::from_le_bytes),
            Dtype::I32 => self.gather(|b| i64::from(i32::from_le_bytes(b))),
            Dtype::I16 => self.gather(|b| i64::from(i16::from_le_bytes(b))),
            Dtype::I8 => self.gather(|b| i64::from(i8::from_le_bytes(b))),
            Dtype::U8 => self.gather(|b| i64::from(u8::from_le_bytes(b))),
            Dtype::Bool => self.gather(|[b]| i64::from(b != 0)),
            float => Err(self.error(format!("its elements are {float}, not whole numbers"))),
        }
    }

    fn gather<const N: usize, T>(&self, decode: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
        if self.big_endian {
            self.gather_little_endian(|mut bytes| {
                bytes.reverse();
                decode(bytes)
            })
        } else {
            self.gather_little_endian(decode)
        }
    }

    fn gather_little_endian<const N: usize, T>(
        &self,
        decode: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        let Tensor { shape, strides, offset, elements, .. } = self.tensor;
        if *elements == 0 {
            return Ok(Vec::new());
        }
        let (stored, _) = self.bytes.as_chunks::<N>();
        if *elements > stored.len().max(REPEATED_ELEMENTS) {
            return Err(self.error(format!("it repeats a storage of {} elements", stored.len())));
        }
        let outside = || self.error("it reaches beyond its storage".into());
        if self.tensor.is_contiguous() {
            let piece = stored.get(*offset..).and_then(|rest| rest.get(..*elements)).ok_or_else(outside)?;
            return Ok(piece.iter().map(|bytes| decode(*bytes)).collect());
        }
        // Not contiguous, so there is an axis; the last one is the inner loop.
        let (&inner, outer) = shape.split_last().ok_or_else(outside)?;
        let (&step, outer_strides) = strides.split_last().ok_or_else(outside)?;
        let mut values = Vec::with_capacity(*elements);
        let mut index = vec![0usize; outer.len()];
        let mut at = *offset;
        loop {
            for k in 0..inner {
                values.push(decode(*stored.get(at + k * step).ok_or_else(outside)?));
            }
            // The next index of the outer axes, as an odometer.
            let mut axis = outer.len();
            loop {
                let Some(previous) = axis.checked_sub(1) else { return Ok(values) };
                axis = previous;
                index[axis] += 1;
                at += outer_strides[axis];
                if index[axis] < outer[axis] {
                    break;
                }
                at -= outer_strides[axis] * outer[axis];
                index[axis] = 0;
            }
        }
    }

    fn error(&self, why: String) -> Error {
        Error::Values { shape: self.tensor.shape.clone(), why }
    }
}
