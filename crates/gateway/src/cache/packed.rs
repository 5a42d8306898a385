//! What control granted, kept in one piece of memory: a million short secrets have to fit into a
//! gibibyte, and most of an entry would be the room between its parts.
//!
//! ```text
//! packed  = item* | receipt
//! item    = path length u16 | path | id i64 | uid 16 | version*
//! version = number u32 | key id 16 | key version u32 | fragment (00, 01 uid 16)
//!         | name tag (00, 01 tag 32) | length u32 | ciphertext
//! ```
//! It never leaves this process: what is packed here is unpacked here.

use std::sync::Arc;

use keysherd_base::{ItemId, ItemPath, Uid};
use keysherd_domain::item::{ItemKind, NameTag, SecretKind, ValueFormat};
use keysherd_plane::cache::Receipt;
use keysherd_plane::grants::{GrantedItem, GrantedVersion, KeyRef};

/// The items of a grant and its receipt.
pub(super) struct Packed {
    bytes: Box<[u8]>,
    /// Where the receipt begins.
    receipt_at: u32,
    shapes: Shapes,
}

/// What of an item takes no room, and how many versions it has.
#[derive(Clone, Copy)]
struct Shape {
    kind: ItemKind,
    secret_kind: SecretKind,
    format: ValueFormat,
    versions: u16,
}

/// Most calls are about one item.
enum Shapes {
    One(Shape),
    Many(Box<[Shape]>),
}

impl Shapes {
    fn all(&self) -> &[Shape] {
        match self {
            Self::One(shape) => std::slice::from_ref(shape),
            Self::Many(shapes) => shapes,
        }
    }
}

impl Packed {
    /// Packs them; `None` for what is longer than anything that control grants.
    pub(super) fn new(items: &[Arc<GrantedItem>], receipt: &Receipt) -> Option<Self> {
        let ciphertext = items.iter().flat_map(|item| &item.versions);
        let room = ciphertext.map(|version| version.ciphertext.len() + 96).sum::<usize>();
        let mut to = Vec::with_capacity(room + items.len() * 96 + receipt.bytes.len());
        for item in items {
            let path = item.path.as_str().as_bytes();
            to.extend_from_slice(&u16::try_from(path.len()).ok()?.to_be_bytes());
            to.extend_from_slice(path);
            to.extend_from_slice(&item.id.0.to_be_bytes());
            to.extend_from_slice(item.uid.as_bytes());
            for version in &item.versions {
                put_version(&mut to, version)?;
            }
        }
        let receipt_at = to.len().try_into().ok()?;
        to.extend_from_slice(&receipt.bytes);
        let shapes: Option<Box<[Shape]>> = items.iter().map(|item| Shape::of(item)).collect();
        let shapes = shapes?;
        let shapes = match &*shapes {
            [shape] => Shapes::One(*shape),
            _ => Shapes::Many(shapes),
        };
        // A copy of just the length: what a longer piece is cut down to leaves a hole behind it.
        Some(Self { bytes: to.as_slice().into(), receipt_at, shapes })
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many items there are.
    pub(super) fn count(&self) -> usize {
        self.shapes.all().len()
    }

    /// The items; none when they cannot be read.
    pub(super) fn items(&self) -> Vec<Arc<GrantedItem>> {
        let mut from = From(&self.bytes);
        let items = self.shapes.all().iter().map(|shape| item(&mut from, *shape));
        items.collect::<Option<_>>().unwrap_or_default()
    }

    /// The receipt.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        let at = usize::try_from(self.receipt_at).ok()?;
        Some(Receipt { bytes: self.bytes.get(at..)?.into() })
    }

    /// The paths of the items; `None` when they cannot be read.
    pub(super) fn paths(&self) -> Option<Vec<&str>> {
        let mut from = From(&self.bytes);
        let shapes = self.shapes.all().iter();
        shapes.map(|shape| skipped_item(&mut from, *shape)).collect()
    }
}

impl Shape {
    fn of(item: &GrantedItem) -> Option<Self> {
        let &GrantedItem { kind, secret_kind, format, .. } = item;
        Some(Self { kind, secret_kind, format, versions: item.versions.len().try_into().ok()? })
    }
}

