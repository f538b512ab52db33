//! Pickles and checkpoint files put together by hand.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A pickle under construction; every method appends opcodes.
#[derive(Clone, Default)]
pub struct Asm(pub Vec<u8>);

impl Asm {
    /// An empty pickle of protocol 2.
    pub fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    /// `LONG1` of eight bytes.
    pub fn int(self, number: i64) -> Self {
        self.raw(b"\x8a\x08").raw(&number.to_le_bytes())
    }

    pub fn ints(self, numbers: &[i64]) -> Self {
        numbers.iter().fold(self.raw(b"("), |asm, &number| asm.int(number)).raw(b"t")
    }

    pub fn put(self, index: u32) -> Self {
        self.raw(b"r").raw(&index.to_le_bytes())
    }

    pub fn get(self, index: u32) -> Self {
        self.raw(b"j").raw(&index.to_le_bytes())
    }

    /// A reference to a storage, as `torch.save` writes it.
    pub fn storage(self, class: &str, key: &str, elements: i64) -> Self {
        self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu").int(elements).raw(b"tQ")
    }

    /// A tensor in a new reference to a storage.
    pub fn tensor(self, storage: Storage<'_>, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        let (class, key, elements) = storage;
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(class, key, elements)
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    pub fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A storage's class, key and number of elements.
pub type Storage<'a> = (&'a str, &'a str, i64);

/// A tensor's name, storage, offset, sizes and strides.
pub type Row<'a> = (&'a str, Storage<'a>, i64, &'a [i64], &'a [i64]);

/// A dict of tensors; see [`Asm::tensor`].
pub fn state_dict(tensors: &[Row<'_>]) -> Vec<u8> {
    let start = Asm::new().raw(b"}(");
    let filled = tensors.iter().fold(start, |asm, (name, storage, offset, shape, strides)| {
        asm.text(name).tensor(*storage, *offset, shape, strides)
    });
    filled.raw(b"u").stop()
}

/// A zip file as `torch.save` writes it.
pub fn zip_file(pickle: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut files =
        vec![("x/data.pkl".to_owned(), pickle.to_vec()), ("x/version".to_owned(), b"3\n".to_vec())];
    files.extend(storages.iter().map(|(key, bytes)| (format!("x/data/{key}"), bytes.clone())));
    archive(&files)
}

/// A stored zip archive.
pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(name, stored).expect("a new file in the archive");
        zip.write_all(bytes).expect("writing to memory");
    }
    zip.finish().expect("an archive").into_inner()
}

/// A legacy file; each storage with the count that it claims.
pub fn legacy_file(pickle: &[u8], storages: &[(&str, i64, Vec<u8>)]) -> Vec<u8> {
    let magic = Asm::new().raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").stop();
    let protocol = Asm::new().raw(b"M\xe9\x03").stop();
    let machine = Asm::new().raw(b"}").text("little_endian").raw(b"\x88s").stop();
    let keys = storages.iter().fold(Asm::new().raw(b"]("), |asm, (key, ..)| asm.text(key)).raw(b"e").stop();
    let mut file = [magic, protocol, machine, pickle.to_vec(), keys].concat();
    for (_, count, bytes) in storages {
        file.extend(count.to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// A safetensors file of a header and the tensors' bytes.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
}

/// Elements as bytes.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
