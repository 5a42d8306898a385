//! The file that `keysherd db export` writes: every row of the store, whichever engine has it.
//!
//! ```text
//! file   = "KSDBEXP1" | frame...
//! frame  = kind (1) | length of the body, u32 BE | body | link (32)
//! link   = H("KS1-db-export" 00 | previous link | kind | length, u64 BE | body)
//! header = schema version, u32 BE | number of tables, u8          kind 1, the first frame
//! rows   = table, u8 | number of rows, u32 BE | row...            kind 2, by ascending table
//! seal   = rows of each table, u64 BE ... | signature (64)        kind 3, the last frame
//! row    = value... in the order of the table's columns
//! value  = 00, nothing | 01 and: i64 BE, or length u32 BE and bytes
//! ```
//! The link before the first frame is all zeros. The signature is one of control's audit key under
//! [`EXPORT_LABEL`], over the link before the seal and the numbers of rows. So a file that was cut,
//! changed or made by somebody without that key is told apart, and the frames of a good one can be
//! used one by one.
//!
//! The same rows give the same bytes: rows are in the order of their table's key, and a frame ends
//! with the row that makes it [`FRAME_BYTES`] long.

use std::fmt;
use std::io::{self, Read, Write};

use keysherd_audit::{HashFn, Link};

use self::cells::{Body, put_bytes};
use crate::tables::{Kind, TABLES};

mod cells;

pub use self::cells::Cell;

/// Label under which a file is signed.
pub const EXPORT_LABEL: &str = "KS1-sig/db-export";

const MAGIC: &[u8; 8] = b"KSDBEXP1";
/// Label in front of what a link hashes, followed by one zero byte.
const LINK_LABEL: &str = "KS1-db-export";
/// What the first frame follows.
const NO_LINK: Link = [0; 32];
/// A frame of rows ends with the row that reaches this length.
const FRAME_BYTES: usize = 1 << 20;
/// Longest frame that is read: the largest row, a role with all its rules, fits with room to spare.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// Bytes of the counts and the signature.
const SEAL_BYTES: usize = TABLES.len() * 8 + 64;
/// Bytes of a frame's body that are read at a time: what a file says of its lengths may be wrong.
const PIECE_BYTES: u64 = 1 << 20;

const HEADER: u8 = 1;
const ROWS: u8 = 2;
const SEAL: u8 = 3;

/// The rows of each table, in the order of the file.
pub type Counts = [u64; TABLES.len()];

/// Why a file is not used. None of the texts has anything of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadExport {
    /// It does not begin as such a file does.
    Foreign,
    /// It ends in the middle.
    CutOff,
    /// The frame that begins at this byte is not as it was written.
    Altered(u64),
    /// The frame that begins at this byte has nothing that this program can read.
    Unreadable(u64),
    /// It is of a store with another schema.
    Schema(u32),
    /// There is something after its end.
    Longer,
    /// The signature is not of the key of this control plane.
    NotSigned,
    /// It could not be read from.
    Io(io::ErrorKind),
}

impl fmt::Display for BadExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it is not a file of keysherd db export"),
            Self::CutOff => f.write_str("it ends too early: it was cut off"),
            Self::Altered(at) => write!(f, "it was changed or damaged at byte {at} or after"),
            Self::Unreadable(at) => write!(f, "what is at byte {at} cannot be read"),
            Self::Schema(version) => write!(
                f,
                "it is of schema version {version}; import it with the release that wrote it, and \
                 then run: keysherd db migrate"
            ),
            Self::Longer => f.write_str("there is something after its end"),
            Self::NotSigned => f.write_str(
                "it is not signed by the keys of this control plane: copy keys/control.keys of the \
                 one it was exported from",
            ),
            Self::Io(kind) => write!(f, "it cannot be read: {kind}"),
        }
    }
}

impl std::error::Error for BadExport {}

/// Writes a file, row by row.
pub struct ExportWriter<W> {
    out: W,
    hash: HashFn,
    link: Link,
    table: usize,
    rows: u32,
    body: Vec<u8>,
    counts: Counts,
}

