//! Places in the log that control keeps for gateways of a cluster, and cannot make up.
//!
//! A place is written with a tag under a key from the target's own settings, which are sealed. What
//! control can still do is present an older one: so each gateway of the cluster notes the newest it
//! has seen, and goes on from there.

use keysherd_base::{AccountId, Fault, Secret, Uid};
use keysherd_crypto::hash::{HmacKey, sha256};
use serde::{Deserialize, Serialize};

use crate::forwarding::cursor::Cursor;

/// What else is tagged: nothing under this key is anything but a place.
const PURPOSE: &[u8] = b"keysherd log target place v1\0";
/// What the name of a place is made of, besides.
const NAME: &[u8] = b"keysherd log target place name v1\0";
const NAME_TAG_BYTES: usize = 4;

/// The key of one target.
#[derive(Clone)]
pub(in crate::forwarding) struct PlaceKey {
    key: HmacKey,
    of: Vec<u8>,
    name: String,
    at_control: String,
}

/// As control keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    place: String,
    tag: String,
}

/// What control says of a target's place.
pub(in crate::forwarding) enum Told {
    /// It has none.
    Nothing,
    /// One that no gateway of the cluster wrote.
    Forged,
    /// One that a gateway of the cluster wrote at some time.
    At(Cursor),
}

impl PlaceKey {
    /// That of the target `name` of `account`.
    pub(in crate::forwarding) fn new(
        key: &Secret<[u8; 32]>,
        account: AccountId,
        name: &str,
    ) -> Self {
        let of = [account.0.as_bytes().as_slice(), name.as_bytes()].concat();
        let tag = sha256(&[NAME, key.expose()]);
        let at_control = format!("{name}#{}", hex::encode(&tag[..NAME_TAG_BYTES]));
        Self { key: HmacKey::new(key.expose()), of, name: name.to_owned(), at_control }
    }

    /// What the place is called at control: a target that is deleted and made again is another one,
    /// so what is left of the first is none of its places.
    pub(in crate::forwarding) fn at_control(&self) -> &str {
        &self.at_control
    }

    /// What the places that control keeps say of this one.
    pub(in crate::forwarding) fn find(&self, places: &[(String, String)]) -> Told {
        let of = |name: &str| places.iter().find(|(known, _)| known == name);
        if let Some((_, body)) = of(&self.at_control) {
            return self.read(body);
        }
        // Where the release before this one kept it, for whichever target had the name.
        match of(&self.name).map(|(_, body)| self.read(body)) {
            Some(Told::At(cursor)) => Told::At(cursor),
            _ => Told::Nothing,
        }
    }

    /// A place as control shall keep it.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub(super) fn attest(&self, cursor: &Cursor) -> Result<String, Fault> {
        let place = cursor.to_json()?;
        let tag = hex::encode(self.key.tag(&[PURPOSE, &self.of, &[0], place.as_bytes()]));
        serde_json::to_string(&Kept { place, tag }).map_err(Fault::internal)
    }

    /// What control keeps, if a gateway of the cluster wrote it.
    fn read(&self, text: &str) -> Told {
        let read = || {
            let Kept { place, tag } = serde_json::from_str(text).ok()?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(tag, &mut bytes).ok()?;
            let good = self.key.verify(&[PURPOSE, &self.of, &[0], place.as_bytes()], &bytes);
            good.then(|| Cursor::from_json(place.as_bytes()))?
        };
        read().map_or(Told::Forged, Told::At)
    }
}

/// Where to go on, by what control says and the newest place that this gateway has noted, both for
/// the wish to begin `wish`; and what is wrong with what control says.
pub(in crate::forwarding) fn go_on(
    told: Told,
    noted: Option<Cursor>,
    wish: Option<Uid>,
) -> (Cursor, Option<String>) {
    // A place of an earlier wish is over.
    let noted = noted.filter(|noted| noted.begun() == wish && noted.at.seq > 0);
    let (told, wrong) = match told {
        Told::Forged => {
            (None, Some("its place in the log at control is not of this cluster".into()))
        }
        Told::Nothing => (None, None),
        Told::At(told) => (Some(told), None),
    };
    let current = told.as_ref().filter(|told| told.begun() == wish);
    match (current, noted) {
        (Some(told), Some(noted)) if told.at.seq < noted.at.seq => {
            let wrong = back(Some(told.at.seq), noted.at.seq);
            (noted, Some(wrong))
        }
        (None, Some(noted)) => {
            let wrong = wrong.unwrap_or_else(|| back(None, noted.at.seq));
            (noted, Some(wrong))
        }
        (Some(_), _) | (None, None) => (told.unwrap_or_else(|| Cursor::before(1)), wrong),
    }
}

