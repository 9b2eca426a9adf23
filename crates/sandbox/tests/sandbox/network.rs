//! Outgoing traffic. The server is in one network namespace and 'the internet' in another, so that the machine's own network is untouched.

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::Command;

use bojagi_sandbox::{Launcher, LauncherClient, Network};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::support::{config, finish, read_until, spec};

/// Two connected network namespaces, deleted at the end.
struct World {
    server: String,
    internet: String,
}

impl World {
    fn new(name: &str) -> Self {
        let id = std::process::id();
        let world = Self { server: format!("bjs-{name}-{id}"), internet: format!("bji-{name}-{id}") };
        let (server, internet) = (&world.server, &world.internet);
        ip(&format!("netns add {server}"));
        ip(&format!("netns add {internet}"));
        ip(&format!("-n {server} link add wan type veth peer name wan netns {internet}"));
        for (namespace, ipv4, ipv6) in
            [(server, "203.0.113.2/24", "2001:db8:1::2/64"), (internet, "203.0.113.1/24", "2001:db8:1::1/64")]
        {
            ip(&format!("-n {namespace} link set lo up"));
            ip(&format!("-n {namespace} link set wan up"));
            ip(&format!("-n {namespace} addr add {ipv4} dev wan"));
            ip(&format!("-n {namespace} addr add {ipv6} dev wan nodad"));
        }
        ip(&format!("-n {server} route add default via 203.0.113.1"));
        ip(&format!("-n {server} -6 route add default via 2001:db8:1::1"));
        // What must not be reached is there to be reached.
        for address in ["10.9.9.9/32", "192.168.9.9/32", "172.16.9.9/32", "169.254.169.254/32", "fd00::9/128"] {
            ip(&format!("-n {internet} addr add {address} dev lo"));
        }
        world
    }

    /// Runs `act` with a thread in the namespace.
    fn within<T: Send>(namespace: &str, act: impl FnOnce() -> T + Send) -> T {
        let file = std::fs::File::open(format!("/run/netns/{namespace}")).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_thread_name_spaces(file.as_fd(), ThreadNameSpaceType::NETWORK).unwrap();
                act()
            });
            thread.join().unwrap()
        })
    }

    /// A server that tells each client the address it is seen from.
    fn listen(namespace: &str, port: u16) {
        let listener = Self::within(namespace, || TcpListener::bind(("::", port)).unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else { return };
                let peer = connection.peer_addr().map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default();
                if connection.write_all(peer.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }

    fn rules(&self) -> String {
        let run = |program: &str, arguments: &[&str]| {
            let output =
                Command::new("ip").args(["netns", "exec", &self.server, program]).args(arguments).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        run("nft", &["list", "tables"])
            + &run("iptables", &["-S"])
            + &run("ip6tables", &["-S"])
            + &run("ip", &["-br", "link"])
    }

    fn setting(&self, name: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.server, "cat", &format!("/proc/sys/net/{name}")]);
        String::from_utf8_lossy(&command.output().unwrap().stdout).trim().to_owned()
    }

    fn set(&self, name: &str, value: &str) {
        ip(&format!("netns exec {} sysctl -qw net.{}={value}", self.server, name.replace('/', ".")));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.server));
        ip(&format!("netns del {}", self.internet));
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileged_nat_reaches_the_internet_and_nothing_private() {
    let world = World::new("nat");
    World::listen(&world.internet, 8080);
    World::listen(&world.server, 8081);
    // As a Docker engine leaves it.
    for program in ["iptables", "ip6tables"] {
        ip(&format!("netns exec {} {program} -P FORWARD DROP", world.server));
    }
    let untouched = world.rules();
    let data_dir = tempfile::tempdir().unwrap();
    let mut config = config(data_dir.path());
    config.network = Network::Nat;
    let start = || World::within(&world.server, || bojagi_sandbox::start(config.clone()).unwrap());
    let process = start();
    let killed = rustix::process::Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
    let client = LauncherClient::new(process).unwrap();
    let with = |arguments: &[&str], network| {
        let mut wanted = spec(arguments);
        wanted.network = network;
        wanted
    };
    let other = client.launch(with(&["pause"], Network::Nat)).await.unwrap();
    read_until(&other.output, "pausing").await;
    let reached = async |address: &str, port: &str, network| {
        let sandbox = client.launch(with(&["connect", address, port], network)).await.unwrap();
        finish(sandbox).await.0
    };
    assert_eq!(reached("203.0.113.1", "8080", Network::Nat).await, "connect: 203.0.113.2\n");
    assert_eq!(reached("2001:db8:1::1", "8080", Network::Nat).await, "connect: 2001:db8:1::2\n");
    let private =
        ["10.9.9.9", "192.168.9.9", "172.16.9.9", "169.254.169.254", "fd00::9"].map(|address| (address, "8080"));
    let own = [("203.0.113.2", "8081"), ("2001:db8:1::2", "8081"), ("100.115.0.1", "8081"), ("100.115.0.2", "80")];
    // Whichever of these the other sandboxes are.
    let others = [("100.115.1.0", "9001"), ("100.115.1.1", "9001"), ("100.115.1.2", "9001")];
    for (address, port) in private.into_iter().chain(own).chain(others) {
        let output = reached(address, port, Network::Nat).await;
        assert!(
            !output.contains("connect: 1") && !output.contains("connect: 2") && !output.contains("REFUSED"),
            "{address}: {output}"
        );
    }
    assert_eq!(reached("203.0.113.1", "8080", Network::None).await, "connect: ENETUNREACH\n");
    assert_ne!(world.rules(), untouched);

    // Rules that a killed launcher left are replaced by the next one's, and go with that.
    rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
    other.control.wait().await;
    drop((other, client));
    let client = LauncherClient::new(start()).unwrap();
    let sandbox = client.launch(with(&["connect", "203.0.113.1", "8080"], Network::Nat)).await.unwrap();
    assert_eq!(finish(sandbox).await.0, "connect: 203.0.113.2\n");
    client.shutdown().await.unwrap();
    assert_eq!(world.rules().replace("table inet filter\n", ""), untouched.replace("table inet filter\n", ""));
}

