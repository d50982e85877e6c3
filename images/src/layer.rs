//! Files as a tar archive that is the same for the same files. Pure.

use std::io::{self, Write as _};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use crate::tree::{Entry, Tree};

/// All of a tree: sorted, of root, from the beginning of time.
pub fn archive(tree: &Tree) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, entry) in tree.entries() {
        let (kind, mode, bytes) = match entry {
            Entry::Folder => (EntryType::Directory, 0o755, &[][..]),
            Entry::File { bytes, executable: true } => (EntryType::Regular, 0o755, &**bytes),
            Entry::File { bytes, executable: false } => (EntryType::Regular, 0o644, &**bytes),
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes)?;
    }
    builder.into_inner()
}

/// The same in less space; nothing tells when, or by whom.
pub fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_read_again_is_what_was_written() {
        let mut tree = Tree::default();
        tree.program("usr/bin/program", "code");
        let long = format!("usr/share/doc/{}/copyright", "long".repeat(40));
        tree.file(&long, "text");
        let bytes = archive(&tree).unwrap();
        let mut found = Vec::new();
        for entry in tar::Archive::new(&*bytes).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            found.push((path, entry.header().mode().unwrap(), text));
        }
        assert_eq!(found[2], ("usr/bin/program".to_owned(), 0o755, "code".to_owned()));
        assert_eq!(found.last().unwrap(), &(long, 0o644, "text".to_owned()));
        assert_eq!(found.len(), tree.entries().count());
    }

    #[test]
    fn compressed_bytes_carry_no_time_and_no_name() {
        let header = &compress(b"text").unwrap()[..10];
        assert_eq!(header[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "no flags, no time");
    }
}
