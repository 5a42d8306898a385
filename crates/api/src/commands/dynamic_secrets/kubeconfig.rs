//! `kubeconfig-generate`: a kubeconfig file for the Kubernetes clusters that a caller gets
//! credentials for. There is no credential in it: `kubectl` asks for one each time.

use std::collections::BTreeSet;

use keysherd_base::{Fault, ItemPath};
use keysherd_engines::ClusterFacts;
use keysherd_plane::grants::{ItemRef, Purpose};
use keysherd_plane::items::ItemView;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde_json::{Value, json};

use super::list::listed;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::OpenedSecret;
use crate::fields::SESSION;

/// Most clusters of one file; each is opened, which leaves a record.
const CLUSTERS_MAX: usize = 200;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "kubeconfig-generate",
        aliases: &[],
        success: 200,
        summary: "Make a kubeconfig file for the clusters of the dynamic secrets you may read.",
        groups: &[&SESSION],
        fields: &[],
        reply: "KubeconfigGenerateOutput",
        access: Access::Listing("item-rule"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let mut file = File::default();
    let of_clusters = listed(&ctx).await?.into_iter().filter(is_of_clusters);
    for (number, view) in of_clusters.enumerate() {
        if number == CLUSTERS_MAX {
            file.errors.push(format!("there are more than {CLUSTERS_MAX}; the rest is left out"));
            break;
        }
        let path = view.item.path;
        match cluster(&ctx, &path).await {
            Ok(Some(facts)) => file.add(&path, facts),
            Ok(None) => {}
            // Who may see that a secret is there may not be one who may read it.
            Err(fault) => file.errors.push(format!("{path}: {}", fault.public())),
        }
    }
    Answer::json(&file.into_value())
}

fn is_of_clusters(view: &ItemView) -> bool {
    let name = view.item.engine.as_ref().map_or("", |facts| facts.engine.as_str());
    name == "k8s"
}

/// The cluster that a secret gives credentials for: what each of them says, too.
async fn cluster(ctx: &Ctx, path: &ItemPath) -> Result<Option<ClusterFacts>, Fault> {
    let item = ItemRef::Path(path.clone());
    let opened = ctx.crypt().open(ctx, item, Purpose::Produce).await?;
    let secret = OpenedSecret::with_target(&opened.items)?;
    secret.engine.cluster(&secret.scene(&ctx.services().engines))
}

/// A kubeconfig file, as far as it is made.
#[derive(Default)]
struct File {
    names: BTreeSet<String>,
    clusters: Vec<Value>,
    contexts: Vec<Value>,
    users: Vec<Value>,
    current: Option<String>,
    conflicted: BTreeSet<String>,
    errors: Vec<String>,
}

impl File {
    /// Adds a cluster with who signs in there. The first one of a name stays.
    fn add(&mut self, path: &ItemPath, facts: ClusterFacts) {
        let ClusterFacts { name, endpoint, authority, namespace } = facts;
        if !self.names.insert(name.clone()) {
            self.conflicted.insert(name);
            return;
        }
        let mut cluster = json!({"server": endpoint});
        if !authority.is_empty() {
            cluster["certificate-authority-data"] = authority.into();
        }
        let mut context = json!({"cluster": name, "user": path.as_str()});
        if let Some(namespace) = namespace {
            context["namespace"] = namespace.into();
        }
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "keysherd",
            "args": ["dynamic-secret-get-value", "--name", path.as_str(), "--json"],
            "interactiveMode": "IfAvailable",
        });
        self.clusters.push(json!({"name": name, "cluster": cluster}));
        self.contexts.push(json!({"name": name, "context": context}));
        self.users.push(json!({"name": path.as_str(), "user": {"exec": exec}}));
        self.current.get_or_insert(name);
    }

    fn into_value(self) -> Value {
        json!({
            "data": {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": self.clusters,
                "contexts": self.contexts,
                "users": self.users,
                "current-context": self.current.unwrap_or_default(),
            },
            "conflicted_clusters_names": self.conflicted,
            "errors": self.errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, endpoint: &str) -> ClusterFacts {
        ClusterFacts {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            authority: String::new(),
            namespace: None,
        }
    }

    fn path(text: &str) -> ItemPath {
        ItemPath::parse(text).unwrap()
    }

    #[test]
    fn a_file_asks_for_credentials_and_has_none() {
        let mut file = File::default();
        let one = ClusterFacts {
            authority: "UEVN".to_owned(),
            namespace: Some("ci".to_owned()),
            ..facts("prod", "https://a:6443")
        };
        file.add(&path("/k8s/a; rm -rf"), one);
        file.add(&path("/k8s/b"), facts("prod", "https://b:6443"));
        file.add(&path("/k8s/c"), facts("test", "https://c:6443"));
        let value = file.into_value();
        let data = &value["data"];
        assert_eq!(value["conflicted_clusters_names"], json!(["prod"]));
        assert_eq!(data["current-context"], "prod");
        let cluster = json!({"server": "https://a:6443", "certificate-authority-data": "UEVN"});
        assert_eq!(data["clusters"][0], json!({"name": "prod", "cluster": cluster}));
        assert_eq!(data["clusters"][1]["cluster"], json!({"server": "https://c:6443"}));
        assert_eq!(data["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(data["contexts"][0]["context"]["namespace"], "ci");
        let exec = &data["users"][0]["user"]["exec"];
        assert_eq!(exec["command"], "keysherd");
        // A name is one argument, whatever is in it.
        assert_eq!(exec["args"][2], "/k8s/a; rm -rf");
    }

    #[test]
    fn nobody_gets_an_empty_file() {
        let value = File::default().into_value();
        assert_eq!(value["data"]["kind"], "Config");
        assert_eq!(value["errors"], json!([]));
        assert_eq!(value["data"]["users"], json!([]));
    }
}