/// Forwarding goes back to what it was, interface by interface, also after a launcher that was killed; and stays where others rely on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileged_nat_leaves_the_hosts_settings_as_they_were() {
    let names = [
        "ipv4/ip_forward",
        "ipv4/conf/lo/forwarding",
        "ipv4/conf/wan/forwarding",
        "ipv6/conf/all/forwarding",
        "ipv6/conf/wan/forwarding",
        "ipv6/conf/lo/forwarding",
        "ipv6/conf/wan/accept_ra",
        "ipv6/conf/lo/accept_ra",
    ];
    let world = World::new("fwd");
    for (name, value) in names.iter().zip(["0", "0", "1", "0", "1", "0", "1", "0"]) {
        world.set(name, value);
    }
    let settings = || names.map(|name| world.setting(name));
    let before = settings();
    assert_eq!(before, ["0", "0", "1", "0", "1", "0", "1", "0"]);
    let data_dir = tempfile::tempdir().unwrap();
    let mut config = config(data_dir.path());
    config.network = Network::Nat;
    let start = || World::within(&world.server, || bojagi_sandbox::start(config.clone()).unwrap());
    let switched_on = ["1", "1", "1", "1", "1", "1", "2", "0"];

    let process = start();
    let killed = rustix::process::Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
    let client = LauncherClient::new(process).unwrap();
    assert_eq!(settings(), switched_on);
    rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(settings(), switched_on);
    let client = LauncherClient::new(start()).unwrap();
    assert_eq!(settings(), switched_on);
    client.shutdown().await.unwrap();
    assert_eq!(settings(), before);
    assert!(!data_dir.path().join("network-rules").exists());

    let client = LauncherClient::new(start()).unwrap();
    ip(&format!("-n {} link add bridge0 type bridge", world.server));
    client.shutdown().await.unwrap();
    assert_eq!(settings(), switched_on);
}
