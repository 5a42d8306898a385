//! Orders: who can make one, for how long it holds, and what its bytes are.

use keysherd_base::Secret;

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn owner() -> SigningKey {
    SigningKey::from_seed(&Secret::new([7; 32]))
}

fn key() -> KeyVersion {
    KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([2; 16]), version: 3 }
}

fn order(action: OrderAction) -> OwnerOrder {
    OwnerOrder {
        deployment: Uid([9; 16]),
        order_id: Uid([8; 16]),
        issued_at: Timestamp(NOW),
        expires_at: Timestamp(NOW + 3_600_000),
        action,
    }
}

fn actions() -> [OrderAction; 6] {
    let one_key = FreezeScope::Key { account: AccountId(Uid([1; 16])), id: Uid([2; 16]) };
    let group = FreezeScope::Group("g".repeat(GROUP_BYTES_MAX));
    [
        OrderAction::DestroyVersion { key: key() },
        OrderAction::CancelDestroy { key: key() },
        OrderAction::Freeze { scope: one_key.clone() },
        OrderAction::Unfreeze { scope: one_key },
        OrderAction::Freeze { scope: group.clone() },
        OrderAction::Unfreeze { scope: group },
    ]
}

fn open_at(order: &OwnerOrder, now: i64) -> Result<OwnerOrder, Refusal> {
    let owner = owner();
    OwnerOrder::open(&order.seal(&owner), &owner.public(), &Uid([9; 16]), Timestamp(now))
}

#[test]
fn every_order_comes_back_from_its_bytes() {
    for action in actions() {
        let order = order(action);
        assert!(order.to_bytes().len() <= ORDER_BYTES_MAX);
        assert_eq!(open_at(&order, NOW), Ok(order));
    }
}

#[test]
fn an_order_and_its_opposite_have_one_target() {
    let [destroy, cancel, freeze, unfreeze, freeze_group, unfreeze_group] = actions();
    assert_eq!(destroy.target(), cancel.target());
    assert_eq!(freeze.target(), unfreeze.target());
    assert_eq!(freeze_group.target(), unfreeze_group.target());
    assert_ne!(freeze.target(), freeze_group.target());
    assert_ne!(destroy.target(), freeze.target());
}

#[test]
fn an_order_holds_only_in_its_time() {
    let good = order(OrderAction::DestroyVersion { key: key() });
    assert!(open_at(&good, NOW - ORDER_SKEW_MS).is_ok());
    assert_eq!(open_at(&good, NOW - ORDER_SKEW_MS - 1), Err(Refusal::OrderNotYetValid));
    assert!(open_at(&good, good.expires_at.0).is_ok());
    assert_eq!(open_at(&good, good.expires_at.0 + 1), Err(Refusal::OrderExpired));
    let mut long = good.clone();
    long.expires_at = Timestamp(NOW + ORDER_LIFE_MS_MAX);
    assert!(open_at(&long, NOW).is_ok());
    long.expires_at = Timestamp(NOW + ORDER_LIFE_MS_MAX + 1);
    assert_eq!(open_at(&long, NOW), Err(Refusal::OrderTooLong));
    let mut backwards = good;
    backwards.expires_at = Timestamp(NOW - 1);
    assert_eq!(open_at(&backwards, NOW), Err(Refusal::OrderTooLong));
}

#[test]
fn only_the_owner_of_this_deployment_orders() {
    let order = order(OrderAction::DestroyVersion { key: key() });
    let (owner, now) = (owner(), Timestamp(NOW));
    let other = SigningKey::from_seed(&Secret::new([6; 32]));
    let open = |signed: &Signed, deployment: u8| {
        OwnerOrder::open(signed, &owner.public(), &Uid([deployment; 16]), now)
    };
    assert!(open(&order.seal(&owner), 9).is_ok());
    assert_eq!(open(&order.seal(&other), 9), Err(Refusal::BadOrderSignature));
    assert_eq!(open(&order.seal(&owner), 5), Err(Refusal::WrongDeployment));
    // A statement of the owner about something else is no order.
    let bundle = Signed::seal(&owner, labels::SIGN_BUNDLE, order.to_bytes());
    assert_eq!(open(&bundle, 9), Err(Refusal::BadOrderSignature));
    let mut changed = order.seal(&owner);
    if let Some(last) = changed.body.last_mut() {
        *last ^= 1;
    }
    assert_eq!(open(&changed, 9), Err(Refusal::BadOrderSignature));
}

#[test]
fn a_group_without_a_name_or_with_too_long_a_one_is_no_scope() {
    for name in [String::new(), "g".repeat(GROUP_BYTES_MAX + 1)] {
        let bytes = order(OrderAction::Freeze { scope: FreezeScope::Group(name) }).to_bytes();
        assert!(OwnerOrder::from_bytes(&bytes).is_err());
    }
}
