//! Users and sessions at moto, a stand-in for AWS that checks every signature and every right.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keysherd_base::FaultKind;
use keysherd_targets::Endpoints;
use keysherd_targets::{aws_account, by_name as target_by_name};
use tempfile::TempDir;

use super::*;
use crate::Way;
use crate::testing::python::python;
use crate::testing::{Caller, kept, settings, target_of, way};

const PACKAGES: &[&str] = &["moto[iam,sts]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];
/// Calls before which nobody could have signed: those of [`Running::set_up`].
const CALLS_OF_SETUP: usize = 10;
const POLICY: &str = "arn:aws:iam::123456789012:policy/readers";
const ALLOW_ALL: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\
    \"Action\":\"*\",\"Resource\":\"*\"}]}";
const ALLOW_READING: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\
    \"Action\":\"iam:ListGroups\",\"Resource\":\"*\"}]}";
const TRUST: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\
    \"Principal\":{\"AWS\":\"*\"},\"Action\":\"sts:AssumeRole\"}]}";

/// A running stand-in. It ends with the process that started it, however that ends.
pub(crate) struct Running {
    url: String,
    key: (String, String),
    _keeper: Child,
}

pub(crate) fn shared() -> &'static Running {
    static SHARED: OnceLock<Running> = OnceLock::new();
    SHARED.get_or_init(|| std::thread::spawn(Running::start).join().unwrap())
}

