//! What goes from manager to manager in a generation, bent on the way.

use std::sync::atomic::{AtomicU8, Ordering};

use keysherd_base::{Rng, RngFailed, Secret, Uid};
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::keygen::{Deal, GenerateParams, Proposal, Session};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manifest::Manifest;
use keysherd_fragments::messages::PeerRequest;
use keysherd_fragments::refusal::{Blame, Refusal};

use crate::cluster::{FRAGMENT_ID, TestCluster, index};
use crate::generation::two_of_three;

/// Three sessions without transport, for bending what goes between them.
struct Direct {
    cluster: TestCluster,
    sessions: Vec<Session>,
}

impl Direct {
    fn new() -> Self {
        let mut cluster = TestCluster::new(3);
        let params = cluster.params(two_of_three(), Uid::default());
        let sessions = Self::begin(&cluster, &params);
        Self { cluster, sessions }
    }

    /// The same parameters once more, with other randomness.
    fn again(&self) -> Self {
        let sessions = Self::begin(&self.cluster, self.sessions[0].params());
        Self { cluster: TestCluster::new(3), sessions }
    }

    fn begin(cluster: &TestCluster, params: &GenerateParams) -> Vec<Session> {
        let begin = |me: ManagerIndex| {
            let identity = &cluster.managers[me.place()].identity;
            Session::begin(params.clone(), me, identity, &cluster.rng).unwrap()
        };
        [1, 2, 3].map(index).map(begin).into()
    }

    fn round1(&self) -> Vec<Signed> {
        self.sessions.iter().map(|session| session.round1().clone()).collect()
    }

    /// Lets everybody exchange the same statements and deal, except through `bend`.
    fn deal(&mut self, bend: impl Fn(&mut PeerRequest)) {
        let round1 = self.round1();
        for session in &mut self.sessions {
            session.exchange(&round1, &self.cluster.rng).unwrap();
        }
        self.deliver(bend);
    }

    fn deliver(&mut self, bend: impl Fn(&mut PeerRequest)) {
        for from in [1, 2, 3].map(index) {
            for (to, bytes) in self.sessions[from.place()].outgoing() {
                let mut message = PeerRequest::from_bytes(bytes.expose()).unwrap();
                bend(&mut message);
                let PeerRequest::Deal(deal) = message else { panic!("not a deal") };
                self.sessions[to.place()].take_deal(from, deal).unwrap();
            }
        }
    }

    fn finish(&mut self, manager: u8) -> Result<Proposal, Blame> {
        let session = &mut self.sessions[index(manager).place()];
        session.finish().map(|pending| pending.proposal().clone())
    }
}

fn from_two_to_one(message: &mut PeerRequest) -> Option<&mut Deal> {
    let PeerRequest::Deal(deal) = message else { panic!("not a deal") };
    (deal.from == index(2) && deal.to == index(1)).then_some(deal)
}

#[test]
fn a_wrong_share_names_its_dealer() {
    let mut direct = Direct::new();
    direct.deal(|message| {
        if let Some(deal) = from_two_to_one(message) {
            let mut other = [0; 32];
            other[0] = 5;
            deal.share = Secret::new(other);
        }
    });
    assert_eq!(direct.finish(1), Err(Blame::on(index(2), Refusal::BadDeal)));
    assert_eq!(direct.finish(1), Err(Refusal::DealMissing.into()), "the session is over");
    assert!(direct.finish(3).is_ok());
}

#[test]
fn a_share_that_is_no_scalar_names_its_dealer() {
    let mut direct = Direct::new();
    direct.deal(|message| {
        if let Some(deal) = from_two_to_one(message) {
            deal.share = Secret::new([0xff; 32]);
        }
    });
    assert_eq!(direct.finish(1), Err(Blame::on(index(2), Refusal::BadDeal)));
}

#[test]
fn missing_contributions_name_their_dealer() {
    let mut direct = Direct::new();
    direct.deal(|message| {
        if let Some(deal) = from_two_to_one(message) {
            deal.contributions.clear();
        }
    });
    assert_eq!(direct.finish(1), Err(Blame::on(index(2), Refusal::BadDeal)));
}