fn put_version(to: &mut Vec<u8>, version: &GrantedVersion) -> Option<()> {
    let KeyRef { key_id, version: key_version, customer_fragment } = version.key;
    to.extend_from_slice(&version.version.to_be_bytes());
    to.extend_from_slice(key_id.as_bytes());
    to.extend_from_slice(&key_version.to_be_bytes());
    put_optional(to, customer_fragment.as_ref().map(|id| &id.as_bytes()[..]));
    put_optional(to, version.name_tag.as_ref().map(|tag| &tag.0[..]));
    to.extend_from_slice(&u32::try_from(version.ciphertext.len()).ok()?.to_be_bytes());
    to.extend_from_slice(&version.ciphertext);
    Some(())
}

fn put_optional(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    to.push(u8::from(bytes.is_some()));
    to.extend_from_slice(bytes.unwrap_or_default());
}

/// What is left to unpack.
struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn optional<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        match self.array()? {
            [0] => Some(None),
            _ => self.array().map(Some),
        }
    }
}

/// The path of an item, of which nothing else is looked at.
fn skipped_item<'a>(from: &mut From<'a>, shape: Shape) -> Option<&'a str> {
    let length = u16::from_be_bytes(from.array()?);
    let path = std::str::from_utf8(from.take(length.into())?).ok()?;
    from.take(size_of::<i64>() + size_of::<Uid>())?;
    for _ in 0..shape.versions {
        from.take(size_of::<u32>() + size_of::<Uid>() + size_of::<u32>())?;
        from.optional::<16>()?;
        from.optional::<32>()?;
        let length = usize::try_from(u32::from_be_bytes(from.array()?)).ok()?;
        from.take(length)?;
    }
    Some(path)
}

fn item(from: &mut From<'_>, shape: Shape) -> Option<Arc<GrantedItem>> {
    let length = u16::from_be_bytes(from.array()?);
    let path = ItemPath::parse(std::str::from_utf8(from.take(length.into())?).ok()?).ok()?;
    let id = ItemId(i64::from_be_bytes(from.array()?));
    let uid = Uid(from.array()?);
    let versions: Option<_> = (0..shape.versions).map(|_| version(from)).collect();
    let Shape { kind, secret_kind, format, .. } = shape;
    Some(Arc::new(GrantedItem { path, id, uid, kind, secret_kind, format, versions: versions? }))
}

fn version(from: &mut From<'_>) -> Option<GrantedVersion> {
    let number = u32::from_be_bytes(from.array()?);
    let (key_id, key_version) = (Uid(from.array()?), u32::from_be_bytes(from.array()?));
    let customer_fragment = from.optional()?.map(Uid);
    let name_tag = from.optional()?.map(NameTag);
    let length = usize::try_from(u32::from_be_bytes(from.array()?)).ok()?;
    Some(GrantedVersion {
        version: number,
        ciphertext: from.take(length)?.into(),
        key: KeyRef { key_id, version: key_version, customer_fragment },
        // A permit that was used up long ago.
        permit_slot: None,
        name_tag,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, versions: &[(u32, bool)]) -> Arc<GrantedItem> {
        let version = |(number, whole): &(u32, bool)| GrantedVersion {
            version: *number,
            ciphertext: vec![7; usize::try_from(*number).unwrap()].into(),
            key: KeyRef {
                key_id: Uid([4; 16]),
                version: 9,
                customer_fragment: whole.then_some(Uid([5; 16])),
            },
            permit_slot: None,
            name_tag: whole.then_some(NameTag([6; 32])),
        };
        Arc::new(GrantedItem {
            path: ItemPath::parse(path).unwrap(),
            id: ItemId(-3),
            uid: Uid([2; 16]),
            kind: ItemKind::StaticSecret,
            secret_kind: SecretKind::Password,
            format: ValueFormat::KeyValue,
            versions: versions.iter().map(version).collect(),
        })
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let receipt = Receipt { bytes: vec![8; 77].into() };
        let one = vec![item("/team/db", &[(3, true)])];
        let several = vec![
            item("/a", &[(2, false), (1, true)]),
            item("/\u{e4}/b", &[]),
            item("/c", &[(250, true)]),
        ];
        for items in [Vec::new(), one, several] {
            let packed = Packed::new(&items, &receipt).unwrap();
            assert_eq!(packed.items(), items);
            assert_eq!(packed.receipt().unwrap(), receipt);
            let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
            assert_eq!(packed.paths().unwrap(), paths);
        }
    }
}
