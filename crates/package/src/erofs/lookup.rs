//! What a path in an image leads to, as in a `chroot` of it.

use super::reader::{FileType, Image, ReadAt, Stat};
use crate::error::ImageError;

/// Links on one path after which Linux gives up.
const LINKS: u32 = 40;

impl<S: ReadAt> Image<S> {
    /// What a path leads to, links followed. The path is taken from the image's root, with or without a slash first.
    ///
    /// # Errors
    ///
    /// [`ImageError::NotFound`], [`ImageError::NotADirectory`], [`ImageError::TooManyLinks`] as for a path on Linux;
    /// [`ImageError::LeavesImage`] if a link is absolute or leads above the root.
    pub fn lookup(&self, path: &[u8]) -> Result<Stat, ImageError> {
        self.walk(path, true)
    }

    /// The same, but a link at the end of the path is not followed.
    ///
    /// # Errors
    ///
    /// As [`lookup`](Self::lookup).
    pub fn lookup_no_follow(&self, path: &[u8]) -> Result<Stat, ImageError> {
        self.walk(path, false)
    }

    /// A file's content in full.
    ///
    /// # Errors
    ///
    /// As [`lookup`](Self::lookup); [`ImageError::NotAFile`]; [`ImageError::TooLarge`] above `limit` bytes.
    pub fn read_file(&self, path: &[u8], limit: u64) -> Result<Vec<u8>, ImageError> {
        let stat = self.lookup(path)?;
        if stat.file_type() != FileType::File {
            return Err(ImageError::NotAFile);
        }
        if stat.inode.size > limit {
            return Err(ImageError::TooLarge { bytes: stat.inode.size, limit });
        }
        let mut content = vec![0; stat.inode.size as usize];
        self.read_content(&stat, &mut content, 0)?;
        Ok(content)
    }

    fn walk(&self, path: &[u8], follow_last: bool) -> Result<Stat, ImageError> {
        // What is still to be walked, the next component last; and the way from the root to here.
        let mut ahead: Vec<Vec<u8>> = components(path);
        let mut way = vec![self.root()?];
        let mut links = 0;
        while let Some(component) = ahead.pop() {
            let here = way[way.len() - 1];
            if here.file_type() != FileType::Directory {
                return Err(ImageError::NotADirectory);
            }
            if component == b".." {
                way.pop();
                if way.is_empty() {
                    return Err(ImageError::LeavesImage);
                }
                continue;
            }
            let next = self.child(&here, &component)?;
            if next.file_type() == FileType::Symlink && (follow_last || !ahead.is_empty()) {
                links += 1;
                if links > LINKS {
                    return Err(ImageError::TooManyLinks);
                }
                let target = self.read_link(&next)?;
                if target.starts_with(b"/") {
                    return Err(ImageError::LeavesImage);
                }
                ahead.extend(components(&target));
            } else {
                way.push(next);
            }
        }
        Ok(way[way.len() - 1])
    }

    fn child(&self, directory: &Stat, name: &[u8]) -> Result<Stat, ImageError> {
        let mut found = None;
        self.visit(directory, |candidate, nid| {
            if candidate == name {
                found = Some(nid);
            }
            found.is_none()
        })?;
        self.stat(found.ok_or(ImageError::NotFound)?)
    }
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let components = path.split(|byte| *byte == b'/').filter(|component| !matches!(*component, b"" | b"."));
    components.rev().map(<[u8]>::to_vec).collect()
}