fn back(told: Option<u64>, noted: u64) -> String {
    let told = told.map_or("none".to_owned(), |seq| format!("{seq}"));
    format!(
        "its place at control is {told}, where it was {noted}; was control restored from a backup? \
         Going on after {noted}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Option<Uid> = Some(Uid([7; 16]));

    fn key(byte: u8, name: &str) -> PlaceKey {
        PlaceKey::new(&Secret::new([byte; 32]), AccountId(Uid([1; 16])), name)
    }

    fn at(seq: u64) -> Cursor {
        let wish = keysherd_api::Beginning { id: Uid([7; 16]), from: 1 };
        let mut cursor = Cursor::before(1).following(Some(&wish));
        cursor.advance(seq, [9; 32]);
        cursor
    }

    fn seq(told: &Told) -> Option<u64> {
        match told {
            Told::At(cursor) => Some(cursor.at.seq),
            Told::Nothing | Told::Forged => None,
        }
    }

    #[test]
    fn only_a_gateway_of_the_cluster_writes_a_place() {
        let ours = key(1, "main");
        let text = ours.attest(&at(5)).unwrap();
        assert_eq!(seq(&ours.read(&text)), Some(5));
        for other in [key(2, "main"), key(1, "other")] {
            assert!(matches!(other.read(&text), Told::Forged));
        }
        for forged in [
            at(5).to_json().unwrap(),
            text.replace("\\\"seq\\\":5", "\\\"seq\\\":6"),
            text.replace("\"tag\":\"", "\"tag\":\"00"),
            r#"{"place":"{}","tag":""}"#.to_owned(),
            String::new(),
        ] {
            assert_ne!(forged, text);
            assert!(matches!(ours.read(&forged), Told::Forged), "{forged}");
        }
    }

    #[test]
    fn a_target_that_is_made_again_has_another_place() {
        let (first, second) = (key(1, "main"), key(2, "main"));
        let places = |of: &[(&str, &PlaceKey)]| -> Vec<(String, String)> {
            of.iter().map(|(at, key)| ((*at).to_owned(), key.attest(&at_5()).unwrap())).collect()
        };
        let left = places(&[(first.at_control(), &first)]);
        assert_eq!(seq(&first.find(&left)), Some(5));
        assert!(matches!(second.find(&left), Told::Nothing));
        let forged = places(&[(second.at_control(), &first)]);
        assert!(matches!(second.find(&forged), Told::Forged));
        // From the release before.
        let old = places(&[("main", &first)]);
        assert_eq!(seq(&first.find(&old)), Some(5));
        assert!(matches!(second.find(&old), Told::Nothing));
    }

    fn at_5() -> Cursor {
        at(5)
    }

    #[test]
    fn the_newer_of_both_counts_and_what_control_takes_back_is_told() {
        let go_on = |told, noted: Option<u64>| {
            let (cursor, wrong) = go_on(told, noted.map(at), WISH);
            (cursor.at.seq, wrong.is_some())
        };
        assert_eq!(go_on(Told::Nothing, None), (0, false));
        assert_eq!(go_on(Told::At(at(5)), None), (5, false));
        assert_eq!(go_on(Told::At(at(5)), Some(5)), (5, false));
        assert_eq!(go_on(Told::At(at(9)), Some(5)), (9, false), "others went on");
        assert_eq!(go_on(Told::At(at(4)), Some(5)), (5, true));
        assert_eq!(go_on(Told::Nothing, Some(5)), (5, true));
        assert_eq!(go_on(Told::Forged, Some(5)), (5, true));
        assert_eq!(go_on(Told::Forged, None), (0, true));
    }

    #[test]
    fn a_new_wish_to_begin_somewhere_is_no_finding() {
        let other = Some(Uid([8; 16]));
        let (cursor, wrong) = go_on(Told::At(at(5)), Some(at(7)), other);
        assert_eq!((cursor.at.seq, wrong), (5, None), "the wish is followed from there");
    }
}
