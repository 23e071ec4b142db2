//! Detectors: attributes of the host, the operating system, the container and the Kubernetes pod.
//!
//! | attribute | taken from |
//! |---|---|
//! | `host.name` | `/proc/sys/kernel/hostname` |
//! | `host.arch` | the target of the build |
//! | `os.type` | the target of the build |
//! | `os.description` | `PRETTY_NAME` in `/etc/os-release`, or in `/usr/lib/os-release` |
//! | `container.id` | `/proc/self/cgroup` (cgroup v1), `/proc/self/mountinfo` (cgroup v2) |
//! | `k8s.namespace.name` | the file of the service account |
//! | `k8s.pod.name` | the host name, where `KUBERNETES_SERVICE_HOST` is set |
//! | `k8s.pod.uid` | `/proc/self/mountinfo` |
//!
//! An attribute that cannot be read is left out. Systems other than Linux have only `host.arch` and
//! `os.type`.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "Host", "Operating System", "Container",
//! "Kubernetes".

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// Returns the attributes of the process that has this file system and these variables.
pub(super) fn detect(
    root: &Path,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<(&'static str, String)> {
    let read = |path: &str| read(&root.join(path));
    let host = read("proc/sys/kernel/hostname").and_then(|text| word(&text));
    let release = read("etc/os-release").or_else(|| read("usr/lib/os-release"));
    let mounts = read("proc/self/mountinfo").unwrap_or_default();
    let is_in_pod = variable("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty());
    let in_pod = |value: Option<String>| value.filter(|_| is_in_pod);
    let container = read("proc/self/cgroup").and_then(|text| container_of_cgroup(&text));
    let detected = [
        ("host.name", host.clone()),
        ("host.arch", Some(arch().to_owned())),
        ("os.type", Some(os_type().to_owned())),
        (
            "os.description",
            release.and_then(|text| pretty_name(&text)),
        ),
        (
            "container.id",
            container.or_else(|| container_of_mounts(&mounts)),
        ),
        (
            "k8s.namespace.name",
            in_pod(read(NAMESPACE).and_then(|text| word(&text))),
        ),
        ("k8s.pod.name", in_pod(host)),
        ("k8s.pod.uid", in_pod(pod_of_mounts(&mounts))),
    ];
    let known = |(key, value): (_, Option<String>)| Some((key, value?));
    detected.into_iter().filter_map(known).collect()
}

/// The file of the service account that has the namespace.
const NAMESPACE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Reads a small file. The kernel's files have no length, so the reader has to have a limit.
fn read(path: &Path) -> Option<String> {
    // To open a pipe would wait for its writer.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The most bytes of a file that are read. A pod with many volumes has some hundred lines of mounts.
const LARGEST: u64 = 1 << 20;

/// Returns the text of a file that has one word.
fn word(text: &str) -> Option<String> {
    let word = text.trim();
    (!word.is_empty() && word.len() <= LONGEST && !word.contains(char::is_whitespace))
        .then(|| word.to_owned())
}

/// The length of the longest host name (RFC 1035, 2.3.4).
const LONGEST: usize = 255;

/// Returns the architecture by the name that the conventions have for it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// Returns the operating system by the name that the conventions have for it.
fn os_type() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

/// Returns the name of a distribution, such as `Debian GNU/Linux 12 (bookworm)`.
///
/// Source: os-release(5).
fn pretty_name(text: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim();
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    (!value.is_empty()).then(|| value.to_owned())
}

/// Returns the id of the container in the paths of its control groups (cgroup v1): the last part, with
/// or without the runtime's prefix and `.scope`. A process outside of a container has none.
///
/// Source: cgroups(7), `/proc/pid/cgroup`.
fn container_of_cgroup(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let last = line.rsplit('/').next()?;
        let last = last.strip_suffix(".scope").unwrap_or(last);
        let id = last.rsplit(['-', ':']).next()?;
        is_id(id).then(|| id.to_owned())
    })
}

/// Returns the id of the container in the path of the files that its runtime mounts (cgroup v2):
/// `/var/lib/docker/containers/ID/hostname`, `.../overlay-containers/ID/userdata/hostname`.
///
/// Source: proc_pid_mountinfo(5), field 4.
fn container_of_mounts(text: &str) -> Option<String> {
    let is_folder = |part: &str| part == "containers" || part.ends_with("-containers");
    sources_of_etc(text).find_map(|source| {
        let mut parts = source.split('/').peekable();
        while let Some(part) = parts.next() {
            let next = parts.peek().filter(|next| is_folder(part) && is_id(next));
            if let Some(id) = next {
                return Some((*id).to_owned());
            }
        }
        None
    })
}

/// Returns the id of the pod in the path of the file that the kubelet mounts as `/etc/hosts`:
/// `/var/lib/kubelet/pods/UID/etc-hosts`.
fn pod_of_mounts(text: &str) -> Option<String> {
    sources_of_etc(text).find_map(|source| {
        let mut parts = source.split('/');
        parts.find(|part| *part == "pods")?;
        let id = parts.next()?;
        uuid::Uuid::parse_str(id).ok().map(|id| id.to_string())
    })
}

/// Returns the sources of the files that are mounted in `/etc`.
fn sources_of_etc(mounts: &str) -> impl Iterator<Item = &str> {
    mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (source, target) = (fields.next()?, fields.next()?);
        target.starts_with("/etc/host").then_some(source)
    })
}

