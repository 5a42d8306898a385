//! Segments and groups of segments in the index.

use keysherd_audit::{Brief, SEGMENT_LEN, Segment, SegmentBuilder, Term, terms_of};
use keysherd_base::{Fault, Timestamp};

use crate::audit::StoredRecord;
use crate::query::{Arg, Query, Tx, all, first, run};

use super::search::AuditOrder;

/// Records in a segment.
pub(super) const LEN: u64 = SEGMENT_LEN as u64;
/// Segments in a group.
pub(super) const GROUP_LEN: u64 = 64;

const SEGMENT_BITS: u32 = 30;
const GROUP_BITS: u32 = 24;
const PART_BITS: u32 = 8;

const PUT: &str = "INSERT OR REPLACE INTO segments (id, earliest, latest) VALUES (?1, ?2, ?3)";
const PUT_TERMS: &str = "INSERT OR REPLACE INTO segment_terms (id, terms) VALUES (?1, ?2)";
const PUT_GROUP: &str = "INSERT OR REPLACE INTO group_terms (id, terms) VALUES (?1, ?2)";
const TERMS: &str = "SELECT terms FROM segment_terms WHERE id = ?1";
const TERMS_OF_GROUP: &str = "SELECT terms FROM segment_terms WHERE id >= ?1 AND id < ?2";
const GROUP: &str = "SELECT terms FROM group_terms WHERE id = ?1";
const NEXT_DOWN: &str = "SELECT id FROM segments WHERE id <= ?1 AND id >= ?2 AND latest >= ?3 \
                         AND earliest < ?4 ORDER BY id DESC LIMIT 1";
const NEXT_UP: &str = "SELECT id FROM segments WHERE id >= ?1 AND id < ?2 AND latest >= ?3 \
                       AND earliest < ?4 ORDER BY id LIMIT 1";
const FORGET: &str = "DELETE FROM segments WHERE id >= ?1 AND id < ?2";
const FORGET_TERMS: &str = "DELETE FROM segment_terms WHERE id >= ?1 AND id < ?2";
const FORGET_GROUPS: &str = "DELETE FROM group_terms WHERE id >= ?1 AND id < ?2";

/// A number of the index as the store keeps it.
pub(super) fn number(value: u64) -> Result<i64, Fault> {
    i64::try_from(value).map_err(Fault::internal)
}

fn segment_id(chain: i64, segment: u64) -> Result<i64, Fault> {
    Ok((chain << SEGMENT_BITS).saturating_add(number(segment)?))
}

fn group_id(chain: i64, group: u64, part: u8) -> Result<i64, Fault> {
    let group = (chain << GROUP_BITS).saturating_add(number(group)?);
    Ok((group << PART_BITS) + i64::from(part))
}

/// Indexes the records of one segment.
pub(super) fn put(
    tx: &Tx,
    chain: i64,
    segment: u64,
    records: &[StoredRecord],
) -> Result<(), Fault> {
    let mut builder = SegmentBuilder::default();
    let mut terms = Vec::new();
    let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
    let mut readable = true;
    for (record, place) in records.iter().zip(0..) {
        // A record that somebody altered has no terms; the verifier names it.
        let Ok(brief) = Brief::read(&record.bytes) else {
            readable = false;
            continue;
        };
        terms_of(&brief, &mut terms);
        builder.push(place, &terms);
        earliest = earliest.min(brief.time().0);
        latest = latest.max(brief.time().0);
    }
    if !readable {
        (earliest, latest) = (i64::MIN, i64::MAX);
    }
    let id = segment_id(chain, segment)?;
    run(tx, PUT, &[id.into(), earliest.into(), latest.into()])?;
    if let Some(bytes) = builder.finish() {
        run(tx, PUT_TERMS, &[id.into(), bytes.as_slice().into()])?;
    }
    if (segment + 1).is_multiple_of(GROUP_LEN) {
        put_group(tx, chain, segment / GROUP_LEN)?;
    }
    Ok(())
}