#[test]
fn a_contribution_that_is_zero_or_repeated_is_refused() {
    for value in [Some([0; 32]), None] {
        let mut direct = Direct::new();
        let round1 = direct.round1();
        for session in &mut direct.sessions {
            session.exchange(&round1, &direct.cluster.rng).unwrap();
        }
        // What manager 1 itself contributes to the key it shares with manager 2.
        let (_, bytes) = direct.sessions[0].outgoing().remove(0);
        let PeerRequest::Deal(own) = PeerRequest::from_bytes(bytes.expose()).unwrap() else {
            panic!("not a deal")
        };
        let copied = *own.contributions[0].1.expose();
        direct.deliver(|message| {
            if let Some(deal) = from_two_to_one(message) {
                deal.contributions[0].1 = Secret::new(value.unwrap_or(copied));
            }
        });
        let blame = Blame::on(index(2), Refusal::ContributionReplayed);
        assert_eq!(direct.finish(1), Err(blame));
    }
}

#[test]
fn contributions_that_differ_between_holders_show_in_the_check_values() {
    let mut direct = Direct::new();
    direct.deal(|message| {
        if let Some(deal) = from_two_to_one(message) {
            deal.contributions[0].1 = Secret::new([3; 32]);
        }
    });
    let proposals: Vec<Proposal> =
        [1, 2, 3].map(|manager| direct.finish(manager).unwrap()).to_vec();
    let manifest = direct.sessions[0].params().manifest(&proposals);
    assert_eq!(manifest, Err(Refusal::ManifestMismatch));
}

#[test]
fn a_manager_that_says_two_things_in_round_1_is_found_out() {
    let mut direct = Direct::new();
    let params = direct.sessions[1].params().clone();
    let identity = &direct.cluster.managers[1].identity;
    let other = Session::begin(params, index(2), identity, &direct.cluster.rng).unwrap();
    let (honest, mut bent) = (direct.round1(), direct.round1());
    bent[1] = other.round1().clone();
    for (manager, round1) in [(0, &honest), (1, &honest), (2, &bent)] {
        direct.sessions[manager].exchange(round1, &direct.cluster.rng).unwrap();
    }
    direct.deliver(|_| {});
    assert_eq!(direct.finish(1), Err(Blame::on(index(3), Refusal::ViewsDiffer)));
    assert_eq!(direct.finish(3).unwrap_err().refusal, Refusal::ViewsDiffer);
}

#[test]
fn statements_of_others_cannot_be_forged() {
    let direct = Direct::new();
    let rng = &direct.cluster.rng;
    let bent: [fn(&mut Vec<Signed>); 4] = [
        |round1| round1[1].body[40] ^= 1,
        |round1| round1[1].signature.0[0] ^= 1,
        |round1| round1[1] = round1[2].clone(),
        |round1| round1[1] = round1[0].clone(),
    ];
    for bend in bent {
        let mut sessions = Direct::new();
        let mut round1 = sessions.round1();
        bend(&mut round1);
        let refused = sessions.sessions[0].exchange(&round1, rng);
        assert_eq!(refused, Err(Blame::on(index(2), Refusal::BadRound1)));
    }
}

#[test]
fn a_manager_insists_on_its_own_statement() {
    let mut direct = Direct::new();
    let other = direct.again();
    let mut round1 = direct.round1();
    round1[0] = other.round1()[0].clone();
    let refused = direct.sessions[0].exchange(&round1, &direct.cluster.rng);
    assert_eq!(refused, Err(Blame::on(index(1), Refusal::BadRound1)));
}

#[test]
fn a_deal_must_come_from_its_sender_and_for_its_receiver() {
    let mut direct = Direct::new();
    let round1 = direct.round1();
    for session in &mut direct.sessions {
        session.exchange(&round1, &direct.cluster.rng).unwrap();
    }
    let deal = |direct: &Direct| {
        let (_, bytes) = direct.sessions[1].outgoing().remove(0);
        let PeerRequest::Deal(deal) = PeerRequest::from_bytes(bytes.expose()).unwrap() else {
            panic!("not a deal")
        };
        deal
    };
    let (one, two, three): (ManagerIndex, _, _) = (index(1), index(2), index(3));
    let first = deal(&direct);
    assert_eq!((first.from, first.to), (two, one));
    assert_eq!(direct.sessions[0].take_deal(three, first), Err(Refusal::WrongManager));
    let first = deal(&direct);
    assert_eq!(direct.sessions[2].take_deal(two, first), Err(Refusal::WrongManager));
    let first = deal(&direct);
    assert_eq!(direct.sessions[0].take_deal(two, first), Ok(()));
    let first = deal(&direct);
    assert_eq!(direct.sessions[0].take_deal(two, first), Ok(()), "the same deal again");
    let mut other = deal(&direct);
    other.share = Secret::new([1; 32]);
    assert_eq!(direct.sessions[0].take_deal(two, other), Err(Refusal::DealRepeated));
    let mut other = deal(&direct);
    other.session = Uid([0; 16]);
    assert_eq!(direct.sessions[0].take_deal(two, other), Err(Refusal::UnknownSession));
}