/// Returns true if this is an id as container runtimes make them: 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4c6f3a1d9e8b7c6a5f4e3d2c1b0a99887766554433221100ffeeddccbbaa0099";
    const POD: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";

    #[test]
    fn a_container_is_found_in_cgroups_of_version_1() {
        for (line, expected) in [
            (format!("12:cpu:/docker/{ID}"), Some(ID)),
            (
                format!("1:name=systemd:/kubepods/besteffort/pod{POD}/{ID}"),
                Some(ID),
            ),
            (format!("1:cpu:/system.slice/docker-{ID}.scope"), Some(ID)),
            (
                format!("1:cpu:/kubepods.slice/cri-containerd-{ID}.scope"),
                Some(ID),
            ),
            (
                format!(
                    "1:cpu:/system.slice/containerd.service/kubepods-pod.slice:cri-containerd:{ID}"
                ),
                Some(ID),
            ),
            ("0::/".to_owned(), None),
            ("1:cpu:/user.slice/user-1000.slice".to_owned(), None),
            (format!("1:cpu:/docker/{}", &ID[1..]), None),
            (format!("1:cpu:/docker/{ID}0"), None),
            (format!("1:cpu:/docker/{}g", &ID[1..]), None),
            (String::new(), None),
        ] {
            assert_eq!(container_of_cgroup(&line).as_deref(), expected, "{line}");
        }
        let lines = format!("2:memory:/\n1:cpu:/docker/{ID}\n");
        assert_eq!(container_of_cgroup(&lines).as_deref(), Some(ID));
    }

    #[test]
    fn a_container_is_found_in_the_mounts_of_cgroups_of_version_2() {
        let docker = format!(
            "766 750 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"
        );
        let podman = format!(
            "983 961 0:56 /containers/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw"
        );
        // A container engine that shows its own folder is no container.
        let engine =
            format!("31 1 8:1 /var/lib/docker/containers/{ID} /mnt rw - ext4 /dev/sda1 rw");
        assert_eq!(container_of_mounts(&docker).as_deref(), Some(ID));
        assert_eq!(container_of_mounts(&podman).as_deref(), Some(ID));
        for none in [
            engine.as_str(),
            "",
            "766 750 8:1",
            "a b c /containers/x /etc/hosts",
        ] {
            assert_eq!(container_of_mounts(none), None, "{none}");
        }
    }

    #[test]
    fn a_pod_is_found_in_its_hosts_file() {
        let mounts = format!(
            "2003 1 8:1 /var/lib/kubelet/pods/{POD}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw"
        );
        assert_eq!(pod_of_mounts(&mounts).as_deref(), Some(POD));
        assert_eq!(pod_of_mounts(&mounts.replace(POD, "pod")), None);
        assert_eq!(pod_of_mounts(""), None);
    }

    #[test]
    fn a_distribution_is_named_with_and_without_quotes() {
        for (text, expected) in [
            (
                "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n",
                Some("Debian GNU/Linux 12"),
            ),
            (
                "PRETTY_NAME='Alpine Linux v3.22'",
                Some("Alpine Linux v3.22"),
            ),
            ("PRETTY_NAME=Wolfi", Some("Wolfi")),
            ("PRETTY_NAME=\"\"", None),
            ("NAME=Debian", None),
        ] {
            assert_eq!(pretty_name(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let root = tempfile::tempdir().expect("a directory");
        let keys = |variable: &dyn Fn(&str) -> Option<OsString>| {
            let detected = detect(root.path(), variable);
            detected.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&|_| None), ["host.arch", "os.type"]);
        let write = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        };
        write("proc/sys/kernel/hostname", b"shop-7\n");
        write(NAMESPACE, b"shops");
        write("etc/os-release", b"PRETTY_NAME=\"\xff\"\n");
        // Without the variable it is no pod.
        assert_eq!(
            keys(&|_| None),
            ["host.name", "host.arch", "os.type", "os.description"]
        );
        let in_pod = |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".into());
        let detected = detect(root.path(), &in_pod);
        assert!(detected.contains(&("k8s.namespace.name", "shops".to_owned())));
        assert!(detected.contains(&("k8s.pod.name", "shop-7".to_owned())));
        for blank in ["", "two words\n", &"x".repeat(300)] {
            write("proc/sys/kernel/hostname", blank.as_bytes());
            assert!(!keys(&in_pod).contains(&"host.name"), "{blank:?}");
        }
    }
}