/// Sums up the terms of a whole group, unless one of its segments has no index.
fn put_group(tx: &Tx, chain: i64, group: u64) -> Result<(), Fault> {
    let from = segment_id(chain, group * GROUP_LEN)?;
    let until = segment_id(chain, (group + 1) * GROUP_LEN)?;
    let lists = all(tx, TERMS_OF_GROUP, &[from.into(), until.into()], |row| {
        Ok(Segment::read(row.blob(0)?).map(|segment| segment.terms()))
    })?;
    let whole = u64::try_from(lists.len()).is_ok_and(|count| count == GROUP_LEN);
    let lists: Option<Vec<Vec<Term>>> = lists.into_iter().collect();
    let Some(lists) = lists.filter(|_| whole) else { return Ok(()) };
    let mut terms = lists.concat();
    terms.sort_unstable();
    terms.dedup();
    let mut rest = terms.as_slice();
    for part in 0..=u8::MAX {
        let count = rest.partition_point(|term| top(*term) <= part);
        let (these, others) = rest.split_at(count);
        rest = others;
        let bytes: Vec<u8> = these.iter().flat_map(|term| low(*term)).collect();
        run(tx, PUT_GROUP, &[group_id(chain, group, part)?.into(), bytes.as_slice().into()])?;
    }
    Ok(())
}

const fn top(term: Term) -> u8 {
    term.to_be_bytes()[0]
}

const fn low(term: Term) -> [u8; 3] {
    let [_, a, b, c] = term.to_be_bytes();
    [a, b, c]
}

/// Whether records of a group may have all of the terms.
pub(super) fn group_may_have(
    q: &dyn Query,
    chain: i64,
    group: u64,
    terms: &[Term],
) -> Result<bool, Fault> {
    for term in terms {
        let id = group_id(chain, group, top(*term))?;
        let has = first(q, GROUP, &[id.into()], |row| {
            Ok(row.blob(0)?.as_chunks().0.binary_search(&low(*term)).is_ok())
        })?;
        if has == Some(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The places in a segment whose records may have all of the terms, ascending.
pub(super) fn places(
    q: &dyn Query,
    chain: i64,
    segment: u64,
    terms: &[Term],
) -> Result<Vec<u16>, Fault> {
    let every = || (0..=u16::MAX).take(SEGMENT_LEN).collect();
    if terms.is_empty() {
        return Ok(every());
    }
    let id = segment_id(chain, segment)?;
    let found = first(q, TERMS, &[id.into()], |row| {
        Ok(Segment::read(row.blob(0)?).map(|segment| segment.places(terms)))
    })?;
    Ok(found.flatten().unwrap_or_else(every))
}

/// The nearest segment from `segment` on, of the first `count` ones, with records of the time.
pub(super) fn next(
    q: &dyn Query,
    chain: i64,
    (segment, count): (u64, u64),
    order: AuditOrder,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
) -> Result<Option<u64>, Fault> {
    let base = segment_id(chain, 0)?;
    let (sql, bound) = match order {
        AuditOrder::NewestFirst => (NEXT_DOWN, base),
        AuditOrder::OldestFirst => (NEXT_UP, segment_id(chain, count)?),
    };
    let args = [
        segment_id(chain, segment)?.into(),
        bound.into(),
        Arg::Int(from.map_or(i64::MIN, |time| time.0)),
        Arg::Int(to.map_or(i64::MAX, |time| time.0)),
    ];
    let id = first(q, sql, &args, |row| row.int(0))?;
    id.map(|id| u64::try_from(id - base).map_err(Fault::internal)).transpose()
}

/// Forgets all segments of a chain.
pub(super) fn forget(tx: &Tx, chain: i64) -> Result<(), Fault> {
    let segments = [segment_id(chain, 0)?.into(), segment_id(chain + 1, 0)?.into()];
    run(tx, FORGET, &segments)?;
    run(tx, FORGET_TERMS, &segments)?;
    let groups = [group_id(chain, 0, 0)?.into(), group_id(chain + 1, 0, 0)?.into()];
    run(tx, FORGET_GROUPS, &groups)?;
    Ok(())
}
