//! Networks of a test's own: namespaces joined by cables, and a router that hides one of them behind its address (NAT, RFC 3022). A thread
//! that enters one takes what it makes with it: sockets, threads, the gateway.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace; it ends with this value.
pub(crate) struct Namespace {
    /// Holds it open, and ends when its standard input is closed, however this process ends.
    holder: Child,
}

impl Namespace {
    /// An empty one, but for its loopback.
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "ip link set lo up && echo up && read end"]);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n", "a network namespace");
        Self { holder }
    }

    /// Moves this thread into it.
    pub(crate) fn enter(&self) {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// What a thread in there makes, such as a socket.
    pub(crate) fn make<T: Send>(&self, make: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.enter();
            make()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    /// The arguments that have a program run in there: `nsenter` and these.
    pub(crate) fn entry(&self) -> [String; 3] {
        ["--target".to_owned(), self.holder.id().to_string(), "--net".to_owned()]
    }

    /// Runs a command line in there.
    pub(crate) fn run(&self, line: &str) {
        let status = Command::new("nsenter").args(self.entry()).args(["sh", "-c", line]).status().unwrap();
        assert!(status.success(), "{line}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
    }
}

/// The Internet and a company's network behind a router that hides it.
pub(crate) struct Hidden {
    /// Where [`OUTSIDE`] is.
    pub(crate) outside: Namespace,
    /// Where [`INSIDE`] is.
    pub(crate) inside: Namespace,
    router: Namespace,
}

/// A public address.
pub(crate) const OUTSIDE: &str = "198.51.100.1";
/// The router's public address.
pub(crate) const ROUTER: &str = "198.51.100.2";
/// An address that nobody outside can reach.
pub(crate) const INSIDE: &str = "10.77.0.2";

impl Hidden {
    pub(crate) fn new() -> Self {
        let (outside, router, inside) = (Namespace::new(), Namespace::new(), Namespace::new());
        let cable = |near: &str, far: &str, to: &Namespace| {
            router.run(&format!("ip link add {near} type veth peer name {far} netns {}", to.holder.id()));
        };
        cable("wan", "eth0", &outside);
        cable("lan", "eth0", &inside);
        let address = |namespace: &Namespace, device: &str, address: &str| {
            namespace.run(&format!("ip address add {address}/24 dev {device} && ip link set {device} up"));
        };
        address(&outside, "eth0", OUTSIDE);
        address(&router, "wan", ROUTER);
        address(&router, "lan", "10.77.0.1");
        address(&inside, "eth0", INSIDE);
        inside.run("ip route add default via 10.77.0.1");
        router.run("echo 1 > /proc/sys/net/ipv4/ip_forward");
        router.run("nft add table ip nat");
        router.run("nft 'add chain ip nat out { type nat hook postrouting priority 100 ; }'");
        // Ports of its own choice, so that nothing works by keeping the port a message names.
        router.run("nft add rule ip nat out oifname wan meta l4proto udp masquerade to :30000-60000 fully-random");
        Self { outside, inside, router }
    }

    /// The same with every UDP port of the router leading inside under the same number, as for a server.
    pub(crate) fn with_ports_forwarded() -> Self {
        let hidden = Self::new();
        hidden.router.run("nft flush chain ip nat out");
        hidden.router.run("nft add rule ip nat out oifname wan masquerade");
        hidden.router.run("nft 'add chain ip nat in { type nat hook prerouting priority -100 ; }'");
        hidden.router.run(&format!("nft add rule ip nat in iifname wan meta l4proto udp dnat to {INSIDE}"));
        hidden
    }
}

/// Runs a test inside a namespace.
pub(crate) fn block_on<F: Future>(namespace: &Namespace, test: impl FnOnce() -> F) -> F::Output {
    namespace.enter();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test())
}