#[test]
fn a_manager_signs_only_what_it_saw() {
    let mut direct = Direct::new();
    direct.deal(|_| {});
    let pending: Vec<_> =
        direct.sessions.iter_mut().map(|session| session.finish().unwrap()).collect();
    let proposals: Vec<Proposal> =
        pending.iter().map(|pending| pending.proposal().clone()).collect();
    let good = pending[0].params().manifest(&proposals).unwrap();
    let identity = &direct.cluster.managers[0].identity;
    assert!(pending[0].sign(&good.to_bytes(), identity).is_ok());
    let bends: [fn(&mut Manifest); 9] = [
        |manifest| manifest.group = "other".to_owned(),
        |manifest| manifest.fragment = FRAGMENT_ID,
        |manifest| manifest.key.version = 2,
        |manifest| manifest.key.account.0 = Uid([3; 16]),
        |manifest| manifest.epoch = 1,
        |manifest| manifest.managers.swap(0, 1),
        |manifest| manifest.checks[0][0] ^= 1,
        |manifest| manifest.public_shares.swap(1, 2),
        |manifest| manifest.group_key = manifest.public_shares[0],
    ];
    for (number, bend) in bends.iter().enumerate() {
        let mut bent = good.clone();
        bend(&mut bent);
        let refused = pending[0].sign(&bent.to_bytes(), identity);
        let expected = [Refusal::ManifestMismatch, Refusal::BadManifest];
        assert!(expected.contains(&refused.unwrap_err()), "change {number} was signed");
    }
    // A key of the same name that was made in another run: consistent in itself.
    let mut other = direct.again();
    other.deal(|_| {});
    let proposals: Vec<Proposal> = [1, 2, 3].map(|manager| other.finish(manager).unwrap()).to_vec();
    let foreign = pending[0].params().manifest(&proposals).unwrap();
    let refused = pending[0].sign(&foreign.to_bytes(), identity);
    assert_eq!(refused, Err(Refusal::ManifestMismatch));
}

#[test]
fn two_proposals_are_not_enough_for_a_manifest() {
    let mut direct = Direct::new();
    direct.deal(|_| {});
    let proposals: Vec<Proposal> = [1, 2].map(|manager| direct.finish(manager).unwrap()).to_vec();
    let manifest = direct.sessions[0].params().manifest(&proposals);
    assert_eq!(manifest, Err(Refusal::NotAllParticipants));
}

/// Gives a few random values and then fails.
struct Failing(AtomicU8);

impl Rng for Failing {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        buffer.fill(left);
        if left == 0 { Err(RngFailed) } else { Ok(()) }
    }
}

#[test]
fn a_random_source_that_fails_at_any_draw_stops_the_generation() {
    let direct = Direct::new();
    let params = direct.sessions[0].params();
    let identity = &direct.cluster.managers[0].identity;
    let begin = |draws| {
        let rng = Failing(AtomicU8::new(draws));
        Session::begin(params.clone(), index(1), identity, &rng).map(drop)
    };
    // Two coefficients and the nonce of the proof.
    for draws in 0..3 {
        assert_eq!(begin(draws), Err(Refusal::RandomnessFailed), "after {draws} draws");
    }
    assert_eq!(begin(3), Ok(()));
    for draws in 0..2 {
        let mut direct = Direct::new();
        let round1 = direct.round1();
        let failing = Failing(AtomicU8::new(draws));
        let refused = direct.sessions[0].exchange(&round1, &failing);
        assert_eq!(refused, Err(Refusal::RandomnessFailed.into()));
        assert!(direct.sessions[0].outgoing().is_empty());
    }
}