impl<W: Write> ExportWriter<W> {
    /// Begins a file of a store with this schema.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(mut out: W, hash: HashFn, schema: u32) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let mut writer = Self {
            out,
            hash,
            link: NO_LINK,
            table: 0,
            rows: 0,
            body: Vec::new(),
            counts: [0; TABLES.len()],
        };
        let tables = u8::try_from(TABLES.len()).unwrap_or(u8::MAX);
        let header = [&schema.to_be_bytes()[..], &[tables]].concat();
        writer.frame(HEADER, &header)?;
        Ok(writer)
    }

    /// Adds a row of a table, which is not before that of the last one.
    ///
    /// # Errors
    /// Those of `out`; [`io::ErrorKind::InvalidInput`] for a value that the column cannot have.
    pub fn row(&mut self, table: usize, row: &[Cell]) -> io::Result<()> {
        if table != self.table {
            self.flush_rows()?;
            self.table = table;
        }
        let refused = || io::Error::from(io::ErrorKind::InvalidInput);
        let columns = TABLES.get(table).ok_or_else(refused)?.columns;
        if row.len() != columns.len() {
            return Err(refused());
        }
        for (cell, (_, kind)) in row.iter().zip(columns) {
            put(&mut self.body, cell, *kind).ok_or_else(refused)?;
        }
        self.rows += 1;
        if let Some(count) = self.counts.get_mut(table) {
            *count += 1;
        }
        if self.body.len() >= FRAME_BYTES { self.flush_rows() } else { Ok(()) }
    }

    /// Ends the file; `sign` signs its argument under [`EXPORT_LABEL`].
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> io::Result<Counts> {
        self.flush_rows()?;
        let signature = sign(&signed_body(&self.link, &self.counts));
        let mut seal = Vec::with_capacity(SEAL_BYTES);
        self.counts.iter().for_each(|count| seal.extend_from_slice(&count.to_be_bytes()));
        seal.extend_from_slice(&signature);
        self.frame(SEAL, &seal)?;
        self.out.flush()?;
        Ok(self.counts)
    }

    fn flush_rows(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let table = u8::try_from(self.table).unwrap_or(u8::MAX);
        let mut body = Vec::with_capacity(self.body.len() + 5);
        body.push(table);
        body.extend_from_slice(&self.rows.to_be_bytes());
        body.append(&mut self.body);
        self.rows = 0;
        self.frame(ROWS, &body)
    }

    fn frame(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let too_long = || io::Error::from(io::ErrorKind::FileTooLarge);
        if body.len() > FRAME_BYTES_MAX {
            return Err(too_long());
        }
        let length = u32::try_from(body.len()).map_err(|_| too_long())?;
        self.link = next_link(self.hash, &self.link, kind, body);
        self.out.write_all(&[kind])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&self.link)
    }
}

/// What [`ExportReader::next`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is in memory at a time")]
pub enum Piece {
    /// Some rows of a table, with their values in the order of its columns.
    Rows(usize, Vec<Vec<Cell>>),
    /// The end: how many rows there were, and whether the file is signed.
    End(Counts),
}

/// Reads a file, frame by frame; no more of it is in memory at a time.
pub struct ExportReader<R> {
    from: R,
    hash: HashFn,
    link: Link,
    /// Where the next frame begins.
    at: u64,
    table: usize,
    counts: Counts,
}

