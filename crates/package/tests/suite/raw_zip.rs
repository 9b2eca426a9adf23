//! Writes archives of which every field can be wrong.

/// One entry. What the local header says can differ from the central directory.
#[derive(Clone, Debug)]
pub struct Raw {
    pub name: Vec<u8>,
    pub local_name: Option<Vec<u8>>,
    /// The bytes between the local header and the next one.
    pub data: Vec<u8>,
    pub method: u16,
    pub local_method: Option<u16>,
    pub flags: u16,
    pub crc: u32,
    pub compressed: u32,
    pub uncompressed: u32,
    /// Checksum, compressed and uncompressed size in the local header.
    pub local_sizes: Option<[u32; 3]>,
    pub host: u8,
    pub attributes: u32,
    pub time: u16,
    pub date: u16,
    pub extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub disk: u16,
    /// Where the central directory says that the local header is.
    pub local_offset: Option<u32>,
}

impl Raw {
    pub fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Raw {
        let content = content.as_ref();
        Raw {
            name: name.as_ref().to_vec(),
            local_name: None,
            data: content.to_vec(),
            method: 0,
            local_method: None,
            flags: 0,
            crc: libdeflater::crc32(content),
            compressed: content.len() as u32,
            uncompressed: content.len() as u32,
            local_sizes: None,
            host: 3,
            attributes: 0o100644 << 16,
            time: 0,
            date: 0x5c21,
            extra: Vec::new(),
            local_extra: Vec::new(),
            disk: 0,
            local_offset: None,
        }
    }

    pub fn deflated(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Raw {
        let mut raw = Raw::stored(name, &content);
        raw.data = deflate(content.as_ref());
        raw.compressed = raw.data.len() as u32;
        raw.method = 8;
        raw
    }

    pub fn directory(name: impl AsRef<[u8]>) -> Raw {
        Raw::stored(name, "").mode(0o040755)
    }

    pub fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Raw {
        Raw::stored(name, target).mode(0o120777)
    }

    pub fn mode(self, mode: u32) -> Raw {
        Raw { attributes: mode << 16, ..self }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Raw)) -> Raw {
        change(&mut self);
        self
    }
}

pub fn deflate(content: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut data = vec![0; compressor.deflate_compress_bound(content.len())];
    let bytes = compressor.deflate_compress(content, &mut data).expect("deflate");
    data.truncate(bytes);
    data
}

/// An archive: what precedes it, its entries, a comment.
pub fn archive(prefix: &[u8], entries: &[Raw], comment: &[u8]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for raw in entries {
        let offset = raw.local_offset.unwrap_or(body.len() as u32);
        let name = raw.local_name.as_ref().unwrap_or(&raw.name);
        let sizes = raw.local_sizes.unwrap_or([raw.crc, raw.compressed, raw.uncompressed]);
        body.extend(0x0403_4b50_u32.to_le_bytes());
        shorts(&mut body, &[20, raw.flags, raw.local_method.unwrap_or(raw.method), raw.time, raw.date]);
        longs(&mut body, &sizes);
        shorts(&mut body, &[name.len() as u16, raw.local_extra.len() as u16]);
        body.extend(name);
        body.extend(&raw.local_extra);
        body.extend(&raw.data);

        directory.extend(0x0201_4b50_u32.to_le_bytes());
        shorts(&mut directory, &[20 | u16::from(raw.host) << 8, 20, raw.flags, raw.method, raw.time, raw.date]);
        longs(&mut directory, &[raw.crc, raw.compressed, raw.uncompressed]);
        shorts(&mut directory, &[raw.name.len() as u16, raw.extra.len() as u16, 0, raw.disk, 0]);
        longs(&mut directory, &[raw.attributes, offset]);
        directory.extend(&raw.name);
        directory.extend(&raw.extra);
    }
    let mut zip = [prefix, &body, &directory].concat();
    zip.extend(end(entries.len() as u16, directory.len() as u32, body.len() as u32));
    let length = zip.len();
    zip[length - 2..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    zip.extend(comment);
    zip
}

pub fn zip(entries: &[Raw]) -> Vec<u8> {
    archive(b"", entries, b"")
}

/// An end record.
pub fn end(entries: u16, size: u32, offset: u32) -> Vec<u8> {
    let mut end = 0x0605_4b50_u32.to_le_bytes().to_vec();
    shorts(&mut end, &[0, 0, entries, entries]);
    longs(&mut end, &[size, offset]);
    shorts(&mut end, &[0]);
    end
}

/// An archive whose end record says nothing and whose zip64 records say it all.
pub fn zip64(prefix: &[u8], entries: &[Raw]) -> Vec<u8> {
    let mut zip = archive(prefix, entries, b"");
    let old = zip.split_off(zip.len() - 22);
    let long = |at: usize| u64::from(u32::from_le_bytes(old[at..at + 4].try_into().expect("four bytes")));
    let position = zip.len() as u64 - prefix.len() as u64;
    zip.extend(0x0606_4b50_u32.to_le_bytes());
    zip.extend(44_u64.to_le_bytes());
    shorts(&mut zip, &[45, 45]);
    longs(&mut zip, &[0, 0]);
    for value in [entries.len() as u64, entries.len() as u64, long(12), long(16)] {
        zip.extend(value.to_le_bytes());
    }
    longs(&mut zip, &[0x0706_4b50, 0]);
    zip.extend(position.to_le_bytes());
    longs(&mut zip, &[1]);
    zip.extend(end(0xffff, 0xffff_ffff, 0xffff_ffff));
    zip
}

/// An extra field.
pub fn extra(number: u16, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    shorts(&mut field, &[number, content.len() as u16]);
    field.extend(content);
    field
}

fn shorts(to: &mut Vec<u8>, values: &[u16]) {
    to.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn longs(to: &mut Vec<u8>, values: &[u32]) {
    to.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
