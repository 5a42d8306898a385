//! Files of `keysherd db export`, as somebody who had one in their hands may have changed them.

use keysherd_crypto::hash::sha256;
use keysherd_store::export_file::{BadExport, Cell, ExportReader, ExportWriter, Piece};
use keysherd_store::{Kind, TABLES};

use crate::input::Input;

const SCHEMA: u32 = 17;
const SIGNATURE: [u8; 64] = [7; 64];

type Rows = Vec<(usize, Vec<Cell>)>;

/// With an even first byte, the rest is a file; with an odd one, it says what is in a good file and
/// how to damage that.
///
/// Reading is total. A good file gives the rows that were written; one that was changed gives some
/// of the first of them and then an error, and is never taken for whole. What is taken for whole
/// can be written again.
pub fn database_exports(data: &[u8]) {
    let mut input = Input::new(data);
    if !input.flag() {
        let (rows, why) = read(input.rest(), &|_, _| true);
        if why.is_none() {
            let (again, _) = written(&rows);
            assert_eq!(read(&again, &|_, _| true), (rows, None), "not what was read");
        }
        return;
    }
    let rows = rows(&mut input);
    let (mut file, signed) = written(&rows);
    let genuine = |body: &[u8], signature: &[u8; 64]| body == signed && *signature == SIGNATURE;
    assert_eq!(read(&file, &genuine), (rows.clone(), None));
    let whole = file.clone();
    for _ in 0..1 + input.below(3) {
        let (what, place, bit) = (input.byte() % 3, input.below(file.len().max(1)), input.byte());
        match what {
            0 if !file.is_empty() => file[place] ^= 1 << (bit % 8),
            1 => file.truncate(place),
            _ => file.extend_from_slice(input.bytes()),
        }
    }
    let (left, why) = read(&file, &genuine);
    assert!(rows.starts_with(&left), "rows nobody wrote");
    assert_eq!(why.is_none(), file == whole, "{why:?}");
}

/// The rows of a file, and why it is not good. Skimming over a good one finds as many.
fn read(file: &[u8], verify: &dyn Fn(&[u8], &[u8; 64]) -> bool) -> (Rows, Option<BadExport>) {
    let mut found = Vec::new();
    let mut reader = match ExportReader::begin(file, sha256, SCHEMA) {
        Ok(reader) => reader,
        Err(bad) => return (found, Some(bad)),
    };
    loop {
        match reader.next(verify) {
            Ok(Piece::Rows(table, rows)) => found.extend(rows.into_iter().map(|row| (table, row))),
            Ok(Piece::End(counts)) => {
                let again = ExportReader::begin(file, sha256, SCHEMA).expect("as before");
                assert_eq!(again.skim(verify), Ok(counts));
                return (found, None);
            }
            Err(bad) => return (found, Some(bad)),
        }
    }
}

/// A file of these rows, and what was signed.
fn written(rows: &Rows) -> (Vec<u8>, Vec<u8>) {
    let (mut file, mut signed) = (Vec::new(), Vec::new());
    let mut writer = ExportWriter::begin(&mut file, sha256, SCHEMA).expect("room");
    for (table, row) in rows {
        writer.row(*table, row).expect("a row of the table");
    }
    let sign = |body: &[u8]| {
        signed = body.to_vec();
        SIGNATURE
    };
    writer.finish(sign).expect("room");
    (file, signed)
}

fn rows(input: &mut Input<'_>) -> Rows {
    let mut tables: Vec<usize> = (0..input.below(6)).map(|_| input.below(TABLES.len())).collect();
    tables.sort_unstable();
    let mut row = |table: usize| {
        let columns = TABLES[table].columns.iter();
        columns.map(|(_, kind)| cell(input, *kind)).collect::<Vec<Cell>>()
    };
    tables.into_iter().map(|table| (table, row(table))).collect()
}

fn cell(input: &mut Input<'_>, kind: Kind) -> Cell {
    match (input.byte() % 4, kind) {
        (0, _) => Cell::Null,
        (_, Kind::Int) => Cell::Int(input.number().cast_signed()),
        (_, Kind::Text) => Cell::Text(input.text()),
        (_, Kind::Blob) => Cell::Blob(input.bytes().to_vec()),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let counting: Vec<u8> = (1..=255).cycle().take(600).collect();
    let rows = rows(&mut Input::new(&counting[1..]));
    let file = [&[0][..], &written(&rows).0].concat();
    vec![file.clone(), file[..60].to_vec(), counting, [&[0][..], &written(&Vec::new()).0].concat()]
}