impl<R: Read> ExportReader<R> {
    /// Reads the beginning of a file that must be of a store with this schema.
    ///
    /// # Errors
    /// [`BadExport`].
    pub fn begin(mut from: R, hash: HashFn, schema: u32) -> Result<Self, BadExport> {
        let mut magic = [0; MAGIC.len()];
        match from.read_exact(&mut magic) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(BadExport::Io(error.kind()));
            }
            _ if magic != *MAGIC => return Err(BadExport::Foreign),
            _ => {}
        }
        let at = MAGIC.len() as u64;
        let counts = [0; TABLES.len()];
        let mut reader = Self { from, hash, link: NO_LINK, at, table: 0, counts };
        let (kind, body) = reader.frame()?;
        let (found, tables) = match (kind, body.as_slice()) {
            (HEADER, [a, b, c, d, tables]) => (u32::from_be_bytes([*a, *b, *c, *d]), *tables),
            _ => return Err(BadExport::Unreadable(at)),
        };
        if found != schema {
            return Err(BadExport::Schema(found));
        }
        if usize::from(tables) != TABLES.len() {
            return Err(BadExport::Unreadable(at));
        }
        Ok(reader)
    }

    /// Reads to the end without making anything of the rows: whether the file is whole and signed,
    /// and how many rows it says there are. A file that nobody signed costs no more memory than
    /// one frame, whatever it says is in it.
    ///
    /// # Errors
    /// [`BadExport`].
    pub fn skim(mut self, verify: &dyn Fn(&[u8], &[u8; 64]) -> bool) -> Result<Counts, BadExport> {
        loop {
            let (begin, before) = (self.at, self.link);
            let (kind, body) = self.frame()?;
            if kind == ROWS {
                self.rows_head(&body).ok_or(BadExport::Unreadable(begin))?;
            } else {
                return self.end((kind, &body), (begin, &before), verify);
            }
        }
    }

    /// The next frame; `verify` checks a signature over a body under [`EXPORT_LABEL`]. After
    /// [`Piece::End`] there is nothing more.
    ///
    /// # Errors
    /// [`BadExport`].
    pub fn next(&mut self, verify: &dyn Fn(&[u8], &[u8; 64]) -> bool) -> Result<Piece, BadExport> {
        let (begin, before) = (self.at, self.link);
        let (kind, body) = self.frame()?;
        if kind == ROWS {
            return self.rows(&body).ok_or(BadExport::Unreadable(begin));
        }
        self.end((kind, &body), (begin, &before), verify).map(Piece::End)
    }

    /// The last frame, which began at a byte and follows a link.
    fn end(
        &mut self,
        (kind, body): (u8, &[u8]),
        (begin, before): (u64, &Link),
        verify: &dyn Fn(&[u8], &[u8; 64]) -> bool,
    ) -> Result<Counts, BadExport> {
        let seal = seal_of(body).filter(|_| kind == SEAL);
        let (counts, signature) = seal.ok_or(BadExport::Unreadable(begin))?;
        if counts != self.counts {
            return Err(BadExport::Altered(begin));
        }
        if !verify(&signed_body(before, &counts), &signature) {
            return Err(BadExport::NotSigned);
        }
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(counts),
            Ok(_) => Err(BadExport::Longer),
            Err(error) => Err(BadExport::Io(error.kind())),
        }
    }

    /// The table and the number of rows of a frame, which are counted, and what follows.
    fn rows_head<'b>(&mut self, body: &'b [u8]) -> Option<(usize, u32, Body<'b>)> {
        let mut body = Body::new(body);
        let table = usize::from(body.byte()?);
        let count = body.number()?;
        if table < self.table || count == 0 {
            return None;
        }
        self.table = table;
        *self.counts.get_mut(table)? += u64::from(count);
        Some((table, count, body))
    }

    fn rows(&mut self, body: &[u8]) -> Option<Piece> {
        let (table, count, mut body) = self.rows_head(body)?;
        let columns = TABLES.get(table)?.columns;
        let mut rows = Vec::new();
        for _ in 0..count {
            let row: Option<Vec<Cell>> = columns.iter().map(|(_, kind)| body.cell(*kind)).collect();
            rows.push(row?);
        }
        body.is_empty().then_some(Piece::Rows(table, rows))
    }

    /// A frame whose link is right.
    fn frame(&mut self) -> Result<(u8, Vec<u8>), BadExport> {
        let begin = self.at;
        let [kind, a, b, c, d] = self.array::<5>()?;
        let length = u32::from_be_bytes([a, b, c, d]);
        if length as usize > FRAME_BYTES_MAX {
            return Err(BadExport::Altered(begin));
        }
        let mut body = Vec::new();
        let mut left = u64::from(length);
        while left > 0 {
            let piece = left.min(PIECE_BYTES);
            let read = self.from.by_ref().take(piece).read_to_end(&mut body);
            if read.map_err(|error| BadExport::Io(error.kind()))? as u64 != piece {
                return Err(BadExport::CutOff);
            }
            left -= piece;
        }
        let link = next_link(self.hash, &self.link, kind, &body);
        if self.array()? != link {
            return Err(BadExport::Altered(begin));
        }
        self.link = link;
        self.at += 5 + u64::from(length) + 32;
        Ok((kind, body))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadExport> {
        let mut bytes = [0; N];
        match self.from.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(BadExport::CutOff),
            Err(error) => Err(BadExport::Io(error.kind())),
        }
    }
}

fn next_link(hash: HashFn, previous: &Link, kind: u8, body: &[u8]) -> Link {
    let length = (body.len() as u64).to_be_bytes();
    hash(&[LINK_LABEL.as_bytes(), &[0], previous, &[kind], &length, body])
}

/// What is signed: the link before the seal, and the numbers of rows.
fn signed_body(link: &Link, counts: &Counts) -> Vec<u8> {
    let mut body = link.to_vec();
    counts.iter().for_each(|count| body.extend_from_slice(&count.to_be_bytes()));
    body
}

fn seal_of(body: &[u8]) -> Option<(Counts, [u8; 64])> {
    let (counts, signature) = body.split_at_checked(TABLES.len() * 8)?;
    let mut found = [0; TABLES.len()];
    for (count, bytes) in found.iter_mut().zip(counts.chunks_exact(8)) {
        *count = u64::from_be_bytes(bytes.try_into().ok()?);
    }
    Some((found, signature.try_into().ok()?))
}

fn put(body: &mut Vec<u8>, cell: &Cell, kind: Kind) -> Option<()> {
    match (cell, kind) {
        (Cell::Null, _) => body.push(0),
        (Cell::Int(number), Kind::Int) => {
            body.push(1);
            body.extend_from_slice(&number.to_be_bytes());
        }
        (Cell::Text(text), Kind::Text) => put_bytes(body, text.as_bytes())?,
        (Cell::Blob(bytes), Kind::Blob) => put_bytes(body, bytes)?,
        _ => return None,
    }
    Some(())
}
