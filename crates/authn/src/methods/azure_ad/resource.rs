//! Resource ids of Azure, taken apart.

/// A resource by its id:
/// `/subscriptions/S/resourcegroups/G/providers/P/TYPE/NAME`, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource<'a> {
    /// The whole id.
    pub(super) id: &'a str,
    /// The subscription.
    pub(super) subscription: &'a str,
    /// The resource group.
    pub(super) group: &'a str,
    /// The provider, such as `Microsoft.Compute`.
    pub(super) provider: &'a str,
    /// The innermost type, such as `virtualMachines`.
    pub(super) kind: &'a str,
    /// The innermost name.
    pub(super) name: &'a str,
}

impl<'a> Resource<'a> {
    /// Takes `id` apart; `None` when it is not of that form.
    pub(super) fn parse(id: &'a str) -> Option<Self> {
        let mut parts = id.strip_prefix('/')?.split('/');
        let mut after = |word: &str| {
            let found = parts.next()?;
            found.eq_ignore_ascii_case(word).then(|| parts.next()).flatten()
        };
        let subscription = after("subscriptions")?;
        let group = after("resourcegroups")?;
        let provider = after("providers")?;
        let path: Vec<&str> = parts.collect();
        // Types and names take turns.
        let (&name, &kind) = (path.last()?, path.get(path.len().checked_sub(2)?)?);
        let whole = path.len().is_multiple_of(2) && !id.contains("//") && !name.is_empty();
        whole.then_some(Self { id, subscription, group, provider, kind, name })
    }
}
