//! Networks of their own: each a namespace with one address, all joined by a router in the middle,
//! with counters and rules of nftables. Everything ends with the processes that hold them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::mounts::not_tested;
use super::poll::wait_until;

/// What joins them.
pub(crate) const ROUTER: &str = "router";

/// The networks.
#[derive(Debug)]
pub(crate) struct Net {
    spaces: BTreeMap<&'static str, Space>,
}

#[derive(Debug)]
struct Space {
    holder: Child,
    file: File,
    number: usize,
}

impl Net {
    /// Networks with these names; `None`, and said loudly, where they cannot be had. In CI that
    /// fails.
    pub(crate) fn new(names: &[&'static str]) -> Option<Arc<Self>> {
        let probe = "ip link add v0 type veth peer name v1 && nft add table inet t && \
                     nft add chain inet t c '{ type filter hook output priority 0; }' && \
                     nft add rule inet t c ct state new numgen random mod 2 0 drop";
        let mut command = Command::new("unshare");
        let found = command.args(["--net", "sh", "-c", probe]).output();
        if !found.as_ref().is_ok_and(|output| output.status.success()) {
            let why = format!("networks of their own need root, iproute2 and nftables: {found:?}");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
            not_tested(&why);
            return None;
        }
        let all = [&[ROUTER], names].concat();
        let spaces = all.iter().enumerate().map(|(number, name)| (*name, Space::new(number)));
        let net = Self { spaces: spaces.collect() };
        net.sh(ROUTER, "ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward");
        for name in names {
            let Space { number, holder, .. } = &net.spaces[name];
            let there = format!("/proc/{}/ns/net", holder.id());
            net.sh(
                ROUTER,
                &format!(
                    "ip link add name veth{number} type veth peer name eth0 netns {there} && \
                     ip addr add 10.77.{number}.1/24 dev veth{number} && \
                     ip link set veth{number} up"
                ),
            );
            net.sh(
                name,
                &format!(
                    "ip link set lo up && ip addr add 10.77.{number}.2/24 dev eth0 && \
                     ip link set eth0 up && ip route add default via 10.77.{number}.1"
                ),
            );
        }
        Some(Arc::new(net))
    }

    /// The address in a network.
    pub(crate) fn ip(&self, name: &str) -> String {
        format!("10.77.{}.2", self.spaces[name].number)
    }

    /// Does `work` as one who is in that network: sockets that it opens and processes that it
    /// starts are there.
    pub(crate) fn within<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let network = Some(LinkNameSpaceType::Network);
        let here = File::open("/proc/thread-self/ns/net").unwrap();
        move_into_link_name_space(self.spaces[name].file.as_fd(), network).unwrap();
        // Whatever fails within fails the test, whose thread ends there.
        let done = work();
        move_into_link_name_space(here.as_fd(), network).unwrap();
        done
    }

    /// Puts these rules of nftables in the place of all that were there.
    pub(crate) fn rules(&self, name: &str, rules: &str) {
        let mut command = Command::new("nft");
        command.args(["-f", "-"]).stdin(Stdio::piped());
        let mut child = self.within(name, || command.spawn()).unwrap();
        let text = format!("flush ruleset\n{rules}");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
    }

    /// The packets of a counter of the table `inet test`.
    pub(crate) fn counter(&self, name: &str, counter: &str) -> u64 {
        let out = self.sh(name, &format!("nft list counter inet test {counter}"));
        let mut words = out.split_whitespace().skip_while(|word| *word != "packets").skip(1);
        words.next().unwrap().parse().unwrap()
    }

    /// The router drops one packet of a hundred from now on.
    pub(crate) fn lose_packets(&self) {
        self.on_the_way("numgen random mod 100 0 drop");
    }

    /// The router follows these rules from now on; they may count with `counter name between`.
    pub(crate) fn on_the_way(&self, rules: &str) {
        let table = format!(
            "table inet test {{
                counter between {{}}
                chain forward {{
                    type filter hook forward priority 0
                    {rules}
                }}
            }}"
        );
        self.rules(ROUTER, &table);
    }

    fn sh(&self, name: &str, script: &str) -> String {
        let mut command = Command::new("sh");
        let ended = self.within(name, || command.args(["-c", script]).output()).unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{script}: {err}");
        String::from_utf8(ended.stdout).unwrap()
    }
}

impl Space {
    fn new(number: usize) -> Self {
        let mut command = Command::new("unshare");
        // Lives until its input ends.
        let holder = command.args(["--net", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        let path = format!("/proc/{}/ns/net", holder.id());
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        wait_until("a network to be there", || {
            std::fs::read_link(&path).is_ok_and(|link| link != own)
        });
        Self { holder, file: File::open(&path).unwrap(), number }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
