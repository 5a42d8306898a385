//! Azure's clouds: who issues tokens in each, and where the keys are.

/// One of the clouds, which share neither tenants nor keys.
#[derive(Debug)]
pub(super) struct Cloud {
    /// The management audience of its tokens.
    pub(super) audience: &'static str,
    /// Where its keys are, those of all tenants.
    pub(super) keys_uri: &'static str,
    /// Beginning of the issuer's name in tokens of version 1.
    sts: &'static str,
    /// The same in tokens of version 2.
    login: &'static str,
}

impl Cloud {
    /// The one everybody means.
    pub(super) const PUBLIC: &'static Self = &CLOUDS[0];

    /// The cloud whose management audience `audience` is; the public one for any other.
    pub(super) fn of_audience(audience: &str) -> &'static Self {
        let bare = |text: &'_ str| text.trim_end_matches('/').to_ascii_lowercase();
        let same = |cloud: &&Self| bare(cloud.audience) == bare(audience);
        CLOUDS.iter().find(same).unwrap_or(&CLOUDS[0])
    }

    /// The names of the tenant's issuer.
    pub(super) fn issuers(&self, tenant: &str) -> Vec<String> {
        vec![format!("{}/{tenant}/", self.sts), format!("{}/{tenant}/v2.0", self.login)]
    }
}

static CLOUDS: [Cloud; 3] = [
    Cloud {
        audience: "https://management.azure.com/",
        keys_uri: "https://login.microsoftonline.com/common/discovery/keys",
        sts: "https://sts.windows.net",
        login: "https://login.microsoftonline.com",
    },
    Cloud {
        audience: "https://management.usgovcloudapi.net/",
        keys_uri: "https://login.microsoftonline.us/common/discovery/keys",
        sts: "https://sts.windows.net",
        login: "https://login.microsoftonline.us",
    },
    Cloud {
        audience: "https://management.chinacloudapi.cn/",
        keys_uri: "https://login.partner.microsoftonline.cn/common/discovery/keys",
        sts: "https://sts.chinacloudapi.cn",
        login: "https://login.partner.microsoftonline.cn",
    },
];