impl Running {
    fn start() -> Self {
        let python = python("moto-engines-5.2.5", PACKAGES);
        let dir = TempDir::with_prefix("keysherd-moto-").unwrap().keep();
        let log = dir.join("log");
        let mut keeper = kept(&dir, ":", python.to_str().unwrap());
        keeper.args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        keeper.env("INITIAL_NO_AUTH_ACTION_COUNT", CALLS_OF_SETUP.to_string());
        keeper.stdout(File::create(&log).unwrap());
        keeper.stderr(File::options().append(true).open(&log).unwrap());
        let keeper = keeper.stdin(Stdio::piped()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(300);
        let url = loop {
            let text = fs::read_to_string(&log).unwrap();
            assert!(Instant::now() < until, "the stand-in does not come up: {text}");
            let found = text.split_whitespace().find(|word| word.starts_with("http://"));
            match found.filter(|_| text.contains("CTRL")) {
                Some(url) => break url.trim_end_matches('/').to_owned(),
                None => std::thread::yield_now(),
            }
        };
        let mut running = Self { url, key: ("any".into(), "any".into()), _keeper: keeper };
        running.key = tokio::runtime::Runtime::new().unwrap().block_on(running.set_up());
        running
    }

    /// A user who may do everything; gives its access key.
    async fn set_up(&self) -> (String, String) {
        let (aws, way) = (aws_account(&self.target(&[])).unwrap(), self.way());
        let session = aws.open(&way).await.unwrap();
        let document = |text| ("PolicyDocument", text);
        let calls: [(&str, &[(&str, &str)]); 9] = [
            ("CreateUser", &[("UserName", "admin")]),
            ("PutUserPolicy", &[("UserName", "admin"), ("PolicyName", "all"), document(ALLOW_ALL)]),
            ("CreateGroup", &[("GroupName", "dbas")]),
            ("CreateGroup", &[("GroupName", "others")]),
            ("CreatePolicy", &[("PolicyName", "readers"), document(ALLOW_READING)]),
            ("CreateRole", &[("RoleName", "deploy"), ("AssumeRolePolicyDocument", TRUST)]),
            (
                "PutRolePolicy",
                &[("RoleName", "deploy"), ("PolicyName", "all"), document(ALLOW_READING)],
            ),
            ("CreateRole", &[("RoleName", "other"), ("AssumeRolePolicyDocument", TRUST)]),
            ("PutRolePolicy", &[("RoleName", "other"), ("PolicyName", "all"), document(ALLOW_ALL)]),
        ];
        assert_eq!(calls.len() + 1, CALLS_OF_SETUP);
        for (action, parameters) in calls {
            session.identity(action, parameters, action).await.unwrap();
        }
        let named = [("UserName", "admin")];
        let answer = session.identity("CreateAccessKey", &named, "a key").await.unwrap();
        let part = |name| value(answer.expose(), name).unwrap();
        (part("AccessKeyId"), part("SecretAccessKey"))
    }

    pub(crate) fn way(&self) -> Way {
        let url = Some(self.url.clone());
        Way { endpoints: Endpoints { iam: url.clone(), sts: url, ..Endpoints::default() }, ..way() }
    }

    pub(crate) fn target(&self, more: &[(&'static str, &str)]) -> Settings {
        let plain = [("access-key-id", self.key.0.as_str()), ("access-key", self.key.1.as_str())];
        target_of("aws", &plain.iter().chain(more).copied().collect::<Vec<_>>())
    }

    /// What a caller may do with what it got: `None` when its signature is not taken.
    async fn may(&self, value: &Map<String, Value>, action: &str) -> Option<bool> {
        let part = |name: &str| value[name].as_str().unwrap();
        let target = self.target(&[
            ("access-key-id", part("access_key_id")),
            ("access-key", part("secret_access_key")),
            ("session-token", part("security_token")),
        ]);
        let (aws, way) = (aws_account(&target).unwrap(), self.way());
        let session = aws.open(&way).await.unwrap();
        match session.identity(action, &[], action).await {
            Ok(_) => Some(true),
            Err(refusal) if refusal.code == "AccessDenied" => Some(false),
            Err(_) => None,
        }
    }

    async fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
        let (aws, way) = (aws_account(&self.target(&[])).unwrap(), self.way());
        let session = aws.open(&way).await.unwrap();
        let asked = session.identity(action, parameters, action).await;
        asked.map(|answer| answer.expose().clone()).map_err(|refusal| refusal.code)
    }
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(given: &[(&'static str, &str)]) -> Self {
        let running = shared();
        Self {
            settings: settings(&AwsAccount, given),
            target: running.target(&[]),
            way: running.way(),
        }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "aws", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self, args: &[&str]) -> Result<Plan, Fault> {
        let args: Vec<_> = args.iter().map(|text| (*text).to_owned()).collect();
        let caller = Caller::with(&[("email", "o'neil&x=y;\"@example")]);
        AwsAccount.plan(&self.scene(), &Wish { args: &args, ..caller.wish() })
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        AwsAccount.check(&self.settings, self.scene().target.as_ref())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_may_what_its_policies_say_until_it_is_removed_with_all_it_has() {
    let aws = shared();
    let stage = Stage::new(&[
        ("aws-user-policies", POLICY),
        ("aws-user-groups", "dbas, others"),
        ("aws-user-console-access", "true"),
    ]);
    assert!(stage.check().unwrap().is_empty());
    let bare = Stage::new(&[]);
    let (plan, other) = (stage.plan(&[]).unwrap(), bare.plan(&[]).unwrap());
    assert!(plan.handle.starts_with("tmp."), "{}", plan.handle);
    let made = AwsAccount.create(&stage.scene(), &plan).await.unwrap();
    let kept = AwsAccount.create(&bare.scene(), &other).await.unwrap();
    assert_eq!(made.value["user"], plan.handle.as_str());
    assert_eq!(made.value["password"], plan.password.expose().as_str());
    assert!(!kept.value.contains_key("password"));
    assert_eq!(aws.may(&made.value, "ListGroups").await, Some(true));
    assert_eq!(aws.may(&made.value, "ListUsers").await, Some(false));
    assert_eq!(aws.may(&kept.value, "ListGroups").await, Some(false));
    let named = [("UserName", plan.handle.as_str())];
    assert!(aws.ask("GetLoginProfile", &named).await.is_ok());
    let groups = aws.ask("ListGroupsForUser", &named).await.unwrap();
    assert_eq!(values(&groups, "GroupName").len(), 2);
    // What the user got beside goes as well.
    let own = [named[0], ("PolicyName", "own"), ("PolicyDocument", ALLOW_ALL)];
    aws.ask("PutUserPolicy", &own).await.unwrap();
    aws.ask("CreateAccessKey", &named).await.unwrap();
    for _ in 0..2 {
        assert!(AwsAccount.revoke(&stage.scene(), &plan.handle).await.unwrap().is_empty());
        assert_eq!(aws.ask("GetUser", &named).await.unwrap_err(), GONE);
        assert_eq!(aws.may(&made.value, "ListGroups").await, None);
    }
    assert_eq!(aws.may(&kept.value, "ListGroups").await, Some(false));
    assert!(aws.ask("GetUser", &[("UserName", "admin")]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_role_ends_by_itself() {
    let aws = shared();
    let (one, two) =
        ("arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:role/other");
    let both = format!("{one}, {two}");
    let given = [
        ("access-mode", "assume_role"),
        ("aws-role-arns", both.as_str()),
        ("session-tags", "team=a b, who={{ .email | restricted_chars }}"),
        ("transitive-tag-keys", "team"),
        ("aws-external-id", "x&Action=y"),
    ];
    let stage = Stage::new(&given);
    assert!(stage.check().unwrap().is_empty());
    let plan = stage.plan(&[&format!("role_arn={one}")]).unwrap();
    assert!(plan.handle.starts_with("sts.") && plan.handle.len() <= 64, "{}", plan.handle);
    assert_eq!(plan.more.0["tags"][1][1], "oneilxyexample");
    let made = AwsAccount.create(&stage.scene(), &plan).await.unwrap();
    assert!(made.ends.is_some());
    assert_eq!(aws.may(&made.value, "ListGroups").await, Some(true));
    assert_eq!(aws.may(&made.value, "ListUsers").await, Some(false));
    let warned = AwsAccount.revoke(&stage.scene(), &plan.handle).await.unwrap();
    assert_eq!(warned.len(), 1, "{warned:?}");
    // Only roles of the secret, and one of them.
    for args in [
        &[][..],
        &["role_arn=arn:aws:iam::123456789012:role/admin"],
        &["role_arn="],
        &["namespace=x"],
    ] {
        assert!(stage.plan(args).err().unwrap().public().contains("args"), "{args:?}");
    }
    let raw = [given[0], given[1], ("session-tags", "who={{ .email }}")];
    let args = [format!("role_arn={one}")];
    let fault = Stage::new(&raw).plan(&[args[0].as_str()]).err().unwrap();
    assert!(fault.public().contains("session-tags"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_creation_leaves_nobody_behind() {
    let aws = shared();
    for more in [
        ("aws-user-groups", "dbas,none&Action=DeleteGroup"),
        ("aws-user-policies", "arn:aws:iam::123456789012:policy/none"),
    ] {
        let stage = Stage::new(&[more]);
        let plan = stage.plan(&[]).unwrap();
        let fault = AwsAccount.create(&stage.scene(), &plan).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
        assert!(fault.public().contains(GONE), "{fault}");
        let named = [("UserName", plan.handle.as_str())];
        assert_eq!(aws.ask("GetUser", &named).await.unwrap_err(), GONE);
    }
    // Somebody who may not make users.
    let able = Stage::new(&[]);
    let poor = able.plan(&[]).unwrap();
    let made = AwsAccount.create(&able.scene(), &poor).await.unwrap();
    let part = |name: &str| made.value[name].as_str().unwrap();
    let keys =
        [("access-key-id", part("access_key_id")), ("access-key", part("secret_access_key"))];
    let stage = Stage { target: aws.target(&keys), ..Stage::new(&[]) };
    let plan = stage.plan(&[]).unwrap();
    let fault = AwsAccount.create(&stage.scene(), &plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(!format!("{fault:?}").contains(part("secret_access_key")));
    for handle in ["admin", "", "a&UserName=admin.aaaaaaaaaaaaaaaa"] {
        assert!(AwsAccount.revoke(&able.scene(), handle).await.is_err(), "{handle}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_where_it_stopped() {
    let aws = shared();
    let target = target_by_name("aws").unwrap();
    target.probe(&aws.target(&[]), &aws.way()).await.unwrap();
    let role = [("role-arn", "arn:aws:iam::123456789012:role/other")];
    target.probe(&aws.target(&role), &aws.way()).await.unwrap();
    for (wrong, code) in [
        (("access-key", "canary-wrong"), "SignatureDoesNotMatch"),
        (("access-key-id", "AKIANOBODY"), "InvalidClientTokenId"),
    ] {
        let fault = target.probe(&aws.target(&[wrong]), &aws.way()).await.unwrap_err();
        assert!(fault.public().contains(code), "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let own = [("aws-access-key-id", "AKIA1"), ("aws-access-secret-key", "x")];
    let check = |more: &[(&'static str, &str)]| {
        let given: Vec<_> = own.iter().chain(more).copied().collect();
        AwsAccount.check(&settings(&AwsAccount, &given), None)
    };
    assert!(check(&[]).unwrap().is_empty());
    let wide = check(&[("aws-user-policies", "arn:aws:iam::aws:policy/AdministratorAccess")]);
    assert_eq!(wide.unwrap().len(), 1);
    let session = ("access-mode", "assume_role");
    let role = ("aws-role-arns", "arn:aws:iam::1:role/a");
    for (field, given) in [
        ("access-mode", &[("access-mode", "root")][..]),
        ("region", &[("region", "evil.example/")]),
        ("aws-user-policies", &[("aws-user-policies", "ReadOnly")]),
        ("aws-user-programmatic-access", &[("aws-user-programmatic-access", "false")]),
        ("enable-admin-rotation", &[("enable-admin-rotation", "true")]),
        ("aws-role-arns", &[session]),
        ("aws-role-arns", &[session, ("aws-role-arns", "arn:aws:iam::1:user/a")]),
        ("user-ttl", &[session, role, ("user-ttl", "5m")]),
        ("session-tags", &[session, role, ("session-tags", "a")]),
        ("session-tags", &[session, role, ("session-tags", "a;=b")]),
        ("session-tags", &[session, role, ("session-tags", "a={{")]),
    ] {
        let fault = check(given).unwrap_err();
        assert!(fault.public().contains(field), "{given:?}: {fault}");
    }
    let target = target_by_name("aws").unwrap();
    for (field, value) in
        [("role-arn", "a"), ("use-gw-cloud-identity", "true"), ("region", "x@evil")]
    {
        let plain = [("access-key-id", "AKIA1"), ("access-key", "x"), (field, value)];
        let fault = target.check(&target_of("aws", &plain)).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    // Names of users are not those of sessions.
    let template = ("custom-username-template", "sts.x");
    let stage = Stage::new(&[template]);
    assert!(stage.plan(&[]).err().unwrap().public().contains("sts."));
}
