//! Zip archives written field by field: what they say need not be so.

/// A file that an archive holds.
pub struct Stored<'a> {
    pub name: &'a str,
    pub content: &'a [u8],
}

/// What a directory says about a file.
#[derive(Clone)]
pub struct Listed<'a> {
    pub name: &'a str,
    /// 0 is stored, 8 deflated.
    pub method: u16,
    pub stored_bytes: u64,
    pub size_bytes: u64,
    pub header_at: u64,
}

impl<'a> Listed<'a> {
    /// A stored file whose header stands at `header_at`.
    pub fn stored(name: &'a str, bytes: u64, header_at: u64) -> Self {
        Self { name, method: 0, stored_bytes: bytes, size_bytes: bytes, header_at }
    }
}

/// What stands before a file's content. Its sizes are left to the directory.
pub fn local_header(name: &str) -> Vec<u8> {
    let length = (name.len() as u16).to_le_bytes();
    [b"PK\x03\x04".as_slice(), &[0; 22], &length, &[0; 2], name.as_bytes()].concat()
}

/// A directory that begins at byte `at`, all of whose numbers are in 64-bit fields, and the end of the archive.
pub fn directory(files: &[Listed<'_>], at: u64) -> Vec<u8> {
    let entries: Vec<u8> = files.iter().flat_map(entry).collect();
    let end_at = at + entries.len() as u64;
    let count = (files.len() as u64).to_le_bytes();
    let end64 = [b"PK\x06\x06".as_slice(), &44u64.to_le_bytes(), &[0; 12], &count, &count].concat();
    let place = [(end_at - at).to_le_bytes(), at.to_le_bytes()].concat();
    let locator = [b"PK\x06\x07".as_slice(), &[0; 4], &end_at.to_le_bytes(), &[0; 4]].concat();
    let end = [b"PK\x05\x06".as_slice(), &[0; 4], &[0xff; 12], &[0; 2]].concat();
    [entries, end64, place, locator, end].concat()
}

fn entry(file: &Listed<'_>) -> Vec<u8> {
    let wide = [file.size_bytes, file.stored_bytes, file.header_at].map(u64::to_le_bytes).concat();
    // An extra field of another kind stands before.
    let extra = [b"\x55\x54\x02\x00ab\x01\x00\x18\x00".as_slice(), &wide].concat();
    let lengths = [file.name.len(), extra.len()].map(|length| (length as u16).to_le_bytes()).concat();
    let method = file.method.to_le_bytes();
    let fixed = [b"PK\x01\x02".as_slice(), &[0; 6], &method, &[0; 8], &[0xff; 8], &lengths].concat();
    [&fixed, [0; 10].as_slice(), &[0xff; 4], file.name.as_bytes(), &extra].concat()
}

/// A sound archive.
pub fn archive(files: &[Stored<'_>]) -> Vec<u8> {
    let (mut file, listed) = contents(files);
    let at = file.len() as u64;
    file.extend(directory(&listed, at));
    file
}

/// The files one after the other, and what a true directory says about them.
pub fn contents<'a>(files: &[Stored<'a>]) -> (Vec<u8>, Vec<Listed<'a>>) {
    let mut bytes = Vec::new();
    let mut listed = Vec::new();
    for Stored { name, content } in files {
        listed.push(Listed::stored(name, content.len() as u64, bytes.len() as u64));
        bytes.extend(local_header(name));
        bytes.extend_from_slice(content);
    }
    (bytes, listed)
}
